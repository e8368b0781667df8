"""A task's documents, by the `dataset_kwargs` of its YAML, and the functions that its YAML names.

Every document is `prompt_id`, `prompt`, `category`, `construct`, `target` (and `cluster` where the
authors name families), whatever the published columns are called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from safebench.errors import TaskError
from safebench.harness.choices import choice_documents
from safebench.harness.published import published_documents
from safebench.harness.tables import read_rows
from safebench.judges.rule import rule_of
from safebench.resources import tasks_dir

if TYPE_CHECKING:  # a plan counts documents without it
    import datasets

SPLIT = "test"
Document = dict[str, str]


def documents_of(options: Mapping[str, Any]) -> list[Document]:
    """Return the documents of a task whose options `check_options` has checked.

    Raises:
        TaskError: they cannot be loaded; names file and row.
    """
    if "dataset_id" not in options:
        origin, construct = str(options["file"]), options["construct"]
        path = tasks_dir() / origin
        written = path.stat().st_mtime_ns if path.is_file() else None
        return [{**one} for one in _own_documents(path, written, origin, construct)]
    load = choice_documents if "lm_eval" in options else published_documents
    return _documents(load(options), str(options["dataset_id"]))


@lru_cache(maxsize=16)
def _own_documents(path: Path, _: object, origin: str, construct: str) -> list[Document]:
    """Read a task's own documents once: every check of a board compares with them.

    The second argument is the time of the file, so that a changed file is read again.
    """
    return _documents([{**row, "construct": construct} for row in read_rows(path)], origin)


def _documents(rows: list[dict[str, Any]], origin: str) -> list[Document]:
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
    return made


def as_dataset(documents: Sequence[Document]) -> datasets.DatasetDict:
    """Return documents in the form that lm-eval takes."""
    import datasets

    return datasets.DatasetDict({SPLIT: datasets.Dataset.from_list(list(documents))})


def own(**options: Any) -> datasets.DatasetDict:
    """Load the documents of a task for lm-eval: the `custom_dataset` line of its YAML."""
    return as_dataset(documents_of(options))


# By these names a YAML says where its documents come from.
published = choices = own


def process_results(doc: dict[str, Any], results: list[Any]) -> dict[str, float]:
    """Return the score of the rule judge for a document's first response, by its construct.

    This is what plain `lm_eval run` counts. `safebench run` judges responses itself, so that
    another judge can read the same responses.
    """
    first = results[0]
    response = first[0] if isinstance(first, list) else first
    rule = rule_of("safebench/refusal-rule", "1")
    decision = rule(doc["construct"], doc["prompt"], response, doc["target"] or None)
    return {doc["construct"]: cast("float", decision.score)}  # a rule always has one
