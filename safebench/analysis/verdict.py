"""The verdict on a rerun: each primary estimand of both sides, computed from their outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from safebench.analysis.same_text import identical
from safebench.card.base import require
from safebench.card.card import Card
from safebench.card.differences import environment_differences
from safebench.card.digest import protocol_digest
from safebench.card.results import MARGIN, PlaceKey, PrimaryEstimand, base_key, find, key_of
from safebench.errors import CardError, EvidenceError
from safebench.evidence.arrays import OutcomeArray, outcome_arrays
from safebench.evidence.tables import OUTCOMES_FILE, read_outcomes
from safebench.evidence.verdicts import ChangeVerdictRow, RerunReport, ScoreVerdict, Side, Word
from safebench.files import sha256_of
from safebench.stats import change_verdict, rerun_verdict
from safebench.words import kept


def compare(
    original: Card,
    original_dir: Path,
    rerun: Card,
    rerun_dir: Path,
    *,
    stated: RerunReport | None = None,
) -> RerunReport:
    """Compare a rerun with what it repeats, primary estimand by primary estimand.

    `stated`: what a comparison said that saw the responses, where they are withheld here.

    Raises:
        EvidenceError: a primary estimand lacks outcomes on one side, or the prompts differ.
    """
    results = original.given_results
    if results is None:
        raise CardError("the original has no results to compare with")
    before = outcome_arrays(read_outcomes(original_dir))
    after = outcome_arrays(read_outcomes(rerun_dir))
    verdicts, changes = [], []
    for estimand in results.primary:
        key = key_of(estimand)
        old, new = _pick(before, key, original_dir), _pick(after, key, rerun_dir)
        if set(old.prompts) != set(new.prompts):
            raise EvidenceError(f"{estimand.task}: the rerun was asked other prompts")
        same = identical(original_dir, rerun_dir, key)
        for said in stated.verdicts if stated is not None and same is None else ():
            if (said.task, said.construct) == (key.task, key.construct):
                same = said.identical
        silent = _silence(original, rerun, estimand, same)
        verdicts.append(_score_verdict(estimand, old, new, silent))
        if estimand.checkpoint is not None:
            bases = (
                _pick(before, base_key(estimand), original_dir),
                _pick(after, base_key(estimand), rerun_dir),
            )
            changes.append(_change_row(estimand, bases, (old, new), silent))
    seeds = cast(
        "tuple[int, ...]", require(require(rerun.seeds, "seeds").training, "seeds.training")
    )
    return RerunReport(
        kind="retrain",
        original=_side(original, original_dir),
        rerun=_side(rerun, rerun_dir),
        planned_seeds=len(seeds),
        checkpoint_unit=cast("Literal['epoch', 'step']", original.checkpoint_unit),
        verdicts=tuple(verdicts),
        changes=tuple(changes),
        overall=_overall([v.verdict for v in verdicts]),
        environment_differences=tuple(environment_differences(original, rerun)),
    )


def _overall(words: list[Word]) -> Word:
    """Return the verdict on all primary estimands: reproduced only where each of them is."""
    if "not_reproduced" in words:
        return "not_reproduced"
    return words[0] if len(set(words)) == 1 else "inconclusive"


def _pick(blocks: list[OutcomeArray], key: PlaceKey, folder: Path) -> OutcomeArray:
    found = find(blocks, key)
    if found is None:
        raise EvidenceError(
            f"{folder / OUTCOMES_FILE}: no outcomes of {'/'.join(str(part) for part in key)}"
        )
    return found


@dataclass(frozen=True)
class _Silence:
    """Why nothing is decided, whatever the numbers are; `reason` is empty where there is no why."""

    trial: str | None
    identical: bool | None

    @property
    def reason(self) -> str:
        if self.identical:
            return (
                "every run of the rerun is, byte for byte, one of the original: that is a fact and "
                "no verdict"
            )
        return f"a trial has no verdict: {self.trial}" if self.trial else ""

    def over(self, verdict: str, reason: str) -> tuple[Word, str]:
        """Return what is said in the place of a verdict and its reason."""
        if self.reason:
            return "no_verdict", f"{self.reason}."
        return cast("Word", verdict), reason


def _silence(
    original: Card, rerun: Card, estimand: PrimaryEstimand, identical: bool | None
) -> _Silence:
    tasks = [t for card in (original, rerun) for t in card.task_list() if t.name == estimand.task]
    return _Silence(next((t.trial for t in tasks if t.trial), None), identical)


def _score_verdict(
    estimand: PrimaryEstimand, old: OutcomeArray, new: OutcomeArray, silent: _Silence
) -> ScoreVerdict:
    """Test equivalence over training seeds; a seed's score is its mean over repeats."""
    found = rerun_verdict(old.scores, new.scores, margin=MARGIN)
    word, reason = silent.over(found.verdict, found.reason)
    return ScoreVerdict(
        task=estimand.task,
        construct=estimand.construct,
        checkpoint=estimand.checkpoint,
        decoding=estimand.decoding,
        judge=estimand.judge,
        original_estimate=kept(float(old.scores.mean())),
        rerun_estimate=kept(float(new.scores.mean())),
        original_seeds=len(old.seeds),
        rerun_seeds=len(new.seeds),
        prompts=len(new.prompts),
        trial=silent.trial,
        identical=silent.identical,
        difference_points=kept(found.difference_points),
        lower_points=_maybe(found.lower_points),
        upper_points=_maybe(found.upper_points),
        margin_points=kept(found.margin_points),
        seeds_needed=found.seeds_needed,
        prompts_needed=found.prompts_needed,
        verdict=word,
        reason=reason,
    )


def _maybe(value: float | None) -> float | None:
    return None if value is None else kept(value)


def _change_row(
    estimand: PrimaryEstimand,
    bases: tuple[OutcomeArray, OutcomeArray],
    tuned: tuple[OutcomeArray, OutcomeArray],
    silent: _Silence,
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
    word, reason = silent.over(found.verdict, found.reason)
    return ChangeVerdictRow(
        task=estimand.task,
        construct=estimand.construct,
        checkpoint=int(estimand.checkpoint or 0),
        decoding=estimand.decoding,
        judge=estimand.judge,
        original_estimate=kept(found.original.estimate_points),
        rerun_estimate=kept(found.rerun.estimate_points),
        sign=silent.over(found.sign_verdict, "")[0],
        size=silent.over(found.size_verdict, "")[0],
        verdict=word,
        reason=reason,
    )


def _side(card: Card, folder: Path) -> Side:
    return Side(
        id=card.submission.id,
        organisation=card.submission.organisation,
        protocol=protocol_digest(card),
        outcomes_sha256=sha256_of(folder / OUTCOMES_FILE),
    )
