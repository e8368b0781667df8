"""What could make a reading wrong, each with how far it could move a primary change.

A doubt is a function of `DOUBTS` that yields sentences with their figures. `moves` is the most by
which it could move a primary change (of an untuned model, a primary score), a proportion. What
nothing here measures is put at the standard's margin at that score, and said to be unmeasured, so
that it stands below what is known to be worse and above what is known to be small.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from safebench.analysis.correction import NOT_INCLUDED, Corrected
from safebench.analysis.judges import Judges
from safebench.analysis.measures import Number
from safebench.analysis.reading import SAFETY, Reading
from safebench.analysis.selection import Selection
from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.measured import MeasuredChange, MeasuredResults, MeasuredScore, cut_shares
from safebench.card.results import PlaceKey, base_key, find, key_of
from safebench.stats import margin_points
from safebench.stats.reading import FEWEST_SEEDS
from safebench.words import (
    construct_name,
    count,
    kept,
    listed,
    number,
    percent,
    proportion,
    signed,
)

T = TypeVar("T")
LEAST = 0.005
"""What could move a number by less is left out: it would be written as .00."""


@dataclass(frozen=True)
class Doubt:
    """One reason why a reading may be wrong."""

    kind: str
    text: str
    moves: float
    """Most by which it could move a primary change, a proportion."""
    is_measured: bool
    """Whether that follows from what was measured; the standard's margin stands in its place."""
    remedy: str
    """What to do about it; empty where nothing is."""


@dataclass(frozen=True)
class Pair:
    """A primary score with the base model's beside it, and the change."""

    score: MeasuredScore
    base: MeasuredScore | None
    change: MeasuredChange | None
    name: str
    """What it measures; of which task, where several measure it."""

    @property
    def moved(self) -> float:
        """The estimate that doubts are about: the change, or the score where there is none."""
        return self.score.estimate if self.change is None else self.change.estimate

    def write(self, value: float) -> str:
        """Return another value of that estimate."""
        return proportion(value) if self.change is None else signed(value)

    def sentence(self, value: float) -> str:
        """Return a sentence in which it is another: `harm changes by +.10`."""
        return f"{self.name} {'is' if self.change is None else 'changes by'} {self.write(value)}"


@dataclass(frozen=True)
class Study:
    """What doubts are looked for in."""

    card: Card
    everything: MeasuredResults
    """Every number, also those that are not selected."""
    results: MeasuredResults
    readings: Mapping[PlaceKey, Reading]
    corrections: Mapping[PlaceKey, Corrected]
    judges: Sequence[Judges]
    selection: Selection

    @cached_property
    def pairs(self) -> list[Pair]:
        """The primary scores that were measured."""
        scores = self.everything.scores
        constructs = [one.construct for one in self.results.primary]
        found = []
        for place in map(key_of, self.results.primary):
            score = find(scores, place)
            if score is not None:
                base = None if score.condition == "base" else find(scores, base_key(score))
                name = construct_name(score.construct)
                if constructs.count(score.construct) > 1:
                    name += f" ({score.task})"
                found.append(Pair(score, base, find(self.everything.changes, place), name))
        return found

    @property
    def read(self) -> list[Pair]:
        """Those whose change was read as something."""
        return [pair for pair in self.pairs if key_of(pair.score) in self.readings]

    @property
    def is_tuned(self) -> bool:
        """Whether something was fine-tuned."""
        return any(pair.score.condition != "base" for pair in self.pairs)

    def unmeasured(self, kind: str, text: str, remedy: str) -> Doubt:
        """Return a doubt whose size nothing here shows: the margin at the primary scores."""
        moves = max((margin_points(pair.score.estimate) for pair in self.pairs), default=0.0)
        return Doubt(kind, text, kept(moves), is_measured=False, remedy=remedy)


Check = Callable[[Study], Iterator[Doubt]]
DOUBTS: list[Check] = []


def _check(function: Check) -> Check:
    DOUBTS.append(function)
    return function


def _known(kind: str, text: str, moves: float, remedy: str) -> Doubt:
    return Doubt(kind, text, kept(moves), is_measured=True, remedy=remedy)


def doubts(study: Study) -> tuple[Doubt, ...]:
    """Return every doubt about a study, that which could move most first."""
    found = [doubt for check in DOUBTS for doubt in check(study) if doubt.moves >= LEAST]
    return tuple(sorted(found, key=lambda doubt: -doubt.moves))


@_check
def _few_seeds(study: Study) -> Iterator[Doubt]:
    least = min((reading.seeds for reading in study.readings.values()), default=FEWEST_SEEDS)
    if least < FEWEST_SEEDS:
        one = "repeat" if study.card.submission.object == "artefact" else "training seed"
        text = f"{count(least, one)}: no change is read from fewer than {FEWEST_SEEDS}"
        yield _known("few_seeds", text, 1.0, f"measure {FEWEST_SEEDS} {one}s or more")


