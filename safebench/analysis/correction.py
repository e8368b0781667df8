"""A judge errs: every score corrected for it, as far as the card's calibration allows.

Where people labelled a sample of the very responses behind a score, it is corrected by that audit
(PPI++). Else by sensitivity and specificity, from counts of labelled responses (Rogan and Gladen):
of the same condition where there are some, of other outputs with the assumption that the judge errs
here as it did there. Where neither is known, the report says so.

The card's own numbers are never replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from safebench import words
from safebench.analysis.measures import Measure, NotMeasured, Number
from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.judge import Calibration
from safebench.card.measured import MeasuredResults, MeasuredScore
from safebench.card.results import PlaceKey, base_key, find, key_of
from safebench.errors import SafebenchError, StatsError
from safebench.evidence.arrays import OutcomeArray
from safebench.evidence.audit import AuditLabel, audit_of, calibrations, counts
from safebench.evidence.scoring import block_stability, lost_seeds
from safebench.evidence.submission import Submission
from safebench.stats import Estimate, ppi_estimate, rogan_gladen, score_interval, youden
from safebench.stats.differences import between_independent
from safebench.words import kept

NOT_INCLUDED: Final = "judge error not included"
MAY_DIFFER: Final = "judge error may differ between base and tuned; not corrected"
TRANSPORT: Final = "transport assumed"
"""Said of a correction by labels of other outputs."""
FEWEST_AUDITED: Final = 20
"""Labelled responses behind a score from which it is corrected by them."""
FEW_SEEDS: Final = 3
"""With so many training seeds or fewer, an audit's interval covers less than one by counts."""


@dataclass(frozen=True)
class Corrected:
    """What judge error makes of one score; a number, or why there is none."""

    key: PlaceKey
    score: Measure
    change: Measure | None
    """Of the change from base; None where there is none."""
    stability: Measure | None
    """The bound on stability with the judge's J (sensitivity + specificity - 1) at its own lower
    bound; None where stability is not rated."""


class _Counts(NamedTuple):
    """A judge's counts on labelled responses."""

    se: tuple[int, int]
    sp: tuple[int, int]
    entry: Calibration
    by_condition: bool

    @property
    def source(self) -> str:
        """Whose labels these are."""
        labels = f"{self.se[1]} positive and {self.sp[1]} negative labels of"
        if self.entry.outputs != "these":
            return f"{labels} other outputs, {TRANSPORT}"
        if self.by_condition:
            return f"{labels} these outputs, same condition"
        return f"{labels} these outputs, conditions mixed, {TRANSPORT}"


class _Fixed(NamedTuple):
    """A corrected score, and whether it rests on labels of its own condition."""

    score: Measure
    by_condition: bool


def corrections(submission: Submission, results: MeasuredResults) -> dict[PlaceKey, Corrected]:
    """Return what judge error makes of every score of a submission, in the order of its results.

    Raises:
        EvidenceError: the outcomes cannot be read.
    """
    card = submission.card
    known = any(_calibrated(card).values()) and card.given_evidence is not None
    if not known:  # most cards: no outcomes are read
        return {key_of(score): _untouched(score, results) for score in results.scores}
    corrector = _Corrector(submission)
    return {key: corrector.of(key) for key in map(key_of, results.scores)}


def _calibrated(card: Card) -> dict[str, tuple[Calibration, ...]]:
    judges = () if isinstance(card.judge, NotReported) else card.judge
    return {judge.name: tuple(calibrations(judge.calibration)) for judge in judges}


def _untouched(score: MeasuredScore, results: MeasuredResults) -> Corrected:
    reason = NotMeasured(_absence(score.judge, score.construct, ()))
    rated = score.stability is not None and score.stability.lower is not None
    changed = find(results.changes, key_of(score)) is not None
    return Corrected(key_of(score), reason, reason if changed else None, reason if rated else None)


def _absence(judge: str, construct: str, entries: Sequence[Calibration]) -> str:
    """Return why the counts that a correction needs are not known."""
    about = sorted({_construct(entry) for entry in entries})
    if not entries:
        why = f"{judge} was not compared with people's labels"
    elif construct not in about:
        why = f"{judge} was compared with labels of {', '.join(about)}, not of {construct}"
    else:
        why = f"the calibration of {judge} has no counts of found and cleared labels for it"
    return f"{NOT_INCLUDED}: {why}"


