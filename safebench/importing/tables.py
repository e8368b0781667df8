"""Tables of prompts and responses, one per row: of any sampler, with columns of any name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast, get_args

from safebench.card.results import Condition
from safebench.card.task import Construct
from safebench.errors import InteropError, visible
from safebench.evidence.tables import Status
from safebench.importing.facts import Fact, show
from safebench.importing.interface import (
    At,
    Collected,
    ModelKey,
    Option,
    Reader,
    ReportedVerdict,
    Response,
    Source,
    row_error,
)
from safebench.importing.record import plain
from safebench.rows import read_rows

FIELDS = [
    "task",
    "prompt",
    "prompt_id",
    "response",
    "condition",
    "training_seed",
    "checkpoint",
    "decoding",
    "repeat",
    "generation_seed",
    "status",
    "new_tokens",
    "category",
    "target",
    "construct",
    "verdict",
    "score",
]
"""Fields that a column may hold."""
_OTHER_NAMES = {"seed": "training_seed", "finish_reason": "status", "stop_reason": "status"}
_LEAST = {"checkpoint": 1, "repeat": 1}
_ENDED: dict[str, Status] = {
    **dict.fromkeys(("stop", "eos", "end_turn", "stop_sequence"), "ok"),
    **dict.fromkeys(("length", "max_tokens"), "truncated"),
    "content_filter": "blocked",
}
"""Why a response ended, in the words of servers."""
IN_ORDER = "in-order"
"""Value of `repeat` that numbers several responses to one prompt as they come."""
_NAME_IT = "--column {0}=COLUMN names its column, --set {0}=VALUE gives one value to all"

Row = dict[str, Any]
_Prompt = tuple[ModelKey, str, str, str]
"""Model, decoding, task and prompt: several responses to these are repeats."""
_KINDS = ("rule", "classifier", "llm", "human", "moderation_api")


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
    table = _Table(columns, defaults, judge)
    for file in files:
        table.read(file)
    return Collected(
        samples=tuple(table.samples),
        facts=tuple(table.facts()),
        files=tuple(files),
        remarks=tuple(table.remarks),
    )


def _check_fields(given: Mapping[str, str], option: str) -> None:
    for name in given:
        if name not in FIELDS and name not in _OTHER_NAMES:
            raise InteropError(
                f"{option} {visible(name)}=...: no such field",
                fix=f"fields are {', '.join(FIELDS)}",
            )


@dataclass
class _Table:
    """Reads one file after another; repeats are counted over all of them."""

    columns: Mapping[str, str]
    defaults: Mapping[str, str]
    judge: Mapping[str, str] | None
    samples: list[Response] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    asked: dict[_Prompt, At] = field(default_factory=dict)
    counts: dict[_Prompt, int] = field(default_factory=dict)
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
            raise row_error(
                At(at.file, 1),
                f"there is no column {missing[0]}; there are: {', '.join(map(str, row))}",
                "correct --column",
            )
        used = [f for f in ("verdict", "score") if self._column(f, row) is not None]
        if used and self.judge is None:
            raise row_error(
                At(at.file, 1),
                f"column {self._column(used[0], row)} holds what a judge said, and nothing says "
                "which judge",
                "say who it is, e.g. --verdicts-by human, or --verdicts-by llm:MODEL",
            )
        if used:
            self.judged_in = at.file
        if self.judge is not None and not used:
            raise row_error(
                At(at.file, 1),
                "--verdicts-by is given, and no column holds a verdict or a score",
                "name it: --column verdict=COLUMN",
            )
        others = [str(name) for name in self._others(row)]
        if others:
            self.remarks.append(
                f"{at.file.name}: columns that are no fields are kept beside the responses: "
                f"{', '.join(others)}"
            )

    def _others(self, row: Row) -> Row:
        """Return the cells that hold no field."""
        columns = {self._column(name, row) for name in FIELDS}
        return {name: value for name, value in row.items() if name not in columns}

    def _column(self, name: str, row: Row) -> str | None:
        """Return the column of a row that holds a field; None where there is none."""
        named = next((self.columns[n] for n in _names(name) if n in self.columns), None)
        return named or next((n for n in _names(name) if n in row), None)

    def _value(self, name: str, row: Row) -> Any:
        """Return a field's value; None where it is absent."""
        column = self._column(name, row)
        value = row.get(column) if column is not None else None
        if value == "" and name != "response":
            value = None
        default = next((self.defaults[n] for n in _names(name) if n in self.defaults), None)
        return default if value is None and column is None else value

    def _sample(self, row: Row, at: At) -> Response:
        model = self._model(row, at)
        task, decoding = (self._need(name, row, at) for name in ("task", "decoding"))
        prompt_id, prompt = self._text("prompt_id", row, at), self._text("prompt", row, at)
        if prompt_id is None and prompt is None:
            raise row_error(at, "neither prompt nor prompt_id", _NAME_IT.format("prompt"))
        construct = self._text("construct", row, at)
        if construct not in (None, *get_args(Construct)):
            fix = f"it is one of {', '.join(get_args(Construct))}"
            raise row_error(at, f"construct is {show(construct)}", fix)
        response = self._text("response", row, at)
        key = (model, decoding, task, prompt_id or " ".join((prompt or "").split()))
        return Response(
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
            extra={str(k): plain(v) for k, v in self._others(row).items()},
        )

    def _model(self, row: Row, at: At) -> ModelKey:
        condition = self._need("condition", row, at)
        if condition not in get_args(Condition):
            raise row_error(at, f"condition is {show(condition)}", "it is base, tuned or control")
        seed, checkpoint = (self._whole(n, row, at) for n in ("training_seed", "checkpoint"))
        if condition == "base" and seed is not None:
            fix = "the base model has none: leave it empty, or set condition: tuned"
            raise row_error(at, f"a base model with training seed {seed}", fix)
        if condition != "base" and seed is None:
            what = f"a {condition} model without a training seed"
            raise row_error(at, what, _NAME_IT.format("training_seed"))
        if condition == "base":
            checkpoint = None
        return ModelKey(cast("Condition", condition), seed, checkpoint)

    def _repeat(self, row: Row, at: At, key: _Prompt) -> int:
        before = self.asked.setdefault(key, at)
        if self.defaults.get("repeat") == IN_ORDER:
            self.counts[key] = self.counts.get(key, 0) + 1
            return self.counts[key]
        stated = self._whole("repeat", row, at)
        if stated is None and before is not at:
            raise row_error(
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
            raise row_error(
                at,
                f"status is {show(stated)}",
                f"it is one of {', '.join(get_args(Status))}, or what servers say: "
                f"{', '.join(_ENDED)}",
            )
        return _ENDED[word]

    def _judged(self, row: Row, at: At) -> dict[str, ReportedVerdict]:
        word, score = self._word(row, at), self._score(row, at)
        if self.judge is None or (word is None and score is None):
            return {}
        return {self.judge["name"]: ReportedVerdict(word, score)}

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
            raise row_error(at, f"score is {show(value)}", "a score is a number from 0 to 1")
        return number

    def _need(self, name: str, row: Row, at: At) -> str:
        value = self._text(name, row, at)
        if value is None:
            raise row_error(at, f"no {name}", _NAME_IT.format(name))
        return value

    def _text(self, name: str, row: Row, at: At) -> str | None:
        value = self._value(name, row)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bool) or not isinstance(value, int):
            raise row_error(at, f"{name} is {show(value)}, expected a text", "write it as a text")
        return str(value)

    def _whole(self, name: str, row: Row, at: At) -> int | None:
        value = self._value(name, row)
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None  # pandas writes an absent whole number as NaN
        number = _number(value)
        least = _LEAST.get(name, 0)
        if number is None or number != int(number) or not least <= number < 2**32:
            raise row_error(
                at, f"{name} is {show(value)}", f"it is a whole number, {least} or more"
            )
        return int(number)

    def facts(self) -> Iterator[Fact]:
        """Yield what the tables say of a card."""
        for name in dict.fromkeys(sample.decoding for sample in self.samples):
            yield Fact(("decoding", name, "name"), name, None)
        if self.judge is None:
            return
        for name, value in self.judge.items():
            note = "of the verdicts in this file" if name == "name" else ""
            yield Fact(("judge", self.judge["name"], name), value, self.judged_in, note=note)


