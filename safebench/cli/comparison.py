"""A comparison of two submissions, or of two protocols, as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from safebench.analysis.comparison import Comparison, SubmissionComparison
from safebench.analysis.flips import LEVEL, Flips
from safebench.analysis.measures import Measure, Number
from safebench.card.differences import ProtocolDifferences
from safebench.card.differing import Variable
from safebench.card.measured import MeasuredScore
from safebench.cli.console import print_json, print_wrapped, printer
from safebench.cli.summary import change_text, score_text
from safebench.cli.tables import columns, print_cells
from safebench.errors import visible
from safebench.words import (
    BETTER,
    construct_name,
    count,
    kept,
    number,
    p_value,
    percent,
    proportion,
    signed,
    stability,
    where,
)

SCHEMA = "safebench/comparison/1"
_INDENT = 14
_CATEGORIES = 5
_UNKNOWN = ("absent", "not reported", "cannot be pinned")
"""Values that say that nothing is known of a variable."""


def show(found: SubmissionComparison, style: str, **more: Any) -> None:
    """Print a comparison as `text`, or as `json` with further members."""
    if style == "json":
        print_json({"schema_version": SCHEMA, **asdict(found), **more})
    else:
        _print_comparison(printer(), found)


def _print_comparison(console: Console, found: SubmissionComparison) -> None:
    """Print both submissions, what their protocols do differently, and every difference."""
    for name, side in (("A", found.a), ("B", found.b)):
        _line(console, name, side.runs or f"{side.id}, {side.organisation}")
    used = tuple(dict.fromkeys(v for c in found.comparisons for v in c.variables))
    if found.one_folder:
        differs = "; ".join(used) or "the same scores on both sides"
        _line(console, "Protocol", f"A and B are one submission: {differs}")
    else:
        print_protocol(console, found.protocol, used)
        unused = [v.name for v in found.protocol.variables if str(v) not in used]
        if unused:
            text = f"also differs, without affecting these scores: {', '.join(unused)}"
            _line(console, "", text)
        _line(console, "Environment", "; ".join(found.environment) or "the same")
    shared = [
        warning
        for warning in found.comparisons[0].warnings
        if all(warning in c.warnings for c in found.comparisons)
    ]
    for warning in (*found.warnings, *shared):
        _warn(console, warning)
    for one in found.comparisons:
        console.print(f"\n[bold]{construct_name(one.construct)}[/bold], ", end="")
        console.print(f"{visible(one.task)} ({BETTER[one.construct]})", markup=False)
        for warning in one.warnings:
            if warning not in shared:
                _warn(console, warning)
        if not found.one_folder and one.variables != used:
            _line(console, "  variables", "; ".join(one.variables) or "none differs here")
        _print_scores(console, one, found)
        _print_judges(console, one)
        _print_flips(console, one.flips)
        _print_categories(console, one)
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
    several = "No difference between their results could be attributed to one of them."
    print_protocol(console, protocol, tuple(str(v) for v in protocol.variables), several)
    _line(console, "Environment", "; ".join(environment) or "the same")


def print_protocol(
    console: Console,
    protocol: ProtocolDifferences,
    variables: tuple[str, ...],
    several: str = "The difference cannot be attributed to one of them.",
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
        _line(console, "", f"unknown whether it differs: {text}")
    if protocol.extent:
        _line(console, "Extent", "; ".join(protocol.extent))


def _alike(protocol: ProtocolDifferences) -> str:
    if protocol.variables:
        return "no variable differs that affects what is compared"
    if protocol.digests[0] != protocol.digests[1]:
        return "no variable is known to differ"
    same = "the same in all that is reported" if protocol.unknown else "the same"
    return f"{same}: this is a rerun; for a verdict on one with new seeds, use safebench rerun"


def _unknown(items: Sequence[Variable]) -> Iterator[str]:
    """Yield what may differ, grouped by the side that does not report it."""
    gathered: dict[str, dict[str, list[str]]] = {}
    for item in items:
        sections = gathered.setdefault(_why_unknown(item), {})
        # A variable's name is a path that begins with its section.
        sections.setdefault(item.section, []).append(item.name.removeprefix(f"{item.section}."))
    for reason, sections in sorted(gathered.items()):
        named = (f"{name}: {', '.join(fields)}" for name, fields in sections.items())
        yield f"{reason} {'; '.join(named)}"


def _why_unknown(item: Variable) -> str:
    unknown = {side: value for side, value in (("A", item.a), ("B", item.b)) if value in _UNKNOWN}
    if not unknown:
        return "given in different ways"
    if len(unknown) == 2:
        is_unpinned = "cannot be pinned" in unknown.values()
        return "pinned on neither side" if is_unpinned else "neither side reports"
    ((side, value),) = unknown.items()
    return f"{side} {'cannot pin' if value == 'cannot be pinned' else 'does not report'}"


def _print_scores(console: Console, one: Comparison, found: SubmissionComparison) -> None:
    both = zip((found.a, found.b), (one.a, one.b), one.difference.runs, strict=True)
    for name, (side, score, runs) in zip("AB", both, strict=True):
        _line(console, f"  {name}", _score(score, runs, side.checkpoint_unit))
        _line(console, "", f"stability: {_stability(score)}")
    d = one.difference
    reading = f"{d.reading} (margin {proportion(d.margin, 3)})"
    _line(console, "  B - A", f"{change_text(d)}   {reading}")
    prompts = count(d.prompts, "shared prompt")
    if d.only_a or d.only_b:
        prompts += (
            f", on which A has {proportion(d.a)} and B {proportion(d.b)}; {number(d.only_a)} only "
            f"in A, {number(d.only_b)} only in B"
        )
    _line(console, "", f"{prompts}; {percent(d.confidence)} interval, {d.method}")


def _score(score: MeasuredScore, runs: int, unit: str) -> str:
    place = where(score.condition, score.checkpoint, score.decoding, unit)
    run = "repeat" if score.condition == "base" else "seed"
    return (
        f"{score_text(score)}   {place}, judge {score.judge}; {count(runs, run)}, "
        f"{count(score.prompts, 'prompt')}, {count(score.n, 'response')}"
    )


def _stability(score: MeasuredScore) -> str:
    found = score.stability
    if found is None:
        return "not rated, nothing was trained"
    if found.lower is None or found.point is None:
        return found.note
    return stability(found.lower, found.lower_if_normal, f"estimate {proportion(found.point)}")


def _print_judges(console: Console, one: Comparison) -> None:
    """Print the difference as other judges decide it, and how far they agree."""
    for nth, other in enumerate(one.by_judge):
        d = other.difference
        turns = kept(d.estimate) * kept(one.difference.estimate) < 0
        text = (
            f"{other.judge}: B - A {change_text(d)}{', the other way' if turns else ''}; agrees on "
        )
        text += " and ".join(
            f"{percent(share)} of {side}{_kappa(kappa)}"
            for side, share, kappa in zip("AB", other.agreement, other.kappa, strict=True)
        )
        _line(console, "" if nth else "  judges", text)


def _kappa(found: Measure) -> str:
    return f" (kappa {proportion(found.estimate)})" if isinstance(found, Number) else ""


def _flips(flips: Flips) -> Iterator[str]:
    changed = flips.up + flips.down
    yield f"{number(changed)} of {count(flips.prompts, 'shared prompt')} change"
    if not changed:
        return
    usual = ""
    if flips.majority_up is not None:
        usual = f"; usual outcome: {flips.majority_up} up, {flips.majority_down} down"
    yield f"rate: {flips.up} up, {flips.down} down{usual}"
    runs = f"{flips.runs[0]} against {count(flips.runs[1], 'run')}"
    least = f"{runs} give no p below {p_value(flips.least_p)}"
    if flips.mcnemar is not None:
        yield f"one run each: exact McNemar p {p_value(flips.mcnemar.p)}; other runs may differ"
    elif flips.least_p > flips.level:
        yield f"no single prompt stands out from chance: {least}"
    else:
        yield (
            f"beyond chance: {flips.beyond_chance_up} up, {flips.beyond_chance_down} down "
            f"({flips.method}, false discovery rate {percent(flips.level)}; before adjustment, "
            f"{least})"
        )


def _print_flips(console: Console, flips: Flips) -> None:
    for nth, text in enumerate(_flips(flips)):
        _line(console, "" if nth else "  prompts", text)
    # Of one run each, McNemar's test has one p value for all prompts and none for each.
    has_p = flips.mcnemar is None
    rows = [
        (
            visible(flip.prompt_id),
            visible(flip.category),
            proportion(flip.a),
            proportion(flip.b),
            signed(flip.difference),
            p_value(flip.p) if has_p else "",
            p_value(flip.p_adjusted) if has_p else "",
        )
        for flip in flips.largest
    ]
    heads = columns("largest changes", "category", numbers=("A", "B", "B - A", "p", "adjusted"))
    print_cells(console, heads, rows, indent=_INDENT + 1, style="dim")


def _print_categories(console: Console, one: Comparison) -> None:
    """Print the categories that differ beyond chance, and some of the largest differences."""
    if not one.categories or not one.flips.up + one.flips.down:
        return
    order = sorted(one.categories, key=lambda c: (c.p_adjusted > LEVEL, -abs(c.estimate), c.name))
    beyond = sum(c.p_adjusted <= LEVEL for c in order)
    shown = order[: max(beyond, _CATEGORIES)]
    rest = len(order) - len(shown)
    more = f"; {number(rest)} more in --format json" if rest else ""
    text = f"{beyond} of {len(order)} differ beyond chance (Holm, {percent(LEVEL)}){more}"
    _line(console, "  categories", text)
    rows = [
        (
            visible(item.name),
            number(item.prompts),
            proportion(item.a),
            proportion(item.b),
            change_text(item),
            p_value(item.p_adjusted),
        )
        for item in shown
    ]
    heads = columns("category", numbers=("prompts", "A", "B", "B - A [95 %]", "Holm p"))
    print_cells(console, heads, rows, indent=_INDENT + 1, style="dim")


def _line(console: Console, label: str, text: str) -> None:
    """Print a label and a text whose further lines stand under its first."""
    print_wrapped(console, label, visible(text), _INDENT)


def _warn(console: Console, text: str) -> None:
    _line(console, "WARNING", text)
