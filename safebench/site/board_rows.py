"""The rows of the board, for the page and the downloads alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from safebench.analysis.correction import Corrected, corrections
from safebench.analysis.judges import compared
from safebench.analysis.reading import Deciding, Reading, deciding_seeds, readings
from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.digest import measurement_digest
from safebench.card.measured import (
    MeasuredChange,
    MeasuredResults,
    MeasuredScore,
    complete_results,
)
from safebench.card.results import PlaceKey, Score, base_key, find, key_of
from safebench.evidence.arrays import OutcomeArray
from safebench.evidence.scoring import block_flips
from safebench.site.board import Board
from safebench.site.family_key import FamilyKey, family_of, shown
from safebench.site.sources import Entry
from safebench.site.standing import Standing, runs_begun, standing_of
from safebench.stats import phi
from safebench.stats.arms import flip_floor
from safebench.words import NOT_MEASURED, count, listed, method_name, proportion

MIN_SEEDS = 3  # with fewer training seeds an entry is listed but never compared


@dataclass(frozen=True)
class RerunBadge:
    """What reruns of a submission came to, all of them together."""

    word: str  # reproduced, not_reproduced, inconclusive, no_verdict, mixed
    count: int
    elsewhere: int  # how many another organisation signed, by the keys that the board lists


@dataclass(frozen=True)
class Spread:
    """Harm on phi = 2 asin sqrt, and how surely its mean over training seeds is known."""

    mean: float
    variance: float
    """Of the mean, prompts being the same for all; never less than what so few prompts exclude."""
    df: float


@dataclass(frozen=True)
class OverJudges:
    """Harm as every judge of the same responses decides it."""

    judges: int
    lowest: float
    highest: float


@dataclass(frozen=True)
class Placed:
    """Where an entry stands among those of its family."""

    class_: int
    """1 is the safest; its entries are not separated from the one that leads it."""
    ranks: tuple[int, int] | None
    """95 % interval of its rank; None in a large family."""


@dataclass(frozen=True)
class Stated:
    """A number that a card gives and nothing backs, as one about a paper does."""

    estimate: float | None
    runs: tuple[float, ...]
    """Scores of single runs, where no mean is given."""
    base: float | None


@dataclass(frozen=True)
class BoardRow:
    """One submission as the board shows it; None is a number that is not measured, or not whole."""

    id: str
    title: str
    organisation: str
    third_party: bool
    artefact: bool
    base_model: str
    method: str
    harm: MeasuredScore | None
    harm_base: MeasuredScore | None
    change: MeasuredChange | None
    over_refusal: MeasuredScore | None
    capability: MeasuredScore | None
    seeds: int
    level: str
    reported: int
    required: int
    rerun: RerunBadge | None
    family: FamilyKey  # with which entries it may be read
    backed: bool  # whether there is evidence that its numbers were recomputed from
    partly: frozenset[str] = frozenset()  # constructs of whose number a part is not reported
    stated: Mapping[str, Stated] = field(default_factory=dict)  # numbers given without an interval
    unit: str = "epoch"  # what checkpoints are counted in
    trials: Mapping[str, str] = field(default_factory=dict)  # task -> first 40 of 313 prompts
    corrected: tuple[Corrected, ...] = ()  # its scores, for judge error
    standing: Standing = field(default_factory=Standing)  # what reruns and signatures show
    data: str = ""  # what it was trained on
    date: str = ""  # of the submission
    capability_base: MeasuredScore | None = None
    over_judges: OverJudges | None = None  # where several decided its harm
    control: MeasuredScore | None = None  # the same recipe on the control's data
    reading: Reading | None = None  # what its change in harm is read as
    deciding: Deciding | None = None  # the seeds that would decide it, where it is undecided
    spread: Spread | None = None
    placed: Placed | None = None  # where it stands in its family
    measured_by: Mapping[str, str] = field(default_factory=dict)  # construct -> digest
    begun: Mapping[str, int] = field(default_factory=dict)  # how many runs ended in which way
    unlike: frozenset[str] = frozenset()  # constructs that its family measured in several ways

    @property
    def missing(self) -> tuple[str, ...]:
        """Why it is only listed, and read against no other entry; empty where it is."""
        reasons = {
            "harm was not measured in full": self.harm is None,
            "its numbers have no evidence": not self.backed,
            "the base model was not measured on these prompts": self.change is None,
            f"{count(self.seeds, 'training seed')} of at least {MIN_SEEDS}": (
                not self.artefact and 0 < self.seeds < MIN_SEEDS
            ),
            f"a trial: {self.trial_words}": bool(self.trials),
            f"{count(self.required - self.reported, 'mandatory field')} not reported": (
                self.level == "incomplete"
            ),
        }
        return tuple(reason for reason, holds in reasons.items() if holds)

    @property
    def trial_words(self) -> str:
        """What a trial was limited to, task by task."""
        return "; ".join(f"{task}: {extent}" for task, extent in self.trials.items())

    def fixed(self, score: MeasuredScore | None) -> Corrected | None:
        """Return what judge error makes of a score; None where nothing was measured."""
        if score is None:
            return None
        return self._corrected_at.get(key_of(score))

    @cached_property
    def _corrected_at(self) -> dict[PlaceKey, Corrected]:
        return {one.key: one for one in self.corrected}

    def instead(self, construct: str) -> str:
        """Return in words what a card states of a construct that has no whole number."""
        found = self.stated.get(construct)
        if found is None:
            return self.absence(construct)
        base = "" if found.base is None else f"; base {proportion(found.base)}"
        values = found.runs if found.estimate is None else (found.estimate,)
        return f"{listed(map(proportion, values))}, stated without an interval{base}"

    def absence(self, construct: str) -> str:
        """Return in words why there is no number for a construct."""
        return "not reported in full" if construct in self.partly else NOT_MEASURED


def make_row(submission: Entry, standing: Standing | None = None) -> BoardRow:
    """Return the row of a submission; `standing`: what a board that lists keys says of it."""
    standing = standing or standing_of(submission, Board(), ())
    card, report = submission.card, submission.report
    results = complete_results(card)
    harm, capability = primary(results, "harm"), primary(results, "capability")
    reported, required = report.completeness or (0, 0)
    return BoardRow(
        id=submission.id,
        title=shown(card.submission.title),
        organisation=card.submission.organisation,
        third_party=card.submission.relationship == "third_party",
        artefact=card.submission.object == "artefact",
        base_model=card.model.base.name or shown(card.model.base.id),
        method=method_of(card),
        data=_data(card),
        date=card.submission.date if isinstance(card.submission.date, str) else "",
        harm=harm,
        harm_base=_base(results, harm),
        change=find(results.changes, key_of(harm)) if results and harm else None,
        over_refusal=primary(results, "over_refusal"),
        capability=capability,
        capability_base=_base(results, capability),
        seeds=seeds_of(harm),
        level=level_on_board(report.level, standing),
        reported=reported,
        required=required,
        rerun=_badge(submission, standing),
        standing=standing,
        family=family_of(card, harm),
        measured_by={
            score.construct: measurement_digest(card, score)
            for score in (primary(results, c) for c in ("over_refusal", "capability"))
            if score is not None
        },
        control=_at(results, harm, "control"),
        begun=runs_begun(card),
        **_read(submission, results, harm),
        backed=card.given_evidence is not None,
        partly=frozenset(
            estimand.construct
            for estimand in (results.primary if results else ())
            if primary(results, estimand.construct) is None
        ),
        stated=dict(_stated(card, results)),
        unit=card.checkpoint_unit,
        trials=card.trials,
        corrected=() if results is None else tuple(corrections(submission, results).values()),
    )


def _stated(card: Card, whole: MeasuredResults | None) -> Iterator[tuple[str, Stated]]:
    """Yield the numbers of constructs that have none with an interval: the primary, or the only."""
    scores = () if card.given_results is None else card.given_results.scores
    declared = () if card.given_results is None else card.given_results.primary
    for construct in dict.fromkeys(score.construct for score in scores):
        if primary(whole, construct) is not None:
            continue
        named = {key_of(one) for one in declared if one.construct == construct}
        of_it = [s for s in scores if s.construct == construct]
        tuned = [s for s in of_it if (key_of(s) in named if named else s.condition != "base")]
        found = tuned or ([] if named else of_it)
        if len(found) != 1:
            continue
        base = find(scores, base_key(found[0])) if found[0].condition != "base" else None
        runs = () if isinstance(found[0].runs, NotReported) else found[0].runs
        of_runs = tuple(run.score for run in runs if isinstance(run.score, float))
        estimate = _number(found[0])
        if estimate is not None or of_runs:
            yield construct, Stated(estimate, of_runs, None if base is None else _number(base))


def _number(score: Score) -> float | None:
    return score.estimate if isinstance(score.estimate, float) else None


def primary(results: MeasuredResults | None, construct: str) -> MeasuredScore | None:
    """Return the score that answers for a construct: the first declared one, or None."""
    declared = results.primary if results else ()
    for estimand in declared:
        if estimand.construct == construct:
            return find(results.scores, key_of(estimand)) if results else None
    return None


def _base(results: MeasuredResults | None, score: MeasuredScore | None) -> MeasuredScore | None:
    """Return the base model's score beside a tuned one."""
    if results is None or score is None or score.condition == "base":
        return None
    return find(results.scores, base_key(score))


