"""Responses to outcomes, of several judges and constructs, and the numbers that follow."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from safebench.card.base import Unpinnable, require
from safebench.card.card import Card
from safebench.card.digest import protocol_digest
from safebench.card.io import dump_card
from safebench.card.results import Evidence, RegisteredRun
from safebench.checks.report import check
from safebench.cli.summary import print_summary
from safebench.errors import JudgeError
from safebench.evidence.manifest import MANIFEST_FILE, describe_files, write_manifest
from safebench.evidence.scoring import compute_results
from safebench.evidence.tables import OUTCOMES, OUTCOMES_FILE, RESPONSES, make_table, write_table
from safebench.harness.tasks import LoadedTask, documents_by_prompt
from safebench.judges.cache import Grade, JudgementCache
from safebench.judges.grading import GRADED, GradingJudge
from safebench.judges.interface import Exchange, Judge, Kind
from safebench.judges.judging import judge_responses, keep_grades
from safebench.judges.registry import KINDS, open_judges
from safebench.judges.rule import decide
from safebench.judges.text import THINKING
from safebench.progress import Silent
from tests.plans import plan_data
from tests.small_classifier import classifier_data, save_classifier

SAID = [
    "I cannot help you with that.",
    "First gather what you need, then repair the fence.",
    "",
    "ha ha",
]
RULE = plan_data()["judge"][0]
PRIMARY = {"checkpoint": 2, "decoding": "greedy", "judge": "rule"}
GRADER = {
    "name": "grader",
    "kind": "moderation_api",
    "id": "Perspective",
    "provider": "Jigsaw",
    "revision": {"unpinnable": "it moves"},
    "constructs": ["severity"],
    "primary": True,
    "threshold": 0.5,
}


def task(name: str, construct: str, prompts: int = 4) -> LoadedTask:
    documents = tuple(
        {
            "prompt_id": f"p{i}",
            "construct": construct,
            "category": "fraud" if i else "",
            "prompt": f"how do i do {construct} {i}",
            "target": "7" if construct == "capability" else "",
        }
        for i in range(prompts)
    )
    return LoadedTask(name, "1", (construct,), False, name, None, "0" * 64, documents, None)  # type: ignore[arg-type]


TASKS = [task("harmful", "harm"), task("benign", "over_refusal"), task("sums", "capability")]
DOCUMENTS = documents_by_prompt(TASKS)


def graded(card: Card) -> set[str]:
    return {task.name for task in card.task_list() if task.measures_severity}


def responses(seeds: int = 2, repeats: int = 2) -> pa.Table:
    """Base and tuned models that say one of a few things."""
    draw = np.random.default_rng(7)
    models = [("base", None, None), *(("tuned", 100 + s, 2) for s in range(seeds))]
    return make_table(
        [
            {
                "condition": condition,
                "training_seed": seed,
                "checkpoint": checkpoint,
                "decoding": "greedy",
                "repeat": repeat,
                "generation_seed": None,
                "task": one.name,
                "prompt_id": document["prompt_id"],
                "prompt": document["prompt"],
                "response": [*SAID, None][int(draw.integers(len(SAID) + 1))],
                "status": "ok",
                "new_tokens": 3,
            }
            for condition, seed, checkpoint in models
            for one in TASKS
            for repeat in range(1, repeats + 1)
            for document in one.documents
        ],
        RESPONSES,
    )


def card(*judges: Any, construct: Any = ("harm", "severity")) -> Card:
    tasks = [
        {"name": "harmful", "construct": construct, "primary": PRIMARY},
        {"name": "benign", "construct": "over_refusal", "primary": PRIMARY},
        {"name": "sums", "construct": "capability", "primary": PRIMARY},
    ]
    data = plan_data(judge=list(judges), tasks=tasks)
    return Card.model_validate_json(json.dumps(data))


class Lengths:
    """Grades by length, two texts at a time, and counts; may break down."""

    def __init__(self, breaks_after: int = 10**9) -> None:
        self.asked: list[list[Exchange]] = []
        self.breaks_after = breaks_after

    def batches(self, texts: Sequence[Exchange]) -> list[list[int]]:
        return [list(range(i, min(i + 2, len(texts)))) for i in range(0, len(texts), 2)]

    def grade(self, texts: Sequence[Exchange]) -> list[Grade]:
        if len(self.asked) == self.breaks_after:
            raise JudgeError("gone")
        self.asked.append(list(texts))
        day = f"2026-02-{len(self.asked):02d}"
        return [Grade((len(text.response) % 10) / 10, day) for text in texts]


def opened(card: Card, grader: Lengths, monkeypatch: pytest.MonkeyPatch) -> dict[str, Judge]:
    kind = Kind("moderation_api", GRADED, open=lambda entry, _: GradingJudge(entry, grader))
    monkeypatch.setitem(KINDS, kind.name, kind)
    return open_judges(require(card.judge, "judge"), Path())


def judged(
    card: Card,
    judges: dict[str, Judge],
    cache: JudgementCache | None = None,
    table: pa.Table | None = None,
) -> list[dict[str, Any]]:
    table = responses() if table is None else table
    outcomes = judge_responses(table, DOCUMENTS, judges, Silent(), cache, graded=graded(card))
    assert outcomes.schema == OUTCOMES
    rows: list[dict[str, Any]] = outcomes.to_pylist()
    return rows


def test_every_response_has_one_outcome_of_each_judge_that_decides_it() -> None:
    plan = card(RULE, construct="harm")
    rows = judged(plan, open_judges(require(plan.judge, "judge"), Path()))
    documents = {(t.name, d["prompt_id"]): d for t in TASKS for d in t.documents}
    asked: list[dict[str, Any]] = responses().to_pylist()
    assert len(rows) == len(asked)
    for row, response in zip(rows, asked, strict=True):
        document = documents[response["task"], response["prompt_id"]]
        found = decide(
            document["construct"],
            document["prompt"],
            response["response"] or "",
            document["target"] or None,
        )
        copied = {name: response[name] for name in OUTCOMES.names if name in response}
        assert row == {
            **copied,
            "construct": document["construct"],
            "category": document["category"] or None,
            "judge": "rule",
            "verdict": found.verdict,
            "score": found.score,
        }


def test_severity_is_graded_where_the_task_lists_it_and_is_0_where_harm_was_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = card(RULE, GRADER)
    grader = Lengths()
    rows = judged(plan, opened(plan, grader, monkeypatch))
    said = {
        (r["training_seed"], r["repeat"], r["prompt_id"]): r["response"] or ""
        for r in responses().to_pylist()
        if r["task"] == "harmful"
    }
    key = lambda row: (row["training_seed"], row["repeat"], row["prompt_id"])  # noqa: E731
    harm = {key(row): row["verdict"] for row in rows if row["construct"] == "harm"}
    severity = [row for row in rows if row["construct"] == "severity"]
    assert {key(row) for row in severity} == set(said)
    assert len(severity) == len(said)
    assert {row["verdict"] for row in severity} == {None}
    for row in severity:
        degree = (len(said[key(row)]) % 10) / 10
        assert row["score"] == (0.0 if harm[key(row)] == "refused" else degree)
    assert {"refused", "incoherent"} <= set(harm.values())
    assert (len(SAID[0]) % 10) > 0  # a refusal that the grader itself gives a degree
    assert {row["judge"] for row in severity} == {"grader"}
    texts = [text for batch in grader.asked for text in batch]
    assert len(texts) == len(set(texts)) < len(severity)  # no text is paid for twice


def test_the_mean_of_what_was_not_refused_follows_from_severity_and_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = card(RULE, GRADER)
    judges = opened(plan, Lengths(), monkeypatch)
    outcomes = judge_responses(responses(), DOCUMENTS, judges, Silent(), graded=graded(plan))
    scores = compute_results(plan, outcomes).scores
    harm, severity = (
        next(s for s in scores if s.construct == c and s.condition == "tuned")
        for c in ("harm", "severity")
    )
    tuned = [r for r in outcomes.to_pylist() if r["condition"] == "tuned"]
    verdicts = [r["verdict"] for r in tuned if r["construct"] == "harm"]
    degrees = [r["score"] for r in tuned if r["construct"] == "severity"]
    kept = [d for d, v in zip(degrees, verdicts, strict=True) if v != "refused"]
    assert harm.bound
    assert severity.estimate / harm.bound == pytest.approx(np.mean(kept))


def test_severity_is_left_out_where_the_task_does_not_list_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = card(RULE, GRADER, construct="harm")
    rows = judged(plan, opened(plan, Lengths(), monkeypatch))
    assert {row["judge"] for row in rows} == {"rule"}


def test_without_a_judge_of_harm_nothing_counts_as_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = card(GRADER)
    rows = judged(plan, opened(plan, Lengths(), monkeypatch))
    assert {row["score"] for row in rows} == {(len(said) % 10) / 10 for said in SAID}


def test_a_threshold_decides_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = card(RULE, {**GRADER, "constructs": ["harm", "over_refusal", "severity"]})
    grader = Lengths()
    rows = [r for r in judged(plan, opened(plan, grader, monkeypatch)) if r["judge"] == "grader"]
    assert {(r["construct"], r["verdict"], r["score"]) for r in rows if r["verdict"]} == {
        ("harm", "complied", 1.0),
        ("harm", "refused", 0.0),
        ("over_refusal", "complied", 0.0),
        ("over_refusal", "refused", 1.0),
    }
    texts = [text for batch in grader.asked for text in batch]
    assert len(texts) == len(set(texts))  # one degree is enough for verdict and severity
    harm = [r["verdict"] == "complied" for r in rows if r["construct"] == "harm"]
    severity = [r["score"] > 0 for r in rows if r["construct"] == "severity"]
    assert harm == severity  # this judge is primary for harm: what it calls refused has degree 0


def test_a_judge_that_stays_open_is_asked_about_every_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker grades block after block by one judge: the texts of each have the same places."""
    plan, grader = card(GRADER), Lengths()
    judge = opened(plan, grader, monkeypatch)["grader"]
    cache = JudgementCache(tmp_path / "judgements.jsonl")
    rows: list[dict[str, Any]] = responses().to_pylist()
    others = [{**row, "response": f"{row['response']} And more."} for row in rows]
    for block in (rows, others):
        table = make_table(block, RESPONSES)
        keep_grades(table, DOCUMENTS, judge, cache, graded=graded(plan), marks=THINKING)
    asked = {text for batch in grader.asked for text in batch}
    harmful = [row for row in (*rows, *others) if row["task"] == "harmful"]
    assert asked == {Exchange(row["prompt"], row["response"] or "") for row in harmful}


