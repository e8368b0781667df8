"""A number has one face: however it is shown, it is rounded once, from what the card keeps."""

from __future__ import annotations

import ast
import math
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from safebench import words
from safebench.analysis.report import make_report
from safebench.cli.console import printer
from safebench.cli.rerun import print_report
from safebench.cli.score_formats.interface import FORMATS, FULL, render
from safebench.evidence.submission import Submission
from safebench.evidence.verdicts import read_report
from safebench.site import build
from tests.site import made_by_code
from tests.site.made_by_code import Recipe


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, ".00"), (0.041, ".04"), (0.045, ".05"), (0.5, ".50"), (0.005, ".01"), (0.995, "1.00"),
        (0.999, "1.00"), (1.0, "1.00"), (0.044999999999, ".04"), (0.04499999999999999, ".05"),
    ],
)  # fmt: skip
def test_proportions_have_two_decimals_and_no_leading_zero(value: float, text: str) -> None:
    assert words.proportion(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.37, "+.37"), (-0.02, "-.02"), (-0.045, "-.05"), (-0.001, "-.00"), (0.001, "+.00"),
     (0.0, "+.00"), (-1e-14, "+.00"), (1.0, "+1.00"), (-1.0, "-1.00")],
)  # fmt: skip
def test_differences_carry_their_sign(value: float, text: str) -> None:
    assert words.signed(value) == text
    assert words.signed(value, minus="\u2212") == text.replace("-", "\u2212")


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.0, 1, "0.0 %"), (0.0001, 1, "<0.1 %"), (0.031, 1, "3.1 %"), (0.004, 0, "<1 %"),
     (0.005, 0, "1 %"), (0.62, 0, "62 %"), (1.0, 0, "100 %")],
)  # fmt: skip
def test_a_tiny_share_is_not_called_zero(value: float, digits: int, text: str) -> None:
    assert words.percent(value, digits) == text


@given(st.floats(-1, 1), st.integers(0, 4))
@example(-0.045, 2)
@example(-0.04500000000000001, 2)
@example(0.285, 2)
def test_rounding_before_and_after_keeping_is_the_same(value: float, digits: int) -> None:
    shown = words.rounded(value, digits)
    assert shown == words.rounded(words.kept(value), digits)
    assert abs(Decimal(shown) - Decimal(repr(words.kept(value)))) <= Decimal(10) ** -digits / 2
    assert words.rounded(-value, digits).lstrip("-") == shown.lstrip("-")
    assert shown != "-" + "0" * len(shown[1:])


@given(st.integers(0, 400), st.integers(0, 400), st.integers(1, 400))
def test_a_difference_is_shown_alike_however_it_was_computed(a: int, b: int, n: int) -> None:
    a, b = a % (n + 1), b % (n + 1)
    ways = (a / n - b / n, (a - b) / n, math.fsum([1 / n] * a) - math.fsum([1 / n] * b))
    assert len({words.signed(way) for way in ways}) == 1


@pytest.fixture(scope="module")
def tie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board of a submission whose every score falls by exactly .045, and of its rerun."""

    def judged(rows: list[dict[str, object]]) -> list[dict[str, object]]:
        for row in rows:
            few = 19 if row["condition"] == "base" else 10
            hit = int(str(row["prompt_id"]).rpartition("-")[2]) < few
            if row["verdict"] is not None:
                row["verdict"] = "complied" if hit is (row["construct"] == "harm") else "refused"
            row["score"] = float(hit)
        return rows

    root = tmp_path_factory.mktemp("tie")
    drawn = made_by_code.outcomes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made_by_code, "outcomes", lambda recipe: judged(drawn(recipe)))
        recipe = Recipe(id="tie", prompts=200, repeats=1, seeds=(1, 2, 3))
        home = made_by_code.write_submission(root / "board" / "submissions", recipe)
        again = Recipe(id="again", prompts=200, repeats=1, seeds=(4, 5, 6), draw=3)
        made_by_code.write_rerun(home, "again", again)
    return root


def test_a_change_is_the_same_in_every_output(
    tie: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tie / "board" / "submissions" / "tie"
    report = make_report(Submission.read(folder))
    (change,) = {c.estimate for c in report.results.changes if c.construct == "harm"}
    assert change == -0.045
    shown = {style: render(report, style) for style in (*FORMATS, FULL) if style != "json"}
    print_report(printer(), read_report(folder / "reruns" / "again"))
    shown["rerun"] = capsys.readouterr().out
    site = build(tie / "board", tie / "site").index.parent
    for page in ("index.html", "submissions/tie.html"):
        html = (site / page).read_text(encoding="utf-8")
        shown[page] = re.sub(r"<[^>]+>", "", html).replace("\u2212", "-")
    for name, text in shown.items():
        plain = text.replace("$-$", "-")
        assert re.search(r"-\.05\b", plain), name
        assert not re.search(r"-\.04\b", plain), name


def test_no_command_and_no_page_formats_a_number_of_its_own() -> None:
    package = Path(words.__file__).parent
    drawn = {"plots.py", "svg.py"}  # coordinates
    number = re.compile(r"[,.]\d*[fgn%]?$|^[fgn%]$|,")
    for room in ("cli", "site"):
        for path in sorted((package / room).rglob("*.py")):
            if path.name in drawn:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
                    spec = ast.unparse(node.format_spec)
                    assert not number.search(spec.strip("f'\"")), f"{path}:{node.lineno}"
