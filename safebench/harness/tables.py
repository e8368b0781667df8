"""Published tables: read from a local copy or the Hub, and what a cell of them holds.

Nothing here needs the `[run]` extra unless the Hub is asked, so `safebench tasks` can count a
local copy.
"""

from __future__ import annotations

import ast
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from safebench import rows
from safebench.errors import TaskError
from safebench.models.quiet import first_line

Row = Mapping[str, Any]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read a published file as mappings, one per row; raises TaskError.

    A line break is one character, whatever system wrote the file: prompts have one digest.
    """
    return [
        {
            name: value.replace("\r\n", "\n") if isinstance(value, str) else value
            for name, value in row.items()
        }
        for _, row in rows.read_rows(path, TaskError)
    ]


def found_columns(table: Sequence[Row]) -> list[str]:
    """Return the columns of all rows, in the order in which they first occur."""
    return list(dict.fromkeys(name for row in table for name in row))


def cell(value: Any) -> str:
    """Return a cell as text without surrounding space; an absent one is empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).strip()


def cell_list(value: Any, where: str, *, what: str) -> list[str]:
    """Return a cell that holds a list; in CSV it is written as JSON or as Python does.

    Raises:
        TaskError: it holds anything else.
    """
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        texts = [cell(item) for item in value]
        if texts and all(texts):
            return texts
    raise TaskError(
        f"{where}: {what} is not a list of texts",
        fix='write it as JSON does: ["one", "another"]',
    )


def _parsed(text: str) -> Any:
    for parse in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            return parse(text.strip())
    return None


def local_copy(variable: str, file: str | None) -> Path | None:
    """Return the local copy that is used in place of the Hub, if one is named."""
    named = file or os.environ.get(variable)
    return Path(named) if named else None


class Table(NamedTuple):
    """The rows of one file, or of one configuration of a data set."""

    origin: str
    """What messages call it: the file, or the id on the Hub."""
    config: str | None
    rows: list[dict[str, Any]]


def load_tables(
    options: Mapping[str, Any], parts: Iterable[tuple[str | None, str]]
) -> Iterator[Table]:
    """Yield the local copy of a published data set, if one is named, else its parts on the Hub.

    Args:
        options: A task's `dataset_kwargs`.
        parts: Configuration and split of every part.

    Raises:
        TaskError: the local copy cannot be read, or the data set not be loaded.
    """
    dataset_id, variable = str(options["dataset_id"]), str(options["local_variable"])
    path = local_copy(variable, options.get("file"))
    if path is not None:
        yield Table(str(path), None, read_rows(path))
        return
    import datasets

    commit = options.get("revision") or hub_commit(dataset_id, variable)
    for config, split in parts:
        try:
            loaded = datasets.load_dataset(dataset_id, config, split=split, revision=commit)
        except Exception as problem:  # the library raises dozens of kinds
            raise _unreachable(dataset_id, variable, problem) from problem
        yield Table(dataset_id, config, [dict(row) for row in loaded])


def hub_commit(dataset_id: str, variable: str) -> str:
    """Return the commit that a data set's main branch points to now.

    Raises:
        TaskError: the Hub cannot be reached, or has no such data set.
    """
    from huggingface_hub import HfApi

    try:
        commit = HfApi().dataset_info(dataset_id).sha
    except Exception as problem:  # network, authorisation, no such data set
        raise _unreachable(dataset_id, variable, problem) from problem
    if not commit:
        raise TaskError(f"data set {dataset_id!r}: the Hub names no commit")
    return str(commit)


def _unreachable(dataset_id: str, variable: str, problem: Exception) -> TaskError:
    gated = "gated" in str(problem).lower()
    access = f"accept its terms at hf.co/datasets/{dataset_id} and set HF_TOKEN, or " * gated
    return TaskError(
        f"data set {dataset_id!r} cannot be loaded from the Hub: {first_line(problem)}",
        fix=f"{access}set {variable} to a local copy, or give `path` in the card's task entry",
    )