def method_of(card: Card) -> str:
    """Return what was trained and how, in a word or two."""
    if isinstance(card.hyperparameters, NotReported):
        return "method not reported"
    return method_name(card.hyperparameters.method)


def _data(card: Card) -> str:
    """Return what the tuned condition was trained on."""
    sets = () if isinstance(card.data, NotReported) else card.data
    tuned = [one for one in sets if one.role == "tuned"]
    return " + ".join(one.id if isinstance(one.id, str) else one.name for one in tuned)


def seeds_of(score: MeasuredScore | None) -> int:
    """Return how many training seeds a score rests on; an untuned model has none."""
    return len({r.training_seed for r in score.runs} - {None}) if score else 0


def level_on_board(level: str, standing: Standing) -> str:
    """Return the level of a card whose reruns are known: the last one is a board's to give."""
    return "reproduced" if level == "replicated" and standing.is_reproduced else level


def _badge(submission: Entry, standing: Standing) -> RerunBadge | None:
    if not submission.reruns:
        return None
    pairs = list(zip(submission.reruns, standing.not_counted, strict=True))
    verdicts: set[str] = {rerun.verdict.overall for rerun, why in pairs if why}
    verdicts |= {standing.pooled} if standing.pooled else set()
    elsewhere = sum(maker.who == "independent" for maker in standing.makers)
    return RerunBadge(verdicts.pop() if len(verdicts) == 1 else "mixed", len(pairs), elsewhere)


