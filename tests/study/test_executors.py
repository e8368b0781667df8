"""One contract for whatever does the units of a study; workers have stubs instead of models."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from benchmarks.engine import Stub, ray_cluster
from safebench.errors import RunError
from safebench.study.executors.interface import ATTEMPTS, Ended, Executor, LostError, Unit, perform
from safebench.study.executors.local import InProcess, Local
from safebench.study.executors.ray import Ray
from safebench.study.steps import seconds_left


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Executor]:
    with Local(Stub(tmp_path), [{}] * 3, fork=True) as executor:
        yield executor


def ended(executor: Executor, units: list[Unit]) -> dict[str, Ended]:
    done = list(perform(executor, units))
    found = {one.unit.name: one for one in done}
    assert len(found) == len(done)
    return found


def attempts(folder: Path, unit: str) -> int:
    return len((folder / unit).read_text().splitlines())


def honours_the_contract(executor: Executor, folder: Path) -> None:
    """See that units are done once, in order; errors are results, and lost units come again."""
    units = [
        Unit("tune", "t1", given={"sleep": 0.1}),
        Unit("tune", "t2", given={"fail": "it diverged"}),
        Unit("generate", "after-t1", ("t1",), given={"die": 1}),
        Unit("generate", "after-t2", ("t2",)),
        Unit("judge", "after-both", ("after-t1", "after-t2")),
        Unit("judge", "after-after-t1", ("after-t1",)),
        *(Unit("generate", f"g{number}") for number in range(6)),
    ]
    found = ended(executor, units)
    assert set(found) == {u.name for u in units} - {"after-t2", "after-both"}
    bad = {name: one.problem for name, one in found.items() if one.problem is not None}
    assert set(bad) == {"t2"}
    assert (type(bad["t2"]), str(bad["t2"])) == (ValueError, "it diverged")
    assert "raise ValueError" in bad["t2"].__notes__[0]
    for name in found:
        assert attempts(folder, name) == (2 if name == "after-t1" else 1), name
    order = list(found)
    assert order.index("t1") < order.index("after-t1") < order.index("after-after-t1")
    processes = {one.value["process"] for one in found.values() if one.value}
    assert os.getpid() not in processes
    assert len(processes) > 1


def test_local_workers(local: Executor, tmp_path: Path) -> None:
    honours_the_contract(local, tmp_path)


def test_a_unit_that_no_worker_survives(local: Executor, tmp_path: Path) -> None:
    units = [Unit("tune", "hopeless", given={"die": ATTEMPTS}), Unit("tune", "other")]
    found = ended(local, units)
    assert isinstance(found["hopeless"].problem, LostError)
    assert attempts(tmp_path, "hopeless") == ATTEMPTS
    assert found["other"].problem is None


def test_workers_end_with_the_executor(tmp_path: Path) -> None:
    with Local(Stub(tmp_path), [{}], fork=True) as executor:
        executor.give("0", Unit("tune", "long", given={"sleep": 600}))
        until = time.monotonic() + 60
        while not (tmp_path / "long").is_file() and time.monotonic() < until:
            time.sleep(0.05)
    assert not is_running(int((tmp_path / "long").read_text()))


def is_running(process: int) -> bool:
    stat = Path(f"/proc/{process}/stat")
    if sys.platform != "linux":
        return subprocess.run(["ps", "-p", str(process)], check=False).returncode == 0
    return stat.is_file() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_workers_end_with_a_killed_driver(tmp_path: Path) -> None:
    workers_end_with_a_killed_driver(tmp_path, "Local(Stub(out), [{}], fork=True)")


def workers_end_with_a_killed_driver(out: Path, executor: str) -> None:
    """See that within a minute nobody works any more for a driver that `kill -9` ended."""
    code = (
        "from pathlib import Path; from benchmarks.engine import Stub\n"
        "from safebench.study.executors.interface import Unit\n"
        "from safebench.study.executors.local import Local\n"
        "from safebench.study.executors.ray import Ray\n"
        "import os, sys, time\n"
        "out = Path(sys.argv[1])\n"
        "if __name__ == '__main__':\n"
        f"  with {executor} as executor:\n"
        "    while not (free := executor.free()): executor.wait()\n"
        "    executor.give(free[0], Unit('tune', 'long', given={'sleep': 600}))\n"
        "    while not (out / 'long').is_file(): time.sleep(.05)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    root = Path(__file__).parents[2]
    ran = subprocess.run([sys.executable, "-c", code, out], cwd=root, check=False, timeout=120)
    assert ran.returncode == -9
    until = time.monotonic() + 60
    while is_running(int((out / "long").read_text())):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_in_this_process(tmp_path: Path) -> None:
    units = [
        Unit("generate", "b", ("a",)),
        Unit("tune", "c"),
        Unit("generate", "d", ("bad",)),
    ]
    units = [Unit("tune", "a"), Unit("tune", "bad", given={"fail": "no"}), *units]
    found = ended(InProcess(Stub(tmp_path)()), units)
    assert list(found) == ["a", "bad", "c", "b"]  # by kind, then in the order given
    assert found["a"].value["process"] == os.getpid()


def test_a_worker_is_given_what_it_has_loaded(tmp_path: Path) -> None:
    units = [Unit("generate", f"{n}-{w}", warm=w) for n in range(3) for w in ("x", "y")]
    found = list(ended(InProcess(Stub(tmp_path)()), units))
    assert found == ["0-x", "1-x", "2-x", "0-y", "1-y", "2-y"]


def test_many_units_are_not_held_at_once(tmp_path: Path) -> None:
    taken, done = 0, 0

    def units() -> Iterator[Unit]:
        nonlocal taken
        for number in range(5000):
            taken += 1
            yield Unit("generate", str(number))

    for _ in perform(InProcess(lambda unit: None), units()):
        done += 1
        assert taken - done <= 1024
    assert done == 5000


@pytest.mark.parametrize(
    ("left", "done", "workers", "wanted"),
    [
        ({"tune": 2, "generate": 8}, {"tune": 1, "generate": 2}, 4, 100.0 + 2 * 2.0),
        ({"tune": 2, "generate": 8}, {"tune": 1}, 4, None),
        ({}, {"tune": 1}, 4, 0.0),
    ],
)
def test_the_time_that_is_left(left: Any, done: Any, workers: int, wanted: float | None) -> None:
    from collections import Counter

    seconds: Any = {"tune": 100.0, "generate": 4.0}
    assert seconds_left(Counter(left), Counter(done), seconds, workers) == wanted


@pytest.mark.parametrize("address", ["somewhere", "ray://head:10001", "127.0.0.1:1"])
def test_what_is_no_address_of_a_cluster(tmp_path: Path, address: str) -> None:
    with pytest.raises(RunError, match="--address") as caught:
        Ray(Stub(tmp_path), 1, address)
    assert caught.value.fix


def test_a_port_that_another_program_has(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                client.recv(1024)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(RunError, match="taken by another program") as caught:
            Ray(Stub(tmp_path), 1, f"127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert "--port" in str(caught.value.fix)


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("ray") is None and os.environ.get("CI") != "true",
    reason="needs pip install 'safebench[ray]'",
)
def test_ray(tmp_path: Path) -> None:
    """One start for the whole contract; a driver and a node are lost, nothing listens outside."""
    with ray_cluster(2) as cluster, ExitStack() as stack:
        workers_end_with_a_killed_driver(tmp_path, f"Ray(Stub(out), 4, {cluster.address!r})")
        executor = stack.enter_context(Ray(Stub(tmp_path), 4, cluster.address))  # started again
        assert executor.workers == 2
        units = [Unit("tune", f"n{n}", given={"sleep": 0.3}) for n in range(12)]
        found, homes = {}, set()
        for one in perform(executor, units):
            found[one.unit.name] = one
            homes.add(one.value["node"])
            if len(homes) == 2 and cluster.worker_nodes:
                cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        assert len(homes) > 1
        assert not cluster.worker_nodes
        assert set(found) == {unit.name for unit in units}
        assert not [one for one in found.values() if one.problem is not None]
        honours_the_contract(executor, tmp_path)
        outside = [line for line in listening() if not line.startswith("127.0.0.1")]
        assert not outside, outside


def listening() -> list[str]:
    """Return the addresses at which processes of Ray listen, as /proc has them (Linux)."""
    sockets = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                sockets[fields[9]] = _address(fields[1])
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if "ray" not in command and int(process.name) != os.getpid():
                continue
            for handle in (process / "fd").iterdir():
                name = str(handle.readlink())
                if name.startswith("socket:[") and name[8:-1] in sockets:
                    found.append(f"{sockets[name[8:-1]]} {command[:60]}")
        except OSError:
            continue
    assert len(found) > 3
    return found


def _address(field: str) -> str:
    """Return an address of /proc/net/tcp, whose words of four bytes are turned around."""
    raw = bytes.fromhex(field.partition(":")[0])
    words = [raw[place : place + 4][::-1] for place in range(0, len(raw), 4)]
    last = ".".join(str(byte) for byte in words[-1])
    return last if len(words) == 1 or words[2] == b"\0\0\xff\xff" else b"".join(words).hex()
