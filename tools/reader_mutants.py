"""Does the manifest bite? Spoil our own reader in one place at a time, and ask it all examples.

    python tools/reader_mutants.py --out tools/reader_mutants.txt

A reader in another language is held against spec/v1/examples/manifest.json alone. So the manifest
has to tell a right reader from every slightly wrong one: each rule is switched off, each comparison
turned or dropped, each numeric threshold moved by a little, each guard (`if ...: return`) and each
part of a condition left out, in rules, levels and what they share. A mutant is caught where the
answer to some example is another one, or no answer. Nothing is written: a mutant is compiled from
its syntax tree and imported in this process in place of its module.

Words of messages and remedies are a reader's own (spec/v1/conformance.md) and are not mutated.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import functools
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from safebench.card.completeness import states  # noqa: E402
from tests.conformance.make_manifest import MANIFEST, Entry, Reader, cards, entry  # noqa: E402
from tools.mutants import COMPARISONS  # noqa: E402

ROOM = "safebench.checks"
MUTATED = ("rules/*.py", "levels.py", "registry.py", "report.py")
BUDGET = 120  # seconds for one mutant, after which it gives no answer

#: Readings that do not change with a mutant: each is done once for an example, and kept.
KEPT = (
    ("safebench.card.io", "parse_card"),
    ("safebench.card.read", "load_document"),
    ("safebench.card.versions", "migrate"),
    ("safebench.card.digest", "derive_seeds"),
    ("safebench.card.digest", "generation_seed"),
    ("safebench.evidence.manifest", "check_files"),
    ("safebench.evidence.tables", "read_table"),
    ("safebench.evidence.outcomes", "row_problems"),
    ("safebench.evidence.scoring", "compute_results"),
    ("safebench.evidence.columns", "distinct"),
    ("safebench.harness.tasks", "read_task"),
    ("safebench.harness.tasks", "task_names"),
)
#: Names of what is only said, never decided.
WORDS = {"message", "fix", "why", "short", "shown", "whose", "which", "about", "also", "lacks"}
WORDS |= {"example", "default", "nothing", "none", "same", "few", "share", "interval", "there"}
WORDS |= {
    "attached",
    "ended",
    "twin",
    "what",
    "difference",
    "expected_words",
    "names_shown",
    "meant",
}

_FILE = "an example is a file in a folder, never standard input"
_CLOCK = "a reader may have a clock of its own: on every day to 2998 the answers are the same"
_QUOTED = "how many names a message quotes"
_NEVER = "> TOLERANCE  ->"
_EXACT = "no two of these binary fractions differ by exactly 1e-9"

#: Mutants whose answer cannot differ, and why: file, function, and the start of what is changed.
EQUIVALENT: dict[tuple[str, str, str], str] = {
    ("rules/__init__.py", "by_id", "rule.id in found"): "no two rules have one id; a test says so",
    ("rules/agreement.py", "_grid_complete", "part is None"): "how a message shows what is null",
    ("rules/responses.py", "_verdicts_are_the_judges", "first or f"): "which row a message shows",
    ("rules/responses.py", "_judged", "found.get((asked"): "how often a message says it is wrong",
    (
        "rules/agreement.py",
        "_declared_cells",
        "reported(d.repeats) or 0  ->  reported(d.repeats) or -",
    ): ("from 1 to 0 or to -1 there is nothing to count"),
    ("rules/named_files.py", "_measured_files", "subject.folder is not None and"): _FILE,
    ("rules/named_files.py", "_journal_agrees", "subject.folder is None or"): _FILE,
    ("rules/data.py", "_weights_sum", "d.role == role  ->  d.role != role"): (
        "the other role is asked after it, or before; which one a message names"
    ),
    ("rules/data.py", "_weights_sum", "abs(total - 1.0) > TOLERANCE  ->  abs(total - 1.0) >="): (
        "no two binary fractions near 1 differ by exactly 1e-6"
    ),
    ("rules/named_files.py", "_journal_agrees", "journal is None or"): (
        "where a link leads out of the folder: no example has one, nor does every system"
    ),
    ("rules/evidence.py", "differences", "partner is None  ->  False"): "how a message says it",
    ("rules/evidence.py", "_shown", ""): "how a message shows a value",
    ("rules/numbers.py", "_place", ""): "how a message names a number",
    ("rules/model.py", "_request_days", "day is None"): "which word a message has",
    ("rules/numbers.py", "_change_is_difference", f"abs(after - before - value) {_NEVER}"): _EXACT,
    ("rules/numbers.py", "_stability_fits", f"abs(margin - MARGIN) {_NEVER}"): _EXACT,
    ("rules/results.py", "_score_is_quotient", f"abs(total / n - value) {_NEVER}"): _EXACT,
    ("rules/results.py", "_estimate_is_mean", f"abs(mean - estimate) {_NEVER}"): _EXACT,
    ("levels.py", "_for_declared", "errors == 1"): "which words a message has",
    ("levels.py", "level_of", "card.submission"): "what the next level asks for, in words",
    ("levels.py", "level_of", "results is None  ->  False"): (
        "what the next level asks for, in words: without results there is no evidence"
    ),
    ("registry.py", "", "MOST_LISTED"): _QUOTED,
    ("registry.py", "listed", ""): _QUOTED,
    ("registry.py", "tomorrow", ""): _CLOCK,
    ("rules/model.py", "_request_days", "day <= subject.tomorrow  ->  day < "): _CLOCK,
    ("rules/submission.py", "_date_past", "day > subject.tomorrow  ->  day >="): _CLOCK,
    ("report.py", "check_document", "today or"): _CLOCK,
    ("registry.py", "beside", "self.folder is None  ->  False"): _FILE,
    ("registry.py", "file_problems", "self.folder is None or"): _FILE,
    ("registry.py", "_table", "self.folder is None or"): _FILE,
    ("report.py", "check", "path == '-'  ->  False"): _FILE,
    (
        "registry.py",
        "task_documents",
        "shipped_file(task.name) is None or (path is not None and file is None)  ->  path",
    ): "what is no task of the standard cannot be read as one either",
    ("registry.py", "add", "section or self.section"): "which page a rule is printed with",
    ("report.py", "warnings", ""): "a count that is no answer",
    ("report.py", "next_level", ""): "what a level is followed by is no answer",
    ("report.py", "_finding", ""): "where the underlining ends is no answer",
    ("report.py", "_written", "state.lost_at is None  ->  False"): "no field of 1.0 was moved",
    (
        "report.py",
        "check_document",
        "card is not None and isinstance(current, Document)  ->  card",
    ): ("what cannot be migrated gives no card"),
    (
        "report.py",
        "_applicable",
        "p.absence and p.unknown != 'field' and (p.absence[0] in _COMPARED)  ->  p.unknown",
    ): "a word unknown where nothing may be absent leaves no card",
    ("rules/decoding.py", "_reference_settings", "kinds == {False}"): "which word a message has",
}


@dataclass(frozen=True)
class Mutant:
    """One change of one module; `tree` is the whole module with it, `rule` one that is off."""

    path: str
    line: int
    kind: str
    change: str
    inside: str
    code: CodeType | None
    rule: str | None = None

    def __str__(self) -> str:
        return f"{self.path}:{self.line}  {self.inside}  {self.kind}: {self.change}"

    @property
    def key(self) -> str:
        """What it changes, whatever the line."""
        return f"{self.path}  {self.inside}  {self.kind}: {self.change}"


def reason(mutant: Mutant) -> str | None:
    """Return why a mutant changes no answer; None where it should."""
    for (file, function, change), why in EQUIVALENT.items():
        if (
            mutant.path.endswith(file)
            and mutant.inside == function
            and mutant.change.startswith(change)
            and (why != _EXACT or ">= TOLERANCE" in mutant.change)
        ):
            return why
    return None


# --- the mutants ---------------------------------------------------------------------------------


def _replacements(node: ast.AST, parent: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield what can stand in the place of a node, and the kind of change."""
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            for other in COMPARISONS[type(op)]:
                new = copy.copy(node)
                new.ops = [*node.ops[:i], other(), *node.ops[i + 1 :]]
                yield "comparison", new
        if not isinstance(parent, ast.BoolOp):
            yield "comparison dropped", ast.Constant(True)
            yield "comparison dropped", ast.Constant(False)
    elif isinstance(node, ast.BoolOp):
        yield "and/or", _with(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())
        for i, value in enumerate(node.values):
            if isinstance(value, ast.Constant):
                continue
            rest = [*node.values[:i], *node.values[i + 1 :]]
            yield "part dropped", rest[0] if len(rest) == 1 else _with(node, values=rest)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not", node.operand
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        value = node.value
        moved: list[int | float]
        if isinstance(value, int):
            moved = [value + 1, value - 1]
        else:
            moved = [value * 1.25, value * 0.8] if value else [1e-3]
        for new_value in moved:
            yield "threshold", ast.Constant(new_value)
    elif isinstance(node, ast.If) and not node.orelse and _leaves(node.body):
        yield "guard dropped", ast.Pass()


