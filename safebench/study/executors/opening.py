"""The executor that a run's settings ask for."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from safebench.card.model import ApiModel
from safebench.errors import RunError
from safebench.evidence.store import Store
from safebench.models.loading import default_device
from safebench.study.engines import Settings
from safebench.study.executors.interface import Executor
from safebench.study.executors.local import Environment, Local
from safebench.study.making import OpenMaker
from safebench.study.plan import Plan

_VISIBLE = "CUDA_VISIBLE_DEVICES"


def open_executor(
    plan: Plan, store: Store, settings: Settings, tuned: Path | None
) -> Executor | None:
    """Return what has workers in other processes; None where this process does all the work.

    `tuned`: where weights lie that several runs share, if they do.

    Raises:
        RunError: the settings contradict each other.
        MissingDependencyError: Ray is not installed.
    """
    if settings.address is not None and settings.executor != "ray":
        raise RunError(
            "--address is that of a Ray cluster, and --executor is local",
            fix="give --executor ray, or leave --address out",
        )
    if isinstance(plan.card.model, ApiModel) and (settings.workers or 1) > 1:
        raise RunError(
            f"--workers is {settings.workers}, but a server answers for this model: one process "
            "sends all requests",
            fix="leave --workers out; num_concurrent in --backend-args sends several at once",
        )
    if settings.device == "auto" and (settings.workers or 1) > 1:
        raise RunError(
            f"--workers is {settings.workers}, but --device auto spreads one model over all "
            "accelerators",
            fix="leave one of them out",
        )
    if isinstance(plan.card.model, ApiModel):
        return None

    def work(threads: int) -> OpenMaker:
        folder = store.folder.resolve()
        return OpenMaker(plan.card, folder, settings, threads, plan.declared, tuned)

    if settings.executor == "ray":
        from safebench.study.executors.ray import Ray

        threads = settings.threads or 1
        is_forced = settings.device is not None and settings.device.startswith("cpu")
        return Ray(work(threads), settings.workers, settings.address, on_cpu=is_forced)
    device = settings.device or default_device()
    # Another backend is told in its own words which accelerators it has.
    is_ours = settings.backend == Settings().backend
    count = settings.workers or (_accelerators() if device == "cuda" and is_ours else 1)
    if count == 1:
        return None
    threads = settings.threads or max(1, torch.get_num_threads() // count)
    environments = _environments(count, device)
    return Local(work(threads), environments, fork=device == "cpu")


def _accelerators() -> int:
    return max(1, torch.cuda.device_count())


def _environments(workers: int, device: str) -> list[Environment]:
    """Return the environments of workers: each sees one accelerator, unless one is named."""
    if device != "cuda":
        return [{}] * workers
    given = os.environ.get(_VISIBLE)
    names = given.split(",") if given else [str(place) for place in range(_accelerators())]
    return [{_VISIBLE: names[place % len(names)]} for place in range(workers)]
