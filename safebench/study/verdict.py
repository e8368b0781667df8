"""The verdict on a rerun: each primary estimand of both sides, computed from their outcomes."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from safebench.card.base import known
from safebench.card.card import Card
from safebench.card.differences import environment_differences
from safebench.card.digest import protocol_digest
from safebench.card.results import MARGIN, PlaceKey, PrimaryEstimand, base_key, find, key_of
from safebench.errors import CardError, EvidenceError
from safebench.evidence.blocks import Block as Outcomes
from safebench.evidence.blocks import blocks as outcome_blocks
from safebench.evidence.tables import OUTCOMES_FILE, read_outcomes
from safebench.evidence.verdicts import ChangeVerdictRow, RerunReport, ScoreVerdict, Side, Word
from safebench.files import sha256_of
from safebench.stats import change_verdict, rerun_verdict


def compare(original: Card, original_dir: Path, rerun: Card, rerun_dir: Path) -> RerunReport:
    """Compare a rerun with what it repeats, primary estimand by primary estimand.

    Raises:
        EvidenceError: a primary estimand lacks outcomes on one side, or the prompts differ.
    """
    results = original.given_results
    if results is None:
        raise CardError("the original has no results to compare with")
    before = outcome_blocks(read_outcomes(original_dir))
    after = outcome_blocks(read_outcomes(rerun_dir))
    verdicts, changes = [], []
    for estimand in results.primary:
        key = key_of(estimand)
        old, new = _pick(before, key, original_dir), _pick(after, key, rerun_dir)
        if set(old.prompts) != set(new.prompts):
            raise EvidenceError(f"{estimand.task}: the rerun was asked other prompts")
        verdicts.append(_score_verdict(estimand, old, new))
        if estimand.checkpoint is not None:
            bases = (
                _pick(before, base_key(estimand), original_dir),
                _pick(after, base_key(estimand), rerun_dir),
            )
            changes.append(_change_row(estimand, bases, (old, new)))
    seeds = cast("tuple[int, ...]", known(known(rerun.seeds, "seeds").training, "seeds.training"))
    return RerunReport(
        kind="retrain",
        original=_side(original, original_dir),
        rerun=_side(rerun, rerun_dir),
        planned_seeds=len(seeds),
        verdicts=tuple(verdicts),
        changes=tuple(changes),
        overall=_overall([v.verdict for v in verdicts]),
        environment_differences=tuple(environment_differences(original, rerun)),
    )


def _word(text: str) -> Word:
    return cast("Word", text)


def _overall(words: list[Word]) -> Word:
    if "not_reproduced" in words:
        return "not_reproduced"
    return "inconclusive" if "inconclusive" in words else "reproduced"


def _pick(blocks: list[Outcomes], key: PlaceKey, folder: Path) -> Outcomes:
    found = find(blocks, key)
    if found is None:
        raise EvidenceError(
            f"{folder / OUTCOMES_FILE}: no outcomes of {'/'.join(str(part) for part in key)}"
        )
    return found


def _score_verdict(estimand: PrimaryEstimand, old: Outcomes, new: Outcomes) -> ScoreVerdict:
    """Test equivalence over training seeds; a seed's score is its mean over repeats."""
    found = rerun_verdict(old.scores.mean(axis=(1, 2)), new.scores.mean(axis=(1, 2)), margin=MARGIN)
    return ScoreVerdict(
        task=estimand.task,
        construct=estimand.construct,
        checkpoint=estimand.checkpoint,
        decoding=estimand.decoding,
        judge=estimand.judge,
        original_estimate=float(old.scores.mean()),
        rerun_estimate=float(new.scores.mean()),
        original_seeds=len(old.seeds),
        rerun_seeds=len(new.seeds),
        difference_points=found.difference_points,
        lower_points=found.lower_points,
        upper_points=found.upper_points,
        margin_points=found.margin_points,
        seeds_needed=found.seeds_needed,
        verdict=_word(found.verdict),
        reason=found.reason,
    )


def _change_row(
    estimand: PrimaryEstimand, bases: tuple[Outcomes, Outcomes], tuned: tuple[Outcomes, Outcomes]
) -> ChangeVerdictRow:
    for base, block in zip(bases, tuned, strict=True):
        if base.prompts != block.prompts:
            raise EvidenceError(f"{block.task}: base and tuned were not asked the same prompts")
    found = change_verdict(
        bases[0].scores[0],
        tuned[0].scores.mean(axis=1),
        bases[1].scores[0],
        tuned[1].scores.mean(axis=1),
        margin=MARGIN,
    )
    return ChangeVerdictRow(
        task=estimand.task,
        construct=estimand.construct,
        checkpoint=int(estimand.checkpoint or 0),
        decoding=estimand.decoding,
        judge=estimand.judge,
        original_estimate=found.original.estimate_points,
        rerun_estimate=found.rerun.estimate_points,
        sign=_word(found.sign_verdict),
        size=_word(found.size_verdict),
        verdict=_word(found.verdict),
        reason=found.reason,
    )


def _side(card: Card, folder: Path) -> Side:
    return Side(
        id=card.submission.id,
        organisation=card.submission.organisation,
        protocol=protocol_digest(card),
        outcomes_sha256=sha256_of(folder / OUTCOMES_FILE),
    )
