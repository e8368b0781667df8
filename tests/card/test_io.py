"""Reading and writing cards: positions, the core schema of YAML 1.2, hostile input, round trips."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from safebench.card import read as read_module
from safebench.card.card import Card
from safebench.card.document import Document, ReadError, as_pointer
from safebench.card.io import (
    card_text,
    dump_card,
    load_card,
    load_document,
    parse_card,
    parse_document,
)
from safebench.errors import CardError
from tests.conformance.runner import VALID

PLAN = (VALID / "minimal-plan.yaml").read_text(encoding="utf-8")


def read(text: str | bytes) -> Document:
    return parse_document(text.encode() if isinstance(text, str) else text, "card.yaml")


def problems(old: str, new: str) -> list[tuple[str, str, tuple[int, int]]]:
    assert old in PLAN
    text = PLAN.replace(old, new)
    _, found = parse_card(read(text))
    return [(p.rule, p.message, (p.place.line, p.place.column)) for p in found]


def line_of(text: str) -> int:
    return next(n for n, line in enumerate(PLAN.splitlines(), 1) if text in line)


# --- scalars ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("2e-5", 2e-5), ("1E3", 1000.0), (".5", 0.5), ("5.", 5.0), ("-0.0", -0.0),
        ("17", 17), ("-3", -3), ("+3", 3), ("0o17", 15), ("0x1F", 31), ("017", 17),
        ("no", "no"), ("on", "on"), ("Yes", "Yes"), ("y", "y"), ("1_000", "1_000"),
        ("0b11", "0b11"), ("1:30", "1:30"), ("2026-01-15", "2026-01-15"), ("<<", "<<"), ("=", "="),
        ("true", True), ("FALSE", False), ("tRue", "tRue"), ("null", None), ("~", None),
        ("", None), ('"1"', "1"), ("'~'", "~"), ("!!str 1", "1"), ("!!float 1", 1.0),
        ("!!int 0o17", 15), ("! 5", "5"), ("1e5x", "1e5x"), ("--1", "--1"),
    ],
)  # fmt: skip
def test_plain_scalars_follow_the_core_schema(written: str, value: object) -> None:
    found = read(f"a: {written}\n").data["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("written", [".nan", ".inf", "-.INF", "1e400", "9" * 2000])
def test_what_is_no_finite_number_is_a_problem_at_its_place(written: str) -> None:
    found = read(f"a:\n  - b: {written}\n")
    assert found.data == {"a": [{"b": None}]}
    (problem,) = found.problems
    assert problem.rule == "SB-CARD-006"
    assert (problem.pointer, problem.place.line, problem.place.column) == (("a", 0, "b"), 2, 8)


# --- positions ----------------------------------------------------------------------------------


def position(document: Document, pointer: str) -> tuple[int, int]:
    place = document.place(as_pointer(pointer))
    return place.line, place.column


def test_positions_are_those_of_values_and_keys() -> None:
    found = read("a: 1\nb:\n  - {c: x, d: 'y z'}\n  - e:\n      f: [1, 2]\n")
    assert position(found, "/a") == (1, 4)
    assert position(found, "/b") == (2, 1)
    assert position(found, "/b/0/d") == (3, 15)
    assert found.keys["a",][:2] == (1, 1)
    assert found.keys["b", 0, "d"][:2] == (3, 12)
    assert position(found, "/b/1/e/f/1") == (5, 14)
    assert position(found, "/b/0") == (3, 5)


def test_what_is_absent_has_the_position_of_what_is_around_it() -> None:
    found = read("a:\n  b: 1\n")
    assert position(found, "/a/c/d") == position(found, "/a") == (1, 1)
    assert position(found, "/x") == (1, 1)


def test_escaped_pointers() -> None:
    found = read("a/b:\n  c~d: 1\n")
    assert position(found, "/a~1b/c~0d") == (2, 8)


def test_positions_count_characters_and_not_bytes() -> None:
    assert position(read('{"é😀": "x", "b": 1}'), "/b") == (1, 18)


def test_json_is_read_with_its_escapes() -> None:
    data = {"a": "😀 \\ud83d é \u2028", "b": [1, 2.5e-7, None, True], "c": {"d/e": "\t"}}
    assert read(json.dumps(data)).data == data
    assert read(json.dumps(data, indent="\t")).data == data
    assert read(json.dumps(data, ensure_ascii=False)).data == data


def test_a_byte_order_mark_is_passed_over() -> None:
    found = read(b"\xef\xbb\xbfa: 1\n")
    assert found.data == {"a": 1}
    assert position(found, "/a") == (1, 4)


def test_the_pure_python_parser_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = read(PLAN)
    monkeypatch.setattr(read_module, "_LOADER", yaml.Loader)
    slow = read(PLAN)
    assert (slow.data, slow.keys) == (fast.data, fast.keys)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        (b"", None, "empty"),
        (b"# nothing\n", None, "empty"),
        (b"a: &x 1\nb: *x\n", (1, 4), "anchor &x"),
        (b"a: *x\n", (1, 4), "alias *x"),
        (b"a: !!python/object/apply:os.system [x]\n", (1, 4), "tag"),
        (b"a: !mine 1\n", (1, 4), "tag !mine"),
        (b"a: !!int x\n", (1, 4), "not of type !!int"),
        (b"a: !!set {x: null}\n", (1, 4), "tag"),
        (b"a: 1\n---\nb: 2\n", (2, 1), "second document"),
        (b"? [a]\n: 1\n", (1, 3), "list or mapping as a key"),
        (b"a: b: c\n", (1, 5), "not YAML"),
        (b"a:\n\t- b\n", (2, 1), "not YAML"),
        (b"a: 'x\n", (1, 4), "not YAML"),
        (b"a: [1, 2\n", (1, 4), "not YAML"),
        (b"a: \xff\n", (1, 4), "not UTF-8"),
        ("a: 1".encode("utf-16"), (1, 1), "not UTF-8"),
        (b"a: \x00\n", None, "control characters"),
        ("a: x\u2028y\n".encode(), (1, 5), "U+2028"),
        (b"[" * 100_000, (1, 65), "deeper than 64"),
        (b'{"a":' * 100_000, None, "deeper than 64"),
        (b"a: " + b"x" * (4 * 1024 * 1024), None, "4 MiB"),
    ],
)
def test_hostile_text_ends_in_one_message(
    text: bytes, at: tuple[int, int] | None, said: str
) -> None:
    start = time.monotonic()
    with pytest.raises(ReadError) as caught:
        read(text)
    assert time.monotonic() - start < 5
    assert said in caught.value.found
    assert caught.value.fix
    if at is not None:
        assert caught.value.at == at
        assert str(caught.value).startswith(f"card.yaml:{at[0]}:{at[1]}: ")


def test_an_alias_bomb_does_not_go_off() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
    )
    with pytest.raises(ReadError, match="anchor"):
        read(bomb)


@pytest.mark.parametrize(
    ("text", "fix"),
    [("a:\n\t- b\n", "tabs"), ("a: @b\n", "starts with @"), ("a: b: c\n", "quote a text")],
)
def test_common_slips_are_named(text: str, fix: str) -> None:
    with pytest.raises(ReadError) as caught:
        read(text)
    assert fix in str(caught.value.fix)


def test_duplicate_keys_are_problems_and_the_first_counts() -> None:
    found = read("a: 1\nb: {c: 1}\na: {d: 2, d: 3}\nb: [x]\ne: 5\n")
    assert found.data == {"a": 1, "b": {"c": 1}, "e": 5}
    assert [(p.rule, p.pointer, p.place.line) for p in found.problems] == [
        ("SB-CARD-005", ("a",), 3), ("SB-CARD-005", ("a", "d"), 3), ("SB-CARD-005", ("b",), 4),
    ]  # fmt: skip
    assert position(found, "/b/c") == (2, 8)
    assert position(found, "/e") == (5, 4)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    said = {
        "": "is a folder", "absent.yaml": "no such file", "pipe": "not a regular file",
        "link": "link to nothing", "loop": "cannot be opened",
    }  # fmt: skip
    for name, words in said.items():
        with pytest.raises(ReadError, match=words) as caught:
            load_document(tmp_path / name)
        assert caught.value.fix
    with pytest.raises(ReadError, match="not a regular file"):
        load_document(Path("/dev/zero"))


def test_a_file_of_any_size_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    with path.open("wb") as file:
        file.truncate(1024**3)
    start = time.monotonic()
    with pytest.raises(ReadError, match="4 MiB"):
        load_document(path)
    assert time.monotonic() - start < 2


# --- structure in plain words -------------------------------------------------------------------


def test_a_wrong_card_is_explained_at_its_places() -> None:
    assert problems("dropout: 0.0", "dropout: 1.5") == [
        ("SB-CARD-004", "1.5 is out of bounds: expected less than 1.0", (line_of("dropout"), 36))
    ]
    assert problems("epochs: 2", "epochs: two") == [
        ("SB-CARD-003", 'found the text "two", expected a whole number', (line_of("epochs"), 11))
    ]
    assert problems("method: lora", "method: lorra") == [
        ("SB-CARD-004", 'found the text "lorra", expected one of lora, dora, qlora, '
         "prompt, full, none",
         (line_of("method"), 11))
    ]  # fmt: skip
    assert problems("  method: lora\n", "") == [
        (
            "SB-CARD-001",
            "`method` is missing: it decides the other fields",
            (line_of("hyperparameters"), 1),
        )
    ]
    assert problems("training: 5", "training: many") == [
        ("SB-CARD-003", 'found the text "many", expected a whole number or a list',
         (line_of("training: 5"), 13))
    ]  # fmt: skip
    assert problems("training: 5", "training: [1, x]") == [
        ("SB-CARD-003", 'found the text "x", expected a whole number', (line_of("training: 5"), 17))
    ]
    assert problems("tasks: [safebench_harm", "tasks: [3") == [
        ("SB-CARD-003", "found 3, expected a text or a mapping", (line_of("tasks"), 9))
    ]
    assert problems("contact: lab@example.org", "contact: {not_reported: x, since: y}") == [
        ("SB-CARD-004", "an absence has no other fields beside not_reported", (7, 34))
    ]


def test_a_reason_with_a_comma_wants_quotes() -> None:
    text = PLAN.replace("contact: lab@example.org", "contact: {not_reported: lost, all of it}")
    _, (problem,) = parse_card(read(text))
    assert problem.pointer == ("submission", "submitter", "contact")
    assert problem.fix == "put the reason in quotes: a comma ends it"
    start = PLAN.index("seeds:")
    end = PLAN.index("decoding:")
    text = f"{PLAN[:start]}seeds: {{not_reported: lost, all of it}}\n{PLAN[end:]}"
    _, (problem,) = parse_card(read(text))
    assert problem.pointer == ("seeds",)


def test_a_near_miss_is_suggested() -> None:
    _, found = parse_card(read(PLAN.replace("learning_rate:", "learning_rat:")))
    assert [(p.rule, p.fix) for p in found] == [
        ("SB-CARD-010", "add learning_rate, or learning_rate: {not_reported: why}"),
        ("SB-CARD-002", "did you mean learning_rate?"),
    ]


def test_several_problems_are_all_reported_in_their_order() -> None:
    text = PLAN.replace("r: 8", "r: eight").replace("epochs: 2", "epochs: 0")
    _, found = parse_card(read(text.replace("kind: rule", "kind: ruler")))
    assert [".".join(str(part) for part in p.pointer) for p in found] == [
        "hyperparameters.lora.r", "hyperparameters.epochs", "judge.0.kind",
    ]  # fmt: skip


def test_a_missing_mandatory_field_is_held_as_an_absence() -> None:
    document = read(PLAN.replace("{r: 8, ", "{"))
    before = json.dumps(document.data)
    card, (problem,) = parse_card(document)
    assert card is not None
    assert card.hyperparameters.lora.r.not_reported  # type: ignore[union-attr]
    assert problem.rule == "SB-CARD-010"
    assert json.dumps(document.data) == before


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        ("safebench/2.0", "SB-CARD-008"), ("safebench/0.9", "SB-CARD-008"),
        ("safebench/1", "SB-CARD-007"), ("1.0", "SB-CARD-007"), ("[]", "SB-CARD-007"),
    ],
)  # fmt: skip
def test_other_versions_are_told_apart(spec: str, rule: str) -> None:
    card, (problem,) = parse_card(read(PLAN.replace("safebench/1.0", spec)))
    assert card is None
    assert problem.rule == rule


def test_a_card_from_the_future_is_read_as_far_as_it_is_known() -> None:
    text = PLAN.replace("safebench/1.0", "safebench/1.9").replace("r: 8,", "r: 8, rank_plan: x,")
    card, found = parse_card(read(text + "weather: sunny\n"))
    assert card is not None
    assert {(p.rule, p.severity) for p in found} == {("SB-CARD-009", "warning")}
    assert len(found) == 3


def test_load_card_lists_every_problem_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    path.write_text(PLAN.replace("r: 8, ", "r: 0, ").replace("epochs: 2", "epochs: two"))
    with pytest.raises(CardError) as caught:
        load_card(path)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{path}: 2 problems in the card"
    at = line_of("lora: {")
    assert lines[1].startswith(f"  {path}:{at}:13: hyperparameters.lora.r: 0 is out of bounds")
    assert f"{path}:{line_of('epochs')}:11" in lines[2]
    assert caught.value.fix == f"safebench validate {path} shows each of them at its place"


@pytest.mark.parametrize("text", ["[]", "5", "x", "null"])
def test_a_document_that_is_no_mapping(text: str) -> None:
    card, (problem,) = parse_card(read(text))
    assert card is None
    assert "expected a mapping" in problem.message


# --- writing ------------------------------------------------------------------------------------

FULL = [*VALID.glob("*.yaml"), *VALID.glob("*/card.yaml")]


@pytest.mark.parametrize("path", FULL, ids=lambda p: p.name)
def test_a_written_card_reads_the_same(path: Path, tmp_path: Path) -> None:
    card = load_card(path)
    dump_card(card, tmp_path / "new" / "card.yaml")
    assert load_card(tmp_path / "new" / "card.yaml") == card
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["card.yaml"]
    assert card_text(load_card(tmp_path / "new" / "card.yaml")) == card_text(card)


def test_required_fields_that_are_null_stay() -> None:
    text = card_text(load_card(VALID / "submission" / "card.yaml"))
    assert "{training_seed: null, repeat: 1, n: 10," in text
    assert "checkpoint: null" in text
    assert "stability: null" in text
    assert "organisation" not in text


def test_a_failed_write_leaves_the_old_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "card.yaml"
    path.write_text("old")

    def fails(handle: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="disk full"):
        dump_card(load_card(VALID / "minimal-plan.yaml"), path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["card.yaml"]


TRICKY = st.sampled_from(
    ["no", "on", "~", "null", "1e5", "2e-5", "0o17", "0x1F", "1_000", "1:30", "2026-01-15", "=",
     "<<", ".inf", "- a", "a: b", "a #b", "#", "'", '"', "\\", " a ", "a\n b", "\t", "\x7f", "é😀",
     "\u2028", "\ufeff", "\x85", "{", "[a]", "&a", "*a", "!a", "%a", "@a", "`a", "y", "N", "?"]
)  # fmt: skip
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60) | TRICKY


@settings(deadline=None, max_examples=200)
@given(
    title=TEXT, stop=st.lists(TEXT, max_size=4), libraries=st.dictionaries(TEXT, TEXT, max_size=4),
    rate=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
    alpha=st.floats(allow_nan=False, allow_infinity=False), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_any_text_and_number_survives(
    title: str, stop: list[str], libraries: dict[str, str], rate: float, alpha: float, seed: int
) -> None:
    data: Any = read(PLAN).data
    data["submission"]["title"] = title
    data["decoding"][0]["stop"] = stop
    data["hyperparameters"]["learning_rate"] = rate
    data["hyperparameters"]["lora"]["alpha"] = alpha
    data["seeds"]["generation"] = seed
    data["environment"] = {
        name: {"not_reported": title}
        for name in ("harness", "python", "backend", "device", "batch_size", "attention",
                     "sampling_scheme")
    } | {"libraries": libraries}  # fmt: skip
    card = Card.model_validate_json(json.dumps(data))
    text = card_text(card)
    assert parse_card(read(text)) == (card, [])
    # A reader of YAML 1.1 sees the same strings and numbers.
    older = yaml.safe_load(text)
    assert older["submission"]["title"] == title
    assert older["decoding"][0]["stop"] == stop
    assert older["environment"]["libraries"] == libraries
    assert repr(older["hyperparameters"]["learning_rate"]) == repr(rate)
    assert repr(older["hyperparameters"]["lora"]["alpha"]) == repr(alpha)
