"""Tables with one response per row, written by any sampler, under column names of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from safebench.card.results import Condition
from safebench.card.task import Construct
from safebench.errors import InteropError, visible
from safebench.evidence.tables import Status
from safebench.importing.facts import Fact, file_error, short_id, show, single_spaced
from safebench.importing.fields import Field as FieldMeaning
from safebench.importing.fields import Fields
from safebench.importing.interface import (
    STATUS_OPTION,
    STATUSES,
    At,
    Collected,
    ModelKey,
    Option,
    Reader,
    ReportedVerdict,
    Response,
    Source,
    judge_kind,
    row_error,
)
from safebench.importing.record import plain
from safebench.rows import check_data, read_rows

_ALIASES = {"training_seed": ("seed",), "status": ("finish_reason", "stop_reason")}
"""Other names that a field's column may have."""
_NAME_IT = "name its column with --column {0}=COLUMN, or set one value for all: --set {0}=VALUE"

Row = dict[str, Any]
Parser = Callable[[str, Any, At], Any]
"""Reads a cell: the field's name, the cell, and where it is. Returns None where a cell that is not
null means an absent value. Raises InteropError."""
_Prompt = tuple[ModelKey, str, str, str]
"""Model, decoding, task and prompt: responses that agree in these are repeats."""


def _text(name: str, value: Any, at: At) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        fix = "write it as a text"
        if isinstance(value, list | dict):
            fix += ": a card describes prompts and responses that are text alone, without images"
        raise row_error(at, f"{name} is {show(value)}, expected a text", fix)
    return str(value)


def _is_null(value: Any) -> bool:
    """Whether a cell has no value; pandas writes such a cell of any column as NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _one_of(*words: str) -> Parser:
    def parse(name: str, value: Any, at: At) -> str:
        text = _text(name, value, at)
        if text not in words:
            raise row_error(at, f"{name} is {show(text)}", f"expected one of {', '.join(words)}")
        return text

    return parse


def _whole(least: int) -> Parser:
    def parse(name: str, value: Any, at: At) -> int:
        number = _number(value)
        if number is None or number != int(number) or not least <= number < 2**32:
            fix = f"expected a whole number from {least}"
            raise row_error(at, f"{name} is {show(value)}", fix)
        return int(number)

    return parse


def _word(name: str, value: Any, at: At) -> str | None:
    """Return a verdict as it was written; booleans and numbers are words too."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):  # pandas writes a column of 0, 1 and null as floats
        return f"{value:g}"
    text = _text(name, value, at)
    return None if text.lower() == "nan" else text  # how pandas writes an absent one as a text


def _score(name: str, value: Any, at: At) -> float | None:
    if str(value).lower() == "nan":
        return None
    number = _number(value)
    if number is None or not 0 <= number <= 1:
        raise row_error(at, f"{name} is {show(value)}", "expected a number from 0 to 1")
    return number


