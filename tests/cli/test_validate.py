"""`safebench validate`: what it prints, how it ends, and what it leaves alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from safebench.checks import LEVELS
from safebench.cli.validate import command
from safebench.resources import spec_dir
from tests.conformance.runner import INVALID, VALID

PLAN = VALID / "minimal-plan.yaml"


def validate(*arguments: object, stdin: bytes | None = None) -> Result:
    result = CliRunner().invoke(command, [str(a) for a in arguments], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.yaml"
    path.write_text(PLAN.read_text().replace("checkpoints: [1, 2]", "checkpoints: [1, 3]"))
    return path


def test_a_valid_plan_in_words() -> None:
    result = validate(PLAN)
    assert result.exit_code == 0
    assert result.output == (
        "0 errors, 0 warnings. Level: declared (55 of 55 mandatory fields reported).\n"
        "A run here would stop: data[0].path: household.jsonl is not beside the card; "
        "put it there.\n"
        "For `evidenced`: execute the plan: safebench run CARD --out DIR.\n"
    )


def test_a_finding_shows_its_line_and_points_at_it(broken: Path) -> None:
    result = validate(broken)
    assert result.exit_code == 1
    line = broken.read_text().splitlines().index("  checkpoints: [1, 3]") + 1
    assert result.output == (
        f"{broken}:{line}:20  SB-HYP-001  error    hyperparameters.checkpoints[1]\n"
        f"   {line:>2} |   checkpoints: [1, 3]\n"
        "      |                    ^\n"
        "   checkpoint 3 was never trained: epochs is 2.\n"
        "   Fix: remove it, or correct epochs.   (safebench rules SB-HYP-001)\n"
        "\n"
        "1 error, 0 warnings. Level: incomplete (55 of 55 mandatory fields reported).\n"
        "For `declared`: fix the error.\n"
    )


def test_a_long_line_is_cut_around_the_place(tmp_path: Path) -> None:
    data = json.loads(validate_data())
    data["hyperparameters"]["checkpoints"] = [1, 3]
    path = tmp_path / "card.json"
    path.write_text(json.dumps(data))
    lines = validate(path).output.splitlines()
    assert len(lines[1]) <= 110
    assert lines[1][lines[2].index("^")] == "3"
    assert "[1, 3]" in lines[1]


def validate_data() -> str:
    from safebench.card.io import load_document

    return json.dumps(load_document(PLAN).data)


def test_several_paths_are_told_apart_and_summed_up(broken: Path, tmp_path: Path) -> None:
    result = validate(PLAN, broken, tmp_path / "absent.yaml")
    assert result.exit_code == 2
    lines = result.output.splitlines()
    assert lines[0].startswith(f"{PLAN}: 0 errors, 0 warnings.")
    assert any(line.startswith(f"{broken}: 1 error, 0 warnings.") for line in lines)
    assert f"{tmp_path / 'absent.yaml'}  SB-READ-001  error" in lines
    assert "   no such file." in lines
    assert lines[-1] == "3 files, 1 with errors, 1 unreadable."


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["minimal-plan.yaml"], 0),
        (["minimal-plan.yaml", "--level", "declared"], 0),
        (["minimal-plan.yaml", "--level", "evidenced"], 1),
        (["untuned-plan.yaml"], 0),
        (["untuned-plan.yaml", "--level", "incomplete"], 0),
        (["untuned-plan.yaml", "--level", "declared"], 1),
        (["submission", "--level", "evidenced"], 0),
        (["submission", "--level", "replicated"], 1),
        (["nowhere.yaml"], 2),
        ([".", "nowhere.yaml"], 2),
        (["../invalid/SB-HYP-001/card.yaml"], 1),
        (["../invalid/SB-DEC-006/card.yaml"], 0),
        (["../invalid/SB-READ-001/card.yaml", "../invalid/SB-HYP-001/card.yaml"], 2),
        ([], 2),
        (["minimal-plan.yaml", "--level", "perfect"], 2),
        (["minimal-plan.yaml", "--format", "xml"], 2),
    ],
)
def test_exit_codes(monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int) -> None:
    monkeypatch.chdir(VALID)
    assert validate(*arguments).exit_code == code


def test_asking_for_a_level_names_each_field_that_keeps_from_it() -> None:
    result = validate(VALID / "untuned-plan.yaml", "--level", "declared")
    assert "SB-CARD-011  error    prompting.system_prompt" in result.output
    assert "the model's page does not say; level declared was asked for." in result.output


def test_json_is_what_the_standard_says(broken: Path, tmp_path: Path) -> None:
    result = validate(broken, tmp_path / "absent.yaml", "--format", "json")
    assert result.exit_code == 2
    answer = json.loads(result.output)
    schema = json.loads((spec_dir() / "v1" / "report.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(answer, schema)
    assert schema["properties"]["files"]["items"]["properties"]["level"]["enum"] == [*LEVELS, None]
    first, second = answer["files"]
    assert first["path"] == str(broken)
    assert (first["spec"], first["level"]) == ("safebench/1.0", "incomplete")
    assert first["completeness"] == {"reported": 55, "required": 55}
    assert first["findings"] == [
        {
            "rule": "SB-HYP-001",
            "severity": "error",
            "pointer": "/hyperparameters/checkpoints/1",
            "line": 23,
            "column": 20,
            "message": "checkpoint 3 was never trained: epochs is 2",
            "fix": "remove it, or correct epochs",
            "patch": [],
        }
    ]
    assert (second["spec"], second["level"], second["completeness"]) == (None, None, None)
    assert second["findings"][0]["rule"] == "SB-READ-001"


def test_a_card_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    text = PLAN.read_text().replace("loss_on: completion", r'loss_on: "\e[2J\u202e\n\a"')
    text = text.replace("r: 8", r'r: {not_reported: "\e]0;x\a"}') + "# \u202e direction\n"
    path.write_text(text.replace("first_party", "first_partie  # \u202e"))
    output = validate(path).output
    assert r"\x1b[2J\u202e\n\x07" in output
    assert all(c.isprintable() or c == "\n" for c in output)


# --- folders and standard input -----------------------------------------------------------------


def test_a_folder_means_the_cards_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = PLAN.read_text()
    for name, text in {
        "a/card.yaml": plan, "a/reruns/b/card.yml": plan, "plan.yaml": plan,
        "plan.json": validate_data(), "quoted.yaml": plan.replace("spec:", '"spec":'),
        ".hidden/card.yaml": "x", "a/.card.yaml": "x", "other.yaml": "spec: openapi/3.0\n",
        "notes.txt": plan, "adapter_config.json": "{}", "not-yaml.yaml": "a: [",
    }.items():  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    answer = json.loads(validate(".", "--format", "json").output)
    assert [file["path"] for file in answer["files"]] == [
        "a/card.yaml", "a/reruns/b/card.yml", "plan.json", "plan.yaml", "quoted.yaml",
    ]  # fmt: skip


def test_a_card_by_name_is_never_passed_over(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "card.yaml").write_text("a: [")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "card.yaml").symlink_to(tmp_path / "nowhere")
    shutil.copyfile(PLAN, tmp_path / "plan.yaml")
    result = validate(tmp_path)
    assert result.exit_code == 2
    assert "not YAML" in result.output
    assert "a symbolic link to nothing" in result.output
    assert result.output.endswith("3 files, 0 with errors, 2 unreadable.\n")


def test_a_folder_without_cards_is_an_answer_of_its_own(tmp_path: Path) -> None:
    result = validate(tmp_path)
    assert result.exit_code == 2
    assert "there is no card in this folder" in result.output


def test_cards_only_passes_over_everything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(PLAN, "plan.yaml")
    for name, text in {
        "other.yaml": "a: 1", "settings.json": "{}", "broken.yml": "a: [", "notes.txt": "spec: x",
    }.items():  # fmt: skip
        Path(name).write_text(text)
    Path("empty").mkdir()
    others = ["other.yaml", "settings.json", "broken.yml", "notes.txt", "empty"]
    result = validate("--cards-only", *others)
    assert (result.exit_code, result.output) == (0, "No cards to check.\n")
    result = validate("--cards-only", *others, "plan.yaml")
    assert result.exit_code == 0
    assert result.output.startswith("0 errors, 0 warnings. Level: declared")
    assert validate(*others, "plan.yaml").exit_code == 2


def test_cards_only_keeps_what_is_or_should_be_a_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("card.yaml").write_text("a: 1")
    assert validate("--cards-only", "card.yaml").exit_code == 1
    assert validate("--cards-only", "absent.yaml").exit_code == 2
    assert validate("--cards-only", "-", stdin=b"a: [").exit_code == 2


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    shutil.copyfile(PLAN, tmp_path / "card.yaml")
    (tmp_path / "self").symlink_to(tmp_path)
    assert validate(tmp_path).exit_code == 0


def test_standard_input() -> None:
    result = validate("-", stdin=PLAN.read_bytes())
    assert result.exit_code == 0
    result = validate("-", stdin=b"a: [")
    assert result.exit_code == 2
    assert result.output.startswith("<stdin>:1:4  SB-READ-001  error\n    1 | a: [\n")


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "card.yaml")
    for path in (tmp_path, tmp_path / "card.yaml"):
        result = validate(path)
        assert result.exit_code == 2
        assert "is not a regular file" in result.output


def test_what_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "card.yaml"
    shutil.copyfile(PLAN, path)

    def denied(name: object, *_: object) -> int:  # file modes do not stop root
        raise PermissionError(13, "Permission denied", str(name))

    monkeypatch.setattr("safebench.card.read.os.open", denied)
    result = validate(path)
    assert result.exit_code == 2
    assert "Permission denied" in result.output


def test_a_folder_that_cannot_be_listed_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    shutil.copyfile(PLAN, tmp_path / "card.yaml")
    listed = os.scandir

    def denied(name: object = ".") -> object:  # file modes do not stop root
        if str(name).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(name))
        return listed(name)

    monkeypatch.setattr(os, "scandir", denied)
    result = validate(tmp_path)
    assert result.exit_code == 2
    assert result.output.count("Permission denied") == 1
    assert f"{tmp_path / 'card.yaml'}: 0 errors" in result.output


# --- the program as a whole ---------------------------------------------------------------------


def test_nothing_heavy_is_imported() -> None:
    """validate runs where torch and friends are not installed, and pandas and click stay out."""
    program = (
        "import sys\n"
        "from safebench.cli.main import main\n"
        "try:\n"
        "    main(['validate', sys.argv[1]])\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0, end.code\n"
        "heavy = {'torch', 'transformers', 'peft', 'trl', 'datasets', 'accelerate', 'lm_eval',\n"
        "         'pandas', 'jinja2', 'ruamel'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))\n"
    )
    for path in (PLAN, VALID / "submission"):
        done = subprocess.run(
            [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
        )
        assert done.stdout.endswith("[]\n"), done.stdout


def test_every_invalid_example_is_checked_in_one_go() -> None:
    answer = json.loads(validate(INVALID, "--format", "json").output)
    assert len(answer["files"]) == len(list(INVALID.iterdir()))
