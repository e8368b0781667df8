"""Two submissions side by side, against plain arithmetic on the same rows."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safebench.analysis.comparison import Comparison, SubmissionComparison, compare_submissions
from safebench.analysis.matching import Choice
from safebench.errors import EvidenceError
from safebench.evidence.submission import Submission
from safebench.stats import paired_difference, score_interval
from tests.study.submissions import array, made_card, made_rows, tasks, write

CARD = made_card()


def rows(seed: int = 1, **options: Any) -> list[dict[str, Any]]:
    return made_rows(np.random.default_rng(seed), **options)


def compared(
    tmp_path: Path,
    a: list[dict[str, Any]],
    b: list[dict[str, Any]],
    choice: Choice | None = None,
    **cards: Any,
) -> SubmissionComparison:
    folders = write(tmp_path / "a", a), write(tmp_path / "b", b)
    both = cards.get("card_a", CARD), cards.get("card_b", CARD)
    a, b = (Submission(card, folder) for card, folder in zip(both, folders, strict=True))
    return compare_submissions(a, b, choice)


def only(found: SubmissionComparison) -> Comparison:
    (comparison,) = found.comparisons
    return comparison


def test_the_difference_is_plain_arithmetic_on_the_shared_prompts(tmp_path: Path) -> None:
    a, b = rows(1, prompts=range(20)), rows(2, chance=0.7, prompts=range(5, 24))
    row = only(compared(tmp_path, a, b))
    shared = [f"p{i:02d}" for i in range(5, 20)]
    arms = array(a, "tuned", shared), array(b, "tuned", shared)
    expected = paired_difference(*arms)
    d = row.difference
    assert (d.prompts, d.only_a, d.only_b) == (15, 5, 4)
    assert d.estimate == pytest.approx(arms[1].mean() - arms[0].mean())
    assert (d.lower, d.upper) == pytest.approx((expected.lower, expected.upper))
    assert (d.a, d.b) == pytest.approx((arms[0].mean(), arms[1].mean()))
    assert (d.method, d.runs) == ("paired by prompt, two-way t", (3, 3))
    everything = score_interval(array(a, "tuned", [f"p{i:02d}" for i in range(20)]))
    assert (row.a.estimate, row.a.lower) == pytest.approx((everything.estimate, everything.lower))
    assert row.a.stability is not None


def test_the_interval_holds_whatever_the_judge_left_open(tmp_path: Path) -> None:
    a, b = rows(1), rows(2)
    open_, filled = [dict(row) for row in b], []
    left = [row for row in open_ if row["condition"] == "tuned"][::7]
    for row in left:
        row |= {"verdict": "unparsed", "score": None}
    for verdict, score in (("refused", 0.0), ("complied", 1.0)):
        other = {"verdict": verdict, "score": score}
        filled.append([row | (other if row["score"] is None else {}) for row in open_])
    row, *ends = [
        only(compared(tmp_path / str(n), a, each)) for n, each in enumerate([open_, *filled])
    ]
    for place in ("difference", *range(len(row.categories))):
        d, low, high = (
            r.difference if isinstance(place, str) else r.categories[place] for r in (row, *ends)
        )
        assert low.lower < high.lower and low.upper < high.upper
        assert (d.lower, d.upper) == (low.lower, high.upper)
        assert d.method.endswith("what the judge left open at either extreme")
    assert len(row.categories) == 3


def test_flips_are_those_of_the_prompts_own_rates(tmp_path: Path) -> None:
    a, b = rows(1), rows(2, chance=0.7)
    ids = sorted({row["prompt_id"] for row in a})
    before, after = (array(r, "tuned", ids).mean(axis=(0, 1)) for r in (a, b))
    flips = only(compared(tmp_path, a, b)).flips
    assert flips.up == (after > before + 1e-9).sum()
    assert flips.down == (after < before - 1e-9).sum()
    assert flips.majority_up == ((before < 0.5 - 1e-9) & (after > 0.5 + 1e-9)).sum()
    assert flips.majority_down == ((before > 0.5 + 1e-9) & (after < 0.5 - 1e-9)).sum()
    assert len(flips.largest) == 10
    sizes = [abs(flip.difference) for flip in flips.largest]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == pytest.approx(abs(after - before).max())
    for flip in flips.largest:
        place = ids.index(flip.prompt_id)
        assert (flip.a, flip.b) == pytest.approx((before[place], after[place]))
    assert flips.least_p == pytest.approx(2 / 20)
    assert flips.beyond_chance_up == flips.beyond_chance_down == 0


def test_prompts_that_always_flip_are_beyond_chance(tmp_path: Path) -> None:
    a, b = rows(1, seeds=6), rows(1, seeds=6)
    for row in a:
        row["score"] = 0.0
    for row in b:
        row["score"] = float(row["prompt_id"] < "p12")
    flips = only(compared(tmp_path, a, b)).flips
    assert (flips.up, flips.down, flips.majority_up) == (12, 0, 12)
    assert (flips.beyond_chance_up, flips.beyond_chance_down) == (12, 0)


def test_the_sides_may_change_places(tmp_path: Path) -> None:
    a, b = rows(1, seeds=2), rows(2, chance=0.7, seeds=4, prompts=range(3, 24))
    one, other = only(compared(tmp_path / "1", a, b)), only(compared(tmp_path / "2", b, a))
    d, e = one.difference, other.difference
    assert (d.estimate, d.lower, d.upper) == pytest.approx((-e.estimate, -e.upper, -e.lower))
    assert d.reading == e.reading
    assert (one.flips.up, one.flips.down) == (other.flips.down, other.flips.up)
    assert [(f.prompt_id, f.difference, f.p_adjusted) for f in one.flips.largest] == [
        (f.prompt_id, -f.difference, f.p_adjusted) for f in other.flips.largest
    ]
    for x, y in zip(one.categories, other.categories, strict=True):
        assert (x.name, x.estimate, x.lower) == pytest.approx((y.name, -y.estimate, -y.upper))
        assert x.p_adjusted == pytest.approx(y.p_adjusted)


def test_against_itself_nothing_differs(tmp_path: Path) -> None:
    a = rows(1)
    found = compared(tmp_path, a, a)
    row = only(found)
    assert row.difference.estimate == 0
    assert row.difference.lower < 0 < row.difference.upper
    assert (row.flips.up, row.flips.down, row.flips.largest) == (0, 0, ())
    assert all(c.estimate == 0 and c.p_adjusted == 1 for c in row.categories)
    assert row.variables == ()
    assert any("same outcomes" in warning for warning in found.warnings)


def test_the_order_of_rows_changes_nothing(tmp_path: Path) -> None:
    a, b = rows(1), rows(2)
    one = compared(tmp_path / "1", a, b)
    other = compared(tmp_path / "2", a[::-1], b[::-1])
    assert asdict(only(one)) == asdict(only(other))


def test_categories_are_differences_of_their_own(tmp_path: Path) -> None:
    a, b = rows(1), rows(2, chance=0.7)
    row = only(compared(tmp_path, a, b))
    assert [c.name for c in row.categories] == ["arson", "fraud", "theft"]
    ids = [f"p{i:02d}" for i in range(2, 24, 3)]
    expected = paired_difference(array(a, "tuned", ids), array(b, "tuned", ids))
    assert row.categories[0].estimate == pytest.approx(expected.estimate)
    assert row.categories[0].lower == pytest.approx(expected.lower)
    assert row.categories[0].prompts == 8
    for other in b:
        if other["prompt_id"] == "p02":
            other["category"] = "theft"
    moved = only(compared(tmp_path, a, b))
    assert moved.categories[0].prompts == 7
    assert any("another category in B: p02;" in warning for warning in moved.warnings)


def test_two_conditions_of_one_submission(tmp_path: Path) -> None:
    a = rows(1)
    folder = write(tmp_path / "a", a)
    choice = Choice(conditions=("base", "tuned"))
    found = compare_submissions(Submission(CARD, folder), Submission(CARD, folder), choice)
    row = only(found)
    ids = sorted({r["prompt_id"] for r in a})
    expected = paired_difference(array(a, "base", ids)[0], array(a, "tuned", ids))
    assert row.difference.estimate == pytest.approx(expected.estimate)
    assert row.difference.lower == pytest.approx(expected.lower)
    assert row.difference.runs == (2, 3)
    assert (row.a.stability, row.a.checkpoint, row.b.checkpoint) == (None, None, 2)
    assert found.one_folder
    assert row.variables == ("condition base -> tuned",)
    assert found.warnings == ()


def test_one_run_each_is_mcnemars_test(tmp_path: Path) -> None:
    a, b = (rows(seed, seeds=1, repeats=1) for seed in (1, 2))
    flips = only(compared(tmp_path, a, b)).flips
    assert flips.mcnemar is not None
    assert (flips.mcnemar.up, flips.mcnemar.down) == (flips.up, flips.down)
    assert flips.least_p == 1
    assert 0 < flips.mcnemar.p <= 1
    assert "run effect of A and B not measured" in only(compared(tmp_path, a, b)).difference.method


def test_repeats_of_one_seed_are_named_as_such(tmp_path: Path) -> None:
    row = only(compared(tmp_path, rows(1, seeds=1), rows(2, seeds=1)))
    assert row.flips.mcnemar is None
    assert row.flips.method.endswith("runs of A and B are repeats of one training seed")


def test_graded_scores_have_no_usual_outcome(tmp_path: Path) -> None:
    card = made_card("severity")
    a, b = (rows(seed, construct="severity", graded=True) for seed in (1, 2))
    flips = only(compared(tmp_path, a, b, card_a=card, card_b=card)).flips
    assert (flips.majority_up, flips.majority_down) == (None, None)
    assert flips.up + flips.down > 0


def test_what_only_one_has_is_named(tmp_path: Path) -> None:
    card = made_card("harm", "capability", "over_refusal")
    a = rows(1) + rows(1, construct="capability")
    b = rows(2) + rows(2, construct="over_refusal")
    found = compared(tmp_path, a, b, card_a=card, card_b=card)
    assert only(found).construct == "harm"
    assert found.not_compared == (
        "task_capability (capability): only A measured it",
        "task_over_refusal (over_refusal): only B measured it",
    )
    chosen = compared(tmp_path, a, b, Choice(constructs=("harm",)), card_a=card, card_b=card)
    assert chosen.not_compared == ()


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        (Choice(decoding="t1"), "A has no outcomes of tuned, epoch 2, decoding t1"),
        (Choice(judge="llm"), "judge llm; B has no outcomes"),
        (Choice(checkpoint=7), "epoch 7"),
        (Choice(tasks=("nothing",)), "neither submission has outcomes"),
        (Choice(conditions=("control", None)), "A has no outcomes of control"),
    ],
)
def test_nothing_to_compare_is_an_error_that_says_why(
    choice: Choice, why: str, tmp_path: Path
) -> None:
    with pytest.raises(EvidenceError, match="nothing can be compared") as error:
        compared(tmp_path, rows(1), rows(2), choice)
    assert why in str(error.value)


def test_no_prompt_in_common_is_an_error(tmp_path: Path) -> None:
    a, b = rows(1, prompts=range(4)), rows(2, prompts=range(4, 9))
    with pytest.raises(EvidenceError, match=r"no prompt in common \(A has 4 prompts, B 5\)"):
        compared(tmp_path, a, b)


def test_without_a_primary_estimand_the_options_are_named(tmp_path: Path) -> None:
    card = made_card(tasks=["task_harm"])
    with pytest.raises(EvidenceError, match="A declares no primary estimand; give --decoding and"):
        compared(tmp_path, rows(1), rows(2), card_a=card)
    choice = Choice(decoding="t07", judge="rule")
    assert only(compared(tmp_path, rows(1), rows(2), choice, card_a=card)).a.checkpoint == 2


def test_other_judges_are_named_both(tmp_path: Path) -> None:
    judge = {"name": "strict", "kind": "rule", "id": "lab/strict", "revision": "3"}
    primary = {"checkpoint": 2, "decoding": "t07", "judge": "strict"}
    card = made_card(
        judge=[{**judge, "primary": True}], tasks=[{"name": "task_harm", "primary": primary}]
    )
    row = only(compared(tmp_path, rows(1), rows(2, judge="strict"), card_b=card))
    assert row.variables == ("judge rule -> strict",)
    (warning,) = row.warnings
    assert "A by rule (safebench/refusal-rule 1), B by strict (lab/strict 3)" in warning
    same = {**judge, "id": "safebench/refusal-rule", "revision": "1", "primary": True}
    renamed = made_card(judge=[same], tasks=[{"name": "task_harm", "primary": primary}])
    row = only(compared(tmp_path, rows(1), rows(2, judge="strict"), card_b=renamed))
    assert (row.variables, row.warnings) == ((), ())


def test_variables_that_cannot_touch_a_score_are_left_out_of_it(tmp_path: Path) -> None:
    training = {**CARD.model_dump(mode="json", exclude_none=True)["hyperparameters"]}
    training["learning_rate"] = 0.5
    other = made_card(hyperparameters=training)
    found = compared(tmp_path, rows(1), rows(2), card_b=other)
    assert only(found).variables == ("hyperparameters.learning_rate 0.01 -> 0.5",)
    choice = Choice(conditions=("base", "base"))
    assert only(compared(tmp_path, rows(1), rows(2), choice, card_b=other)).variables == ()


def test_a_later_checkpoint_is_a_variable_unless_training_was_longer(tmp_path: Path) -> None:
    training = CARD.model_dump(mode="json", exclude_none=True)["hyperparameters"]
    primary = {"checkpoint": 3, "decoding": "t07", "judge": "rule"}
    own = [{"name": "task_harm", "primary": primary}]
    longer = made_card(hyperparameters={**training, "epochs": 3, "checkpoints": [3]}, tasks=own)
    b = [{**r, "checkpoint": 3 if r["checkpoint"] else None} for r in rows(2)]
    row = only(compared(tmp_path, rows(1), b, card_b=longer))
    assert row.variables == ("hyperparameters.epochs 2 -> 3",)
    kept = made_card(hyperparameters={**training, "checkpoints": [2, 3]}, tasks=own)
    row = only(compared(tmp_path, rows(1), b, card_b=kept))
    assert row.variables == ("checkpoint 2 -> 3",)


def test_one_id_with_two_texts_is_warned_of(tmp_path: Path) -> None:
    a = write(tmp_path / "a", rows(1), lambda prompt: f"how to {prompt}?")
    b = write(tmp_path / "b", rows(2), lambda prompt: f"how to {prompt.replace('p03', 'x')}?")
    cards = (
        made_card(tasks=tasks("harm", dataset_sha256="ab" * 32)),
        made_card(tasks=tasks("harm", dataset_sha256="cd" * 32)),
    )
    pair = [Submission(card, folder) for card, folder in zip(cards, (a, b), strict=True)]
    row = only(compare_submissions(*pair))
    assert [
        w for w in row.warnings if w.startswith("1 prompt with the same id but different text: p03")
    ]
    assert [v for v in row.variables if v.startswith("tasks.task_harm.dataset_sha256")]
    # where the shared prompts are known to be the same, other sets of prompts change nothing
    write(tmp_path / "b", rows(2), lambda prompt: f"how to {prompt}?")
    pair = [Submission(card, folder) for card, folder in zip(cards, (a, b), strict=True)]
    row = only(compare_submissions(*pair))
    assert (row.warnings, row.variables) == ((), ())


def test_families_that_the_evidence_does_not_name_are_warned_of(tmp_path: Path) -> None:
    card = made_card(tasks=tasks("harm", clusters=6))
    row = only(compared(tmp_path, rows(1), rows(2), card_a=card, card_b=card))
    assert [w for w in row.warnings if "belong to 6 families" in w]


@pytest.mark.parametrize(
    ("scores", "reading"),
    [
        ((0.0, 1.0), "differs by more than the margin"),
        ((0.0, 0.0), "undecided"),
    ],
)
def test_the_interval_is_read_against_the_margin(
    scores: tuple[float, float], reading: str, tmp_path: Path
) -> None:
    a, b = ([{**row, "score": score} for row in rows(1)] for score in scores)
    assert only(compared(tmp_path, a, b)).difference.reading == reading


def test_evidence_that_is_not_the_cards_own_is_warned_of(tmp_path: Path) -> None:
    evidence = {
        "manifest": "manifest.json",
        "files": [{"path": "outcomes.parquet", "sha256": "ab" * 32}],
        "response_policy": "public",
        "runs": [],
    }
    found = compared(tmp_path, rows(1), rows(2), card_b=made_card(evidence=evidence))
    assert [w for w in found.warnings if w.startswith("B's outcomes.parquet is not the one")]
