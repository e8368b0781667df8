"""The verdict on a rerun: each primary estimand of both sides, computed from their outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

from safebench.analysis.same_text import is_copy
from safebench.card.base import require
from safebench.card.differences import environment_differences
from safebench.card.digest import protocol_digest
from safebench.card.results import MARGIN, PlaceKey, PrimaryEstimand, base_key, find, key_of
from safebench.errors import CardError, EvidenceError
from safebench.evidence.arrays import OutcomeArray
from safebench.evidence.submission import Submission
from safebench.evidence.tables import OUTCOMES_FILE
from safebench.evidence.verdicts import ChangeVerdictRow, RerunReport, ScoreVerdict, Side, Word
from safebench.stats import change_verdict, rerun_verdict
from safebench.words import kept

Pair = tuple[OutcomeArray, OutcomeArray]
"""Outcomes of the original and of the rerun."""


def compare(
    original: Submission, rerun: Submission, *, reported: RerunReport | None = None
) -> RerunReport:
    """Compare a rerun with what it repeats, primary estimand by primary estimand.

    `reported`: an earlier comparison that saw the responses, where they are withheld here.

    Raises:
        EvidenceError: a primary estimand lacks outcomes on one side, or the prompts differ.
    """
    results = original.card.given_results
    if results is None:
        raise CardError("the original has no results to compare with")
    verdicts, changes = [], []
    for estimand in results.primary:
        key = key_of(estimand)
        pair = _pick(original, key), _pick(rerun, key)
        if set(pair[0].prompts) != set(pair[1].prompts):
            raise EvidenceError(f"{estimand.task}: the rerun has other prompts")
        copied = is_copy(original, rerun, key)
        for verdict in reported.verdicts if reported is not None and copied is None else ():
            if (verdict.task, verdict.construct) == (key.task, key.construct):
                copied = verdict.identical
        veto = _Veto(_trial(original, rerun, key.task), copied)
        verdicts.append(_score_verdict(estimand, pair, veto))
        if estimand.checkpoint is not None:
            base = base_key(estimand)
            bases = _pick(original, base), _pick(rerun, base)
            changes.append(_change_row(estimand, bases, pair, veto))
    seeds = cast(
        "tuple[int, ...]", require(require(rerun.card.seeds, "seeds").training, "seeds.training")
    )
    return RerunReport(
        kind="retrain",
        original=_side(original),
        rerun=_side(rerun),
        planned_seeds=len(seeds),
        checkpoint_unit=cast("Literal['epoch', 'step']", original.card.checkpoint_unit),
        verdicts=tuple(verdicts),
        changes=tuple(changes),
        overall=_overall([v.verdict for v in verdicts]),
        environment_differences=tuple(environment_differences(original.card, rerun.card)),
    )


def _overall(words: list[Word]) -> Word:
    """Return the verdict on all primary estimands: reproduced only where each of them is."""
    if "not_reproduced" in words:
        return "not_reproduced"
    return words[0] if len(set(words)) == 1 else "inconclusive"


def _pick(submission: Submission, key: PlaceKey) -> OutcomeArray:
    found = find(submission.blocks, key)
    if found is None:
        raise EvidenceError(
            f"{submission.path(OUTCOMES_FILE)}: no outcomes of "
            f"{'/'.join(str(part) for part in key)}"
        )
    return found


def _trial(original: Submission, rerun: Submission, name: str) -> str | None:
    """Return which prompts a task was limited to on either side, if it was."""
    return original.card.trials.get(name) or rerun.card.trials.get(name)


@dataclass(frozen=True)
class _Veto:
    """A reason to give no verdict, whatever the numbers are."""

    trial: str | None
    identical: bool | None

    def apply(self, verdict: str, reason: str = "") -> tuple[Word, str]:
        """Return a verdict and its reason, or those of the veto."""
        if self.identical:
            return "no_verdict", (
                "every run of the rerun is, byte for byte, one of the original: a copy gets no "
                "verdict."
            )
        if self.trial:
            return "no_verdict", f"a trial gets no verdict: {self.trial}."
        return cast("Word", verdict), reason


def _place(estimand: PrimaryEstimand) -> dict[str, Any]:
    """Return what a row of the verdict is about."""
    names = ("task", "construct", "checkpoint", "decoding", "judge")
    return {name: getattr(estimand, name) for name in names}


def _score_verdict(estimand: PrimaryEstimand, pair: Pair, veto: _Veto) -> ScoreVerdict:
    """Test equivalence over training seeds; a seed's score is its mean over repeats."""
    old, new = pair
    found = rerun_verdict(old.scores, new.scores, margin=MARGIN)
    word, reason = veto.apply(found.verdict, found.reason)
    return ScoreVerdict(
        **_place(estimand),
        original_estimate=kept(float(old.scores.mean())),
        rerun_estimate=kept(float(new.scores.mean())),
        original_seeds=len(old.seeds),
        rerun_seeds=len(new.seeds),
        prompts=len(new.prompts),
        trial=veto.trial,
        identical=veto.identical,
        difference_points=kept(found.difference_points),
        lower_points=None if found.lower_points is None else kept(found.lower_points),
        upper_points=None if found.upper_points is None else kept(found.upper_points),
        margin_points=kept(found.margin_points),
        seeds_needed=found.seeds_needed,
        prompts_needed=found.prompts_needed,
        verdict=word,
        reason=reason,
    )


def _change_row(
    estimand: PrimaryEstimand, bases: Pair, tuned: Pair, veto: _Veto
) -> ChangeVerdictRow:
    for base, block in zip(bases, tuned, strict=True):
        if base.prompts != block.prompts:
            raise EvidenceError(f"{block.task}: base and tuned have different prompts")
    found = change_verdict(
        bases[0].scores[0],
        tuned[0].scores.mean(axis=1),
        bases[1].scores[0],
        tuned[1].scores.mean(axis=1),
        margin=MARGIN,
    )
    word, reason = veto.apply(found.verdict, found.reason)
    return ChangeVerdictRow(
        **_place(estimand),
        original_estimate=kept(found.original.estimate_points),
        rerun_estimate=kept(found.rerun.estimate_points),
        sign=veto.apply(found.sign_verdict)[0],
        size=veto.apply(found.size_verdict)[0],
        verdict=word,
        reason=reason,
    )


def _side(submission: Submission) -> Side:
    card = submission.card
    return Side(
        id=card.submission.id,
        organisation=card.submission.organisation,
        protocol=protocol_digest(card),
        outcomes_sha256=submission.outcomes_sha256,
    )