def _leaves(body: list[ast.stmt]) -> bool:
    last = body[-1]
    return len(body) == 1 and (
        isinstance(last, ast.Continue) or (isinstance(last, ast.Return) and last.value is None)
    )


def _with(node: ast.AST, **fields: object) -> ast.AST:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _is_said(node: ast.AST, parent: ast.AST, field: str, index: int | None) -> bool:
    """Whether a node makes words, or types, and decides nothing."""
    if isinstance(node, ast.JoinedStr) or field in ("annotation", "returns", "decorator_list"):
        return True
    if isinstance(parent, ast.Tuple) and getattr(parent, "said_from", 99) <= (index or 0):
        return True
    if isinstance(node, ast.Assign):
        return all(isinstance(t, ast.Name) and t.id in WORDS for t in node.targets)
    if isinstance(node, ast.keyword):
        return node.arg in ("strict", "key", "default")
    return isinstance(node, ast.Subscript) or (
        isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )


def _sites(node: ast.AST, inside: str) -> Iterator[tuple[ast.AST, str, int | None, ast.AST, str]]:
    for field, value in ast.iter_fields(node):
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST):
                continue
            if isinstance(node, ast.Yield) and isinstance(child, ast.Tuple):
                child.said_from = 1  # type: ignore[attr-defined]  # place, then words
            if _is_said(child, node, field, index):
                continue
            named = isinstance(child, (ast.FunctionDef, ast.ClassDef))
            where = child.name if named else inside
            yield node, field, index, child, where
            yield from _sites(child, where)


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 90 else f"{text[:87]}..."