@_check
def _trial(study: Study) -> Iterator[Doubt]:
    asked = {pair.score.task for pair in study.pairs}
    shares = []
    for task in study.card.task_list():
        if task.name in asked and isinstance(task.limit, int):
            whole = task.available
            shares.append(1 - task.limit / whole if isinstance(whole, int) else 1.0)
    if shares:
        text = "a trial: the first prompts of a task are no sample of the others"
        yield _known("trial", text, max(shares), "run again without --limit")


@_check
def _collapsed(study: Study) -> Iterator[Doubt]:
    complied = [pair.score.estimate for pair in study.pairs if pair.score.construct in SAFETY]
    for pair in study.read:
        if study.readings[key_of(pair.score)].word == "collapsed":
            text = (
                f"capability fell by {proportion(abs(pair.moved))} to "
                f"{proportion(pair.score.estimate)}: what counts as complied may be broken text"
            )
            moves = max(complied, default=abs(pair.moved))
            yield _known("collapsed", text, moves, "read some of the responses")


@_check
def _cut(study: Study) -> Iterator[Doubt]:
    share, pair = _worst(
        (max(cut_shares(pair.score, pair.base).values(), default=0.0), pair) for pair in study.pairs
    )
    if pair is not None:
        limit = _limit(study.card, pair.score.decoding)
        text = f"{_shares(pair, 'truncated')} were cut at {limit}, in {pair.name}"
        yield _known("truncated", text, share, "raise max_new_tokens")
    unknown = [p.score.task for p in study.pairs if isinstance(p.score.truncated, NotReported)]
    if unknown:
        tasks = ", ".join(dict.fromkeys(unknown))
        text = f"how responses ended was not recorded ({tasks}): how many were cut is unknown"
        yield study.unmeasured("truncation_unknown", text, "")


def _shares(pair: Pair, name: str) -> str:
    """Say how large a share of the tuned responses, and of the base's, something holds for."""
    sides = (("tuned" if pair.base else "the", pair.score), ("base", pair.base))
    found = ((whose, getattr(side, name) or 0.0) for whose, side in sides if side is not None)
    return listed(
        f"{percent(share)} of {whose} responses"
        for whose, share in found
        if isinstance(share, float | int)
    )


def _worst(found: Iterable[tuple[float, T]]) -> tuple[float, T | None]:
    """Return the largest of some moves and what it is of; 0 and None where nothing moves."""
    moves, of = max(found, key=lambda pair: pair[0], default=(0.0, None))
    return (moves, of) if moves > 0 else (0.0, None)


def _limit(card: Card, decoding: str) -> str:
    settings = () if isinstance(card.decoding, NotReported) else card.decoding
    found = next((one.max_new_tokens for one in settings if one.name == decoding), None)
    return f"{found} tokens" if isinstance(found, int) else "max_new_tokens"


@_check
def _incoherent(study: Study) -> Iterator[Doubt]:
    def without(pair: Pair) -> float:
        return _coherent(pair.score) - (
            0.0 if pair.change is None or pair.base is None else _coherent(pair.base)
        )

    moves, pair = _worst((abs(without(pair) - pair.moved), pair) for pair in study.pairs)
    if pair is not None:
        incoherence = f"{_shares(pair, 'incoherent')} are incoherent"
        text = f"{incoherence}; without them {pair.sentence(without(pair))}"
        yield _known("incoherent", text, moves, "")


def _coherent(score: MeasuredScore) -> float:
    return score.estimate if score.without_incoherent is None else score.without_incoherent


@_check
def _judge_error(study: Study) -> Iterator[Doubt]:
    found = {}
    for pair in study.pairs:
        corrected = study.corrections[key_of(pair.score)]
        found[pair.name] = pair, corrected.score if pair.change is None else corrected.change
    moves, fixed = _worst(
        (abs(one.estimate - pair.moved), (pair, one))
        for pair, one in found.values()
        if isinstance(one, Number)
    )
    if fixed is not None:
        text = f"the judge errs: corrected for it, {fixed[0].sentence(fixed[1].estimate)}"
        yield _known("judge_error", text, moves, "")
    unknown = [pair for pair, one in found.values() if not isinstance(one, Number)]
    if unknown:
        names = listed(dict.fromkeys(pair.score.judge for pair in unknown))
        where = listed(dict.fromkeys(construct_name(pair.score.construct) for pair in unknown))
        text = f"{NOT_INCLUDED}: how often {names} errs on these responses is not known ({where})"
        yield study.unmeasured("judge_not_calibrated", text, "label some: safebench judge audit")


@_check
def _judges(study: Study) -> Iterator[Doubt]:
    for one in study.judges:
        values = {item.judge: item.estimate for item in one.changes or one.scores}
        first, *others = values
        apart = max(others, key=lambda judge: abs(values[judge] - values[first]))
        pair = next(p for p in study.pairs if key_of(p.score) == key_of(one.estimand))
        sign = ", the other way" if one.turns else ""
        text = (
            f"judges differ: {pair.sentence(values[first])} by {first}, "
            f"{pair.write(values[apart])} by {apart}{sign}"
        )
        yield _known("judges_differ", text, abs(values[apart] - values[first]), "")


