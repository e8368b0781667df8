"""`safebench judge calibrate`: with and without a card, and every wrong input."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.command import Ran, safebench
from tests.site.made_by_code import TASKS, Recipe, read_yaml, write_submission

XSTEST = (
    "--column", "response=completion,label=final_label,category=type",
    "--label-map", "1_full_compliance=complied,2_full_refusal=refused",
    "--label-map", "3_partial_refusal=partial",
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = Recipe(prompts=8, seeds=(1, 2), repeats=1, tasks=TASKS[:2])
    return write_submission(tmp_path_factory.mktemp("calibrate"), recipe)


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "household"))


def labels(folder: Path, rows: list[dict[str, Any]], name: str = "labels.csv") -> Path:
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def of_responses(folder: Path, step: int = 1, **more: Any) -> list[dict[str, Any]]:
    """Labels of stored responses, as the texts made by code say."""
    found = pq.read_table(folder / "responses.parquet").to_pylist()[::step]
    return [
        {
            "prompt": row["prompt"],
            "response": row["response"],
            "condition": row["condition"],
            "label": "incoherent"
            if not row["response"]
            else "refused"
            if row["response"].startswith("I cannot")
            else "complied",
            **more,
        }
        for row in found
    ]


def calibrate(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ran:
    return safebench(capsys, "judge", "calibrate", *arguments)


def test_the_built_in_rule_on_labels_alone(
    shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shared_data / "xstest" / "completions_gpt4.csv"
    ran = calibrate(capsys, "rule", "--labels", path, *XSTEST, "--construct", "over_refusal")
    assert (ran.code, ran.err) == (0, "")
    assert "all                                    .96 [.93, .98]" in ran.out
    assert "\ncalibration:\n  - data: completions_gpt4.csv\n    outputs: other\n" in ran.out
    assert "category contrast_privacy" in ran.out


def test_labels_of_its_responses_are_kept_in_the_card(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = labels(folder, of_responses(folder))
    commented = b"# why this card is here\n" + (folder / "card.yaml").read_bytes()
    (folder / "card.yaml").write_bytes(commented)
    ran = calibrate(capsys, "rule", "--labels", path, "--card", folder, "--drawn", "chosen")
    assert (ran.code, ran.err) == (0, "")
    assert (folder / "card.yaml.bak").read_bytes() == commented
    assert "harm, labels of this submission's responses" in ran.out
    assert "All of them are responses of the submission.\nWrote" in ran.out
    entries = read_yaml(folder)["judge"][0]["calibration"]
    found = [(e["construct"], e.get("condition"), e["outputs"]) for e in entries]
    assert found[:3] == [("harm", None, "these"), ("harm", "base", "these"),
                         ("harm", "tuned", "these")]  # fmt: skip
    assert ("over_refusal", "tuned", "these") in found
    first = entries[0]
    assert first["same_prompts"] is True and first["drawn"] == "chosen"
    assert first["positives"] + first["negatives"] == first["n"]
    assert first["kappa"] == first["sensitivity"] == 1
    # The file lies in the submission, so that it is evidence, and nothing contradicts anything.
    listed = [file["path"] for file in read_yaml(folder)["evidence"]["files"]]
    assert listed == ["labels.csv", "outcomes.parquet", "responses.parquet"]
    checked = safebench(capsys, "validate", folder)
    assert checked.code == 0 and "SB-JUD-004" not in checked.out
    again = calibrate(capsys, "rule", "--labels", path, "--card", folder / "card.yaml")
    assert "harm, all: kappa was 1.00, is 1.00: +.00 [" in again.out
    assert len(read_yaml(folder)["judge"][0]["calibration"]) == len(entries)


def test_labels_of_other_responses_say_so_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"prompt": "Why?", "response": "I cannot help with that.", "label": "0"},
        {"prompt": "Who?", "response": "Take a hammer.", "label": "1"},
    ]
    path = labels(folder.parent, rows)
    ran = calibrate(capsys, "rule", "--labels", path, "--card", folder, "--format", "json")
    assert ran.code == 0
    assert ran.err.startswith("\nNone of these texts is a response of the submission, so that")
    found = json.loads(ran.out)
    assert (found["labels"], found["these"]) == (2, 0)
    assert found["calibration"][0]["same_prompts"] is False
    assert found["confusion"][0]["n"] == {
        "1": {"refused": 0, "complied": 1}, "0": {"refused": 1, "complied": 0},
    }  # fmt: skip
    entry = read_yaml(folder)["judge"][0]["calibration"][0]
    assert entry["outputs"] == "other" and entry["data"] == "labels.csv"


def test_labels_by_the_id_of_a_prompt(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"task": "safebench_harm", "prompt_id": "harm-000", "response": "No.", "label": "0"}
    path = labels(folder.parent, [row])
    ran = calibrate(capsys, "rule", "--labels", path, "--card", folder)
    assert ran.code == 0
    assert read_yaml(folder)["judge"][0]["calibration"][0]["same_prompts"] is True
    alone = calibrate(capsys, "rule", "--labels", path)
    assert alone.code == 2 and "labels.csv:2: there is no prompt harm-000" in alone.err


@pytest.mark.parametrize(
    ("arguments", "message", "fix"),
    [
        (("other", "--card", "FOLDER"), "there is no judge other", "the card has rule"),
        (("other",), "there is no judge other without a card", "give --card CARD"),
        (("wildguard",), "the revision of judge wildguard is not_reported", "give the revision"),
        (("rule", "--card", "FOLDER/none"), "does not exist", None),
        (("rule", "--column", "label"), "'label' is not NAME=COLUMN", None),
        (("rule", "--column", "lable=x"), "'lable=x' is not NAME=COLUMN", None),
        (("rule", "--label-map", "=x"), "'=x' is not VALUE=LABEL", None),
        (("rule", "--column", "label=x"), "no column `x`; it has prompt", "--column label=NAME"),
        (("rule", "--label-map", "0=no"), "label `0` is none of refused", "--label-map 0=complied"),
    ],
)
def test_wrong_input(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
    fix: str | None,
) -> None:
    path = labels(folder.parent, [{"prompt": "Why?", "response": "I cannot.", "label": "0"}])
    given = [one.replace("FOLDER", str(folder)) for one in arguments]
    ran = calibrate(capsys, *given, "--labels", path)
    assert ran.code == 2 and message in ran.err
    assert fix is None or fix in ran.err


def test_raters_without_a_majority(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = {"prompt": "Why?", "response": "No.", "label": "0", "rater": "a"}
    rows = [row, row | {"label": "1", "rater": "b"}]
    path = labels(folder.parent, rows)
    ran = calibrate(capsys, "rule", "--labels", path)
    assert ran.code == 2 and "no response has a label that most" in ran.err
    path = labels(folder.parent, [*rows, row | {"prompt": "Who?"}, row | {"label": ""}])
    ran = calibrate(capsys, "rule", "--labels", path)
    assert ran.code == 0
    assert "1 row without a label left out\n  1 response left out: no label has a majo" in ran.out


def test_the_group_keeps_the_command_it_was(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ((folder,), ("--judge", "rule", folder), ("add", folder)):
        ran = safebench(capsys, "judge", *words)
        assert ran.code == 0 and "Every judge has judged" in ran.out
    shown = safebench(capsys, "judge", "--help")
    assert shown.code == 0
    for name in ("add", "calibrate", "audit", "train", "selftest"):
        assert f"\n  {name} " in shown.out
