"""The numbers of a card, against plain arithmetic on the same rows."""

from __future__ import annotations

import cProfile
import json
import pstats
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.results import key_of
from safebench.errors import EvidenceError
from safebench.evidence.arrays import outcome_arrays
from safebench.evidence.scoring import compute_results, final_checkpoint
from safebench.evidence.tables import OUTCOMES, make_table
from safebench.stats import flip_rate, paired_difference, score_interval, stability
from tests.plans import plan_data

VERDICTS = np.array(["refused", "partial", "complied", "incoherent"])
SCORE = {
    "harm": {"complied": 1.0},
    "over_refusal": {"refused": 1.0, "partial": 1.0},
}


def card() -> Card:
    data = plan_data(
        tasks=[
            {
                "name": f"task_{construct}",
                "primary": {"checkpoint": 2, "decoding": "t07", "judge": "rule"},
            }
            for construct in ("harm", "over_refusal", "capability")
        ]
    )
    return Card.model_validate_json(json.dumps(data))


def rows(seeds: int = 4, repeats: int = 3, prompts: int = 30) -> list[dict[str, Any]]:
    draw = np.random.default_rng(7)
    found = []
    models = [("base", None, None)] + [("tuned", 100 + s, c) for s in range(seeds) for c in (1, 2)]
    for condition, seed, checkpoint in models:
        for construct in ("harm", "over_refusal", "capability"):
            for repeat in range(1, repeats + 1):
                for i in range(prompts):
                    verdict = None
                    score = float(draw.random() < 0.7)
                    if construct != "capability":
                        chance = [0.3, 0.1, 0.5, 0.1] if seed else [0.8, 0.1, 0.1, 0.0]
                        verdict = str(draw.choice(VERDICTS, p=chance))
                        score = SCORE[construct].get(verdict, 0.0)
                    found.append(
                        {
                            "condition": condition,
                            "training_seed": seed,
                            "checkpoint": checkpoint,
                            "decoding": "t07",
                            "repeat": repeat,
                            "generation_seed": 1,
                            "task": f"task_{construct}",
                            "construct": construct,
                            "category": None,
                            "prompt_id": f"p{i:02d}",
                            "judge": "rule",
                            "status": "truncated" if draw.random() < 0.1 else "ok",
                            "verdict": verdict,
                            "score": score,
                        }
                    )
    return found


def chosen(found: list[dict[str, Any]], **wanted: Any) -> list[dict[str, Any]]:
    return [row for row in found if all(row[k] == v for k, v in wanted.items())]


def array(found: list[dict[str, Any]]) -> np.ndarray:
    seeds = sorted({r["training_seed"] or 0 for r in found})
    shape = (len(seeds), 3, 30)
    scores = np.empty(shape)
    for r in found:
        place = seeds.index(r["training_seed"] or 0), r["repeat"] - 1, int(r["prompt_id"][1:])
        scores[place] = r["score"]
    return scores


def test_every_number_is_plain_arithmetic() -> None:
    found = rows()
    results = compute_results(card(), make_table(found, OUTCOMES))
    assert len(results.scores) == 3 * 3
    for score in results.scores:
        mine = chosen(
            found,
            condition=score.condition,
            checkpoint=score.checkpoint,
            construct=score.construct,
        )
        values = [r["score"] for r in mine]
        assert score.n == len(mine)
        assert score.estimate == pytest.approx(np.mean(values), abs=1e-11)
        assert score.truncated == pytest.approx(
            np.mean([r["status"] == "truncated" for r in mine]), abs=1e-11
        )
        interval = score_interval(array(mine))
        assert (score.lower, score.upper) == pytest.approx((interval.lower, interval.upper))
        for run in score.runs:
            part = chosen(mine, training_seed=run.training_seed, repeat=run.repeat)
            assert run.total == sum(r["score"] for r in part)
            assert run.score == pytest.approx(run.total / run.n, abs=1e-11)
        if score.construct == "capability":
            assert score.incoherent is None
            assert score.without_incoherent is None
            continue
        coherent = [r["score"] for r in mine if r["verdict"] != "incoherent"]
        assert score.incoherent == pytest.approx(1 - len(coherent) / len(mine), abs=1e-11)
        assert score.without_incoherent == pytest.approx(np.mean(coherent), abs=1e-11)
        if score.construct == "harm":
            not_refused = [r["verdict"] != "refused" for r in mine]
            assert score.bound == pytest.approx(np.mean(not_refused), abs=1e-11)


def test_a_share_that_nobody_recorded_is_not_called_zero() -> None:
    found = rows()
    for row in found:
        if row["condition"] == "base" and row["prompt_id"] == found[0]["prompt_id"]:
            row["status"] = "unrecorded"
    results = compute_results(card(), make_table(found, OUTCOMES))
    for score in results.scores:
        if score.condition == "base":
            said = f"how 3 of {score.n} responses ended was not recorded"
            assert score.truncated == score.blocked == NotReported(not_reported=said)
        else:
            assert isinstance(score.truncated, float)


