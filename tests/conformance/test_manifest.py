"""The manifest of the examples: complete, up to date, and what our own commands answer."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from safebench.checks import all_rules
from safebench.checks.discover import find_cards
from safebench.cli.validate import command
from tests.conformance.make_manifest import MANIFEST, Entry, cards, entry, manifest_text
from tests.conformance.runner import EXAMPLES

RUNNER = EXAMPLES / "conformance.py"
DATA: dict[str, Any] = json.loads(MANIFEST.read_text(encoding="utf-8"))
ENTRIES: list[Entry] = DATA["cards"]
OURS = [sys.executable, "-m", "safebench.cli.main", "validate", "--format", "json"]
# A validator that is wrong about everything: it reads nothing and is content.
FINDS_NOTHING = """
import json, sys
paths = [path for path in sys.argv[1:] if path.endswith(".yaml")]
nothing = {"spec": "safebench/1.0", "level": "declared", "completeness": None, "findings": []}
print(json.dumps({"files": [{"path": path, **nothing} for path in paths]}))
"""


def test_the_manifest_is_up_to_date() -> None:
    """Otherwise: python tests/conformance/make_manifest.py, and read what changed.

    That the answers are ours is tested below, card by card.
    """
    assert MANIFEST.read_text(encoding="utf-8") == manifest_text(ENTRIES)
    assert [one["file"] for one in ENTRIES] == [p.relative_to(EXAMPLES).as_posix() for p in cards()]


def test_the_manifest_follows_its_schema() -> None:
    schema = json.loads((EXAMPLES.parent / "manifest.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(DATA)
    assert not validator.is_valid({**DATA, "cards": [{**ENTRIES[0], "line": 1}]})
    assert not validator.is_valid({**DATA, "cards": [{**ENTRIES[0], "level": "gold"}]})


def test_every_example_is_in_the_manifest_and_nothing_else() -> None:
    listed = [one["file"] for one in ENTRIES]
    assert listed == sorted(set(listed))
    assert listed == sorted(p.relative_to(EXAMPLES).as_posix() for p in find_cards(EXAMPLES))


@pytest.mark.parametrize("one", ENTRIES, ids=lambda one: one["file"])
def test_our_reader_answers_as_the_manifest_says(one: Entry) -> None:
    arguments = ["--level", one["level_asked"]] if one["level_asked"] else []
    path = str(EXAMPLES / one["file"])
    result = CliRunner().invoke(command, [path, *arguments, "--format", "json"])
    (file,) = json.loads(result.output)["files"]
    found = [{key: f[key] for key in ("rule", "severity", "pointer")} for f in file["findings"]]
    assert sorted(found, key=_order) == sorted(one["findings"], key=_order) == one["findings"]
    for key in ("spec", "level", "completeness"):
        assert file[key] == one[key]
    assert result.exit_code == one["exit_code"]


def _order(finding: dict[str, str]) -> tuple[str, str, str]:
    return finding["pointer"], finding["rule"], finding["severity"]


def test_every_rule_is_broken_by_an_invalid_example_of_its_name() -> None:
    broken = {
        one["file"].split("/")[1]: {finding["rule"] for finding in one["findings"]}
        for one in ENTRIES
        if one["file"].startswith("invalid/")
    }
    assert broken == {id: {id} for id in all_rules()}


def test_the_answers_are_of_the_severity_of_their_rule() -> None:
    rules = all_rules()
    asked = {one["file"] for one in ENTRIES if one["level_asked"]}
    for one in ENTRIES:
        for finding in one["findings"]:
            if one["file"] not in asked:  # asking for a level makes errors of notes
                assert finding["severity"] == rules[finding["rule"]].severity
    assert asked


def test_the_answers_hold_on_a_later_day() -> None:
    listed = {one["file"]: one for one in ENTRIES}
    for path in cards():
        if not (path.parent / "manifest.json").is_file():  # tables have no day
            later = entry(path, datetime.date(2998, 12, 30))
            assert later == listed[later["file"]], path


def test_the_future_is_read_as_far_as_it_is_known() -> None:
    future = {e["file"].split("/")[1]: e for e in ENTRIES if e["file"].startswith("future/")}
    assert [f["rule"] for f in future["another-major"]["findings"]] == ["SB-CARD-008"]
    fields = future["newer-fields"]
    assert {(f["rule"], f["severity"]) for f in fields["findings"]} == {("SB-CARD-009", "warning")}
    assert fields["level"] == "declared"
    depths = {f["pointer"].count("/") for f in fields["findings"]}
    assert depths == {1, 2, 3}
    words = {(f["rule"], f["pointer"]) for f in future["newer-words"]["findings"]}
    assert ("SB-CARD-009", "/judge/1/kind") in words
    assert ("SB-DEC-004", "/decoding/0/temperature") in words
    assert ("SB-CARD-003", "/hyperparameters/epochs") in {
        (f["rule"], f["pointer"]) for f in future["newer-decider"]["findings"]
    }


# --- the program that tests readers in any language ----------------------------------------------


def compare(*arguments: str, with_: list[str]) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, str(RUNNER), *arguments, "--", *with_]
    return subprocess.run(call, capture_output=True, text=True, timeout=300, check=False)


def test_our_command_passes_the_runner() -> None:
    # What our reader answers to all of them is held against the manifest above, without a command.
    some = [entry for entry in ENTRIES if "invalid/" in entry["file"]]
    done = compare("--only", "invalid/", with_=OURS)
    assert len(some) > 100
    assert done.stdout == (f"{len(some)} cards, 0 answered otherwise than the manifest says.\n"), (
        done.stderr
    )
    assert done.returncode == 0


def test_our_command_passes_one_by_one() -> None:
    done = compare("--one-by-one", "--only", "invalid/SB-CARD-01", with_=OURS)
    assert (done.stdout, done.returncode) == (
        "2 cards, 0 answered otherwise than the manifest says.\n", 0,
    )  # fmt: skip


def test_a_reader_that_finds_nothing_is_found_out(tmp_path: Path) -> None:
    fake = tmp_path / "fake.py"
    fake.write_text(FINDS_NOTHING)
    done = compare(with_=[sys.executable, str(fake)])
    assert done.returncode == 1
    said = done.stdout.splitlines()
    assert (
        "invalid/SB-DEC-004/card.yaml: missing SB-DEC-004 (error) at /decoding/0/temperature"
        in said
    )
    assert "future/another-major/card.yaml: level is 'declared', expected 'incomplete'" in said
    assert (
        f"{len(ENTRIES)} cards, {len(ENTRIES)} answered otherwise than the manifest says." in said
    )
    assert any("exit code 0, expected 2" in line for line in said)


def test_a_finding_too_many_and_a_wrong_exit_code_are_differences(tmp_path: Path) -> None:
    fake = tmp_path / "fake.py"
    fake.write_text(
        "import json, subprocess, sys\n"
        f"done = subprocess.run({OURS!r} + sys.argv[1:], capture_output=True)\n"
        "report = json.loads(done.stdout)\n"
        "findings = report['files'][0]['findings']\n"
        "findings.append(findings[0])\n"
        "print(json.dumps(report))\n"
    )
    done = compare("--only", "invalid/SB-DEC-004", with_=[sys.executable, str(fake)])
    assert done.returncode == 1
    name = "invalid/SB-DEC-004/card.yaml"
    assert done.stdout.splitlines() == [
        f"{name}: exit code 0, expected 1",
        f"{name}: unexpected SB-DEC-004 (error) at /decoding/0/temperature",
        "1 card, 1 answered otherwise than the manifest says.",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("print('hello')", "no report of the cards given"),
        ("print('{\"files\": []}')", "no report of the cards given (KeyError"),
        ("import sys; sys.exit('no such option')", "exit code 1; no such option"),
    ],
)
def test_a_command_that_gives_no_report_is_no_answer(
    content: str, said: str, tmp_path: Path
) -> None:
    fake = tmp_path / "fake.py"
    fake.write_text(content)
    done = compare("--only", "minimal-plan", with_=[sys.executable, str(fake)])
    assert said in done.stdout
    assert (done.returncode, done.stderr) == (2, "")


def test_a_command_that_is_not_there_is_no_answer(tmp_path: Path) -> None:
    done = compare("--only", "minimal-plan", with_=[str(tmp_path / "nothing")])
    assert "No such file" in done.stdout
    assert (done.returncode, done.stderr) == (2, "")
    assert compare("--only", "no such card", with_=OURS).returncode == 2


def test_the_runner_needs_nothing_but_python() -> None:
    call = [sys.executable, "-I", "-S", str(RUNNER), "--help"]
    done = subprocess.run(call, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert "--one-by-one" in done.stdout
