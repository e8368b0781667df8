"""`safebench init` as a stranger meets it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.cli.test_commands import HEAVY, imported
from tests.command import safebench
from tests.conftest import ROOT
from tests.importing.made import adapter, arguments, results, state

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def made(folder: Path) -> None:
    for seed in (1, 2, 3):
        run = folder / "out" / f"seed-{seed}"
        adapter(run, str(seed).encode())
        state(run)
        arguments(run, seed=seed)
    results(folder / "eval")


def test_a_card_of_a_study_made_elsewhere(here: Path, capsys: Capture) -> None:
    made(here)
    ran = safebench(capsys, "init", "--from", "out", "--from", "eval", "--out", "mine.yaml")
    assert ran.code == 0
    assert "read adapter_config.json (3)  " in ran.err
    assert "read results_*.json  " in ran.err
    assert "7 of hyperparameters, 5 of model" in ran.err
    assert " mandatory fields reported)." in ran.err
    assert "Next: replace each `to fill in`, then safebench validate mine.yaml" in ran.err
    assert "safebench run" not in ran.err  # there is nothing to run: it was run
    checked = safebench(capsys, "validate", "mine.yaml")
    assert checked.code == 0
    assert checked.out.strip() in ran.err
    data = yaml.safe_load((here / "mine.yaml").read_text())
    assert [w["path"] for w in data["model"]["weights"]] == [
        "out/seed-1",
        "out/seed-2",
        "out/seed-3",
    ]


def test_weights_are_named_from_where_the_card_lies(here: Path, capsys: Capture) -> None:
    made(here)
    (here / "cards").mkdir()
    ran = safebench(capsys, "init", "--from", "out", "--out", "cards/mine.yaml")
    assert ran.code == 0
    data = yaml.safe_load((here / "cards" / "mine.yaml").read_text())
    assert data["model"]["weights"][0]["path"] == "../out/seed-1"


def test_the_card_on_standard_output(here: Path, capsys: Capture) -> None:
    made(here)
    ran = safebench(capsys, "init", "--from", "out", "--out", "-")
    assert ran.code == 0
    assert yaml.safe_load(ran.out)["hyperparameters"]["lora"]["r"] == 8
    assert "Wrote" not in ran.err
    assert sorted(path.name for path in here.iterdir()) == ["eval", "out"]


def test_an_existing_card_is_kept(here: Path, capsys: Capture) -> None:
    made(here)
    (here / "card.yaml").write_text("mine\n")
    ran = safebench(capsys, "init", "--from", "out")
    assert ran.code == 2
    assert "card.yaml exists" in ran.err and "--force" in ran.err
    assert (here / "card.yaml").read_text() == "mine\n"
    assert safebench(capsys, "init", "--from", "out", "--force").code == 0
    assert (here / "card.yaml").read_text().startswith("# A card of the standard")


def test_a_folder_is_no_card(here: Path, capsys: Capture) -> None:
    (here / "cards").mkdir()
    ran = safebench(capsys, "init", "--from", ".", "--out", "cards", "--force")
    assert ran.code == 2
    assert "cards is a folder" in ran.err and "cards/card.yaml" in ran.err


@pytest.mark.parametrize(
    ("arguments_", "message"),
    [
        (("--from", "absent"), "absent: no such file or folder"),
        (("--from", "notes"), "notes holds nothing that init can read"),
        (("--from", "out", "--method", "none"), "--method is 'none'"),
        (("--from", "out", "--id", "No Name"), "--id cannot be submission.id"),
        (("--from", "out", "--title", ""), "--title cannot be submission.title"),
        (("--method", "magic"), "'magic' is not one of"),
    ],
)
def test_what_cannot_be_done_is_one_message_and_no_file(
    arguments_: tuple[str, ...], message: str, here: Path, capsys: Capture
) -> None:
    made(here)
    (here / "notes").mkdir()
    ran = safebench(capsys, "init", *arguments_)
    assert ran.code == 2
    assert message in ran.err
    assert ran.out == ""
    assert not (here / "card.yaml").exists()


def test_contradicting_files_are_both_named(here: Path, capsys: Capture) -> None:
    made(here)
    adapter(here / "out" / "seed-4", b"4", r=16)
    ran = safebench(capsys, "init", "--from", "out")
    assert ran.code == 2
    assert "  out/seed-1/adapter_config.json: r is 8\n" in ran.err
    assert "  out/seed-4/adapter_config.json: r is 16\n" in ran.err
    assert not (here / "card.yaml").exists()


def test_a_hostile_name_cannot_write_to_the_terminal(here: Path, capsys: Capture) -> None:
    evil = "x\x1b[31m"
    results(here / "eval", config={"model_args": {"pretrained": evil}})
    adapter(here / "out")
    ran = safebench(capsys, "init", "--from", "out", "--from", "eval")
    assert ran.code == 0
    assert "\x1b[31m" not in ran.err
    assert "note: " in ran.err


def test_options_are_in_the_card(here: Path, capsys: Capture) -> None:
    said = ("--id", "mine", "--title", "A title", "--submitter", "A. Lab", "--contact", "a@b.org")
    results(here / "eval")
    ran = safebench(capsys, "init", "--from", "eval", *said, "--method", "full")
    assert ran.code == 0
    assert "to be named" not in ran.err
    data = yaml.safe_load((here / "card.yaml").read_text())
    assert data["submission"]["id"] == "mine"
    assert data["hyperparameters"]["method"] == "full"


def test_no_model_library_is_needed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(here)
    monkeypatch.chdir(ROOT)  # where the package under test lies
    arguments_ = ["init", "--from", str(here), "--out", str(here / "card.yaml")]
    program = (
        "from safebench.cli.main import main\n"
        f"try: main({arguments_})\n"
        "except SystemExit as end: assert not end.code"
    )
    assert not imported(program) & set(HEAVY)
    assert (here / "card.yaml").is_file()
