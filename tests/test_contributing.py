"""CONTRIBUTING.md's section on adding a task, followed as it stands."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from safebench import resources
from safebench.harness import tasks
from safebench.harness.tasks import load_task
from tests.command import safebench

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
_FILE = re.compile(r"`([\w/]+\.(?:yaml|md|csv))`:\s*$")


def section() -> str:
    """Return the text between two headings."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.split("## Adding a task\n", 1)[1].split("\n## ", 1)[0]


def files() -> dict[str, str]:
    """Return every code block that is a file, by the name that stands before it."""
    text, found = section(), {}
    for block in _BLOCK.finditer(text):
        named = _FILE.search(text[: block.start()])
        if named:
            found[named[1]] = block[2]
    return found


@pytest.fixture
def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder in which the files of the section were written beside our tasks."""
    shutil.copytree(resources.tasks_dir(), tmp_path / "tasks")
    for name, content in files().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    find = resources._find
    monkeypatch.setattr(
        resources, "_find", lambda name: tmp_path / name if name == "tasks" else find(name)
    )
    tasks._manager.cache_clear()
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    tasks._manager.cache_clear()


def test_the_section_has_the_files_it_speaks_of() -> None:
    assert list(files()) == [
        "tasks/safebench_mybench/safebench_mybench.yaml",
        "tasks/safebench_mybench/README.md",
        "mybench.csv",
    ]
    assert len(files()["tasks/safebench_mybench/safebench_mybench.yaml"].splitlines()) == 10


def test_the_task_loads_as_described(followed: Path) -> None:
    task = load_task("safebench_mybench", file=followed / "mybench.csv")
    assert [d["prompt_id"] for d in task.documents] == ["mybench-1", "mybench-2", "mybench-3"]
    assert task.documents[2]["category"] == "blackmail"
    assert (task.constructs, task.version, task.dataset_id) == (("harm",), "1.0", "mylab/mybench")
    assert task.clusters == 2


def test_the_commands_show_it(
    followed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "130")
    commands = [block[2] for block in _BLOCK.finditer(section()) if block[1] == "console"]
    listed, shown = commands[0].splitlines()
    variable, _, rest = listed.removeprefix("$ ").partition("=")
    file, *words = rest.split()
    before = safebench(capsys, *words[1:])
    assert re.search(
        r"safebench_mybench .* harm .* 200\* .* mylab/mybench .* MIT .* gated", before.out
    )
    monkeypatch.setenv(variable, file)
    ran = safebench(capsys, *words[1:])
    assert re.search(r"safebench_mybench .* harm .* 3  .* mylab/mybench .* local copy", ran.out)
    ran = safebench(capsys, *shown.removeprefix("$ ").split()[1:])
    assert ran.out == files()["tasks/safebench_mybench/README.md"]


def test_its_readme_has_what_every_published_task_says() -> None:
    from tests.harness.test_published import ROWS

    readme = files()["tasks/safebench_mybench/README.md"]
    assert all(f"| {row} |" in readme for row in ROWS)
