"""Units on a Ray cluster, or on an instance of Ray that this process starts on the loopback.

This module starts its workers (actors), gives them units and replaces them: Ray itself would let a
unit wait for a node that is gone.
"""

from __future__ import annotations

import itertools
import os
import signal
import socket
import time
from contextlib import suppress
from typing import Any, Final

from safebench.errors import MissingDependencyError, RunError
from safebench.study.executors.interface import Ended, Lost, OpenWork, Unit, Work, do

_ENVIRONMENT: Final = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    # In spite of its name: an own instance listens on the loopback alone, on every system. Ray
    # would listen on all interfaces, or translate 127.0.0.1 into an address that others reach.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}
"""For an instance of our own; read when ray is imported. Its token is in the home folder."""
_LOOK_AGAIN: Final = 1.0
"""Seconds between looks at the nodes of the cluster, which come and go."""
_PATIENCE: Final = 60.0
"""Seconds without a usable node before that is an error."""
_SETTINGS: Final = b"\x04"
_GREETING: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + _SETTINGS + b"\0\0\0\0\0"
"""How a client of gRPC begins (RFC 9113): with empty settings; a server answers with its own."""
_STILLBORN: Final = 3
"""Workers that may die while they start before the run gives up."""


class _Worker:
    """What runs in an actor."""

    def __init__(self, open_work: OpenWork) -> None:
        self._open_work = open_work
        self._work: Work | None = None

    def ready(self) -> None:
        """Answer as soon as it runs."""

    def do(self, unit: Unit) -> Ended:
        """Do a unit."""
        return do(self._opened, unit)

    def _opened(self, unit: Unit) -> Any:
        self._work = self._work or self._open_work()
        return self._work(unit)


