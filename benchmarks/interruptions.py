"""kill -9 at 50 random moments of a small grid, then resume: the same bytes, or not?

    python benchmarks/interruptions.py > benchmarks/interruptions.txt

The grid has everything in it: answers that the base model gives itself, fine-tuning of a tuned
and a control condition, greedy and sampled generation, judging, writing. A process is killed from
outside after a random time; every file but the journal is then compared with that of a run that
was left alone. Processes are forked from one that has imported everything, so that the moments lie
in the work and not in the imports.
"""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
KILLS = int(os.environ.get("KILLS", "50"))
SEED = 20261125
DURABLE = ("fsync", "replace", "rename", "link", "unlink", "rmdir")


def execute_plan(plan: Path, out: Path, die_at: int | None = None) -> None:
    """Execute a plan in this process; `die_at` kills it at that durable write or rename."""
    moments = itertools.count(1)

    def die(_: str) -> None:
        if next(moments) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    with watched(die):
        _execute(plan, out)


def die_inside(plan: Path, out: Path, step: int) -> None:
    """Execute a plan in this process, and kill it when a fine-tuning has saved that step."""

    def die(_: str) -> None:
        if any((out / ".work" / "tuning").glob(f"*/step-{step}")):
            os.kill(os.getpid(), signal.SIGKILL)

    with watched(die):
        _execute(plan, out)


def count_moments(plan: Path, out: Path, counted: Path) -> None:
    """Execute a plan in this process, and write down how many moments it could die at."""
    calls: list[str] = []
    with watched(calls.append):
        _execute(plan, out)
    counted.write_text(str(len(calls)))


def _execute(plan: Path, out: Path) -> None:
    gc.freeze()  # what was imported before the fork need not be looked through again and again
    from safebench.card.io import load_card
    from safebench.evidence.submission import Submission
    from safebench.progress import Silent
    from safebench.study.engines import Settings
    from safebench.study.execute import execute, finished_earlier
    from safebench.study.plan import make_plan

    made = make_plan(Submission(load_card(plan), plan.parent), out)
    # A state is saved at every step of a fine-tuning.
    settings = Settings(batch_size=64, threads=1, save_state_every=1e-9)
    if finished_earlier(made, out) is None:
        execute(made, out, settings, Silent())


@contextmanager
def watched(hear: Callable[[str], object]) -> Iterator[None]:
    """Call `hear` with the name of each call that makes work durable, just before it is made."""
    real = {name: getattr(os, name) for name in DURABLE}
    for name in DURABLE:

        def call(*args: Any, _name: str = name, **kwargs: Any) -> Any:
            hear(_name)
            return real[_name](*args, **kwargs)

        setattr(os, name, call)
    try:
        yield
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def forked() -> multiprocessing.context.ForkServerContext:
    """Return what starts processes that have imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["safebench.study.execute", "safebench.study.plan", "safebench.tuning.peft_model", "peft"]
    )
    return context


def files_of(folder: Path) -> dict[str, bytes]:
    """Return every file of a submission but the journal."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "journal.jsonl"
    }


def phase(out: Path) -> str:
    """Say what a killed run was at."""
    if (out / "outcomes.parquet").is_file() or (out / "responses.parquet").is_file():
        return "writing"
    if not (out / ".work" / "run.json").is_file():
        return "starting"
    if any((out / ".work" / "responses").glob("*.parquet")):
        return "generating or judging"
    if (out / ".work" / "tuning").is_dir() or (out / "adapters").is_dir():
        return "fine-tuning"
    return "answering, loading"


def main() -> None:
    """Kill, resume, compare, print."""
    from tests.plans import write_plan

    draw = random.Random(SEED)  # noqa: S311 - a seeded draw
    context = forked()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        plan = write_plan(folder, **grid())
        whole = context.Process(target=execute_plan, args=(plan, folder / "whole"))
        _finish(whole)
        began = time.monotonic()
        again = context.Process(target=execute_plan, args=(plan, folder / "again"))
        _finish(again)
        length = time.monotonic() - began
        wanted = files_of(folder / "whole")
        same = files_of(folder / "again") == wanted
        print(f"a run left alone: {len(wanted)} files; a second one has the same bytes: {same}")
        killed: Counter[str] = Counter()
        differing = []
        for number in range(KILLS):
            out = folder / f"killed-{number}"
            process = context.Process(target=execute_plan, args=(plan, out))
            process.start()
            process.join(draw.uniform(0.0, length))
            at = "finished before" if process.exitcode == 0 else phase(out)
            process.kill()
            process.join()
            killed[at] += 1
            if at != "finished before":
                _finish(context.Process(target=execute_plan, args=(plan, out)))
            found = files_of(out)
            if found != wanted:
                names = {n for n in {*found, *wanted} if found.get(n) != wanted.get(n)}
                differing.append(f"kill {number} while {at}: {', '.join(sorted(names))}")
        for at, count in killed.most_common():
            what = at if at == "finished before" else f"killed while {at}"
            print(f"  {what:<37} {count:3d}")
        print(f"{KILLS} kills, {len(differing)} resumed runs with other bytes")
        print("\n".join(differing))


def grid() -> dict[str, object]:
    """Return what the small plan is changed to: everything that can be interrupted is in it."""
    return {
        "data": [
            {"name": "benign", "path": "benign.jsonl", "examples": 24},
            {
                "name": "own",
                "role": "control",
                "examples": 24,
                "controls_for": "the questions",
                "answers": {"questions_of": "benign", "decoding": "t07"},
            },
        ],
    }


def _finish(process: multiprocessing.process.BaseProcess) -> None:
    process.start()
    process.join()
    if process.exitcode != 0:
        sys.exit("a run that was left alone failed")


if __name__ == "__main__":
    main()
