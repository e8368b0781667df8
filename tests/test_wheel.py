"""The wheel carries tasks, standard, templates and model, and works from an empty directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parent.parent


def run(command: list[object], cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**kept, **environment},
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel."""
    out = tmp_path_factory.mktemp("wheel")
    done = run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT], out
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.whl")
    return path


def test_everything_is_inside(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for name in (
        "safebench/py.typed",
        "safebench/_data/tasks/safebench_harm/safebench_harm.yaml",
        "safebench/_data/tasks/safebench_harm/harm.jsonl",
        "safebench/_data/spec/v1/card.schema.json",
        "safebench/demo/plan.yaml",
        "safebench/demo/household.jsonl",
        "safebench/demo/tiny-chat/model.safetensors",
        "safebench/demo/tiny-chat/recipe.json",
        "safebench/site/templates/index.html",
    ):
        assert name in names
    assert not [n for n in names if n.startswith("tests/") or "__pycache__" in n]


def test_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    """Install the light core, nothing else, and validate a card from an empty directory."""
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    options = ["--quiet", "--no-compile", "-c", ROOT / "constraints.txt"]
    installed = run(
        [sys.executable, "-m", "pip", "--python", python, "install", *options, wheel], tmp_path
    )
    assert installed.returncode == 0, installed.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    command = tmp_path / "env" / "bin" / "safebench"
    schema = run([command, "schema"], empty)
    assert schema.stdout == (ROOT / "spec" / "v1" / "card.schema.json").read_text()
    shutil.copy(ROOT / "safebench" / "demo" / "plan.yaml", empty / "card.yaml")
    checked = run([command, "validate", "card.yaml"], empty)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "Level:" in checked.stdout
    shutil.copy(ROOT / "safebench" / "demo" / "household.jsonl", empty)
    counted = run([command, "run", "card.yaml", "--dry-run"], empty)
    assert counted.returncode == 0, counted.stdout + counted.stderr
    assert "new tokens" in counted.stdout
    explained = run([command, "rules", "SB-DEC-004"], empty)
    assert explained.returncode == 0, explained.stdout + explained.stderr
    assert "  +  - {name: greedy, do_sample: false, temperature: 0.7" in explained.stdout
    refused = run([command, "run", "card.yaml", "--out", "x"], empty)
    assert refused.returncode == 2
    assert "pip install 'safebench[run]'" in refused.stderr


def test_the_installed_package_runs_its_own_tasks_and_model(wheel: Path, tmp_path: Path) -> None:
    """The wheel's files, not the checkout's, with this environment's libraries."""
    target, empty = tmp_path / "site", tmp_path / "empty"
    zipfile.ZipFile(wheel).extractall(target)
    empty.mkdir()
    plan = (ROOT / "safebench" / "demo" / "plan.yaml").read_text()
    names = ("harm", "overrefusal", "capability")
    limited = ", ".join(f"{{name: safebench_{name}, limit: 4}}" for name in names)
    head = plan[: plan.index("tasks: [")]
    plan = head.replace("path: household.jsonl", "id: builtin:household")
    plan = plan.replace("training: 5", "training: 1") + f"tasks: [{limited}]\n"
    plan = plan.replace("epochs: 2", "epochs: 1").replace("checkpoints: [1, 2]", "checkpoints: [1]")
    (empty / "plan.yaml").write_text(plan)
    program = (
        "import safebench, sys; from safebench.cli.main import main;"
        f"assert safebench.__file__.startswith({str(target)!r}), safebench.__file__;"
        "main(['run', 'plan.yaml', '--out', 'out'])"
    )
    done = run([sys.executable, "-c", program], empty, PYTHONPATH=str(target))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (empty / "out" / "card.yaml").is_file()
