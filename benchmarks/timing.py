"""What benchmarks of speed share: the machine they ran on, and contenders that take turns."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version


def machine(*packages: str) -> str:
    """Name the machine, and versions of packages."""
    words = [f"{os.cpu_count()} CPUs", platform.machine(), f"Python {platform.python_version()}"]
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return ", ".join([*words, platform.system()]) + (f"; {versions}" if versions else "")


def seconds(work: Callable[[], object]) -> float:
    """Wall time of a call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def turns(rounds: int, sides: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Seconds that each side reports, round by round, so that a busy machine slows all alike.

    A round before the first fills caches and writes bytecode; it does not count.
    """
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + 1):
        for name, side in sides.items():
            taken[name].append(side())
    return {name: values[1:] for name, values in taken.items()}


def table(taken: Mapping[str, list[float]], digits: int = 3) -> None:
    """Print the fastest and the median round of each side."""
    wide = max(map(len, taken))
    for name, values in taken.items():
        least, middle = min(values), statistics.median(values)
        print(
            f"  {name:{wide}s}  min {least:{digits + 4}.{digits}f} s   "
            f"median {middle:{digits + 4}.{digits}f} s"
        )