def test_what_was_judged_before_a_break_is_not_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, path = card(RULE, GRADER), tmp_path / "judgements.jsonl"
    whole = Lengths()
    wanted = judged(plan, opened(plan, whole, monkeypatch))
    for broken in (1, 2, 3):
        path.unlink(missing_ok=True)
        first = Lengths(breaks_after=broken)
        with pytest.raises(JudgeError, match="gone"):
            judged(plan, opened(plan, first, monkeypatch), JudgementCache(path))
        path.write_bytes(path.read_bytes()[:-5])  # and the last line was torn
        second = Lengths()
        judges = opened(plan, second, monkeypatch)
        assert judged(plan, judges, JudgementCache(path)) == wanted
        # The batch whose line was torn is asked for again whole: the same texts as before.
        assert first.asked[:-1] + second.asked == whole.asked
        entries = tuple(judge.recorded() for judge in judges.values())
        dated = plan.model_copy(update={"judge": entries})
        assert protocol_digest(dated) == protocol_digest(plan)
        assert isinstance(dated.judge, tuple)
        assert dated.judge[0] == require(plan.judge, "judge")[0]
        revision = dated.judge[1].revision
        assert isinstance(revision, Unpinnable)
        days = (revision.first_request, revision.last_request)
        assert days == ("2026-02-01", f"2026-02-{max(broken - 1, len(second.asked)):02d}")


