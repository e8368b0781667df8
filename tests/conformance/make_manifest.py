"""Write what a reader answers to every example: `python tests/conformance/make_manifest.py`.

spec/v1/examples/manifest.json is what another program is tested against (spec/v1/conformance.md),
so only what the standard fixes is in it: levels, counts, rules, severities, pointers, exit codes.
Read the changes before they are committed: a test compares the bytes.
"""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from safebench.card.card import SPEC  # noqa: E402
from safebench.card.document import ReadError  # noqa: E402
from safebench.checks import LEVELS, Level, check, require  # noqa: E402
from safebench.checks.rules.structure import UNREADABLE  # noqa: E402
from safebench.files import replace_file  # noqa: E402
from tests.conformance.runner import ARGUMENTS, EXAMPLES  # noqa: E402

MANIFEST = EXAMPLES / "manifest.json"
SCHEMA = "safebench/conformance/1"
TODAY = datetime.date(2026, 6, 1)
"""The day on which the answers are those of the manifest; they stay so until 2998."""
Entry = dict[str, Any]
Reader = tuple[Callable[..., Any], Callable[..., Any]]
"""`check` and `require`: ours, or a spoilt one (tools/reader_mutants.py)."""


def cards() -> list[Path]:
    """Return every card among the examples, in the order of the manifest."""
    return sorted(
        [
            *EXAMPLES.glob("valid/*.yaml"),
            *EXAMPLES.glob("valid/*/card.yaml"),
            *EXAMPLES.glob("invalid/*/card.yaml"),
            *EXAMPLES.glob("boundary/*/*.yaml"),
            *EXAMPLES.glob("boundary/*/*/card.yaml"),
            *EXAMPLES.glob("future/*/card.yaml"),
        ],
        key=lambda path: path.relative_to(EXAMPLES).as_posix(),
    )


def entry(path: Path, today: datetime.date = TODAY, reader: Reader = (check, require)) -> Entry:
    """Return what a reader answers to one example."""
    reads, asks = reader
    asked = asked_level(path)
    wanted = {"file": path.relative_to(EXAMPLES).as_posix(), "level_asked": asked}
    try:
        report = reads(path, today=today)
    except ReadError:
        found = [{"rule": UNREADABLE, "severity": "error", "pointer": ""}]
        return {**wanted, **_answer(None, None, None, found, 2)}
    report = report if asked is None else asks(report, asked)
    counts = report.completeness
    found = [
        {"rule": f.rule, "severity": f.severity, "pointer": f.pointer} for f in report.findings
    ]
    completeness = counts and {"reported": counts[0], "required": counts[1]}
    code = 1 if report.errors else 0
    return {**wanted, **_answer(report.spec, report.level, completeness, found, code)}


def asked_level(path: Path) -> Level | None:
    """Return the level that an example is checked for, if it is for one."""
    stated = path.parent / ARGUMENTS
    if not stated.is_file():
        return None
    option, name = stated.read_text(encoding="utf-8").split()
    level = next((level for level in LEVELS if level == name), None)
    if option != "--level" or level is None:
        raise ValueError(f"{stated}: expected `--level LEVEL`; the manifest has no other argument")
    return level


def manifest_text(answers: Iterable[Entry]) -> str:
    """Return the manifest as it is published: the same answers, the same bytes."""
    about = {"schema": SCHEMA, "standard": SPEC, "today": TODAY.isoformat()}
    head = json.dumps(about, indent=2).removesuffix("\n}")
    entries = ",\n".join(_lines(one) for one in answers)
    return f'{head},\n  "cards": [\n{entries}\n  ]\n}}\n'


def write_manifest() -> None:
    """Write the manifest of the examples as they now are."""
    replace_file(MANIFEST, manifest_text(entry(path) for path in cards()).encode())


def _answer(
    spec: str | None,
    level: str | None,
    completeness: Any,
    findings: list[dict[str, str]],
    code: int,
) -> Entry:
    ordered = sorted(findings, key=lambda f: (f["pointer"], f["rule"], f["severity"]))
    return {
        "spec": spec,
        "level": level,
        "completeness": completeness,
        "findings": ordered,
        "exit_code": code,
    }


def _lines(one: Entry) -> str:
    """Return an entry with a line for each finding, so that a change is seen as what it is."""
    findings = ",\n".join(f"        {json.dumps(finding)}" for finding in one["findings"])
    rows = [
        f"      {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
        for key, value in {**one, "findings": None}.items()
    ]
    text = "    {\n" + ",\n".join(rows) + "\n    }"
    listed = f"[\n{findings}\n      ]" if findings else "[]"
    return text.replace('"findings": null', f'"findings": {listed}')


if __name__ == "__main__":
    write_manifest()
    sys.stdout.write(f"{len(cards())} examples in {MANIFEST}\n")
