"""Cards that were released stay what they were: their bytes, and what is said of them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from safebench.card.versions import CURRENT, Version
from tests.historic import release as release_module
from tests.historic.release import EXPECTED, HISTORIC, VALID, ReleaseError, differences, release

VERSIONS = sorted(path.parent for path in HISTORIC.glob(f"*/{EXPECTED}"))
NOW = f"{CURRENT.major}.{CURRENT.minor}"


def test_the_version_of_this_program_is_kept() -> None:
    """Otherwise, when its examples are final: python tests/historic/release.py VERSION."""
    assert NOW in {folder.name for folder in VERSIONS}


def test_every_folder_is_a_version_with_what_is_expected_of_it() -> None:
    folders = {path.name for path in HISTORIC.iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders == {folder.name for folder in VERSIONS}
    assert all(re.fullmatch(r"\d+\.\d+", name) for name in folders)


def test_every_released_card_is_what_it_was() -> None:
    assert {folder.name: differences(folder) for folder in VERSIONS} == {
        folder.name: [] for folder in VERSIONS
    }


# --- the script and the comparison, on a folder of their own -------------------------------------


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    source = tmp_path / "valid"
    source.mkdir()
    shutil.copyfile(VALID / "minimal-plan.yaml", source / "minimal-plan.yaml")
    shutil.copytree(VALID / "submission", source / "submission")
    return release(NOW, source, tmp_path / "historic")


def test_a_version_is_kept_with_its_answers(kept: Path) -> None:
    assert differences(kept) == []
    expected = json.loads((kept / EXPECTED).read_text())
    assert set(expected["cards"]) == {"minimal-plan.yaml", "submission/card.yaml"}
    assert set(expected["files"]) == {
        path.relative_to(kept).as_posix()
        for path in kept.rglob("*")
        if path.is_file() and path.name != EXPECTED
    }
    report = expected["cards"]["submission/card.yaml"]
    assert report["level"] == "evidenced"
    card = (kept / "submission" / "card.yaml").read_text()
    assert all(str(seed) in card for seed in (*report["training"], report["generation"]))


def test_whatever_is_done_to_a_kept_version_is_noticed(kept: Path) -> None:
    plan = kept / "minimal-plan.yaml"
    text = plan.read_text()
    plan.write_text(text + "\n")
    assert differences(kept) == ["minimal-plan.yaml: changed"]
    plan.write_text(text)
    (kept / "notes.txt").write_text("x")
    assert differences(kept) == ["notes.txt: added"]
    (kept / "notes.txt").unlink()
    (kept / "submission" / "notes.txt").unlink()
    removed, *rest = differences(kept)
    assert removed == "submission/notes.txt: removed"
    assert any(line.startswith("submission/card.yaml: level was 'evidenced'") for line in rest)
    plan.write_text("a: [")
    assert any("cannot be read any more" in line for line in differences(kept))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("level", "replicated"), ("digest", 64 * "0"), ("training", [1, 2, 3]),
        ("generation", 1), ("completeness", [1, 2]), ("spec", "safebench/1.9"),
        ("findings", [{"rule": "SB-TASK-003", "severity": "warning", "pointer": "/tasks"}]),
    ],
)  # fmt: skip
def test_every_answer_is_compared(kept: Path, key: str, value: object) -> None:
    expected = json.loads((kept / EXPECTED).read_text())
    expected["cards"]["minimal-plan.yaml"][key] = value
    (kept / EXPECTED).write_text(json.dumps(expected))
    (line,) = differences(kept)
    assert line.startswith(f"minimal-plan.yaml: {key} was {value!r}, is ")


def test_a_later_minor_version_may_add_warnings_and_no_error(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = {"rule": "SB-TASK-003", "severity": "warning", "pointer": "/tasks"}
    expected = json.loads((kept / EXPECTED).read_text())
    monkeypatch.setattr(release_module, "CURRENT", Version(CURRENT.major, CURRENT.minor + 1))
    for severity, count in (("warning", 0), ("note", 0), ("error", 1)):
        expected["cards"]["minimal-plan.yaml"]["findings"] = [{**finding, "severity": severity}]
        (kept / EXPECTED).write_text(json.dumps(expected))
        assert len(differences(kept)) == count


def test_what_cannot_be_kept_is_refused(kept: Path, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="never changed"):
        release(NOW, VALID, kept.parent)
    with pytest.raises(ReleaseError, match="of that version alone"):
        release("9.9", VALID, tmp_path / "other")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ReleaseError, match="there is none"):
        release(NOW, empty, tmp_path / "other")
    text = (VALID / "minimal-plan.yaml").read_text()
    for old, new in (("epochs: 2", "epochs: two"), (f"/{NOW}", f"/{CURRENT.major}.999")):
        assert old in text
        (empty / "plan.yaml").write_text(text.replace(old, new))
        with pytest.raises(ReleaseError, match=r"not valid cards of .*: plan\.yaml"):
            release(NOW, empty, tmp_path / "other")
    assert not (tmp_path / "other").exists()
