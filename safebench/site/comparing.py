"""What the page that compares two entries needs of each: `c/ID.js`, of that entry alone.

Any two of 10,000 entries can be asked for, so no pair is computed ahead: the page has the outcomes
of both, summed over repeats, and computes what `safebench compare` does (static/compare.js).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from safebench.analysis.matching import block_of, compared_places
from safebench.card.base import NotReported
from safebench.errors import EvidenceError
from safebench.evidence.arrays import Floats, OutcomeArray
from safebench.evidence.scoring import lost_seeds, measure
from safebench.site import fields
from safebench.site.board_rows import BoardRow
from safebench.site.sources import Entry
from safebench.site.text import clean
from safebench.words import BETTER, capitalized, where, with_interval

SECTIONS = ("model", "data", "hyperparameters", "prompting", "decoding", "judge", "tasks")
"""Sections of a card whose fields are set side by side."""
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_CUT = 80


def comparison_data(entry: Entry, row: BoardRow) -> bytes | None:
    """Return the script that gives an entry to the page; None where it has nothing to compare."""
    if entry.card.given_evidence is None:
        return None
    content = {
        "id": entry.id,
        "title": clean(row.title),
        "outcomes": entry.outcomes_sha256,
        "cautions": [*_cautions(entry, row)],
        "blocks": [block for place in compared_places(entry) if (block := _block(entry, place))],
        "fields": [*_fields(entry)],
    }
    return f"safebenchEntry({_script(content)});\n".encode("ascii")


def comparison_names(rows: Sequence[BoardRow]) -> bytes:
    """Return the script that gives the page the id and title of every entry it can compare."""
    names = sorted((row.id, clean(row.title)[:_CUT]) for row in rows if row.backed)
    return f"safebenchNames({_script(names)});\n".encode("ascii")


def _script(content: Any) -> str:
    """Return JSON for a script: letters beyond ASCII, and what could end it, as escapes."""
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _cautions(entry: Entry, row: BoardRow) -> list[str]:
    found = [f"is a trial, not a result: {task}, {words}" for task, words in row.trials.items()]
    if row.seeds == 1 and not row.artefact:
        found.append(
            "is one training seed: the interval is about these weights alone, and nothing says "
            "whether another seed would come out alike; give three or more"
        )
    return [clean(text) for text in found]


def _block(entry: Entry, place: Any) -> dict[str, Any] | None:
    """Return one score with the outcomes behind it; None where they are not complete."""
    try:
        block = block_of(entry, place)
    except EvidenceError:
        return None
    score = measure(block, lost_seeds(entry.card, block))
    task = next((t for t in entry.card.task_list() if t.name == block.task), None)
    known = None if task is None or isinstance(task.dataset_sha256, NotReported) else task
    unit = entry.card.checkpoint_unit
    place_words = where(block.condition, block.checkpoint, block.decoding, unit)
    return {
        "task": clean(block.task),
        "construct": block.construct,
        "better": capitalized(BETTER[block.construct]),
        "judge": clean(_judge(entry, block)),
        "dataset": None if known is None else known.dataset_sha256,
        "score": with_interval(score.estimate, score.lower, score.upper),
        "measured": clean(f"{place_words}, judge {block.judge}"),
        "prompts": list(block.prompts),
        **_rows(block),
    }


def _judge(entry: Entry, block: OutcomeArray) -> str:
    """Return which judge decided, whatever its submitter calls it."""
    listed = () if isinstance(entry.card.judge, NotReported) else entry.card.judge
    judge = next((one for one in listed if one.name == block.judge), None)
    parts = [] if judge is None else [judge.id, judge.revision]
    return " ".join(part for part in parts if isinstance(part, str)) or block.judge


def _rows(block: OutcomeArray) -> dict[str, Any]:
    """Return runs x prompts: sums over repeats as digits in base 36, or means as numbers."""
    runs: Floats = block.arm()
    sums, per = (runs, 1) if runs.ndim == 2 else (runs.sum(axis=1), runs.shape[1])
    if per < len(_DIGITS) and bool((sums == np.round(sums)).all()):
        rows: list[Any] = ["".join(_DIGITS[int(x)] for x in run) for run in sums]
        return {"per": per, "rows": rows}
    means = runs if runs.ndim == 2 else runs.mean(axis=1)
    return {"per": 1, "rows": [[float(x) for x in run] for run in means]}


def _fields(entry: Entry) -> list[tuple[str, str]]:
    """Return what the protocol says, a pair of place and value each, long texts cut."""
    found: dict[str, str] = {}
    for section in SECTIONS:
        given = entry.card.task_list() if section == "tasks" else getattr(entry.card, section)
        skip = ("weights",) if section == "model" else ()
        table = fields.table(given, skip=skip)
        if table.absent is not None:
            found[section] = table.absent
        for row in table.rows:
            for column, value in zip(table.columns, row.values, strict=True):
                parts = [section, column if len(table.columns) > 1 else "", row.label]
                text = clean(value.text)
                shown = text if len(text) <= _CUT else f"{text[: _CUT - 1]}…"
                found[clean(": ".join(filter(None, parts)))] = shown
    return list(found.items())
