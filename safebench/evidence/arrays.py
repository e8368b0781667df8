"""Outcomes as complete arrays: what every number is computed from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from safebench.card.results import Condition
from safebench.card.task import Construct
from safebench.errors import EvidenceError
from safebench.evidence.columns import encoded, floats
from safebench.evidence.tables import Unread
from safebench.stats._checks import compact

Floats = npt.NDArray[np.float64]
T = TypeVar("T")
_KEYS = ("judge", "condition", "checkpoint", "decoding", "task", "construct")


@dataclass(frozen=True)
class OutcomeArray:
    """Outcomes of one condition, checkpoint, decoding, task and judge, as one array."""

    judge: str
    condition: Condition
    checkpoint: int | None
    decoding: str
    task: str
    construct: Construct
    seeds: tuple[int | None, ...]
    prompts: tuple[str, ...]
    categories: tuple[str, ...]
    scores: Floats
    """Shape (seeds, repeats, prompts), in [0, 1]; where the judge gave no verdict, the mean of the
    run's others stands, so that every mean over a run is that of the verdicts there are."""
    verdicts: npt.NDArray[np.str_]
    """The same shape; empty where verdicts do not apply."""
    unread: npt.NDArray[np.bool_]
    """The same shape: whether the judge gave no verdict."""
    truncated: npt.NDArray[np.bool_]
    """The same shape."""
    blocked: npt.NDArray[np.bool_]
    """The same shape."""
    unrecorded: npt.NDArray[np.bool_]
    """The same shape: whether the sampler did not keep how the response ended."""

    def only(
        self,
        *,
        seeds: Iterable[int | None] | None = None,
        prompts: Iterable[str] | None = None,
    ) -> OutcomeArray:
        """Return the part of these training seeds and prompts, in their order; others are skipped.

        None stands for all of them.
        """
        s, p = _places(self.seeds, seeds), _places(self.prompts, prompts)
        laid = ("scores", "verdicts", "unread", "truncated", "blocked", "unrecorded")
        return replace(
            self,
            seeds=tuple(self.seeds[i] for i in s),
            prompts=tuple(self.prompts[i] for i in p),
            categories=tuple(self.categories[i] for i in p),
            **{name: getattr(self, name)[s][..., p] for name in laid},
        )

    def with_unread(self, score: float) -> Floats:
        """Return the scores with this one wherever the judge gave no verdict."""
        return np.where(self.unread, score, self.scores)

    def arm(self, unread: float | None = None) -> Floats:
        """Return the scores by run: by training seed, or, of an untuned model, by repeat.

        `unread` stands wherever the judge gave no verdict; None leaves the run's mean there.
        """
        scores = self.scores if unread is None else self.with_unread(unread)
        return scores[0] if self.condition == "base" else scores


def _places(names: Sequence[T], wanted: Iterable[T] | None) -> list[int]:
    at = {name: place for place, name in enumerate(names)}
    return [at[name] for name in (names if wanted is None else wanted) if name in at]


def outcome_arrays(outcomes: pa.Table) -> list[OutcomeArray]:
    """Return outcomes as complete arrays, in canonical order.

    Raises:
        EvidenceError: a response is missing or occurs twice, a score is absent, or a judge gave
            no verdict on any response of a run.
    """
    keys = [_Coded.of(outcomes, name) for name in _KEYS]
    group, size = np.zeros(outcomes.num_rows, dtype=np.int64), 1
    for key in keys:
        group, size = compact(group * len(key.values) + key.codes, size * len(key.values))
    # In the smallest type: up to 16 bits are sorted in linear time.
    rows = np.argsort(group.astype(np.min_scalar_type(size)), kind="stable")
    found = {
        tuple(key.values[key.codes[part[0]]] for key in keys): part
        for part in np.split(rows, np.flatnonzero(np.diff(group[rows])) + 1)
        if part.size
    }
    rest = _Columns(outcomes)
    ordered = sorted(found, key=lambda key: tuple((part is not None, part) for part in key))
    return [_block(key, found[key], rest) for key in ordered]


@dataclass(frozen=True)
class _Coded:
    """A column as codes into its distinct values, None among them."""

    codes: npt.NDArray[np.int32]
    values: list[object]

    @classmethod
    def of(cls, table: pa.Table, name: str) -> _Coded:
        return cls(*encoded(table, name))

    def at(self, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], list[object]]:
        """Return each row's value as a place in the list of those that occur, in their order."""
        codes: npt.NDArray[Any] = self.codes[rows]
        renumbered, size = compact(codes, len(self.values))
        code_of = np.empty(size, dtype=np.int64)
        code_of[renumbered] = codes
        values = [self.values[code] for code in code_of]
        ordered = sorted(range(size), key=lambda i: (values[i] is not None, values[i]))
        place = np.empty(size, dtype=np.int64)
        place[ordered] = np.arange(size)
        return place[renumbered], [values[i] for i in ordered]


