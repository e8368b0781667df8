"""What varies: variance components of a task's whole grid, of single answers and between runs.

A run is one training seed, checkpoint, decoding and repeat; its score is the mean over prompts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from safebench.analysis.measures import Measure, NotMeasured, Number, measured
from safebench.card.results import Condition
from safebench.card.task import Construct
from safebench.errors import StatsError
from safebench.evidence.arrays import OutcomeArray
from safebench.stats import VarianceComponents, variance_components
from safebench.words import kept

REST = "residual"
RUN_EFFECTS: Mapping[str, tuple[str, ...]] = {
    "training_seed": ("training_seed",),
    "checkpoint": ("checkpoint",),
    "decoding": ("decoding",),
    "training_seed:checkpoint": ("training_seed", "checkpoint"),
    "training_seed:decoding": ("training_seed", "decoding"),
    "checkpoint:decoding": ("checkpoint", "decoding"),
    "training_seed:checkpoint:decoding": ("training_seed", "checkpoint", "decoding"),
    "repeat": ("training_seed", "checkpoint", "decoding", "repeat"),
}
ANSWER_EFFECTS: Mapping[str, tuple[str, ...]] = {
    "prompt": ("prompt",),
    **RUN_EFFECTS,
    "prompt:training_seed": ("prompt", "training_seed"),
    "prompt:checkpoint": ("prompt", "checkpoint"),
    "prompt:decoding": ("prompt", "decoding"),
    REST: ("prompt", "training_seed", "checkpoint", "decoding", "repeat"),
}
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Effect:
    """One source of variation: its levels, and its share of two variances."""

    name: str
    levels: int
    """Levels of a facet, cells of an interaction."""
    fixed: bool
    """Checkpoint, decoding or both, which nobody sampled: its shares are of the whole variance.
    Those of other sources are of what remains with checkpoint and decoding held."""
    variance: float | None
    """Variance component of single answers, unclamped; None where not measured."""
    of_answers: Measure
    """Share of the variance of single answers."""
    of_runs: Measure
    """Share of the variance between run scores."""


@dataclass(frozen=True)
class Variation:
    """What varies in one task, by one judge, over everything measured under a condition."""

    task: str
    construct: Construct
    judge: str
    condition: Condition
    levels: Mapping[str, int]
    """Levels of every facet."""
    answers: int
    runs: int
    method: str
    effects: tuple[Effect, ...]
    seed_share: Measure
    """Between runs of one checkpoint and decoding: the share that is between training seeds."""


def variation(blocks: Sequence[OutcomeArray]) -> Variation:
    """Return the components of blocks of one condition, task, construct and judge."""
    scores, factors = _long(blocks)
    means, runs = _run_means(blocks)
    answers = _fit(scores, factors, ANSWER_EFFECTS)
    between = _fit_runs(means, runs)
    first = blocks[0]
    levels = {name: _cells(factors, (name,)) for name in factors if name != "repeat"}
    levels["repeat"] = max(block.scores.shape[1] for block in blocks)
    cells = answers.n_cells if isinstance(answers, VarianceComponents) else {}
    effects = tuple(
        Effect(
            name=name,
            levels=levels.get(name) or cells.get(name) or _cells(factors, facets),
            fixed=_fixed(name),
            variance=_variance(answers, name),
            of_answers=_share(answers, name, {"answers": scores.size}),
            of_runs=(
                _share(between, name, {"runs": means.size})
                if name in RUN_EFFECTS
                else NotMeasured("a run score averages over prompts")
            ),
        )
        for name, facets in ANSWER_EFFECTS.items()
    )
    return Variation(
        task=first.task,
        construct=first.construct,
        judge=first.judge,
        condition=first.condition,
        levels=levels,
        answers=scores.size,
        runs=means.size,
        method=answers.method if isinstance(answers, VarianceComponents) else answers.reason,
        effects=effects,
        seed_share=_seed_share(between, means.size),
    )


def _seed_share(between: VarianceComponents | NotMeasured, runs: int) -> Measure:
    """Return what repeats leave: the share of seeds, alone and with checkpoint and decoding."""
    if isinstance(between, NotMeasured):
        return between
    sampled = _sampled(between)
    if "repeat" not in sampled:
        return NotMeasured("with one repeat, seeds and chance cannot be told apart")
    if len(sampled) < 2:
        return NotMeasured("one training seed does not show how far seeds differ")
    rest = _share(between, "repeat", {"runs": runs})
    if isinstance(rest, NotMeasured) or rest.lower is None or rest.upper is None:
        return rest
    ends = (kept(1 - rest.upper), kept(1 - rest.lower))
    return Number(kept(1 - rest.estimate), *ends, rest.n, rest.method)


def _sampled(found: VarianceComponents) -> tuple[str, ...]:
    """Return the measured effects whose levels are a sample of more."""
    return tuple(name for name in found.estimates if not _fixed(name))


def _fixed(name: str) -> bool:
    """Tell whether an effect is of checkpoints and decodings alone, which nobody samples."""
    return set(name.split(":")) <= {"checkpoint", "decoding"}


def _long(blocks: Sequence[OutcomeArray]) -> tuple[npt.NDArray[np.float64], dict[str, Ints]]:
    """Return the scores of all blocks as one array, with the code of every facet."""
    names = np.concatenate([np.asarray(block.prompts) for block in blocks])
    prompts = np.split(
        np.unique(names, return_inverse=True)[1].astype(np.int64),
        np.cumsum([len(block.prompts) for block in blocks])[:-1],
    )
    parts = []
    for block, own in zip(blocks, prompts, strict=True):
        run = {name: codes[:, :, None] for name, codes in _run_codes(block, blocks).items()}
        codes = {"prompt": own, **run}
        parts.append({f: np.broadcast_to(c, block.scores.shape) for f, c in codes.items()})
    return _joined([block.scores for block in blocks], parts)


def _run_means(blocks: Sequence[OutcomeArray]) -> tuple[npt.NDArray[np.float64], dict[str, Ints]]:
    """Return the score of every run, with the code of every facet it has."""
    means = [block.scores.mean(axis=2) for block in blocks]
    return _joined(means, [_run_codes(block, blocks) for block in blocks])


def _joined(
    scores: list[npt.NDArray[np.float64]], parts: list[dict[str, Ints]]
) -> tuple[npt.NDArray[np.float64], dict[str, Ints]]:
    factors = {name: np.concatenate([part[name].ravel() for part in parts]) for name in parts[0]}
    return np.concatenate([values.ravel() for values in scores]), factors


def _run_codes(block: OutcomeArray, blocks: Sequence[OutcomeArray]) -> dict[str, Ints]:
    """Return codes of a block's runs, shape (seeds, repeats)."""
    every = sorted({-1 if seed is None else seed for one in blocks for seed in one.seeds})
    own = [-1 if seed is None else seed for seed in block.seeds]
    seeds = np.searchsorted(np.array(every), np.array(own)).astype(np.int64)
    decodings = sorted({one.decoding for one in blocks})
    shape = block.scores.shape[:2]
    return {
        "training_seed": np.broadcast_to(seeds[:, None], shape),
        "checkpoint": np.full(shape, block.checkpoint or 0, dtype=np.int64),
        "decoding": np.full(shape, decodings.index(block.decoding), dtype=np.int64),
        "repeat": np.broadcast_to(np.arange(shape[1]), shape),
    }