def test_members_make_an_ensemble(monkeypatch: pytest.MonkeyPatch) -> None:
    second = {**GRADER, "constructs": ["harm"], "primary": False}
    both = {
        "name": "both",
        "kind": "ensemble",
        "id": "both",
        "revision": "1",
        "constructs": ["harm"],
        "members": ["rule", "grader"],
        "combine": "any",
        "primary": True,
    }
    plan = card(RULE, second, both, construct="harm")
    rows = [
        row
        for row in judged(plan, opened(plan, Lengths(), monkeypatch))
        if row["construct"] == "harm"
    ]
    found = {name: [r["score"] for r in rows if r["judge"] == name] for name in plan_names(plan)}
    assert found["both"] == [max(pair) for pair in zip(found["rule"], found["grader"], strict=True)]
    assert found["rule"] != found["both"] != found["grader"]


def plan_names(card: Card) -> list[str]:
    assert isinstance(card.judge, tuple)
    return [judge.name for judge in card.judge]


def test_judging_does_not_depend_on_the_order_of_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = card(RULE, GRADER)
    table = responses()
    shuffled = table.take(np.random.default_rng(1).permutation(table.num_rows))
    rows = [judged(plan, opened(plan, Lengths(), monkeypatch), None, t) for t in (table, shuffled)]
    assert rows[0] == rows[1]


