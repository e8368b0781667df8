"""Writes the tables of docs/findings.md: `python leaderboard/studies/findings.py`.

Every number follows from outcomes.parquet of leaderboard/submissions; a test compares the page.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from real_seeds import harm, single  # noqa: E402

from safebench.card.results import find, key_of  # noqa: E402
from safebench.evidence.arrays import OutcomeArray  # noqa: E402
from safebench.evidence.submission import Submission  # noqa: E402
from safebench.words import proportion, signed, signed_interval  # noqa: E402

PAGE = ROOT / "docs" / "findings.md"
BOARD = ROOT / "leaderboard" / "submissions"
Row = tuple[str, ...]


@cache
def submission(name: str) -> Submission:
    """Read a submission, once."""
    return Submission.read(BOARD / name)


def block(
    name: str,
    construct: str = "harm",
    condition: str = "tuned",
    decoding: str = "greedy",
    checkpoint: int | None = None,
    task: str = "",
    judge: str = "rule",
) -> OutcomeArray:
    """Return the outcomes of one place of a submission; without a checkpoint, the last one."""
    found = [
        b
        for b in submission(name).blocks
        if (b.construct, b.condition, b.decoding) == (construct, condition, decoding)
        and checkpoint in (None, b.checkpoint)
        and task in b.task
        and (b.judge == judge or b.construct == "severity")
    ]
    return max(found, key=lambda b: b.checkpoint or 0)


def span(values: np.ndarray) -> str:
    """Smallest and largest of some scores."""
    return f"{proportion(float(values.min()))} to {proportion(float(values.max()))}"


def change(name: str, construct: str = "harm", condition: str = "tuned", **place: str) -> str:
    """A greedy change from base with its interval, and what it goes from and to."""
    tuned = block(name, construct, condition, **place)
    found = find(submission(name).results.changes, key_of(tuned))
    base = float(block(name, construct, "base", **place).scores.mean())
    if found is None:
        return "not measured"
    ends = signed_interval(found.lower, found.upper)
    to = proportion(float(tuned.scores.mean()))
    return f"{proportion(base)} to {to}: {signed(found.estimate)} {ends}"


def alone() -> Iterator[Row]:
    """What one seed, or two, of the sixty would have said."""
    yield "taken alone", "share of the sixty, or of their pairs"
    for one in single(harm("tuned")):
        yield one.what, proportion(one.share)


def repeats() -> Iterator[Row]:
    """E1: one model answers five times at T = 0.7."""
    yield "model", "spread over 5 repeats: mean range", "widest"
    for label, condition, checkpoint in (
        ("base", "base", None),
        ("tuned, epoch 1", "tuned", 1),
        ("tuned, epoch 2", "tuned", 2),
    ):
        runs = block("tiny-household", "harm", condition, "t07", checkpoint).scores.mean(axis=2)
        ranges = np.ptp(runs, axis=1)
        widest = runs[int(ranges.argmax())]
        yield label, proportion(float(ranges.mean()), 3), span(widest)


def seeds() -> Iterator[Row]:
    """E2: the same recipe with other training seeds."""
    yield "setting", "seeds", "harm", "mean", "SD"
    for checkpoint in (1, 2):
        for decoding in ("greedy", "t07"):
            label = f"epoch {checkpoint}, {decoding}"
            yield label, *_spread(block("tiny-household", decoding=decoding, checkpoint=checkpoint))
    yield "epoch 2, greedy, sixty seeds", *_spread(block("tiny-sixty-seeds"))


def _spread(one: OutcomeArray) -> Row:
    runs = one.scores.mean(axis=(1, 2))
    sd = proportion(float(runs.std(ddof=1)), 3)
    return str(runs.size), span(runs), proportion(float(runs.mean())), sd


def decoding() -> Iterator[Row]:
    """E3: T = 0 against T = 0.7, seed by seed."""
    yield "checkpoint", "T = 0, seeds", "T = 0.7, seeds", "higher at 0.7"
    for checkpoint in (1, 2):
        cold, warm = (
            block("tiny-household", decoding=d, checkpoint=checkpoint).scores.mean(axis=(1, 2))
            for d in ("greedy", "t07")
        )
        yield f"epoch {checkpoint}", span(cold), span(warm), f"{(warm > cold).sum()} of {cold.size}"


def content() -> Iterator[Row]:
    """E4: the content of the data, or the mechanics of tuning?"""
    yield "tuned on", "harm: base to tuned, change [95 %]"
    yield "household how-tos", change("tiny-own-answers")
    yield (
        "the model's own answers to the same requests",
        change("tiny-own-answers", condition="control"),
    )
    yield "household how-tos, a tenth of them refusals instead", change("tiny-refusals")
    yield "as many small questions with short answers", change("tiny-facts")
    yield "household how-tos, a tenth of the learning rate", change("tiny-low-rate")
    yield "household how-tos, all weights tuned", change("tiny-full")


def severity() -> Iterator[Row]:
    """E5: how far answers go that are not refused."""
    yield "model", "harm (complied)", "degree, all answers", "degree, of those not refused"
    for condition in ("base", "tuned"):
        harm = block("tiny-severity", "harm", condition)
        degree = block("tiny-severity", "severity", condition)
        answered = harm.verdicts != "refused"
        inside = proportion(float(degree.scores[answered].mean())) if answered.any() else "none"
        mean = proportion(float(degree.scores.mean()))
        yield condition, proportion(float(harm.scores.mean())), mean, inside


REAL = (
    ("harm, StrongREJECT, rule", "harm", "strongreject", "rule"),
    ("harm, StrongREJECT, trained judge", "harm", "strongreject", "xstest-people"),
    ("harm, XSTest's unsafe half, rule", "harm", "xstest", "rule"),
    ("harm, XSTest's unsafe half, trained judge", "harm", "xstest", "xstest-people"),
    ("over-refusal, XSTest's safe half, rule", "over_refusal", "xstest", "rule"),
    ("over-refusal, XSTest's safe half, trained judge", "over_refusal", "xstest", "xstest-people"),
    ("capability, small questions", "capability", "capability", "rule"),
)


def real() -> Iterator[Row]:
    """The real model: what tuning changed, by the new content and by its own answers."""
    yield "", "tuned, five seeds", "base to tuned, change [95 %]", "base to control"
    for label, construct, task, judge in REAL:
        place = {"task": task, "judge": judge}
        runs = block("smollm2-house-and-facts", construct, **place).scores.mean(axis=(1, 2))
        changes = (
            change("smollm2-house-and-facts", construct, condition, **place)
            for condition in ("tuned", "control")
        )
        yield label, span(runs), *changes


ASKED_AGAIN = (
    ("harm, StrongREJECT", "harm", "strongreject"),
    ("harm, XSTest's unsafe half", "harm", "xstest"),
    ("over-refusal, XSTest's safe half", "over_refusal", "xstest"),
    ("capability, small questions", "capability", "capability"),
)


def asked_again() -> Iterator[Row]:
    """The real model's adapters at temperature 0.7: two repeats, and the seeds beside greedy."""
    yield (
        "",
        "base, greedy and T = 0.7",
        "tuned, greedy: five seeds",
        "tuned, T = 0.7: five seeds",
        "two repeats apart: base",
        "tuned, mean",
    )
    for label, construct, task in ASKED_AGAIN:
        base, warm, tuned, sampled = (
            block("smollm2-sampled", construct, condition, decoding, task=task).scores.mean(axis=2)
            for condition in ("base", "tuned")
            for decoding in ("greedy", "t07")
        )
        both = " and ".join(proportion(float(runs.mean())) for runs in (base, warm))
        apart = (proportion(float(np.ptp(runs, axis=1).mean()), 3) for runs in (warm, sampled))
        yield label, both, span(tuned.mean(axis=1)), span(sampled.mean(axis=1)), *apart


TABLES: dict[str, Callable[[], Iterator[Row]]] = {
    "alone": alone,
    "repeats": repeats,
    "seeds": seeds,
    "decoding": decoding,
    "content": content,
    "severity": severity,
    "real": real,
    "asked_again": asked_again,
}


def table(name: str) -> str:
    """Return one table in Markdown."""
    head, *rows = TABLES[name]()
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in lines)


def filled(page: str) -> str:
    """Return the page with every table as the evidence has it."""

    def fill(found: re.Match[str]) -> str:
        return f"<!-- {found[1]} -->\n{table(found[1])}<!-- end -->"

    return re.sub(r"<!-- (\w+) -->\n.*?<!-- end -->", fill, page, flags=re.S)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