class _Columns:
    def __init__(self, table: pa.Table) -> None:
        self.seed = _Coded.of(table, "training_seed")
        self.repeat = _Coded.of(table, "repeat")
        self.prompt = _Coded.of(table, "prompt_id")
        self.category = _Coded.of(table, "category")
        self.verdict = _Coded.of(table, "verdict")
        self.status = _Coded.of(table, "status")
        self.score, self.scored = floats(table, "score")


def _block(key: tuple[object, ...], rows: npt.NDArray[np.int64], columns: _Columns) -> OutcomeArray:
    place = "/".join("-" if part is None else str(part) for part in key)
    seed, seeds = columns.seed.at(rows)
    repeat, repeats = columns.repeat.at(rows)
    prompt, prompts = columns.prompt.at(rows)
    shape = (len(seeds), len(repeats), len(prompts))
    if len(rows) != math.prod(shape):
        raise EvidenceError(
            f"{place}: {len(rows)} outcomes, but {len(seeds)} seeds x {len(repeats)} repeats x "
            f"{len(prompts)} prompts make {math.prod(shape)}",
            fix="every prompt needs one outcome for every seed and repeat",
        )
    at = (seed * shape[1] + repeat) * shape[2] + prompt
    unread = np.isin(
        columns.verdict.codes[rows],
        [i for i, word in enumerate(columns.verdict.values) if word in get_args(Unread)],
    )
    score = np.where(unread, 0.0, columns.score[rows])
    _refuse(place, at, score, columns, rows)

    def laid(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        array = np.empty(at.size, dtype=values.dtype)
        array[at] = values
        return array.reshape(shape)

    def named(column: _Coded) -> npt.NDArray[np.str_]:
        words = np.array(["" if v is None else str(v) for v in column.values])
        return np.asarray(words[laid(column.codes[rows])])

    def with_status(word: str) -> npt.NDArray[np.bool_]:
        which = np.array([value == word for value in columns.status.values])
        return np.asarray(which[laid(columns.status.codes[rows])])

    scores, without = laid(score), laid(unread)
    if unread.any():
        if without.all(axis=2).any():
            raise EvidenceError(
                f"{place}: judge {key[0]} gave no verdict on any response of a run",
                fix="see its outputs with `safebench judge`, and judge with another",
            )
        read = scores.sum(axis=2, keepdims=True) / (~without).sum(axis=2, keepdims=True)
        scores = np.where(without, read, scores)
    category = np.zeros(shape[2], dtype=np.int64)
    category[prompt] = columns.category.codes[rows]
    judge, condition, checkpoint, decoding, task, construct = key
    return OutcomeArray(
        judge=str(judge),
        condition=cast("Condition", condition),
        checkpoint=checkpoint if isinstance(checkpoint, int) else None,
        decoding=str(decoding),
        task=str(task),
        construct=cast("Construct", construct),
        seeds=tuple(s if isinstance(s, int) else None for s in seeds),
        prompts=tuple(str(p) for p in prompts),
        categories=tuple(str(columns.category.values[code] or "") for code in category),
        scores=scores,
        verdicts=named(columns.verdict),
        unread=without,
        truncated=with_status("truncated"),
        blocked=with_status("blocked"),
        unrecorded=with_status("unrecorded"),
    )


def _refuse(
    place: str,
    at: npt.NDArray[np.int64],
    score: Floats,
    columns: _Columns,
    rows: npt.NDArray[np.int64],
) -> None:
    """Raise for the first row, as they come, that is a second outcome or has no score."""
    first = np.empty(at.size, dtype=np.int64)
    first[at[::-1]] = np.arange(at.size)[::-1]  # written backwards, so that the first row stays
    second = first[at] != np.arange(at.size)
    wrong = second | ~((score >= 0) & (score <= 1))
    if not wrong.any():
        return
    i = int(np.argmax(wrong))
    value = float(score[i]) if columns.scored[rows[i]] else None
    prompt = columns.prompt.values[columns.prompt.codes[rows[i]]]
    seed = columns.seed.values[columns.seed.codes[rows[i]]]
    raise EvidenceError(
        f"{place}: prompt {prompt!r}, seed {seed}: "
        f"{'a second outcome' if second[i] else f'score {value!r}'}",
        fix="every response has exactly one score in [0, 1]",
    )