def _construct(entry: Calibration) -> str:
    return entry.construct if isinstance(entry.construct, str) else "harm"


class _Corrector:
    def __init__(self, submission: Submission) -> None:
        self.card = submission.card
        self.blocks = {key_of(block): block for block in submission.blocks}
        self.entries = _calibrated(self.card)
        self.audits: dict[str, list[AuditLabel]] = {}
        self.problem = ""
        for name, entries in self.entries.items():
            try:
                self.audits[name] = audit_of(submission, entries)
            except SafebenchError as problem:
                self.audits[name], self.problem = [], f"; its audit cannot be read ({problem})"
        self._fixed: dict[PlaceKey, _Fixed] = {}

    def of(self, key: PlaceKey) -> Corrected:
        """Return what judge error makes of a score."""
        block, base = self.blocks[key], self.blocks.get(base_key(key))
        fixed = self._score(block)
        change: Measure | None = None
        if block.condition != "base" and base is not None and block.checkpoint is not None:
            change = self._change(fixed, self._score(base))
        return Corrected(key, fixed.score, change, self._stability(block))

    def _score(self, block: OutcomeArray) -> _Fixed:
        key = key_of(block)
        if key not in self._fixed:
            self._fixed[key] = self._of_block(block)
        return self._fixed[key]

    def _of_block(self, block: OutcomeArray) -> _Fixed:
        known, sample = self._counts(block), self._sample(block)
        ways: list[Callable[[], _Fixed]] = []
        if sample is not None and sample.y.size >= FEWEST_AUDITED:
            ways.append(partial(_by_audit, block, sample))
        if known is not None and bool(np.isin(block.scores[~block.unread], (0.0, 1.0)).all()):
            own = known.by_condition and known.entry.outputs == "these"
            first = own and block.condition != "base" and len(block.seeds) <= FEW_SEEDS
            ways.insert(0 if first else len(ways), partial(_by_counts, block, known))
        reason = _absence(block.judge, block.construct, self.entries.get(block.judge, ()))
        for way in ways:
            try:
                return way()
            except StatsError as problem:
                reason = f"{NOT_INCLUDED}: {problem}"
        return _Fixed(NotMeasured(reason + self.problem), by_condition=False)

    def _counts(self, block: OutcomeArray) -> _Counts | None:
        """Return the counts nearest to a block: of these outputs first, of its condition first."""
        found: list[tuple[tuple[bool, bool], _Counts]] = []
        for entry in self.entries.get(block.judge, ()):
            numbers = (entry.found, entry.positives, entry.cleared, entry.negatives)
            same = entry.condition == block.condition
            if (
                entry.group is None
                and _construct(entry) == block.construct
                and (same or entry.condition is None)
                and all(isinstance(n, int) for n in numbers)
                and entry.positives
                and entry.negatives
            ):
                a, b, c, d = (int(n) for n in numbers)  # type: ignore[arg-type]
                counted = _Counts((a, b), (c, d), entry, by_condition=same)
                found.append(((entry.outputs == "these", same), counted))
        return max(reversed(found), key=lambda pair: pair[0])[1] if found else None

    def _sample(self, block: OutcomeArray) -> _Sample | None:
        seeds = {seed: at for at, seed in enumerate(block.seeds)}
        prompts = {prompt: at for at, prompt in enumerate(block.prompts)}
        places, labels, weights = [], [], []
        for one in self.audits.get(block.judge, ()):
            condition, seed, checkpoint, decoding, repeat, task, prompt = one.key
            if (condition, checkpoint, decoding, task) != (
                block.condition, block.checkpoint, block.decoding, block.task,
            ):  # fmt: skip
                continue
            if seed in seeds and prompt in prompts and 1 <= repeat <= block.scores.shape[1]:
                places.append((seeds[seed], repeat - 1, prompts[prompt]))
                labels.append(counts(one.label, block.construct))
                weights.append(one.weight)
        if len(places) < 2:
            return None
        return _Sample(np.array(places), np.array(labels), np.array(weights))

    def _change(self, tuned: _Fixed, base: _Fixed) -> Measure:
        if not isinstance(tuned.score, Number) or not isinstance(base.score, Number):
            absent = tuned.score if isinstance(tuned.score, NotMeasured) else base.score
            return absent
        if not (tuned.by_condition and base.by_condition):
            return NotMeasured(MAY_DIFFER)
        a, b = (
            (n.estimate, n.lower if n.lower is not None else 0.0, n.upper or 0.0)
            for n in (tuned.score, base.score)
        )
        lower, upper = between_independent(a, b)
        return Number(
            kept(a[0] - b[0]),
            kept(max(lower, -1.0)),
            kept(min(upper, 1.0)),
            {"labels": tuned.score.n["labels"] + base.score.n["labels"]},
            f"MOVER; tuned: {tuned.score.method}; base: {base.score.method}",
        )

    def _stability(self, block: OutcomeArray) -> Measure | None:
        if block.condition == "base":
            return None
        lost = lost_seeds(self.card, block)
        if not block_stability(block, lost).rated:
            return None
        known = self._counts(block)
        if known is None:
            entries = self.entries.get(block.judge, ())
            return NotMeasured(_absence(block.judge, block.construct, entries))
        least = youden(known.se, known.sp)
        if least.lower <= 0:
            return NotMeasured(f"{NOT_INCLUDED}: its labels do not settle that it beats chance")
        found = block_stability(block, lost, least.lower)
        assert found.point is not None and found.lower is not None  # noqa: S101, PT018
        return Number(
            kept(found.point),
            kept(found.lower),
            None,
            {"seeds": found.n_seeds, "labels": sum(least.n)},
            f"spreads divided by J, at least {kept(least.lower):.3f}: {known.source}",
        )


