"""Remedies that a program applies: each does what it says, and the text keeps its layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from safebench.card.document import Edit, Pointer, ReadError
from safebench.card.patch import patched, patched_text
from safebench.card.read import parse_document
from safebench.checks import Finding, check_document
from safebench.cli.validate import command
from tests.conformance.runner import EXAMPLES, INVALID, VALID

PLAN = (VALID / "minimal-plan.yaml").read_text()
SEEDS = PLAN[PLAN.index("seeds:") : PLAN.index("\ndecoding:")]


def findings(raw: bytes) -> tuple[Finding, ...]:
    return check_document(parse_document(raw, "card.yaml"), None).findings


def mended(text: str) -> str:
    """Apply every remedy there is, one after another."""
    raw = text.encode()
    while found := next((f for f in findings(raw) if f.patch), None):
        better = patched_text(raw, "card.yaml", found.patch)
        assert better is not None and better != raw, found
        raw = better
    return raw.decode()


@pytest.mark.parametrize(
    ("old", "new", "then"),
    [
        ("epochs: 2", 'epochs: "2"   # why', "epochs: 2   # why"),
        ("learning_rate: 3e-3", "learning_rate: '3e-3'", "learning_rate: 0.003"),
        (SEEDS, "seeds: 2", "seeds: {training: 2}"),
        ("batch_size: {per_device: 16}", "batch_size: 16", "batch_size: {per_device: 16}"),
        ("base: {id: builtin:tiny-chat}", "base: builtin:tiny-chat",
         "base: {id: builtin:tiny-chat}"),
        ("do_sample: false", "do_sample: no", "do_sample: false"),
        ('revision: "1"', "revision: 1.10", 'revision: "1.10"'),
        ("tasks: [safebench_harm, safebench_overrefusal, safebench_capability]",
         "tasks: safebench_harm", "tasks: [safebench_harm]"),
        ("max_length: 128", "max_lenght: 128", "max_length: 128"),
        ("max_length: 128", "max_seq_length: 128", "max_length: 128"),
        ("lr_scheduler: linear", "lr_scheduler_type: linear", "lr_scheduler: linear"),
        ("relationship: first_party", "relationship: first party", "relationship: first_party"),
        ("method: lora", "method: Lora", "method: lora"),
    ],
)  # fmt: skip
def test_a_remedy_does_what_it_says(old: str, new: str, then: str) -> None:
    assert old in PLAN
    better = mended(PLAN.replace(old, new))
    assert better == PLAN.replace(old, then)
    assert [f.rule for f in findings(better.encode()) if f.severity == "error"] == []


@pytest.mark.parametrize(
    ("text", "home"),
    [
        ("learning_rate: 3e-3  # flat\n", ("hyperparameters", "learning_rate")),
        ("dtype: bfloat16\n", ("model", "dtype")),
        ("few_shot: 0\n", ("prompting", "few_shot")),
    ],
)
def test_a_field_under_the_wrong_heading_is_moved(text: str, home: Pointer) -> None:
    plan = PLAN.replace("  learning_rate: 3e-3\n", "") + "prompting: {turns: 1}\n"
    result = mended(plan + text)
    data: Any = parse_document(result.encode(), "x").data
    value = data
    for part in home:
        value = value[part]
    assert home[-1] not in data
    assert len(result.splitlines()) <= len((plan + text).splitlines()) + 1
    assert ("# flat" in result) is ("# flat" in text)


@pytest.mark.parametrize(
    ("text", "edit", "then"),
    [
        ("a: 1\nb: 2\n", Edit("remove", ("a",)), "b: 2\n"),
        ("{a: 1, b: 2}\n", Edit("remove", ("a",)), "{b: 2}\n"),
        ("{a: 1, b: 2}\n", Edit("remove", ("b",)), "{a: 1}\n"),
        ("a: {}\n", Edit("add", ("a", "b"), 1), "a: {b: 1}\n"),
        ("- a: 1\n", Edit("add", (0, "b"), 2), "- b: 2\n  a: 1\n"),
        ("a: 1\r\nb: 2\r\n", Edit("add", ("c",), "x"), "c: x\r\na: 1\r\nb: 2\r\n"),
        ("\ufeffa: 1\n", Edit("replace", ("a",), "é"), '\ufeffa: "é"\n'),
        ('{"a": [1, 2]}', Edit("replace", ("a", 1), [3]), '{"a": [1, [3]]}'),
        ("a: 1\nb: {c: 2}\n", Edit("move", ("b", "a"), source=("a",)), "b: {a: 1, c: 2}\n"),
        ("a: |\n  x\n", Edit("replace", ("b",), 1), None),  # there is none
    ],
)
def test_an_edit_keeps_what_it_is_not_about(text: str, edit: Edit, then: str | None) -> None:
    found = patched_text(text.encode(), "x", (edit,))
    assert (None if found is None else found.decode()) == then


def _examples() -> list[Path]:
    return sorted([*INVALID.glob("*/card.yaml"), *EXAMPLES.glob("boundary/SB-CARD-*/*.yaml")])


def test_every_remedy_that_is_suggested_works() -> None:
    tried = 0
    for path in _examples():
        raw = path.read_bytes()
        try:
            before = findings(raw)
        except ReadError:
            continue  # what cannot be read has no remedy that a program applies
        for finding in (f for f in before if f.patch):
            tried += 1
            better = patched_text(raw, str(path), finding.patch)
            assert better is not None, (path, finding)
            data = parse_document(raw, "x").data
            assert parse_document(better, "x").data == patched(data, finding.patch)
            after = findings(better)
            key = (finding.rule, finding.pointer)
            assert key not in {(f.rule, f.pointer) for f in after}, (path, finding)
            errors = {(f.rule, f.pointer) for f in after if f.severity == "error"}
            known = {(f.rule, f.pointer) for f in before}
            # What was wrong inside a field that could not be read comes to light with it.
            assert len(errors - known) <= 1, (path, finding, errors - known)
    assert tried > 5


def test_fix_writes_once_and_then_finds_nothing(tmp_path: Path) -> None:
    card = tmp_path / "card.yaml"
    card.write_text(PLAN.replace("epochs: 2", 'epochs: "2"').replace("max_length", "max_lenght"))
    first = CliRunner().invoke(command, ["--fix", str(card)])
    assert first.exit_code == 0
    assert first.stderr.count("fixed ") == 2
    assert card.read_text() == PLAN
    before = card.stat().st_mtime_ns
    second = CliRunner().invoke(command, ["--fix", "--format", "json", str(card)])
    assert (second.exit_code, second.stderr) == (0, "")
    assert card.stat().st_mtime_ns == before


def test_fix_leaves_alone_what_leads_out_and_refuses_standard_input(tmp_path: Path) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_text(PLAN.replace("epochs: 2", 'epochs: "2"'))
    inside = tmp_path / "folder"
    inside.mkdir()
    (inside / "card.yaml").symlink_to(outside)
    CliRunner().invoke(command, ["--fix", str(inside / "card.yaml")])
    assert 'epochs: "2"' in outside.read_text()
    assert CliRunner().invoke(command, ["--fix", "-"], input=PLAN).exit_code == 2
