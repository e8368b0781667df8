"""Many workers: what handing out units costs, and whether the bytes are those of one worker.

    python benchmarks/engine.py > benchmarks/engine.txt        # needs safebench[run,ray]

Units that only sleep measure the overhead, 16 at a time whatever the cores: efficiency is the time
that 16 workers need at least, divided by the time from the first unit to the last. Then a small
grid is executed by one worker, by three, on three nodes of Ray (all on this machine), and in parts
that are merged; workers and nodes are killed at random on the way. Every file but the journal is
compared.
"""

from __future__ import annotations

import os
import random
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from safebench.study.executors.interface import Executor, Unit, perform  # noqa: E402
from safebench.study.executors.local import Local  # noqa: E402
from safebench.study.executors.ray import Ray  # noqa: E402

WORKERS, UNITS, SLEEP = 16, 1000, 0.5
KILLS = int(os.environ.get("KILLS", "20"))
SEED = 20261127


@dataclass(frozen=True)
class Stub:
    """Work without a model: a unit sleeps, fails or dies, as it is told, and leaves a line."""

    folder: Path

    def __call__(self) -> Callable[[Unit], dict[str, Any]]:
        """Open it in a worker."""
        return self.do

    def do(self, unit: Unit) -> dict[str, Any]:
        """Do a unit: `{"sleep": seconds}`, `{"fail": message}`, `{"die": how often}`."""
        given = unit.given or {}
        with (self.folder / unit.name).open("a") as file:
            file.write(f"{os.getpid()}\n")
        tried = len((self.folder / unit.name).read_text().splitlines())
        if tried <= given.get("die", 0):
            os.kill(os.getpid(), signal.SIGKILL)
        if "fail" in given:
            raise ValueError(given["fail"])
        time.sleep(given.get("sleep", 0.0))
        return {"unit": unit.name, "process": os.getpid(), "node": os.getppid()}


def overhead(name: str, executor: Executor, wanted: float) -> None:
    """Print what it costs to hand out units that sleep."""
    began = time.monotonic()
    with executor:
        while len(executor.free()) < WORKERS:
            executor.wait()
        for _ in perform(executor, _sleeping(WORKERS, SLEEP)):
            pass  # a unit for each, so that all have begun
        started = time.monotonic() - began - SLEEP
        began = time.monotonic()
        done = sum(1 for _ in perform(executor, _sleeping(UNITS, SLEEP)))
        took = time.monotonic() - began
        before = _memory()
        began = time.monotonic()
        many = sum(1 for _ in perform(executor, _sleeping(20 * UNITS, 0.0)))
        rate = many / (time.monotonic() - began)
        grown = _memory() - before
    efficiency = UNITS * SLEEP / WORKERS / took
    print(
        f"  {name:<6} {done} units in {took:6.1f} s: efficiency {efficiency:.3f} "
        f"(at least {wanted}); all workers begun after {started:5.1f} s; {rate:,.0f} empty units a "
        f"second, driver {before:.0f} MiB and {grown:+.0f} MiB after {many:,} more"
    )


def _sleeping(count: int, seconds: float) -> Iterator[Unit]:
    start = time.monotonic_ns()
    for number in range(count):
        yield Unit("generate", f"u-{start}-{number}", given={"sleep": seconds})


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@dataclass(frozen=True)
class Sleeper:
    """Work that leaves nothing: the disk is not what is measured."""

    def __call__(self) -> Callable[[Unit], None]:
        """Open it in a worker."""
        return lambda unit: time.sleep(unit.given["sleep"])


def main() -> None:
    """Measure, kill, compare, print."""
    _one_token()
    print(f"{WORKERS} workers on {os.cpu_count()} cores, {UNITS} units of {SLEEP} s")
    overhead("local", Local(Sleeper(), [{}] * WORKERS, fork=True), 0.95)
    overhead("ray", Ray(Sleeper(), WORKERS, None, on_cpu=True), 0.9)
    print("\n".join(_on_paper()))
    sys.stdout.flush()
    from benchmarks.interruptions import files_of
    from tests.tiny_runs import write_tiny

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_tiny(folder, seeds=1, control=True)
        began = time.monotonic()
        _run(folder, "one")
        length = time.monotonic() - began
        wanted = files_of(folder / "one")
        print(f"a small grid by one worker: {len(wanted)} files, {length:.0f} s")
        _compare(folder, "three", wanted, "three workers", "--workers", "3")
        for part in ("1/4", "2/4", "3/4", "4/4"):
            _run(folder, f"parts/{part[0]}", "--shard", part)
        parts = [str(folder / "parts" / place) for place in "1234"]
        _command("merge", *parts, "--out", str(folder / "merged"))
        print(f"  four shards, merged: same bytes: {files_of(folder / 'merged') == wanted}")
        draw = random.Random(SEED)  # noqa: S311 - a seeded draw
        for number in range(KILLS):
            _compare_killed(folder, number, draw, length, wanted)
        print(f"{KILLS} kills")


