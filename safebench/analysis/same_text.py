"""Whether two submissions have the same texts: prompts of one id, responses of whole runs."""

from __future__ import annotations

from typing import Any

from safebench.card.results import PlaceKey
from safebench.evidence.columns import distinct, rows_with
from safebench.evidence.submission import Submission

_COLUMNS = ["task", "prompt_id", "prompt"]
_PLACE = ["condition", "training_seed", "checkpoint", "decoding", "repeat", "task", "prompt_id"]
_TEXT = ["prompt", "response"]


def differing_prompts(
    pair: tuple[Submission, Submission], tasks: set[str]
) -> dict[str, tuple[str, ...]]:
    """Return, by task, the ids whose prompts differ in text.

    A task is absent where nothing tells: a submission does not carry its responses, or withholds
    the prompts.
    """
    first, second = (_texts(one, tasks) for one in pair)
    return {
        task: tuple(
            prompt
            for prompt in sorted(first[task].keys() & second[task].keys())
            if first[task][prompt] != second[task][prompt]
        )
        for task in sorted(first.keys() & second.keys())
        if "" not in first[task].values() and "" not in second[task].values()
    }


def is_copy(original: Submission, rerun: Submission, key: PlaceKey) -> bool | None:
    """Tell whether every run of the rerun is, byte for byte, one of the original's.

    None where nothing tells: a submission does not carry its responses, or withholds them.
    """
    first, second = (_runs(one, key) for one in (original, rerun))
    for runs in (first, second):
        if not runs or any(None in run.values() for run in runs):
            return None
    return all(run in first for run in second)


def responses_by_place(
    original: Submission, rerun: Submission
) -> list[tuple[dict[str, Any], dict[str, Any]]] | None:
    """Return the responses that both sides have at one place of the grid, the original's first.

    Each is a row with its place, `prompt` and `response`, in the rerun's order. None
    where either side does not carry its responses, or withholds them.
    """
    tables = [one.response_columns([*_PLACE, *_TEXT]) for one in (original, rerun)]
    if tables[0] is None or tables[1] is None:
        return None
    first, second = (table.to_pylist() for table in tables if table is not None)
    if any(row["response"] is None for row in (*first, *second)):
        return None
    by_place = {tuple(row[name] for name in _PLACE): row for row in first}
    pairs = ((by_place.get(tuple(row[name] for name in _PLACE)), row) for row in second)
    return [(old, new) for old, new in pairs if old is not None]


def _runs(submission: Submission, key: PlaceKey) -> list[dict[str, str | None]]:
    """Return the responses of every run at a key, by prompt."""
    place = {name: getattr(key, name) for name in ("condition", "checkpoint", "decoding", "task")}
    columns = ["training_seed", "repeat", "prompt_id", "response"]
    table = submission.response_columns([*place, *columns])
    found: dict[tuple[object, object], dict[str, str | None]] = {}
    if table is not None:
        rows = rows_with(table, place).select(columns)
        for seed, repeat, prompt, response in zip(*rows.to_pydict().values(), strict=True):
            found.setdefault((seed, repeat), {})[prompt] = response
    return list(found.values())


def _texts(submission: Submission, tasks: set[str]) -> dict[str, dict[str, str]]:
    table = submission.response_columns(_COLUMNS)
    found: dict[str, dict[str, str]] = {}
    for task, prompt_id, prompt in distinct(table, _COLUMNS) if table is not None else ():
        if task in tasks:
            texts = found.setdefault(task, {})
            # A prompt with two texts is nothing to compare by.
            texts[prompt_id] = prompt if texts.get(prompt_id, prompt) == prompt else ""
    return found