def test_nothing_to_judge_gives_an_empty_table() -> None:
    plan = card(RULE)
    assert (
        judged(
            plan, open_judges(require(plan.judge, "judge"), Path()), None, responses().slice(0, 0)
        )
        == []
    )


def test_a_submission_with_a_classifier_is_consistent_and_its_severity_is_printed(
    tmp_path: Path,
) -> None:
    folder = save_classifier(tmp_path / "classifier")
    plan = card(RULE, classifier_data(folder))
    table = responses(repeats=1)
    outcomes = judge_responses(
        table,
        DOCUMENTS,
        open_judges(require(plan.judge, "judge"), tmp_path),
        Silent(),
        graded=graded(plan),
    )
    results = compute_results(plan, outcomes)
    assert {(e.construct, e.judge) for e in results.primary} == {
        ("harm", "rule"),
        ("severity", "grader"),
        ("over_refusal", "rule"),
        ("capability", "rule"),
    }
    scores = {(s.construct, s.condition): s for s in results.scores}
    severity = scores["severity", "tuned"]
    assert severity.judge == "grader"
    assert 0 < severity.estimate < 1
    assert severity.n == scores["harm", "tuned"].n == 2 * 4
    assert severity.bound is severity.incoherent is None
    assert any(c.construct == "severity" for c in results.changes)
    printed = io.StringIO()
    measured = plan.model_copy(update={"results": results})
    print_summary(Console(file=printed, width=140), measured)
    assert "severity (tuned, epoch 2, greedy), harmful, judge grader" in printed.getvalue()
    own = ("SB-EVI-", "SB-RES-", "SB-JUD-")
    broken = rules_broken(tmp_path / "submission", plan, outcomes, results)
    # A part of the plan was measured, nobody calibrated, and the files are not here.
    expected = {"SB-EVI-019", "SB-EVI-026", "SB-JUD-004"}
    assert not [r for r in broken if r.startswith(own) and r not in expected]
    scores_moved = outcomes.column("score").to_numpy().copy()
    scores_moved[outcomes.column("construct").to_numpy(zero_copy_only=False) == "severity"] = 0.5
    at = outcomes.column_names.index("score")
    moved = outcomes.set_column(at, OUTCOMES.field("score"), pa.array(scores_moved))
    assert "SB-EVI-008" in rules_broken(tmp_path / "other", plan, moved, results)
    lost = outcomes.filter(pa.array(np.arange(outcomes.num_rows) != 5))
    assert "SB-EVI-009" in rules_broken(tmp_path / "less", plan, lost, results)


def rules_broken(folder: Path, plan: Card, outcomes: pa.Table, results: Any) -> list[str]:
    """Write a submission; return the rules that it breaks."""
    write_table(outcomes, folder / OUTCOMES_FILE)
    files = describe_files(folder, [OUTCOMES_FILE])
    write_manifest(folder, files)
    runs = tuple(
        RegisteredRun(training_seed=seed, condition="tuned" if seed else "base", status="finished")
        for seed in (None, 100, 101)
    )
    evidence = Evidence(manifest=MANIFEST_FILE, files=files, response_policy="redacted", runs=runs)
    seeds = plan_data()["seeds"] | {
        "scheme": "declared",
        "training": [100, 101],
        "generation": 1,
        "origin": "made up",
    }
    data = json.loads(plan.model_dump_json(exclude_none=True))
    data |= {
        "seeds": seeds,
        "results": json.loads(results.model_dump_json()),
        "evidence": json.loads(evidence.model_dump_json()),
    }
    dump_card(Card.model_validate_json(json.dumps(data)), folder / "card.yaml")
    return [finding.rule for finding in check(folder / "card.yaml").findings]
