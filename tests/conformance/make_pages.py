"""Fill the generated parts of the standard's pages: `python tests/conformance/make_pages.py`.

Field tables in card.md come from the models, the table of mandatory fields in levels.md from
safebench/card/mandatory.py, rules.md from the rules, the test vectors of seeds.md from the
examples, and tasks.md from tasks/; what is between `<!-- ... -->` and `<!-- end -->` is replaced,
the rest is written by hand. A test compares the bytes.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import rfc8785

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from safebench.card.base import Section  # noqa: E402
from safebench.card.conventions import FOLLOWS  # noqa: E402
from safebench.card.digest import (  # noqa: E402
    causal_fields,
    derive_seeds,
    generation_digest,
    generation_seed,
    protocol_digest,
)
from safebench.card.io import load_card  # noqa: E402
from safebench.card.mandatory import MANDATORY  # noqa: E402
from safebench.card.schema import card_schema  # noqa: E402
from safebench.card.shape import models  # noqa: E402
from safebench.checks import all_rules  # noqa: E402
from safebench.checks.registry import GROUPS  # noqa: E402
from safebench.harness.catalogue import entries  # noqa: E402
from tests.conformance.runner import VALID  # noqa: E402

PAGES = ROOT / "spec" / "v1"
GENERATED = ("card.md", "levels.md", "rules.md", "seeds.md", "tasks.md")
_BLOCK = re.compile(r"<!-- (\w+)(?: ([\w ]+))? -->\n.*?<!-- end -->\n", re.S)
_PATTERNS = {
    r"^[a-z0-9][a-z0-9_.-]{0,63}$": "name",
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$": "task name",
    r"^[0-9a-f]{64}$": "SHA-256",
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$": "day",
    r"^safebench/1\.(0|[1-9][0-9]{0,5})$": "`safebench/1.0`",
}
# Types that card.md names once, above its tables.
_NAMED = {
    "whole number ≥ 0 and ≤ 4.29497e+09": "seed",
    "whole number ≥ 1": "count",
    "number ≥ 0 and ≤ 1": "proportion",
}
_SETTINGS = ["boolean", "whole number", "number", "text"]
_WIDTH = 125
_WHOLE_WORDS: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
_IN_THE_TABLE = "[its row](evidence.md#one-fact-in-two-places)."


class Row(NamedTuple):
    """What a table says of a field."""

    kinds: tuple[str, ...]
    needed: str
    meaning: str


def page(name: str) -> str:
    """Return a page with its generated parts filled in."""
    text = (PAGES / name).read_text(encoding="utf-8")
    makers: dict[str, Callable[[str], str]] = {
        "fields": _fields, "mandatory": _mandatory, "rules": _rules,
        "vectors": _vectors, "canonical": _canonical, "tasks": _tasks,
    }  # fmt: skip

    def fill(match: re.Match[str]) -> str:
        head = match[0].split("\n", 1)[0]
        return f"{head}\n{makers[match[1]](match[2] or '')}<!-- end -->\n"

    return _BLOCK.sub(fill, text)


def _fields(names: str) -> str:
    """Return the table of one or several mappings, without what stands in a parent's table.

    In a table of several, a field that only some of them have names these by the word that decides
    which mapping it is.
    """
    known = sections()
    tables = {name: _own(known[name]) for name in names.split()}
    parents = {parent.__name__ for name in tables for parent in _parents(known[name])}
    children = {name: table for name, table in tables.items() if name not in parents}
    decider = _deciding(list(children.values())) if len(children) > 1 else None
    merged: dict[tuple[str, Row], list[str]] = {}
    for name, table in tables.items():
        for field, row in table.items():
            merged.setdefault((field, row), []).append(name)
    if decider is not None:
        first, *others = (table[decider] for table in children.values())
        kinds = tuple(dict.fromkeys(word for row in (first, *others) for word in row.kinds))
        merged = {
            (field, first._replace(kinds=kinds) if row == first else row): of
            for (field, row), of in merged.items()
            if field != decider or row == first
        }
    rows = ["| field | type | needed | meaning |", "|---|---|---|---|"]
    for (field, row), of in merged.items():
        whose = ""
        if decider not in (None, field) and set(of) < set(children):
            words = (word for name in of for word in children[name][decider or ""].kinds)
            whose = f"{', '.join(words)}: "
        rows.append(f"| `{field}` | {_joined(row.kinds)} | {row.needed} | {whose}{row.meaning} |")
    return "\n".join(rows) + "\n"


_schema = cache(card_schema)


def _own(model: type[Section]) -> dict[str, Row]:
    """Return the fields of a model that no parent has as they are."""
    schema = _schema()
    source = model if model.__name__ == "Card" else _first_child(model)
    node = schema if source.__name__ == "Card" else schema["$defs"][source.__name__]
    inherited = {name for parent in _parents(model) for name in parent.model_fields}
    rows = {}
    for name, field in node["properties"].items():
        if name not in model.model_fields or (name in inherited - model.__annotations__.keys()):
            continue
        kinds, absence = _kinds(field)
        needed = _needed(name, field, model, absence)
        rows[name] = Row(tuple(kinds), needed, field["description"])
    return rows


def _deciding(tables: list[dict[str, Row]]) -> str:
    """Return the field that all of several mappings have, each with fixed words of its own."""
    first, *others = tables
    return next(
        name
        for name, row in first.items()
        if row.kinds[0].startswith("`") and all(row.kinds != other[name].kinds for other in others)
    )


def sections() -> dict[str, type[Section]]:
    """Return every model of the card, and what they inherit from, by name."""
    known = models()
    return {**known, **{p.__name__: p for model in known.values() for p in _parents(model)}}


def _parents(model: type[Section]) -> list[type[Section]]:
    return [cls for cls in model.__mro__[1:] if issubclass(cls, Section) and cls is not Section]


@cache
def _places() -> dict[str, tuple[str, str]]:
    """Return what each mapping is called in a type, and the anchor of the heading it stands under.

    Several in one table go by its heading.
    """
    found: dict[str, tuple[str, str]] = {}
    heading = ""
    for line in (PAGES / "card.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif match := re.match(r"<!-- fields ([\w ]+) -->", line):
            names = match[1].split()
            anchor = heading.lower().replace(" ", "-")
            found |= {name: (heading if names[1:] else name, anchor) for name in names}
    return found


def _first_child(model: type[Section]) -> type[Section]:
    """Return the model itself, or, of one that others inherit from, the one that adds least."""
    known = models()
    if model.__name__ in known:
        return model
    children = (m for m in known.values() if issubclass(m, model))
    return min(children, key=lambda m: (len(m.model_fields), m.__name__))


def _link(name: str) -> str:
    title, anchor = _places()[name]
    return f"[{title}](#{anchor})"


def _joined(kinds: Sequence[str]) -> str:
    *others, last = kinds
    return f"{', '.join(others)} or {last}" if others else last


def _needed(name: str, field: dict[str, Any], model: type[Section], absence: bool) -> str:
    mark = "†" if absence else ""
    if name in FOLLOWS.get(model.__name__, ()):
        return f"MAY{mark}, else [this](#short-plans)"
    if model.model_fields[name].is_required():
        return f"MUST{mark}"
    default = field.get("default")
    return f"MAY{mark}" + ("" if default is None else f", else `{_plain(default)}`")


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{}"  # every field of it has its default
    return "[]" if value == [] else f"{value}"


def _target(field: dict[str, Any]) -> str:
    return str(field.get("$ref", "")).rpartition("/")[2]


def _kinds(field: dict[str, Any]) -> tuple[list[str], bool]:
    """Return the types of a field in words, and whether it may be not_reported."""
    options = field.get("oneOf") or field.get("anyOf")
    if options:
        absence = any(option.get("$ref", "").endswith("/NotReported") for option in options)
        kinds: list[str] = []
        for option in options:
            if _target(option) != "NotReported":
                found, absent = _kinds(option)
                kinds, absence = kinds + found, absence or absent
        kinds = list(dict.fromkeys(_ordered(kinds, field)))
        return kinds, absence
    if "$ref" in field:
        return [_link(_target(field))], False
    if "enum" in field:
        return [f"`{value}`" for value in field["enum"]], False
    if "const" in field:
        return [f"`{field['const']}`"], False
    if "prefixItems" in field:
        items = field["prefixItems"]
        return [f"list of {len(items)}, {_joined(_kinds(items[0])[0])}"], False
    if field["type"] == "array":
        return [f"list of {_joined(_kinds(field['items'])[0])}"], False
    if field["type"] == "object":
        values = _kinds(field["additionalProperties"])[0]
        free = f"mapping of free names to {_joined(values)}"
        return ["settings" if values == _SETTINGS else free], False
    if field["type"] == "string":
        return [_PATTERNS.get(field.get("pattern", ""), "text")], False
    words = {"integer": "whole number", "number": "number", "boolean": "boolean", "null": "null"}
    kind = words[field["type"]] + _bounds(field)
    return [_NAMED.get(kind, kind)], False


def _ordered(words: list[str], field: dict[str, Any]) -> list[str]:
    """Null last, and only where it is a value and not the default of an optional field."""
    kept = [word for word in words if word != "null"]
    return kept if "default" in field or "null" not in words else [*kept, "null"]


def _bounds(field: dict[str, Any]) -> str:
    signs = (
        ("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"),
    )  # fmt: skip
    found = [f"{sign} {field[key]:g}" for key, sign in signs if key in field]
    return f" {' and '.join(found)}" if found else ""


def _mandatory(_: str) -> str:
    groups: dict[tuple[str, str], list[str]] = {}
    for entry in MANDATORY:
        section, _, name = entry.path.rpartition(".")
        note = f" (or `{entry.instead}`)" if entry.instead else ""
        if entry.absent_is_value:
            note = " (left out: there is none)"
        groups.setdefault((section, entry.when.words), []).append(f"`{name}`{note}")
    rows = ["| section | fields | count |", "|---|---|---|"]
    for (section, words), names in groups.items():
        rows.append(f"| {f'`{section}`' if section else ''} | {', '.join(names)} | {words} |")
    return "\n".join(rows) + "\n"


def _rules(_: str) -> str:
    lines: list[str] = []
    for heading in GROUPS.values():
        rules = [rule for rule in all_rules().values() if rule.group == heading]
        usual = Counter(rule.section for rule in rules).most_common(1)[0][0]
        lines += [f"## {heading}", "", f"[{usual}]({usual})", ""]
        for rule in rules:
            example = f"[{rule.severity}](examples/invalid/{rule.id}/card.yaml)"
            broken = rule.condition or _IN_THE_TABLE
            known = usual == rule.section or f"({rule.section})." in broken
            about = "" if known else f", [{rule.section}]({rule.section})"
            broken = f"{example}{about}: {broken}"
            lines += [
                f"### {rule.id}",
                "",
                textwrap.fill(f"**{rule.title}** {rule.rationale}", _WIDTH, **_WHOLE_WORDS),
                "",
                textwrap.fill(broken, _WIDTH, **_WHOLE_WORDS),
                "",
            ]
    return "\n".join(lines)


def _tasks(_: str) -> str:
    rows = ["| task | constructs | data set | from |", "|---|---|---|---|"]
    for entry in entries():
        readme = entry.readme.read_text(encoding="utf-8")
        origin = re.search(r"^\| Origin \| (.*) \|$", readme, re.M)
        source = f"`{entry.dataset_id}`" if entry.dataset_id else "shipped with the task"
        constructs = ", ".join(f"`{construct}`" for construct in entry.constructs)
        told = origin[1] if origin else "written for this standard"
        if cited := re.search(r"\(([^()]+)\)$", told):  # the title stands in the task's README
            told = cited[1]
        rows.append(f"| `{entry.name}` | {constructs} | {source} | {told} |")
    return "\n".join(rows) + "\n"


def _vectors(_: str) -> str:
    rows = ["| card | protocol digest | generation digest | training 0 | generation |"]
    rows.append("|---|---|---|---|---|")
    for path in [*sorted(VALID.glob("*.yaml")), *sorted(VALID.glob("*/card.yaml"))]:
        card = load_card(path)
        name = path.relative_to(VALID).as_posix()
        seeds = (derive_seeds(card, 1)[0], generation_seed(card))
        digests = f"`{protocol_digest(card)}` | `{generation_digest(card)}`"
        rows.append(f"| `{name}` | {digests} | {seeds[0]} | {seeds[1]} |")
    return "\n".join(rows) + "\n"


def _canonical(_: str) -> str:
    causal = causal_fields(load_card(VALID / "untuned-plan.yaml"))
    return f"```json\n{rfc8785.dumps(causal).decode()}\n```\n"


def main() -> None:
    """Write every page that has generated parts."""
    for name in GENERATED:
        (PAGES / name).write_text(page(name), encoding="utf-8")


if __name__ == "__main__":
    main()
