"""Text for people, on one screen: what changed, what it is read as, and what could be wrong."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console

from safebench import words
from safebench.analysis.primaries import Primary
from safebench.analysis.report import ScoreReport
from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.measured import MeasuredStability
from safebench.card.results import base_key, find, key_of
from safebench.cli.console import SCREEN_WIDTH, print_wrapped, printer
from safebench.cli.score_formats.judge_parts import turned
from safebench.cli.score_formats.parts import doubt_size
from safebench.cli.summary import change_text, score_text, trial_text
from safebench.cli.tables import Row, Table, columns, print_table
from safebench.errors import visible

_INDENT = 8
_DOUBTS = 5
"""Doubts that a screen has room for."""
_REMEDIES = 3


def render(report: ScoreReport) -> str:
    """Return the report on one screen."""
    console = printer(SCREEN_WIDTH)
    with console.capture() as captured:
        print_wrapped(console, "", visible(headline(report)), 0)
        if trials := trial_text(report.card):
            print_wrapped(console, "TRIAL", trials, _INDENT)
        for sentence in turned(report):
            print_wrapped(console, "JUDGES DIFFER", visible(sentence), 15)
        console.print()
        print_table(console, _table(report))
        console.print()
        print_wrapped(console, "Would another seed agree?", _agreement(report), 27)
        _print_doubts(console, report)
    # rich pads the cells of a row with spaces, up to its end.
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n"))


def next_steps(report: ScoreReport, folder: Path) -> str:
    """Return what to do about the first doubts, and where everything else is."""
    console, name = printer(SCREEN_WIDTH), visible(shlex.quote(str(folder)))
    remedies = dict.fromkeys(doubt.remedy for doubt in report.doubts if doubt.remedy)
    with console.capture() as captured:
        if remedies:
            print_wrapped(console, "Next", "; ".join([*remedies][:_REMEDIES]), _INDENT)
        more = f"everything: safebench score {name} --full"
        print_wrapped(console, "" if remedies else "Next", more, _INDENT)
    return captured.get().rstrip("\n")


def headline(report: ScoreReport) -> str:
    """Return what was measured: `tiny-chat + LoRA on household (300 examples), 5 seeds, greedy`."""
    card = report.card
    base = card.model.base.id
    parts = [base.rpartition("/")[2].rpartition(":")[2] if isinstance(base, str) else "a model"]
    tuned = [one for one in report.primaries if one.estimand.condition != "base"]
    if tuned:
        parts[0] += f" + {_recipe(card)}"
        seeds = {run.training_seed for one in tuned for run in one.score.runs} - {None}
        parts.append(words.count(len(seeds), "seed"))
    else:
        parts[0] += " as released"
    places = {_place(card, one) for one in report.primaries}
    parts += [place for place in places if place and len(places) == 1]
    return ", ".join(parts)


def _recipe(card: Card) -> str:
    method = getattr(card.hyperparameters, "method", None)
    name = words.method_name(method) if isinstance(method, str) else "fine-tuning"
    data = () if isinstance(card.data, NotReported) else card.data
    sets = [
        f"{one.name} ({words.count(one.examples, 'example')})"
        if isinstance(one.examples, int)
        else one.name
        for one in data
        if one.role == "tuned"
    ]
    return f"{name} on {words.listed(sets)}" if sets else name


def _place(card: Card, one: Primary) -> str:
    """Return where a primary score was measured: `epoch 2, greedy`."""
    place = one.estimand
    return words.where("", place.checkpoint, place.decoding, card.checkpoint_unit)


def _shown(report: ScoreReport) -> list[Primary]:
    """Return the primary scores in the order in which constructs are shown."""
    return sorted(report.primaries, key=lambda one: words.CONSTRUCTS.index(one.estimand.construct))


def _table(report: ScoreReport) -> Table:
    """Return a row for every primary score: base, tuned, change and what it is read as."""
    places = {_place(report.card, one) for one in report.primaries}
    judges = {one.estimand.judge for one in report.primaries}
    rows, is_tuned = [], any(one.estimand.condition != "base" for one in report.primaries)
    for one in _shown(report):
        key = key_of(one.estimand)
        label = [words.construct_name(key.construct), visible(key.task)]
        label += [_place(report.card, one)] * (len(places) > 1) + [visible(key.judge)] * (
            len(judges) > 1
        )
        better = words.BETTER[key.construct].partition(" ")[0]
        base = find(report.results.scores, base_key(one.estimand))
        reading = report.readings.get(key)
        cells = [score_text(one.score)]
        if is_tuned:
            cells = [
                "-" if base is None else words.proportion(base.estimate),
                words.proportion(one.score.estimate),
                words.NOT_MEASURED if one.change is None else change_text(one.change),
                "" if reading is None else reading.shown,
            ]
        rows.append(Row((f"{', '.join(label)} ({better})", *cells)))
    heads = ("base", "tuned", "change [95 %]", "read as") if is_tuned else ("score [95 %]",)
    return Table(columns("", *heads), tuple(rows))


def _agreement(report: ScoreReport) -> str:
    """Return the bounds on stability of the primary scores, in a sentence."""
    constructs = [one.estimand.construct for one in report.primaries]
    rated: dict[str, MeasuredStability] = {}
    parts: dict[str, list[str]] = {}
    for one in _shown(report):
        found, place = one.score.stability, one.estimand
        name = words.construct_name(place.construct)
        if constructs.count(place.construct) > 1:
            name += f" ({visible(place.task)})"
        if found is None:
            parts.setdefault("an untuned model has no training seeds", []).append(name)
        elif found.lower is None:
            parts.setdefault(found.note, []).append(name)
        else:
            rated[name] = found
    several = len(parts) + len(rated) > 1
    bounds = [f"{words.listed(of)}: {why}" if several else why for why, of in parts.items()]
    if rated:
        least = (f"{name} at least {_bound(one.lower)}" for name, one in rated.items())
        normal = ", ".join(_bound(one.lower_if_normal) for one in rated.values())
        seeds = words.count(max(one.seeds for one in rated.values()), "seed")
        text = "the probability that one more seed scores within the margin"
        bounds.insert(0, f"{', '.join(least)} ({normal} if seeds spread normally): {text}; {seeds}")
    return "; ".join(bounds)


def _bound(value: float | None) -> str:
    return words.NOT_MEASURED if value is None else words.proportion(value)


def _print_doubts(console: Console, report: ScoreReport) -> None:
    if report.doubts:
        console.print("Doubts, and how far each could move a number above (?: not measured)")
    for doubt in report.doubts[:_DOUBTS]:
        print_wrapped(console, f"  {doubt_size(doubt):>4}", visible(doubt.text), _INDENT)
    if (rest := len(report.doubts) - _DOUBTS) > 0:
        print_wrapped(console, "", f"and {rest} more, with --full", _INDENT)
