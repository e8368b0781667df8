"""A report as parts of a paper; LaTeX and Markdown are templates that fill in the same parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import BaseModel

from safebench.analysis.report import ScoreReport
from safebench.card.base import NotReported
from safebench.card.card import Card
from safebench.card.completeness import states
from safebench.card.document import dotted
from safebench.card.results import MARGIN, base_key, find, key_of
from safebench.cli.score_formats import judge_parts, parts
from safebench.cli.summary import cut_text, judged, score_table
from safebench.cli.tables import Table
from safebench.site.fields import table as field_table
from safebench.words import count, listed, sentence, setting

_TEMPLATES = Path(__file__).resolve().parent / "templates"
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28,52}\b")


def fill(template: str, report: ScoreReport, filters: Mapping[str, Callable[..., object]]) -> str:
    """Return a template filled with the tables and the methods section of a report.

    `filters` escape what a card says, and set tables; a template prints nothing without one.
    """
    environment = Environment(  # noqa: S701 - no HTML; the filters escape
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Braces are LaTeX's own.
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    environment.filters.update(filters)
    title = report.card.submission.title
    title = title if isinstance(title, str) else report.card.submission.id
    trials = "; ".join(f"{task}, {extent}" for task, extent in report.card.trials.items())
    if trials:
        title += f" (trial, not a result: {trials})"
    filled = environment.get_template(template).render(
        title=sentence(title),
        tables=list(_tables(report, trials)),
        paragraphs=list(_methods(report)),
    )
    return filled.rstrip("\n")


def _tables(report: ScoreReport, trials: str) -> Iterator[Table]:
    """Yield every table that has rows, for a paper; those of a trial say that they are."""
    scores = replace(
        score_table(report.card, report.results, judged(report.results), in_full=True),
        name="scores",
        caption="Scores with 95 % intervals: the share of responses that complied (harm), were "
        "refused (over-refusal) or were correct (capability); severity is a mean degree. "
        + judge_parts.included_note(report),
    )
    first, *others = scores.columns
    tables = [
        replace(scores, columns=(replace(first, title="Condition"), *others)),
        parts.primary_table(report),
        judge_parts.corrected_table(report),
        judge_parts.judges_table(report),
        parts.diagnostics_table(report.primaries, in_full=True),
        *map(parts.variation_table, report.variations),
    ]
    for table in tables:
        if table.rows:
            rows = tuple(row for row in table.rows if row.kind != "detail")
            trial = f"Trial, not a result ({trials}). " if trials else ""
            yield replace(table, rows=rows, caption=f"{trial}{table.caption}")


def _methods(report: ScoreReport) -> Iterator[tuple[str, str]]:
    """Yield heading and text of every paragraph of the methods section."""
    card = report.card
    yield "Model", _items(card.model, skip=("weights",))
    yield "Data", _items(card.data)
    yield "Hyperparameters", _items(card.hyperparameters)
    yield "Seeds", _seeds(card)
    yield "Decoding", f"{_items(card.decoding)} Prompting: {_items(card.prompting)}"
    yield "Judge", _items(card.judge)
    yield "Tasks", _items(card.task_list())
    yield "Environment", _items(card.environment)
    lost = [
        f"{dotted(state.lost_at)} ({state.reason or 'no reason given'})"
        for state in states(card)
        if state.lost_at
    ]
    if lost:
        yield "Not reported", f"{'; '.join(lost)}."
    yield from _statistics(report)
    if report.doubts:
        listed_ = (f"{doubt.text} ({parts.doubt_size(doubt)})" for doubt in report.doubts)
        yield "Doubts", f"With how far each could move a primary number: {'; '.join(listed_)}."
    gaps = "; ".join(f"{gap.what} ({gap.reason})" for gap in report.not_measured)
    yield "Not measured", f"{gaps or 'nothing that the standard asks for'}."


def _seeds(card: Card) -> str:
    seeds = card.seeds
    if isinstance(seeds, NotReported) or isinstance(seeds.training, NotReported | int):
        return _items(seeds)
    return f"{count(len(seeds.training), 'training seed')}. {_items(seeds)}"


def _items(section: Any, skip: tuple[str, ...] = ()) -> str:
    """Return a section as `label value; label value.`, one sentence per item."""
    if isinstance(section, tuple) and section and not isinstance(section[0], BaseModel):
        return f"{', '.join(str(one) for one in section)}."
    found = field_table(section, skip)
    if found.absent is not None:
        return f"{_short(found.absent)}."
    sentences = []
    for column, name in enumerate(found.columns):
        items = [
            f"{_inside(row.label)} {row.values[column].text}"
            for row in found.rows
            if row.values[column].text != "not given"
        ]
        lead = "" if len(found.columns) == 1 and name == "Value" else f"{name}: "
        sentences.append(f"{lead}{_short('; '.join(items))}.")
    return " ".join(sentences)


def _inside(label: str) -> str:
    """Return a label for use within a sentence; `LoRA` and `SHA-256` keep their capitals."""
    begins_like_a_word = label.split()[0][1:].rstrip(":").islower()
    return label[:1].lower() + label[1:] if begins_like_a_word else label


def _short(text: str) -> str:
    """Return text with digests cut to what tells them apart."""
    return _DIGEST.sub(r"\1...", text)


def _statistics(report: ScoreReport) -> Iterator[tuple[str, str]]:
    scores = report.results.scores
    sizes = sorted({f"{s.task}: {count(s.prompts, 'prompt')}" for s in scores})
    if sizes:
        yield (
            "Sample",
            f"{'; '.join(sizes)}. {count(sum(s.n for s in scores), 'judged response')} in "
            "all; every response counts, also those that were cut, blocked or incoherent.",
        )
    methods = listed(dict.fromkeys(s.method for s in scores)) if scores else "none"
    changes = list(dict.fromkeys(c.method for c in report.results.changes))
    cuts = [
        f"{judge_parts.about(one)}: {cut}"
        for one in report.primaries
        if (cut := cut_text(one.score, find(scores, base_key(one.score))))
    ]
    if cuts:
        yield "Cut responses", f"{'; '.join(cuts)}."
    yield (
        "Statistics",
        f"Intervals are at 95 %; of scores: {methods}"
        + (f"; of changes from base: {listed(changes)}" if changes else "")
        + ". Variance components are by Henderson's Method I. Stability is the probability that "
        "an independent rerun of one training seed lands within the margin, a Cohen's h of "
        f"{setting(MARGIN)} on the scale 2 asin sqrt(score); its one-sided 95 % lower bound is "
        "given, the smaller of .05^(2/S) at S training seeds, all that seeds which agree show "
        "whatever their distribution, and the bound if they spread normally, which stands in "
        "brackets. Seeds needed: two one-sided tests at 5 % in each of two equal arms, exact "
        "power, no true difference; in brackets, at the bounds of the spread. No correction was "
        "made for several estimands.",
    )
    yield "Judge error", _judge_error(report)
    if report.variations:
        sentences = (f"{v.task}: {parts.what_varies(v)}" for v in report.variations)
        yield "What varies", " ".join(sentences)


def _judge_error(report: ScoreReport) -> str:
    """Return what judge error makes of the primary numbers; first, changes that turn with it."""
    found = list(judge_parts.turned(report))
    for one in report.primaries:
        error = judge_parts.judge_error(report.corrections[key_of(one.estimand)])
        found.append(f"{judge_parts.about(one)}: {error}")
    return f"{'. '.join(found)}." if found else "No primary number was measured."
