"""Plots of a report: well-formed, legible alone, the same bytes each time."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from safebench.analysis.report import ScoreReport, make_report
from safebench.analysis.spread import SeedsNeeded
from safebench.evidence.submission import Submission
from safebench.site.plots import pictures, write_plots
from tests.site.made_by_code import Recipe, write_submission

SVG = "{http://www.w3.org/2000/svg}"


def report(folder: Path) -> ScoreReport:
    return make_report(Submission.read(folder))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> ScoreReport:
    return report(write_submission(tmp_path_factory.mktemp("plots"), Recipe(prompts=50)))


@pytest.fixture(scope="module")
def drawn(made: ScoreReport) -> dict[str, ET.Element]:
    return {name: ET.fromstring(picture) for name, picture in pictures(made)}  # noqa: S314 - ours


def texts(picture: ET.Element) -> list[str]:
    return [element.text or "" for element in picture.iter(f"{SVG}text")]


def test_three_pictures_of_every_task(drawn: dict[str, ET.Element]) -> None:
    assert sorted(drawn) == sorted(
        f"safebench_{task}-{construct}-{kind}"
        for task, construct in (
            ("harm", "harm"), ("overrefusal", "over_refusal"), ("capability", "capability"),
        )
        for kind in ("variance", "runs", "seeds")
    )  # fmt: skip


def test_each_stands_alone(drawn: dict[str, ET.Element]) -> None:
    for picture in drawn.values():
        assert picture.tag == f"{SVG}svg"
        style = picture.findtext(f"{SVG}style") or ""
        assert "prefers-color-scheme:dark" in style
        assert "url(" not in style and "var(" not in style and "@import" not in style
        assert picture.findtext(f"{SVG}title")
        assert picture.findtext(f"{SVG}desc")
        used = {c for e in picture.iter() for c in e.get("class", "").split()}
        known = set(re.findall(r"\.([a-z]+)", style)) | {"panel"}
        assert used <= known
        assert not any(e.tag == f"{SVG}script" or e.get("style") for e in picture.iter())


def test_nothing_is_drawn_outside(drawn: dict[str, ET.Element]) -> None:
    for picture in drawn.values():
        width, height = (float(picture.get(side) or 0) for side in ("width", "height"))
        for element in picture.iter(f"{SVG}text"):
            if element.get("transform") is None:
                assert 0 <= float(element.get("x") or 0) <= width
                assert 0 <= float(element.get("y") or 0) <= height


def test_what_varies_says_its_numbers(made: ScoreReport, drawn: dict[str, ET.Element]) -> None:
    one = made.variations[0]
    said = texts(drawn["safebench_harm-harm-variance"])
    share = next(e.of_runs for e in one.effects if e.name == "checkpoint")
    assert any(text.startswith(f"{100 * share.estimate:.0f} % [") for text in said)  # type: ignore[union-attr]
    assert "training seed" in said


def test_every_run_is_a_dot(made: ScoreReport, drawn: dict[str, ET.Element]) -> None:
    runs = sum(
        len(s.runs)
        for s in made.results.scores
        if s.task == "safebench_harm" and s.condition != "base"
    )
    dots = [e for e in drawn["safebench_harm-harm-runs"].iter() if e.get("class") == "run"]
    assert len(dots) == runs


def test_seeds_needed_are_marked_at_the_margin(
    made: ScoreReport, drawn: dict[str, ET.Element]
) -> None:
    needed = made.primaries[0].seeds_needed
    assert isinstance(needed, SeedsNeeded)
    said = texts(drawn["safebench_harm-harm-seeds"])
    for n in (needed.seeds, needed.seeds_lower, needed.seeds_upper):
        assert f"{n:,} seeds" in said


def test_the_same_bytes_each_time(made: ScoreReport, tmp_path: Path) -> None:
    first = write_plots(made, tmp_path / "a")
    second = write_plots(made, tmp_path / "b")
    assert [p.name for p in first] == [p.name for p in second]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(first, second, strict=True))


def test_one_seed_has_no_curve(tmp_path: Path) -> None:
    folder = write_submission(tmp_path, Recipe(prompts=6, seeds=(5,)))
    names = [name for name, _ in pictures(report(folder))]
    assert not any(name.endswith("-seeds") for name in names)
    assert any(name.endswith("-runs") for name in names)
