"""Several reruns of one submission, taken together (spec/v1/signatures.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from safebench.card.results import MARGIN, find, key_of
from safebench.evidence.arrays import Floats, OutcomeArray
from safebench.evidence.submission import Submission
from safebench.evidence.verdicts import Word
from safebench.stats import rerun_verdict


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
