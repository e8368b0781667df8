"""Fill the generated parts of the standard's pages: `python tests/conformance/make_pages.py`.

Field tables in card.md come from the models, the table of mandatory fields in levels.md from
safebench/checks/mandatory.py, rules.md from the rules, the test vectors of seeds.md from the
examples, and tasks.md from tasks/; what is between `<!-- ... -->` and `<!-- end -->` is replaced,
the rest is written by hand. A test compares the bytes.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rfc8785

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from safebench.card.base import Section  # noqa: E402
from safebench.card.digest import (  # noqa: E402
    causal_fields,
    derive_seeds,
    generation_digest,
    generation_seed,
    protocol_digest,
)
from safebench.card.io import load_card  # noqa: E402
from safebench.card.schema import card_schema  # noqa: E402
from safebench.card.shape import models  # noqa: E402
from safebench.checks import all_rules  # noqa: E402
from safebench.checks.mandatory import MANDATORY  # noqa: E402
from safebench.checks.registry import GROUPS  # noqa: E402
from safebench.harness.catalogue import entries  # noqa: E402
from tests.conformance.runner import VALID  # noqa: E402

PAGES = ROOT / "spec" / "v1"
GENERATED = ("card.md", "levels.md", "rules.md", "seeds.md", "tasks.md")
_BLOCK = re.compile(r"<!-- (\w+)(?: (\w+))? -->\n.*?<!-- end -->\n", re.S)
_PATTERNS = {
    r"^[a-z0-9][a-z0-9_.-]{0,63}$": "name",
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$": "task name",
    r"^[0-9a-f]{64}$": "SHA-256, 64 hexadecimal digits",
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$": "day, YYYY-MM-DD",
    r"^safebench/1\.(0|[1-9][0-9]{0,5})$": "`safebench/1.0`",
}
_WIDTH = 125
_WHOLE_WORDS: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
_IN_THE_TABLE = (
    "Its row in [one fact in two places](evidence.md#one-fact-in-two-places) says what is compared."
)
# The other mappings have headings of their own.
_HEADINGS = {"Dataset": "data", "SubmissionInfo": "submission", "Task": "tasks"}


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


def _fields(model: str) -> str:
    """Return the table of a model's own fields; those it shares stand in its parent's table."""
    schema = card_schema()
    found = sections()[model]
    source = found if "Card" in (model, found.__name__) else _first_child(found)
    node = schema if source.__name__ == "Card" else schema["$defs"][source.__name__]
    inherited = {name for parent in _parents(found) for name in parent.model_fields}
    own = found.__annotations__
    rows = ["| field | type | needed | meaning |", "|---|---|---|---|"]
    for parent in _parents(found)[:1]:
        rows.append(f"| | | | and every field of {_link(parent.__name__)} |")
    for name, field in node["properties"].items():
        if name not in found.model_fields or (name in inherited and name not in own):
            continue
        kind, absence = _type(field)
        needed = _needed(name, field, node.get("required", []), absence)
        rows.append(f"| `{name}` | {kind} | {needed} | {field['description']} |")
    return "\n".join(rows) + "\n"


def sections() -> dict[str, type[Section]]:
    """Return every model of the card, and what they inherit from, by name."""
    known = models()
    return {**known, **{p.__name__: p for model in known.values() for p in _parents(model)}}


def _parents(model: type[Section]) -> list[type[Section]]:
    return [cls for cls in model.__mro__[1:] if issubclass(cls, Section) and cls is not Section]


def _first_child(model: type[Section]) -> type[Section]:
    """Return the model itself, or, of one that others inherit from, the first of those."""
    known = models()
    if model.__name__ in known:
        return model
    return min((m for m in known.values() if issubclass(m, model)), key=lambda m: m.__name__)


def _link(name: str) -> str:
    return f"[{name}](#{_HEADINGS.get(name, name.lower())})"


def _needed(name: str, field: dict[str, Any], required: list[str], absence: bool) -> str:
    if name in required:
        return "MUST, or `not_reported`" if absence else "MUST"
    default = field.get("default")
    shown = "" if default is None else f", else `{_plain(default)}`"
    return ("MAY, or `not_reported`" if absence else "MAY") + shown


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{}"  # every field of it has its default
    return "[]" if value == [] else f"{value}"


def _target(field: dict[str, Any]) -> str:
    return str(field["$ref"]).rpartition("/")[2]


def _type(field: dict[str, Any]) -> tuple[str, bool]:
    """Return a type in words, and whether the field may be not_reported."""
    options = field.get("oneOf") or field.get("anyOf")
    if options:
        kinds = [_type(option) for option in options]
        named = [_target(option) if "$ref" in option else "" for option in options]
        words = [k for (k, _), n in zip(kinds, named, strict=True) if n != "NotReported"]
        absence = "NotReported" in named or any(absent for _, absent in kinds)
        return " or ".join(dict.fromkeys(_ordered(words, field))), absence
    if "$ref" in field:
        return _link(_target(field)), False
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"]), False
    if "const" in field:
        return f"`{field['const']}`", False
    if field["type"] == "array":
        return f"list of {_type(field['items'])[0]}", False
    if field["type"] == "object":
        return f"mapping of free names to {_type(field['additionalProperties'])[0]}", False
    if field["type"] == "null":
        return "null", False
    if field["type"] == "string":
        return _PATTERNS.get(field.get("pattern", ""), "text"), False
    words = {"integer": "whole number", "number": "number", "boolean": "true or false"}
    return words[field["type"]] + _bounds(field), False


def _ordered(words: list[str], field: dict[str, Any]) -> list[str]:
    """Null last, and only where it is a value and not the default of an optional field."""
    kept = [word for word in words if word != "null"]
    return kept if "default" in field or "null" not in words else [*kept, "null"]


def _bounds(field: dict[str, Any]) -> str:
    signs = (
        ("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"),
    )  # fmt: skip
    found = [f"{sign} {field[key]:g}" for key, sign in signs if key in field]
    return f" {' and '.join(found)}".replace("4.29497e+09", "2³² - 1") if found else ""


def _mandatory(_: str) -> str:
    rows = ["| field | counts |", "|---|---|"]
    for entry in MANDATORY:
        note = "; leaving it out states that there is none" if entry.absent_is_value else ""
        if entry.instead:
            note = f"; or `{entry.instead}`"
        rows.append(f"| `{entry.path}` | {entry.when.words}{note} |")
    return "\n".join(rows) + "\n"


def _rules(_: str) -> str:
    lines: list[str] = []
    for heading in GROUPS.values():
        lines += [f"## {heading}", ""]
        for rule in all_rules().values():
            if rule.group != heading:
                continue
            lines += [
                f"### {rule.id}",
                "",
                f"{rule.title}",
                "",
                textwrap.fill(rule.condition or _IN_THE_TABLE, _WIDTH, **_WHOLE_WORDS),
                "",
                f"- **{rule.severity}**; [{rule.section}]({rule.section});"
                f" [example](examples/invalid/{rule.id}/card.yaml)",
                f"- {rule.rationale}",
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
