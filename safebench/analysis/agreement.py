"""What a rerun shows beside its verdicts: cells, texts and prompts on which both sides agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from safebench.analysis.flips import find_flips
from safebench.analysis.same_text import responses_by_place
from safebench.card.card import Card
from safebench.card.results import PlaceKey, PrimaryEstimand, find, key_of
from safebench.errors import EvidenceError
from safebench.evidence.arrays import OutcomeArray
from safebench.evidence.submission import Submission
from safebench.evidence.tables import OUTCOMES_FILE
from safebench.evidence.verdicts import Agreement, PromptFlip, ResponsesCompared
from safebench.stats import cohen_kappa
from safebench.words import kept, number, rounded

Pair = tuple[OutcomeArray, OutcomeArray]
"""Outcomes of the original and of the rerun."""
LARGEST_GAP = {"float32": 0.01}
"""Logits: the same weights part by less on another processor, by the type they compute in."""
_COARSE_GAP = 0.5


def _pick(submission: Submission, key: PlaceKey) -> OutcomeArray:
    found = find(submission.blocks, key)
    if found is None:
        raise EvidenceError(
            f"{submission.path(OUTCOMES_FILE)}: no outcomes of "
            f"{'/'.join(str(part) for part in key)}"
        )
    return found


def pair_of(original: Submission, rerun: Submission, key: PlaceKey) -> Pair:
    """Return both sides at a key, the original cut to the prompts that a sample drew."""
    old, new = _pick(original, key), _pick(rerun, key)
    sampled = any(t.name == key.task and t.sample for t in rerun.card.task_list())
    if set(old.prompts) != set(new.prompts):
        if not sampled or not set(new.prompts) < set(old.prompts):
            raise EvidenceError(f"{key.task}: the rerun has other prompts")
        old = old.only(prompts=new.prompts)
    return old, new


def same_runs(pair: Pair) -> Pair | None:
    """Return both sides at the training seeds of the rerun; None where repeats differ."""
    old, new = pair
    if old.seeds != new.seeds:
        old = old.only(seeds=new.seeds)
    return (old, new) if old.scores.shape == new.scores.shape else None


def flips_of(estimand: PrimaryEstimand, pair: Pair) -> Iterator[PromptFlip]:
    """Yield the prompts that changed beyond chance."""
    found = find_flips(*pair, most=len(pair[0].prompts))
    for flip in found.largest:
        if flip.p_adjusted <= found.level:
            yield PromptFlip(
                task=estimand.task,
                construct=estimand.construct,
                prompt_id=flip.prompt_id,
                original=flip.a,
                rerun=flip.b,
                p_adjusted=flip.p_adjusted,
            )


def agreements_of(original: Submission, rerun: Submission) -> Iterator[Agreement]:
    """Compare outcome by outcome, over all cells that both sides have."""
    found: dict[tuple[str, Any, str], list[Pair]] = {}
    for block in rerun.blocks:
        key = key_of(block)
        if find(original.blocks, key) is not None:
            pair = same_runs(pair_of(original, rerun, key))
            if pair is not None:
                found.setdefault((block.task, block.construct, block.judge), []).append(pair)
    for (task, construct, judge), pairs in sorted(found.items()):
        equal = sum(int((old.scores == new.scores).sum()) for old, new in pairs)
        words = [
            np.concatenate([side.verdicts.ravel() for side in sides])
            for sides in zip(*pairs, strict=True)
        ]
        several = all(words[0] != "") and len({*words[0].tolist(), *words[1].tolist()}) > 1
        yield Agreement(
            task=task,
            construct=construct,
            judge=judge,
            outcomes=sum(new.scores.size for _, new in pairs),
            equal=equal,
            kappa=_kappa(words[0], words[1]) if several else None,
        )


def _kappa(first: Any, second: Any) -> float | None:
    estimate = cohen_kappa(first, second).estimate
    return None if estimate is None else kept(estimate)


def responses_of(
    original: Submission, rerun: Submission, gaps: Mapping[str, ResponsesCompared]
) -> Iterator[ResponsesCompared]:
    """Count equal responses by decoding; only the rerun itself could measure logit gaps."""
    pairs = responses_by_place(original, rerun)
    if pairs is None:
        yield from gaps.values()
        return
    for decoding in sorted({str(new["decoding"]) for _, new in pairs}):
        of_it = [(old, new) for old, new in pairs if new["decoding"] == decoding]
        known = gaps.get(decoding)
        yield ResponsesCompared(
            decoding=decoding,
            responses=len(of_it),
            equal=sum(old["response"] == new["response"] for old, new in of_it),
            gaps=known.gaps if known else 0,
            median_gap=known.median_gap if known else None,
        )


def contradictions_of(
    card: Card,
    generation: str | None,
    environment: tuple[str, ...],
    responses: tuple[ResponsesCompared, ...],
) -> Iterator[str]:
    """Yield what cannot be if the original's card is true."""
    largest = LARGEST_GAP.get(str(getattr(card.model, "dtype", "")), _COARSE_GAP)
    for found in responses if generation == "original" else ():
        differing = found.responses - found.equal
        text = (
            f"{number(differing)} of {number(found.responses)} responses of {found.decoding} differ"
        )
        if found.median_gap is not None and found.median_gap > largest:
            yield (
                f"{text}, where they part by {rounded(found.median_gap, 2)} logits (median), which "
                "is no rounding: the card does not describe what generated them"
            )
        elif not environment and differing > found.responses / 2:
            yield (
                f"{text}, with the same weights, seeds and software: the card does not describe "
                "what generated them"
            )
