"""A comparison of two submissions, or of two protocols, as text a reader understands."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from safebench.analysis.comparison import Comparison, SubmissionComparison
from safebench.analysis.flips import LEVEL, Flips
from safebench.card.differences import ProtocolDifferences
from safebench.card.differing import Variable
from safebench.card.measured import MeasuredScore
from safebench.cli.console import print_wrapped
from safebench.errors import visible
from safebench.words import (
    construct_name,
    count,
    proportion,
    signed,
    signed_interval,
    where,
    with_interval,
)

_INDENT = 14
_CATEGORIES = 5
_DIRECTIONS = {"capability": "higher is better", "over_refusal": "lower is better"}


def print_comparison(console: Console, found: SubmissionComparison) -> None:
    """Print both submissions, what their protocols do differently, and every difference."""
    for name, side in (("A", found.a), ("B", found.b)):
        _line(console, name, f"{side.id}, {side.organisation}")
    if found.one_folder:
        chosen = "; ".join(_used(found)) or "the same scores on both sides"
        _line(console, "Protocol", f"A and B are one submission: {chosen}")
    else:
        print_protocol(console, found.protocol, _used(found))
        used = _used(found)
        idle = [v.name for v in found.protocol.variables if str(v) not in used]
        if idle:
            _line(console, "", f"differs too, without touching these scores: {', '.join(idle)}")
        _line(console, "Environment", "; ".join(found.environment) or "the same")
    everywhere = _everywhere(found)
    for warning in (*found.warnings, *everywhere):
        _warn(console, warning)
    for comparison in found.comparisons:
        _print_one(console, comparison, found)
    if found.not_compared:
        console.print("\n[bold]Not compared[/bold]")
        for line in found.not_compared:
            _line(console, "", line)


def print_protocols(
    console: Console,
    names: tuple[str, str],
    protocol: ProtocolDifferences,
    environment: list[str],
) -> None:
    """Print what two protocols do differently, without any number."""
    for side, name in zip("AB", names, strict=True):
        _line(console, side, name)
    several = "No difference between their results could be put down to one of them."
    print_protocol(console, protocol, tuple(str(v) for v in protocol.variables), several)
    _line(console, "Environment", "; ".join(environment) or "the same")


def print_protocol(
    console: Console,
    protocol: ProtocolDifferences,
    variables: tuple[str, ...],
    several: str = "The difference cannot be put down to one of them.",
) -> None:
    """Print the variables that differ, with a warning where there are several."""
    if not variables:
        _line(console, "Protocol", _alike(protocol))
    elif len(variables) == 1:
        _line(console, "Protocol", f"differs in exactly one variable: {variables[0]}")
    else:
        _warn(console, f"the protocols differ in {len(variables)} variables:")
        for variable in variables:
            _line(console, "", f"- {variable}")
        _line(console, "", several)
    for text in _unknown(protocol.unknown):
        _line(console, "", f"cannot be told: {text}")
    if protocol.extent:
        _line(console, "Extent", "; ".join(protocol.extent))


def _alike(protocol: ProtocolDifferences) -> str:
    if protocol.variables:
        return "no variable differs that touches what is compared"
    if protocol.digests[0] != protocol.digests[1]:
        return "no variable is known to differ"
    said = "the same in all that is reported" if protocol.unknown else "the same"
    return f"{said}: this is a rerun; safebench rerun gives the verdict on one with new seeds"


def _used(found: SubmissionComparison) -> tuple[str, ...]:
    """Return the variables that touch any of the comparisons, in their order."""
    return tuple(dict.fromkeys(v for c in found.comparisons for v in c.variables))


def _everywhere(found: SubmissionComparison) -> tuple[str, ...]:
    """Return the warnings that every comparison has: they are said once."""
    return tuple(
        warning
        for warning in found.comparisons[0].warnings
        if all(warning in c.warnings for c in found.comparisons)
    )


def _unknown(items: Iterable[Variable]) -> list[str]:
    """Return what cannot be told, gathered by the side that does not say it."""
    gathered: dict[str, dict[str, list[str]]] = {}
    for item in items:
        gaps = [
            value in ("absent", "not reported", "cannot be pinned") for value in (item.a, item.b)
        ]
        if gaps == [True, True]:
            unpinned = "cannot be pinned" in (item.a, item.b)
            key = "pinned on neither side" if unpinned else "neither side reports"
        elif gaps == [False, False]:
            key = "given in different ways"
        else:
            side, value = ("A", item.a) if gaps[0] else ("B", item.b)
            key = f"{side} cannot pin" if value == "cannot be pinned" else f"{side} does not report"
        sections = gathered.setdefault(key, {})
        sections.setdefault(item.section, []).append(item.name.removeprefix(f"{item.section}."))
    return [
        f"{key} " + "; ".join(f"{name}: {', '.join(items)}" for name, items in sections.items())
        for key, sections in sorted(gathered.items())
    ]


def _print_one(console: Console, row: Comparison, found: SubmissionComparison) -> None:
    construct = construct_name(row.construct)
    direction = _DIRECTIONS.get(row.construct, "lower is safer")
    console.print()
    title = Text(construct, style="bold")
    title.append(f", {visible(row.task)} ({direction})", style="not bold")
    console.print(title)
    for warning in row.warnings:
        if warning not in _everywhere(found):
            _warn(console, warning)
    if not found.one_folder and row.variables != _used(found):
        _line(console, "  variables", "; ".join(row.variables) or "none differs here")
    both = zip((found.a, found.b), (row.a, row.b), row.difference.runs, strict=True)
    for name, (side, score, runs) in zip("AB", both, strict=True):
        _line(console, f"  {name}", _score(score, runs, side.checkpoint_unit))
        _line(console, "", _stability(score))
    _line(console, "  B - A", _difference(row))
    _line(console, "", _sample(row))
    for number_of_line, text in enumerate(_flips(row.flips)):
        _line(console, "" if number_of_line else "  prompts", text)
    _print_flips(console, row.flips)
    _print_categories(console, row)


def _score(score: MeasuredScore, runs: int, unit: str) -> str:
    run = "repeat" if score.condition == "base" else "seed"
    return (
        f"{with_interval(score.estimate, score.lower, score.upper)}   "
        f"{where(score.condition, score.checkpoint, score.decoding, unit)}, judge {score.judge}; "
        f"{count(runs, run)}, {count(score.prompts, 'prompt')}, {count(score.n, 'response')}"
    )


def _stability(score: MeasuredScore) -> str:
    found = score.stability
    if found is None:
        return "stability: not rated, nothing was trained"
    if found.lower is None or found.point is None:
        return f"stability: {found.note}"
    return f"stability: at least {proportion(found.lower)} (estimate {proportion(found.point)})"


def _difference(row: Comparison) -> str:
    d = row.difference
    text = f"{signed(d.estimate)} {signed_interval(d.lower, d.upper)}   {d.reading}"
    return f"{text} (margin {proportion(d.margin, 3)})"


def _sample(row: Comparison) -> str:
    d = row.difference
    prompts = f"{d.prompts} shared prompts"
    if d.only_a or d.only_b:
        prompts += (
            f", on which A has {proportion(d.a)} and B {proportion(d.b)}; {d.only_a} only in A, "
            f"{d.only_b} only in B"
        )
    return f"{prompts}; {100 * d.confidence:.0f} % interval, {d.method}"


def _flips(flips: Flips) -> list[str]:
    changed = flips.up + flips.down
    lines = [f"{changed} of {flips.prompts} shared prompts change"]
    if not changed:
        return lines
    lines.append(f"rate: {flips.up} up, {flips.down} down")
    if flips.majority_up is not None:
        lines[-1] += f"; usual outcome: {flips.majority_up} up, {flips.majority_down} down"
    if flips.mcnemar is not None:
        lines.append(
            f"one run each: exact McNemar p {p_value(flips.mcnemar.p)}; of other runs it "
            "says nothing"
        )
    elif flips.least_p > flips.level:
        lines.append(
            f"no single prompt can be told from chance: {flips.runs[0]} against {flips.runs[1]} "
            f"runs give no p below {p_value(flips.least_p)}"
        )
    else:
        lines.append(
            f"beyond chance: {flips.beyond_chance_up} up, {flips.beyond_chance_down} down "
            f"({flips.method}, false discovery rate {100 * flips.level:.0f} %; before adjustment "
            f"{flips.runs[0]} against {flips.runs[1]} runs give no p below "
            f"{p_value(flips.least_p)})"
        )
    return lines


def p_value(p: float) -> str:
    """Return a p value as it is printed."""
    return "< .001" if p < 0.001 else proportion(p, 3)


def _print_flips(console: Console, flips: Flips) -> None:
    if not flips.largest:
        return
    table = Table(box=None, pad_edge=False, header_style="dim", show_edge=False)
    table.add_column(" " * (_INDENT - 1))
    table.add_column("largest changes", overflow="fold")
    table.add_column("category", overflow="fold")
    for heading in ("A", "B", "B - A", "p", "adjusted"):
        table.add_column(heading, justify="right")
    single = flips.mcnemar is not None
    for flip in flips.largest:
        table.add_row(
            "",
            Text(visible(flip.prompt_id)),
            Text(visible(flip.category)),
            proportion(flip.a),
            proportion(flip.b),
            signed(flip.difference),
            "" if single else p_value(flip.p),
            "" if single else p_value(flip.p_adjusted),
        )
    console.print(table)


def _print_categories(console: Console, row: Comparison) -> None:
    """Print the categories that differ beyond chance, and some of the largest differences."""
    if not row.categories or not row.flips.up + row.flips.down:
        return
    order = sorted(row.categories, key=lambda c: (c.p_adjusted > LEVEL, -abs(c.estimate), c.name))
    beyond = sum(c.p_adjusted <= LEVEL for c in order)
    shown = order[: max(beyond, _CATEGORIES)]
    text = f"{beyond} of {len(order)} differ beyond chance (Holm, {100 * LEVEL:.0f} %)"
    rest = len(order) - len(shown)
    _line(console, "  categories", text + (f"; {rest} more in --format json" if rest else ""))
    table = Table(box=None, pad_edge=False, header_style="dim", show_edge=False)
    table.add_column(" " * (_INDENT - 1))
    table.add_column("category", overflow="fold")
    for heading in ("prompts", "A", "B", "B - A [95 %]", "Holm p"):
        table.add_column(heading, justify="right")
    for item in shown:
        bounds = signed_interval(item.lower, item.upper)
        table.add_row(
            "",
            Text(visible(item.name)),
            str(item.prompts),
            proportion(item.a),
            proportion(item.b),
            f"{signed(item.estimate)} {bounds}",
            p_value(item.p_adjusted),
        )
    console.print(table)


def _line(console: Console, label: str, text: str) -> None:
    """Print a label and a text whose further lines stand under its first."""
    print_wrapped(console, label, visible(text), _INDENT)


def _warn(console: Console, text: str) -> None:
    _line(console, "WARNING", text)
