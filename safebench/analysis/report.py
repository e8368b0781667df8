"""The report of a submission: its card's numbers, what varies, what is not measured.

Numbers that a card has come from `evidence.scoring`, and are nowhere computed a second time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from safebench.analysis.correction import NOT_INCLUDED, Corrected, corrections
from safebench.analysis.doubts import Doubt, Study, doubts
from safebench.analysis.judges import FEWEST_WORDINGS, Judges, compared, families
from safebench.analysis.measures import NotMeasured, Number
from safebench.analysis.primaries import GRADED, Primary, describe
from safebench.analysis.reading import Reading, readings
from safebench.analysis.selection import Selection
from safebench.analysis.variation import Variation, variation
from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.measured import MeasuredResults, MeasuredScore
from safebench.card.results import PlaceKey, find, key_of
from safebench.evidence.submission import Submission
from safebench.words import construct_name, count


@dataclass(frozen=True)
class Gap:
    """Something that these outcomes do not show, and why."""

    what: str
    reason: str


@dataclass(frozen=True)
class ScoreReport:
    """Everything that is reported of a submission."""

    card: Card
    results: MeasuredResults
    primaries: tuple[Primary, ...]
    """In the order of the card's primary estimands; one without outcomes is left out."""
    variations: tuple[Variation, ...]
    """One per task and construct with a primary estimand, over everything measured."""
    corrections: Mapping[PlaceKey, Corrected]
    """What judge error makes of every score."""
    judges: tuple[Judges, ...]
    """The primary estimands whose responses several judges decided."""
    readings: Mapping[PlaceKey, Reading]
    """What every primary change from base is read as."""
    doubts: tuple[Doubt, ...]
    """What could make a reading wrong, that which could move most first."""
    not_measured: tuple[Gap, ...]


def make_report(submission: Submission, selection: Selection | None = None) -> ScoreReport:
    """Compute a submission's report from its judged responses, or of those that are selected.

    Raises:
        EvidenceError: the outcomes are incomplete, or what is selected was not measured.
    """
    card, blocks = submission.card, submission.blocks
    selection = selection or Selection()
    results = selection.of(submission.results)
    primaries, variations = [], []
    for estimand in results.primary:
        key = key_of(estimand)
        # One task and construct, as one judge decides it, whatever the checkpoint and decoding.
        grid = [
            b
            for b in blocks
            if key_of(b)._replace(checkpoint=key.checkpoint, decoding=key.decoding) == key
        ]
        if grid:
            variations.append(variation(grid))
        score, block = find(results.scores, key), find(grid, key)
        if block is not None and score is not None:
            change = find(results.changes, key)
            beside = [b for b in grid if b.checkpoint == estimand.checkpoint]
            primaries.append(describe(estimand, score, change, block, beside))
    corrected = corrections(submission, results)
    judges = (compared(one.estimand, results, blocks, card.judge) for one in primaries)
    several = tuple(one for one in judges if one is not None)
    read = readings(card, results, blocks)
    study = Study(card, submission.results, results, read, corrected, several, selection)
    return ScoreReport(
        card=card,
        results=results,
        primaries=tuple(primaries),
        variations=tuple(variations),
        corrections=corrected,
        judges=several,
        readings=read,
        doubts=doubts(study),
        not_measured=(
            *_gaps(results, primaries, variations, corrected),
            *_wording_gaps(card, results),
        ),
    )