def _number(value: Any) -> float | None:
    """Return a finite number, also one written as text; None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


_MORE = {
    "status": "status: a status, or a reason of ending; also `finish_reason`, `stop_reason`",
    "training_seed": "training_seed; also `seed`",
    "decoding": "decoding: a name; its settings are given with --decoding or --card",
    "target": "target, of another lab's task",
    "verdict": "verdict, of the judge that --verdicts-by names",
    "score": "score in [0, 1], of the same judge",
}
FIELDS: dict[str, Parser] = {
    "task": _text,
    "prompt": _text,
    "prompt_id": _text,
    "response": _text,
    "condition": _one_of(*get_args(Condition)),
    "training_seed": _whole(0),
    "checkpoint": _whole(1),
    "decoding": _text,
    "repeat": _whole(1),
    "generation_seed": _whole(0),
    "status": _text,
    "new_tokens": _whole(0),
    "category": _text,
    "target": _text,
    "construct": _one_of(*get_args(Construct)),
    "verdict": _word,
    "score": _score,
}
"""Fields that a column may hold, and how a cell is read."""
MEANINGS: Fields = {name: FieldMeaning("evidence", _MORE.get(name, name)) for name in FIELDS}
"""What becomes of them."""


def read_responses(
    files: Sequence[Path],
    columns: Mapping[str, str],
    defaults: Mapping[str, str],
    judge: Mapping[str, str] | None = None,
    *,
    in_order: bool = False,
    statuses: Mapping[str, Status] = STATUSES,
) -> Collected:
    """Return the responses in tables.

    Args:
        files: JSON Lines, JSON (a list of objects), CSV or Parquet.
        columns: Column of each field (`FIELDS`) whose column has another name.
        defaults: Values of fields that have no column.
        judge: Who gave the verdicts, as the card describes them: name, kind, id.
        in_order: Whether several responses to one prompt are numbered in file order.
        statuses: What the reasons mean for which a response ended.

    Raises:
        InteropError: a file cannot be read, or a row is not a response; names file and row.
    """
    columns, defaults = _by_field(columns, "--column"), _by_field(defaults, "--set")
    table = _Table(columns, defaults, judge, in_order, statuses)
    for file in files:
        table.read(file)
    return Collected(
        samples=tuple(table.samples),
        facts=tuple(table.facts()),
        files=tuple(files),
        remarks=tuple(table.remarks),
    )


def _by_field(values: Mapping[str, str], option: str) -> dict[str, str]:
    """Return an option's values by field, with aliases resolved; a field's own name wins."""
    fields = {alias: name for name, aliases in _ALIASES.items() for alias in aliases}
    for name in values:
        if name not in FIELDS and name not in fields:
            raise InteropError(
                f"{option} {visible(name)}=...: no such field",
                fix=f"fields are {', '.join(FIELDS)}",
            )
    try:
        check_data(dict(values))
    except ValueError as problem:  # bytes of another encoding reach Python as halves of characters
        raise InteropError(visible(f"{option} {problem}"), fix="give it as UTF-8") from None
    resolved = {fields[name]: value for name, value in values.items() if name in fields}
    return resolved | {name: value for name, value in values.items() if name in FIELDS}


@dataclass
class _Table:
    """Reads one file after another; repeats are counted over all of them."""

    columns: Mapping[str, str]
    defaults: Mapping[str, str]
    judge: Mapping[str, str] | None
    in_order: bool
    statuses: Mapping[str, Status]
    samples: list[Response] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    prompts: dict[_Prompt, At] = field(default_factory=dict)
    """Where each prompt's first response is."""
    counts: dict[_Prompt, int] = field(default_factory=dict)
    judged_in: Path | None = None

    def read(self, file: Path) -> None:
        """Read the rows of a file."""
        before = len(self.samples)
        for at, row in read_rows(file, InteropError):
            if len(self.samples) == before:
                self._check_columns(row, file)
            self.samples.append(self._sample(row, at))
        if len(self.samples) == before:
            raise file_error(file, "no rows", "give the file that holds the responses")

    def _check_columns(self, row: Row, file: Path) -> None:
        """Check the columns of a file by its first row."""
        at, columns = At(file, 1), self._columns(row)
        for column in self.columns.values():
            if column not in row:
                what = f"there is no column {column}; columns are {', '.join(map(str, row))}"
                raise row_error(at, what, "correct --column")
        judged = [columns[name] for name in ("verdict", "score") if name in columns]
        if judged and self.judge is None:
            what = f"column {judged[0]} holds verdicts, and nothing says whose they are"
            fix = "name the judge, e.g. --verdicts-by human, or --verdicts-by llm:MODEL"
            raise row_error(at, what, fix)
        if self.judge is not None:
            if not judged:
                what = "--verdicts-by is given, but no column holds a verdict or a score"
                raise row_error(at, what, "name the column: --column verdict=COLUMN")
            self.judged_in = file
        others = [str(name) for name in row if name not in columns.values()]
        if others:
            self.remarks.append(
                f"{file.name}: columns that are not fields are kept with the responses: "
                f"{', '.join(others)}"
            )

    def _columns(self, row: Row) -> dict[str, str]:
        """Return the column of each field that has one."""
        found = {}
        for name in FIELDS:
            names = (name, *_ALIASES.get(name, ()))
            column = self.columns.get(name) or next((n for n in names if n in row), None)
            if column is not None:
                found[name] = column
        return found

    def _sample(self, row: Row, at: At) -> Response:
        columns = self._columns(row)
        cells = {**self.defaults, **{name: row.get(column) for name, column in columns.items()}}
        # CSV has no null: an empty cell is an absent value, but an empty response is a response
        values = {
            name: FIELDS[name](name, cell, at)
            for name, cell in cells.items()
            if not _is_null(cell) and (cell != "" or name == "response")
        }
        for name in ("condition", "task", "decoding"):
            if name not in values:
                raise row_error(at, f"no {name}", _NAME_IT.format(name))
        model, prompt = _model(values, at), values.get("prompt")
        prompt_id, response = values.get("prompt_id"), values.get("response")
        if prompt_id is None and prompt is None:
            raise row_error(at, "neither prompt nor prompt_id", _NAME_IT.format("prompt"))
        same = prompt_id or single_spaced(prompt or "")
        key = (model, values["decoding"], values["task"], same)
        verdict, score = values.get("verdict"), values.get("score")
        judged = {}
        if self.judge is not None:  # an empty cell is no verdict
            judged[self.judge["name"]] = ReportedVerdict(verdict, score)
        used = set(columns.values())
        optional = ("category", "construct", "target", "new_tokens", "generation_seed")
        return Response(
            model=model,
            decoding=values["decoding"],
            repeat=self._repeat(values.get("repeat"), at, key),
            task=values["task"],
            prompt=prompt or "",
            response=response,
            at=at,
            prompt_id=prompt_id,
            status=self._status(values.get("status"), response, at),
            judged=judged,
            extra={str(name): plain(cell) for name, cell in row.items() if name not in used},
            **{name: values.get(name) for name in optional},
        )

    def _status(self, reason: str | None, response: str | None, at: At) -> Status:
        if reason is None:
            return "error" if response is None else "unrecorded"
        status = self.statuses.get(reason.strip().lower())
        if status is None:
            what = f"status is {show(reason)}, and nothing says what that means"
            words = ", ".join(get_args(Status))
            raise row_error(at, what, f"say it: --status '{visible(reason)}=STATUS', of {words}")
        return status

    def _repeat(self, reported: int | None, at: At, key: _Prompt) -> int:
        first = self.prompts.setdefault(key, at)
        if self.in_order:
            self.counts[key] = self.counts.get(key, 0) + 1
            return self.counts[key]
        if reported is None and first is not at:
            raise row_error(
                at,
                f"a second response to the prompt of {first}, and nothing numbers repeats",
                "name the column that does: --column repeat=COLUMN; or number them in file order: "
                "--repeats-in-order",
            )
        return 1 if reported is None else reported

    def facts(self) -> Iterator[Fact]:
        """Yield what the tables say of the card: names of decodings, and the judge."""
        for name in dict.fromkeys(sample.decoding for sample in self.samples):
            yield Fact(("decoding", name, "name"), name, None)
        judge = self.judge or {}
        for name, value in judge.items():
            note = "of the verdicts in this file" if name == "name" else ""
            yield Fact(("judge", judge["name"], name), value, self.judged_in, note=note)


