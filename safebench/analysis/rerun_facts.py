"""What a rerun found beside its verdicts, in sentences that command and page share."""

from __future__ import annotations

from collections.abc import Iterator

from safebench.evidence.verdicts import RerunReport
from safebench.words import construct_name, count, number, plain, proportion, rounded

SHOWS = {
    "recompute": "The card's numbers follow from its outcomes; how those came about is not asked.",
    "rejudge": "The judges, asked again, on the same responses; how those came about is not asked.",
    "regenerate": "The trained weights were asked again; how they were trained is not asked.",
    "retrain": "The recipe, with new training seeds: whether the finding is one of the recipe.",
}
"""What each kind of rerun can show."""


def facts(report: RerunReport) -> Iterator[str]:
    """Yield what was found beside the verdicts, a sentence each."""
    if report.original.outcomes_sha256 is None:
        yield (
            "The original carries no outcomes: its numbers cannot be recomputed, its responses "
            "cannot be judged again, and which prompts changed is not known. It was compared by "
            "what it reports."
        )
    if report.numbers is not None:
        yield f"{count(report.numbers, 'number')} of the card computed again from its outcomes."
    if report.nonce is not None:
        yield f"Prompts and seeds were drawn by the nonce {report.nonce}."
    for found in report.responses:
        noise = "" if report.generation == "original" else ", under new sampling noise"
        text = (
            f"Responses of {found.decoding}{noise}: {number(found.equal)} of "
            f"{number(found.responses)} are the same, byte for byte"
        )
        if found.median_gap is not None:
            text += (
                f"; {number(found.gaps)} others part where the model here prefers its token by "
                f"{rounded(found.median_gap, 4)} logits (median)"
            )
        yield text + "."
    for agreed in report.agreement:
        kappa = "" if agreed.kappa is None else f", kappa {proportion(agreed.kappa)}"
        yield (
            f"Judge {agreed.judge} on {agreed.task} ({construct_name(agreed.construct)}): "
            f"{number(agreed.equal)} of {number(agreed.outcomes)} outcomes are the same{kappa}."
        )
    for row in report.verdicts:
        if row.predicted is not None and report.kind == "retrain":
            low, high = (proportion(end) for end in row.predicted)
            inside = row.predicted[0] <= row.rerun_estimate <= row.predicted[1]
            yield (
                f"From the original alone, {construct_name(row.construct)} ({row.decoding}) was to "
                f"lie in [{low}, {high}] (95 %): {proportion(row.rerun_estimate)} does"
                f"{'' if inside else ' not'}."
            )
    if report.flips:
        names = ", ".join(f"{flip.task} {flip.prompt_id}" for flip in report.flips[:5])
        more = f" and {len(report.flips) - 5} more" if len(report.flips) > 5 else ""
        yield f"{count(len(report.flips), 'prompt')} changed beyond chance: {names}{more}."
    for look in report.looks:
        yield f"Look at {count(look.seeds, 'new seed')}: {plain(look.overall)}."
    for row in report.verdicts:
        if row.verdict == "inconclusive" and row.seeds_needed is not None:
            lacking = max(0, row.seeds_needed - row.rerun_seeds)
            yield (
                f"To settle {construct_name(row.construct)} ({row.decoding}): "
                f"{count(row.seeds_needed, 'seed')} on each side. Here that is "
                f"{count(lacking, 'seed')} more, with {number(lacking * row.prompts)} responses at "
                f"every repeat; the original has {number(row.original_seeds)}."
            )
    if report.kind in ("regenerate", "retrain"):
        differences = "; ".join(report.environment_differences) or "none"
        yield f"Environment differences: {differences}."
