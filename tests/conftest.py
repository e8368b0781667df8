"""Fixtures shared by all tests."""

from __future__ import annotations

import gc
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

# Before torch is imported: as many test processes run as there are cores, and its threads would
# only wait for each other. Processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What is imported stays: a million objects that every collection of garbage would look through,
# half a second each time that a run frees a model. `pytest_collection_finish` sets them aside.
gc.disable()

# The same examples in every run, so that nobody's change fails by another's luck; `make search`
# looks for new ones with fresh seeds, and what it finds becomes an explicit example. No deadline:
# the time that an example takes says more of the machine than of the code.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("SAFEBENCH_HYPOTHESIS", "fixed"))

ROOT = Path(__file__).resolve().parent.parent


# Rooms whose tests run models, and fixtures that run a whole command, a browser or a server.
SLOW_ROOMS = ("models", "tuning", "study", "harness", "tools")
SLOW_FIXTURES = frozenset({"demo", "demo_submission", "browser"})
# Many cards or many processes: minutes in all, and none of them needs to be watched while working.
SLOW_FILES = {
    "test_mutations",
    "test_newer",
    "test_hostile",
    "test_browser",
    "test_coverage",
    "test_real_outputs",
    "test_start",
    "test_lock",
    "test_imported",
    "test_imported_grades",
    "test_imported_loaded",
    "test_imported_sent",
    "test_imported_stated",
    "test_imported_weights",
    "test_manifest",
    "test_build",
}


# Pages that are followed from training to verdict, with other programs in processes of their own.
LONG_FILES = {"test_docs_own_runs", "test_docs_reproduce"}

# The longest first: a worker that gets one of them last keeps everybody waiting.
LONGEST = (
    "test_demo",
    "test_docs_own_runs",
    "test_docs_reproduce",
    "test_readme",
    "test_mutations",
    "test_wheel",
    "test_spoilt",
    "test_hostile",
    "test_manifest",
    "test_reader_mutants",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make test-fast` leaves out, and put the longest files first."""
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))
    for item in items:
        room = item.path.relative_to(ROOT / "tests").parts[0]
        fixtures = SLOW_FIXTURES & set(getattr(item, "fixturenames", ()))
        if room in SLOW_ROOMS or item.path.stem in SLOW_FILES or fixtures:
            item.add_marker(pytest.mark.slow)
        if item.path.stem in LONG_FILES:
            item.add_marker(pytest.mark.long)


def pytest_collection_finish() -> None:
    """Collect garbage again, of what tests make alone."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _own_judgements(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Keep judgements apart from the user's, and from those of other tests."""
    test = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]
    monkeypatch.setenv("SAFEBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "kept" / test))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real material beside the checkout; absent on a user's machine."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        if os.environ.get("SAFEBENCH_REQUIRE_SHARED") == "1":
            pytest.fail(f"SAFEBENCH_REQUIRE_SHARED=1 but {folder} is absent")
        pytest.skip("../shared/data is not here: this test needs real material that is not shipped")
    return folder


@dataclass(frozen=True)
class Demo:
    """One whole run of `safebench demo`."""

    folder: Path
    printed: str

    @property
    def submission(self) -> Path:
        """The submission it made."""
        return self.folder / "board" / "submissions" / "tiny-chat-household-lora"


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Demo:
    """The demo, run once for all tests as a user runs it, whichever worker asks first."""
    if worker_id == "master":
        where = tmp_path_factory.mktemp("demo")
        return Demo(where / "demo-out", _run_demo(where))
    where = tmp_path_factory.getbasetemp().parent / "demo-of-all-workers"
    printed = where / "printed.txt"
    with FileLock(where.with_suffix(".lock")):
        if not printed.is_file():  # not made yet, or it failed: then everybody sees why
            shutil.rmtree(where, ignore_errors=True)
            where.mkdir()
            printed.write_text(_run_demo(where), encoding="utf-8")
    return Demo(where / "demo-out", printed.read_text(encoding="utf-8"))


def _run_demo(where: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "safebench.cli.main", "demo", "--quick"],
        cwd=where,
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def demo_submission(demo: Demo) -> Path:
    """The demo's submission; copied before it is changed."""
    return demo.submission
