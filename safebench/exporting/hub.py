"""The Hub's model card: `.eval_results/*.yaml`, and `model-index` for its front matter.

Neither has a field for uncertainty: intervals are written to `notes`, and `source.url` links the
card.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from safebench.analysis.correction import NOT_INCLUDED, beside, corrections
from safebench.card.measured import MeasuredScore
from safebench.card.results import PrimaryEstimand, find, key_of
from safebench.card.task import METRICS, Task
from safebench.errors import InteropError, MissingDependencyError
from safebench.evidence.scoring import CONFIDENCE
from safebench.evidence.submission import Submission
from safebench.exporting.facts import (
    Estimate,
    base_id,
    base_is_on_hub,
    estimate_of,
    models_of,
    organisation,
    text,
)
from safebench.exporting.interface import Export, Options
from safebench.words import count, rounded, stability


def export(submission: Submission, options: Options) -> Export:
    """Return what a model's repository on the Hub says about the primary numbers.

    Raises:
        InteropError: no such model was measured.
        MissingDependencyError: huggingface_hub is not installed.
    """
    if not submission.results.primary:
        raise InteropError(
            "the card declares no primary estimand, which this format shows",
            fix="give tasks[].primary, or export every-eval-ever or csv",
        )
    numbers = list(_numbers(submission, options))
    if not numbers:
        raise InteropError(
            "none of the primary numbers is that model's",
            fix="measured models: " + ", ".join(m.name for m in models_of(submission)),
        )
    entries = [_entry(submission, number, options.card_url) for number in numbers]
    files = {
        f".eval_results/{submission.card.submission.id}.yaml": entries,
        "model-index.yaml": _model_index(submission, numbers, options.card_url),
    }
    return Export(
        {
            name: yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=100).encode()
            for name, body in files.items()
        },
        list(_lost(submission, options)),
    )


@dataclass(frozen=True)
class _Number:
    """A primary number of one model, or of the recipe."""

    place: PrimaryEstimand
    task: Task
    score: Estimate | MeasuredScore
    of: str
    """What was averaged: `training seed 3 alone`, `mean over 5 training seeds, ...`."""
    judge_error: str = NOT_INCLUDED
    """The number corrected for judge error, or that it is not."""

    @property
    def notes(self) -> str:
        """What the format has no field for."""
        p = self.place
        at = "" if p.checkpoint is None else f", checkpoint {p.checkpoint}"
        metric, direction = METRICS[p.construct]
        trial = f"TRIAL, not a result: {self.task.trial}; " if self.task.trial else ""
        return trial + (
            f"{p.construct}: {metric}, {direction.replace('_', ' ')}; {p.condition}{at}, decoding "
            f"{p.decoding}, judge {p.judge}; {self.of}; {CONFIDENCE:.0%} interval "
            f"[{rounded(self.score.lower, 4)}, {rounded(self.score.upper, 4)}]; {self.judge_error}"
        )


def _numbers(submission: Submission, options: Options) -> Iterator[_Number]:
    tasks = {task.name: task for task in submission.card.task_list()}
    corrected = corrections(submission, submission.results)
    for place in options.selection.of(submission.results).primary:
        task, key, seed = tasks[place.task], key_of(place), options.training_seed
        if seed is None:
            score = find(submission.results.scores, key)
            if score is not None:
                fixed = beside(corrected[key].score)
                yield _Number(place, task, score, _mean_over(score), fixed)
            continue
        block = find(submission.blocks, key)
        if block is not None and seed in block.seeds:
            yield _Number(place, task, estimate_of(block, seed), f"training seed {seed} alone")


def _mean_over(score: MeasuredScore) -> str:
    seeds = len({run.training_seed for run in score.runs} - {None})
    if not seeds:
        return "untuned"
    found = score.stability
    if found is None or found.lower is None:
        bound = "not rated"
    else:
        bound = stability(found.lower, found.lower_if_normal)
    return f"mean over {count(seeds, 'training seed')}, stability {bound}"


def _entry(submission: Submission, number: _Number, card_url: str | None) -> dict[str, Any]:
    task, card = number.task, submission.card
    dataset: dict[str, Any] = {"id": text(task.dataset_id) or task.name, "task_id": task.name}
    if isinstance(task.dataset_revision, str):
        dataset["revision"] = task.dataset_revision
    entry: dict[str, Any] = {"dataset": dataset, "value": number.score.estimate}
    date = text(card.submission.date)
    if date is not None:
        entry["date"] = date
    if card_url is not None:
        who = organisation(card)
        name = f"safebench card {card.submission.id}"
        entry["source"] = {"url": card_url, "name": f"{name}, by {who}" if who else name}
    return {**entry, "notes": number.notes}


def _model_index(
    submission: Submission, numbers: list[_Number], card_url: str | None
) -> dict[str, Any]:
    try:
        from huggingface_hub.repocard_data import EvalResult, eval_results_to_model_index
    except ImportError as problem:
        raise MissingDependencyError(
            "model-index is written by huggingface_hub, which is not installed",
            fix="pip install huggingface_hub, or pip install 'safebench[run]'",
        ) from problem
    card = submission.card
    # huggingface_hub makes one result of a data set, even if several tasks use it.
    names_of: dict[str | None, set[str]] = {}
    for one in numbers:
        names_of.setdefault(text(one.task.dataset_id), set()).add(one.task.name)
    results = []
    for one in numbers:
        task, place = one.task, one.place
        dataset, revision = text(task.dataset_id), task.dataset_revision
        trial = f", trial: {task.trial}" if task.trial else ""
        result = EvalResult(
            task_type="text-generation",
            dataset_type=dataset or task.name,
            dataset_name=task.name,
            dataset_config=task.name if len(names_of[dataset]) > 1 else None,
            dataset_revision=revision if isinstance(revision, str) else None,
            metric_type=f"safebench.{place.construct}",
            metric_value=one.score.estimate,
            metric_name=f"{METRICS[place.construct][0]} ({place.decoding}, {place.judge}){trial}",
            metric_args={"notes": one.notes},
            source_name=None if card_url is None else f"safebench card {card.submission.id}",
            source_url=card_url,
        )
        results.append(result)
    index: dict[str, Any] = {}
    if base_is_on_hub(card) and any(one.place.condition != "base" for one in numbers):
        index = {"base_model": base_id(card), "base_model_relation": "finetune"}
    return {**index, "model-index": eval_results_to_model_index(card.submission.id, results)}


def _lost(submission: Submission, options: Options) -> Iterator[str]:
    card = submission.card
    yield "uncertainty: there is no field; intervals are in notes and metric args"
    yield "numbers that are not primary, changes from base, stability: link the card"
    yield "protocol, single outcomes and responses: link the card"
    if base_is_on_hub(card):
        yield "the base model's revision: base_model is only a name"
    else:
        yield "the base model: base_model needs one on the Hub, and the card names none at a commit"
    if any(not isinstance(t.dataset_revision, str) for t in card.task_list()):
        yield "the source of prompts that are not on the Hub: dataset.id is their name in the card"
    if options.card_url is None:
        yield "a link to the card: give --card-url"
    many = len({s for b in submission.blocks for s in b.seeds if s is not None})
    if options.training_seed is None and many > 1:
        yield (
            f"which of {many} training seeds the repository holds: --training-seed exports that one"
        )
