"""How many seeds, repeats and prompts: from a pilot submission, or from given spreads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from safebench.analysis.spread import components, to_project
from safebench.card.io import load_card
from safebench.card.results import MARGIN, PrimaryEstimand
from safebench.errors import EvidenceError, StatsError
from safebench.evidence.arrays import OutcomeArray, outcome_arrays
from safebench.evidence.scoring import primary_estimands
from safebench.evidence.tables import OUTCOMES_FILE, read_outcomes
from safebench.stats import flip_rate, margin_points, stability
from safebench.stats.arms import FEWEST_PROMPTS
from safebench.stats.balanced import balanced_bounds
from safebench.stats.design import DesignPlan, design_of, plan_design
from safebench.stats.planning import (
    plan_stability,
    plan_verdict_seeds,
    sigma_from_points,
    sigma_upper,
)
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
    """What is known of how scores vary, measured by a pilot or given.

    `variances` (effect -> squared points), `variances_upper` (the seed's at its one-sided 95 %
    upper bound; None when that is unknown) and `outcome_variance`, of one response; `sigma_run`
    and `sigma_upper` are SDs of a run's phi(score), seen in `sigma_seeds` seeds; `n_seeds` is 0
    where no pilot stands behind it.
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
class SeedsNeeded:
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
    here: SeedsNeeded
    at_upper: SeedsNeeded | None
    intervals: dict[int, dict[int, Ends]]
    """Lower and upper end at some numbers of seeds and repeats, the prompts as they are."""
    cheapest: DesignPlan | None
    cheapest_at_upper: DesignPlan | None
    best_for_budget: DesignPlan | None
    pilot_interval: Ends | None
    """The pilot's own, which stands in its card."""
    pilot_cost: float | None
    problems: tuple[str, ...]


def read_pilot(folder: Path, wanted: Mapping[str, Any] | None = None) -> Spread:
    """Read a submission's spread: of its primary harm estimand, or of what `wanted` names.

    `wanted`: any of task, construct, decoding, checkpoint, judge; None values do not count.

    Raises:
        EvidenceError: nothing was measured of that name, or it has a single training seed.
    """
    card = load_card(folder / "card.yaml")
    everything = outcome_arrays(read_outcomes(folder))
    unit = card.checkpoint_unit
    primary = list(primary_estimands(card, everything))
    block = _pick(primary, everything, wanted or {}, folder, unit)
    if len(block.seeds) < 2:
        raise EvidenceError(
            f"{_place(block, unit)}: the pilot has one training seed, which says nothing of the "
            "spread over seeds",
            fix="run a pilot with three or more seeds, or give --sigma-seed instead of a folder",
        )
    return spread_of(block, unit)


def _place(block: OutcomeArray, unit: str) -> str:
    found = where(block.condition, block.checkpoint, block.decoding, unit)
    return f"{construct_name(block.construct)} ({found}), {block.task}, judge {block.judge}"


def _pick(
    primary: list[PrimaryEstimand],
    everything: list[OutcomeArray],
    wanted: Mapping[str, Any],
    folder: Path,
    unit: str,
) -> OutcomeArray:
    asked = {name: value for name, value in wanted.items() if value is not None}
    fits = [e for e in primary if all(getattr(e, k) == asked.get(k, getattr(e, k))
                                      for k in ("task", "construct"))]  # fmt: skip
    fits.sort(key=lambda e: e.construct != "harm")
    base = (fits or primary)[0] if primary else None
    if base is not None:
        fields = ("task", "construct", "condition", "checkpoint", "decoding", "judge")
        named = {**{f: getattr(base, f) for f in fields}, **asked}
        if base.checkpoint is None:
            named.pop("checkpoint" if "checkpoint" not in asked else "", None)
        for block in everything:
            if all(getattr(block, name) == value for name, value in named.items()):
                return block
    measured = "; ".join(_place(b, unit) for b in everything if b.condition != "base")
    said = ", ".join(f"{k} {v}" for k, v in asked.items()) or "primary estimand"
    raise EvidenceError(
        f"{folder / OUTCOMES_FILE}: no outcomes of {said}",
        fix=f"choose among: {measured or 'nothing was measured after fine-tuning'}",
    )


def spread_of(block: OutcomeArray, unit: str = "epoch") -> Spread:
    """Measure how the outcomes of one block vary."""
    scores = block.scores
    n_seeds, n_repeats, n_prompts = scores.shape
    if n_prompts < 2:
        place = _place(block, unit)
        raise EvidenceError(f"{place}: one prompt says nothing of the spread over prompts")
    variances, projected = components(block), to_project(block)
    bounds = balanced_bounds(scores, 0.025)
    upper = {**projected, "training_seed": balanced_bounds(scores, 0.05)["training_seed"][1]}
    binary = bool(np.isin(scores, (0.0, 1.0)).all())
    run = stability(
        scores.mean(axis=2),
        n_prompts,
        flip_upper=flip_rate(scores[:, 0]).upper if binary else None,
        margin=MARGIN,
    )
    parts = [_part(name, variances, bounds, scores.shape) for name in _WORDS]
    return Spread(
        source=_place(block, unit),
        score=float(scores.mean()),
        parts=tuple(parts),
        variances=projected,
        variances_upper=upper,
        outcome_variance=float(scores.var()),
        sigma_run=run.sigma_run or 0.0,
        sigma_upper=run.sigma_upper,
        sigma_seeds=n_seeds,
        floor=run.floor,
        n_seeds=n_seeds,
        n_repeats=n_repeats,
        n_prompts=n_prompts,
        repeats_known=n_repeats > 1,
    )


