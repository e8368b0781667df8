"""The training sets a card names: found, read, cut to their subset, mixed by weight."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from safebench.card.base import require
from safebench.card.data import Dataset, RenderingTemplate, Subset
from safebench.errors import CardError, TuningError
from safebench.resources import demo_dir
from safebench.tuning.data import Examples, read_examples, to_examples
from safebench.tuning.hub import as_lines, check_pinned, read_hub
from safebench.tuning.render import FileTemplate, read_template
from safebench.tuning.shapes import Example

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
    place = f"{pointer}.template"
    template = read_template(stated_template(dataset, place), folder, place)
    path = _local(dataset, folder, pointer)
    file: Path | bytes
    if path is not None:
        found, file, suffix = read_examples(path), path, path.suffix.lower()
        chosen = _chosen(found.examples, dataset, pointer)
        digest = found.sha256
    else:
        chosen, file, digest = _published(dataset, pointer)
        suffix = ".jsonl"
    return LoadedSet(Examples(chosen, digest), template, file, suffix)


def check_published(dataset: Dataset, folder: Path, number: int) -> bool:
    """Tell whether the set at `data[number]` is published, and see that the card pins it.

    Raises:
        TuningError: neither a file nor a published set is named, or no commit or split.
    """
    pointer = f"data[{number}]"
    if _local(dataset, folder, pointer) is not None:
        return False
    check_pinned(
        str(dataset.id), dataset.revision, require(dataset.split, f"{pointer}.split"), pointer
    )
    return True


def stated_template(dataset: Dataset, pointer: str) -> str | RenderingTemplate:
    """Return how a card says that a set is rendered."""
    return cast("str | RenderingTemplate", require(dataset.template, pointer))


def _local(dataset: Dataset, folder: Path, pointer: str) -> Path | None:
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
        return demo_dir() / f"{name.removeprefix('builtin:')}.jsonl"
    return None


def _published(dataset: Dataset, pointer: str) -> tuple[tuple[Example, ...], bytes, str]:
    """Return the chosen examples, their JSON Lines, and the digest of those."""
    name = str(require(dataset.id, f"{pointer}.id"))
    split = require(dataset.split, f"{pointer}.split")
    rows = read_hub(name, dataset.revision, split, pointer)
    numbered = ((f"{name}: row {number}", row) for number, row in enumerate(rows, start=1))
    chosen = _chosen(to_examples(numbered, name), dataset, pointer)
    lines = as_lines([example.fields for example in chosen])
    return chosen, lines, hashlib.sha256(lines).hexdigest()


def _chosen(examples: tuple[Example, ...], dataset: Dataset, pointer: str) -> tuple[Example, ...]:
    """Return the examples of a set's subset, in the order of the file.

    A subset of itself is itself, so a submission that carries only the subset reads the same.
    """
    subset = require(dataset.subset, f"{pointer}.subset")
    wanted = require(dataset.examples, f"{pointer}.examples")
    if subset is None:
        if wanted != len(examples):
            raise CardError(
                f"{pointer}.examples is {wanted}, but {dataset.name} has {len(examples)}",
                fix="correct the number, give the file that was meant, or name the subset",
            )
        return examples
    if wanted > len(examples):
        raise CardError(
            f"{pointer}.examples is {wanted}, but {dataset.name} has only {len(examples)}",
            fix="correct the number, or give the file that was meant",
        )
    return tuple(examples[i] for i in _indices(subset, wanted, len(examples), pointer))


def _indices(subset: Subset, wanted: int, size: int, pointer: str) -> list[int]:
    rule = require(subset.rule, f"{pointer}.subset.rule")
    first = _FIRST.match(rule)
    if first:
        if first[1] not in ("ones", str(wanted)):
            raise CardError(
                f"{pointer}.subset.rule is {rule!r}, but {pointer}.examples is {wanted}",
                fix="make the two numbers one",
            )
        return list(range(wanted))
    if not _SAMPLE.match(rule):
        raise CardError(
            f"{pointer}.subset.rule {rule[:60]!r} cannot be executed",
            fix="write `the first ones` (or `the first N`), or `a random sample` with a seed",
        )
    seed = require(subset.seed, f"{pointer}.subset.seed")
    if seed is None:
        raise CardError(f"{pointer}.subset.seed is missing", fix="give the seed of the sample")
    return draw(size, wanted, seed)


def draw(size: int, wanted: int, seed: int) -> list[int]:
    """Return `wanted` of `size` places, drawn without replacement, in ascending order.

    PCG64 from the seed permutes 0 .. size-1; the first `wanted` of them, sorted.
    """
    order = np.random.Generator(np.random.PCG64(seed)).permutation(size)
    return sorted(int(i) for i in order[:wanted])


def shares(datasets: Sequence[Dataset], sizes: Sequence[int]) -> list[int]:
    """Return how many examples of every set of one condition are trained on.

    Without weights all of them. With weights w and sizes n it is round(w * total), halves to even,
    of the largest total at which that is at most n for every set.

    Raises:
        CardError: some sets have a weight and others none, or they do not add up to 1.
    """
    weights = [require(dataset.weight, f"data ({dataset.name}).weight") for dataset in datasets]
    if all(weight is None for weight in weights):
        return list(sizes)
    given = [weight for weight in weights if weight is not None]
    if len(given) < len(datasets) or abs(sum(given) - 1.0) > 1e-6:
        names = ", ".join(dataset.name for dataset in datasets)
        raise CardError(
            f"the weights of the sets {names} do not add up to 1",
            fix="give every mixed set its share, or leave all weights out to use the sets whole",
        )
    return _counts(given, sizes)


def drawn(examples: Examples, count: int) -> tuple[Example, ...]:
    """Return `count` examples of a set, in order.

    They are drawn without replacement, with the first 64 bits of the set's own sha256 as the seed.
    """
    places = draw(len(examples), count, int(examples.sha256[:16], 16))
    return tuple(examples.examples[place] for place in places)


def _counts(weights: Sequence[float], sizes: Sequence[int]) -> list[int]:
    def of(total: int) -> list[int]:
        return [round(weight * total) for weight in weights]

    total = min(int((n + 1) / w) + 1 for w, n in zip(weights, sizes, strict=True))
    while any(count > size for count, size in zip(of(total), sizes, strict=True)):
        total -= 1
    return of(total)