@dataclass(frozen=True, eq=False)
class _Sample:
    """Audited responses of a block: places (n, 3), labels (n,) of 0 and 1, and weights (n,)."""

    places: npt.NDArray[np.int64]
    y: npt.NDArray[np.float64]
    weights: npt.NDArray[np.float64]


def _by_audit(block: OutcomeArray, sample: _Sample) -> _Fixed:
    at = tuple(sample.places.T)
    prompts = np.broadcast_to(np.arange(len(block.prompts)), block.scores.shape)

    def correct(scores: npt.NDArray[np.float64]) -> Estimate:
        return ppi_estimate(
            scores.ravel(),
            scores[at],
            sample.y,
            (prompts.ravel(), prompts[at]),
            weights=None if np.ptp(sample.weights) < 1e-9 else sample.weights,
            runs=scores,
        )

    return _Fixed(
        _spanning(block, correct, sample.y.size, "labels of these responses"), by_condition=True
    )


def _by_counts(block: OutcomeArray, known: _Counts) -> _Fixed:
    def correct(scores: npt.NDArray[np.float64]) -> Estimate:
        own = score_interval(scores)
        positives = min(own.estimate, 1.0) * own.n_effective
        return rogan_gladen(positives, own.n_effective, known.se, known.sp)

    labels = known.se[1] + known.sp[1]
    return _Fixed(_spanning(block, correct, labels, known.source), known.by_condition)


def _spanning(
    block: OutcomeArray,
    correct: Callable[[npt.NDArray[np.float64]], Estimate],
    labels: int,
    source: str,
) -> Number:
    """Return a correction, its interval at both extremes of what the judge left open."""
    found = correct(block.scores)
    ends = [found]
    if block.unread.any():
        ends += [correct(block.with_unread(score)) for score in (0.0, 1.0)]
    method = found.method.partition(", Lang-Reiczigel")[0]
    return Number(
        kept(found.estimate),
        kept(min(one.lower for one in ends)),
        kept(max(one.upper for one in ends)),
        {"labels": labels, "responses": block.scores.size},
        f"{method}, {source}",
    )


def in_words(value: Measure | None, *, is_change: bool = False, minus: str = "-") -> str:
    """Return a corrected number with its interval; in words that there is none, and why."""
    if value is None:
        return words.NOT_MEASURED
    if isinstance(value, NotMeasured) or value.lower is None or value.upper is None:
        return value.reason if isinstance(value, NotMeasured) else words.NOT_MEASURED
    if is_change:
        ends = words.signed_interval(value.lower, value.upper, minus)
        return f"{words.signed(value.estimate, minus=minus)} {ends}"
    return words.with_interval(value.estimate, value.lower, value.upper)


def beside(value: Measure | None, *, is_change: bool = False, minus: str = "-") -> str:
    """Return what stands beside a number as judged: the corrected one, or that there is none."""
    if isinstance(value, Number):
        return f"corrected {in_words(value, is_change=is_change, minus=minus)}"
    return NOT_INCLUDED
