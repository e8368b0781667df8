"""A disk that fills up: one message, nothing half-written, and the same command goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from safebench.study import making as execution
from safebench.study import submission
from safebench.tuning.peft_trainer import PeftTrainer
from tests.command import safebench
from tests.tiny_runs import QUICK, run_tiny, same_files, write_tiny

pytestmark = pytest.mark.slow
SMALL, LARGE = "1m", "16m"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan and its run that was left alone."""
    folder = tmp_path_factory.mktemp("whole")
    run_tiny(write_tiny(folder), folder / "out")
    return folder


@pytest.fixture
def disk(done: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder beside the plan that is a small disk of its own."""
    if os.geteuid() != 0:
        _absent("only root can mount a small disk")
    folder = done / str(request.node.name)
    folder.mkdir()
    mounted = _mount(f"size={SMALL}", folder)
    if mounted.returncode != 0:
        _absent(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _absent(reason: str) -> None:
    """Skip, with the reason; where everything has to run, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI=true and {reason}")
    pytest.skip(reason)


def _mount(options: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )


def fill(disk: Path) -> None:
    """Take all the room there is, in the folder that goes when a run is finished."""
    room = os.statvfs(disk)
    (disk / ".work" / "filler").write_bytes(b"\0" * (room.f_bavail * room.f_frsize))
    assert os.statvfs(disk).f_bavail == 0


def filling(real: Callable[..., Any], disk: Path, at: int) -> Callable[..., Any]:
    """Return a function that fills the disk before its n-th call."""
    calls = []

    def call(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == at:
            fill(disk)
        return real(*args, **kwargs)

    return call


def _counts(out: Path) -> tuple[int, int]:
    """Count fine-tuned seeds and committed blocks."""
    blocks = list((out / ".work" / "responses").glob("*.parquet"))
    return len(list(out.glob("adapters/*"))), len(blocks)


@pytest.mark.parametrize(
    ("where", "name", "at", "kept"),
    [
        (PeftTrainer, "train", 2, (1, 0)),
        (execution, "generate", 3, (2, 2)),
        (submission, "decide", 1, (2, 6)),
    ],
    ids=["adapters", "responses", "tables"],
)
def test_it_goes_on_when_there_is_room(
    where: Any,
    name: str,
    at: int,
    kept: tuple[int, int],
    done: Path,
    disk: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = done / "plan.yaml"
    monkeypatch.setattr(where, name, filling(getattr(where, name), disk, at))
    ran = safebench(capsys, "run", plan, "--out", disk, *QUICK)
    assert ran.code == 2
    assert ran.err == (
        f"error: {disk}: no space left on the disk; finished cells are kept\n"
        "  Fix: make room, then run the same command again\n"
    )
    assert _counts(disk) == kept
    assert not (disk / "card.yaml").exists()
    assert not [p for p in disk.rglob(".*") if p.is_file() and p.name != ".lock"]
    again = safebench(capsys, "run", plan, "--out", disk, *QUICK)
    assert again.code == 2
    assert "no space left on the disk" in again.err
    assert _counts(disk) == kept
    enlarged = _mount(f"remount,size={LARGE}", disk)
    assert enlarged.returncode == 0, enlarged.stderr
    ran = safebench(capsys, "run", plan, "--out", disk, *QUICK)
    assert ran.code == 0, ran.err
    same_files(disk, done / "out")


def test_a_disk_without_room_to_begin(
    done: Path, disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _mount("remount,size=4k", disk).returncode == 0
    ran = safebench(capsys, "run", done / "plan.yaml", "--out", disk, *QUICK)
    assert ran.code == 2
    assert "no space left on the disk; finished cells are kept" in ran.err
    assert [p.name for p in disk.rglob("*") if p.is_file()] == [".lock"]
