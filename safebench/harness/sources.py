"""What lm-eval calls for the documents of our tasks: the `custom_dataset` line of a task's YAML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datasets

from safebench.harness.documents import Document, documents_of

SPLIT = "test"


def own(**options: Any) -> datasets.DatasetDict:
    """Load a JSON Lines file of ours; `file` is relative to the folder of tasks."""
    return as_dataset(documents_of(options))


def published(**options: Any) -> datasets.DatasetDict:
    """Load a published benchmark by the columns that its task names; see `published.py`."""
    return as_dataset(documents_of(options))


def choices(**options: Any) -> datasets.DatasetDict:
    """Load a multiple-choice task of lm-eval's as questions to answer; see `choices.py`."""
    return as_dataset(documents_of(options))


def as_dataset(documents: Sequence[Document]) -> datasets.DatasetDict:
    """Return documents in the form that lm-eval takes."""
    return datasets.DatasetDict({SPLIT: datasets.Dataset.from_list(list(documents))})
