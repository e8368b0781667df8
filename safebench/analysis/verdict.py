"""The verdict on a rerun: each primary estimand of both sides, computed from their outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, cast

import numpy as np

from safebench.analysis.agreement import (
    Pair,
    agreements_of,
    contradictions_of,
    flips_of,
    pair_of,
    responses_of,
    same_runs,
)
from safebench.analysis.reported import change_row, compare_reported, score_row
from safebench.analysis.same_text import is_copy
from safebench.card.base import require
from safebench.card.card import Card
from safebench.card.differences import environment_differences
from safebench.card.results import MARGIN, PrimaryEstimand, base_key, find, key_of
from safebench.errors import CardError, EvidenceError
from safebench.evidence.arrays import Floats, OutcomeArray
from safebench.evidence.submission import Submission
from safebench.evidence.tables import OUTCOMES_FILE
from safebench.evidence.verdicts import (
    ChangeVerdictRow,
    Kind,
    Look,
    PromptFlip,
    RerunReport,
    ResponsesCompared,
    ScoreVerdict,
    Word,
    side_of,
)
from safebench.stats import SequentialDesign, change_verdict, rerun_verdict
from safebench.stats.arms import FEWEST_PROMPTS

ALPHA = 0.05
"""One-sided level of each of the two tests, where the number of seeds was fixed beforehand."""


def compare(
    original: Submission,
    rerun: Submission,
    kind: Kind = "retrain",
    *,
    design: SequentialDesign | None = None,
    looks: Sequence[Look] = (),
    gaps: Mapping[str, ResponsesCompared] = MappingProxyType({}),
    reported: RerunReport | None = None,
) -> RerunReport:
    """Compare a rerun with what it repeats, primary estimand by primary estimand.

    Args:
        original: What was repeated.
        rerun: The repetition, of the same prompts or of a sample of them.
        kind: What was repeated; of `retrain` the training seeds are new, of others the same.
        design: When a rerun that adds seeds is looked at, and how strictly; None where the number
            of seeds was fixed beforehand.
        looks: Its earlier looks.
        gaps: What is known of greedy responses that differ, by decoding.
        reported: An earlier comparison that saw the responses, where they are withheld here.

    Raises:
        EvidenceError: a primary estimand lacks outcomes on one side, or the prompts or the training
            seeds are not those of such a rerun.
    """
    results = original.card.given_results
    if results is None:
        raise CardError("the original has no results to compare with")
    test = _Test(kind, ALPHA if design is None else design.alpha)
    _check_seeds(original.card, rerun.card, kind)
    verdicts: list[ScoreVerdict] = []
    changes: list[ChangeVerdictRow] = []
    flips: list[PromptFlip] = []
    has_outcomes = original.path(OUTCOMES_FILE).is_file()
    if not has_outcomes:
        verdicts, changes = compare_reported(results, rerun, test.alpha)
    for estimand in results.primary if has_outcomes else ():
        key = key_of(estimand)
        pair = pair_of(original, rerun, key)
        copied = is_copy(original, rerun, key) if kind == "retrain" else None
        for verdict in reported.verdicts if reported is not None and copied is None else ():
            if (verdict.task, verdict.construct) == (key.task, key.construct):
                copied = verdict.identical
        veto = _Veto(_trial(original, rerun, key.task), copied)
        verdicts.append(_score_verdict(estimand, pair, veto, test))
        flips += flips_of(estimand, pair)
        if estimand.checkpoint is not None:
            bases = pair_of(original, rerun, base_key(estimand))
            changes.append(_change_verdict(estimand, bases, pair, veto, test))
    environment = tuple(environment_differences(original.card, rerun.card))
    if reported is not None:
        gaps = {found.decoding: found for found in reported.responses}
    responses = tuple(responses_of(original, rerun, gaps)) if kind == "regenerate" else ()
    generation = _generation(original.card, rerun.card) if kind == "regenerate" else None
    agreement = tuple(agreements_of(original, rerun)) if kind != "retrain" else ()
    against = tuple(contradictions_of(rerun.card, generation, environment, responses))
    overall: Word = "not_reproduced" if against else _overall([v.verdict for v in verdicts])
    if design is not None:
        looks = (*looks, Look(seeds=len(_seeds(rerun.card)), overall=overall))
    return RerunReport(
        kind=kind,
        original=side_of(original),
        rerun=side_of(rerun),
        planned_seeds=len(_seeds(rerun.card)),
        checkpoint_unit=cast("Literal['epoch', 'step']", original.card.checkpoint_unit),
        verdicts=tuple(verdicts),
        changes=tuple(changes),
        overall=overall,
        environment_differences=environment,
        generation=generation,
        nonce=next((t.sample.nonce for t in rerun.card.task_list() if t.sample is not None), None),
        agreement=agreement,
        responses=responses,
        flips=tuple(flips),
        contradictions=against,
        alpha=test.alpha,
        schedule=None if design is None else design.looks,
        looks=tuple(looks),
    )


def _overall(words: list[Word]) -> Word:
    """Return the verdict on all primary estimands: reproduced only where each of them is."""
    if "not_reproduced" in words:
        return "not_reproduced"
    return words[0] if len(set(words)) == 1 else "inconclusive" if words else "no_verdict"


def _seeds(card: Card) -> tuple[int, ...]:
    """Return the training seeds of a card; none where it is untuned, or does not report them."""
    given = getattr(card.seeds, "training", None)
    return given if isinstance(given, tuple) else ()


def _check_seeds(original: Card, rerun: Card, kind: Kind) -> None:
    """Check that a retraining has new seeds, and every other rerun only seeds of the original."""
    if not original.is_tuned:
        return
    shared = set(_seeds(original)) & set(_seeds(rerun))
    if kind == "retrain" and shared:
        raise EvidenceError(
            f"the rerun has training seeds of the original: {sorted(shared)[0]}",
            fix="retrain with new seeds, or call it `regenerate`",
        )
    if kind != "retrain" and set(_seeds(rerun)) - shared:
        raise EvidenceError(
            f"the rerun has training seeds that the original lacks, and is called `{kind}`",
            fix="call it `retrain`",
        )


def _generation(original: Card, rerun: Card) -> Literal["original", "new"]:
    same = require(original.seeds, "seeds").generation == require(rerun.seeds, "seeds").generation
    return "original" if same else "new"


def _trial(original: Submission, rerun: Submission, name: str) -> str | None:
    """Return which first prompts a task was limited to on either side, if it was."""
    tasks = (task for card in (original.card, rerun.card) for task in card.task_list())
    return next((t.trial for t in tasks if t.name == name and isinstance(t.limit, int)), None)


@dataclass(frozen=True)
class _Test:
    """How two sides are compared."""

    kind: Kind
    alpha: float

    def sides(self, pair: Pair) -> tuple[Any, Any, bool]:
        """Return the outcomes that are compared, and whether they are paired by training seed."""
        if self.kind != "retrain" and len(pair[1].seeds) > 1:
            old, new = same_runs(pair) or pair
            return old.scores, new.scores, old.seeds == new.seeds
        if pair[0].seeds == (None,):  # of an artefact, repeats are what varies
            return pair[0].arm(), pair[1].arm(), False
        return pair[0].scores, pair[1].scores, False

    def is_exact(self, pair: Pair) -> bool:
        """Whether the same cells were repeated, and every outcome is the same."""
        same = same_runs(pair) if self.kind != "retrain" else None
        return same is not None and bool(np.array_equal(same[0].scores, same[1].scores))


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


_EXACT = "every outcome is that of the original; it says nothing of other seeds."


def _score_verdict(estimand: PrimaryEstimand, pair: Pair, veto: _Veto, test: _Test) -> ScoreVerdict:
    """Test equivalence over training seeds; a seed's score is its mean over repeats."""
    old, new, paired = test.sides(pair)
    prompts = len(pair[1].prompts)
    row = score_row(estimand, old, new, prompts, test.alpha, paired=paired)
    found: tuple[str, str] = row.verdict, row.reason
    if test.is_exact(pair) and prompts >= FEWEST_PROMPTS:
        found = "reproduced", _EXACT
    word, reason = veto.apply(*found)
    changes = {"trial": veto.trial, "identical": veto.identical, "verdict": word, "reason": reason}
    return row.model_copy(update=changes)


