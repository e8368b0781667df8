"""Where others run `safebench validate`, run for real: the pre-commit hook, the GitHub action."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from safebench.checks import LEVELS
from tests.conformance.runner import VALID

ROOT = Path(__file__).resolve().parents[2]
PLAN = (VALID / "minimal-plan.yaml").read_text()
BROKEN = PLAN.replace("checkpoints: [1, 2]", "checkpoints: [1, 3]")
Ran = subprocess.CompletedProcess[str]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A machine on which `safebench` is on the path, and nothing of this one's settings."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "safebench"
    program.write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m safebench.cli.main "$@"\n'
    )
    program.chmod(0o755)
    kept = {key: os.environ[key] for key in ("LANG", "LC_ALL") if key in os.environ}
    return kept | {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "PRE_COMMIT_HOME": str(tmp_path / "pre-commit"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    return folder


def run(command: list[object], cwd: Path, environment: dict[str, str]) -> Ran:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


# --- pre-commit ---------------------------------------------------------------------------------


def hook() -> dict[str, Any]:
    (found,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert found["language"] == "python"
    return dict(found)


def commit_check(
    repository: Path, environment: dict[str, str], files: dict[str, str], **settings: Any
) -> Ran:
    """Stage some files and run the hook on them, installed by the system instead of pip."""
    local = hook() | {"language": "system"} | settings
    config = {"repos": [{"repo": "local", "hooks": [local]}]}
    (repository / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    for name, text in files.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
    for command in (["git", "init", "--quiet"], ["git", "add", "--all"]):
        done = run(list(command), repository, environment)
        assert done.returncode == 0, done.stderr
    return run([sys.executable, "-m", "pre_commit", "run"], repository, environment)


def test_the_hook_is_one_that_pre_commit_knows(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pre_commit", "validate-manifest", ".pre-commit-hooks.yaml"]
    done = run(list(command), ROOT, environment)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_commit_of_good_cards_passes(repository: Path, environment: dict[str, str]) -> None:
    files = {"cards/card.yaml": PLAN, "my plan.yml": PLAN, "settings.json": "{}", "a.yaml": "a: ["}
    done = commit_check(repository, environment, files, verbose=True)
    assert done.returncode == 0, done.stdout
    assert "Passed" in done.stdout
    assert "cards/card.yaml: 0 errors" in done.stdout
    assert "my plan.yml: 0 errors" in done.stdout
    assert "2 files, 0 with errors." in done.stdout


def test_a_commit_of_a_broken_card_fails(repository: Path, environment: dict[str, str]) -> None:
    done = commit_check(repository, environment, {"plan.yaml": BROKEN, "card.yaml": PLAN})
    assert done.returncode == 1
    assert "Failed" in done.stdout
    assert "- exit code: 1" in done.stdout
    assert "plan.yaml:23:20  SB-HYP-001  error" in done.stdout


def test_a_commit_without_yaml_skips_the_hook(
    repository: Path, environment: dict[str, str]
) -> None:
    done = commit_check(
        repository, environment, {"notes.md": BROKEN}, exclude="^.pre-commit-config.yaml$"
    )
    assert done.returncode == 0
    assert "(no files to check)Skipped" in done.stdout


@pytest.mark.parametrize(("level", "code"), [("declared", 0), ("evidenced", 1)])
def test_a_level_is_given_as_an_argument(
    level: str, code: int, repository: Path, environment: dict[str, str]
) -> None:
    args = ["--level", level]
    done = commit_check(repository, environment, {"card.yaml": PLAN}, args=args)
    assert done.returncode == code, done.stdout
    assert ("SB-CARD-011" in done.stdout) == bool(code)


# --- the GitHub action --------------------------------------------------------------------------


def action() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "action.yml").read_text()))


def validate(
    repository: Path, environment: dict[str, str], files: dict[str, str], **inputs: str
) -> Ran:
    """Run the action's last step in a checkout, with the inputs as the runner fills them in."""
    for name, text in files.items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)
    (repository / "card.txt").write_text(PLAN)
    given = {name: entry["default"] for name, entry in action()["inputs"].items()}
    assert inputs.keys() <= given.keys()
    given |= inputs
    step = action()["runs"]["steps"][-1]
    names = {f"${{{{ inputs.{name} }}}}": value for name, value in given.items()} | {
        "${{ steps.install.outputs.command }}": "safebench"
    }
    variables = {key: names[value] for key, value in step["env"].items()}
    script = repository.parent / "step.sh"
    script.write_text(step["run"])
    assert step["shell"] == "bash"
    command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script]
    workspace = {"GITHUB_WORKSPACE": str(repository), "GITHUB_ACTIONS": "true"}
    return run(list(command), repository, environment | workspace | variables)


def annotations(done: Ran) -> list[str]:
    return [line for line in done.stdout.splitlines() if line.startswith("::")]


def test_the_action_is_one_that_github_knows(environment: dict[str, str]) -> None:
    command = [
        sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions",
        "action.yml",
    ]  # fmt: skip
    done = run(list(command), ROOT, environment)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_input_is_pasted_into_a_script() -> None:
    steps = action()["runs"]["steps"]
    assert all("${{" not in step["run"] for step in steps)
    used = {value for step in steps for value in step.get("env", {}).values()}
    assert {f"${{{{ inputs.{name} }}}}" for name in action()["inputs"]} <= used


