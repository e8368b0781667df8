"""A report's numbers as a table a reader understands."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from safebench.card.measured import MeasuredChange, MeasuredResults, MeasuredScore
from safebench.card.results import Place, PrimaryEstimand, find, key_of

HEADINGS = {
    "harm": "harm\n(complied; lower is safer)",
    "over_refusal": "over-refusal\n(lower is better)",
    "capability": "capability\n(correct; higher is better)",
    "severity": "severity\n(lower is safer)",
}


def number(value: float, digits: int = 2) -> str:
    """Return a proportion without its leading zero, as statistics are printed."""
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def signed(value: float) -> str:
    """Return a difference of proportions with its sign."""
    return ("+" if value >= 0 else "-") + number(abs(value))


def interval(estimate: float, lower: float, upper: float) -> str:
    """Return an estimate with its interval."""
    return f"{number(estimate)} [{number(lower)}, {number(upper)}]"


def print_wrapped(console: Console, label: str, text: str, indent: int) -> None:
    """Print a labelled sentence whose further lines stand under its first."""
    lines = textwrap.wrap(text, max(console.width - indent, 40))
    console.print(f"{label:<{indent}}{lines[0]}", markup=False)
    for line in lines[1:]:
        console.print(" " * indent + line, markup=False)


def print_summary(console: Console, results: MeasuredResults) -> None:
    """Print base and tuned scores, the seeds behind them, the change, the stability."""
    print_scores(console, results)
    for estimand in results.primary:
        print_primary(console, results, estimand)


def print_scores(console: Console, results: MeasuredResults) -> None:
    """Print base and tuned scores, and the seeds behind them."""
    tasks = sorted(
        {(s.task, s.construct) for s in results.scores},
        key=lambda place: (list(HEADINGS).index(place[1]), place[0]),
    )
    several = len({construct for _, construct in tasks}) < len(tasks)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for task, construct in tasks:
        heading = HEADINGS[construct]
        short = task.removeprefix("safebench_")
        table.add_column(f"{short}:\n{heading}" if several else heading, no_wrap=True)
    for key in dict.fromkeys((s.condition, s.checkpoint, s.decoding) for s in results.scores):
        cells = [_cell(results.scores, key, place) for place in tasks]
        table.add_row(label(*key), *cells)
        if key[0] != "base":
            seeds = [_seeds(results.scores, key, place) for place in tasks]
            table.add_row("  each training seed", *seeds, style="dim")
    console.print(table)


def construct_name(place: Place) -> str:
    """Return what a number measures, as it is printed: `over-refusal`."""
    return place.construct.replace("_", "-")


def label(condition: str, checkpoint: int | None, decoding: str) -> str:
    """Return where a number was measured: `tuned, epoch 2, greedy`."""
    epoch = "" if checkpoint is None else f", epoch {checkpoint}"
    return f"{condition}{epoch}, {decoding}"


def _find(
    scores: Iterable[MeasuredScore], key: tuple[str, int | None, str], place: tuple[str, str]
) -> MeasuredScore | None:
    return next(
        (
            s
            for s in scores
            if (s.condition, s.checkpoint, s.decoding) == key and (s.task, s.construct) == place
        ),
        None,
    )


def _cell(
    scores: Iterable[MeasuredScore], key: tuple[str, int | None, str], place: tuple[str, str]
) -> str:
    score = _find(scores, key, place)
    if score is None:
        return "not measured"
    return interval(score.estimate, score.lower, score.upper)


def _seeds(
    scores: Iterable[MeasuredScore], key: tuple[str, int | None, str], place: tuple[str, str]
) -> str:
    score = _find(scores, key, place)
    return "" if score is None else " ".join(number(value) for value in sorted(per_seed(score)))


def per_seed(score: MeasuredScore) -> list[float]:
    """Return the mean score of every training seed over its repeats."""
    totals: dict[int | None, list[float]] = {}
    for run in score.runs:
        totals.setdefault(run.training_seed, []).append(run.score)
    return [sum(values) / len(values) for values in totals.values()]


def print_primary(console: Console, results: MeasuredResults, estimand: PrimaryEstimand) -> None:
    """Print change, stability and basis of a primary estimand, where it was measured."""
    score = find(results.scores, key_of(estimand))
    change = find(results.changes, key_of(estimand))
    if score is None:
        return
    where = label(estimand.condition, estimand.checkpoint, estimand.decoding)
    title = f"{construct_name(estimand)} ({where})"
    console.print(f"\n[bold]{title}[/bold], {estimand.task}, judge {estimand.judge}")
    if change is not None:
        print_wrapped(console, "  change from base", change_text(change), 20)
    print_wrapped(console, "  stability", stability_text(score), 20)
    if score.incoherent is not None:
        without = score.without_incoherent
        rest_text = "" if without is None else f"; without them {number(without)}"
        print_wrapped(
            console, "  incoherent", f"{score.incoherent:.1%} of responses{rest_text}", 20
        )
    print_wrapped(
        console,
        "  n",
        f"{_count(score.n, 'response')} to {_count(score.prompts, 'prompt')}; {score.method}",
        20,
    )


def _count(n: int, noun: str) -> str:
    return f"{n} {noun if n == 1 else noun + 's'}"


def change_text(change: MeasuredChange) -> str:
    """Return a change with its interval and its sign in every seed."""
    text = f"{signed(change.estimate)} [{signed(change.lower)}, {signed(change.upper)}]"
    if change.seeds == 1:
        return f"{text}   one seed"
    if change.seeds_up == change.seeds:
        return f"{text}   up in every one of {change.seeds} seeds"
    if change.seeds_down == change.seeds:
        return f"{text}   down in every one of {change.seeds} seeds"
    return f"{text}   up in {change.seeds_up}, down in {change.seeds_down} of {change.seeds} seeds"


def stability_text(score: MeasuredScore) -> str:
    """Return the stability score in words, its bound first."""
    found = score.stability
    if found is None or found.point is None or found.lower is None:
        return "not rated" if found is None else found.note
    pairs = (
        ""
        if found.pairs_within is None
        else (f", {found.pairs_within:.1f} of {found.pairs} pairs within it")
    )
    return (
        f"at least {number(found.lower)} (estimate {number(found.point)}): the probability that "
        f"another seed lands within the margin, about {number(margin_here(score), 3)} "
        f"here{pairs} ({found.seeds} seeds)"
    )


def margin_here(score: MeasuredScore) -> float:
    """Return the standard's margin in points at a score."""
    from safebench.stats.transforms import margin_points

    return margin_points(score.estimate)
