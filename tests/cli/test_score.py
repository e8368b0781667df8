"""`safebench score`: what each format says of a submission, and that no card breaks out of one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest

from safebench.analysis.report import ScoreReport, make_report
from safebench.analysis.selection import Selection
from safebench.card.results import key_of
from safebench.cli.score import write_plots
from safebench.cli.score_formats import latex
from safebench.cli.score_formats.interface import FORMATS, FULL, render
from safebench.cli.summary import change_text
from safebench.cli.tables import Row, Table, columns
from safebench.errors import EvidenceError
from safebench.evidence.submission import Submission
from tests.command import safebench
from tests.site.made_by_code import (
    Recipe,
    hyperparameters,
    plan,
    read_yaml,
    write_card,
    write_submission,
)

HOSTILE = (
    "50% & \\input{/etc/passwd} _$x^2$_ {#} ~ `id` <script>|[a](http://x)![i](y)\u202e\x07 é 試"
)


@pytest.fixture(scope="module")
def submission(tmp_path_factory: pytest.TempPathFactory) -> Path:
    changes = {"hyperparameters": hyperparameters() | {"max_length": {"not_reported": "logs lost"}}}
    recipe = Recipe(prompts=50, changes=changes)
    return write_submission(tmp_path_factory.mktemp("score"), recipe)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    changes: dict[str, Any] = {"submission": plan(Recipe())["submission"] | {"title": HOSTILE}}
    changes["data"] = [plan(Recipe())["data"][0] | {"filtered_out": {"not_reported": HOSTILE}}]
    recipe = Recipe(prompts=6, seeds=(1, 2), changes=changes)
    return write_submission(tmp_path_factory.mktemp("hostile"), recipe)


@pytest.fixture(scope="module")
def report(submission: Path) -> ScoreReport:
    return made(submission)


@pytest.fixture(scope="module")
def hostile_report(hostile: Path) -> ScoreReport:
    return made(hostile)


def made(folder: Path) -> ScoreReport:
    return make_report(Submission.read(folder))


def test_text_says_what_varies_what_is_missing_and_what_is_needed(
    report: ScoreReport,
) -> None:
    out = render(report, FULL)
    lines = out.splitlines()
    places = [
        lines.index(next(line for line in lines if line.startswith(start)))
        for start in ("base, greedy", "harm (tuned, epoch 2, t07)", "Diagnostic", "what varies: h",
                      "doubts", "not measured")
    ]  # fmt: skip
    assert places == sorted(places)
    flat = " ".join(out.split())
    assert re.search(r"checkpoint explains \d+ % \[\d+ %, \d+ %\] of the variance between", flat)
    assert re.search(r"training seed explains \d+ % \[\d+ %, \d+ %\], repeats the rest", flat)
    assert re.search(r"of single answers at one checkpoint and decoding\b.*? between prompts", flat)
    assert re.search(r"5 seeds\b[^:]*\[\.\d+, \.\d+\]: between \d+ and \d+ in each arm", flat)
    assert "judge error rule was not compared with people's labels" in flat
    assert flat.count("judge error not included: rule was not compared") == 3  # every primary one
    assert "Judge error not included in these numbers." in flat
    assert re.search(r"stability at least \.\d\d \(\.\d\d if seeds spread normally, estimate", flat)


def test_one_screen_says_what_changed_and_what_could_be_wrong(
    submission: Path, report: ScoreReport, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = safebench(capsys, "score", submission / "card.yaml")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines[:-2])) <= 100  # the last ones hold a path
    assert lines[0] == "tiny-chat + LoRA on household (300 examples), 5 seeds, epoch 2, t07"
    for one in report.primaries:
        reading = report.readings[key_of(one.estimand)]
        row = next(line for line in lines if f", {one.estimand.task} (" in line)
        assert one.change is not None
        assert change_text(one.change) in row
        assert row.endswith(reading.shown)
    flat = " ".join(ran.out.split())
    assert re.search(
        r"agree\? harm at least \.\d\d, .*? \(\.\d\d, .* if seeds spread normally", flat
    )
    said = [flat.find(doubt.text) for doubt in report.doubts[:5]]
    assert said == sorted(said) and said[0] > 0
    assert f"safebench score {submission}/card.yaml --full" in flat


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (Selection(decoding="t9"), "decoding 't9' was not measured"),
        (Selection(checkpoint=9), "checkpoint 9 was not measured"),
        (Selection(judge="llm"), "judge 'llm' was not measured"),
        (
            Selection(tasks=("safebench_harm",), constructs=("capability",)),
            "--task safebench_harm and --construct capability: not measured together",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_was_not_measured_is_told(
    report: ScoreReport, selection: Selection, said: str
) -> None:
    with pytest.raises(EvidenceError, match=re.escape(said)):
        selection.of(report.results)


def test_another_place_is_no_primary_number(submission: Path) -> None:
    report = make_report(Submission.read(submission), Selection(decoding="greedy", checkpoint=1))
    assert {(one.estimand.decoding, one.estimand.checkpoint) for one in report.primaries} == {
        ("greedy", 1)
    }
    assert {(score.decoding, score.checkpoint) for score in report.results.scores} == {
        ("greedy", None), ("greedy", 1),
    }  # fmt: skip
    assert "chosen_afterwards" in {doubt.kind for doubt in report.doubts}


def test_a_task_alone(submission: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran = safebench(capsys, "score", submission, "--task", "safebench_harm")
    assert (ran.code, ran.err) == (0, "")
    assert "over-refusal" not in ran.out
    ran = safebench(capsys, "score", submission, "--task", "harm")
    assert ran.code == 2
    assert "measured are: safebench_capability, safebench_harm" in ran.err


def test_every_number_in_json_has_its_interval_n_and_method(
    submission: Path, report: ScoreReport
) -> None:
    found = json.loads(render(report, "json"))
    assert list(found) == [
        "format", "submission", "spec", "trials", "results", "primary", "variation",
        "judge_error", "judges", "readings", "doubts", "not_measured",
    ]  # fmt: skip
    assert found["format"] == "safebench/score/1"
    assert found["results"] == read_yaml(submission)["results"]
    measures = [m for one in found["primary"] for m in one["diagnostics"].values()]
    measures += [one["seed_share"] for one in found["primary"]]
    measures += [one["seeds_needed"]["sigma"] for one in found["primary"]]
    measures += [
        e[k] for v in found["variation"] for e in v["effects"] for k in ("of_answers", "of_runs")
    ]
    numbers = [m for m in measures if "not_measured" not in m]
    assert len(numbers) > 50
    for number in numbers:
        assert set(number) == {"estimate", "lower", "upper", "confidence", "n", "method"}
        assert number["n"] and all(isinstance(n, int) for n in number["n"].values())
        assert number["method"]
        assert number["lower"] is not None or number["upper"] is not None
    assert all(m["not_measured"] for m in measures if m not in numbers)
    for one in found["readings"]:
        h = one["h"]
        assert h["lower"] < h["lower_90"] < h["estimate"] < h["upper_90"] < h["upper"]
        assert one["read_as"] in {"worse", "better", "no_change", "cannot_tell", "collapsed"}
    moves = [doubt["moves"] for doubt in found["doubts"]]
    assert moves == sorted(moves, reverse=True) and moves


def test_a_card_that_says_otherwise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_submission(tmp_path, Recipe(prompts=4, seeds=(1, 2)))
    data = read_yaml(folder)
    data["results"]["scores"][0]["estimate"] = 0.5
    write_card(folder, data)
    for style in ("text", "json"):
        ran = safebench(capsys, "score", folder, "--format", style)
        assert ran.code == 0
        assert "The card's numbers differ" in ran.err
        assert "The card's numbers differ" not in ran.out
    task = data["results"]["scores"][0]["task"]
    other = next(s["task"] for s in data["results"]["scores"] if s["task"] != task)
    assert safebench(capsys, "score", folder, "--task", other).err == ""
    data["results"]["scores"][0] |= {"estimate": 1.0, "task": "never_measured"}
    write_card(folder, data)
    assert "The card's numbers differ" in safebench(capsys, "score", folder).err


@pytest.mark.parametrize("style", ["latex", "markdown"])
def test_a_paper_gets_tables_and_all_that_a_reviewer_asks(style: str, report: ScoreReport) -> None:
    out = render(report, style)
    start = "**{}.** " if style == "markdown" else "\\paragraph{{{}.}} "
    for heading in ("Model", "Data", "Hyperparameters", "Seeds", "Decoding", "Judge", "Tasks",
                    "Environment", "Not reported", "Sample", "Statistics", "What varies",
                    "Not measured"):  # fmt: skip
        assert start.format(heading) in out, heading
    for said in ("learning rate 0.003", "rank r 8", "2804771234", "temperature 0.7", "min p 0.1",
                 "the original authors do not say", "max length not reported: logs lost",
                 "(logs lost)", "5 training seeds", "50 prompts", "Henderson's Method I",
                 "one judge"):  # fmt: skip
        assert said in out, said
    plain = out.replace("allowbreak{}", "").replace("\\", "")
    for head in (r"safebench_harm:? +harm", r"safebench_overrefusal:? +over-refusal"):
        assert len(re.findall(head, plain)) > 2  # of scores, of diagnostics, and of a row
    assert re.search(r"\.\d\d \(\.\d\d\)", out), "a bound on stability beside the normal one"


def test_latex_is_balanced_and_escaped(hostile_report: ScoreReport) -> None:
    out = render(hostile_report, "latex")
    assert out.isprintable() or all(c.isprintable() or c == "\n" for c in out)
    plain = re.sub(r"\\[\\{}$&#%_]", "", out.replace("\\\\", ""))
    assert plain.count("{") == plain.count("}")
    # Every command is one that is meant; nothing of the card's became one.
    commands = set(re.findall(r"\\([a-zA-Z]+)", out.replace("\\\\", " ")))
    assert commands <= {
        "usepackage", "begin", "end", "centering", "footnotesize", "setlength", "tabcolsep",
        "caption", "label", "toprule", "midrule", "bottomrule", "paragraph", "textbackslash",
        "textasciicircum", "allowbreak", "linewidth", "textasciitilde", "textless", "textgreater",
        "textbar", "symbol", "shortstack", "medskip",
    }  # fmt: skip
    assert r"50\% \& \textbackslash{}input\{/\allowbreak{}etc/\allowbreak{}passwd\}" in out
    assert "[U+202E]" in out
    tables = re.findall(
        r"\\begin\{tabular\}\{((?:p\{[^}]*\}|[lr])+)\}(.*?)\\end\{tabular\}", out, re.S
    )
    assert len(tables) == out.count("\\begin{tabular}")
    for spec, body in tables:
        ends = len(re.findall("p{|l|r", spec.replace("linewidth", ""))) - 1
        rows = [line for line in body.splitlines() if line.endswith("\\\\")]
        assert rows
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {ends}


def test_a_wide_table_of_a_paper_is_set_in_parts_that_fit_a_line() -> None:
    heads = ("Estimand", *(f"Column {n} of many words" for n in range(9)), "Each seed")
    seeds = " ".join(f".{n:02d}" for n in range(60))
    cells = [(f"task_{n}: harm", *[".35 [.25, .46]"] * 9, seeds) for n in range(3)]
    table = Table(columns(*heads), tuple(map(Row, cells)), "wide", "caption")
    parts = latex._narrow(table)
    assert len(parts) > 2
    for part in parts:
        assert part.columns[0] == table.columns[0]
        assert sum(latex._width(part, at) for at in range(len(part.columns))) <= latex._LINE
    assert [c.title for part in parts for c in part.columns[1:]] == list(heads[1:])
    again = [sum((part.rows[n].cells[1:] for part in parts), ()) for n in range(3)]
    assert again == [row[1:] for row in cells]
    assert latex._alignment(parts[-1]).endswith(r"p{.3\linewidth}")
    narrow = Table(columns("A", "B"), (Row(("a", "b")),))
    assert latex._narrow(narrow) == [narrow]


def test_markdown_is_escaped(hostile_report: ScoreReport) -> None:
    out = render(hostile_report, "markdown")
    assert "\u202e" not in out
    assert "\x07" not in out
    assert not re.search(r"(?<!\\)\]\(", out)
    assert not re.search(r"(?<!\\)[<`$]", out)
    for line in out.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")
    tables = re.findall(r"(?:^\|.*\n?)+", out, re.M)
    assert len(tables) == 6
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


def test_text_writes_nothing_to_the_terminal_but_text(hostile_report: ScoreReport) -> None:
    for style in ("text", FULL):
        out = render(hostile_report, style)
        assert all(c.isprintable() or c == "\n" for c in out)


def test_the_same_bytes_each_time(submission: Path, report: ScoreReport) -> None:
    again = made(submission)
    for style in (*FORMATS, FULL):
        assert render(again, style) == render(report, style)


def test_plots_are_drawn_where_asked(
    submission: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "p"
    chosen = ("--task", "safebench_harm", "--plots", folder)
    ran = safebench(capsys, "score", submission, "--format", "json", *chosen)
    assert ran.code == 0
    assert json.loads(ran.out)
    drawn = sorted(path.name for path in folder.iterdir())
    assert len(drawn) == 3
    assert all(f"drew {folder / name}" in ran.err for name in drawn)


@pytest.mark.parametrize("suffix", [".pdf", ".png", ".svg"])
def test_a_figure_for_a_paper(report: ScoreReport, tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / f"{name}{suffix}" for name in ("a", "b")]
    assert [write_plots(report, path) for path in paths] == [[path] for path in paths]
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert first.lstrip().startswith(
        {".pdf": b"%PDF", ".png": b"\x89PNG", ".svg": b"<?xml"}[suffix]
    )


def test_a_picture_of_another_kind_is_refused(report: ScoreReport, tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match=r"\.pdf, \.png, \.svg"):
        write_plots(report, tmp_path / "x.jpg")
    assert not list(tmp_path.iterdir())
