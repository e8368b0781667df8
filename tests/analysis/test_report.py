"""The report of a submission: words, absences and numbers, for whatever was measured."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from safebench.analysis.measures import NotMeasured, Number
from safebench.analysis.report import ScoreReport, make_report
from safebench.analysis.selection import Selection
from safebench.analysis.variation import ANSWER_EFFECTS, REST
from safebench.card.card import Card
from safebench.card.results import MARGIN
from safebench.errors import EvidenceError
from safebench.evidence.scoring import compute_results
from safebench.evidence.submission import Submission
from safebench.evidence.tables import OUTCOMES, make_table
from safebench.stats import flip_rate, plan_verdict_seeds, verdict_power
from tests.site.made_by_code import Recipe, outcomes, plan

HARM = "safebench_harm"


@dataclass(frozen=True)
class Made:
    """A report and the rows it was made from."""

    report: ScoreReport
    rows: list[dict[str, Any]] = field(default_factory=list)


def in_memory(card: Card, outcomes: pa.Table) -> Submission:
    """A submission whose outcomes were read already."""
    submission = Submission(card, Path("nowhere"))
    vars(submission)["outcomes"] = outcomes
    return submission


def made(
    keep: Any = lambda row: True, more: Any = lambda row: [], recipe: Recipe | None = None
) -> Made:
    """Make a report on one task."""
    recipe = recipe or Recipe(prompts=50)
    rows = [row for row in outcomes(recipe) if row["task"] == HARM and keep(row)]
    rows += [new for row in rows for new in more(row)]
    card = Card.model_validate_json(json.dumps(plan(recipe) | recipe.changes))
    return Made(make_report(in_memory(card, make_table(rows, OUTCOMES))), rows)


@pytest.fixture(scope="module")
def whole() -> Made:
    return made()


def gaps(report: ScoreReport) -> dict[str, str]:
    return {gap.what: gap.reason for gap in report.not_measured}


def test_the_cards_numbers_are_the_cards(whole: Made) -> None:
    card = whole.report.card
    results = compute_results(card, make_table(whole.rows, OUTCOMES))
    assert whole.report.results == results
    for one in whole.report.primaries:
        assert one.score in results.scores
        assert one.change in results.changes
        assert (one.score.task, one.score.checkpoint) == (one.estimand.task, 2)


def test_the_order_of_rows_does_not_matter(whole: Made) -> None:
    shuffled = list(whole.rows)
    np.random.default_rng(1).shuffle(shuffled)  # type: ignore[arg-type]
    submission = in_memory(whole.report.card, make_table(shuffled, OUTCOMES))
    assert make_report(submission) == whole.report


def test_flips_and_seeds_needed_against_the_same_rows(whole: Made) -> None:
    one = whole.report.primaries[0]
    rows = [
        r
        for r in whole.rows
        if (r["task"], r["checkpoint"], r["decoding"], r["repeat"]) == (HARM, 2, "t07", 1)
    ]
    seeds = sorted({r["training_seed"] for r in rows})
    table = np.array([[r["score"] for r in rows if r["training_seed"] == s] for s in seeds])
    flips = one.diagnostics["flip_rate"]
    assert isinstance(flips, Number)
    assert flips.estimate == pytest.approx(flip_rate(table).estimate)
    assert flips.n == {"prompts": 50, "seeds": 5}
    needed = one.seeds_needed
    assert not isinstance(needed, NotMeasured)
    assert needed.sigma.estimate == one.score.stability.sigma_run  # type: ignore[union-attr]
    about = {"score": one.score.estimate, "floor": needed.floor**2, "margin": MARGIN}
    assert needed.seeds == plan_verdict_seeds(needed.sigma.estimate, **about)
    both = (needed.sigma.estimate**2,) * 2
    arms = (needed.seeds, needed.seeds)
    assert verdict_power(both, arms, 2.0 * needed.seeds - 2, **about) >= 0.8
    assert needed.seeds_lower <= needed.seeds <= needed.seeds_upper


def test_more_of_anything_is_never_projected_to_be_worse(whole: Made) -> None:
    for one in whole.report.primaries:
        assert not isinstance(one.projections, NotMeasured)
        now, *others = one.projections
        assert (now.seeds, now.repeats, now.prompts) == (5, 3, 50)
        assert all(other.se <= now.se for other in others)
        assert {(o.seeds, o.repeats, o.prompts) for o in others} == {
            (10, 3, 50), (20, 3, 50), (5, 12, 50), (5, 3, 100),
        }  # fmt: skip


def test_every_source_of_variation_is_there(whole: Made) -> None:
    for one in whole.report.variations:
        assert one.levels == {
            "prompt": 50, "training_seed": 5, "checkpoint": 2, "decoding": 2, "repeat": 3,
        }  # fmt: skip
        assert (one.answers, one.runs) == (5 * 2 * 4 * 50, 5 * 2 * 4)
        assert [effect.name for effect in one.effects] == list(ANSWER_EFFECTS)
        for kind in ("of_answers", "of_runs"):
            shares = [m for e in one.effects if isinstance(m := getattr(e, kind), Number)]
            sampled = [getattr(e, kind) for e in one.effects if not e.fixed]
            assert sum(m.estimate for m in sampled if isinstance(m, Number)) == pytest.approx(1)
            assert all(0 <= m.lower <= m.estimate <= m.upper <= 1 for m in shares)  # type: ignore[operator]
        cells = {effect.name: effect.levels for effect in one.effects}
        assert cells["training_seed:checkpoint"] == 10
        assert cells["prompt:training_seed"] == 250


def test_seeds_and_prompts_are_seen_past_the_checkpoint(whole: Made) -> None:
    one = whole.report.variations[0]
    runs = {e.name: e.of_runs for e in one.effects}
    assert [e.name for e in one.effects if e.fixed] == [
        "checkpoint", "decoding", "checkpoint:decoding",
    ]  # fmt: skip
    seed = one.seed_share
    assert isinstance(seed, Number)
    parts = {n: m.estimate for n, m in runs.items() if isinstance(m, Number)}
    assert seed.estimate == pytest.approx(sum(v for n, v in parts.items() if "seed" in n))
    assert seed.estimate == pytest.approx(1 - parts["repeat"])
    assert seed.lower <= seed.estimate <= seed.upper  # type: ignore[operator]


def test_a_checkpoint_that_changes_everything_explains_the_runs() -> None:
    def forced(row: dict[str, Any]) -> list[dict[str, Any]]:
        row["score"] = float(row["checkpoint"] == 2) if row["task"] == HARM else row["score"]
        return []

    one = made(more=forced).report.variations[0]
    share = {e.name: e.of_runs for e in one.effects}["checkpoint"]
    assert isinstance(share, Number)
    assert share.estimate == pytest.approx(1)


def test_one_seed() -> None:
    report = made(recipe=Recipe(prompts=12, seeds=(5,))).report
    one = report.primaries[0]
    assert gaps(report)["training seed"] == "one training seed"
    for value in (one.seed_share, one.seeds_needed, one.projections):
        assert isinstance(value, NotMeasured) and "one training seed" in value.reason
    share = {e.name: e for e in report.variations[0].effects}["training_seed"]
    assert isinstance(share.of_answers, NotMeasured)
    assert share.variance is None
    assert "fewer than 2 levels" in share.of_answers.reason


def test_one_prompt() -> None:
    report = made(recipe=Recipe(prompts=1)).report
    assert gaps(report)["prompt"] == "one prompt"
    assert isinstance(report.primaries[0].projections, NotMeasured)


def test_greedy_alone_has_one_repeat_and_one_decoding() -> None:
    recipe = Recipe(prompts=12, changes={"tasks": greedy_tasks()})
    report = made(lambda r: r["decoding"] == "greedy", recipe=recipe).report
    found = gaps(report)
    assert found["decoding"] == "one decoding"
    assert "under greedy" in found["repeat"]
    one = report.primaries[0]
    assert one.diagnostics["worst_decoding"] == NotMeasured("one decoding")
    assert isinstance(one.seed_share, NotMeasured)
    runs = {e.name: e.of_runs for e in report.variations[0].effects}
    assert isinstance(runs["training_seed"], Number)
    assert isinstance(runs["repeat"], NotMeasured)


def test_runs_that_differ_by_their_seed_alone() -> None:
    recipe = Recipe(prompts=12, changes={"tasks": greedy_tasks()})
    keep = {None, 2}
    report = made(
        lambda r: r["decoding"] == "greedy" and r["checkpoint"] in keep, recipe=recipe
    ).report
    runs = [e.of_runs for e in report.variations[0].effects if e.name == "training_seed"]
    assert runs == [NotMeasured("runs differ by training seed alone")]
    answers = {e.name: e.of_answers for e in report.variations[0].effects}
    assert isinstance(answers["training_seed"], Number)
    assert isinstance(answers[REST], Number)


def greedy_tasks() -> list[dict[str, Any]]:
    primary = {"checkpoint": 2, "decoding": "greedy", "judge": "rule"}
    return [{**task, "primary": primary} for task in plan(Recipe())["tasks"]]


def test_a_primary_estimand_without_outcomes_is_said() -> None:
    report = made(lambda r: r["decoding"] == "greedy", recipe=Recipe(prompts=6)).report
    assert report.primaries == ()
    assert "has no outcomes" in gaps(report)["primary estimand"]


def test_an_untuned_model() -> None:
    primary = {"decoding": "t07", "judge": "rule"}
    changes = {
        "hyperparameters": {"method": "none"},
        "data": [],
        "tasks": [{**task, "primary": primary} for task in plan(Recipe())["tasks"]],
    }
    recipe = Recipe(prompts=12, changes=changes)
    report = made(lambda r: r["condition"] == "base", recipe=recipe).report
    assert "fine-tuning" in gaps(report)
    assert not {"training seed", "checkpoint", "control"} & set(gaps(report))
    one = report.primaries[0]
    assert one.seeds_needed == NotMeasured("the base model has no training seeds")
    assert not isinstance(one.projections, NotMeasured)


def test_without_the_base_model_no_change_is_known() -> None:
    report = made(lambda r: r["condition"] != "base", recipe=Recipe(prompts=6)).report
    assert "base model was not measured" in gaps(report)["change from base"]
    assert report.primaries[0].change is None


def test_a_control_is_no_gap_and_no_part_of_what_varies() -> None:
    def control(row: dict[str, Any]) -> list[dict[str, Any]]:
        return [row | {"condition": "control"}] if row["condition"] == "tuned" else []

    report = made(more=control, recipe=Recipe(prompts=6)).report
    assert "control" not in gaps(report)
    assert report.variations == made(recipe=Recipe(prompts=6)).report.variations


def test_graded_outcomes() -> None:
    draw = np.random.default_rng(3)

    def graded(row: dict[str, Any]) -> list[dict[str, Any]]:
        new = {"construct": "severity", "verdict": None, "score": float(draw.beta(1, 4))}
        return [row | new] if row["task"] == HARM else []

    report = made(more=graded, recipe=Recipe(prompts=8)).report
    assert [p.estimand.construct for p in report.primaries][:2] == ["harm", "severity"]
    severity = report.primaries[1]
    assert severity.diagnostics["flip_rate"] == NotMeasured("graded outcomes do not flip")
    assert gaps(report)["flips"] == "graded outcomes do not flip, in safebench_harm"
    alpha = severity.diagnostics["krippendorff_alpha"]
    assert isinstance(alpha, Number)
    assert "interval" in alpha.method


def test_equal_scores_throughout_are_no_spread_of_zero() -> None:
    def safe(row: dict[str, Any]) -> list[dict[str, Any]]:
        row["score"] = 0.0
        return []

    report = made(more=safe, recipe=Recipe(prompts=80)).report
    one = report.primaries[0]
    assert not isinstance(one.projections, NotMeasured)
    now, *others = one.projections
    assert (now.lower, now.upper) == (one.score.lower, one.score.upper)
    assert 0 < others[-1].upper < now.upper  # more prompts tell more, more seeds do not
    assert isinstance(one.diagnostics["new_seed_bound"], NotMeasured)
    assert all(isinstance(e.of_answers, NotMeasured) for e in report.variations[0].effects)
    needed = one.seeds_needed
    assert not isinstance(needed, NotMeasured)
    assert 2 < needed.seeds == needed.seeds_lower < needed.seeds_upper


def test_on_few_prompts_no_number_of_seeds_is_named() -> None:
    one = made(recipe=Recipe(prompts=8)).report.primaries[0]
    assert isinstance(one.seeds_needed, NotMeasured)
    assert "50 prompts" in one.seeds_needed.reason


def test_only_the_tasks_asked_for() -> None:
    recipe = Recipe(prompts=3, seeds=(1, 2))
    card = Card.model_validate_json(json.dumps(plan(recipe)))
    submission = in_memory(card, make_table(outcomes(recipe), OUTCOMES))
    report = make_report(submission, Selection(tasks=(HARM,)))
    assert {s.task for s in report.results.scores} == {HARM}
    assert [one.estimand.task for one in report.primaries] == [HARM]
    with pytest.raises(EvidenceError, match="'other' was not measured"):
        make_report(submission, Selection(tasks=("other",)))


def test_no_outcomes_at_all() -> None:
    card = Card.model_validate_json(json.dumps(plan(Recipe())))
    nothing = pa.table({n: [] for n in OUTCOMES.names}, schema=OUTCOMES)
    report = make_report(in_memory(card, nothing))
    assert report.primaries == report.variations == ()
