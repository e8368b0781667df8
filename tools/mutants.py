"""Do the tests bite? Change one operator, comparison, sign or constant at a time and run them.

    python tools/mutants.py --state build/mutants.jsonl          (or `make mutants`)

Draws mutants of the rooms that decide numbers and findings, applies each to a copy of the checkout,
and runs the test files that import the changed module, nearest first, until one fails. A mutant
that no test notices survives: it wants a test, or the code it is in is not needed.

A mutant's place in the draw depends on the seed and on the function it is in alone, so that work on
one function leaves the mutants of all others in the sample; with `--state` what was found stays
found, and an interrupted run goes on. `--retry` asks again for those that survived.
"""

from __future__ import annotations

import argparse
import ast
import copy
import hashlib
import importlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("safebench/stats", "safebench/checks/rules", "safebench/evidence")

#: Tests of a room, by which a module's own are ordered: those that import it directly come first.
TESTS = {
    "safebench/stats": (
        "tests/stats",
        "tests/conformance/test_interval_formulas.py",
        "tests/conformance/test_worked_examples.py",
    ),
    "safebench/checks/rules": ("tests/conformance/test_examples.py", "tests/checks"),
    "safebench/evidence": (
        "tests/evidence",
        "tests/checks/test_evidence_rules.py",
        "tests/checks/test_levels.py",
    ),
}
#: These look at how fast the code is, and at what it imports, and take long over it.
LEFT_OUT = {"test_benchmark.py", "test_coverage.py", "test_stats_imports.py"}
PRELOADED = (
    "hypothesis.extra.numpy",
    "pyarrow.parquet",
    "pydantic",
    "scipy.stats",
    "yaml",
    "click",
    "jsonschema",
)
SECONDS = 150  # of processor time, after which a mutant counts as killed: it does not end

#: Mutants that change nothing that could be seen, and why: they count as neither.
EQUIVALENT = {
    "low is not None and high is not None  ->  low is not None or high is not None": (
        "an interval has both ends or none"
    ),
    "array.min() >= 0  ->  array.min() > 0": "labels from 0 on are sorted, not counted: same codes",
    "math.prod(shape) > DENSE * values.size + 1024  ->  "
    "math.prod(shape) >= DENSE * values.size + 1024": "both ways of tabulating give the same sums",
    "(r2 - r1) / r1  ->  (r2 - r1) * r1": "the order of the cuts decides how long a search takes",
    "(s2 - s1) / s1  ->  (s2 - s1) * s1": "the order of the cuts decides how long a search takes",
    "equivalent > critical  ->  equivalent >= critical": "they are never equal: one is simulated",
    "1  ->  2  in  file.read(1)": "one byte is left to read",
}
NOT_RUN = ("annotation", "returns", "decorator_list", "bases")
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
}
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}


