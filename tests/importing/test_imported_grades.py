"""What a grade says of harm or a refusal is never guessed: a person says it, or a card does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from safebench.card.io import load_card
from safebench.errors import InteropError
from safebench.evidence.outcomes import read_outcomes
from safebench.importing.inspect.reader import read_inspect
from safebench.importing.interface import Collected, ModelKey
from safebench.importing.lm_eval.reader import read_lm_eval
from safebench.importing.submission.request import Request
from safebench.importing.submission.write import import_runs
from safebench.importing.tables import read_responses
from safebench.progress import Silent
from tests.importing.test_inspect_logs import log, sample, write
from tests.importing.test_lm_eval_samples import lines, results, row

BASE = ModelKey("base")
PAIR = ("I'm sorry, but I can't help with that.", "Sure! Take a bowl and stir.")


def of_inspect(place: Path, *grades: Any, **more: Any) -> Collected:
    """A log of one scorer, or of two; the first response is a refusal."""
    samples = []
    for number, grade in enumerate(grades, 1):
        choice = {"message": {"content": PAIR[number > 1]}, "stop_reason": "stop"}
        scores = {"judge": {"value": grade}, **{k: {"value": v} for k, v in more.items()}}
        samples.append(sample(number, output={"choices": [choice]}, scores=scores))
    data = log(*samples)
    data["eval"]["scorers"] = [{"name": name, "options": {}} for name in ("judge", *more)]
    return read_inspect(write(place, data), BASE)


def of_lm_eval(place: Path, *grades: Any, better: dict[str, bool] | None = None) -> Collected:
    """Samples of another lab's task, whose metric is called judge."""
    task = ("bench",)
    scores = {"bench": {"judge,none": 1.0}}
    higher = {"bench": better or {}}
    results(place, tasks=task, count=len(grades), results=scores, higher_is_better=higher)
    rows = [
        row(n, PAIR[n > 0], metrics=["judge"], judge=grade, exact_match=...)
        for n, grade in enumerate(grades)
    ]
    lines(place, *rows, task="bench")
    return read_lm_eval(place, BASE)


def of_table(place: Path, *grades: Any, column: str = "verdict") -> Collected:
    """A table with what a judge said."""
    file = place / "rows.jsonl"
    same = {"task": "bench", "condition": "base", "decoding": "greedy"}
    rows = [
        {**same, "prompt": f"how {n}?", "prompt_id": str(n), "response": PAIR[n > 0], column: grade}
        for n, grade in enumerate(grades)
    ]
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return read_responses([file], {}, {}, {"name": "judge", "kind": "classifier", "id": "x"})


def of_scores(place: Path, *grades: Any) -> Collected:
    """The same, with numbers."""
    return of_table(place, *grades, column="score")


def judges(found: Collected) -> set[str]:
    """Those that reported verdicts."""
    return {name for one in found.samples for name in one.judged}


def taken(place: Path, found: Collected, construct: Any, **changes: Any) -> list[str | None]:
    """The verdicts of the judge that came along, in the order of the prompts."""
    settings = (
        {}
        if any(f.place[-1] == "do_sample" for f in found.facts)
        else {"greedy": {"do_sample": False, "max_new_tokens": 8}}
    )
    changes.setdefault("judges", dict.fromkeys(judges(found), ("classifier", "x")))
    constructs = {"bench": construct}
    request = Request(found, place / "out", constructs=constructs, settings=settings, **changes)
    import_runs(request, Silent())
    rows = read_outcomes(place / "out").to_pylist()
    return [r["verdict"] for r in rows if r["judge"] == "judge"]


READERS = [of_inspect, of_lm_eval, of_table, of_scores]
GRADES = {
    of_inspect: [(True, False), ("C", "I"), (1, 0), (1.0, 0.0), ("refusal", "answer"), ("C", "R")],
    of_lm_eval: [(1.0, 0.0), (True, False), (1, 0)],
    of_table: [(True, False), (1, 0), ("1", "0"), ("yes", "no")],
    of_scores: [(1, 0), (1.0, 0.0), ("1", "0")],
}
CASES = [(reader, grades) for reader in READERS for grades in GRADES[reader]]


def word(reader: Any, grade: Any) -> str:
    if reader is of_lm_eval:  # a number, whatever logged it
        return f"{float(grade):g}"
    return str(grade) if isinstance(grade, bool | str) else f"{grade:g}"


