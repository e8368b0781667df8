"""How many seeds, repeats and prompts a score needs: from a pilot, or from assumed spreads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from safebench.analysis.selection import Selection
from safebench.analysis.spread import components, to_project
from safebench.card.results import MARGIN, find, key_of
from safebench.errors import EvidenceError, StatsError
from safebench.evidence.arrays import OutcomeArray
from safebench.evidence.scoring import block_stability, primary_estimands
from safebench.evidence.submission import Submission
from safebench.evidence.tables import OUTCOMES_FILE
from safebench.stats import margin_points
from safebench.stats.arms import FEWEST_PROMPTS
from safebench.stats.design import DesignPlan, design_of, plan_design
from safebench.stats.planning import (
    plan_stability,
    plan_verdict_seeds,
    sigma_from_points,
    sigma_upper,
)
from safebench.stats.variance import TABLE_EFFECTS, balanced_bounds
from safebench.words import construct_name, where

SEEDS_SHOWN = (2, 3, 5, 10, 20)
REPEATS_SHOWN = (1, 3, 5, 10)
POWERS = (0.8, 0.9)
BOUNDS = (0.5, 0.8)
Ends = tuple[float, float]
_WORDS = {
    "training_seed": "training seed",
    "prompt": "prompt",
    "prompt:training_seed": "prompt x seed",
    "training_seed:repeat": "repeat of a seed",
    "residual": "single response",
}


@dataclass(frozen=True)
class Part:
    """One source of variation: its SD in points with a 95 % interval, or why it is unknown."""

    effect: str
    words: str
    sd: float | None
    lower: float | None
    upper: float | None
    n: int | None
    note: str


@dataclass(frozen=True)
class Spread:
    """What is known of how scores vary, measured by a pilot or assumed.

    `variances` (effect -> squared points), `variances_upper` (the seed's at its one-sided 95 %
    upper bound; None when that is unknown) and `outcome_variance`, of one response; `sigma_run`
    and `sigma_upper` are SDs of a run's phi(score), seen in `sigma_seeds` seeds; `n_seeds` is 0
    where there is no pilot.
    """

    source: str
    score: float
    parts: tuple[Part, ...]
    variances: dict[str, float]
    variances_upper: dict[str, float] | None
    outcome_variance: float
    sigma_run: float
    sigma_upper: float | None
    sigma_seeds: int | None
    floor: float
    n_seeds: int
    n_repeats: int
    n_prompts: int
    repeats_known: bool


@dataclass(frozen=True)
class SeedAnswers:
    """Answers about training seeds at one spread (phi scale); None: no number suffices."""

    sigma: float
    stability_point: float
    equality: dict[float, int | None]
    beside_pilot: dict[float, int | None]
    stability: dict[float, int | None]


@dataclass(frozen=True)
class Sizing:
    """All answers; `cheapest` and its companions are None without costs or out of reach."""

    spread: Spread
    target: float
    margin: float
    margin_points: float
    prompts_fixed: bool
    here: SeedAnswers
    at_upper: SeedAnswers | None
    stability_at_best: dict[float, int | None]
    """Seeds that show a stability where they do not spread at all."""
    intervals: dict[int, dict[int, Ends]]
    """Lower and upper end at some numbers of seeds and repeats, the prompts as they are."""
    cheapest: DesignPlan | None
    cheapest_at_upper: DesignPlan | None
    best_for_budget: DesignPlan | None
    pilot_interval: Ends | None
    """The pilot's own, the one in its card."""
    pilot_cost: float | None
    problems: tuple[str, ...]


def pilot_spread(pilot: Submission, selection: Selection | None = None) -> Spread:
    """Measure a submission's spread: of its primary harm estimand, or of what is selected.

    Raises:
        EvidenceError: nothing was measured of that name, or it has a single training seed.
    """
    unit = pilot.card.checkpoint_unit
    block = _pick(pilot, selection or Selection())
    if len(block.seeds) < 2:
        raise EvidenceError(
            f"{_place(block, unit)}: the pilot has one training seed, which does not show the "
            "spread over seeds",
            fix="run a pilot with three or more seeds, or give --sigma-seed instead of a folder",
        )
    return spread_of(block, unit)


def _place(block: OutcomeArray, unit: str) -> str:
    found = where(block.condition, block.checkpoint, block.decoding, unit)
    return f"{construct_name(block.construct)} ({found}), {block.task}, judge {block.judge}"