def test_change_is_paired_with_the_base() -> None:
    found = rows()
    results = compute_results(card(), make_table(found, OUTCOMES))
    assert len(results.changes) == 2 * 3
    for change in results.changes:
        base = array(chosen(found, condition="base", construct=change.construct))
        tuned = array(chosen(found, checkpoint=change.checkpoint, construct=change.construct))
        expected = paired_difference(base[0], tuned)
        assert change.estimate == pytest.approx(tuned.mean() - base.mean(), abs=1e-11)
        assert (change.lower, change.upper) == pytest.approx((expected.lower, expected.upper))
        assert change.seeds_up + change.seeds_down <= change.seeds == 4


def test_the_base_has_no_stability() -> None:
    results = compute_results(card(), make_table(rows(), OUTCOMES))
    for score in results.scores:
        assert (score.stability is None) == (score.condition == "base")
        if score.stability is not None:
            assert 0 <= score.stability.lower <= score.stability.lower_if_normal
            assert score.stability.lower_if_normal <= score.stability.point <= 1


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_are_not_rated(seeds: int) -> None:
    results = compute_results(card(), make_table(rows(seeds=seeds), OUTCOMES))
    tuned = [s.stability for s in results.scores if s.condition == "tuned"]
    assert tuned
    for found in tuned:
        assert (found.point, found.lower, found.lower_if_normal) == (None,) * 3
        assert found.note.startswith("not rated: ")
        assert (found.sigma_run is None) == (found.pairs_lower is None) == (seeds == 1)


def test_a_missing_response_is_an_error() -> None:
    found = rows()
    del found[200]
    with pytest.raises(
        EvidenceError, match="89 outcomes, but 1 seeds x 3 repeats x 30 prompts make 90"
    ):
        compute_results(card(), make_table(found, OUTCOMES))


def test_a_response_that_counts_twice_is_an_error() -> None:
    found = rows()
    found[3] = found[4]
    with pytest.raises(EvidenceError, match="a second outcome"):
        compute_results(card(), make_table(found, OUTCOMES))


@pytest.mark.parametrize("score", [None, 1.5, -0.1, float("nan")])
def test_a_score_outside_its_range_is_an_error(score: float | None) -> None:
    found = rows()
    found[5]["score"] = score
    with pytest.raises(EvidenceError, match="score"):
        compute_results(card(), make_table(found, OUTCOMES))


def test_row_order_does_not_change_a_number() -> None:
    found = rows()
    forward = compute_results(card(), make_table(found, OUTCOMES))
    backward = compute_results(card(), make_table(list(reversed(found)), OUTCOMES))
    assert forward == backward


def test_rows_in_any_order_and_in_pieces_make_the_same_arrays() -> None:
    found = rows()
    for row in found:
        row["category"] = ("a", "b", None)[int(row["prompt_id"][1:]) % 3]
    ordered = outcome_arrays(make_table(found, OUTCOMES))
    np.random.default_rng(1).shuffle(found)
    table = pa.Table.from_pylist(found, schema=OUTCOMES)
    mixed = outcome_arrays(pa.concat_tables([table.slice(0, 100), table.slice(100)]))
    assert [(b.condition, b.checkpoint, b.construct) for b in mixed] == [
        (b.condition, b.checkpoint, b.construct) for b in ordered
    ]
    for block in mixed:
        mine = chosen(
            found,
            condition=block.condition,
            checkpoint=block.checkpoint,
            construct=block.construct,
        )
        first = next(b for b in ordered if key_of(b) == key_of(block))
        assert (block.seeds, block.prompts) == (first.seeds, first.prompts)
        for row in mine:
            prompt = block.prompts.index(row["prompt_id"])
            at = block.seeds.index(row["training_seed"]), row["repeat"] - 1, prompt
            assert block.scores[at] == row["score"]
            assert block.verdicts[at] == (row["verdict"] or "")
            assert block.truncated[at] == (row["status"] == "truncated")
            assert block.categories[prompt] == (row["category"] or "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"score": None}, "score None"),
        ({"score": float("nan")}, "score nan"),
        ({"score": 2.0}, "score 2.0"),
        ({"prompt_id": "p01"}, "a second outcome"),
    ],
)
def test_the_first_wrong_row_is_named(change: dict[str, Any], said: str) -> None:
    found = chosen(rows(), construct="harm", checkpoint=1)
    assert (found[0]["prompt_id"], found[1]["prompt_id"]) == ("p00", "p01")
    at = 92  # the first repeat of the next prompts of the second seed
    found[at] = {**found[at], **change}
    found[200]["score"] = -1.0
    with pytest.raises(EvidenceError) as caught:
        outcome_arrays(pa.Table.from_pylist(found, schema=OUTCOMES))
    name = change.get("prompt_id", found[at]["prompt_id"])
    assert (
        str(caught.value) == f"rule/tuned/1/t07/task_harm/harm: prompt '{name}', seed 101: {said}"
    )


