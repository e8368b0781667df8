"""Documents of a published benchmark, as the `dataset_kwargs` of its task describe the columns.

prefix: sorrybench                 # prompt ids: sorrybench-001 by place, or by the column `id`
columns:                           # each a column name, or several that are accepted
  id: question_id                  # optional
  prompt: [prompt, forbidden_prompt]
  turns: turns                     # in place of prompt: a list with exactly one turn
  context: ContextString           # optional: stands before the prompt where it is not empty
  category: category               # optional
  cluster: seed_question           # optional: names the family that a prompt belongs to
construct: harm                    # or, of the first of these columns that is there:
  label: {safe: over_refusal, unsafe: harm, "contrast_*": harm}
keep: {prompt_style: base}         # only rows with this value
drop: {FunctionalCategory: copyright}   # no rows with it; nothing where the column is absent

Rows are numbered as they lie in the file, before any is left out: filters change no prompt's id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any, get_args

from safebench.card.task import Construct
from safebench.errors import TaskError
from safebench.harness.tables import Row, cell, cell_list, found_columns, load_tables
from safebench.harness.task_yaml import constructs_of

Names = str | Sequence[str]

_COLUMNS = ("id", "prompt", "turns", "context", "category", "cluster")
_OPTIONAL = ("id", "context")
"""Columns that a table may lack although the task names them."""
_AS_PUBLISHED = "give the file as its authors published it"


@dataclass(frozen=True)
class Layout:
    """Where a published table has what a document needs; see the module for its words."""

    prefix: str
    columns: Mapping[str, Names]
    construct: str | Mapping[str, Mapping[str, str]]
    keep: Mapping[str, str] = field(default_factory=dict)
    drop: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = [name for name in self.columns if name not in _COLUMNS]
        if unknown or not {"prompt", "turns"} & set(self.columns):
            what = f"unknown {', '.join(unknown)}" if unknown else "neither prompt nor turns"
            raise TaskError(
                f"task of prefix {self.prefix!r}: columns: {what}",
                fix=f"name some of {', '.join(_COLUMNS)}",
            )
        wrong = [c for c in constructs_of(self.construct) if c not in get_args(Construct)]
        if wrong:
            raise TaskError(
                f"task of prefix {self.prefix!r}: unknown construct {', '.join(wrong)}",
                fix=f"write one of {', '.join(get_args(Construct))}",
            )


def published_documents(options: Mapping[str, Any]) -> list[dict[str, str]]:
    """Load the published table of a task's `dataset_kwargs`, and return its documents.

    Raises:
        TaskError: it cannot be loaded, or is not what the columns say; names file and row.
    """
    layout = Layout(**{f.name: options[f.name] for f in fields(Layout) if f.name in options})
    parts = [(config, options["split"]) for config in options.get("configs") or (None,)]
    tables = list(load_tables(options, parts))
    return documents([row for table in tables for row in table.rows], layout, tables[0].origin)


def documents(rows: Sequence[Row], layout: Layout, origin: str) -> list[dict[str, str]]:
    """Return the documents of rows: prompt_id, prompt, category, construct, target, cluster.

    Raises:
        TaskError: a column is missing, a needed cell is empty, or a label is unknown.
    """
    if not rows:
        raise TaskError(f"{origin}: no prompts")
    used = _used_columns(rows, layout, origin)
    label = _label_column(rows, layout, origin)
    made: list[dict[str, str]] = []
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        if not _is_kept(row, layout):
            continue
        where = f"{origin}: row {number}"
        # The published id, or the row's place in the file: filters never change it.
        name = _filled(row, used["id"], where) if "id" in used else f"{number:03d}"
        document = {
            "prompt_id": f"{layout.prefix}-{name}",
            "prompt": _prompt(row, used, where),
            "category": _filled(row, used["category"], where) if "category" in used else "",
            "construct": _construct(row, label, layout, where),
            "target": "",
        }
        first = seen.setdefault(document["prompt_id"], number)
        if first != number:
            raise TaskError(
                f"{where}: prompt_id {document['prompt_id']!r} occurs twice, first in row {first}",
                fix=_AS_PUBLISHED,
            )
        if "cluster" in used:
            document["cluster"] = cell(row.get(used["cluster"]))
        made.append(document)
    if not made:
        raise TaskError(f"{origin}: no prompts: {_why_none(rows, layout)}", fix=_AS_PUBLISHED)
    return made


def _used_columns(rows: Sequence[Row], layout: Layout, origin: str) -> dict[str, str]:
    """Return which of the accepted column names the table has."""
    found = found_columns(rows)
    used, missing = {}, []
    expected = {**layout.columns, **{f"keep {name}": name for name in layout.keep}}
    for role, names in expected.items():
        accepted = [names] if isinstance(names, str) else list(names)
        there = [name for name in accepted if name in found]
        if there:
            used[role] = there[0]
        elif role not in _OPTIONAL:
            missing.append(" or ".join(accepted))
    if missing:
        raise _missing(missing, found, origin)
    return used


def _label_column(rows: Sequence[Row], layout: Layout, origin: str) -> str | None:
    if isinstance(layout.construct, str):
        return None
    found = found_columns(rows)
    for name in layout.construct:
        if name in found:
            return name
    raise _missing([" or ".join(layout.construct)], found, origin)


def _missing(names: Sequence[str], found: Sequence[str], origin: str) -> TaskError:
    return TaskError(
        f"{origin}: column {', '.join(names)} missing; found {', '.join(found)}",
        fix=_AS_PUBLISHED,
    )


def _is_kept(row: Row, layout: Layout) -> bool:
    def has(name: str, value: object) -> bool:
        return cell(row.get(name)) == str(value)

    return all(has(*pair) for pair in layout.keep.items()) and not any(
        has(*pair) for pair in layout.drop.items()
    )


def _why_none(rows: Sequence[Row], layout: Layout) -> str:
    for name, value in layout.keep.items():
        there = dict.fromkeys(cell(row.get(name)) for row in rows)
        if str(value) not in there:
            some = ", ".join(list(there)[:5])
            return f"no row has {name} {value}; found {some}"
    left_out = ", ".join(f"{name} {value}" for name, value in layout.drop.items())
    return f"every row is left out by {left_out or 'what is kept'}"


def _prompt(row: Row, used: Mapping[str, str], where: str) -> str:
    if "turns" in used:
        turns = cell_list(row.get(used["turns"]), where, what=used["turns"])
        if len(turns) != 1:
            raise TaskError(
                f"{where}: {used['turns']} has {len(turns)} turns, but one prompt is asked",
                fix=_AS_PUBLISHED,
            )
        return turns[0]
    prompt = _filled(row, used["prompt"], where)
    context = cell(row.get(used["context"])) if "context" in used else ""
    return f"{context}\n\n---\n\n{prompt}" if context else prompt


def _filled(row: Row, column: str, where: str) -> str:
    value = cell(row.get(column))
    if not value:
        raise TaskError(f"{where} has no {column}", fix=_AS_PUBLISHED)
    return value


def _construct(row: Row, label: str | None, layout: Layout, where: str) -> str:
    if isinstance(layout.construct, str) or label is None:
        return str(layout.construct)
    value = cell(row.get(label))
    known = layout.construct[label]
    for pattern, construct in known.items():
        if fnmatchcase(value, pattern):
            return construct
    raise TaskError(f"{where}: {label} is {value!r}, not {' or '.join(known)}", fix=_AS_PUBLISHED)