def _pick(pilot: Submission, selection: Selection) -> OutcomeArray:
    """Return the chosen outcomes; a primary estimand fills in what was not chosen."""
    fits = selection.estimands(primary_estimands(pilot.card, pilot.blocks))
    fits.sort(key=lambda estimand: estimand.construct != "harm")
    for estimand in fits[:1]:
        if (block := find(pilot.blocks, key_of(estimand))) is not None:
            return block
    unit = pilot.card.checkpoint_unit
    measured = "; ".join(_place(b, unit) for b in pilot.blocks if b.condition != "base")
    what = ", ".join(f"{k} {v}" for k, v in selection.given()) or "primary estimand"
    raise EvidenceError(
        f"{pilot.path(OUTCOMES_FILE)}: no outcomes of {what}",
        fix=f"choose one of: {measured or 'nothing was measured after fine-tuning'}",
    )


def spread_of(block: OutcomeArray, unit: str = "epoch") -> Spread:
    """Measure how the outcomes of one block vary."""
    n_seeds, n_repeats, n_prompts = block.scores.shape
    if n_prompts < 2:
        place = _place(block, unit)
        raise EvidenceError(f"{place}: one prompt does not show the spread over prompts")
    projected = to_project(block)
    # One-sided 95 % for the seeds, on which the seeds needed depend; `_parts` shows two-sided ones.
    upper = balanced_bounds(block.scores, 0.05)["training_seed"][1]
    run = block_stability(block)
    return Spread(
        source=_place(block, unit),
        score=float(block.scores.mean()),
        parts=tuple(_parts(block)),
        variances=projected,
        variances_upper={**projected, "training_seed": upper},
        outcome_variance=float(block.scores.var()),
        sigma_run=run.sigma_run or 0.0,
        sigma_upper=run.sigma_upper,
        sigma_seeds=n_seeds,
        floor=run.floor,
        n_seeds=n_seeds,
        n_repeats=n_repeats,
        n_prompts=n_prompts,
        repeats_known=n_repeats > 1,
    )


def _parts(block: OutcomeArray) -> Iterator[Part]:
    """Yield every source of variation with its SD and two-sided 95 % interval."""
    sizes = dict(zip(("training_seed", "repeat", "prompt"), block.scores.shape, strict=True))
    variances, bounds = components(block), balanced_bounds(block.scores, 0.025)
    for name, words in _WORDS.items():
        if name not in variances:
            yield Part(name, words, None, None, None, None, "not measured: one repeat")
            continue
        note = ""
        if name == "prompt:training_seed" and sizes["repeat"] < 2:
            note = "one repeat: includes the noise of single responses"
        elif variances[name] <= 0:
            note = "indistinguishable from 0"
        sd, low, high = (math.sqrt(max(v, 0.0)) for v in (variances[name], *bounds[name]))
        n = math.prod(sizes[facet] for facet in TABLE_EFFECTS[name])
        yield Part(name, words, sd, low, high, n, note)


def assumed_spread(
    score: float,
    sigma_seed: float,
    sigma_prompt: float | None = None,
    sigma_repeat: float | None = None,
    n_prompts: int = 300,
    from_seeds: int | None = None,
) -> Spread:
    """Return a spread from assumed SDs: over seeds, prompts, repeats of a response.

    Outcomes in [0, 1] with mean `score` have a variance of at most score(1 - score), and 0/1
    outcomes exactly that: what is not given goes to the prompts (or, with `sigma_prompt` given, to
    the interaction of prompt and seed), where it costs most.

    Raises:
        StatsError: the given SDs make more variance than the score allows.
    """
    total = score * (1 - score)
    known = sigma_seed**2 + (sigma_prompt or 0.0) ** 2 + (sigma_repeat or 0.0) ** 2
    if known > total * (1 + 1e-9):
        raise StatsError(
            f"the SDs add up to a variance of {known:.4f}, but outcomes in [0, 1] with mean "
            f"{score:g} have at most {total:.4f}",
            fix="give SDs as proportions (4 points are .04), and the score that they belong to",
        )
    left = max(total - known, 0.0)
    variances = {
        "training_seed": sigma_seed**2,
        "prompt": left if sigma_prompt is None else sigma_prompt**2,
        "prompt:training_seed": 0.0 if sigma_prompt is None else left,
    }
    if sigma_repeat is not None:
        variances["residual"] = sigma_repeat**2
    notes = {
        "training_seed": "given",
        "prompt": "given" if sigma_prompt is not None else "not given: all that the score allows",
        "prompt:training_seed": "the rest of the variance of 0/1 outcomes",
        "residual": "given",
    }
    parts = [
        Part(name, _WORDS[name], math.sqrt(v), None, None, None, notes[name])
        for name, v in variances.items()
    ]
    if sigma_repeat is None:
        parts.append(Part("residual", _WORDS["residual"], None, None, None, None, "not given"))
    sigma, upper, run_upper = sigma_from_points(sigma_seed, score), None, None
    if from_seeds is not None:
        wide = sigma_upper(sigma_seed, from_seeds)
        upper = {**variances, "training_seed": wide**2}
        run_upper = sigma_upper(sigma, from_seeds)
    return Spread(
        source="assumed spreads",
        score=score,
        parts=tuple(parts),
        variances=variances,
        variances_upper=upper,
        outcome_variance=total,
        sigma_run=sigma,
        sigma_upper=run_upper,
        sigma_seeds=from_seeds,
        floor=0.0,
        n_seeds=0,
        n_repeats=0,
        n_prompts=n_prompts,
        repeats_known=sigma_repeat is not None,
    )


