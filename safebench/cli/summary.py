"""A card's numbers as a reader understands them: the table of scores, and the primary ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from safebench import words
from safebench.card.card import Card
from safebench.card.measured import (
    MeasuredChange,
    MeasuredResults,
    MeasuredScore,
    complete_results,
    cut_shares,
)
from safebench.card.results import (
    MOST_TRUNCATED,
    PlaceKey,
    PrimaryEstimand,
    base_key,
    find,
    key_of,
)
from safebench.cli.console import print_wrapped
from safebench.cli.tables import Column, Row, Table, print_table
from safebench.errors import visible

if TYPE_CHECKING:
    from safebench.analysis.flips import CategoryDifference
    from safebench.analysis.paired import PairedChange

INDENT = 20
"""Width of the labels beside the sentences about a number."""
Judged = tuple[str, str, str]
"""Task, construct and judge."""


def print_summary(console: Console, card: Card) -> None:
    """Print base and tuned scores, the seeds behind them, the change, the stability.

    Nothing is printed of a plan: it has no results.
    """
    results = complete_results(card)
    if results is None:
        return
    print_scores(console, card, results)
    for estimand in results.primary:
        print_primary(console, card, results, estimand)


def print_scores(console: Console, card: Card, results: MeasuredResults) -> None:
    """Print base and tuned scores, and the seeds behind them; of a trial, that it is one."""
    if text := trial_text(card):
        print_wrapped(console, "TRIAL", text, 8)
        console.print()
    # A terminal has room for one judge of a task: the first.
    first = {(task, construct): judge for task, construct, judge in reversed(judged(results))}
    order = sorted(first, key=lambda place: (words.CONSTRUCTS.index(place[1]), place[0]))
    print_table(console, score_table(card, results, [(*place, first[place]) for place in order]))


def trial_text(card: Card) -> str:
    """Return that a card is a trial, and of how many prompts; nothing where it is none."""
    text = "; ".join(f"{visible(name)}, {extent}" for name, extent in card.trials.items())
    return f"not a result: {text}" if text else ""


def judged(results: MeasuredResults) -> list[Judged]:
    """Return each task, construct and judge with scores, in the card's order."""
    return list(dict.fromkeys((s.task, s.construct, s.judge) for s in results.scores))


def score_table(
    card: Card, results: MeasuredResults, places: Sequence[Judged], *, in_full: bool = False
) -> Table:
    """Return scores by condition, checkpoint and decoding, and the seeds behind each."""
    scores = {key_of(score): score for score in results.scores}
    rows: list[Row] = []
    for key in dict.fromkeys((s.condition, s.checkpoint, s.decoding) for s in results.scores):
        found = [
            scores.get(PlaceKey(task, construct, *key, judge)) for task, construct, judge in places
        ]
        label = words.where(*key, card.checkpoint_unit)
        rows.append(Row((label, *map(score_text, found))))
        if key[0] != "base":
            seeds = ("" if score is None else " ".join(per_seed(score)) for score in found)
            rows.append(Row(("  each training seed", *seeds), "detail"))
    heads = zip(titles(places, in_full=in_full), places, strict=True)
    return Table(
        (Column(""), *(Column(title, _note(card, place)) for title, place in heads)), tuple(rows)
    )


def titles(places: Sequence[Judged], *, in_full: bool) -> list[str]:
    """Return what tells columns apart: the construct, and task and judge where they differ.

    With `in_full`, the task is always named, since a table of a paper stands alone.
    """
    measured = {(task, construct) for task, construct, _ in places}
    names_task = in_full or len({construct for _, construct in measured}) < len(measured)
    names_judge = len({judge for _, _, judge in places}) > 1
    return [
        (f"{task}: " if names_task else "")
        + words.construct_name(construct)
        + (f" ({judge})" if names_judge else "")
        for task, construct, judge in places
    ]


def _note(card: Card, place: Judged) -> str:
    task, construct, _ = place
    lines = [f"({words.BETTER[construct]})", card.trials.get(task, "")]
    return "\n".join(line for line in lines if line)


def score_text(score: MeasuredScore | None) -> str:
    """Return a score with its interval, or that there is none."""
    if score is None:
        return words.NOT_MEASURED
    return words.with_interval(score.estimate, score.lower, score.upper)


