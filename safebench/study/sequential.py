"""A rerun that adds training seeds in groups until its verdict is settled, by a fixed schedule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from safebench.analysis.verdict import compare
from safebench.card.card import Card
from safebench.errors import RunError
from safebench.evidence.journal import Journal
from safebench.evidence.store import Store
from safebench.evidence.submission import Submission
from safebench.evidence.verdicts import Look, RerunReport
from safebench.stats import SequentialDesign
from safebench.study.cells import BlockFilter, training_seeds
from safebench.study.execute import claim_of
from safebench.study.extend import extend
from safebench.study.plan import Plan, make_plan

Work = Callable[[Plan], Card]
"""Executes a plan into its folder, or returns what was finished there earlier."""


def retrain_until_settled(
    original: Submission,
    card_with: Callable[[int], Card],
    out: Path,
    design: SequentialDesign,
    work: Work,
    keep: BlockFilter,
) -> RerunReport:
    """Retrain with 3, 5, 8 and 12 new seeds until the verdict is settled; return the last report.

    The journal records the schedule before anything is fine-tuned, and every look after it was
    taken (spec/v1/verdict.md, "Adding seeds until it is settled"). An interrupted rerun is resumed.
    It ends early if no number of seeds could settle the verdict on these prompts.

    `card_with` returns the plan's card with that many new seeds; `design` is
    `sequential_design(...)`; `keep` tells which blocks are needed.
    """
    journal, store = Journal(out), Store(out)
    seeds = _reached(store) or design.looks[0]
    looks = [
        Look(seeds=event["seeds"], overall=event["overall"])
        for event in journal.read()
        if event["event"] == "look" and event["seeds"] < seeds
    ]
    schedule = {"schedule": list(design.looks), "alpha": design.alpha}
    if not any(event["event"] == "sequential" for event in journal.read()):
        out.mkdir(parents=True, exist_ok=True)
        journal.note("sequential", **schedule)
    while True:
        plan = make_plan(original.with_card(card_with(seeds)), out, keep)
        if store.is_finished and _seeds(Submission.read(out).card) < seeds:
            extend(Submission.read(out), plan, claim_of(plan))
        card = work(plan)
        report = compare(original, Submission(card, out), design=design, looks=looks)
        if not any(e["event"] == "look" and e["seeds"] == seeds for e in journal.read()):
            journal.note("look", seeds=seeds, overall=report.overall)
        following = design.next_look(seeds, [row.verdict for row in report.verdicts])
        if following is None or _is_hopeless(report):
            return report
        looks, seeds = list(report.looks), following


def _is_hopeless(report: RerunReport) -> bool:
    """Whether no number of seeds can settle what is open, because there are too few prompts."""
    return all(
        row.prompts_needed is not None for row in report.verdicts if row.verdict == "inconclusive"
    )


def _reached(store: Store) -> int | None:
    """Return the number of seeds of the rerun in a folder; None where there is none."""
    if store.is_finished:
        return _seeds(Submission.read(store.folder).card)
    try:
        return _seeds(store.claim().card)
    except RunError:  # a new folder, or one that the run itself refuses
        return None


def _seeds(card: Card) -> int:
    seeds = training_seeds(card)
    return len(seeds) if isinstance(seeds, tuple) else seeds
