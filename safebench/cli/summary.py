"""A report's numbers as a table a reader understands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table

from safebench import words
from safebench.card.card import Card
from safebench.card.measured import MeasuredChange, MeasuredResults, MeasuredScore, cut_shares
from safebench.card.results import MOST_TRUNCATED, PrimaryEstimand, base_key, find, key_of
from safebench.cli.console import print_wrapped
from safebench.errors import visible

HEADINGS = {
    "harm": "harm\n(complied; lower is safer)",
    "over_refusal": "over-refusal\n(lower is better)",
    "capability": "capability\n(correct; higher is better)",
    "severity": "severity\n(lower is safer)",
}
_INDENT = 20


def print_summary(console: Console, card: Card, results: MeasuredResults) -> None:
    """Print base and tuned scores, the seeds behind them, the change, the stability."""
    print_scores(console, card, results)
    for estimand in results.primary:
        print_primary(console, card, results, estimand)


def print_scores(console: Console, card: Card, results: MeasuredResults) -> None:
    """Print base and tuned scores, and the seeds behind them; of a trial, that it is one."""
    trials = card.trials
    if trials:
        text = "; ".join(f"{visible(name)}, {extent}" for name, extent in trials.items())
        print_wrapped(console, "TRIAL", f"not a result: {text}", 8)
        console.print()
    tasks = sorted(
        {(s.task, s.construct) for s in results.scores},
        key=lambda place: (list(HEADINGS).index(place[1]), place[0]),
    )
    several = len({construct for _, construct in tasks}) < len(tasks)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for task, construct in tasks:
        short = f"{task.removeprefix('safebench_')}:\n" if several else ""
        trial = f"\n{trials[task]}" if task in trials else ""
        table.add_column(f"{short}{HEADINGS[construct]}{trial}")
    for key in dict.fromkeys((s.condition, s.checkpoint, s.decoding) for s in results.scores):
        found = [_find(results.scores, key, place) for place in tasks]
        table.add_row(words.where(*key, card.checkpoint_unit), *(_cell(s) for s in found))
        if key[0] != "base":
            table.add_row("  each training seed", *(_seeds(s) for s in found), style="dim")
    console.print(table)


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


def _cell(score: MeasuredScore | None) -> str:
    if score is None:
        return words.NOT_MEASURED
    return words.with_interval(score.estimate, score.lower, score.upper)


def _seeds(score: MeasuredScore | None) -> str:
    return "" if score is None else " ".join(map(words.proportion, sorted(per_seed(score))))


def per_seed(score: MeasuredScore) -> list[float]:
    """Return the mean score of every training seed over its repeats."""
    totals: dict[int | None, list[float]] = {}
    for run in score.runs:
        totals.setdefault(run.training_seed, []).append(run.score)
    return [sum(values) / len(values) for values in totals.values()]


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
        print_wrapped(console, f"  {label}", text, _INDENT)


def _lines(card: Card, results: MeasuredResults, score: MeasuredScore) -> Iterator[tuple[str, str]]:
    """Yield what is said of a primary score, label and text."""
    change = find(results.changes, key_of(score))
    if change is not None:
        yield "change from base", f"{change_text(change)}   {direction(change)}"
    yield "stability", stability_text(score)
    if score.incoherent is not None:
        without = score.without_incoherent
        rest = "" if without is None else f"; without them {words.proportion(without)}"
        yield "incoherent", f"{words.percent(score.incoherent, 1)} of responses{rest}"
    base = find(results.scores, base_key(score))
    cut = cut_text(score, base)
    if cut:
        yield "cut", cut
    trial = card.trials.get(score.task)
    n = f"{words.count(score.n, 'response')} to {words.count(score.prompts, 'prompt')}"
    yield "n", f"{n}{f' (trial: {trial})' if trial else ''}; {score.method}"


def change_text(change: MeasuredChange) -> str:
    """Return a change with its interval."""
    return f"{words.signed(change.estimate)} {words.signed_interval(change.lower, change.upper)}"


def direction(change: MeasuredChange) -> str:
    """Return in how many seeds a change goes up or down."""
    if change.seeds == 1:
        return "one seed"
    for way, seeds in (("up", change.seeds_up), ("down", change.seeds_down)):
        if seeds == change.seeds:
            return f"{way} in every one of {seeds} seeds"
    return f"up in {change.seeds_up}, down in {change.seeds_down} of {change.seeds} seeds"


def stability_text(score: MeasuredScore) -> str:
    """Return the stability score in words, its bound first."""
    found = score.stability
    if found is None or found.point is None or found.lower is None:
        return "not rated" if found is None else found.note
    pairs = ""
    if found.pairs_within is not None:
        within = words.rounded(found.pairs_within, 1)
        pairs = f", {within} of {words.count(found.pairs, 'pair')} within it"
    return (
        f"at least {words.proportion(found.lower)} (estimate {words.proportion(found.point)}): the "
        "probability that another seed lands within the margin, about "
        f"{words.proportion(margin_here(score), 3)} here{pairs} ({found.seeds} seeds)"
    )


def cut_text(score: MeasuredScore, base: MeasuredScore | None) -> str:
    """Return how many responses were cut, the base model's too; nothing where none were."""
    shares = cut_shares(score, base)
    if not shares:
        return ""
    text = words.listed(f"{words.percent(share, 1)} {whose}" for whose, share in shares.items())
    if max(shares.values()) <= MOST_TRUNCATED:
        return f"{text} at max_new_tokens"
    # Of the base model too: what is cut there moves the change as much.
    return f"{text} at max_new_tokens: the number is about what was cut; raise max_new_tokens"


def margin_here(score: MeasuredScore) -> float:
    """Return the standard's margin in points at a score."""
    from safebench.stats.transforms import margin_points

    return margin_points(score.estimate)
