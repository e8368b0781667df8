"""What a run imports before it needs it: seconds of every start, on every worker."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import safebench

ROOT = Path(safebench.__file__).parent.parent
ROOMS = ("safebench.cli.run", "safebench.study.execute", "safebench.models.transformers_engine")
LATE = ("peft", "trl", "bitsandbytes", "accelerate", "ray", "openai", "vllm")


def imported(nodes: list[ast.stmt]) -> Iterator[str]:
    """Yield what statements import when their module is: not in functions, nor for types."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
            yield from (f"{node.module}.{one.name}" for one in node.names)
        elif not isinstance(node, ast.FunctionDef) and "TYPE_CHECKING" not in ast.dump(node)[:80]:
            yield from imported([n for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt)])


def test_what_only_some_models_need_is_not_imported_with_a_module() -> None:
    left, seen, others = list(ROOMS), set[str](), set[str]()
    while left:
        name = left.pop()
        place = ROOT.joinpath(*name.split("."))
        file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if name in seen or not file.is_file():
            continue
        seen.add(name)
        found = list(imported(ast.parse(file.read_text(encoding="utf-8")).body))
        left += [one for one in found if one.startswith("safebench.")]
        others.update(one.partition(".")[0] for one in found)
    assert {"torch", "lm_eval"} <= others
    assert "safebench.tuning.peft_trainer" in seen
    assert not others.intersection(LATE)
