"""Several judges side by side: ranges over judges and over wordings of one, and their agreement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from safebench.analysis.judges import families
from safebench.analysis.measures import Number
from safebench.analysis.report import make_report
from safebench.card.judge import Judge
from safebench.cli.score_formats.interface import FULL, render
from safebench.evidence.submission import Submission
from safebench.evidence.tables import OUTCOMES, make_table, write_table
from tests.command import safebench
from tests.site.made_by_code import TASKS, Recipe, outcomes, plan, write_card, write_submission


def two_judges(root: Path, *, against: bool) -> Path:
    """A submission that a second judge decided, too: alike, or with base and tuned turned."""
    recipe = Recipe(prompts=30, repeats=1, tasks=TASKS[:1])
    folder = write_submission(root, recipe)
    rng = np.random.default_rng(0)
    rows = outcomes(recipe)
    more = []
    for row in rows:
        turn = rng.random() < 0.05 or (against and row["category"] == "fraud")
        score = 1 - row["score"] if turn else row["score"]
        if against and row["condition"] == "base":
            score = 1.0
        verdict = "complied" if score else "refused"
        more.append({**row, "judge": "second", "score": score, "verdict": verdict})
    write_table(make_table(rows + more, OUTCOMES), folder / "outcomes.parquet")
    data = plan(recipe)
    data["judge"].append({**data["judge"][0], "name": "second", "primary": False})
    write_card(folder, data)
    return folder


def test_a_score_is_a_range_over_judges(tmp_path: Path) -> None:
    report = make_report(Submission.read(two_judges(tmp_path, against=False)))
    (one,) = report.judges
    assert [score.judge for score in one.scores] == ["rule", "second"] and not one.turns
    kappa = one.pairs[0].kappa
    assert isinstance(kappa, Number) and 0.7 < kappa.estimate < 1 and kappa.n["prompts"] == 30
    assert sum(c.n for c in one.categories) == 150
    low, high = one.estimates
    shown = " ".join(render(report, FULL).split())
    assert f"judges .{round(low * 100)} to .{round(high * 100)} over rule and second" in shown
    assert "kappa of rule and second ." in shown and "JUDGES DIFFER" not in shown
    assert "one judge: how far another" not in shown
    for style in ("latex", "markdown"):
        assert "Range over judges" in render(report, style)


LLM = {
    "kind": "llm",
    "id": "lab/judge",
    "revision": "a" * 40,
    "prompt_template_sha256": "0" * 64,
    "parser": "yes-no",
    "on_parse_failure": "unparsed",
    "decoding": "greedy",
    "lineage": [],
    "template": {"source": "file", "path": "a.txt", "response": "{r}"},
}


@pytest.mark.parametrize(
    ("others", "wordings"),
    [
        ([{"prompt_template_sha256": "1" * 64}, {"prompt_template_sha256": "2" * 64}], 3),
        (
            [
                {"prompt_template_sha256": "1" * 64},
                {"template": {**LLM["template"], "chat": False}},
            ],
            3,
        ),
        ([{"prompt_template_sha256": "1" * 64}], 2),
        ([{"prompt_template_sha256": "1" * 64}, {"template": {**LLM["template"], "path": "b"}}], 2),
        ([{"prompt_template_sha256": "1" * 64}, {"parser": "last line"}], 2),
        ([{"prompt_template_sha256": "1" * 64}, {"kind": "classifier"}], 2),
    ],
)
def test_judges_that_differ_in_their_template_alone_are_wordings(
    others: list[dict[str, Any]], wordings: int
) -> None:
    entries = [{**LLM, "name": f"llm-{n}", **one} for n, one in enumerate([{}, *others])]
    entries.insert(0, {"name": "rule", "kind": "rule", "id": "rule", "revision": "1"})
    judges = TypeAdapter(tuple[Judge, ...]).validate_json(json.dumps(entries))
    assert len(families(judges)[0]) == wordings


@pytest.mark.parametrize("number_of_judges", [2, 3])
def test_the_range_over_three_wordings_is_given_beside_that_over_judges(
    tmp_path: Path, number_of_judges: int
) -> None:
    folder = two_judges(tmp_path, against=False)
    names = [f"llm-{n}" for n in range(number_of_judges)]
    rows = Submission.read(folder).outcomes.to_pylist()
    kept = [row for row in rows if row["judge"] == "rule"]
    for n, name in enumerate(names):
        for place, row in enumerate(kept[:]):
            if row["judge"] == "rule":
                score = 1.0 if place % 10 < n else row["score"]
                verdict = "complied" if score else "refused"
                kept.append({**row, "judge": name, "score": score, "verdict": verdict})
    write_table(make_table(kept, OUTCOMES), folder / "outcomes.parquet")
    data = plan(Recipe(prompts=30, repeats=1, tasks=TASKS[:1]))
    data["judge"] = data["judge"][:1] + [
        {**LLM, "name": name, "prompt_template_sha256": f"{n}" * 64} for n, name in enumerate(names)
    ]
    write_card(folder, data)
    report = make_report(Submission.read(folder))
    (one,) = report.judges
    shown = " ".join(render(report, FULL).split())
    (entry,) = json.loads(render(report, "json"))["judges"]
    if number_of_judges == 2:
        assert one.wordings == () and entry["wordings"] == []
        assert "llm-0 has 2 wordings of its template" in shown
        return
    (found,) = one.wordings
    assert [score.judge for score in found.scores] == names
    own = [s.estimate for s in found.scores]
    assert found.estimates == (min(own), max(own)) and own == sorted(own)
    assert list(entry["wordings"][0]["scores"]) == names
    assert "over 3 wordings of one judge (llm-0, llm-1 and llm-2), intervals" in shown
    assert "of its template" not in shown


def test_a_change_that_turns_with_the_judge_is_said_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = two_judges(tmp_path, against=True)
    ran = safebench(capsys, "score", folder)
    assert ran.code == 0
    second = ran.out.splitlines()[1]
    assert second.startswith("JUDGES DIFFER  safebench_harm, harm: the change from base has no")
    first = " ".join(ran.out[:400].split())
    assert " by rule and -" in first and " by second" in first
    report = make_report(Submission.read(folder))
    assert report.judges[0].categories[0].name == "fraud"
    found = json.loads(render(report, "json"))["judges"][0]
    assert found["sign_turns"] is True and set(found["scores"]) == {"rule", "second"}
    assert "no sign that the judges agree on" in render(report, "markdown")