def per_seed(score: MeasuredScore) -> list[str]:
    """Return the mean score of every training seed over its repeats, from the lowest."""
    totals: dict[int | None, list[float]] = {}
    for run in score.runs:
        totals.setdefault(run.training_seed, []).append(run.score)
    means = sorted(sum(values) / len(values) for values in totals.values())
    return [words.proportion(mean) for mean in means]


def print_primary(
    console: Console, card: Card, results: MeasuredResults, estimand: PrimaryEstimand
) -> None:
    """Print change, stability and basis of a primary estimand, where it was measured."""
    score = find(results.scores, key_of(estimand))
    if score is None:
        return
    place = words.where(
        estimand.condition, estimand.checkpoint, estimand.decoding, card.checkpoint_unit
    )
    name = words.construct_name(estimand.construct)
    console.print(f"\n[bold]{name} ({place})[/bold], {estimand.task}, judge {estimand.judge}")
    for label, text in _lines(card, results, score):
        print_wrapped(console, f"  {label}", text, INDENT)


def _lines(card: Card, results: MeasuredResults, score: MeasuredScore) -> Iterator[tuple[str, str]]:
    """Yield the labelled sentences about a primary score."""
    change = find(results.changes, key_of(score))
    if change is not None:
        yield "change from base", f"{change_text(change)}   {direction(change)}"
    yield "stability", stability_text(score)
    if score.incoherent is not None:
        without = score.without_incoherent
        rest = "" if without is None else f"; the score without them is {words.proportion(without)}"
        yield "incoherent", f"{words.percent(score.incoherent, 1)} of responses{rest}"
    if cut := cut_text(score, find(results.scores, base_key(score))):
        yield "truncated", cut
    trial = card.trials.get(score.task)
    n = f"{words.count(score.n, 'response')} to {words.count(score.prompts, 'prompt')}"
    yield "n", f"{n}{f' (trial: {trial})' if trial else ''}; {score.method}"


def change_text(change: MeasuredChange | PairedChange | CategoryDifference) -> str:
    """Return a change, or another difference, with its interval."""
    return f"{words.signed(change.estimate)} {words.signed_interval(change.lower, change.upper)}"


def direction(change: MeasuredChange) -> str:
    """Return in how many seeds a change goes up or down."""
    if change.seeds == 1:
        return "one seed"
    same = change.seeds - change.seeds_up - change.seeds_down
    ways = {"up": change.seeds_up, "down": change.seeds_down, "unchanged": same}
    (way, seeds), *others = ((way, seeds) for way, seeds in ways.items() if seeds)
    if not others:
        return f"{way} in all {seeds} seeds"
    rest = "".join(f", {way} in {seeds}" for way, seeds in others)
    return f"{way} in {seeds} of {change.seeds} seeds{rest}"


def stability_text(score: MeasuredScore) -> str:
    """Return the stability score in words, its bound first."""
    found = score.stability
    if found is None or found.point is None or found.lower is None:
        return "not rated" if found is None else found.note
    pairs = ""
    if found.pairs_within is not None and found.pairs:
        share = words.percent(found.pairs_within / found.pairs)
        pairs = f"; {share} of the pairs of seeds are within it"
    beside = f"estimate {words.proportion(found.point)}", words.count(found.seeds, "seed")
    return (
        f"{words.stability(found.lower, found.lower_if_normal, *beside)}: the probability that "
        f"another training seed scores within the margin, about "
        f"{words.proportion(margin_here(score), 3)} here{pairs}"
    )


def cut_text(score: MeasuredScore, base: MeasuredScore | None) -> str:
    """Return how many responses were cut, the base model's too; nothing where none were."""
    shares = cut_shares(score, base)
    if not shares:
        return ""
    text = f"{words.shares(shares)} at max_new_tokens"
    if max(shares.values()) <= MOST_TRUNCATED:
        return text
    # Of the base model too: what is cut there moves the change as much.
    return f"{text}: too many for the score to be about whole responses; raise max_new_tokens"


def margin_here(score: MeasuredScore) -> float:
    """Return the standard's margin at a score, as a difference of proportions."""
    from safebench.stats.transforms import margin_points

    return margin_points(score.estimate)
