"""What is found in folders, what is refused, and what hostile files come to."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from safebench.errors import InteropError
from safebench.importing import folders, record
from safebench.importing.draft.gather import find
from tests.importing.made import adapter, arguments, draft, read, results, state, values


def names(*paths: Path) -> list[str]:
    files = [file for all_ in find(paths).values() for file in all_]
    return [file.relative_to(paths[0]).as_posix() for file in files]


def test_files_come_in_a_fixed_order(tmp_path: Path) -> None:
    results(tmp_path / "eval")
    for step in (100, 9, 20):
        state(tmp_path / f"checkpoint-{step}")
    adapter(tmp_path)
    assert names(tmp_path) == [
        "adapter_config.json",
        "checkpoint-9/trainer_state.json",
        "checkpoint-20/trainer_state.json",
        "checkpoint-100/trainer_state.json",
        "eval/results_2026-01-02T03-04-05.6.json",
    ]


def test_a_file_given_twice_is_read_once(tmp_path: Path) -> None:
    path = adapter(tmp_path)
    assert len(names(tmp_path, path, tmp_path / ".." / tmp_path.name)) == 1


def test_a_renamed_file_is_known_by_its_content(tmp_path: Path) -> None:
    for kind, path in (
        ("adapter", adapter(tmp_path / "a")),
        ("trainer state", state(tmp_path / "b")),
        ("training arguments", arguments(tmp_path / "c")),
        ("lm-eval results", results(tmp_path / "d")),
    ):
        renamed = path.rename(tmp_path / f"{path.parent.name}.json")
        assert {kind: all_ for kind, all_ in find([renamed]).items() if all_} == {kind: [renamed]}


@pytest.mark.parametrize("name", ["notes.txt", "config.json"])
def test_a_file_of_nobody(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(InteropError, match=f"{name} is not a file that init can read") as raised:
        find([tmp_path / name])
    assert "adapter_config.json (peft)" in str(raised.value.fix)


def test_a_folder_with_nothing_to_read(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InteropError, match="holds nothing that init can read") as raised:
        find([tmp_path])
    assert "trainer_state.json" in str(raised.value.fix)


def test_a_tokenizer_alone_says_too_little(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text("x")
    with pytest.raises(InteropError, match=r"holds only chat_template.jinja, which is too little"):
        find([tmp_path])


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InteropError, match="absent: no such file or folder"):
        find([tmp_path / "absent"])


def test_every_path_has_to_hold_something(tmp_path: Path) -> None:
    adapter(tmp_path / "a")
    (tmp_path / "b").mkdir()
    with pytest.raises(InteropError, match="b holds nothing"):
        find([tmp_path / "a", tmp_path / "b"])


def test_links_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    outside = adapter(tmp_path / "outside")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "adapter_config.json").symlink_to(outside)
    (inside / "folder").symlink_to(outside.parent)
    with pytest.raises(InteropError, match="links to files outside it"):
        find([inside])
    state(inside)
    assert names(inside) == ["trainer_state.json"]


def test_links_within_are_followed_as_in_the_hubs_cache(tmp_path: Path) -> None:
    blob = adapter(tmp_path / "blobs").rename(tmp_path / "blobs" / "abc")
    snapshot = tmp_path / "snapshots" / "main"
    snapshot.mkdir(parents=True)
    (snapshot / "adapter_config.json").symlink_to(os.path.relpath(blob, snapshot))
    assert names(tmp_path) == ["snapshots/main/adapter_config.json"]


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    adapter(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path)
    (tmp_path / "trainer_state.json").symlink_to(tmp_path / "trainer_state.json")
    assert names(tmp_path) == ["adapter_config.json"]


def test_hidden_folders_are_left_alone(tmp_path: Path) -> None:
    adapter(tmp_path)
    adapter(tmp_path / ".cache")
    assert names(tmp_path) == ["adapter_config.json"]


def test_a_whole_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MOST_ENTRIES", 5)
    for number in range(6):
        (tmp_path / f"{number}.txt").touch()
    with pytest.raises(InteropError, match="more than 5 files and folders"):
        find([tmp_path])


def test_a_fifo_with_a_known_name_is_no_file(tmp_path: Path) -> None:
    adapter(tmp_path)
    os.mkfifo(tmp_path / "trainer_state.json")
    assert names(tmp_path) == ["adapter_config.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"[]", "it holds [], expected a mapping"),
        (b'"text"', "it holds 'text', expected a mapping"),
        (b"null", "it holds None, expected a mapping"),
        (b"\xff\xfe{}", "cannot be used"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"r": ' * 50_000, "nested too deeply"),
        (b'{"r": 8, "r": 16}', "the key 'r' occurs twice"),
        (b'{"r": 1' + b"0" * 5000 + b"}", "cannot be used"),
        (b'{"peft_type": "\\ud800"}', "half a character"),
        (b'{"\\ud800": 1}', "half a character"),
    ],
)
def test_damaged_files_are_one_message(content: bytes, message: str, tmp_path: Path) -> None:
    path = adapter(tmp_path)
    path.write_bytes(content)
    with pytest.raises(InteropError) as raised:
        read(tmp_path)
    assert str(path) in str(raised.value)
    assert message in str(raised.value)
    assert raised.value.fix
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("NaN", "`r` is nan, expected a whole number"),
        ("Infinity", "`r` is inf, expected a whole number"),
        ("1e400", "`r` is inf, expected a whole number"),
        ("8.5", "`r` is 8.5, expected a whole number"),
        ('"8"', "`r` is '8', expected a whole number"),
        ("true", "`r` is True, expected a whole number"),
        ("[8]", "`r` is [8], expected a whole number"),
        ("1" + "0" * 400, "`r` is 1000"),
        ("0", "adapter_config.json: r cannot be hyperparameters.lora.r"),
        ("-8", "adapter_config.json: r cannot be hyperparameters.lora.r"),
    ],
)
def test_a_value_of_the_wrong_type_names_file_and_key(
    value: str, message: str, tmp_path: Path
) -> None:
    path = adapter(tmp_path)
    path.write_text(path.read_text().replace('"r": 8', f'"r": {value}'))
    with pytest.raises(InteropError) as raised:
        draft(tmp_path)
    assert str(path) in str(raised.value)
    assert message in str(raised.value)
    assert len(str(raised.value)) < 500


def test_a_loss_that_is_no_number_does_not_matter(tmp_path: Path) -> None:
    adapter(tmp_path)
    log = [{"loss": float("nan"), "learning_rate": 1e-4}, {"learning_rate": float("inf")}]
    state(tmp_path, log_history=log)
    assert values(read(tmp_path))["hyperparameters", "learning_rate"] == 1e-4


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "MOST_BYTES", 1024 * 1024)
    adapter(tmp_path, padding="x" * 1024 * 1024)
    with pytest.raises(InteropError, match="larger than 1 MiB"):
        read(tmp_path)


def test_texts_cannot_write_to_the_draft_or_the_terminal(tmp_path: Path) -> None:
    evil = "x\nspec: evil\n\x1b[31m\u202e"
    adapter(
        tmp_path,
        base_model_name_or_path=evil,
        revision=None,
        target_modules=[evil],
        modules_to_save=[evil],
    )
    made = draft(tmp_path)
    assert "\x1b" not in made.text and "\u202e" not in made.text
    assert made.report.document.data["spec"] == "safebench/1.0"
    assert made.report.document.data["model"]["base"]["id"] == evil
    assert made.report.document.data["hyperparameters"]["lora"]["target_modules"] == [evil]


def test_a_folders_name_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    path = adapter(tmp_path / "a\x1b[31m\nb", r="x")
    with pytest.raises(InteropError, match="expected a whole number") as raised:
        read(tmp_path)
    path.write_text("{")
    with pytest.raises(InteropError, match="cannot be used") as other:
        read(tmp_path)
    assert not any(c in str(e.value) for e in (raised, other) for c in "\x1b\n")


def test_an_adapter_moved_elsewhere_makes_the_same_draft(tmp_path: Path) -> None:
    adapter(tmp_path / "a" / "seed-1")
    shutil.copytree(tmp_path / "a", tmp_path / "b" / "a")
    one, other = (draft(tmp_path / folder).text for folder in ("a", "b/a"))
    assert one == other
    json.dumps(one)
