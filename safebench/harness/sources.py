"""Where a task's documents come from: a file of ours, the Hub, or a local copy.

lm-eval calls these by the `custom_dataset` line of a task's YAML, with its `dataset_kwargs` and
its `metadata`. Every document becomes `prompt_id`, `prompt`, `category`, `construct`, `target`
(and `cluster` where the authors name families), whatever the published columns are called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import datasets

from safebench.errors import TaskError
from safebench.harness.choices import choice_documents
from safebench.harness.hub import hub_commit
from safebench.harness.published import published_documents
from safebench.harness.rows import read_rows
from safebench.resources import tasks_dir

SPLIT = "test"


def own(*, file: str, construct: str, **_: Any) -> datasets.DatasetDict:
    """Load a JSON Lines file of ours; `file` is relative to the folder of tasks."""
    rows = read_rows(tasks_dir() / file)
    return _dataset((dict(row, construct=construct) for row in rows), file)


def published(**options: Any) -> datasets.DatasetDict:
    """Load a published benchmark by the columns that its task names; see `published.py`."""
    return _dataset(published_documents(**options), str(options["dataset_id"]))


def choices(**options: Any) -> datasets.DatasetDict:
    """Load a multiple-choice task of lm-eval's as questions to answer; see `choices.py`."""
    return _dataset(choice_documents(**options), str(options["dataset_id"]))


def _dataset(rows: Iterable[Mapping[str, Any]], origin: str) -> datasets.DatasetDict:
    made = []
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        prompt_id, prompt = str(row.get("prompt_id", "")), str(row.get("prompt") or "").strip()
        if not prompt_id or not prompt:
            raise TaskError(f"{origin}: row {number} has no prompt or no prompt_id")
        if prompt_id in seen:
            raise TaskError(f"{origin}: row {number}: prompt_id {prompt_id!r} occurs twice")
        seen.add(prompt_id)
        document = {
            "prompt_id": prompt_id,
            "prompt": prompt,
            "category": str(row.get("category") or ""),
            "construct": str(row["construct"]),
            "target": str(row.get("target") or ""),
        }
        if "cluster" in row:
            document["cluster"] = str(row["cluster"])
        made.append(document)
    if not made:
        raise TaskError(f"{origin}: no prompts")
    return datasets.DatasetDict({SPLIT: datasets.Dataset.from_list(made)})


__all__ = ["SPLIT", "choices", "hub_commit", "own", "published", "read_rows"]