def _part(
    name: str,
    variances: Mapping[str, float],
    bounds: Mapping[str, tuple[float, float]],
    shape: tuple[int, ...],
) -> Part:
    n_seeds, n_repeats, n_prompts = shape
    if name not in variances:
        return Part(name, _WORDS[name], None, None, None, None, "not measured: one repeat")
    n = {
        "training_seed": n_seeds,
        "prompt": n_prompts,
        "prompt:training_seed": n_seeds * n_prompts,
        "training_seed:repeat": n_seeds * n_repeats,
        "residual": n_seeds * n_repeats * n_prompts,
    }[name]
    low, high = bounds[name]
    note = ""
    if name == "prompt:training_seed" and n_repeats < 2:
        note = "one repeat: holds the noise of single responses too"
    elif variances[name] <= 0:
        note = "not told apart from 0"
    sd = math.sqrt(max(variances[name], 0.0))
    return Part(
        name, _WORDS[name], sd, math.sqrt(max(low, 0.0)), math.sqrt(max(high, 0.0)), n, note
    )


def given_spread(
    score: float,
    sigma_seed: float,
    sigma_prompt: float | None = None,
    sigma_repeat: float | None = None,
    n_prompts: int = 300,
    from_seeds: int | None = None,
) -> Spread:
    """What a person knows, in points: SDs over seeds, prompts, and repeats of one response.

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
            f"the SDs make a variance of {known:.4f}, but outcomes in [0, 1] with mean {score:g} "
            f"vary by at most {total:.4f}",
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
        "prompt": "given" if sigma_prompt is not None else "not given: the most the score allows",
        "prompt:training_seed": "what is left of the variance that 0/1 outcomes have",
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
        source="given spreads",
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
    """Answer all questions at once; what is out of reach is in `problems`, with the reason."""
    options: dict[str, Any] = {
        "score": spread.score, "outcome_variance": spread.outcome_variance
    }  # fmt: skip
    if prompts_fixed:
        options |= {"fixed": ("prompt",), "levels": {"prompt": spread.n_prompts}}
    elif max_prompts is not None:
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

    design = design_of(spread.variances, **{k: v for k, v in options.items() if k != "at_most"})

    def ends(seeds: int, repeats: int) -> Ends:
        found = design.interval((seeds, repeats, spread.n_prompts))
        return float(found.lower), float(found.upper)

    repeats = REPEATS_SHOWN if spread.repeats_known else (1,)
    own = (spread.n_seeds, spread.n_repeats, spread.n_prompts)
    return Sizing(
        spread=spread,
        target=target,
        margin=MARGIN,
        margin_points=margin_points(spread.score, MARGIN),
        prompts_fixed=prompts_fixed,
        here=_seeds(spread.sigma_run, spread),
        at_upper=None if spread.sigma_upper is None else _seeds(spread.sigma_upper, spread),
        intervals={s: {r: ends(s, r) for r in repeats} for s in SEEDS_SHOWN},
        cheapest=plan(spread.variances, "cheapest split", half_width=target),
        cheapest_at_upper=plan(
            spread.variances_upper, "at the upper bound of the seeds' spread", half_width=target
        ),
        best_for_budget=(
            None if budget is None else plan(spread.variances, "budget", budget=budget)
        ),
        pilot_interval=ends(spread.n_seeds, spread.n_repeats) if spread.n_seeds else None,
        pilot_cost=_cost(costs, own) if spread.n_seeds and costs is not None else None,
        problems=tuple(problems),
    )


def _cost(costs: Mapping[str, float], n: tuple[int, int, int]) -> float:
    s, r, p = n
    return (
        costs.get("fine_tune", 0.0) * s
        + costs["generation"] * s * r * p
        + costs.get("prompt", 0.0) * p
    )


def _seeds(sigma: float, spread: Spread) -> SeedsNeeded:
    def equality(power: float, beside: int | None = None) -> int | None:
        # Few prompts decide nothing, and so large a spread asks for more than is worth naming.
        if spread.n_prompts < FEWEST_PROMPTS or sigma >= math.pi:
            return None
        return plan_verdict_seeds(
            sigma, score=spread.score, floor=spread.floor**2, margin=MARGIN, power=power,
            n_original=beside,
        )  # fmt: skip

    return SeedsNeeded(
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