def _run(folder: Path, out: str, *more: str) -> None:
    _command("run", str(folder / "plan.yaml"), "--out", str(folder / out), *_HOW, *more)


_HOW = ("--threads", "1", "--batch-size", "64", "--device", "cpu")
_CODE = "from safebench.cli.main import main; main()"


def _command(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-c", _CODE, *arguments], check=True, cwd=ROOT, stdout=subprocess.DEVNULL
    )


def _compare(folder: Path, out: str, wanted: dict[str, bytes], what: str, *more: str) -> None:
    from benchmarks.interruptions import files_of
    from safebench.evidence.journal import Journal

    began = time.monotonic()
    _run(folder, out, *more)
    took = time.monotonic() - began
    same = files_of(folder / out) == wanted
    lost = sum(event["event"] == "problem" for event in Journal(folder / out).read())
    print(f"  {what}: same bytes: {same}, {lost} units done again ({took:.0f} s)", flush=True)
    shutil.rmtree(folder / out)


def _compare_killed(
    folder: Path, number: int, draw: random.Random, length: float, wanted: dict[str, bytes]
) -> None:
    """Kill a worker, or a node, at a random moment of the work; see that it goes on by itself."""
    after, out = draw.uniform(0.0, 0.5) * length, folder / "killed"
    if number % 2 == 0:
        kill: Callable[[], object] = partial(_kill_a_worker, out, draw)
        what = f"kill {number + 1}, a worker of three {after:.0f} s after work began"
        with _later(out, after, kill):
            _compare(folder, "killed", wanted, what, "--workers", "3")
        return
    with ray_cluster(3) as cluster:
        node = draw.choice(sorted(cluster.worker_nodes, key=lambda one: str(one.unique_id)))
        what = f"kill {number + 1}, a node of three {after:.0f} s after work began"
        how = ("--executor", "ray", "--address", cluster.address)
        with _later(out, after, partial(cluster.remove_node, node, allow_graceful=False)):
            _compare(folder, "killed", wanted, what, *how)


@contextmanager
def _later(out: Path, after: float, do: Callable[[], object]) -> Iterator[None]:
    """Do something some seconds after the first unit of a run has begun or ended."""
    over = threading.Event()

    def watch() -> None:
        while not any((out / ".work" / "made").glob("*")) and not (out / "adapters").is_dir():
            if over.wait(0.1):
                return
        if not over.wait(after):
            do()

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


def _one_token() -> None:
    """Let all instances of Ray have one token: a process reads it once."""
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


@contextmanager
def ray_cluster(nodes: int) -> Iterator[Any]:
    """Start nodes of Ray with one CPU each, all on this machine and on its loopback.

    The first holds the cluster together; `remove_node` of the others loses one.
    """
    _one_token()
    Ray(Sleeper(), 1, None)  # imports ray as for an instance of its own
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        for _ in range(nodes - 1):
            cluster.add_node(num_cpus=1)
        yield cluster
    finally:
        cluster.shutdown()


def _kill_a_worker(out: Path, draw: random.Random) -> None:
    """Kill one of the processes that work for the run in a folder."""
    holder = (out / ".lock").read_text().split()[1] if (out / ".lock").is_file() else ""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, parent = stat.parent.name, stat.read_text().rpartition(")")[2].split()[1]
            line = (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if b"forkserver" in line and parent != holder:  # workers are forked from the fork server
            grand = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1]
            found += [int(pid)] if grand == holder else []
    if found:
        os.kill(draw.choice(sorted(found)), signal.SIGKILL)


def _on_paper() -> Iterator[str]:
    """Yield what follows for a study on real accelerators; nothing of it is measured."""
    sets, minutes = 432, 6.0
    for gpus in (8, 64):
        rounds = -(-sets // gpus)
        yield (
            f"on paper, {sets} response sets of {minutes:.0f} min each on {gpus} GPUs: "
            f"{rounds} rounds, {rounds * minutes / 60:.1f} h; the last round is "
            f"{(sets - 1) % gpus + 1} of {gpus} GPUs full"
        )
    yield (
        "on paper, 1,000,000 units: the driver holds 1,024 at a time, but their list (.6 GB) "
        "and a folder of as many files break first; then the journal, which is synced at each unit "
        "(some ms on a shared disk, so about 200 units a second)"
    )


if __name__ == "__main__":
    main()