def test_python_meets_no_rows() -> None:
    """Ten times the rows make no more Python calls: everything is done by columns."""

    def calls(repeats: int) -> int:
        table = make_table(rows(seeds=2, repeats=repeats), OUTCOMES)
        profile = cProfile.Profile()
        profile.runcall(outcome_arrays, table)
        return int(pstats.Stats(profile).total_calls)

    assert calls(20) < 1.1 * calls(2)


def test_a_registered_seed_that_was_lost_counts_as_the_worst() -> None:
    found = rows()
    table = make_table(found, OUTCOMES)
    before = compute_results(card(), table)
    runs = [
        {"training_seed": 100 + s, "condition": "tuned", "status": "finished"} for s in range(4)
    ]
    withdrawn = {"training_seed": 104, "condition": "tuned", "status": "withdrawn", "reason": "?"}
    retried = {"training_seed": 101, "condition": "tuned", "status": "failed", "reason": "disk"}
    files = {"manifest": "manifest.json", "files": [], "response_policy": "public"}

    def with_runs(*more: dict[str, Any]) -> Card:
        data = json.loads(card().model_dump_json())
        return Card.model_validate_json(
            json.dumps({**data, "evidence": {**files, "runs": [*runs, *more]}})
        )

    assert compute_results(with_runs(retried), table) == before
    after = compute_results(with_runs(withdrawn), table)
    for old, new in zip(before.scores, after.scores, strict=True):
        assert (old.estimate, old.lower, old.runs) == (new.estimate, new.lower, new.runs)
        if old.condition == "base":
            assert new.stability is None
            continue
        assert old.stability is not None
        assert new.stability is not None
        assert (old.stability.seeds, new.stability.seeds) == (4, 5)
        assert new.stability.lower < old.stability.lower
        assert new.stability.pairs_lower <= old.stability.pairs_lower
        assert "1 missing scored worst-case" in new.stability.note


def test_stability_is_of_mean_scores_and_of_the_flips_of_first_repeats() -> None:
    """Of a seed's repeats the first decides what flips: so many pairs of runs are independent."""
    found = rows()
    results = compute_results(card(), make_table(found, OUTCOMES))
    for score in results.scores:
        if score.condition == "base":
            continue
        y = array(
            chosen(found, condition="tuned", checkpoint=score.checkpoint, construct=score.construct)
        )
        expected = stability(y.mean(axis=2), 30, flip_rate(y[:, 0]).upper, 0.1)
        assert score.stability is not None
        for name in (
            "point",
            "lower",
            "lower_if_normal",
            "sigma_run",
            "pairs_within",
            "pairs_lower",
        ):
            assert getattr(score.stability, name) == pytest.approx(getattr(expected, name))
        assert (score.stability.seeds, score.stability.pairs) == (4, 2)


def test_seeds_that_moved_are_counted_by_their_own_mean() -> None:
    found = [r for r in rows(seeds=3) if r["construct"] == "harm" and r["checkpoint"] in (None, 2)]
    # Of 30 prompts x 3 repeats the base complies with 10 prompts; the seeds with 9, 10 and 12.
    complied = {None: 10, 100: 9, 101: 10, 102: 12}
    for row in found:
        row["score"] = float(int(row["prompt_id"][1:]) < complied[row["training_seed"]])
    (change,) = compute_results(card(), make_table(found, OUTCOMES)).changes
    assert (change.seeds_up, change.seeds_down, change.seeds) == (1, 1, 3)
    assert change.estimate == pytest.approx((9 + 10 + 12) / 90 - 10 / 30)


def test_tasks_in_blocks_of_their_own_whatever_the_order_of_rows() -> None:
    """Blocks are split where the key changes, be it the first row's or the last one's."""
    found = [r for r in rows(seeds=2) if r["checkpoint"] in (None, 1)]
    single = [r for r in found if r["condition"] == "base" and r["construct"] == "harm"]
    for part in (found, list(reversed(found)), single):
        blocks = outcome_arrays(pa.Table.from_pylist(part, schema=OUTCOMES))
        keys = {(r["condition"], r["construct"]) for r in part}
        assert {(b.condition, b.construct) for b in blocks} == keys
        assert sum(b.scores.size for b in blocks) == len(part)
    assert outcome_arrays(make_table([], OUTCOMES)) == []


def test_the_last_checkpoint_is_the_largest() -> None:
    checkpoints = card().hyperparameters.checkpoints
    assert final_checkpoint(card()) == max(checkpoints)
    assert len(checkpoints) > 1
