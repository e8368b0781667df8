"""What a cell of the board shows, as text: the same for the page, its script and its data.

A number is written once, by `safebench.words`. The page prints these texts, and the script sorts
and draws by them, so that a table sorted in the browser shows what a reader sees and nothing finer.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from safebench import words
from safebench.analysis.correction import beside
from safebench.analysis.measures import Measure, Number
from safebench.card.measured import MeasuredScore, cut_shares
from safebench.card.results import MOST_TRUNCATED
from safebench.site.board_rows import BoardRow, RerunBadge

MINUS = "\u2212"
UNCORRECTED = "\u2020"
"""A dagger behind a number that is its judge's own: people's labels have not corrected it."""
_NUMBER = re.compile(r"1\.00|\.\d\d")


class Shown(NamedTuple):
    """The texts of a cell."""

    main: str = ""
    """What a table is sorted by; empty where there is nothing, and `beside` says why."""
    beside: str = ""
    subs: tuple[str, ...] = ()
    """A line each, below."""


def recipe(row: BoardRow) -> Shown:
    """Return an entry's title, what was done to which model, whose it is, and what is missing."""
    at = None if row.harm is None else row.harm.checkpoint
    done = [row.base_model, row.method, *([] if at is None else [f"{row.unit} {at}"])]
    tags = [row.organisation, *(["third party"] if row.third_party else [])]
    tags += ["released model"] if row.artefact else []
    missing = ["; ".join(row.missing)] if row.missing else []
    return Shown(row.title, "", (", ".join(done), ", ".join(tags), *missing))


def placed(row: BoardRow) -> Shown:
    """Return class and rank."""
    if row.placed is None:
        return Shown("", "none")
    ranks = row.placed.ranks
    if ranks is None:
        return Shown(str(row.placed.class_))
    ends = dict.fromkeys(ranks)
    return Shown(str(row.placed.class_), f"(rank {'–'.join(map(str, ends))})")


def harm(row: BoardRow) -> Shown:
    """Return harm with that of the base model and of the control, and what limits it."""
    score = row.harm
    if score is None:
        return Shown("", row.instead("harm"))
    others = {"base": row.harm_base, "control": row.control}
    subs = [f"{name} {_with_interval(one)}" for name, one in others.items() if one is not None]
    shares = cut_shares(score, row.harm_base)
    if max(shares.values(), default=0.0) > MOST_TRUNCATED:
        subs.append(f"cut: {words.shares(shares)}")
    cell = _score(row, score, *subs)
    if row.over_judges is None:
        return cell
    ends = [words.proportion(row.over_judges.lowest), words.proportion(row.over_judges.highest)]
    over = words.count(row.over_judges.judges, "judge")
    return cell._replace(beside=f"{cell.beside}, {' to '.join(dict.fromkeys(ends))} over {over}")


def _mark(fixed: Measure | None) -> str:
    """Return what stands behind a number, by what it is once corrected for judge error."""
    return "" if isinstance(fixed, Number) else UNCORRECTED


def change(row: BoardRow) -> Shown:
    """Return the change from base, and what keeps it from being read as more."""
    found, reading = row.change, row.reading
    if found is None:
        return Shown("", row.absence("harm"))
    subs = []
    if reading is not None and reading.word == "cannot_tell" and reading.reason:
        subs.append(reading.reason)
    elif reading is not None and reading.word in ("worse", "better") and reading.is_beyond_margin:
        subs.append("> margin")
    fixed = row.fixed(row.harm)
    value = None if fixed is None else fixed.change
    if isinstance(value, Number):
        subs.append(beside(value, is_change=True, minus=MINUS))
    main = words.signed(found.estimate, minus=MINUS)
    interval = words.signed_interval(found.lower, found.upper, MINUS)
    return Shown(main, interval + _mark(value), tuple(subs))


def score(row: BoardRow, construct: str) -> Shown:
    """Return the score of over-refusal or capability."""
    found: MeasuredScore | None = getattr(row, construct)
    if found is None:
        return Shown("", row.instead(construct))
    at = "as released" if found.checkpoint is None else f"{row.unit} {found.checkpoint}"
    unlike = [f"{found.task}, {at}, {found.decoding}"] if construct in row.unlike else []
    return _score(row, found, *unlike)