def mutants_of(path: str, text: str) -> Iterator[Mutant]:
    """Every mutant of a module; those that read the same count once."""
    tree = ast.parse(text)
    seen: set[str] = set()
    for parent, field, index, child, inside in list(_sites(tree, "")):
        for kind, new in _replacements(child, parent):
            shown = isinstance(child, ast.Constant) and not isinstance(parent, ast.Module)
            before = _short(parent if shown else child)
            _put(parent, field, index, new)
            after = _short(parent if shown else new)
            try:
                code = compile(ast.fix_missing_locations(tree), path, "exec")
            finally:
                _put(parent, field, index, child)
            line = getattr(child, "lineno", 0)
            change = f"{before}  ->  {'' if kind == 'guard dropped' else after}".rstrip()
            mutant = Mutant(path, line, kind, change, inside, code)
            if mutant.key + str(line) not in seen:
                seen.add(mutant.key + str(line))
                yield mutant


def _put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def all_mutants() -> list[Mutant]:
    """Every rule switched off, then every change of every module, in a fixed order."""
    from safebench.checks import all_rules

    found = [Mutant("", 0, "rule off", id, id, None, id) for id in all_rules()]
    for pattern in MUTATED:
        for file in sorted((ROOT / "safebench/checks").glob(pattern)):
            path = file.relative_to(ROOT).as_posix()
            found += mutants_of(path, file.read_text(encoding="utf-8"))
    return found


# --- a spoilt reader -----------------------------------------------------------------------------