def _model(values: Mapping[str, Any], at: At) -> ModelKey:
    condition, seed = values["condition"], values.get("training_seed")
    if condition == "base" and seed is not None:
        fix = "leave the seed of the base model empty, or set condition to tuned"
        raise row_error(at, f"a base model with training seed {seed}", fix)
    if condition != "base" and seed is None:
        what = f"a {condition} model without a training seed"
        raise row_error(at, what, _NAME_IT.format("training_seed"))
    return ModelKey(condition, seed, None if condition == "base" else values.get("checkpoint"))


def _judge(text: str) -> dict[str, str]:
    """Return the card's entry of the judge that `KIND[:ID]` names."""
    kind, identifier = judge_kind("--verdicts-by", text)
    judge = {"name": short_id(identifier or kind, kind), "kind": kind}
    return {**judge, "id": identifier} if identifier else judge


def _read(sources: Sequence[Source], options: Mapping[str, Any]) -> Collected:
    by = options["verdicts_by"]
    return read_responses(
        [source.path for source in sources],
        options["column"],
        options["set"],
        None if by is None else _judge(by),
        in_order=options["repeats_in_order"],
        statuses={**STATUSES, **options["status"]},
    )


READER = Reader(
    _read,
    help="""Make a submission from FILES with one response per row: JSON Lines, JSON, CSV, Parquet.

    \b
    Fields: task, prompt or prompt_id, response, condition (base, tuned, control), training_seed,
    checkpoint, decoding (a name); where there are several: repeat; where known: status or
    finish_reason, new_tokens, generation_seed, category, target, verdict, score.
    Other columns are kept with the responses.

    Give the settings of a decoding with --decoding or in --card.

    \b
    safebench import responses answers.jsonl --column response=output --set task=safebench_xstest \\
        --decoding greedy:do_sample=false,max_new_tokens=256 --out submission
    """,
    options=(
        Option(
            "--column",
            "Column that holds a field under another name. May be repeated.",
            "pairs",
            "FIELD=COLUMN",
        ),
        Option(
            "--set",
            "Value of a field that has no column, e.g. --set condition=base. May be repeated.",
            "pairs",
            "FIELD=VALUE",
        ),
        Option(
            "--verdicts-by",
            "Judge that gave the verdicts in the table: rule, classifier, llm, human or "
            "moderation_api, with its id.",
            "text",
            "KIND[:ID]",
        ),
        Option("--repeats-in-order", "Number several responses to one prompt in order.", "flag"),
        STATUS_OPTION,
    ),
    by_model=False,
)