def _names(field_: str) -> tuple[str, ...]:
    """Return the names of a field, its own first."""
    return (field_, *(other for other, name in _OTHER_NAMES.items() if name == field_))


def _number(value: Any) -> float | None:
    """Return a number, also one written as text; None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _judge(text: str) -> dict[str, str]:
    """Return what the card says of the judge that `KIND[:ID]` names."""
    kind, _, identifier = text.partition(":")
    if kind not in _KINDS:
        raise InteropError(
            f"--verdicts-by {visible(repr(text))}: no such kind of judge",
            fix=f"it is one of {', '.join(_KINDS)}, e.g. --verdicts-by human",
        )
    name = re.sub(r"[^a-z0-9_.-]+", "-", (identifier or kind).lower()).strip("-.")[:64] or kind
    judge = {"name": name, "kind": kind}
    return {**judge, "id": identifier} if identifier else judge


def _read(sources: Sequence[Source], options: Mapping[str, Any]) -> Collected:
    defaults = dict(options["set"])
    if options["repeats_in_order"]:
        defaults["repeat"] = IN_ORDER
    judge = None if options["verdicts_by"] is None else _judge(options["verdicts_by"])
    return read_responses([one.path for one in sources], options["column"], defaults, judge)


READER = Reader(
    _read,
    help="""Make a submission of FILES: JSON Lines, JSON, CSV or Parquet, a row per response.

    \b
    Fields: task, prompt or prompt_id, response, condition (base, tuned, control), training_seed,
    checkpoint, decoding (a name); where there are several: repeat; where known: status or
    finish_reason, new_tokens, generation_seed, category, target, verdict, score.
    Other columns are kept beside the responses.

    Give the settings of a decoding with --decoding or in --card.

    \b
    safebench import responses answers.jsonl --column response=output --set task=safebench_xstest \\
        --decoding greedy:do_sample=false,max_new_tokens=256 --out submission
    """,
    options=(
        Option(
            "--column",
            "Column that holds a field, where it has another name. May be repeated.",
            "pairs",
            "FIELD=COLUMN",
        ),
        Option(
            "--set",
            "Value of a field that no column has, e.g. --set condition=base. May be repeated.",
            "pairs",
            "FIELD=VALUE",
        ),
        Option(
            "--verdicts-by",
            "Judge of the verdicts in the table: rule, classifier, llm, human or moderation_api, "
            "with its id.",
            "text",
            "KIND[:ID]",
        ),
        Option("--repeats-in-order", "Number several responses to one prompt in order.", "flag"),
    ),
    by_model=False,
)
