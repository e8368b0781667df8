"""Executing a plan: fine-tune, generate, commit; an interrupted run is resumed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from safebench.card.base import require
from safebench.card.card import Card
from safebench.card.model import ApiModel
from safebench.errors import RunError, SafebenchError
from safebench.evidence.claim import Claim, Size, same_study
from safebench.evidence.store import Store
from safebench.evidence.submission import Submission
from safebench.judges.registry import check_keys
from safebench.models.loading import check_device, default_device
from safebench.progress import Progress
from safebench.study.cells import Block
from safebench.study.engines import Settings
from safebench.study.executors.interface import Executor
from safebench.study.executors.local import Environment, Local
from safebench.study.extend import extend_trial, is_trial_of
from safebench.study.judging import deciding
from safebench.study.making import OpenMaker
from safebench.study.plan import Plan
from safebench.study.runner import Runner, RunResult
from safebench.study.submission import with_weights
from safebench.words import number

_VISIBLE = "CUDA_VISIBLE_DEVICES"


def execute(
    plan: Plan,
    out: Path,
    settings: Settings,
    progress: Progress,
    *,
    only: Callable[[Block], bool] = lambda block: True,
) -> RunResult:
    """Execute a plan into a folder; the filled card is written last.

    The same call resumes an interrupted run. With `only`, other cells are left for another call;
    the card is written when none is left.

    Raises:
        SafebenchError: something a person can correct; finished work is kept.
    """
    if settings.executor != "ray":  # whose workers have devices of their own
        check_device(settings.device or default_device())
    check_keys(require(plan.card.judge, "judge"))
    store = Store(out)
    store.seals.begin(plan.card)
    tuned = shared_weights(store, plan)
    elsewhere = open_executor(plan, store, settings, tuned)
    with store.opened(claim_of(plan)), _threads(settings.threads):
        try:
            store.journal.note(
                "session",
                batch_size=settings.batch_size,
                device=settings.device,
                threads=torch.get_num_threads(),
                shard=plan.shard,
            )
            return Runner(
                plan, store, settings, progress, only, tuned=tuned, elsewhere=elsewhere
            ).run()
        except (Exception, KeyboardInterrupt) as problem:
            is_ours = isinstance(problem, SafebenchError)
            with suppress(OSError):  # a full disk, which the message is about
                store.journal.note("stopped", reason=str(problem) if is_ours else repr(problem))
            raise


def open_executor(
    plan: Plan, store: Store, settings: Settings, tuned: Path | None
) -> Executor | None:
    """Return the executor of other processes; None where this process does all the work.

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
    # Another backend chooses its accelerators itself, by its own arguments.
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
    """Return the workers' environments: each worker sees one accelerator, if they use any."""
    if device != "cuda":
        return [{}] * workers
    given = os.environ.get(_VISIBLE)
    names = given.split(",") if given else [str(place) for place in range(_accelerators())]
    return [{_VISIBLE: names[place % len(names)]} for place in range(workers)]


def shared_weights(store: Store, plan: Plan) -> Path | None:
    """Return where the shards of a grid, which lie beside each other, share fine-tuned weights."""
    if plan.shard == "1/1":
        return None
    return store.folder.resolve().parent / ".tuned" / store.seals.study[:16]


def finished_earlier(
    plan: Plan, out: Path, say: Callable[[str], None] = lambda line: None
) -> RunResult | None:
    """Return the result of a finished run of this plan; None where the folder holds none.

    A finished trial of this plan becomes an unfinished run of the whole.

    Raises:
        RunError: it holds a finished submission of another card, or of fewer cells.
    """
    store = Store(out)
    if not store.is_finished or plan.shard != "1/1":
        return None
    finished = Submission.read(out)
    card = finished.card
    if is_trial_of(card, plan.card):
        kept = extend_trial(finished, plan, claim_of(plan))
        there = 0 if finished.responses is None else finished.responses.num_rows
        extent = "; ".join(f"{task}: {what}" for task, what in card.trials.items())
        say(
            f"{out} holds a trial ({extent}). It becomes the whole: {number(kept)} of its "
            f"{number(there)} responses are the same there and are kept."
        )
        return None
    # What was asked for, without what the run has filled in.
    cleared = card.model_copy(
        update={
            "model": with_weights(card, getattr(plan.card.model, "weights", None)),
            "data": plan.with_answers(out).data,
            "spec": plan.card.spec,
            "environment": None,
            "results": None,
            "evidence": None,
        }
    )
    results = card.given_results
    measured = (
        {(s.condition, s.checkpoint, s.decoding) for s in results.scores} if results else set()
    )
    fewer = {(b.condition, b.checkpoint, b.decoding) for b in plan.blocks} - measured
    other = same_study(cleared) != same_study(plan.with_answers(out))
    if not other and not fewer:
        _check_judged(card, plan.card, out)
    if other or fewer:
        raise RunError(
            f"{out}: already holds a finished submission of "
            f"{'another card' if other else 'fewer cells'}",
            fix="inspect it with `safebench score`, or give another --out",
        )
    store.finish()  # remove what a run left that was killed while it cleaned up
    return RunResult(card, 0, 0, store.journal.lost())


def _check_judged(done: Card, wanted: Card, out: Path) -> None:
    """Check that a finished submission was judged by the judges of a card; raises RunError."""
    judged = {judge.name: deciding(judge) for judge in require(done.judge, "judge")}
    lacking = [
        judge.name
        for judge in require(wanted.judge, "judge")
        if judged.get(judge.name) != deciding(judge)
    ]
    if lacking:
        raise RunError(
            f"{out}: holds the finished responses of this card, not judged by {', '.join(lacking)}",
            fix=f"safebench judge {out} --card CARD judges them, and generates nothing",
        )


def claim_of(plan: Plan) -> Claim:
    """Return the claim with which a run takes its folder."""
    sizes = {
        b.name: Size(
            b.condition, b.training_seed, b.repeats * len(plan.tasks), b.repeats * plan.prompts
        )
        for b in plan.blocks
    }
    return Claim(plan.card, sizes, plan.shard)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Use this many threads for the duration of the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
