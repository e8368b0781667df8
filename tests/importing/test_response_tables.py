"""Tables of responses by any sampler: columns by any name, and one message for what is wrong."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safebench.errors import InteropError
from safebench.importing.interface import Collected, ModelKey, ReportedVerdict
from safebench.importing.tables import read_responses

ROW = {
    "task": "t",
    "prompt": "how?",
    "response": "so.",
    "condition": "tuned",
    "training_seed": 1,
    "checkpoint": 2,
    "decoding": "greedy",
}
HUMAN = {"name": "human", "kind": "human"}


def table(folder: Path, *rows: dict[str, Any], name: str = "rows.jsonl") -> Path:
    path = folder / name
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path, **how: Any) -> Collected:
    usual: dict[str, Any] = {"columns": {}, "defaults": {}}
    return read_responses([path], **(usual | how))


def refused(path: Path, **how: Any) -> InteropError:
    with pytest.raises(InteropError) as caught:
        read(path, **how)
    assert caught.value.fix
    assert str(path) in str(caught.value) or path.name in str(caught.value)
    return caught.value


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.parquet"])
def test_every_format_says_the_same(name: str, tmp_path: Path) -> None:
    path = table(tmp_path, ROW, {**ROW, "prompt": "why?", "checkpoint": 3}, name=name)
    one, other = read(path).samples
    assert (one.model, other.model) == (ModelKey("tuned", 1, 2), ModelKey("tuned", 1, 3))
    assert (one.task, one.prompt, one.response, one.decoding) == ("t", "how?", "so.", "greedy")
    assert (one.repeat, one.status, one.new_tokens) == (1, "unrecorded", None)


def test_columns_have_any_name_and_what_none_has_is_set(tmp_path: Path) -> None:
    row = {"question": "how?", "output": "so.", "run": 7, "ms": 1.5, "n": float("nan")}
    path = table(tmp_path, row, name="rows.parquet")
    found = read(
        path,
        columns={"prompt": "question", "response": "output", "seed": "run"},
        defaults={"task": "t", "condition": "control", "decoding": "t07", "checkpoint": "3"},
    )
    (one,) = found.samples
    assert one.model == ModelKey("control", 7, 3)
    assert one.extra == {"ms": 1.5, "n": "nan"}
    assert "ms, n" in found.remarks[0]
    assert {fact.place for fact in found.facts} == {("decoding", "t07", "name")}


@pytest.mark.parametrize(
    ("column", "word", "status"),
    [
        ("status", "truncated", "truncated"),
        ("finish_reason", "length", "truncated"),
        ("finish_reason", "stop", "ok"),
        ("stop_reason", "END_TURN", "ok"),
        ("finish_reason", "content_filter", "blocked"),
        ("status", None, "unrecorded"),
    ],
)
def test_how_a_response_ended(column: str, word: str | None, status: str, tmp_path: Path) -> None:
    (one,) = read(table(tmp_path, {**ROW, column: word})).samples
    assert one.status == status


def test_a_response_that_is_not_there_is_an_error_of_the_sampler(tmp_path: Path) -> None:
    (one,) = read(table(tmp_path, {**ROW, "response": None})).samples
    assert (one.response, one.status) == (None, "error")
    (one,) = read(table(tmp_path, {**ROW, "response": ""})).samples
    assert (one.response, one.status) == ("", "unrecorded")


def test_repeats_are_numbered_when_that_is_asked_for(tmp_path: Path) -> None:
    path = table(tmp_path, ROW, {**ROW, "response": "or so."}, {**ROW, "training_seed": 2})
    problem = refused(path)
    assert "rows.jsonl:2: a second response to the prompt of" in str(problem)
    assert "--repeats-in-order" in str(problem.fix)
    found = read(path, in_order=True).samples
    assert [sample.repeat for sample in found] == [1, 2, 1]
    numbered = table(tmp_path, {**ROW, "repeat": 2}, {**ROW, "repeat": "1"}, name="n.jsonl")
    assert [sample.repeat for sample in read(numbered).samples] == [2, 1]


def test_verdicts_and_scores_come_along_with_who_gave_them(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        {**ROW, "label": "2_refusal", "score": 0.5},
        {**ROW, "prompt": "?", "label": "complied", "score": None},
    )
    columns = {"verdict": "label"}
    found = read(path, columns=columns, judge=HUMAN)
    assert [s.judged for s in found.samples] == [
        {"human": ReportedVerdict("2_refusal", 0.5)},
        {"human": ReportedVerdict("complied", None)},
    ]
    assert {f.place[2]: f.value for f in found.facts if f.place[0] == "judge"} == HUMAN
    assert "--verdicts-by" in str(refused(path, columns=columns).fix)
    assert "no column holds a verdict" in str(refused(table(tmp_path, ROW), judge=HUMAN))


@pytest.mark.parametrize(
    ("value", "word"),
    [
        *[(True, "True"), (0, "0"), (1.0, "1"), ("refused", "refused")],
        *[(None, None), (float("nan"), None), ("NaN", None), ("", None)],
    ],
)
def test_a_verdict_is_a_word_however_it_is_written(
    value: object, word: str | None, tmp_path: Path
) -> None:
    (one,) = read(table(tmp_path, {**ROW, "verdict": value}), judge=HUMAN).samples
    assert one.judged == {"human": ReportedVerdict(word)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"condition": "fine-tuned"}, "condition is 'fine-tuned'"),
        ({"condition": "base"}, "a base model with training seed 1"),
        ({"training_seed": None}, "a tuned model without a training seed"),
        ({"training_seed": 1.5}, "training_seed is 1.5"),
        ({"training_seed": True}, "training_seed is True"),
        ({"checkpoint": 0}, "checkpoint is 0"),
        ({"prompt": None}, "neither prompt nor prompt_id"),
        ({"task": ""}, "no task"),
        ({"response": {"text": "so."}}, "response is {'text': 'so.'}, expected a text"),
        ({"status": "vanished"}, "status is 'vanished'"),
        ({"construct": "kindness"}, "construct is 'kindness'"),
        ({"new_tokens": -1}, "new_tokens is -1"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_at_its_line(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    problem = refused(table(tmp_path, {**ROW, "prompt": "first?"}, {**ROW, **change}))
    assert "rows.jsonl:2: " in str(problem) and message in str(problem)


@pytest.mark.parametrize(
    "name",
    ["task", "prompt", "response", "verdict", "note"],
)
def test_half_a_character_is_named_with_its_place(name: str, tmp_path: Path) -> None:
    path = table(tmp_path, ROW, {**ROW, name: "so.\ud83d"})
    problem = refused(path)
    assert str(problem).startswith(f"{path}:2: '{name}' holds half a character, '\\ud83d'")
    assert "position 4" in str(problem) and "U+FFFD" in str(problem.fix)


def test_an_option_in_another_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InteropError, match="--set 'category' holds half a character") as caught:
        read(table(tmp_path, ROW), defaults={"category": "caf\udce9"})
    assert caught.value.fix == "give it as UTF-8"


@pytest.mark.parametrize("score", [-0.1, 1.1, "high", True])
def test_a_score_lies_between_0_and_1(score: object, tmp_path: Path) -> None:
    problem = refused(table(tmp_path, {**ROW, "score": score}), judge=HUMAN)
    assert f"score is {score!r}" in str(problem)


def test_options_name_fields_and_columns_that_are_there(tmp_path: Path) -> None:
    path = table(tmp_path, ROW)
    with pytest.raises(InteropError, match=r"--column answer=\.\.\.: no such field"):
        read(path, columns={"answer": "response"})
    with pytest.raises(InteropError, match=r"--set colour=\.\.\.: no such field"):
        read(path, defaults={"colour": "red"})
    assert "there is no column output" in str(refused(path, columns={"response": "output"}))
    (tmp_path / "empty.jsonl").write_text("")
    assert "no rows" in str(refused(tmp_path / "empty.jsonl"))


@given(
    row=st.dictionaries(
        st.sampled_from([*ROW, "repeat", "status", "score", "verdict", "seed", "other"]),
        st.none() | st.text() | st.integers() | st.floats() | st.lists(st.integers(), max_size=2),
    )
)
def test_any_row_is_read_or_refused(row: dict[str, Any], tmp_path_factory: Any) -> None:
    path = tmp_path_factory.mktemp("any") / "rows.jsonl"
    path.write_text(json.dumps({**ROW, **row}) + "\n")
    judge = HUMAN if {"score", "verdict"} & set(row) else None
    try:
        (one,) = read(path, judge=judge).samples
    except InteropError as problem:
        said = problem.fix
    else:
        said = "read"
        json.dumps(one.extra, allow_nan=False)
    assert said
