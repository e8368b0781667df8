"""Building: the same bytes twice, nothing half-written, nothing published that does not hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from safebench.errors import InputError
from safebench.evidence.manifest import describe_files, write_manifest
from safebench.site import LeftOutError, build
from tests.site import made_by_code
from tests.site.made_by_code import Recipe

SMALL = Recipe(prompts=12, repeats=1, seeds=(1, 2, 3))


def tree(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


@pytest.fixture
def small(tmp_path: Path) -> Path:
    root = tmp_path / "board"
    made_by_code.write_submission(root / "submissions", SMALL)
    return root


def refused(root: Path, out: Path) -> str:
    with pytest.raises(InputError) as caught:
        build(root, out)
    assert not out.exists()
    assert not [p for p in out.parent.iterdir() if p.name.startswith(f".{out.name}")]
    return str(caught.value)


def left_out(root: Path, out: Path) -> str:
    """Build, and return what is left out; a strict build is refused for the same."""
    with pytest.raises(LeftOutError) as caught:
        build(root, out, strict=True)
    assert not out.exists()
    built = build(root, out)
    assert built.left_out == caught.value.left_out
    names = [one.name for one in built.left_out]
    assert [
        one["name"] for one in json.loads((out / "leaderboard.json").read_text())["left_out"]
    ] == names
    assert f"{', '.join(f'<bdi>{name}</bdi>' for name in names)}." in built.index.read_text()
    return "\n".join(f"{one.name}: {line}" for one in built.left_out for line in one.problems)


def test_two_builds_give_the_same_bytes(board: Path, site: Path, tmp_path: Path) -> None:
    build(board, tmp_path / "again")
    assert tree(tmp_path / "again") == tree(site)
    build(board, tmp_path / "again")  # over itself
    assert tree(tmp_path / "again") == tree(site)
    assert [p.name for p in tmp_path.iterdir()] == ["again"]


def test_a_board_without_submissions_or_board_yaml_is_built(tmp_path: Path) -> None:
    (tmp_path / "board" / "submissions").mkdir(parents=True)
    (tmp_path / "board" / "submissions" / ".gitkeep").touch()
    built = build(tmp_path / "board", tmp_path / "site")
    assert "There are no submissions yet" in built.index.read_text()


def test_a_folder_without_submissions_is_refused(tmp_path: Path) -> None:
    assert "submissions: no such folder" in refused(tmp_path / "nowhere", tmp_path / "site")


def test_one_folder_that_does_not_hold_is_left_out(small: Path, tmp_path: Path) -> None:
    folder = small / "submissions" / SMALL.id
    results = made_by_code.read_yaml(folder)["results"]
    results["scores"][-1]["estimate"] += 0.01
    made_by_code.edit_card(folder, results=results)
    made_by_code.write_submission(small / "submissions", Recipe("good", prompts=12, seeds=(1, 2)))
    message = left_out(small, tmp_path / "site")
    assert "household: SB-" in message
    assert "good" not in message
    pages = [p.name for p in (tmp_path / "site" / "submissions").glob("*.html")]
    assert pages == ["good.html"]
    assert not (tmp_path / "site" / "files" / "household").exists()


def test_the_old_site_stays_when_a_build_fails(small: Path, tmp_path: Path) -> None:
    build(small, tmp_path / "site")
    before = tree(tmp_path / "site")
    (small / "submissions" / SMALL.id / "card.yaml").write_text("spec: [", encoding="utf-8")
    with pytest.raises(LeftOutError, match="1 folder would be left out"):
        build(small, tmp_path / "site", strict=True)
    assert tree(tmp_path / "site") == before


def test_a_folder_that_is_not_a_site_is_left_alone(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "home"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="not a site built by safebench"):
        build(small, out)
    assert tree(out) == {"thesis.tex": b"years of work"}


def test_foreign_files_in_a_site_are_not_deleted(small: Path, tmp_path: Path) -> None:
    build(small, tmp_path / "site")
    (tmp_path / "site" / "CNAME").write_text("example.org")
    with pytest.raises(InputError, match="CNAME"):
        build(small, tmp_path / "site")


@pytest.mark.parametrize("out", [".", "submissions/site", ".."])
def test_site_and_source_must_lie_apart(small: Path, out: str) -> None:
    with pytest.raises(InputError, match="inside each other"):
        build(small, small / out)


@pytest.mark.parametrize("name", ["card.yaml", "reruns", "deep/link"])
def test_symbolic_links_are_refused(small: Path, tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("spec: safebench/1.0\n")
    link = small / "submissions" / SMALL.id / name
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(secret)
    assert f"{name} is a symbolic link" in left_out(small, tmp_path / "site")


def test_a_submission_that_is_a_link_or_a_pipe_is_refused(small: Path, tmp_path: Path) -> None:
    (small / "submissions" / "linked").symlink_to(tmp_path)
    os.mkfifo(small / "submissions" / SMALL.id / "pipe")
    message = left_out(small, tmp_path / "site")
    assert "linked: is a symbolic link" in message
    assert "pipe is not a plain file" in message


@pytest.mark.parametrize("name", ["Household", "a b", "-x", "..."])
def test_a_folder_name_that_is_no_id_is_refused(small: Path, tmp_path: Path, name: str) -> None:
    (small / "submissions" / SMALL.id).rename(small / "submissions" / f"{name}")
    if name.startswith("."):
        built = build(small, tmp_path / "site")  # hidden: not a submission
        assert not list(built.index.parent.glob("submissions/*.html"))
    else:
        assert "is not an id" in left_out(small, tmp_path / "site")


def test_a_card_of_another_id_is_refused(small: Path, tmp_path: Path) -> None:
    (small / "submissions" / SMALL.id).rename(small / "submissions" / "other")
    assert "other: holds the card of 'household'" in left_out(small, tmp_path / "site")


def test_a_verdict_is_computed_again(small: Path, tmp_path: Path) -> None:
    home = small / "submissions" / SMALL.id
    rerun = made_by_code.write_rerun(home, "lab-b", Recipe("x", prompts=12, repeats=1, draw=9))
    build(small, tmp_path / "fine")
    path = rerun / "verdict.json"
    verdict = json.loads(path.read_text())
    verdict["overall"] = "reproduced" if verdict["overall"] != "reproduced" else "inconclusive"
    path.write_text(json.dumps(verdict))
    message = left_out(small, tmp_path / "site")
    assert "household/reruns/lab-b: verdict.json overall is" in message
    assert (tmp_path / "site" / "submissions" / "household.html").is_file()
    assert not (tmp_path / "site" / "files" / "household" / "reruns").exists()
    path.unlink()
    assert "verdict.json" in left_out(small, tmp_path / "again")


def test_responses_are_published_only_when_the_card_says_so(small: Path, tmp_path: Path) -> None:
    folder = small / "submissions" / SMALL.id
    (folder / "notes.txt").write_text("private")
    build(small, tmp_path / "site")
    names = {p.name for p in (tmp_path / "site" / "files" / SMALL.id).iterdir()}
    assert names == {"card.yaml", "outcomes.parquet", "manifest.json", "SHA256SUMS"}
    evidence = made_by_code.read_yaml(folder)["evidence"] | {"response_policy": "public"}
    made_by_code.edit_card(folder, evidence=evidence)
    build(small, tmp_path / "site")
    assert (tmp_path / "site" / "files" / SMALL.id / "responses.parquet").is_file()
    page = (tmp_path / "site" / "submissions" / f"{SMALL.id}.html").read_text()
    assert "Labels and responses are public" in page


def test_a_file_that_the_card_does_not_list_is_not_published(small: Path, tmp_path: Path) -> None:
    folder = small / "submissions" / SMALL.id
    evidence = made_by_code.read_yaml(folder)["evidence"] | {"response_policy": "public"}
    evidence["files"] = [f for f in evidence["files"] if f["path"] != "responses.parquet"]
    made_by_code.edit_card(folder, evidence=evidence)
    write_manifest(folder, describe_files(folder, [f["path"] for f in evidence["files"]]))
    (folder / "responses.parquet").write_bytes(b"anything, since nothing checks it")
    built = build(small, tmp_path / "site")
    assert not built.left_out
    names = {p.name for p in (tmp_path / "site" / "files" / SMALL.id).iterdir()}
    assert names == {"card.yaml", "outcomes.parquet", "manifest.json", "SHA256SUMS"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("titel: x", "titel"),
        ("title: [x", "not YAML"),
        ("url: javascript:alert(1)", "url"),
        ("- 1", "board.yaml"),
        ("title: " + "x" * 200_000, "larger than"),
    ],
)
def test_a_wrong_board_yaml_is_named(small: Path, tmp_path: Path, text: str, message: str) -> None:
    (small / "board.yaml").write_text(text)
    assert message in refused(small, tmp_path / "site")


def test_the_build_needs_no_heavy_library(small: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from safebench.site import build; "
        f"build(Path({str(small)!r}), Path({str(tmp_path / 'site')!r})); "
        "heavy = {'torch', 'transformers', 'lm_eval', 'pandas', 'peft', 'trl', 'datasets'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_templates_and_static_files_lie_in_the_package() -> None:
    import safebench.site

    package = Path(safebench.site.__file__).parent
    assert (package / "templates" / "index.html").is_file()
    names = {p.name for p in (package / "static").iterdir()}
    assert names == {"board.js", "compare.js", "page.js", "rows.js", "style.css"}
