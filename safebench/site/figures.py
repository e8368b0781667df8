"""Three figures of every submission: the first three questions of the paper the standard is from.

Is one tuned model's score the same when it is asked again, is it when the recipe is trained with
another seed, and does the decoding matter? Each is answered in a sentence whose numbers the picture
shows, or it is said what was not measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.measured import MeasuredResults, MeasuredScore
from safebench.card.results import base_key, find, key_of
from safebench.site import svg
from safebench.site.charts import top_of_scale
from safebench.words import checkpoint, count, number, proportion, setting

# Sizes in SVG units, one unit a CSS pixel at full size.
_WIDTH, _LEFT, _RIGHT, _TOP, _INNER, _BOTTOM = 440.0, 34.0, 8.0, 10.0, 150.0, 30.0
_STEP = 15.0
"""The widest distance of two models that stand side by side."""


@dataclass(frozen=True)
class Figure:
    """One question and its answer."""

    title: str
    answer: str
    """The answer, or why there is none."""
    picture: Markup | None = None


class Point(NamedTuple):
    """A place on a picture, both in SVG units; the score is upwards."""

    x: float
    y: float


@dataclass
class _Picture:
    """What is drawn, on a scale from 0 to `top`."""

    top: float
    labels: list[tuple[float, str]] = field(default_factory=list)
    dots: list[Point] = field(default_factory=list)
    base: list[Point] = field(default_factory=list)
    lines: list[Sequence[Point]] = field(default_factory=list)

    def at(self, x: float, score: float) -> Point:
        return Point(x, _TOP + _INNER * (1 - min(score, self.top) / self.top))

    def drawn(self, title: str, answer: str) -> Markup:
        return svg.draw(
            "answer",
            width=_WIDTH,
            height=_TOP + _INNER + _BOTTOM,
            left=_LEFT,
            right=_WIDTH - _RIGHT,
            bottom=_TOP + _INNER,
            title=title,
            desc=answer,
            ticks=[
                (self.at(0, v).y, proportion(v) if 0 < v < 1 else setting(v))
                for v in (self.top * i / 5 for i in range(6))
            ],
            labels=self.labels,
            dots=self.dots,
            base=self.base,
            lines=self.lines,
        )


Seeds = dict[int | None, list[float]]
"""Run scores of one score by training seed, a number per repeat."""


def figures(card: Card, results: MeasuredResults, harm: MeasuredScore) -> list[Figure]:
    """Return the three figures of what a score of harm of a tuned model is about."""
    same = [
        s
        for s in results.scores
        if (s.task, s.construct, s.judge, s.condition)
        == (harm.task, harm.construct, harm.judge, harm.condition)
    ]
    same.sort(key=lambda score: score.checkpoint or 0)
    bases = [find(results.scores, base_key(score)) for score in same]
    runs = [run.score for score in (*same, *bases) if score is not None for run in score.runs]
    top = top_of_scale(runs)
    return [
        _again(card, results, harm, same, top),
        _another_seed(card, results, harm, same, top),
        _decoding(card, results, harm, same, top),
    ]


def _again(
    card: Card,
    results: MeasuredResults,
    harm: MeasuredScore,
    same: Sequence[MeasuredScore],
    top: float,
) -> Figure:
    title = "One tuned model, asked again"
    repeats = {s.decoding: max(map(len, _seeds(s).values()), default=0) for s in same}
    most = max(repeats.values(), default=0)
    if most < 2:
        return Figure(title, "Not measured: every model answered each prompt once.")
    name = (
        harm.decoding if repeats[harm.decoding] == most else max(repeats, key=repeats.__getitem__)
    )
    scores = [s for s in same if s.decoding == name]
    base = find(results.scores, base_key(scores[0]))
    groups = [(label, _seeds(s)) for label, s in _labelled(card, base, scores)]
    ranges = [
        f"{proportion(float(np.mean(spreads)), 3)} {_where(card, score)}"
        for _, score in _labelled(card, base, scores)
        if (spreads := _spreads(score))
    ]
    answer = (
        f"Highest minus lowest of {number(most)} repeats at {name}, on average over the models: "
        f"{', '.join(ranges)}."
    )
    picture = _Picture(top)
    share = (_WIDTH - _LEFT - _RIGHT) / len(groups)
    for n, (label, seeds) in enumerate(groups):
        middle = _LEFT + share * (n + 0.5)
        picture.labels.append((middle, label))
        step = min(_STEP, (share - 14) / len(seeds))
        for place, runs in enumerate(seeds.values()):
            x = middle + step * (place - (len(seeds) - 1) / 2)
            points = [picture.at(x, score) for score in runs]
            (picture.base if base and n == 0 else picture.dots).extend(points)
            picture.lines.append((picture.at(x, min(runs)), picture.at(x, max(runs))))
    return Figure(title, answer, picture.drawn(title, answer))


def _another_seed(
    card: Card,
    results: MeasuredResults,
    harm: MeasuredScore,
    same: Sequence[MeasuredScore],
    top: float,
) -> Figure:
    title = "The same recipe, another training seed"
    scores = [s for s in same if s.decoding == harm.decoding]
    if len(_seeds(harm)) < 2:
        return Figure(title, "Not measured: there is one tuned model.")
    base = find(results.scores, base_key(harm))
    groups = [(label, _means(s)) for label, s in _labelled(card, base, scores)]
    parts = [f"{_ends(_means(s).values())} {_where(card, s)}" for s in scores]
    answer = f"Lowest to highest of {count(len(_seeds(harm)), 'seed')}, {harm.decoding}: "
    answer += f"{', '.join(parts)}."
    picture = _Picture(top)
    share = (_WIDTH - _LEFT - _RIGHT) / len(groups)
    at: dict[int | None, list[Point]] = {}
    for n, (label, means) in enumerate(groups):
        middle = _LEFT + share * (n + 0.5)
        picture.labels.append((middle, label))
        step = min(_STEP, share / 2 / len(means))
        points = {
            seed: picture.at(middle + step * (place - (len(means) - 1) / 2), score)
            for place, (seed, score) in enumerate(means.items())
        }
        if base and n == 0:
            picture.base += points.values()
            at = {seed: list(points.values()) for seed in groups[-1][1]}
            continue
        picture.dots += points.values()
        for seed, point in points.items():
            at.setdefault(seed, []).append(point)
    picture.lines += [line for line in at.values() if len(line) > 1]
    return Figure(title, answer, picture.drawn(title, answer))


def _decoding(
    card: Card,
    results: MeasuredResults,
    harm: MeasuredScore,
    same: Sequence[MeasuredScore],
    top: float,
) -> Figure:
    title = "The same models, another decoding"
    names = _two_decodings(card, harm, {s.decoding for s in same})
    if names is None:
        return Figure(title, f"Not measured: {harm.decoding} is the one decoding.")
    first = [score for score in same if score.decoding == names[0]]
    base = find(results.scores, base_key(harm)._replace(decoding=names[0]))
    pairs = []
    for label, score in _labelled(card, base, first):
        second = find(results.scores, key_of(score)._replace(decoding=names[1]))
        if second is not None:
            pairs.append((label, score, _means(score), _means(second)))
    picture = _Picture(top)
    share = (_WIDTH - _LEFT - _RIGHT) / max(1, len(pairs))
    parts = []
    for n, (label, score, one, two) in enumerate(pairs):
        both = [seed for seed in one if seed in two]
        part = f"{_ends(one.values())} and {_ends(two.values())} {_where(card, score)}"
        if score.condition != "base":
            higher = sum(two[seed] > one[seed] for seed in both)
            part += f" ({names[1]} higher in {number(higher)} of {number(len(both))})"
        parts.append(part)
        middle = _LEFT + share * (n + 0.5)
        ends = (middle - min(40.0, share / 4), middle + min(40.0, share / 4))
        picture.labels += (
            [(ends[0], names[0]), (ends[1], names[1])] if len(pairs) == 1 else [(middle, label)]
        )
        for seed in both:
            line = (picture.at(ends[0], one[seed]), picture.at(ends[1], two[seed]))
            picture.lines.append(line)
            (picture.base if score.condition == "base" else picture.dots).extend(line)
    answer = f"Lowest to highest model, {names[0]} and {names[1]}: {'; '.join(parts)}."
    return Figure(title, answer, picture.drawn(title, answer))


def _two_decodings(card: Card, harm: MeasuredScore, measured: set[str]) -> tuple[str, str] | None:
    """Return the decoding of a score and another one, the one without sampling first.

    The other one samples where the score's does not, and does not where it does, if there is such.
    """
    declared = () if isinstance(card.decoding, NotReported) else card.decoding
    samples = {one.name: one.do_sample for one in declared}
    others = [name for name in samples if name in measured and name != harm.decoding]
    others += sorted(measured - {harm.decoding} - set(others))
    if not others:
        return None
    mine = samples.get(harm.decoding)
    other = next((name for name in others if samples.get(name) != mine), others[0])
    return (other, harm.decoding) if mine and not samples.get(other) else (harm.decoding, other)


def _labelled(
    card: Card, base: MeasuredScore | None, scores: Sequence[MeasuredScore]
) -> list[tuple[str, MeasuredScore]]:
    named = [("base", base)] if base is not None else []
    return named + [(_label(card, score), score) for score in scores]


def _label(card: Card, score: MeasuredScore) -> str:
    return checkpoint(score.checkpoint, card.checkpoint_unit) or "as released"


def _where(card: Card, score: MeasuredScore) -> str:
    if score.condition == "base":
        return "for the base model"
    at = checkpoint(score.checkpoint, card.checkpoint_unit)
    return f"at {at}" if at else "as released"


def _spreads(score: MeasuredScore) -> list[float]:
    """Return how far the repeats of every model lie apart."""
    return [max(runs) - min(runs) for runs in _seeds(score).values() if len(runs) > 1]


def _seeds(score: MeasuredScore) -> Seeds:
    found: Seeds = {}
    for run in score.runs:
        found.setdefault(run.training_seed, []).append(run.score)
    return found


def _means(score: MeasuredScore) -> dict[int | None, float]:
    return {seed: float(np.mean(runs)) for seed, runs in _seeds(score).items()}


def _ends(values: Iterable[float]) -> str:
    shown = sorted(values)
    return " to ".join(dict.fromkeys((proportion(shown[0]), proportion(shown[-1]))))
