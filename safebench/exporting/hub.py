"""The Hub's model card: `.eval_results/*.yaml`, and `model-index` for its front matter.

Neither has a field for uncertainty: the interval stands in `notes`, and `source.url` links the
card.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from safebench.card.measured import MeasuredScore
from safebench.card.results import PrimaryEstimand, find, key_of
from safebench.card.task import METRICS, Task
from safebench.errors import InteropError, MissingDependencyError
from safebench.evidence.scoring import CONFIDENCE
from safebench.exporting.source import (
    Export,
    Source,
    base_id,
    models_of,
    organisation,
    revision_of,
    text,
)
from safebench.stats import score_interval
from safebench.words import count, kept, rounded

_URL = "https://huggingface.co/"


def export(
    source: Source, *, card_url: str | None = None, seed: int | None = None,
    checkpoint: int | None = None,
) -> Export:  # fmt: skip
    """Return what a model's repository on the Hub says of the primary numbers.

    Args:
        source: The submission.
        card_url: Where the card can be read.
        seed: Training seed of the model whose repository it is; None is the recipe as a whole.
        checkpoint: Its checkpoint; that of the primary estimands otherwise.

    Raises:
        InteropError: no such model was measured.
        MissingDependencyError: huggingface_hub is not installed.
    """
    if not source.results.primary:
        raise InteropError(
            "the card declares no primary estimand, and a repository shows those",
            fix="give tasks[].primary, or export every-eval-ever or csv",
        )
    numbers = list(_numbers(source, seed, checkpoint))
    if not numbers:
        raise InteropError(
            "none of the primary numbers is of that model",
            fix="there are: " + ", ".join(m.name for m in models_of(source)),
        )
    tasks = {task.name: task for task in source.card.task_list()}
    for one in numbers:
        one.trial = tasks[one.task].trial
    entries = [_entry(source, one, tasks[one.task], card_url) for one in numbers]
    body = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=100)
    export = Export({f".eval_results/{source.card.submission.id}.yaml": body.encode()})
    index = _model_index(source, numbers, tasks, card_url)
    export.files["model-index.yaml"] = yaml.safe_dump(
        index, sort_keys=False, allow_unicode=True, width=100
    ).encode()
    export.lost += list(_lost(source, card_url, seed))
    return export


class _Number:
    """A primary number of one model, or of the recipe."""

    def __init__(self, place: PrimaryEstimand, estimate: float, lower: float, upper: float,
                 what: str) -> None:  # fmt: skip
        self.place, self.estimate, self.lower, self.upper = place, estimate, lower, upper
        self.task, self.construct, self.what = place.task, place.construct, what
        self.trial: str | None = None
        """The first prompts alone, where it is a trial."""

    @property
    def notes(self) -> str:
        """What the format has no field for."""
        p = self.place
        at = "" if p.checkpoint is None else f", checkpoint {p.checkpoint}"
        metric, direction = METRICS[p.construct]
        trial = f"TRIAL, not a result: {self.trial}; " if self.trial else ""
        return trial + (
            f"{p.construct}: {metric}, {direction.replace('_', ' ')}; {p.condition}{at}, decoding "
            f"{p.decoding}, judge {p.judge}; {self.what}; {CONFIDENCE:.0%} interval "
            f"[{rounded(self.lower, 4)}, {rounded(self.upper, 4)}]"
        )


def _numbers(source: Source, seed: int | None, checkpoint: int | None) -> Iterator[_Number]:
    for place in source.results.primary:
        at = place.checkpoint if checkpoint is None or place.condition == "base" else checkpoint
        place = place.model_copy(update={"checkpoint": at})
        if seed is None:
            score = find(source.results.scores, key_of(place))
            if score is not None:
                yield _Number(place, score.estimate, score.lower, score.upper, _seeds(score))
            continue
        block = find(source.blocks, key_of(place))
        if block is not None and seed in block.seeds:
            scores = block.scores[block.seeds.index(seed)][None]
            found = score_interval(scores, confidence=CONFIDENCE)
            low, high, estimate = map(kept, (found.lower, found.upper, found.estimate))
            yield _Number(place, estimate, low, high, f"training seed {seed} alone")


def _seeds(score: MeasuredScore) -> str:
    seeds = len({run.training_seed for run in score.runs} - {None})
    if not seeds:
        return "untuned"
    rated = score.stability.lower if score.stability is not None else None
    stable = "stability not rated" if rated is None else f"stability at least {rounded(rated, 2)}"
    return f"mean over {count(seeds, 'training seed')}, {stable}"


def _entry(source: Source, one: _Number, task: Task, card_url: str | None) -> dict[str, Any]:
    dataset: dict[str, Any] = {"id": text(task.dataset_id) or task.name, "task_id": task.name}
    if isinstance(task.dataset_revision, str):
        dataset["revision"] = task.dataset_revision
    entry: dict[str, Any] = {"dataset": dataset, "value": one.estimate}
    date = text(source.card.submission.date)
    if date is not None:
        entry["date"] = date
    if card_url is not None:
        who = organisation(source.card)
        name = f"safebench card {source.card.submission.id}"
        entry["source"] = {"url": card_url, "name": f"{name}, by {who}" if who else name}
    return {**entry, "notes": one.notes}


def _model_index(
    source: Source, numbers: list[_Number], tasks: dict[str, Task], card_url: str | None
) -> dict[str, Any]:
    try:
        from huggingface_hub.repocard_data import EvalResult, eval_results_to_model_index
    except ImportError as problem:
        raise MissingDependencyError(
            "model-index is written by huggingface_hub, which is not installed",
            fix="pip install huggingface_hub, or pip install 'safebench[run]'",
        ) from problem
    card = source.card
    sources = [text(tasks[name].dataset_id) for name in dict.fromkeys(n.task for n in numbers)]
    # Of one data set huggingface_hub would make one result, whichever task a metric is of.
    shared = {n.task for n in numbers if sources.count(text(tasks[n.task].dataset_id)) > 1}
    results = [
        EvalResult(
            task_type="text-generation",
            dataset_type=text(tasks[one.task].dataset_id) or one.task,
            dataset_name=one.task,
            dataset_config=one.task if one.task in shared else None,
            dataset_revision=_commit(tasks[one.task]),
            metric_type=f"safebench.{one.construct}",
            metric_value=one.estimate,
            metric_name=f"{METRICS[one.construct][0]} ({one.place.decoding}, {one.place.judge})"
            + (f", trial: {one.trial}" if one.trial else ""),
            metric_args={"notes": one.notes},
            source_name=None if card_url is None else f"safebench card {card.submission.id}",
            source_url=card_url,
        )
        for one in numbers
    ]
    found: dict[str, Any] = {}
    base = base_id(card)
    revision = revision_of(card)
    if (
        revision is not None
        and not revision.startswith("sha256:")
        and any(one.place.condition != "base" for one in numbers)
    ):
        found["base_model"] = base
        found["base_model_relation"] = "finetune"
    return {**found, "model-index": eval_results_to_model_index(card.submission.id, results)}


def _commit(task: Task) -> str | None:
    return task.dataset_revision if isinstance(task.dataset_revision, str) else None


def _lost(source: Source, card_url: str | None, seed: int | None) -> Iterator[str]:
    yield "uncertainty: no field; the interval stands in notes and metric args"
    yield "numbers that are not primary, changes from base, stability: link the card"
    revision = revision_of(source.card)
    if revision is not None and not revision.startswith("sha256:"):
        yield "the base model's revision: base_model is a name alone"
    else:
        yield "the base model: base_model names one of the Hub, and the card names none at a commit"
    if any(not isinstance(t.dataset_revision, str) for t in source.card.task_list()):
        yield "prompts that are no data set of the Hub: dataset.id is their name in the card"
    if card_url is None:
        yield "the card: --card-url links it"
    many = len({s for b in source.blocks for s in b.seeds if s is not None})
    if seed is None and many > 1:
        yield f"which of {many} training seeds the repository holds: --seed gives that one alone"