def _change_verdict(
    estimand: PrimaryEstimand, bases: Pair, tuned: Pair, veto: _Veto, test: _Test
) -> ChangeVerdictRow:
    for base, block in zip(bases, tuned, strict=True):
        if base.prompts != block.prompts:
            raise EvidenceError(f"{block.task}: base and tuned have different prompts")
    if test.kind != "retrain":
        tuned = same_runs(tuned) or tuned
    found = change_verdict(
        bases[0].scores[0],
        tuned[0].scores.mean(axis=1),
        bases[1].scores[0],
        tuned[1].scores.mean(axis=1),
        margin=MARGIN,
        confidence=1 - test.alpha,
    )
    row = change_row(estimand, found)
    words = {"verdict": row.verdict, "sign": row.sign, "size": row.size}
    reason = row.reason
    if test.is_exact(bases) and test.is_exact(tuned) and len(tuned[1].prompts) >= FEWEST_PROMPTS:
        words, reason = dict.fromkeys(words, "reproduced"), _EXACT
    vetoed = {name: veto.apply(word)[0] for name, word in words.items()}
    return row.model_copy(update={**vetoed, "reason": veto.apply("", reason)[1]})


# --- several reruns of one submission, taken together (spec/v1/signatures.md)


def pooled_words(
    original: Submission, reruns: Sequence[Submission], *, paired: bool, alpha: float
) -> dict[tuple[str, str], Word]:
    """Return the verdict of each primary estimand, by task and construct, on all runs together.

    `paired`: the reruns sampled the original's own models again, and are compared with them one by
    one. `alpha`: the strictest level of any of them. The reruns were each compared with the
    original before: they have its prompts.
    """
    results = original.card.given_results
    found: dict[tuple[str, str], Word] = {}
    for estimand in results.primary if results is not None else ():
        key = key_of(estimand)
        old = find(original.blocks, key)
        new = [block for rerun in reruns if (block := find(rerun.blocks, key)) is not None]
        if old is None or len(new) < len(reruns):
            found[key.task, key.construct] = "no_verdict"
            continue
        seeds, scores = join_seeds(new)
        first = old.scores
        if paired:
            shared = [seed for seed in old.seeds if seed in seeds]
            first = first[[old.seeds.index(seed) for seed in shared]]
            scores = scores[[seeds.index(seed) for seed in shared]]
        verdict = rerun_verdict(first, scores, margin=MARGIN, alpha=alpha, paired=paired)
        found[key.task, key.construct] = cast("Word", verdict.verdict)
    return found


def join_seeds(blocks: Sequence[OutcomeArray]) -> tuple[list[int | None], Floats]:
    """Return the training seeds of several reruns and their scores, (seeds, repeats, prompts).

    A seed that several reruns used is one run, and its scores are averaged: counted twice, it would
    make runs look closer to each other than they are.
    """
    repeats = min(block.scores.shape[1] for block in blocks)
    by_seed: dict[int | None, list[Floats]] = {}
    for block in blocks:
        for seed, scores in zip(block.seeds, block.scores, strict=True):
            by_seed.setdefault(seed, []).append(scores[:repeats])
    return list(by_seed), np.stack([np.mean(found, axis=0) for found in by_seed.values()])
