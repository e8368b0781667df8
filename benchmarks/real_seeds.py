"""Intervals, stability bounds and verdicts on sixty real training seeds of one recipe.

    python benchmarks/real_seeds.py [--replicates N] [--picture FILE]

The outcomes are those of leaderboard/submissions/tiny-sixty-seeds: harm of the embedded model after
LoRA on household how-tos, greedy, 230 prompts. A study of S seeds is a draw of S of the sixty,
without putting back; what the recipe does is what all sixty do. A draw's mean is nearer to the
mean of all sixty than to that of a recipe nobody exhausts, by sqrt(1 - S/60), and its error is
divided by that, so that a study of ten is not flattered. The prompts stay the same, while the
score's interval covers other prompts too: it should hold more often than it says.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from lines import SEED, Line, generator, line

from safebench.evidence.arrays import OutcomeArray
from safebench.evidence.scoring import block_stability
from safebench.evidence.submission import Submission
from safebench.stats import (
    change_on_phi,
    paired_difference,
    phi,
    phi_inverse,
    read_change,
    score_interval,
)
from safebench.stats.arms import pooled_flip_upper
from safebench.stats.equivalence import arms_of_rerun
from safebench.words import proportion

SUBMISSION = Path(__file__).parents[1] / "leaderboard" / "submissions" / "tiny-sixty-seeds"
SIZES = (2, 3, 5, 10)
MARGIN = 0.1


def harm(condition: str) -> OutcomeArray:
    """Return the outcomes of harm of one condition."""
    blocks = Submission.read(SUBMISSION).blocks
    return next(b for b in blocks if b.construct == "harm" and b.condition == condition)


def studies(block: OutcomeArray, size: int, n: int, what: str) -> Iterator[OutcomeArray]:
    """Yield studies of so many seeds, drawn from all of them."""
    rng = generator(what)
    for _ in range(n):
        drawn = rng.choice(len(block.seeds), size, replace=False)
        yield block.only(seeds=[block.seeds[i] for i in drawn])


def described(tuned: OutcomeArray, base: OutcomeArray) -> Iterator[str]:
    """Yield what sixty seeds did."""
    runs, before = tuned.scores.mean(axis=(1, 2)), float(base.scores.mean())
    yield f"harm after fine-tuning: {runs.size} seeds, {runs.min():.2f} to {runs.max():.2f}"
    yield f"mean {runs.mean():.2f}, SD over seeds {runs.std(ddof=1):.3f}; base {before:.2f}"
    one = math.sqrt(runs.mean() * (1 - runs.mean()) / len(tuned.prompts))
    yield f"binomial standard error of one run on {len(tuned.prompts)} prompts {one:.3f}"
    gaps = np.abs(np.subtract.outer(phi(runs), phi(runs)))[np.triu_indices(runs.size, 1)]
    yield f"pairs of seeds within the margin: {np.mean(gaps <= MARGIN):.3f}"
    points = np.abs(np.subtract.outer(runs, runs))[np.triu_indices(runs.size, 1)]
    yield f"pairs of seeds that differ by .10 or more: {np.mean(points >= 0.1):.3f}"


def intervals(tuned: OutcomeArray, base: OutcomeArray, n: int) -> Iterator[Line]:
    """Coverage of the intervals of score and change, and what the change is read as."""
    truth, before = float(tuned.scores.mean()), float(base.scores.mean())
    for size in SIZES:
        short = math.sqrt(1 - size / len(tuned.seeds))
        score, same, change, words = [], [], [], []
        for study in studies(tuned, size, n, f"intervals {size}"):
            found = score_interval(study.scores[:, 0])
            error = (found.estimate - truth) / short
            score.append(found.lower <= found.estimate - error <= found.upper)
            fixed = score_interval(study.scores[:, 0], prompts_fixed=True)
            same.append(fixed.lower <= fixed.estimate - error <= fixed.upper)
            moved = paired_difference(base.scores[0], study.scores)
            change.append(moved.lower <= moved.estimate - error <= moved.upper)
            middle = (before + before + moved.estimate) / 2
            ends = (change_on_phi(moved.lower, middle), change_on_phi(moved.upper, middle))
            words.append(read_change(ends, ends, size) == "worse")
        yield line(f"score      {size:2} seeds: 95 % interval covers", score, 0.95, "")
        yield line(f"score      {size:2} seeds: covers, prompts taken as fixed", same, 0.95, "")
        yield line(f"change     {size:2} seeds: 95 % interval covers", change, 0.95, "")
        yield line(f"reading    {size:2} seeds: less safe", words, None, "true of all sixty")


def single(tuned: OutcomeArray) -> Iterator[Line]:
    """What one seed with the usual binomial interval says of the recipe: why one tells nothing."""
    truth, prompts = float(tuned.scores.mean()), len(tuned.prompts)
    runs = tuned.scores.mean(axis=(1, 2))
    half = 1.96 * np.sqrt(runs * (1 - runs) / prompts)
    yield line(
        "one seed: its binomial 95 % interval covers", [*(abs(runs - truth) <= half)], None, ""
    )
    first, second = np.triu_indices(runs.size, 1)
    apart = abs(runs[first] - runs[second]) > np.hypot(half[first], half[second])
    yield line(
        "two single seeds: their 95 % intervals of the difference exclude 0",
        [*apart],
        None,
        "nothing but the seed differs",
    )


def bounds(tuned: OutcomeArray, n: int) -> Iterator[Line]:
    """How often the stability bound is at most the share of pairs that agree."""
    on_phi = phi(tuned.scores.mean(axis=(1, 2)))
    gaps = np.abs(np.subtract.outer(on_phi, on_phi))[np.triu_indices(on_phi.size, 1)]
    truth = float(np.mean(gaps <= MARGIN))
    for size in SIZES[1:]:
        found = [block_stability(s) for s in studies(tuned, size, n, f"stability {size}")]
        for what, name in (("bound", "lower"), ("bound if normal", "lower_if_normal")):
            values = [float(getattr(one, name)) for one in found]
            note = f"mean bound {np.mean(values):.2f}, truth {truth:.2f}"
            yield line(
                f"stability  {size:2} seeds: {what}", [v <= truth for v in values], 0.95, note
            )


def verdicts(tuned: OutcomeArray, n: int) -> Iterator[Line]:
    """Verdicts of a rerun by others of the sixty: as it is, and moved by exactly the margin."""
    for size in SIZES:
        rng = generator(f"verdict {size}")
        words: dict[str, list[str]] = {"equal": [], "moved": []}
        for _ in range(n):
            drawn = rng.choice(len(tuned.seeds), 2 * size, replace=False)
            old, new = tuned.scores[drawn[:size], 0], tuned.scores[drawn[size:], 0]
            flips = pooled_flip_upper(old, new, paired=False)
            scores = old.mean(axis=1), new.mean(axis=1)
            words["equal"].append(_word(*scores, len(tuned.prompts), flips))
            moved = phi_inverse(phi(scores[1]) + MARGIN)
            words["moved"].append(_word(scores[0], moved, len(tuned.prompts), flips))
        label = f"verdict    {size:2} and {size:2} seeds"
        equal, moved_ = words["equal"], words["moved"]
        right = [word == "reproduced" for word in equal]
        yield line(f"{label}: reproduced, being equal", right, None, "power")
        wrong = [word == "not_reproduced" for word in equal]
        yield line(f"{label}: false not_reproduced", wrong, 0.05, "", False)
        falsely = [word == "reproduced" for word in moved_]
        yield line(f"{label}: false reproduced", falsely, 0.05, "moved by the margin", False)


def _word(old: np.ndarray, new: np.ndarray, prompts: int, flips: float | None) -> str:
    return arms_of_rerun(old, new, False, prompts, flips).decide(MARGIN, 0.05)[0]


def picture(tuned: OutcomeArray, base: OutcomeArray) -> str:
    """Return an SVG of all seeds in order, each with the interval that it alone would claim."""
    runs = np.sort(tuned.scores.mean(axis=(1, 2)))
    half = 1.96 * np.sqrt(runs * (1 - runs) / len(tuned.prompts))
    before = float(base.scores.mean())
    left, width, top, height = 52, 600, 66, 260

    def y(score: float) -> float:
        return round(top + height * (1 - score / 0.8), 1)

    def across(score: float, colour: str, words: str) -> str:
        at = f'x1="{left}" x2="{left + width}" y1="{y(score)}" y2="{y(score)}"'
        text = f'<text x="{left + width + 6}" y="{y(score) + 4}" fill="{colour}">{words}</text>'
        return f'<line {at} stroke="{colour}" stroke-dasharray="4 3"/>{text}'

    marks = []
    for i, (score, reach) in enumerate(zip(runs, half, strict=True)):
        x = round(left + width * (i + 0.5) / runs.size, 1)
        ends = f'y1="{y(score - reach)}" y2="{y(score + reach)}"'
        marks.append(f'<line x1="{x}" x2="{x}" {ends} stroke="#9aa5b1" stroke-width="3"/>')
        marks.append(f'<circle cx="{x}" cy="{y(score)}" r="3" fill="#1f4e79"/>')
    ticks = "".join(
        f'<text x="{left - 8}" y="{y(v) + 4}" text-anchor="end">{proportion(v, 1)}</text>'
        for v in (0.2, 0.4, 0.6, 0.8)
    )
    title = f"Harm of one recipe, {runs.size} training seeds"
    said = "Dot: one seed, on the same prompts. Bar: the 95 % interval that it alone would claim."
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 740 350" role="img" '
        f'font-family="sans-serif" font-size="12" fill="#444"><title>{title}: {runs.min():.2f} to '
        f'{runs.max():.2f}</title><rect width="740" height="350" fill="#fff"/>'
        f'<text x="12" y="24" font-size="16" fill="#111">{title}</text>'
        f'<text x="12" y="44">{said}</text>{ticks}'
        f"{across(float(runs.mean()), '#b00020', f'mean {proportion(float(runs.mean()))}')}"
        f"{across(before, '#2e7d32', f'base {proportion(before)}')}{''.join(marks)}</svg>\n"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicates", type=int, default=4000, metavar="N")
    parser.add_argument("--picture", type=Path, metavar="FILE")
    options = parser.parse_args()
    tuned, base = harm("tuned"), harm("base")
    if options.picture is not None:
        options.picture.write_text(picture(tuned, base), encoding="utf-8")
    print(f"{options.replicates} replicates in each cell, seed {SEED}\n")
    print("\n".join(described(tuned, base)) + "\n")
    n = options.replicates
    parts = (single(tuned), intervals(tuned, base, n), bounds(tuned, n), verdicts(tuned, n))
    for part in parts:
        for found in part:
            print(found.text(), flush=True)


if __name__ == "__main__":
    main()
