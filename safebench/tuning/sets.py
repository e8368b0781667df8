"""The training sets that a card names: found in a file or on the Hub, read, cut to a subset."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from safebench.card.base import require
from safebench.card.data import Dataset, RenderingTemplate, Subset
from safebench.errors import CardError, TuningError
from safebench.files import inside
from safebench.models.loading import COMMIT
from safebench.models.quiet import quiet, raised_as
from safebench.resources import demo_dir
from safebench.tuning.examples import Example, Examples, read_examples, to_examples
from safebench.tuning.render import FileTemplate, read_template

_FIRST = re.compile(r"the first (ones|[0-9]+)\Z")
_SAMPLE = re.compile(r"a random sample( of .+)?\Z", re.DOTALL)


@dataclass(frozen=True)
class LoadedSet:
    """A training set as read: its chosen examples, and the file that a submission carries."""

    examples: Examples
    template: str | FileTemplate
    file: Path | bytes
    """A local file to copy as it is, or the JSON Lines of a published set."""
    suffix: str


def load_set(dataset: Dataset, folder: Path, number: int) -> LoadedSet:
    """Read the set at `data[number]`, cut to its subset.

    Raises:
        TuningError: it cannot be found or read.
        CardError: its subset or template cannot be executed.
    """
    pointer = f"data[{number}]"
    template = template_of(dataset, folder, number)
    path = _local(dataset, folder, pointer)
    if path is not None:
        whole = read_examples(path)
        chosen = Examples(_chosen(whole.examples, dataset, number), whole.sha256)
        return LoadedSet(chosen, template, path, path.suffix.lower())
    name, revision, split = _pinned(dataset, pointer)
    published = enumerate(_published_rows(name, revision, split, pointer), start=1)
    numbered = ((f"{name}: row {row_number}", row) for row_number, row in published)
    examples = _chosen(to_examples(numbered, name), dataset, number)
    rows = (json.dumps(example.fields, ensure_ascii=False) + "\n" for example in examples)
    lines = "".join(rows).encode()
    chosen = Examples(examples, hashlib.sha256(lines).hexdigest())
    return LoadedSet(chosen, template, lines, ".jsonl")


def check_published(dataset: Dataset, folder: Path, number: int) -> bool:
    """Tell whether the set at `data[number]` is published, and check that the card pins it.

    Raises:
        TuningError: neither a file nor a published set is named, or no commit or split.
    """
    pointer = f"data[{number}]"
    if _local(dataset, folder, pointer) is not None:
        return False
    _pinned(dataset, pointer)
    return True


def template_of(dataset: Dataset, folder: Path, number: int) -> str | FileTemplate:
    """Return how the set at `data[number]` is rendered; raises CardError."""
    pointer = f"data[{number}].template"
    return read_template(
        cast("str | RenderingTemplate", require(dataset.template, pointer)), folder, pointer
    )


def _local(dataset: Dataset, folder: Path, pointer: str) -> Path | None:
    """Return the file of a set; None where it is published."""
    path = require(dataset.path, f"{pointer}.path")
    if path is not None:
        return folder / path
    name = require(dataset.id, f"{pointer}.id")
    if name is None:
        raise TuningError(
            f"{pointer} ({dataset.name}) names neither a file nor a published set",
            fix="give its `path` relative to the card, or `id`, `revision` and `split`",
        )
    if name.startswith("builtin:"):
        shipped = inside(demo_dir(), f"{name.removeprefix('builtin:')}.jsonl")
        if shipped is None:
            raise TuningError(f"{pointer}.id: no built-in set {name!r}", fix="give its `path`")
        return shipped
    return None


def _pinned(dataset: Dataset, pointer: str) -> tuple[str, str, str]:
    """Return id, commit and split of a published set; raises TuningError where one is missing."""
    name, revision = str(require(dataset.id, f"{pointer}.id")), dataset.revision
    split = require(dataset.split, f"{pointer}.split")
    if not isinstance(revision, str) or not COMMIT.fullmatch(revision):
        raise TuningError(
            f"{pointer}.revision is not a 40-digit commit, so {name!r} could change unnoticed",
            fix="pin the commit of the set, or give a local `path`",
        )
    if split is None:
        raise TuningError(f"{pointer}.split is missing", fix="name the split, e.g. train")
    return name, revision, split


def _published_rows(name: str, revision: str, split: str, pointer: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a set on the Hub, with the columns that JSON can hold."""
    import datasets

    what = f"{pointer}: {name!r} at {revision}, split {split!r}, cannot be loaded"
    fix = "check id, revision and split; offline, fetch the set before or give a `path`"
    with raised_as(TuningError, what, fix=fix), quiet():
        rows: Any = datasets.load_dataset(name, split=split, revision=revision)
    for row in rows:
        yield {column: value for column, value in row.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return value is None or isinstance(value, str | int | float | bool)


def count_examples(dataset: Dataset, folder: Path, number: int) -> int:
    """Count the examples of the set at `data[number]`, for which the card gives no number.

    Raises:
        CardError: its file does not decide that.
        TuningError: the file cannot be found or read.
    """
    path = _local(dataset, folder, f"data[{number}]")
    if path is None or dataset.subset is not None:
        return examples_of(dataset, number)
    return len(read_examples(path))


def examples_of(dataset: Dataset, number: int) -> int:
    """Return what `data[number].examples` says; raises CardError where it says nothing."""
    count = require(dataset.examples, f"data[{number}].examples")
    if count is None:
        raise CardError(
            f"data[{number}].examples is left out, and no whole file beside the card has them",
            fix="give the number of examples",
        )
    return count


def _chosen(examples: tuple[Example, ...], dataset: Dataset, number: int) -> tuple[Example, ...]:
    """Return the examples of a set's subset, in the order of the file.

    A subset of itself is itself, so a submission that carries only the subset reads the same.
    """
    pointer, count = f"data[{number}]", examples_of(dataset, number)
    subset = require(dataset.subset, f"{pointer}.subset")
    if subset is None and count != len(examples):
        raise CardError(
            f"{pointer}.examples is {count}, but {dataset.name} has {len(examples)}",
            fix="correct the number, give the file that was meant, or name the subset",
        )
    if count > len(examples):
        raise CardError(
            f"{pointer}.examples is {count}, but {dataset.name} has only {len(examples)}",
            fix="correct the number, or give the file that was meant",
        )
    if subset is None:
        return examples
    return tuple(examples[i] for i in _places(subset, count, len(examples), pointer))


def _places(subset: Subset, count: int, size: int, pointer: str) -> list[int]:
    """Return the places of a subset's examples; raises CardError where its rule is not known."""
    rule = require(subset.rule, f"{pointer}.subset.rule")
    first = _FIRST.match(rule)
    if first:
        if first[1] not in ("ones", str(count)):
            raise CardError(
                f"{pointer}.subset.rule is {rule!r}, but {pointer}.examples is {count}",
                fix="make the two numbers agree",
            )
        return list(range(count))
    if not _SAMPLE.match(rule):
        raise CardError(
            f"{pointer}.subset.rule {rule[:60]!r} cannot be executed",
            fix="write `the first ones` (or `the first N`), or `a random sample` with a seed",
        )
    seed = require(subset.seed, f"{pointer}.subset.seed")
    if seed is None:
        raise CardError(f"{pointer}.subset.seed is missing", fix="give the seed of the sample")
    return draw(size, count, seed)


def draw(size: int, count: int, seed: int) -> list[int]:
    """Return `count` of `size` places, drawn without replacement, in ascending order.

    PCG64 from the seed permutes 0 .. size-1; the first `count` of them, sorted.
    """
    order = np.random.Generator(np.random.PCG64(seed)).permutation(size)
    return sorted(int(i) for i in order[:count])
