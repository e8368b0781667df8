"""`safebench rules`: the list, the explanations, and what is said to a wrong id."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

import pytest
from click import unstyle
from click.testing import CliRunner

from safebench.checks import all_rules
from safebench.checks.registry import GROUPS
from safebench.cli.rules import command, example_of
from safebench.resources import spec_dir
from tests.command import safebench
from tests.conformance.runner import GOLDEN, INVALID, run

Capture = pytest.CaptureFixture[str]
LISTED = re.compile(r"^  (SB-\w+-\d{3}) +(error|warning|note) +(.*)$", re.M)


# --- the list -----------------------------------------------------------------------------------


def test_the_list_is_the_page_of_rules_in_its_order(capsys: Capture) -> None:
    ran = safebench(capsys, "rules")
    assert ran.code == 0
    page = (spec_dir() / "v1" / "rules.md").read_text(encoding="utf-8")
    assert [found[0] for found in LISTED.findall(ran.out)] == re.findall(
        r"^### (SB.*)$", page, re.M
    )
    headings = [line for line in ran.out.splitlines() if line in GROUPS.values()]
    assert headings == re.findall(r"^## (.*)$", page, re.M) == list(GROUPS.values())


def test_the_list_is_aligned_and_fits(capsys: Capture) -> None:
    lines = safebench(capsys, "rules").out.splitlines()
    assert max(map(len, lines)) <= 100
    titles = {match.start(3) for line in lines if (match := LISTED.match(line))}
    wrapped = {len(line) - len(line.lstrip()) for line in lines if line.startswith("     ")}
    assert titles == wrapped == {25}
    assert lines[-1].startswith(f"{len(all_rules())} rules: ")
    words = " ".join(" ".join(lines).split())
    assert all(f"{rule.severity} {rule.title}" in words for rule in all_rules().values())


def test_one_severity_alone(capsys: Capture) -> None:
    found = LISTED.findall(safebench(capsys, "rules", "--severity", "warning").out)
    wanted = {rule.id for rule in all_rules().values() if rule.severity == "warning"}
    assert {id for id, _, _ in found} == wanted
    assert {severity for _, severity, _ in found} == {"warning"}


def test_the_list_for_programs(capsys: Capture) -> None:
    rules = json.loads(safebench(capsys, "rules", "--format", "json").out)["rules"]
    assert [rule["id"] for rule in rules] == list(all_rules())
    assert rules[0] == {
        "id": "SB-CARD-001",
        "severity": "error",
        "group": "Structure and version",
        "section": "spec/v1/card.md#document",
        "title": "Every required field is present.",
        "rationale": "Names and kinds decide how the rest is read, "
        "so nothing can stand in for them.",
    }


@pytest.mark.parametrize("arguments", [[], ["SB-DEC-004"]])
def test_colours_are_for_terminals(arguments: list[str]) -> None:
    on_terminal = CliRunner().invoke(command, arguments, color=True).output
    piped = CliRunner().invoke(command, arguments).output
    assert "\x1b[31m" in on_terminal
    assert "\x1b" not in piped
    assert unstyle(on_terminal) == piped


def test_every_rule_is_in_a_group() -> None:
    assert {rule.group for rule in all_rules().values()} == set(GROUPS.values())


# --- explanations -------------------------------------------------------------------------------


def test_an_explanation_reads_as_a_whole(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(spec_dir().parent)
    ran = safebench(capsys, "rules", "SB-DEC-004")
    assert ran.code == 0
    prints = (GOLDEN / "SB-DEC-004.txt").read_text()
    broken = textwrap.fill(f"Broken when: {all_rules()['SB-DEC-004'].condition}", 100)
    shown = "".join(f"  {line}".rstrip() + "\n" for line in prints.splitlines())
    assert ran.out == (
        "SB-DEC-004  error  Decoding\n"
        "\n"
        "Greedy decoding has no sampling settings.\n"
        "\n"
        "Why: A temperature without effect reads as if it had been measured.\n"
        "\n"
        f"{broken}\n"
        "\n"
        "An example is spec/v1/examples/valid/minimal-plan.yaml with this change:\n"
        "\n"
        "   decoding:\n"
        "  -  - {name: greedy, do_sample: false, max_new_tokens: 48}\n"
        "  +  - {name: greedy, do_sample: false, temperature: 0.7, max_new_tokens: 48}\n"
        "     - {name: t07, do_sample: true, temperature: 0.7, min_p: 0.1, max_new_tokens: 48, "
        "repeats: 3}\n"
        "\n"
        "`safebench validate card.yaml` prints:\n"
        "\n"
        f"{shown}"
        "\n"
        "Read more:\n"
        "  spec/v1/card.md#decoding\n"
        "  spec/v1/examples/invalid/SB-DEC-004\n"
    )


@pytest.mark.parametrize("id", all_rules())
def test_every_rule_is_explained_shortly(id: str, capsys: Capture) -> None:
    rule = all_rules()[id]
    out = safebench(capsys, "rules", id).out
    words = " ".join(out.split())
    assert f"{id} {rule.severity} {rule.group} {rule.title} Why: {rule.rationale}" in words
    example = example_of(id)
    assert example.difference or example.other_files
    assert len(example.difference) <= 24
    assert all(f"  {line}\n" in out for line in example.difference)
    places = [line.strip() for line in out.partition("Read more:\n")[2].splitlines()]
    assert all(Path(place.partition("#")[0]).exists() for place in places), places


def test_a_change_of_files_beside_the_card_is_named(capsys: Capture) -> None:
    out = safebench(capsys, "rules", "SB-EVI-005").out
    assert "valid/submission/card.yaml with this change:\n\n  another notes.txt beside" in out


def test_the_arguments_of_an_example_are_shown(capsys: Capture) -> None:
    out = safebench(capsys, "rules", "SB-CARD-011").out
    assert "`safebench validate card.yaml --level declared` prints:" in out


def test_a_long_change_is_shortened() -> None:
    assert "+ ... (6 more lines)" in example_of("SB-JUD-005").difference
    (removed,) = example_of("SB-EVI-001").difference
    assert removed.startswith("-results: {")
    assert removed.endswith(" ...")
    assert len(removed) < 90


def test_the_change_of_a_long_card_is_told_by_field() -> None:
    assert example_of("SB-EVI-006").difference == (
        "-evidence.files[1].rows: 630",
        "+evidence.files[1].rows: 1000",
    )


def test_several_rules_are_told_apart(capsys: Capture) -> None:
    out = safebench(capsys, "rules", "SB-DEC-004", "SB-HYP-001", "SB-DEC-004").out
    assert out.count("Read more:") == 2
    assert out.index("SB-DEC-004  error") < out.index("-" * 100) < out.index("SB-HYP-001  error")


def test_an_explanation_for_programs(capsys: Capture) -> None:
    (rule,) = json.loads(safebench(capsys, "rules", "SB-HYP-001", "--format", "json").out)["rules"]
    assert rule["example"] == {
        "folder": "spec/v1/examples/invalid/SB-HYP-001",
        "arguments": [],
        "prints": run(INVALID / "SB-HYP-001").output.rstrip("\n"),
        "base": "spec/v1/examples/valid/minimal-plan.yaml",
        "difference": [
            "   epochs: 2",
            "-  checkpoints: [1, 2]",
            "+  checkpoints: [1, 3]",
            "   max_length: 128",
        ],
        "other_files": [],
    }


# --- wrong ids ----------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ["sb-dec-004", "dec-004", "DEC004", "SB_DEC_004", "SB-DEC-04"])
def test_a_near_miss_is_helped(id: str, capsys: Capture) -> None:
    ran = safebench(capsys, "rules", id)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        f"error: there is no rule {id} (did you mean SB-DEC-004?)\n"
        "  Fix: `safebench rules` lists every rule\n"
    )


def test_unknown_ids_are_listed_at_once(capsys: Capture) -> None:
    ran = safebench(capsys, "rules", "SB-HYP-001", "\x1b[2Jhello", "hyp-001")
    assert (ran.code, ran.out) == (2, "")
    assert r"no rule \x1b[2Jhello, hyp-001 (did you mean SB-HYP-001?)" in ran.err


def test_a_severity_is_for_the_list(capsys: Capture) -> None:
    ran = safebench(capsys, "rules", "SB-HYP-001", "--severity", "note")
    assert (ran.code, ran.out) == (2, "")
    assert "--severity limits the list" in ran.err