class _InMemory(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the room from compiled code: as it is, save for the modules that are given."""

    def __init__(self) -> None:
        self.codes: dict[str, tuple[CodeType, bool, str]] = {}
        for file in (ROOT / "safebench/checks").rglob("*.py"):
            path = file.relative_to(ROOT)
            name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
            code = compile(file.read_text(encoding="utf-8"), str(path), "exec")
            self.codes[name] = (code, file.name == "__init__.py", path.as_posix())
        self.changed: dict[str, CodeType] = {}

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """Find a module of the room."""
        if name not in self.codes:
            return None
        package = self.codes[name][1]
        return importlib.util.spec_from_loader(name, self, is_package=package)

    def exec_module(self, module: ModuleType) -> None:
        """Run a module's code, or that of its mutant."""
        code, _, path = self.codes[module.__name__]
        exec(self.changed.get(path, code), module.__dict__)  # noqa: S102  # our own code


class Spoiler:
    """Gives readers with one change each; what lies below the room is read once and kept."""

    def __init__(self) -> None:
        self._finder = _InMemory()
        self._patched: list[tuple[ModuleType, str, Any]] = []
        self._states = _kept(states)
        self._findings: dict[tuple[str, int], list[Any]] = {}

    def __enter__(self) -> Spoiler:
        for module_name, name in KEPT:
            module = importlib.import_module(module_name)
            self._patched.append((module, name, getattr(module, name)))
            setattr(module, name, _kept(getattr(module, name)))
        return self

    def __exit__(self, *_: object) -> None:
        for module, name, original in self._patched:
            setattr(module, name, original)

    def reader(self, mutant: Mutant | None) -> Reader:
        """Return `check` and `require` of the reader with a mutant in it."""
        loaded = {n: m for n, m in sys.modules.items() if f"{n}.".startswith(f"{ROOM}.")}
        for name in loaded:
            del sys.modules[name]
        code = mutant.code if mutant else None
        self._finder.changed = {} if mutant is None or code is None else {mutant.path: code}
        sys.meta_path.insert(0, self._finder)
        try:
            report = importlib.import_module(f"{ROOM}.report")
        finally:
            sys.meta_path.remove(self._finder)
            for name in [n for n in sys.modules if f"{n}.".startswith(f"{ROOM}.")]:
                del sys.modules[name]
            sys.modules.update(loaded)
            sys.modules["safebench"].checks = loaded.get(ROOM)  # type: ignore[attr-defined]
        if mutant is not None and mutant.rule is not None:
            _switch_off(report, mutant.rule)
        report.states = self._states
        if mutant is None or not mutant.path.endswith(("registry.py", "report.py")):
            self._keep_findings(report, set() if mutant is None else affected(mutant))
        return report.check, report.require

    def _keep_findings(self, report: Any, changed: set[str]) -> None:
        """Ask the rules alone that a mutant can change; the others answer as they always do."""
        apply = report._apply

        def applied(rules: dict[str, Any], subject: Any, document: Any) -> Iterator[Any]:
            for id, rule in rules.items():
                if id in changed:
                    yield from apply({id: rule}, subject, document)
                    continue
                key = id, _identity(document)
                if key not in self._findings:
                    self._findings[key] = list(apply({id: rule}, subject, document))
                yield from self._findings[key]

        report._apply = applied


def _switch_off(report: Any, rule: str) -> None:
    """Make a reader blind to a rule, whoever finds it: a check, the parser or `--level`."""
    parse, applicable = report.parse_card, report._applicable
    report.parse_card = lambda document: (
        (parsed := parse(document))[0], [p for p in parsed[1] if p.rule != rule],
    )  # fmt: skip
    report._applicable = lambda rules, problems: {
        id: one for id, one in applicable(rules, problems).items() if id != rule
    }


def _kept(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that answers every question once; an error is an answer too."""
    answers: dict[Any, tuple[bool, Any, Any]] = {}

    @functools.wraps(function)
    def kept(*args: Any, **named: Any) -> Any:
        key = (*map(_identity, args), *((k, _identity(v)) for k, v in sorted(named.items())))
        if key not in answers:
            try:
                given = function(*args, **named)
                answer = (True, list(given) if isinstance(given, Iterator) else given)
            except Exception as problem:
                answer = (False, problem)
            answers[key] = (*answer, (args, named))  # kept, so that no id is used again
        works, answer_given, _ = answers[key]
        if not works:
            raise answer_given
        return answer_given

    return kept


def _identity(value: Any) -> Any:
    plain = isinstance(value, (str, int, float, Path, type(None)))
    if isinstance(value, (list, tuple)):
        return (type(value), *map(_identity, value))
    return value if plain else id(value)


# --- asking it -----------------------------------------------------------------------------------


class Manifest:
    """The examples, and which of them are asked first."""

    def __init__(self) -> None:
        listed = json.loads(MANIFEST.read_text(encoding="utf-8"))["cards"]
        self.entries: dict[str, Entry] = {one["file"]: one for one in listed}
        self.paths = cards()

    def catches(self, reader: Reader, mutant: Mutant) -> str | None:
        """Return the first example that is answered otherwise; None where there is none."""
        rules = _rules_near(mutant)

        def place(path: Path) -> bool:
            one = self.entries[_name(path)]
            return not (
                any(rule in one["file"] for rule in rules)
                or any(finding["rule"] in rules for finding in one["findings"])
            )

        for path in sorted(self.paths, key=place):
            name = _name(path)
            try:
                answer = _off(entry(path, reader=reader), mutant)
            except _TooLongError:
                raise
            except Exception:
                return name
            if answer != self.entries[name]:
                return name
        return None


def _off(answer: Entry, mutant: Mutant) -> Entry:
    """Leave out of an answer the findings of a rule that no check makes."""
    kept = [finding for finding in answer["findings"] if finding["rule"] != mutant.rule]
    return {**answer, "findings": kept}


def _name(path: Path) -> str:
    return path.relative_to(MANIFEST.parent).as_posix()


@functools.cache
def _rules_by_function(path: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            around = " ".join(map(ast.unparse, node.decorator_list))
            found[node.name] = set(re.findall(r"SB-[A-Z]+-\d+", around))
    return found


def _rules_near(mutant: Mutant) -> set[str]:
    if mutant.rule is not None:
        return {mutant.rule}
    by_function = _rules_by_function(mutant.path)
    own = by_function.get(mutant.inside) or set()
    return own or {rule for rules in by_function.values() for rule in rules}


def affected(mutant: Mutant) -> set[str]:
    """Return the rules whose answers a mutant can change: its own, or all that use its module."""
    if not mutant.path.startswith("safebench/checks/rules/"):
        return {mutant.rule} if mutant.rule else set()
    own = _rules_by_function(mutant.path).get(mutant.inside)
    if own:
        return own
    module = mutant.path.removesuffix(".py").replace("/", ".")
    return {
        id
        for file in (ROOT / "safebench/checks/rules").glob("*.py")
        for text in [file.read_text(encoding="utf-8")]
        if file.name == Path(mutant.path).name or f"from {module} import" in text
        for id in re.findall(r"SB-[A-Z]+-\d+", text)
    }


class _TooLongError(Exception):
    """A mutant does not end."""


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(BUDGET)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def caught_by(spoiler: Spoiler, manifest: Manifest, mutant: Mutant) -> str | None:
    """Return the example that catches a mutant, or None."""
    try:
        with _limited():
            return manifest.catches(spoiler.reader(mutant), mutant)
    except _TooLongError:
        return "does not end"
    except Exception:  # it cannot even be imported
        return "does not start"


def drawn(mutants: list[Mutant], n: int, seed: int = 15) -> list[Mutant]:
    """Return the n mutants with the smallest hash of seed and change."""
    key = functools.partial(_hash, seed)
    return sorted(mutants, key=lambda m: key(m.key))[:n]


def _hash(seed: int, key: str) -> str:
    return hashlib.sha256(f"{seed}|{key}".encode()).hexdigest()


def report(mutants: list[Mutant], caught: dict[Mutant, str | None]) -> tuple[str, bool]:
    """Return what was caught, in words, and whether it is 95 % of what can be."""
    alive = [m for m in mutants if caught[m] is None]
    same = [m for m in alive if reason(m)]
    alive = [m for m in alive if not reason(m)]
    able = len(mutants) - len(same)
    lines = [
        f"{able - len(alive)} of {able} mutants of the reader are caught by the manifest's "
        f"{len(Manifest().entries)} examples ({100 * (able - len(alive)) / able:.1f} %); "
        f"{len(same)} more change no answer.",
        "",
    ]
    for kind in dict.fromkeys(m.kind for m in mutants):
        here = [m for m in mutants if m.kind == kind and m not in same]
        lines.append(f"{kind}: {sum(caught[m] is not None for m in here)} of {len(here)}")
    lines += ["", *(f"equivalent: {m.key}\n    {reason(m)}" for m in same)]
    lines += ["", *(f"not caught: {m.key}" for m in alive)]
    return "\n".join(lines).strip() + "\n", 20 * len(alive) <= able


def main() -> int:
    """Try all, or a sample; 0 where at least 95 % are caught."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, help="number of mutants; all of them by default")
    parser.add_argument("--only", default="", help="only mutants with this text")
    parser.add_argument("--again", type=Path, help="a report: only what was not caught there")
    parser.add_argument("--out", type=Path, help="file to write the report to")
    options = parser.parse_args()
    mutants = [m for m in all_mutants() if options.only in str(m)]
    if options.again:
        left = options.again.read_text(encoding="utf-8")
        mutants = [m for m in mutants if f"not caught: {m.key}\n" in left]
    mutants = mutants if options.n is None else drawn(mutants, options.n)
    caught: dict[Mutant, str | None] = {}
    began = time.monotonic()
    with Spoiler() as spoiler:
        manifest = Manifest()
        if changed := caught_by(spoiler, manifest, Mutant("", 0, "", "", "", None, "")):
            sys.stderr.write(f"{changed} is answered otherwise without any mutant\n")
            return 2
        for number, mutant in enumerate(mutants):
            caught[mutant] = caught_by(spoiler, manifest, mutant)
            if caught[mutant] is None and not reason(mutant):
                sys.stderr.write(f"not caught  {mutant}\n")
            if number % 100 == 99:
                sys.stderr.write(
                    f"{number + 1} of {len(mutants)}, {time.monotonic() - began:.0f} s\n"
                )
    text, enough = report(mutants, caught)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0 if enough else 1


if __name__ == "__main__":
    raise SystemExit(main())