def _fit(
    scores: npt.NDArray[np.float64],
    factors: Mapping[str, Ints],
    effects: Mapping[str, tuple[str, ...]],
) -> VarianceComponents | NotMeasured:
    if scores.size < 2:
        return NotMeasured("there is only one score")
    if float(np.ptp(scores)) == 0:
        return NotMeasured(f"nothing varies: every score is {scores[0]:g}")
    try:
        return variance_components(scores, factors, effects)
    except StatsError as problem:
        return NotMeasured(str(problem))


def _fit_runs(
    means: npt.NDArray[np.float64], factors: Mapping[str, Ints]
) -> VarianceComponents | NotMeasured:
    """Fit run scores; the effect that tells every run apart is the residual, under its own name."""
    varying = [name for name, codes in factors.items() if np.unique(codes).size > 1]
    if not varying:
        return NotMeasured("there is only one run")
    if len(varying) == 1:
        return NotMeasured(f"runs differ by {_plain(varying[0])} alone")
    last = "repeat" if "repeat" in varying else ":".join(varying)
    effects = {name: facets for name, facets in RUN_EFFECTS.items() if name != last}
    return _fit(means, factors, {**effects, last: RUN_EFFECTS[last]})


def _variance(found: VarianceComponents | NotMeasured, name: str) -> float | None:
    if isinstance(found, NotMeasured) or name not in found.estimates:
        return None
    return kept(found.estimates[name])


def _share(
    found: VarianceComponents | NotMeasured,
    name: str,
    n: Mapping[str, int],
) -> Measure:
    if isinstance(found, NotMeasured):
        return found
    if name not in found.estimates:
        return NotMeasured(_plain(found.not_measured[name]))
    among = None if _fixed(name) else _sampled(found)
    if among is not None and len(among) < 2:
        return NotMeasured("nothing else varies within one checkpoint and decoding")
    return measured(found.share(name, among), n)


def _plain(reason: str) -> str:
    return reason.replace("training_seed", "training seed")


def _cells(factors: Mapping[str, Ints], facets: tuple[str, ...]) -> int:
    """Number of cells of an interaction."""
    code = np.zeros(1, dtype=np.int64)
    for facet in facets:
        code = code * (int(factors[facet].max()) + 1) + factors[facet]
    return np.unique(code).size
