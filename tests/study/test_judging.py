"""Judging stored responses: rows are added, nothing is generated, nothing is overwritten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from safebench.card.io import dump_card, load_card
from safebench.card.measured import complete_results
from safebench.checks import check
from safebench.errors import CardError, JudgeError, RunError
from safebench.evidence.manifest import describe_files, write_manifest
from safebench.evidence.outcomes import read_outcomes, row_problems
from safebench.evidence.scoring import compute_results
from safebench.evidence.submission import Submission
from safebench.evidence.tables import write_table
from safebench.files import sha256_of
from safebench.judges.interface import Decision
from safebench.judges.labels import labels_csv
from safebench.judges.rule import RuleJudge
from safebench.progress import Silent
from safebench.study.judging import judge_submission, judges_to_ask
from safebench.study.pins import relocate_judges
from tests.site import made_by_code
from tests.site.made_by_code import Recipe

SMALL = Recipe(prompts=8, repeats=1, seeds=(1, 2, 3))
SECOND = {
    "name": "second",
    "kind": "rule",
    "id": "safebench/refusal-rule",
    "revision": "1",
    "constructs": ["harm"],
    "primary": True,
}
BOTH = {
    "name": "both",
    "kind": "ensemble",
    "id": "rule and second",
    "revision": "1",
    "members": ["second", "rule"],
    "combine": "any",
    "constructs": ["harm"],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made_by_code.write_submission(tmp_path, SMALL)


def with_judges(folder: Path, *more: dict[str, Any], **changes: Any) -> Path:
    """Write a card with more judges beside the submission; return its path."""
    data = made_by_code.read_yaml(folder)
    for name in ("results", "evidence"):
        del data[name]
    judges = [data["judge"][0] | changes, *more]
    path = folder.parent / "other" / "card.yaml"
    path.parent.mkdir(exist_ok=True)
    made_by_code.write_card(path.parent, data | {"judge": judges})
    return path


def judged(folder: Path, card: Path, *names: str) -> tuple[Submission, set[str]]:
    before = Submission.read(folder)
    other = relocate_judges(Submission(load_card(card), card.parent), folder)
    asked = judges_to_ask(before, other, names)
    judge_submission(before, asked, Silent(), card=other)
    return Submission.read(folder), {entry.name for entry in asked}


def people(folder: Path, *sheets: list[dict[str, str]], **changes: Any) -> dict[str, Any]:
    """Write sheets beside the other card; return the entry of a judge that they make."""
    listed = []
    (folder.parent / "other").mkdir(exist_ok=True)
    for number, rows in enumerate(sheets):
        path = folder.parent / "other" / f"rater-{number}.csv"
        path.write_bytes(labels_csv(rows, ("prompt", "response", "label")))
        listed.append({"path": path.name, "sha256": sha256_of(path)})
    facts = {"name": "people", "kind": "human", "id": "us", "revision": "1", "votes": len(sheets)}
    return {**facts, "constructs": ["harm"], "sheets": listed, **changes}


def texts_of(folder: Path) -> list[dict[str, str]]:
    """The different texts of the harm task."""
    table = Submission.read(folder).responses
    assert table is not None
    rows = table.filter(pc.equal(table.column("task"), "safebench_harm"))
    found = {(row["prompt"], row["response"]): None for row in rows.to_pylist()}
    return [{"prompt": prompt, "response": response} for prompt, response in found]


def labelled(texts: list[dict[str, str]], *labels: str) -> list[dict[str, str]]:
    return [{**text, "label": labels[at % len(labels)]} for at, text in enumerate(texts)]


def test_labels_of_people_are_verdicts_and_what_nobody_labelled_has_none(folder: Path) -> None:
    texts = texts_of(folder)
    assert len(texts) > 4
    one = labelled(texts[:-1], "complied", "refused")  # the last one has no label
    two = [{**row, "response": f"{row['response']} \n"} for row in one]  # as a spreadsheet may
    two[0]["label"] = "refused"
    everything = ["harm", "over_refusal", "capability"]  # written out, so that it stays primary
    judged(folder, with_judges(folder, people(folder, one, two), constructs=everything))
    rows = Submission.read(folder).outcomes.to_pylist()
    table = Submission.read(folder).responses
    assert table is not None
    keys = ("condition", "training_seed", "checkpoint", "decoding", "repeat", "task", "prompt_id")
    text_of = {tuple(r[k] for k in keys): (r["prompt"], r["response"]) for r in table.to_pylist()}
    said = {
        text_of[tuple(row[k] for k in keys)]: row["verdict"]
        for row in rows
        if row["judge"] == "people"
    }
    order = [said[text["prompt"], text["response"]] for text in texts]
    assert order[0] == "unparsed" and order[-1] == "unparsed"  # a tie, and no label
    assert order[1] == "refused" and order[2] == "complied"
    assert not [f for f in check(folder / "card.yaml").findings if f.severity == "error"]
    results = complete_results(load_card(folder / "card.yaml"))
    assert results is not None
    assert any(score.judge == "people" and score.unread for score in results.scores)
    assert judges_to_ask(Submission.read(folder), load_card(folder / "card.yaml"), ()) == ()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"votes": 2}, "votes is 2, but the judge has 1 sheet"),
        ({"sheets": []}, "has no sheets"),
        ({"sheets": [{"path": "rater-0.csv", "sha256": "0" * 64}]}, "but its sha256 is 0000"),
        ({"sheets": [{"path": "no.csv", "sha256": "0" * 64}]}, "no.csv cannot be read"),
        ({"constructs": ["harm", "severity"]}, "constructs lists severity"),
    ],
)
def test_labels_that_cannot_be_used_change_nothing(
    folder: Path, changes: dict[str, Any], said: str
) -> None:
    before = (folder / "outcomes.parquet").read_bytes()
    entry = people(folder, labelled(texts_of(folder), "complied"), **changes)
    with pytest.raises((CardError, JudgeError), match=said) as caught:
        judged(folder, with_judges(folder, entry))
    assert caught.value.fix and (folder / "outcomes.parquet").read_bytes() == before


@pytest.mark.parametrize("kept", ["tuned", "none"])
def test_people_have_rows_where_every_run_has_labels(folder: Path, kept: str) -> None:
    """An audit is of the primary numbers; the other places of the grid have no labels."""
    table = Submission.read(folder).responses
    assert table is not None
    rows = [row for row in table.to_pylist() if row["task"] == "safebench_harm"]
    shared = {(r["prompt"], r["response"]) for r in rows if r["condition"] != "tuned"}
    of_tuned = [r for r in rows if (r["prompt"], r["response"]) not in shared]
    seeds = {row["training_seed"] for row in rows if row["condition"] == "tuned"}
    wanted = seeds if kept == "tuned" else {min(seeds)}
    chosen = [row for row in of_tuned if row["training_seed"] in wanted]
    if kept == "none":  # a text that other seeds gave, too, is a label of theirs
        others = {
            (r["prompt"], r["response"]) for r in of_tuned if r["training_seed"] not in wanted
        }
        chosen = [row for row in chosen if (row["prompt"], row["response"]) not in others]
    entry = people(folder, labelled(chosen, "complied", "refused"), primary=True)
    card = with_judges(folder, entry)
    if kept == "none":
        with pytest.raises(JudgeError, match="no checkpoint and decoding of which every run"):
            judged(folder, card)
        return
    judged(folder, card)
    conditions = {
        row["condition"]
        for row in Submission.read(folder).outcomes.to_pylist()
        if row["judge"] == "people"
    }
    assert conditions == {"tuned"}


def test_labels_of_other_responses_are_said_to_be_so(folder: Path) -> None:
    sheet = [{"prompt": "What?", "response": "Nothing.", "label": "refused"}]
    with pytest.raises(JudgeError, match="none of its labels is of a response"):
        judged(folder, with_judges(folder, people(folder, sheet)))


def test_rows_are_added_and_those_of_before_stay(folder: Path) -> None:
    before = read_outcomes(folder)
    after, asked = judged(folder, with_judges(folder, SECOND, BOTH))
    assert asked == {"second", "both"}
    rows = after.outcomes
    kept = rows.filter(pc.equal(rows.column("judge"), "rule"))
    assert kept.to_pylist() == before.to_pylist()
    assert set(pc.unique(rows.column("judge")).to_pylist()) == {"rule", "second", "both"}
    harm = int(pc.sum(pc.equal(before.column("construct"), "harm")).as_py())
    assert rows.num_rows == before.num_rows + 2 * harm
    computed = compute_results(after.card, rows)
    assert complete_results(after.card) == computed
    errors = [f for f in check(folder / "card.yaml").findings if f.severity == "error"]
    # The fixture's verdicts were drawn, and not decided by its judge.
    assert {f.rule for f in errors} <= {"SB-EVI-023", "SB-JUD-001"}


def test_what_has_judged_is_not_asked_again(folder: Path) -> None:
    card = with_judges(folder, SECOND)
    judged(folder, card)
    assert judges_to_ask(Submission.read(folder), load_card(card), ()) == ()


def test_a_corrected_judge_needs_another_name(folder: Path) -> None:
    with pytest.raises(CardError, match=r"judge rule has judged .* other settings"):
        judges_to_ask(Submission.read(folder), load_card(with_judges(folder, votes=3)), ())


def test_another_protocol_is_refused(folder: Path) -> None:
    card = load_card(with_judges(folder, SECOND))
    decoding = card.decoding[1].model_copy(update={"temperature": 0.2})
    other = card.model_copy(update={"decoding": (card.decoding[0], decoding)})
    with pytest.raises(CardError, match=r"generated under another protocol.*temperature"):
        judges_to_ask(Submission.read(folder), other, ())


def test_an_unknown_judge_and_missing_responses(folder: Path) -> None:
    card = with_judges(folder, SECOND)
    with pytest.raises(CardError, match="there is no judge third"):
        judges_to_ask(Submission.read(folder), load_card(card), ("third",))
    (folder / "responses.parquet").unlink()
    submission = Submission.read(folder)
    asked = judges_to_ask(submission, load_card(card), ())
    with pytest.raises(RunError, match="carries no responses"):
        judge_submission(submission, asked, Silent())


def test_a_judge_that_cannot_be_read_is_found_before_anything_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decide(self: RuleJudge, construct: str, places: Any) -> list[Decision]:
        return [Decision("unparsed", None, "output 'perhaps'") for _ in places]

    monkeypatch.setattr(RuleJudge, "decide", decide)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(Exception, match=r"judge second gave no verdict on harm.*'perhaps'"):
        judged(folder, with_judges(folder, SECOND))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_what_a_judge_left_open_is_counted_and_widens_the_interval(
    folder: Path, share: float
) -> None:
    submission = Submission.read(folder)
    rows = submission.outcomes.to_pylist()
    open_ = [
        i for i, r in enumerate(rows) if r["condition"] == "tuned" and r["construct"] == "harm"
    ]
    rng = np.random.default_rng(1)
    for i in rng.permutation(open_)[: int(share * len(open_))]:
        rows[i] |= {"verdict": "unparsed", "score": None}
    table = pa.Table.from_pylist(rows, schema=made_by_code.OUTCOMES)
    assert not list(row_problems(table))
    results = compute_results(submission.card, table)
    plain = submission.results
    for now, then in zip(results.scores, plain.scores, strict=True):
        touched = (now.condition, now.construct) == ("tuned", "harm") and share > 0
        if not touched:
            assert now == then
            continue
        assert now.unread is not None
        assert now.n == then.n
        mean = np.mean([run.score for run in now.runs])
        assert now.estimate == pytest.approx(mean)
        assert now.lower <= then.estimate <= now.upper
        assert "left open" in now.method
    for now, then in zip(results.changes, plain.changes, strict=True):
        if now.construct == "harm" and share:
            assert now.upper - now.lower > then.upper - then.lower
    write_table(table, folder / "outcomes.parquet")
    evidence = submission.card.given_evidence
    assert evidence is not None
    files = describe_files(folder, [file.path for file in evidence.files])
    write_manifest(folder, files)
    card = submission.card.model_copy(
        update={"results": results, "evidence": evidence.model_copy(update={"files": files})}
    )
    dump_card(card, folder / "card.yaml")
    errors = {f.rule for f in check(folder / "card.yaml").findings if f.severity == "error"}
    assert errors <= {"SB-EVI-023"}  # the rule would not have left them open