def _gaps(
    results: MeasuredResults,
    primaries: Sequence[Primary],
    variations: Sequence[Variation],
    corrected: Mapping[PlaceKey, Corrected],
) -> Iterator[Gap]:
    """Yield what was not measured, though a reader may think so."""
    described = {key_of(primary.estimand) for primary in primaries}
    for estimand in results.primary:
        if key_of(estimand) not in described:
            name = f"{estimand.task}, {construct_name(estimand.construct)}"
            yield Gap("primary estimand", f"{name}: the card names it, but it has no outcomes")
    yield from _facets(variations)
    greedy = sorted({p.estimand.decoding for p in primaries if _is_asked_once(p.score)})
    if greedy:
        yield Gap(
            "repeat",
            f"one answer per prompt and seed under {', '.join(greedy)}: "
            "what another draw would change is unknown",
        )
    elif any(one.levels["repeat"] < 2 for one in variations):
        yield Gap("repeat", "one answer per prompt and run")
    unrecorded = [p.estimand.task for p in primaries if isinstance(p.score.truncated, NotReported)]
    if unrecorded:
        yield Gap(
            "truncation",
            f"the sampler did not record how responses ended, in {', '.join(unrecorded)}",
        )
    graded = [p.estimand.task for p in primaries if p.diagnostics["flip_rate"] == GRADED]
    if graded:
        yield Gap("flips", f"{GRADED.reason}, in {', '.join(graded)}")
    yield Gap("template", "one chat template and prompt wording")
    if all(one.condition == "base" for one in variations):
        yield Gap("fine-tuning", "an untuned model has no change from base")
    else:
        if any(primary.change is None for primary in primaries):
            yield Gap("change from base", "the base model was not measured on the same prompts")
        if not any(score.condition == "control" for score in results.scores):
            yield Gap(
                "control",
                "no control was trained: the effect of the data cannot be told from that of "
                "fine-tuning itself",
            )
    yield from _judge_gaps(results, corrected)


def _is_asked_once(score: MeasuredScore) -> bool:
    return score.n == score.prompts * len({run.training_seed for run in score.runs})


def _facets(variations: Sequence[Variation]) -> Iterator[Gap]:
    for facet in ("training_seed", "checkpoint", "decoding", "prompt"):
        single = [v for v in variations if v.levels[facet] < 2]
        if facet in ("training_seed", "checkpoint"):
            single = [v for v in single if v.condition != "base"]
        if single:
            tasks = ", ".join(dict.fromkeys(v.task for v in single))
            where = "" if len(single) == len(variations) else f" in {tasks}"
            name = facet.replace("_", " ")
            yield Gap(name, f"one {name}{where}")


def _wording_gaps(card: Card, results: MeasuredResults) -> Iterator[Gap]:
    asked = {score.judge for score in results.scores}
    listed = () if isinstance(card.judge, NotReported) else card.judge
    found = [[name for name in family if name in asked] for family in families(listed)]
    few = [names for names in found if 0 < len(names) < FEWEST_WORDINGS]
    if few:
        wordings = ", ".join(f"{names[0]} has {count(len(names), 'wording')}" for names in few)
        yield Gap(
            "judge wording",
            f"{wordings} of its template; from {FEWEST_WORDINGS} on, the range over them is given",
        )


def _judge_gaps(results: MeasuredResults, corrected: Mapping[PlaceKey, Corrected]) -> Iterator[Gap]:
    judges: dict[tuple[str, str], set[str]] = {}
    for score in results.scores:
        judges.setdefault((score.task, score.construct), set()).add(score.judge)
    if any(len(names) == 1 for names in judges.values()):
        yield Gap("judge", "one judge: how far another would differ is unknown")
    found = [
        (key.construct, measure)
        for key, one in corrected.items()
        for measure in (one.score, one.change)
        if measure is not None
    ]
    known = any(isinstance(measure, Number) for _, measure in found)
    reasons: dict[str, dict[str, None]] = {}
    for construct, measure in found:
        if isinstance(measure, NotMeasured):
            why = measure.reason.removeprefix(f"{NOT_INCLUDED}: ")
            reasons.setdefault(why, {})[construct_name(construct)] = None
    for why, constructs in reasons.items():
        where = f" (in {', '.join(constructs)})" if known or len(reasons) > 1 else ""
        yield Gap("judge error", f"{why}{where}")