@dataclass(frozen=True)
class Mutant:
    """One change: `source` is the whole module with it."""

    path: str
    line: int
    before: str
    after: str
    source: str
    around: str  # what it stands in
    key: str  # of the change and its function: changes elsewhere leave it as it is

    @property
    def room(self) -> str:
        """The room it is in."""
        return next(room for room in ROOMS if self.path.startswith(room))

    @property
    def change(self) -> str:
        """What is changed, a constant with what it stands in."""
        change = f"{self.before}  ->  {self.after}"
        return change if len(self.before) > 8 else f"{change}  in  {self.around[:80]}"

    def __str__(self) -> str:
        return f"{self.path}:{self.line}  {self.change}"


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What can be put in the place of a node."""
    if isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in ARITHMETIC:
        sides = [node.value] if isinstance(node, ast.AugAssign) else [node.left, node.right]
        if not any(_is_text(side) for side in sides):
            yield _with(node, op=ARITHMETIC[type(node.op)]())
    elif isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            for other in COMPARISONS[type(op)]:
                yield _with(node, ops=[*node.ops[:i], other(), *node.ops[i + 1 :]])
    elif isinstance(node, ast.BoolOp):
        yield _with(node, op=ast.And() if isinstance(node.op, ast.Or) else ast.Or())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not)):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield _with(node, value=not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        small = isinstance(node.value, float) and abs(node.value) < 0.5
        yield _with(node, value=node.value * 2 if small and node.value else node.value + 1)


def _is_reshape(function: ast.AST) -> bool:
    return isinstance(function, ast.Attribute) and function.attr == "reshape"


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _with(node: ast.AST, **fields: object) -> ast.AST:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _sites(node: ast.AST, inside: str) -> Iterator[tuple[ast.AST, str, object, ast.AST, str]]:
    """(parent, field, index, child, enclosing function) of everything that runs."""
    for field, value in ast.iter_fields(node):
        if field in NOT_RUN or (field == "keywords" and not isinstance(node, ast.Call)):
            continue
        if isinstance(node, ast.keyword) and node.arg == "strict":
            continue  # of a zip whose sides are as long by construction
        if isinstance(node, ast.Call) and field == "args" and _is_reshape(node.func):
            continue  # any negative number stands for what is left
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.JoinedStr):
                continue
            named = isinstance(child, (ast.FunctionDef, ast.ClassDef))
            where = f"{inside}.{child.name}" if named else inside
            yield node, field, index, child, where
            yield from _sites(child, where)


def mutants_of(path: str, text: str) -> Iterator[Mutant]:
    """Every mutant of a module."""
    tree = ast.parse(text)
    for parent, field, index, child, where in list(_sites(tree, "")):
        for i, new in enumerate(changes(child)):
            before, after, shown = ast.unparse(child), ast.unparse(new), ast.unparse(parent)
            _put(parent, field, index, new)
            source = ast.unparse(tree)
            around = ast.unparse(parent)
            _put(parent, field, index, child)
            unique = f"{path}|{where}|{around}|{before}|{after}|{i}"
            key = hashlib.sha256(unique.encode()).hexdigest()[:16]
            yield Mutant(path, getattr(child, "lineno", 0), before, after, source, shown, key)


def _put(parent: ast.AST, field: str, index: object, node: ast.AST) -> None:
    if isinstance(index, int):
        getattr(parent, field)[index] = node
    else:
        setattr(parent, field, node)


def sample(n: int, seed: int) -> list[Mutant]:
    """The n mutants of all rooms with the smallest hash of seed and key."""
    found: dict[str, Mutant] = {}
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            path = file.relative_to(ROOT).as_posix()
            for mutant in mutants_of(path, file.read_text(encoding="utf-8")):
                found.setdefault(mutant.key, mutant)

    def place(key: str) -> str:
        return hashlib.sha256(f"{seed}|{key}".encode()).hexdigest()

    return [found[key] for key in sorted(found, key=place)[:n]]


def _imports(file: Path, exported: dict[str, str]) -> set[str]:
    """Modules of safebench that a file imports; names of safebench.stats by where they live."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
            if node.module == "safebench.stats":
                found |= {exported.get(alias.name, "") for alias in node.names}
                found.discard("safebench.stats")
    return {name for name in found if name.startswith("safebench")}