@_check
def _control(study: Study) -> Iterator[Doubt]:
    if not study.is_tuned:
        return
    for pair in study.pairs:
        place = key_of(pair.score)._replace(condition="control")
        control = find(study.everything.changes, place)
        if control is not None and pair.change is not None:
            text = (
                f"the control, trained on other data, changes {pair.name} by "
                f"{signed(control.estimate)} too: that part is not the data's"
            )
            yield _known("control_changes", text, abs(control.estimate), "")
    if not any(score.condition == "control" for score in study.everything.scores):
        text = "no control: what fine-tuning on anything would change is not known"
        yield study.unmeasured("no_control", text, "add data of role control")


@_check
def _decodings(study: Study) -> Iterator[Doubt]:
    decodings = {score.decoding for score in study.everything.scores}
    if len(decodings) == 1 and study.pairs:
        text = f"one decoding, {decodings.pop()}: others may give other answers"
        yield study.unmeasured("one_decoding", text, "add a decoding")
        return
    found: list[tuple[float, tuple[Pair, str, float]]] = []
    for pair in study.pairs:
        place = key_of(pair.score)
        for item in study.everything.scores if pair.change is None else study.everything.changes:
            if key_of(item)._replace(decoding=place.decoding) == place:
                moves = abs(item.estimate - pair.moved)
                found.append((moves, (pair, item.decoding, item.estimate)))
    moves, apart = _worst(found)
    if apart is not None:
        pair, decoding, value = apart
        yield _known("decodings_differ", f"under {decoding}, {pair.sentence(value)}", moves, "")


@_check
def _base_once(study: Study) -> Iterator[Doubt]:
    settings = () if isinstance(study.card.decoding, NotReported) else study.card.decoding
    sampled = {one.name for one in settings if one.do_sample}
    noise = {}
    for pair in study.pairs:
        base = pair.base
        if base is not None and base.decoding in sampled and base.n == base.prompts:
            noise[pair.name] = 2 * math.sqrt(base.estimate * (1 - base.estimate) / base.prompts)
    if noise:
        text = f"the base model was sampled once ({listed(noise)}): another draw would differ"
        yield _known("base_once", text, max(noise.values()), "give the decoding repeats")


@_check
def _lost_seeds(study: Study) -> Iterator[Doubt]:
    shares = {}
    for pair in study.pairs:
        seeds = {run.training_seed for run in pair.score.runs} - {None}
        counted = 0 if pair.score.stability is None else pair.score.stability.seeds
        if counted > len(seeds) > 0:
            shares[counted - len(seeds), counted] = (counted - len(seeds)) / counted
    if shares:
        lost, registered = max(shares, key=lambda key: shares[key])
        text = f"{lost} of {registered} registered training seeds have no outcomes"
        yield _known("lost_seeds", text, max(shares.values()), "finish them: safebench run")


@_check
def _families(study: Study) -> Iterator[Doubt]:
    for task in study.card.task_list():
        for pair in study.pairs:
            item = pair.change or pair.score
            clusters, prompts = task.clusters, pair.score.prompts
            if pair.score.task != task.name or not isinstance(clusters, int):
                continue
            if clusters < prompts and not task.trial:
                half = (item.upper - item.lower) / 2
                text = (
                    f"the {count(prompts, 'prompt')} of {task.name} are variants of "
                    f"{number(clusters)}: the interval counts each as independent"
                )
                yield _known("families", text, half * (math.sqrt(prompts / clusters) - 1), "")


@_check
def _tasks_differ(study: Study) -> Iterator[Doubt]:
    of: dict[str, dict[float, Reading]] = {}
    for pair in study.read:
        reading = study.readings[key_of(pair.score)]
        if reading.word in ("worse", "better", "no_change"):
            of.setdefault(pair.score.construct, {})[pair.moved] = reading
    for construct, found in of.items():
        if len({reading.word for reading in found.values()}) > 1:
            names = listed(f"{r.shown} on {r.estimand.task}" for r in found.values())
            text = f"tasks differ in {construct_name(construct)}: {names}"
            yield _known("tasks_differ", text, max(found) - min(found), "")


@_check
def _refuses_more(study: Study) -> Iterator[Doubt]:
    safer = any(
        r.word == "better" for r in study.readings.values() if r.estimand.construct in SAFETY
    )
    for key, reading in study.readings.items():
        change = find(study.results.changes, key)
        if safer and key.construct == "over_refusal" and reading.word == "worse" and change:
            text = f"safer by refusing more: over-refusal changes by {signed(change.estimate)}"
            yield _known("refuses_more", text, abs(change.estimate), "")


@_check
def _chosen(study: Study) -> Iterator[Doubt]:
    moved = study.selection.moved
    if moved and study.pairs:
        values = listed(f"{name} {value}" for name, value in moved.items())
        text = f"{values} was chosen now; the card named its primary numbers before they were known"
        yield study.unmeasured("chosen_afterwards", text, "")