def _at(
    results: MeasuredResults | None, harm: MeasuredScore | None, condition: str
) -> MeasuredScore | None:
    """Return harm of another condition at the same place."""
    if results is None or harm is None or harm.condition == condition:
        return None
    return find(results.scores, key_of(harm)._replace(condition=condition))


def _read(
    submission: Entry, results: MeasuredResults | None, harm: MeasuredScore | None
) -> dict[str, Any]:
    """Return what the change in harm is read as, and how harm spreads over seeds."""
    if results is None or harm is None or submission.card.given_evidence is None:
        return {}
    blocks = submission.blocks
    block, base = find(blocks, key_of(harm)), find(blocks, base_key(harm))
    reading = readings(submission.card, results, blocks).get(key_of(harm))
    open_ = reading is not None and reading.word == "cannot_tell"
    is_recipe = submission.card.submission.object == "recipe"
    return {
        "reading": reading,
        "deciding": deciding_seeds(block, base) if open_ and is_recipe and block and base else None,
        "spread": None if block is None else _spread(block),
        "over_judges": _over_judges(submission, results, harm),
    }


def _over_judges(
    submission: Entry, results: MeasuredResults, harm: MeasuredScore
) -> OverJudges | None:
    estimand = find(results.primary, key_of(harm))
    found = estimand and compared(estimand, results, submission.blocks)
    return OverJudges(len(found.scores), *found.estimates) if found else None


def _spread(block: OutcomeArray) -> Spread | None:
    """Return how harm spreads over training seeds, or over the repeats of a released model."""
    runs = block.scores.mean(axis=(1, 2)) if len(block.seeds) > 1 else block.scores.mean(axis=2)[0]
    if runs.size < 2:
        return None
    on_phi = phi(runs)
    flips = block_flips(block)
    floor = flip_floor(float(runs.mean()), len(block.prompts), flips.upper if flips else None)
    variance = max(float(on_phi.var(ddof=1)), floor)
    return Spread(float(on_phi.mean()), variance / runs.size, runs.size - 1.0)
