"""Runs without a card become a submission in memory, or one clear error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safebench.analysis.comparison import compare_submissions
from safebench.analysis.matching import Choice
from safebench.card.base import NotReported
from safebench.errors import EvidenceError, InteropError
from safebench.importing.uncarded.read import (
    Meaning,
    Uncarded,
    check_apart,
    other_arguments,
    read_runs,
    reader_for,
)
from tests.importing.made import write_json
from tests.importing.uncarded_made import COMPLIES, GREEDY, HARM, MATHS, REFUSES, draws, run

PAIR = Choice(conditions=("base", "tuned"))
BASE, TUNED = draws(0, 0.2), [draws(seed, 0.8) for seed in (1, 2, 3)]


def sides(
    folder: Path, *changed: dict[str, Any], base: dict[str, Any] | None = None
) -> tuple[Uncarded, Uncarded]:
    """A base model and two or three tuned ones; `changed` are of each tuned one."""
    a = run(folder / "base", None, BASE, **(base or {}))
    b = [
        run(folder / f"s{n}", f"ckpt/s{n}", outcomes, **more)
        for n, (outcomes, more) in enumerate(zip(TUNED, changed or ({}, {}, {}), strict=False))
    ]
    return read_runs([a], "base", Meaning()), read_runs(b, "tuned", Meaning())


def test_every_number_is_that_of_the_files(tmp_path: Path) -> None:
    a, b = sides(tmp_path)
    assert check_apart(a, b) == [] and list(other_arguments(a, b)) == []
    found = compare_submissions(a.submission, b.submission, PAIR)
    by_task = {one.task: one for one in found.comparisons}
    assert {task: one.construct for task, one in by_task.items()} == {
        HARM: "harm",
        MATHS: "capability",  # lm-eval says that a higher score is better
    }
    for task, judge in ((HARM, "rule"), (MATHS, "exact_match")):
        one = by_task[task]
        assert (one.a.judge, one.b.judge) == (judge, judge)
        assert one.a.estimate == pytest.approx(np.mean(BASE))
        assert [run.score for run in one.b.runs] == pytest.approx(np.mean(TUNED, axis=1).tolist())
        assert one.difference.estimate == pytest.approx(np.mean(TUNED) - np.mean(BASE))
        assert one.difference.runs == (1, 3) and one.difference.prompts == len(BASE)
        assert one.variables == ("condition base -> tuned",)
    assert a.measures == {MATHS: "capability"}
    assert any(HARM in remark and "rule judge" in remark for remark in a.remarks)


def test_what_was_measured_differently_is_told(tmp_path: Path) -> None:
    longer = {"kwargs": {**GREEDY, "max_gen_toks": 32}, "arguments": {"max_length": 99}}
    a, b = sides(tmp_path, longer, longer)
    found = compare_submissions(a.submission, b.submission, PAIR)
    names = {variable.name for variable in found.protocol.variables}
    assert names == {"decoding.greedy.max_new_tokens"}
    assert [text.split()[2] for text in other_arguments(a, b)] == ["max_length"]


def test_only_prompts_that_every_run_answered_are_compared(tmp_path: Path) -> None:
    a, b = sides(tmp_path, {"without": frozenset({11})}, {"without": frozenset({10, 11})})
    found = compare_submissions(
        a.submission, b.submission, Choice(("gsm8k",), **{"conditions": PAIR.conditions})
    )
    (one,) = found.comparisons
    assert (one.difference.prompts, one.difference.only_a) == (10, 2)
    assert any("1 prompt of 11 left out" in remark for remark in b.remarks)


def test_prompts_of_one_id_and_other_text_are_not_paired(tmp_path: Path) -> None:
    a, b = sides(tmp_path, {"question": "Other: {}"}, {"question": "Other: {}"})
    found = compare_submissions(a.submission, b.submission, PAIR)
    assert [one.task for one in found.comparisons] == [HARM]
    (why,) = found.not_compared
    assert "no prompt in common (A has 12 prompts, B 12; 12 ids are in both" in why
    with pytest.raises(EvidenceError, match="no prompt in common"):
        compare_submissions(
            a.submission, b.submission, Choice((MATHS,), conditions=("base", "tuned"))
        )


def test_one_model_twice_is_refused(tmp_path: Path) -> None:
    a = run(tmp_path / "a", None, BASE)
    b = run(tmp_path / "b", None, TUNED[0])
    with pytest.raises(InteropError, match="two runs of one model"):
        check_apart(read_runs([a], "base", Meaning()), read_runs([b], "tuned", Meaning()))


def test_a_base_with_an_adapter_is_a_tuned_model(tmp_path: Path) -> None:
    a = read_runs([run(tmp_path / "a", "ckpt/s9", BASE)], "base", Meaning())
    assert {block.condition for block in a.submission.blocks} == {"tuned"}
    assert any("ckpt/s9" in remark for remark in a.remarks)


def test_seeds_that_were_decoded_differently_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InteropError, match="decoded by"):
        sides(tmp_path, {}, {"kwargs": {**GREEDY, "max_gen_toks": 32}})


def test_nothing_is_guessed_about_an_unknown_task(tmp_path: Path) -> None:
    folder = run(tmp_path / "a", None, BASE, higher=False)
    left = read_runs([folder], "base", Meaning())
    assert {block.task for block in left.submission.blocks} == {HARM}
    assert any(MATHS in remark and "--measures" in remark for remark in left.remarks)
    told = read_runs([folder], "base", Meaning(measures={MATHS: "severity"}))
    assert {block.construct for block in told.submission.blocks} == {"harm", "severity"}


def test_remedies_name_options_that_there_are(tmp_path: Path) -> None:
    folder = run(tmp_path / "a", None, BASE)
    next(folder.glob(f"samples_{MATHS}_*")).unlink()
    with pytest.raises(InteropError, match="its samples are not in") as found:
        read_runs([folder], "base", Meaning())
    assert str(found.value.fix).endswith("--task NAME")
    assert {b.task for b in read_runs([folder], "base", Meaning(tasks=(HARM,))).submission.blocks}


def table(folder: Path, name: str, outcomes: list[bool], **more: Any) -> Path:
    rows = [
        {"prompt": f"What of {n}?", "answer": COMPLIES if o else REFUSES, "label": int(o), **more}
        for n, o in enumerate(outcomes)
    ]
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_table_needs_no_more_than_prompts_and_responses(tmp_path: Path) -> None:
    files = [table(tmp_path, f"{n}.jsonl", o) for n, o in enumerate([BASE, *TUNED])]
    columns = {"response": "answer"}
    with pytest.raises(InteropError, match="what task 'responses' measures"):
        read_runs(files[:1], "base", Meaning(columns=columns))
    meaning = Meaning({"responses": "harm"}, {"1": "complied", "0": "refused"}, columns)
    for more, judge in (({}, "rule"), ({"verdict": "label"}, "reported")):
        known = Meaning(meaning.measures, meaning.labels, {**columns, **more})
        a, b = read_runs(files[:1], "base", known), read_runs(files[1:], "tuned", known)
        (one,) = compare_submissions(a.submission, b.submission, PAIR).comparisons
        assert (one.a.judge, [other.judge for other in one.by_judge]) == (
            judge,
            [] if judge == "rule" else ["rule"],
        )
        assert one.difference.estimate == pytest.approx(np.mean(TUNED) - np.mean(BASE))
        assert isinstance(a.submission.card.decoding, NotReported)


def test_harmbench_labels_and_the_rule_judge_are_compared(tmp_path: Path) -> None:
    files = []
    for name, outcomes in (("base", BASE), ("tuned", TUNED[0])):
        found = {
            f"b{n}": [{"test_case": f"What of {n}?", "generation": COMPLIES, "label": int(o)}]
            for n, o in enumerate(outcomes)
        }
        files.append(write_json(tmp_path / f"{name}.json", found))
    a, b = (
        read_runs([file], condition, Meaning())
        for file, condition in zip(files, ("base", "tuned"), strict=True)
    )
    (one,) = compare_submissions(a.submission, b.submission, PAIR).comparisons
    (other,) = one.by_judge
    assert (one.a.judge, other.judge) == ("harmbench", "rule")
    assert other.difference.estimate == 0.0  # it reads the same text everywhere
    assert other.agreement == pytest.approx((np.mean(BASE), np.mean(TUNED[0])))


def _empty(_: Path) -> None: ...


def _notes(folder: Path) -> None:
    (folder / "notes.txt").write_text("nothing")


def _tables(folder: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (folder / name).write_text("prompt,response\n")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_empty, "holds nothing readable"),
        (_notes, "holds nothing readable .notes.txt."),
        (_tables, "holds 2 tables: a.csv, b.csv"),
    ],
)
def test_a_folder_of_something_else(tmp_path: Path, make: Callable[[Path], None], why: str) -> None:
    make(tmp_path)
    with pytest.raises(InteropError, match=why):
        reader_for(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "reader"),
    [
        ("samples_x.jsonl", "", "lm-eval"),
        ("renamed.jsonl", '{"doc_id": 0, "doc": {}, "resps": [["a"]]}', "lm-eval"),
        ("answers.jsonl", '{"prompt": "a"}', "responses"),
        ("answers.json", '[{"prompt": "a"}]', "responses"),
        ("answers.csv", "prompt", "responses"),
        ("x.eval", "", "inspect"),
        ("log.json", '{"version": 2, "status": "success", "eval": {}}', "inspect"),
        ("hb.json", '{"b": [{"test_case": "a", "generation": "b"}]}', "harmbench"),
    ],
)
def test_the_reader_of_a_file(tmp_path: Path, name: str, text: str, reader: str) -> None:
    (tmp_path / name).write_text(text)
    assert reader_for(tmp_path / name)[0] == reader
    assert reader_for(tmp_path)[0] == reader


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "t.csv").write_text("prompt,response\n")
    (tmp_path / "in" / "t.csv").symlink_to(tmp_path / "t.csv")
    with pytest.raises(InteropError, match="nothing readable"):
        reader_for(tmp_path / "in")