def size(
    spread: Spread,
    target: float,
    costs: Mapping[str, float] | None = None,
    *,
    budget: float | None = None,
    max_prompts: int | None = None,
    prompts_fixed: bool = False,
) -> Sizing:
    """Answer all questions; `problems` holds what is out of reach, with the reason."""
    options: dict[str, Any] = {"score": spread.score, "outcome_variance": spread.outcome_variance}
    if prompts_fixed:
        options |= {"fixed": {"prompt": spread.n_prompts}}
    design = design_of(spread.variances, **options)
    if max_prompts is not None and not prompts_fixed:
        options |= {"at_most": {"prompt": max_prompts}}
    problems: list[str] = []

    def plan(variances: dict[str, float] | None, label: str, **aim: Any) -> DesignPlan | None:
        if costs is None or variances is None:
            return None
        try:
            return plan_design(variances, costs, **aim, **options)
        except StatsError as problem:
            problems.append(f"{label}: {problem}")
            return None

    def ends(seeds: int, repeats: int) -> Ends:
        found = design.interval((seeds, repeats, spread.n_prompts))
        return float(found.lower), float(found.upper)

    repeats = REPEATS_SHOWN if spread.repeats_known else (1,)
    has_pilot = spread.n_seeds > 0
    return Sizing(
        spread=spread,
        target=target,
        margin=MARGIN,
        margin_points=margin_points(spread.score, MARGIN),
        prompts_fixed=prompts_fixed,
        here=_seeds(spread.sigma_run, spread),
        at_upper=None if spread.sigma_upper is None else _seeds(spread.sigma_upper, spread),
        stability_at_best={bound: plan_stability(0.0, bound, MARGIN) for bound in BOUNDS},
        intervals={s: {r: ends(s, r) for r in repeats} for s in SEEDS_SHOWN},
        cheapest=plan(spread.variances, "cheapest split", half_width=target),
        cheapest_at_upper=plan(
            spread.variances_upper, "at the upper bound of the seeds' spread", half_width=target
        ),
        best_for_budget=(
            None if budget is None else plan(spread.variances, "budget", budget=budget)
        ),
        pilot_interval=ends(spread.n_seeds, spread.n_repeats) if has_pilot else None,
        pilot_cost=_cost(costs, spread) if has_pilot and costs is not None else None,
        problems=tuple(problems),
    )


def _cost(costs: Mapping[str, float], pilot: Spread) -> float:
    s, r, p = pilot.n_seeds, pilot.n_repeats, pilot.n_prompts
    return (
        costs.get("fine_tune", 0.0) * s
        + costs["generation"] * s * r * p
        + costs.get("prompt", 0.0) * p
    )


def _seeds(sigma: float, spread: Spread) -> SeedAnswers:
    def equality(power: float, beside: int | None = None) -> int | None:
        # Without a verdict, or at a spread as wide as phi itself, no number of seeds is an answer.
        if spread.n_prompts < FEWEST_PROMPTS or sigma >= math.pi:
            return None
        return plan_verdict_seeds(
            sigma,
            score=spread.score,
            floor=spread.floor**2,
            margin=MARGIN,
            power=power,
            n_original=beside,
        )

    return SeedAnswers(
        sigma=sigma,
        stability_point=math.erf(MARGIN / (2 * sigma)) if sigma > 0 else 1.0,
        equality={power: equality(power) for power in POWERS},
        beside_pilot={
            power: equality(power, spread.n_seeds) if spread.n_seeds else None for power in POWERS
        },
        stability={
            bound: plan_stability(sigma, bound, MARGIN, floor=spread.floor) for bound in BOUNDS
        },
    )
