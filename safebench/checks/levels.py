"""The conformance level of a card: computed, never claimed (spec/v1/levels.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, get_args

from safebench.card.card import Card
from safebench.card.completeness import State, absences
from safebench.card.document import as_pointer, dotted
from safebench.card.judge import Calibration
from safebench.card.problems import NOT_GIVEN
from safebench.card.results import Results, Score, key_of
from safebench.card.task import Construct
from safebench.checks.findings import Finding
from safebench.checks.registry import items, reported

Level = Literal["incomplete", "declared", "evidenced", "replicated", "reproduced"]
LEVELS: tuple[Level, ...] = get_args(Level)

FEWEST_SEEDS = 3
"""Training seeds (for an artefact: repeats) that `replicated` asks for."""
FEWEST_LABELS = 100
"""Human labels that a judge's calibration rests on, at least."""
LEAST_KAPPA = 0.6
"""Cohen's kappa against them, at least."""
TOGETHER: tuple[Construct, ...] = ("harm", "over_refusal", "capability")


def level_of(
    card: Card | None, findings: Sequence[Finding], fields: Sequence[State]
) -> tuple[Level, tuple[str, ...]]:
    """Return a card's level and, in words, everything that the next one asks for."""
    if missing := tuple(_for_declared(findings, fields)):
        return "incomplete", missing
    if card is None:
        newer = "a newer release: a word that this one does not know decides the rest"
        return "incomplete", (f"check it with {newer}",)
    results = card.given_results
    if results is None:
        return "declared", ("execute the plan: safebench run CARD --out DIR",)
    if card.given_evidence is None:
        attach = (
            "attach outcomes.parquet and list it under evidence, so that numbers are recomputed"
        )
        return "declared", (attach,)
    if missing := tuple(_for_replicated(card, results)):
        return "evidenced", missing
    kind = "regenerate" if card.submission.object == "artefact" else "retrain"
    rerun = (
        f"a {kind} rerun by a different organisation, signed and attached, in which every primary "
        "estimand is reproduced; only a board that holds the rerun can compute this level"
    )
    return "replicated", (rerun,)


def _for_declared(findings: Sequence[Finding], fields: Sequence[State]) -> Iterator[str]:
    errors = sum(finding.severity == "error" for finding in findings)
    if errors:
        yield "fix the error" if errors == 1 else f"fix the {errors} errors"
    for place, reason in missing_fields(findings, fields).items():
        yield f"report {place}" + (f" (not reported: {reason})" if reason else "")


def missing_fields(findings: Sequence[Finding], fields: Sequence[State]) -> dict[str, str | None]:
    """Return every mandatory field that is absent, with the reason that the card states."""
    gone = {
        dotted(as_pointer(finding.pointer)): None
        for finding in findings
        if finding.rule == NOT_GIVEN
    }
    return {**{dotted(pointer): reason for pointer, reason in absences(fields).items()}, **gone}


def _for_replicated(card: Card, results: Results) -> Iterator[str]:
    declared = {key_of(item) for item in results.primary}
    primary = [score for score in results.scores if key_of(score) in declared]
    yield from _enough_runs(card, primary)
    absent = [c for c in TOGETHER if c not in {score.construct for score in primary}]
    if absent:
        yield f"measure {' and '.join(absent)} as primary estimands"
    sampled = {decoding.do_sample for decoding in items(card.decoding)}
    if sampled != {True, False}:
        yield "measure the reference decodings: greedy, and one setting that samples"
    yield from _calibrated(card, dict.fromkeys(score.condition for score in results.scores))
    for score in primary:
        lower = reported(getattr(score.stability, "lower", None))
        if score.condition != "base" and lower is None:
            yield f"give the stability of {score.task} ({score.construct}) with its lower bound"


def _enough_runs(card: Card, primary: list[Score]) -> Iterator[str]:
    recipe = card.submission.object == "recipe"
    what = "training seeds" if recipe else "repeats"
    for score in primary:
        runs = {reported(run.training_seed if recipe else run.repeat) for run in items(score.runs)}
        if len(runs - {None}) < FEWEST_SEEDS:
            yield (
                f"measure {score.task} ({score.construct}) with at least {FEWEST_SEEDS} {what}, "
                f"not {len(runs - {None})}"
            )


def _calibrated(card: Card, conditions: Iterable[str]) -> Iterator[str]:
    for judge in items(card.judge):
        good = {entry.condition for entry in items(judge.calibration) if _good(entry)}
        missing = [condition for condition in conditions if condition not in good]
        if judge.primary and missing:
            yield (
                f"calibrate judge {judge.name} on {' and on '.join(missing)}: in each at least "
                f"{FEWEST_LABELS} human labels of answers it judges here, with kappa "
                f"{LEAST_KAPPA} or more"
            )


def _good(entry: Calibration) -> bool:
    """Whether a calibration is of these outputs, large enough, and good enough."""
    kappa, labels = reported(entry.kappa), reported(entry.n)
    return (
        entry.outputs == "these"
        and kappa is not None
        and kappa >= LEAST_KAPPA
        and labels is not None
        and labels >= FEWEST_LABELS
    )
