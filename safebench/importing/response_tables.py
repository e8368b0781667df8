"""Tables of prompts and responses, a row each: any sampler's, with columns by any name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

from safebench.card.results import Condition
from safebench.card.task import Construct
from safebench.errors import InteropError, visible
from safebench.evidence.tables import Status
from safebench.importing.draft.facts import Fact, show
from safebench.importing.samples import At, Collected, Judged, ModelKey, Sampled, wrong
from safebench.rows import read_rows

FIELDS = (
    "task", "prompt", "prompt_id", "response", "condition", "training_seed", "checkpoint",
    "decoding", "repeat", "generation_seed", "status", "new_tokens", "category", "target",
    "construct", "verdict", "score",
)  # fmt: skip
"""Fields that a column may hold."""
_OTHER_NAMES = {"seed": "training_seed", "finish_reason": "status", "stop_reason": "status"}
_WHOLE = ("training_seed", "checkpoint", "repeat", "generation_seed", "new_tokens")
_LEAST = {"checkpoint": 1, "repeat": 1}
_ENDED: dict[str, Status] = {
    "stop": "ok", "eos": "ok", "end_turn": "ok", "stop_sequence": "ok", "length": "truncated",
    "max_tokens": "truncated", "content_filter": "blocked",
}  # fmt: skip
"""Reasons for which servers say that they stopped."""
IN_ORDER = "in-order"
"""Value of `repeat` that numbers several responses to one prompt as they come."""
_NAME_IT = "--column {0}=COLUMN names its column, --set {0}=VALUE gives one value to all"

Row = dict[str, Any]
_Asked = tuple[ModelKey, str, str, str]
"""Model, decoding, task and prompt: what has several responses only in several repeats."""


def read_responses(
    files: Sequence[Path],
    columns: Mapping[str, str],
    defaults: Mapping[str, str],
    judge: Mapping[str, str] | None = None,
) -> Collected:
    """Return the responses in tables.

    Args:
        files: JSON Lines, JSON (a list of objects), CSV or Parquet.
        columns: Columns by the fields (`FIELDS`) that they hold; a column that has a field's name
            need not be named.
        defaults: Values of fields that no column has; `repeat` may be `IN_ORDER`.
        judge: What the card says of whoever gave the verdicts: name, kind, id.

    Raises:
        InteropError: a file cannot be read, or a row is no response; names file and row.
    """
    _check_fields(columns, "--column")
    _check_fields(defaults, "--set")
    reader = _Reader(columns, defaults, judge)
    for file in files:
        reader.read(file)
    return Collected(
        samples=tuple(reader.samples),
        facts=tuple(reader.facts()),
        files=tuple(files),
        remarks=tuple(reader.remarks),
    )


def _check_fields(given: Mapping[str, str], option: str) -> None:
    for name in given:
        if name not in FIELDS and name not in _OTHER_NAMES:
            raise InteropError(
                f"{option} {visible(name)}=...: no such field",
                fix=f"fields are {', '.join(FIELDS)}",
            )


@dataclass
class _Reader:
    """Reads one file after another; repeats are told over all of them."""

    columns: Mapping[str, str]
    defaults: Mapping[str, str]
    judge: Mapping[str, str] | None
    samples: list[Sampled] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    asked: dict[_Asked, At] = field(default_factory=dict)
    counts: dict[_Asked, int] = field(default_factory=dict)
    judged_in: Path | None = None

    def read(self, file: Path) -> None:
        """Take the rows of a file."""
        count = 0
        for at, row in read_rows(file, InteropError):
            if count == 0:
                self._check_columns(row, at)
            self.samples.append(self._sample(row, at))
            count += 1
        if not count:
            raise InteropError(f"{visible(str(file))}: no rows", fix="give the file with responses")

    def _check_columns(self, row: Row, at: At) -> None:
        missing = [column for column in self.columns.values() if column not in row]
        if missing:
            raise wrong(
                At(at.file, 1),
                f"there is no column {missing[0]}; there are: {', '.join(map(str, row))}",
                "correct --column",
            )
        used = [f for f in ("verdict", "score") if self._column(f, row) is not None]
        if used and self.judge is None:
            raise wrong(
                At(at.file, 1),
                f"column {self._column(used[0], row)} holds what a judge said, and nothing says "
                "which judge",
                "say who it is, e.g. --verdicts-by human, or --verdicts-by llm:MODEL",
            )
        if used:
            self.judged_in = at.file
        if self.judge is not None and not used:
            raise wrong(
                At(at.file, 1),
                "--verdicts-by is given, and no column holds a verdict or a score",
                "name it: --column verdict=COLUMN",
            )
        told = {c for c in (self._column(f, row) for f in FIELDS) if c is not None}
        others = [str(name) for name in row if name not in told]
        if others:
            self.remarks.append(
                f"{at.file.name}: columns that are no fields are kept beside the responses: "
                f"{', '.join(others)}"
            )

    def _column(self, name: str, row: Row) -> str | None:
        """Return the column of a row that holds a field; None where there is none."""
        others = [other for other, field_ in _OTHER_NAMES.items() if field_ == name]
        for asked in (name, *others):
            if asked in self.columns:
                return self.columns[asked]
        return next((n for n in (name, *others) if n in row), None)

    def _value(self, name: str, row: Row) -> Any:
        """Return a field's value; None where it is absent."""
        column = self._column(name, row)
        value = row.get(column) if column is not None else None
        if value == "" and name != "response":
            value = None
        others = [other for other, field_ in _OTHER_NAMES.items() if field_ == name]
        given = next((self.defaults[n] for n in (name, *others) if n in self.defaults), None)
        return given if value is None and column is None else value

    def _sample(self, row: Row, at: At) -> Sampled:
        model = self._model(row, at)
        task, decoding = (self._need(name, row, at) for name in ("task", "decoding"))
        prompt_id, prompt = self._text("prompt_id", row, at), self._text("prompt", row, at)
        if prompt_id is None and prompt is None:
            raise wrong(at, "neither prompt nor prompt_id", _NAME_IT.format("prompt"))
        construct = self._text("construct", row, at)
        if construct not in (None, *get_args(Construct)):
            raise wrong(
                at,
                f"construct is {show(construct)}",
                f"it is one of {', '.join(get_args(Construct))}",
            )
        response = self._text("response", row, at)
        told = {c for c in (self._column(f, row) for f in FIELDS) if c is not None}
        key = (model, decoding, task, prompt_id or " ".join((prompt or "").split()))
        return Sampled(
            model=model,
            decoding=decoding,
            repeat=self._repeat(row, at, key),
            task=task,
            prompt=prompt or "",
            response=response,
            at=at,
            prompt_id=prompt_id,
            category=self._text("category", row, at),
            construct=construct,
            target=self._text("target", row, at),
            status=self._status(row, at, response),
            new_tokens=self._whole("new_tokens", row, at),
            generation_seed=self._whole("generation_seed", row, at),
            judged=self._judged(row, at),
            extra={str(k): _plain(v) for k, v in row.items() if k not in told},
        )

    def _model(self, row: Row, at: At) -> ModelKey:
        condition = self._need("condition", row, at)
        if condition not in get_args(Condition):
            raise wrong(at, f"condition is {show(condition)}", "it is base, tuned or control")
        seed, checkpoint = (self._whole(n, row, at) for n in ("training_seed", "checkpoint"))
        if condition == "base" and seed is not None:
            raise wrong(
                at, f"a base model with training seed {seed}", "the base model has none: leave it "
                "empty, or set condition: tuned",
            )  # fmt: skip
        if condition != "base" and seed is None:
            raise wrong(at, f"a {condition} model without a training seed",
                        _NAME_IT.format("training_seed"))  # fmt: skip
        return ModelKey(cast("Condition", condition), seed,
                        None if condition == "base" else checkpoint)  # fmt: skip

    def _repeat(self, row: Row, at: At, key: _Asked) -> int:
        before = self.asked.setdefault(key, at)
        if self.defaults.get("repeat") == IN_ORDER:
            self.counts[key] = self.counts.get(key, 0) + 1
            return self.counts[key]
        stated = self._whole("repeat", row, at)
        if stated is None and before is not at:
            raise wrong(
                at,
                f"a second response to the prompt of {before}, and nothing numbers repeats",
                "name the column that does: --column repeat=COLUMN; or number them as they come: "
                "--repeats-in-order",
            )
        return 1 if stated is None else stated

    def _status(self, row: Row, at: At, response: str | None) -> Status:
        stated = self._text("status", row, at)
        if stated is None:
            return "error" if response is None else "unrecorded"
        word = stated.strip().lower()
        if word in get_args(Status):
            return cast("Status", word)
        if word not in _ENDED:
            raise wrong(
                at,
                f"status is {show(stated)}",
                f"it is one of {', '.join(get_args(Status))}, or what servers say: "
                f"{', '.join(_ENDED)}",
            )
        return _ENDED[word]

    def _judged(self, row: Row, at: At) -> dict[str, Judged]:
        word, score = self._word(row, at), self._score(row, at)
        if self.judge is None or (word is None and score is None):
            return {}
        return {self.judge["name"]: Judged(word, score)}

    def _word(self, row: Row, at: At) -> str | None:
        """Return a verdict as it was written; true, false and numbers are words too."""
        value = self._value("verdict", row)
        if isinstance(value, bool):
            return str(value)
        if isinstance(value, float):  # pandas writes a column of 0, 1 and nothing like this
            return f"{value:g}" if math.isfinite(value) else None
        return self._text("verdict", row, at)

    def _score(self, row: Row, at: At) -> float | None:
        value = self._value("score", row)
        if value is None:
            return None
        number = _number(value)
        if number is None or not 0 <= number <= 1:
            raise wrong(at, f"score is {show(value)}", "a score is a number from 0 to 1")
        return number

    def _need(self, name: str, row: Row, at: At) -> str:
        value = self._text(name, row, at)
        if value is None:
            raise wrong(at, f"no {name}", _NAME_IT.format(name))
        return value

    def _text(self, name: str, row: Row, at: At) -> str | None:
        value = self._value(name, row)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong(at, f"{name} is {show(value)}, expected a text", "write it as a text")
        return str(value)

    def _whole(self, name: str, row: Row, at: At) -> int | None:
        value = self._value(name, row)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None  # pandas writes an absent whole number as NaN
        number = _number(value)
        least = _LEAST.get(name, 0)
        if number is None or number != int(number) or not least <= number < 2**32:
            raise wrong(at, f"{name} is {show(value)}", f"it is a whole number, {least} or more")
        return int(number)

    def facts(self) -> Iterator[Fact]:
        """Yield what the tables say of a card."""
        for name in dict.fromkeys(sample.decoding for sample in self.samples):
            yield Fact(("decoding", name, "name"), name, None)
        if self.judge is None:
            return
        file = self.judged_in
        for name, value in self.judge.items():
            note = "of the verdicts in this file" if name == "name" else ""
            place = ("judge", self.judge["name"], name)
            yield Fact(place, value, file, note=note)


def _number(value: Any) -> float | None:
    """Return a number, also one written as text; None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _plain(value: Any) -> Any:
    """Return a cell as plain data that JSON can hold."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)
