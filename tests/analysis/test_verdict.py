"""Where a rerun has no verdict: a trial, few prompts, responses that are the original's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from safebench.analysis.verdict import compare
from safebench.cli.rerun import EXIT
from safebench.evidence.submission import Submission
from safebench.evidence.tables import RESPONSES, make_table, read_responses, write_table
from safebench.evidence.verdicts import RerunReport
from safebench.site import build
from tests.site import made_by_code
from tests.site.made_by_code import Recipe


def pair(root: Path, prompts: int = 120, **limits: Any) -> tuple[Path, Path]:
    """Write a submission and its rerun, which differ in seeds and in every response."""
    home = made_by_code.write_submission(
        root / "board" / "submissions", Recipe(prompts=prompts, repeats=1)
    )
    again = made_by_code.write_rerun(
        home, "again", Recipe("again", prompts=prompts, repeats=1, seeds=(1, 2, 3), draw=5)
    )
    for number, folder in enumerate((home, again)):
        table = read_responses(folder).to_pylist()
        for row in table:
            if row["response"]:
                row["response"] += f" for {('a friend', 'a child')[number]}"
        write_table(make_table(table, RESPONSES), folder / "responses.parquet")
        seal(folder, ["outcomes.parquet", "responses.parquet"], **limits)
    return home, again


def seal(folder: Path, names: list[str], **limits: Any) -> None:
    """Write the digests of a submission's files into its card and manifest."""
    data = made_by_code.read_yaml(folder)
    data["tasks"] = [task | limits for task in data["tasks"]]
    files = made_by_code.describe_files(folder, names)
    data["evidence"]["files"] = [f.model_dump(mode="json", exclude_none=True) for f in files]
    made_by_code.write_manifest(folder, files)
    made_by_code.write_card(folder, data)


def report(home: Path, again: Path, reported: RerunReport | None = None) -> RerunReport:
    return compare(Submission.read(home), Submission.read(again), reported=reported)


def test_a_whole_rerun_has_a_verdict(tmp_path: Path) -> None:
    found = report(*pair(tmp_path))
    assert found.overall in ("reproduced", "not_reproduced", "inconclusive")
    assert {(v.prompts, v.trial, v.identical) for v in found.verdicts} == {(120, None, False)}


@pytest.mark.parametrize(
    ("limits", "extent"),
    [
        ({"limit": 120, "available": 313}, "first 120 of 313 prompts"),
        ({"limit": 120}, "first 120 prompts"),
    ],
)
def test_a_trial_has_none_however_many_prompts(
    limits: dict[str, int], extent: str, tmp_path: Path
) -> None:
    found = report(*pair(tmp_path, **limits))
    assert found.overall == "no_verdict"
    for row in (*found.verdicts, *found.changes):
        assert row.verdict == "no_verdict"
        assert extent in row.reason
    assert {v.trial for v in found.verdicts} == {extent}
    assert {(c.sign, c.size) for c in found.changes} == {("no_verdict", "no_verdict")}


@pytest.mark.parametrize("prompts", [4, 49])
def test_few_prompts_have_none(prompts: int, tmp_path: Path) -> None:
    found = report(*pair(tmp_path, prompts))
    assert found.overall == "no_verdict"
    assert all(f"these are {prompts}" in v.reason for v in found.verdicts)
    assert all(v.lower_points < v.upper_points for v in found.verdicts)  # type: ignore[operator]


def test_nothing_but_reproduced_is_exit_code_0() -> None:
    assert [word for word, code in EXIT.items() if code == 0] == ["reproduced"]
    assert EXIT["no_verdict"] == EXIT["inconclusive"] == 3


def test_the_originals_own_responses_are_a_fact_and_no_verdict(tmp_path: Path) -> None:
    home, again = pair(tmp_path)
    theirs = [row for row in read_responses(home).to_pylist() if row["condition"] == "base"]
    for new, old in zip((1, 2, 3), made_by_code.Recipe().seeds, strict=False):
        theirs += [
            row | {"training_seed": new}
            for row in read_responses(home).to_pylist()
            if row["training_seed"] == old
        ]
    write_table(make_table(theirs, RESPONSES), again / "responses.parquet")
    found = report(home, again)
    assert {(v.verdict, v.identical) for v in found.verdicts} == {("no_verdict", True)}
    assert "byte for byte" in found.verdicts[0].reason
    # Where responses are withheld later, what was said of them stands.
    (again / "responses.parquet").unlink()
    assert {v.identical for v in report(home, again).verdicts} == {None}
    assert report(home, again, reported=found) == found
    one = theirs[-1]["response"]
    assert isinstance(one, str)
    theirs[-1]["response"] = one + "."  # one byte, in one run of one task
    write_table(make_table(theirs, RESPONSES), again / "responses.parquet")
    assert [v.identical for v in report(home, again).verdicts].count(False) == 1


def test_a_board_has_no_badge_for_it(tmp_path: Path) -> None:
    home, again = pair(tmp_path, 12)
    made_by_code.write_report(report(home, again), again)
    site = build(tmp_path / "board", tmp_path / "site").index.parent
    for page, badge in (
        ("index.html", "no verdict: 1 rerun"),
        ("submissions/household.html", "v-no_verdict"),
    ):
        html = (site / page).read_text(encoding="utf-8")
        assert badge in html
        assert "v-reproduced" not in html
        assert "reproduced: 1" not in html
    assert "no_verdict" in (site / "leaderboard.csv").read_text(encoding="utf-8")


def test_a_board_shows_its_own_words_for_a_verdict(tmp_path: Path) -> None:
    home, again = pair(tmp_path)
    found = report(home, again)
    worded = found.verdicts[0].model_copy(update={"reason": "as everybody can see."})
    other = found.model_copy(
        update={
            "verdicts": (worded, *found.verdicts[1:]),
            "environment_differences": ("nothing at all",),
        }
    )
    made_by_code.write_report(other, again)
    site = build(tmp_path / "board", tmp_path / "site").index.parent
    html = (site / "submissions/household.html").read_text(encoding="utf-8")
    assert "as everybody can see" not in html and "nothing at all" not in html


def test_a_board_without_responses_takes_a_verdict_that_saw_them(tmp_path: Path) -> None:
    home, again = pair(tmp_path)
    made_by_code.write_report(report(home, again), again)
    for folder in (home, again):
        (folder / "responses.parquet").unlink()
        seal(folder, ["outcomes.parquet"])
    assert build(tmp_path / "board", tmp_path / "site").reruns == 1