@pytest.mark.parametrize("construct", ["harm", "over_refusal"])
@pytest.mark.parametrize(("reader", "grades"), CASES)
def test_a_grade_is_asked_about_and_taken_as_it_is_told(
    reader: Any, grades: tuple[Any, Any], construct: str, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    found = reader(tmp_path / "in", *grades)
    first, second = (word(reader, grade) for grade in grades)
    with pytest.raises(InteropError) as caught:
        taken(tmp_path, found, construct)
    assert not (tmp_path / "out").exists()
    assert "judge" in str(caught.value) and f"{first!r}" in str(caught.value)
    assert f"means for {construct}" in str(caught.value)
    assert f"{first} (1)" in str(caught.value) and f"{second} (1)" in str(caught.value)
    fix = str(caught.value.fix)
    for one, other in ((first, second), (second, first)):
        assert f"--label '{one}=complied'" in fix and f"--label '{other}=refused'" in fix
    key = "judge:" if construct == "harm" else ""
    labels = {f"{key}{first}": "refused", second: "complied"}
    assert taken(tmp_path, found, construct, labels=labels) == ["refused", "complied"]


@pytest.mark.parametrize(("reader", "grades"), CASES)
def test_a_score_of_capability_is_what_it_is(
    reader: Any, grades: tuple[Any, Any], tmp_path: Path
) -> None:
    if reader is of_table or "R" in grades or "refusal" in grades:
        return
    (tmp_path / "in").mkdir()
    taken(tmp_path, reader(tmp_path / "in", *grades), "capability", labels={"1": "refused"})
    (score,) = load_card(tmp_path / "out" / "card.yaml").given_results.scores
    assert score.estimate == 0.5


@pytest.mark.parametrize("grade", ["maybe", 7, "R"])
def test_a_word_is_no_score_of_capability(grade: Any, tmp_path: Path) -> None:
    with pytest.raises(InteropError, match=rf"sample 1: .*\({grade}\) on capability"):
        taken(tmp_path, of_inspect(tmp_path / "in", grade), "capability")


def test_verdicts_of_the_standard_need_no_label(tmp_path: Path) -> None:
    found = of_inspect(tmp_path / "in", "refused", "complied")
    assert taken(tmp_path, found, "harm") == ["refused", "complied"]


def test_the_grades_of_xstest(tmp_path: Path) -> None:
    found = of_inspect(tmp_path / "in", "R", "C", "P", "C")
    with pytest.raises(InteropError) as caught:
        taken(tmp_path, found, "over_refusal")
    assert "C (2), P (1), R (1)" in str(caught.value)
    assert "--label 'C=complied' --label 'P=partial' --label 'R=refused'" in str(caught.value.fix)
    labels = {"C": "complied", "P": "partial", "R": "refused"}
    assert taken(tmp_path, found, "over_refusal", labels=labels)[0] == "refused"


def test_one_word_of_two_judges(tmp_path: Path) -> None:
    found = of_inspect(tmp_path / "in", "C", other="C")
    with pytest.raises(InteropError) as caught:
        taken(tmp_path, found, "harm")
    assert "--label 'judge:C=complied'" in str(caught.value.fix)
    labels = {"judge:C": "refused", "other:C": "complied"}
    assert taken(tmp_path, found, "harm", labels=labels) == ["refused"]


def test_a_score_of_harm_counts_from_where_a_card_says(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    found = of_scores(tmp_path / "in", 0.2, 0.9)
    with pytest.raises(InteropError) as caught:
        taken(tmp_path, found, "harm")
    assert "`threshold` of this judge" in str(caught.value.fix)
    file = tmp_path / "answers.yaml"
    file.write_text(yaml.safe_dump({"judge": [{"name": "judge", "threshold": 0.5}]}))
    assert taken(tmp_path, found, "harm", card=file) == ["refused", "complied"]
    with pytest.raises(InteropError, match="means for over_refusal"):
        taken(tmp_path / "no", replace(found), "over_refusal", card=file)


def test_many_grades_are_cut(tmp_path: Path) -> None:
    found = of_inspect(tmp_path / "in", *range(2, 30))
    with pytest.raises(InteropError) as caught:
        taken(tmp_path, found, "harm")
    assert "and 20 more" in str(caught.value) and len(str(caught.value.fix)) < 200
