"""Damaged work of an unfinished run is made again, to the bytes of a run that was left alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from safebench.errors import RunError
from safebench.evidence.store import Store
from safebench.study import runner
from tests.tiny_runs import run_tiny, same_files, write_tiny

pytestmark = pytest.mark.slow
KINDS = (
    ".work/run.json",
    ".work/environment.json",
    ".work/responses/base--*.parquet",
    "adapters/tuned-*/*/*.safetensors",
    "data/own.jsonl",
)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a plan, its finished run, and a run that stopped before it was judged."""
    folder = tmp_path_factory.mktemp("damaged")
    plan = write_tiny(folder, seeds=1, control=True)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(runner, "write_submission", _stop)
        with pytest.raises(RunError, match="stop"):
            run_tiny(plan, folder / "stopped")
    shutil.copytree(folder / "stopped", folder / "whole")
    run_tiny(plan, folder / "whole")
    return folder


def _stop(*_: object) -> None:
    raise RunError("stop")


@pytest.mark.parametrize("kinds", [KINDS, KINDS[1:2]])
def test_damaged_work_is_made_again(stopped: Path, kinds: tuple[str, ...]) -> None:
    out = stopped / f"damaged-{len(kinds)}"
    shutil.copytree(stopped / "stopped", out)
    for kind in kinds:
        path = sorted(out.glob(kind))[0]
        path.write_bytes(path.read_bytes()[:-9])
    run_tiny(stopped / "plan.yaml", out)
    same_files(out, stopped / "whole")
    noted = [e["what"] for e in Store(out).journal.read() if e["event"] == "problem"]
    assert len(noted) == len(kinds) - (KINDS[0] in kinds)