def test_the_action_installs_itself_and_leaves_the_job_alone(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """The first step with a stand-in for Python: what it would install, and where."""
    step = action()["runs"]["steps"][0]
    stand_in = tmp_path / "bin" / "python3"
    stand_in.write_text(
        '#!/bin/sh\n[ "$1" = -m ] && [ "$2" = venv ] || exit 0\n'
        'mkdir -p "$3/bin"\n'
        'printf \'#!/bin/sh\\necho "$@" >> %s/log\\n\' "$RUNNER_TEMP" > "$3/bin/python"\n'
        'chmod +x "$3/bin/python"\n'
    )
    stand_in.chmod(0o755)
    (tmp_path / "step.sh").write_text(step["run"])
    own = {
        "RUNNER_TEMP": str(tmp_path / "temp"), "GITHUB_ACTION_PATH": str(tmp_path / "my action"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }  # fmt: skip
    command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", tmp_path / "step.sh"]
    done = run(list(command), tmp_path, environment | own)
    assert done.returncode == 0, done.stderr
    log = (tmp_path / "temp" / "log").read_text()
    assert log == f"-m pip install --quiet --disable-pip-version-check {tmp_path / 'my action'}\n"
    assert (tmp_path / "output").read_text() == f"command={tmp_path}/temp/safebench/bin/safebench\n"


def test_an_old_python_is_said(tmp_path: Path, environment: dict[str, str]) -> None:
    for name in ("python3", "python"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "step.sh").write_text(action()["runs"]["steps"][0]["run"])
    command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", tmp_path / "step.sh"]
    done = run(list(command), tmp_path, environment)
    assert done.returncode == 2
    assert done.stdout.startswith("::error title=safebench::Python 3.11 or newer is needed")


def test_a_good_card_in_the_action(repository: Path, environment: dict[str, str]) -> None:
    done = validate(repository, environment, {"cards/card.yaml": PLAN})
    assert (done.returncode, done.stderr) == (0, "")
    assert annotations(done) == []
    assert done.stdout.startswith("cards/card.yaml: 0 errors, 0 warnings. Level: declared")


def test_a_broken_card_in_the_action(repository: Path, environment: dict[str, str]) -> None:
    done = validate(repository, environment, {"cards/card.yaml": BROKEN, "plan.yaml": PLAN})
    assert (done.returncode, done.stderr) == (1, "")
    (line,) = annotations(done)
    assert line.startswith("::error file=cards/card.yaml,line=23,col=20,endColumn=21,title=SB-HYP-")


def test_several_paths_one_per_line(repository: Path, environment: dict[str, str]) -> None:
    files = {"my cards/card.yaml": BROKEN, "--level": "x", "-x.yaml": BROKEN, "no.yaml": BROKEN}
    done = validate(repository, environment, files, paths="my cards\r\n\n-x.yaml\nabsent.yaml\n")
    assert done.returncode == 2
    assert [line.partition(",")[0] for line in annotations(done)] == [
        "::error file=my cards/card.yaml", "::error file=-x.yaml", "::error file=absent.yaml",
    ]  # fmt: skip


def test_no_paths_means_the_whole_checkout(repository: Path, environment: dict[str, str]) -> None:
    done = validate(repository, environment, {"a/card.yaml": PLAN}, paths="", format="")
    assert done.returncode == 0
    assert done.stdout.startswith("a/card.yaml: 0 errors")


def test_an_input_is_never_a_command(repository: Path, environment: dict[str, str]) -> None:
    evil = "$(touch pwned) `touch pwned`; touch pwned #"
    for name in action()["inputs"]:
        done = validate(repository, environment, {"card.yaml": PLAN}, **{name: evil})
        assert done.returncode == (0 if name == "sarif-file" else 2), name
        assert "Traceback" not in done.stderr
    assert not list(repository.rglob("pwned"))


def test_a_level_in_the_action(repository: Path, environment: dict[str, str]) -> None:
    done = validate(repository, environment, {"card.yaml": PLAN}, level="evidenced")
    assert done.returncode == 1
    (line,) = annotations(done)
    assert "title=SB-CARD-011::" in line


def test_sarif_beside_the_annotations(repository: Path, environment: dict[str, str]) -> None:
    inputs = {"sarif-file": "out/safebench.sarif", "paths": "card.yaml"}
    done = validate(repository, environment, {"card.yaml": BROKEN}, **inputs)
    assert done.returncode == 1
    assert len(annotations(done)) == 1
    log = json.loads((repository / "out" / "safebench.sarif").read_text())
    assert [found["ruleId"] for found in log["runs"][0]["results"]] == ["SB-HYP-001"]


def test_sarif_that_cannot_be_written_is_not_passed_over(
    repository: Path, environment: dict[str, str]
) -> None:
    (repository / "folder").mkdir()
    done = validate(repository, environment, {"card.yaml": PLAN}, **{"sarif-file": "folder"})
    assert done.returncode == 2
    assert "Is a directory" in done.stderr


# --- what docs/ci.md shows ------------------------------------------------------------------------


def test_the_page_shows_what_there_is() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "docs" / "ci.md").read_text(), re.M | re.S)
    shown = [yaml.safe_load(block) for block in blocks]
    (config,) = [block for block in shown if "repos" in block]
    (entry,) = config["repos"][0]["hooks"]
    assert entry["id"] == hook()["id"]
    assert entry["args"][0] == "--level"
    assert entry["args"][1] in LEVELS
    (workflow,) = [block for block in shown if "steps" in block]
    (given,) = [s["with"] for s in workflow["steps"] if "safebench@" in s["uses"]]
    assert given.keys() <= action()["inputs"].keys()
    assert given["level"] in LEVELS
    upload = workflow["steps"][-1]
    assert upload["if"] == "always()"
    assert upload["with"]["sarif_file"] == given["sarif-file"]
