"""How a command starts: without what it does not need."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import safebench
from tests.conformance.runner import VALID

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


def test_the_package_has_no_other_names() -> None:
    assert safebench.__version__[0].isdigit()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = safebench.nothing