class Selection:
    """Which test files to run for a module, nearest first."""

    def __init__(self) -> None:
        exported = {}
        for node in ast.walk(ast.parse((ROOT / "safebench/stats/__init__.py").read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                exported |= {alias.name: node.module for alias in node.names}
        self.graph = {
            file.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."): _imports(
                file, exported
            )
            - {"safebench.stats"}
            for file in (ROOT / "safebench").rglob("*.py")
        }
        self.exported = exported

    def files(self, mutant: Mutant) -> list[str]:
        """Test files of the room that reach the module by imports; all of a room of rules."""
        target = mutant.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        chosen = []
        for place, entry in enumerate(TESTS[mutant.room]):
            path = ROOT / entry
            for file in sorted(path.rglob("test_*.py")) if path.is_dir() else [path]:
                far = self._distance(_imports(file, self.exported), target)
                if file.name in LEFT_OUT or (far is None and mutant.room == ROOMS[0]):
                    continue
                chosen.append((99 if far is None else far, place, file))
        return [file.relative_to(ROOT).as_posix() for *_, file in sorted(chosen)]

    def _distance(self, start: set[str], target: str) -> int | None:
        seen, now = set(start), set(start)
        for far in range(8):
            if target in now:
                return far
            now = {name for module in now for name in self.graph.get(module, ())} - seen
            seen |= now
        return None


def copied(where: Path) -> Path:
    """A copy of the tracked files, compiled once."""
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (where / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, where / name)
    shared = ROOT.parent / "shared"
    if shared.is_dir():
        (where.parent / "shared").symlink_to(shared)
    subprocess.run([sys.executable, "-m", "compileall", "-q", "safebench"], cwd=where, check=True)
    for name in PRELOADED:
        importlib.import_module(name)
    return where


def passes(where: Path, files: list[str]) -> bool:
    """Whether the test files pass in the copy.

    They run in a fork of this process, which has imported what others wrote: half of the time that
    a run of few tests would take goes into that.
    """
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1] == 0
    code = 1
    try:
        with Path(os.devnull).open("w") as nothing:
            for stream in (1, 2):
                os.dup2(nothing.fileno(), stream)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        os.chdir(where)
        sys.path.insert(0, str(where))
        # No bytecode is written from here on, lest that of a mutant outlives it.
        os.environ |= {"PYTHONPATH": str(where), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.dont_write_bytecode = True
        code = int(pytest.main(["-qx", "-p", "no:cacheprovider", "--assert=plain", *files]))
    finally:
        os._exit(code)


def survives(mutant: Mutant, where: Path, files: list[str]) -> bool:
    """Whether all tests pass with the mutant in place."""
    file = where / mutant.path
    original, stat = file.read_bytes(), file.stat()
    try:
        file.write_text(mutant.source, encoding="utf-8")
        return passes(where, files)
    finally:
        file.write_bytes(original)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def main() -> int:
    """Run the sample; 0 where at least 95 % are killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=100, help="number of mutants")
    parser.add_argument("--seed", type=int, default=14, help="which mutants are drawn")
    parser.add_argument("--state", type=Path, help="file to keep results in, and to go on from")
    parser.add_argument("--retry", action="store_true", help="run again those that survived")
    parser.add_argument("--list", action="store_true", help="show mutants and tests, run nothing")
    options = parser.parse_args()
    say = sys.stdout.write
    known: dict[str, bool] = {}
    if options.state and options.state.is_file():
        lines = options.state.read_text(encoding="utf-8").splitlines()
        known = {row["key"]: row["survived"] for row in map(json.loads, lines)}
    sound: set[str] = set()  # test files that pass where nothing is changed
    drawn, selection = sample(options.n, options.seed), Selection()
    if options.list:
        for mutant in drawn:
            say(f"{mutant}\n    {' '.join(selection.files(mutant))}\n")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder, "work")
        for mutant in drawn:
            if mutant.key in known and not (options.retry and known[mutant.key]):
                continue
            if not where.exists():
                copied(where)
            files = selection.files(mutant)
            for file in set(files) - sound:
                if not passes(where, [file]):
                    sys.stderr.write(f"{file} fails without any mutant\n")
                    return 2
            sound |= set(files)
            known[mutant.key] = survives(mutant, where, files)
            sys.stderr.write(f"{'SURVIVED' if known[mutant.key] else 'killed'}  {mutant}\n")
            if options.state:
                options.state.parent.mkdir(parents=True, exist_ok=True)
                with options.state.open("a", encoding="utf-8") as out:
                    row = {"key": mutant.key, "survived": known[mutant.key], "what": str(mutant)}
                    out.write(json.dumps(row) + "\n")
    return report(drawn, known)


def report(drawn: list[Mutant], known: dict[str, bool]) -> int:
    """Print what was killed and what was not; 0 where at least 95 % of what could be is killed."""
    say = sys.stdout.write
    same = [m for m in drawn if known[m.key] and m.change in EQUIVALENT]
    alive = [m for m in drawn if known[m.key] and m.change not in EQUIVALENT]
    for room in ROOMS:
        here = [mutant for mutant in drawn if mutant.room == room]
        say(f"{room}: {sum(not known[m.key] for m in here)} of {len(here)} killed\n")
    killed = len(drawn) - len(alive) - len(same)
    say(f"{killed} of {len(drawn)} mutants killed, {len(same)} equivalent\n")
    for mutant in same:
        say(f"  equivalent: {mutant}\n    {EQUIVALENT[mutant.change]}\n")
    for mutant in alive:
        say(f"  survived: {mutant}\n")
    return 0 if 20 * len(alive) <= len(drawn) else 1


if __name__ == "__main__":
    raise SystemExit(main())
