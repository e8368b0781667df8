"""How a command starts: without what it does not need."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

import safebench
from safebench.cli.executing import needs_models
from tests.conformance.runner import VALID
from tests.plans import plan_data
from tests.tiny_runs import QUICK, write_tiny

ROOT = VALID.parents[3]
PROGRAM = """
import sys
from safebench.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("modules", *sys.modules)
if "pydantic.plugin._loader" in sys.modules:
    print("plugins", sys.modules["pydantic.plugin._loader"]._plugins)
"""


RUNS = """
import sys
from safebench.cli import console
from safebench.cli.main import main

console.LINE_EVERY = float("inf")  # on a busy machine a run says how far it is


class Processor:
    # For one with avx512_bf16 bitsandbytes looks for a kernel, and says that it is not there.
    def find_spec(self, name, *_):
        if name == "bitsandbytes.backends.cpu.ops":
            sys.modules["bitsandbytes.functional"].has_avx512bf16 = lambda: True


LAYERS = "peft.tuners.lora.bnb"  # what peft puts onto quantized weights
sys.meta_path.insert(0, Processor())
for plan in sys.argv[1].split(","):
    try:
        main(["run", f"{plan}/plan.yaml", "--out", f"{plan}/out", *sys.argv[2:]])
    except SystemExit as ended:
        print("ended", plan, ended.code, *sorted({"bitsandbytes", LAYERS} & set(sys.modules)))
"""


def start(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if "PYDANTIC" not in name},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_the_version_is_printed_without_the_models() -> None:
    printed, _, modules = start("--version").partition("\nmodules ")
    assert printed == f"safebench, version {safebench.__version__}"
    assert "pydantic" not in modules.split()


def test_no_plugin_of_pydantic_is_looked_for() -> None:
    assert start("validate", str(VALID / "minimal-plan.yaml")).endswith("plugins None\n")


@pytest.mark.slow
def test_a_run_says_nothing_that_is_not_its_own_and_quantizes_only_where_asked(
    tmp_path: Path,
) -> None:
    """In one process, so that what does without bitsandbytes first can have it afterwards."""
    usual = plan_data()["hyperparameters"] | {"epochs": 1, "checkpoints": [1]}
    plans: dict[str, dict[str, Any]] = {
        "lora": {"control": True},
        "dora": {"hyperparameters": {**usual, "method": "dora"}},
        "full": {"hyperparameters": {**usual, "method": "full"}},
        "nf4": {"model": {**plan_data()["model"], "quantization": "nf4"}},
        "qlora": quantized("nf4", usual),
        "int8": quantized("int8", usual),
        "again": {},
    }
    del plans["full"]["hyperparameters"]["lora"]
    for name, sections in plans.items():
        write_tiny(tmp_path / name, seeds=1, **sections)
    quick = [str(setting) for setting in QUICK]
    done = subprocess.run(
        [sys.executable, "-c", RUNS, ",".join(plans), *quick],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [line for line in done.stdout.splitlines() if line.startswith("ended")] == [
        *(f"ended {name} 0" for name in ("lora", "dora", "full")),
        *(
            f"ended {name} 0 bitsandbytes peft.tuners.lora.bnb"
            for name in ("nf4", "qlora", "int8", "again")
        ),
    ]
    assert done.stderr == ""


def quantized(kind: str, training: dict[str, Any]) -> dict[str, Any]:
    """Sections of a plan that trains on quantized weights, and generates with them."""
    how = {"type": kind, "compute_dtype": "float32"}
    return {
        "model": {**plan_data()["model"], "quantization": kind},
        "hyperparameters": {**training, "method": "qlora", "quantization": how},
    }


def test_what_libraries_say_of_each_other_is_not_shown() -> None:
    with needs_models("run"):
        warnings.warn("this package has another name now", FutureWarning, stacklevel=1)


def test_the_package_has_no_other_names() -> None:
    assert safebench.__version__[0].isdigit()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = safebench.nothing
