"""Test a reader of cards against the examples: what it answers, against manifest.json.

    python conformance.py [--one-by-one] [--only TEXT] [--timeout SECONDS] -- COMMAND...

COMMAND is given the paths of cards, and prints a report as report.schema.json describes it, for
instance `safebench validate --format json`. Where an example is checked for a level, `--level
LEVEL` stands before its path. Several cards are given at once, unless --one-by-one asks for a
process each, in which every exit code is looked at by itself.

Prints what differs, and exits with 0 when nothing does, 1 when something does, and 2 when there is
no answer to compare. Needs Python 3.10 and nothing else; it may be copied and changed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
AGREES, DIFFERS, NO_ANSWER = 0, 1, 2
_COMPARED = ("spec", "level", "completeness", "findings")
Entry = dict[str, Any]


class NoAnswerError(Exception):
    """The command did not print a report of the cards that it was given."""


def ask(command: list[str], entries: list[Entry], timeout: float) -> tuple[list[Entry], int]:
    """Return the answer to each entry, in their order, and the exit code.

    Raises:
        NoAnswerError: the command cannot be run, or prints something else.
    """
    level = entries[0]["level_asked"]
    paths = [str(FOLDER / entry["file"]) for entry in entries]
    call = [*command, *(["--level", level] if level else []), *paths]
    try:
        done = subprocess.run(call, capture_output=True, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise NoAnswerError(str(problem)) from problem
    try:
        files = json.loads(done.stdout.decode("utf-8"))["files"]
        answers = {answer["path"]: {key: answer[key] for key in _COMPARED} for answer in files}
        for answer in answers.values():
            answer["findings"] = _findings(answer)
        return [answers[path] for path in paths], done.returncode
    except (ValueError, LookupError, TypeError) as problem:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        why = f"no report of the cards given ({type(problem).__name__}: {problem})"
        raise NoAnswerError(
            "; ".join([why, f"exit code {done.returncode}", *said[-1:]])
        ) from problem


def differences(entry: Entry, answer: Entry) -> list[str]:
    """Return in words everything in which an answer is not the one that the manifest has."""
    found = []
    for key in ("spec", "level", "completeness"):
        if answer[key] != entry[key]:
            found.append(f"{key} is {answer[key]!r}, expected {entry[key]!r}")
    wanted, given = _findings(entry), answer["findings"]
    found += [f"missing {_words(one)}" for one in _less(wanted, given)]
    found += [f"unexpected {_words(one)}" for one in _less(given, wanted)]
    return found


def run(command: list[str], groups: list[list[Entry]], timeout: float) -> int:
    """Compare group by group, print what differs, and return the exit code."""
    code, differing = AGREES, 0
    for entries in groups:
        try:
            answers, exit_code = ask(command, entries, timeout)
        except NoAnswerError as problem:
            _say(f"{_name(entries)}: {problem}")
            code = NO_ANSWER
            continue
        expected = max(entry["exit_code"] for entry in entries)
        if exit_code != expected:
            _say(f"{_name(entries)}: exit code {exit_code}, expected {expected}")
            code = max(code, DIFFERS)
        for entry, answer in zip(entries, answers, strict=True):
            found = differences(entry, answer)
            differing += bool(found)
            for line in found:
                _say(f"{entry['file']}: {line}")
    total = sum(map(len, groups))
    _say(
        f"{total} card{'s' * (total != 1)}, {differing} answered otherwise than the manifest says."
    )
    return max(code, DIFFERS if differing else AGREES)


def main(arguments: list[str]) -> int:
    """Read the command line and the manifest, and compare."""
    parser = argparse.ArgumentParser(description="Test a reader of cards against the examples.")
    parser.add_argument("--one-by-one", action="store_true", help="a process for every card")
    parser.add_argument("--only", default="", help="only cards with this in their path")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for one call")
    parser.add_argument("command", nargs="+", help="the reader, after --")
    asked = parser.parse_args(arguments)
    manifest = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
    entries = [entry for entry in manifest["cards"] if asked.only in entry["file"]]
    if not entries:
        _say(f"no card has {asked.only!r} in its path")
        return NO_ANSWER
    if asked.one_by_one:
        groups = [[entry] for entry in entries]
    else:
        levels = sorted({entry["level_asked"] or "" for entry in entries})
        groups = [[e for e in entries if (e["level_asked"] or "") == level] for level in levels]
    return run(asked.command, groups, asked.timeout)


def _findings(holder: Entry) -> list[tuple[str, str, str]]:
    return [(f["pointer"], f["rule"], f["severity"]) for f in holder["findings"]]


def _less(these: list[Any], those: list[Any]) -> list[Any]:
    """Return what is left of some findings without others, each as often as it is there."""
    left = list(these)
    for one in those:
        if one in left:
            left.remove(one)
    return left


def _words(finding: tuple[str, str, str]) -> str:
    pointer, rule, severity = finding
    return f"{rule} ({severity}) at {pointer or 'the whole card'}"


def _name(entries: list[Entry]) -> str:
    return entries[0]["file"] if len(entries) == 1 else f"{len(entries)} cards"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