class _Actor:
    """An actor as it is seen from here."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.awaited: Any = handle.ready.remote()
        """What it is doing now; None while it waits for a unit."""
        self.unit: Unit | None = None


class Ray:
    """Actors on the nodes of a cluster: one on each GPU, or one on each node without any."""

    def __init__(
        self, open_work: OpenWork, workers: int | None, address: str | None, *, on_cpu: bool = False
    ) -> None:
        """Take what opens the work in a worker; nothing is started yet.

        Args:
            open_work: Called in every worker.
            workers: Most workers; None is one for each GPU, or for each node without any.
            address: `HOST:PORT` of a cluster, or `auto`; None starts an instance of its own.
            on_cpu: Use no GPUs.

        Raises:
            MissingDependencyError: Ray is not installed.
            RunError: no such address can be used.
        """
        if address is None:
            os.environ.update(_ENVIRONMENT)
        else:
            _check_address(address)
        try:
            import ray
        except ModuleNotFoundError as problem:
            raise MissingDependencyError(
                "--executor ray needs Ray, which is not installed",
                fix="pip install 'safebench[ray]'",
            ) from problem
        self._ray: Any = ray
        self._open_work, self._limit, self._address = open_work, workers, address
        self._on_cpu, self._is_ours = on_cpu, False
        self._actors: dict[str, _Actor] = {}
        self._numbers = itertools.count(1)
        self._stillborn = 0
        self._looked = self._had_nodes = float("-inf")
        self.workers = workers or 1

    def __enter__(self) -> Ray:
        """Connect to the cluster, or start an instance.

        Raises:
            RunError: it cannot be reached or started.
        """
        if not self._ray.is_initialized():
            handler = signal.getsignal(signal.SIGTERM)
            quietly = {"log_to_driver": False, "logging_level": "ERROR"}
            try:
                if self._address is None:
                    cpus = max(os.cpu_count() or 1, self._limit or 1)
                    self._ray.init("local", num_cpus=cpus, include_dashboard=False, **quietly)
                else:
                    self._ray.init(self._address, **quietly)
            except Exception as problem:
                raise RunError(
                    f"Ray at {self._address or 'this machine'} cannot be used: {problem}",
                    fix="the same versions of Ray and Python, and the same token in "
                    "RAY_AUTH_TOKEN, are needed on all nodes; `ray status` shows a cluster",
                ) from problem
            finally:
                with suppress(ValueError, TypeError):  # Ray sets one of its own, here
                    signal.signal(signal.SIGTERM, handler)
            self._is_ours = True
            self._check_private()
        self._had_nodes = time.monotonic()
        self.workers = max(1, self._places()[0])
        return self

    def _check_private(self) -> None:
        """Check that an own instance is on the loopback; raises RunError."""
        outside = {node["NodeManagerAddress"] for node in self._ray.nodes()} - {"127.0.0.1"}
        if self._address is None and outside:
            self._ray.shutdown()
            raise RunError(
                f"Ray listens at {', '.join(sorted(outside))}: it was imported before safebench "
                "could keep it on this machine",
                fix="set RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 before ray is imported",
            )

    def __exit__(self, *_: object) -> None:
        """Kill the actors, and stop an instance that was started here."""
        for actor in self._actors.values():
            self._kill(actor)
        if self._is_ours:
            self._ray.shutdown()

    def free(self) -> list[str]:
        """Return the actors that wait for a unit, after starting actors on new nodes."""
        self._hire()
        return [name for name, actor in self._actors.items() if actor.awaited is None]

    def give(self, worker: str, unit: Unit) -> None:
        """Send a unit to an actor."""
        actor = self._actors[worker]
        actor.unit, actor.awaited = unit, actor.handle.do.remote(unit)

    def wait(self) -> list[Ended | Lost]:
        """Wait until an actor has ended its unit, was lost, or is ready; at most a moment."""
        by_task = {a.awaited: name for name, a in self._actors.items() if a.awaited is not None}
        if not by_task:
            time.sleep(_LOOK_AGAIN)
            return []
        some, rest = self._ray.wait(list(by_task), timeout=_LOOK_AGAIN)
        more, _ = self._ray.wait(rest, num_returns=len(rest), timeout=0) if rest else ([], [])
        found = (self._end(by_task[task]) for task in (*some, *more))
        return [event for event in found if event is not None]

    def _end(self, name: str) -> Ended | Lost | None:
        """Return what became of an actor's unit; None where it was only getting ready."""
        actor = self._actors[name]
        unit, task = actor.unit, actor.awaited
        actor.unit = actor.awaited = None
        try:
            ended: Ended | None = self._ray.get(task)
        except self._ray.exceptions.RayError as problem:
            self._kill(self._actors.pop(name))
            self._looked = float("-inf")
            if unit is None:
                self._stillborn += 1
                if self._stillborn >= _STILLBORN and not self._actors:
                    raise _unusable(problem) from problem
                return None
            if isinstance(problem, self._ray.exceptions.RayTaskError):
                # Not the work, whose errors are results: what was sent cannot be read there, say.
                return Ended(unit, problem=_unusable(problem))
            return Lost(unit, _first_line(problem))
        return ended

    def _kill(self, actor: _Actor) -> None:
        with suppress(Exception):  # it may be gone already
            self._ray.kill(actor.handle)

    def _hire(self) -> None:
        """Start an actor for each place on the nodes that has none."""
        now = time.monotonic()
        if now - self._looked < _LOOK_AGAIN:
            return
        self._looked = now
        places, on_gpus = self._places()
        if places:
            self._had_nodes = now
        elif now - self._had_nodes > _PATIENCE:
            raise RunError(
                f"Ray has had no node with a CPU for {_PATIENCE:.0f} s",
                fix="start nodes, and run the same command again; `ray status` shows them",
            )
        options = {"num_cpus": 1, "num_gpus": int(on_gpus), "scheduling_strategy": "SPREAD"}
        while len(self._actors) < places:
            worker = self._ray.remote(_Worker).options(**options).remote(self._open_work)
            self._actors[f"{next(self._numbers)}"] = _Actor(worker)

    def _places(self) -> tuple[int, bool]:
        """Return how many workers the present nodes can have, and whether these use GPUs."""
        found = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        gpus = 0 if self._on_cpu else sum(int(one.get("GPU", 0)) for one in found)
        cpus = sum(int(one.get("CPU", 0)) for one in found)
        places = gpus or (len(found) if self._limit is None else cpus)
        return min(places, cpus, self._limit or places), gpus > 0


def _check_address(address: str) -> None:
    """Check that a server of Ray's kind listens at an address; raises RunError.

    Ray itself tries for minutes to reach one, and then ends the process.
    """
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise RunError(
            f"--address {address!r} is not HOST:PORT",
            fix="give the address that `ray start --head` prints, or auto on a node of the "
            "cluster; a client's ray:// does not see the run's folder: `ray job submit` does",
        )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=10) as server:
            server.sendall(_GREETING)
            answer = server.recv(9)
    except OSError as problem:
        raise RunError(
            f"--address {address}: nothing answers there ({problem.strerror or problem})",
            fix="start the cluster (`ray start --head`), and run this on a machine that reaches it",
        ) from problem
    if answer[3:4] != _SETTINGS and not os.environ.get("RAY_USE_TLS"):
        raise RunError(
            f"--address {address}: the port is taken by another program than Ray",
            fix="give the address that `ray start --head` prints; with --port it takes another",
        )


def _unusable(problem: Exception) -> RunError:
    return RunError(
        f"Ray cannot start a worker: {_first_line(problem)}",
        fix="install the same safebench[run,ray] on every node",
    )


def _first_line(problem: Exception) -> str:
    return next((line.strip() for line in str(problem).splitlines() if line.strip()), "no message")