def _score(row: BoardRow, found: MeasuredScore, *subs: str) -> Shown:
    lines = list(subs)
    fixed = row.fixed(found)
    value = None if fixed is None else fixed.score
    if isinstance(value, Number):
        lines.append(beside(value, minus=MINUS))
    if found.task in row.trials:
        lines.append(f"trial: {row.trials[found.task]}")
    interval = words.interval(found.lower, found.upper)
    return Shown(words.proportion(found.estimate), interval + _mark(value), tuple(lines))


def corrected(row: BoardRow, construct: str, part: str = "score") -> Shown:
    """Return a number corrected for judge error, or that there is none."""
    found: MeasuredScore | None = getattr(row, construct)
    value = getattr(row.fixed(found), part, None)
    if found is None or value is None:
        return Shown("", row.absence(construct))
    if not isinstance(value, Number):
        return Shown("", "not known")
    write = words.proportion if part == "score" else _signed
    ends = [end for end in (value.lower, value.upper) if end is not None]
    return Shown(write(value.estimate), f"[{', '.join(map(write, ends))}]")


def _signed(value: float) -> str:
    return words.signed(value, minus=MINUS)


def _with_interval(score: MeasuredScore) -> str:
    return words.with_interval(score.estimate, score.lower, score.upper)


def stability(row: BoardRow) -> Shown:
    """Return the bound on stability, the one if seeds spread normally, and the pairs."""
    found = None if row.harm is None else row.harm.stability
    if found is None:
        return Shown("", row.absence("harm"))
    if found.lower is None:
        return Shown("", "not rated")
    more = []
    if found.lower_if_normal is not None:
        more.append(f"{words.proportion(found.lower_if_normal)} if normal")
    if found.pairs_within is not None and found.pairs:
        more.append(f"{words.percent(found.pairs_within / found.pairs)} of pairs")
    fixed = row.fixed(row.harm)
    mark = _mark(None if fixed is None else fixed.stability)
    return Shown(f"≥ {words.proportion(found.lower)}", ", ".join(more) + mark)


def share(row: BoardRow, part: str, of: str = "harm") -> Shown:
    """Return a share of the responses that harm rests on."""
    found = getattr(getattr(row, of), part, None)
    return Shown(words.percent(found, 1)) if isinstance(found, float) else absent(row)


def plain(value: str) -> Shown:
    """Return a text that stands alone."""
    return Shown(value) if value else Shown("", "none")


def absent(row: BoardRow) -> Shown:
    """Return why there is no number for harm."""
    return Shown("", row.absence("harm"))


def level(row: BoardRow) -> Shown:
    """Return the level, and what reruns came to."""
    return Shown(row.level, "", () if row.rerun is None else (_reruns(row.rerun),))


def rerun(row: BoardRow) -> Shown:
    """Return what reruns came to."""
    return Shown(words.plain(row.rerun.word)) if row.rerun else Shown("", "none")


def _reruns(badge: RerunBadge) -> str:
    made = words.count(badge.count, "rerun")
    return f"{words.plain(badge.word)}: {made}, {badge.elsewhere} elsewhere"


class Mark(NamedTuple):
    """What is drawn of a score: its ends and its estimate in hundredths, as they are printed."""

    name: str
    at: int
    low: int
    high: int


def marks(cell: Shown) -> list[Mark]:
    """Return what the bar of a harm cell shows, the base model first and the entry itself last."""
    named = [(line.partition(" ")[0], line) for line in cell.subs]
    texts = [pair for pair in named if pair[0] in ("base", "control")]
    if cell.main:
        texts.append(("tuned", f"{cell.main} {cell.beside}"))
    found = [
        (name, [int(n.replace(".", "")) for n in _NUMBER.findall(line)[:3]]) for name, line in texts
    ]
    return [Mark(name, *ends) for name, ends in found]
