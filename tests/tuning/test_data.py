"""Training data in the shapes and files people have; what is none of them is named by its line."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from safebench.errors import TuningError
from safebench.tuning.examples import read_examples

MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "how?"},
    {"role": "assistant", "content": "so"},
]
SHAPES: list[tuple[dict[str, Any], Any, Any]] = [
    ({"prompt": "how?", "completion": "so"}, "how?", "so"),
    ({"messages": MESSAGES}, MESSAGES[:2], MESSAGES[2:]),
    ({"prompt": MESSAGES[:2], "completion": MESSAGES[2:]}, MESSAGES[:2], MESSAGES[2:]),
    (
        {"instruction": "sum up", "input": "a text", "output": "so", "text": "x"},
        "sum up\n\na text",
        "so",
    ),
    ({"instruction": "sum up", "input": "", "output": "so"}, "sum up", "so"),
    (
        {"instruction": "sum up", "context": "a text", "response": "so", "category": "qa"},
        "sum up\n\na text",
        "so",
    ),
    ({"instruction": "sum up", "response": "so"}, "sum up", "so"),
    # ultrachat's `prompt` stands beside `messages`, without a completion of its own
    ({"prompt": "how?", "prompt_id": "1", "messages": MESSAGES}, MESSAGES[:2], MESSAGES[2:]),
]


def write(path: Path, rows: list[Any]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return path


@pytest.mark.parametrize(
    ("row", "prompt", "completion", "suffix"),
    [
        (*shape, suffix)
        for shape in SHAPES
        for suffix in (".jsonl", ".json", ".parquet", ".csv")
        # A cell of CSV holds no list.
        if suffix != ".csv" or all(isinstance(value, str) for value in shape[0].values())
    ],
)
def test_every_shape_in_every_file(
    row: dict[str, Any], prompt: Any, completion: Any, suffix: str, tmp_path: Path
) -> None:
    path = write(tmp_path / f"data{suffix}", [row, row])
    found = read_examples(path)
    assert [(e.prompt, e.completion) for e in found.examples] == [(prompt, completion)] * 2
    assert found.examples[0].fields == row
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(found) == 2
    asked, answered = found.examples[0].pair
    assert answered == "so"
    assert asked.startswith(("how?", "sum up", "Be brief.\n\nhow?"))


BAD: list[tuple[str, str, str]] = [
    (
        "d.jsonl",
        '{"prompt": "a", "completion": "b"}\n{"prompt": "a"}\n',
        "d.jsonl:2: the columns fit no known shape: 'prompt'",
    ),
    (
        "d.jsonl",
        '{"prompt": "a", "completion": "b", "messages": []}\n',
        "d.jsonl:1: the columns fit several shapes: 'prompt', 'completion', 'messages'",
    ),
    ("d.jsonl", "{}\n", "d.jsonl:1: the columns fit no known shape: none"),
    ("d.jsonl", "\n\n[1]\n", "d.jsonl:3: expected an object, found list"),
    ("d.jsonl", "{\n", "d.jsonl:1: not JSON"),
    ("d.jsonl", '{"a":' + "[" * 100_000 + "\n", "d.jsonl:1: it is nested too deeply"),
    ("d.jsonl", '{"prompt": 1, "completion": "b"}\n', "d.jsonl:1: 'prompt' is missing, empty or"),
    ("d.jsonl", '{"prompt": "a", "completion": " "}\n', "d.jsonl:1: 'completion' is missing, empt"),
    ("d.jsonl", '{"prompt": "a", "completion": "\\ud800"}\n', "d.jsonl:1: 'completion' holds half"),
    ("d.jsonl", '{"prompt": [], "completion": "b"}\n', "d.jsonl:1: of `prompt` and `completion`"),
    (
        "d.jsonl",
        '{"prompt": [], "completion": []}\n',
        "d.jsonl:1: 'prompt' is not a list of",
    ),
    ("d.jsonl", '{"messages": [{"role": "user", "content": "a"}]}\n', "d.jsonl:1: a conversation"),
    (
        "d.jsonl",
        '{"messages": [{"role": "tool", "content": "a"}]}\n',
        "d.jsonl:1: messages[0] has no role among system, user, assistant",
    ),
    (
        "d.jsonl",
        '{"messages": [{"role": "user", "content": "a", "tool_calls": [1]}]}\n',
        "d.jsonl:1: messages[0] has 'tool_calls', which is not trained on",
    ),
    (
        "d.jsonl",
        '{"messages": [{"role": "user", "content": ["a"]}]}\n',
        "d.jsonl:1: 'messages[0].content' is missing, empty or no string",
    ),
    (
        "d.jsonl",
        '{"prompt": [{"role": "user", "content": "a"}], "completion": '
        '[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n',
        "d.jsonl:1: `completion` holds a message that is not the assistant's",
    ),
    (
        "d.jsonl",
        '{"prompt": "a", "completion": "b"}\n{"messages": '
        '[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n',
        "d.jsonl:2: messages, where the first example has texts",
    ),
    ("d.jsonl", "", "d.jsonl: no examples"),
    ("d.json", '[{"prompt": "a", "completion": "b"}, 5]', "d.json: row 2: expected an object"),
    ("d.json", '{"prompt": "a"}', "d.json: expected a list of objects, found dict"),
    ("d.csv", "prompt,completion\na,b\nc\n", "d.csv:3: 1 cells under 2 column names"),
    ("d.csv", "prompt,prompt\na,b\n", "d.csv:1: two columns have one name"),
    ("d.csv", 'prompt,completion\n"a"b,c\n', "d.csv: not readable as CSV"),
    ("d.csv", "question,answer\na,b\n", "d.csv:2: the columns fit no known shape: 'question', 'an"),
    ("d.parquet", "PAR1 and no more", "d.parquet: not readable as Parquet"),
    ("d.txt", "a", "d.txt: a file that ends in '.txt' is not read"),
]


@pytest.mark.parametrize(("name", "content", "said"), BAD, ids=[said[:60] for *_, said in BAD])
def test_what_is_no_example_is_named(name: str, content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(TuningError) as caught:
        read_examples(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / said))
    assert caught.value.fix


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv"])
def test_utf8_alone_is_read_with_or_without_its_mark(suffix: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"d{suffix}", [{"prompt": "wie?", "completion": "so"}])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert [one.pair for one in read_examples(path)] == [("wie?", "so")]
    path.write_bytes(path.read_bytes().replace(b"wie?", b"wie\xff"))
    with pytest.raises(TuningError, match="not UTF-8"):
        read_examples(path)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(TuningError, match=r"no\.jsonl: no such file"):
        read_examples(tmp_path / "no.jsonl")


def test_a_model_may_answer_nothing(tmp_path: Path) -> None:
    path = write(
        tmp_path / "d.jsonl",
        [
            {"prompt": MESSAGES[:2], "completion": [{"role": "assistant", "content": ""}]},
            {"prompt": MESSAGES[:2], "completion": MESSAGES[2:]},
        ],
    )
    assert [one.pair[1] for one in read_examples(path, allow_empty=True)] == ["", "so"]
    with pytest.raises(TuningError, match=r"d\.jsonl:1: 'completion\[0\]\.content' is missing, em"):
        read_examples(path)
    write(path, [{"prompt": "a", "completion": ""}])
    assert [one.pair for one in read_examples(path, allow_empty=True)] == [("a", "")]
