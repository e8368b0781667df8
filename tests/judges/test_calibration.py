"""Labels of people: how they are read, put together and written, and what a judge makes of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from safebench.card.base import NotReported
from safebench.card.judge import Calibration, RuleJudge
from safebench.errors import InputError, JudgeError
from safebench.judges.calibration import (
    agreements,
    ask,
    drift,
    judged,
    table,
    with_calibrations,
)
from safebench.judges.interface import Decision
from safebench.judges.labels import Label, labels_csv, majority, read_labels, together
from safebench.judges.registry import open_judges
from safebench.rows import At, from_spreadsheet, spreadsheet_safe

AT = At(Path("labels.csv"), 2)
ENTRY = RuleJudge(name="rule", kind="rule", id="safebench/refusal-rule", revision="1")


def label(label: str = "complied", response: str = "Sure: first, ...", **more) -> Label:
    return Label(AT, response, label, **{"prompt": "How?", **more})


def file(folder: Path, text: str, name: str = "labels.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


@example("'=1+1")
@example("''-")
@example("\t")
@given(st.text(alphabet="'=+-@\t\r\n a,\"", max_size=6) | st.text(max_size=20))
def test_a_cell_comes_back_as_it_was(text):
    safe = spreadsheet_safe(text)
    assert from_spreadsheet(safe) == text
    assert not safe.startswith(("=", "+", "-", "@", "\t", "\r"))


@given(st.lists(st.text(alphabet="'=+-@\t\r\n ab,\";é试", min_size=1, max_size=8), min_size=1))
def test_a_table_of_labels_comes_back_as_it_was(tmp_path_factory, texts):
    rows = [{"prompt": f"{text}?", "response": text, "label": "refused"} for text in texts]
    path = tmp_path_factory.getbasetemp() / "written.csv"
    path.write_bytes(labels_csv(rows, ("prompt", "response", "label")))
    found, empty = read_labels(path)
    assert [one.response for one in found] == texts and empty == 0
    with path.open(encoding="utf-8", newline="") as source:
        cells = [cell for row in csv.reader(source) for cell in row]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells)


def test_labels_of_other_words_and_columns(tmp_path):
    path = file(
        tmp_path,
        "prompt,completion,final_label,type\nHow?,No.,2_full_refusal,safe\nWhy?,,,safe\n"
        "Who?,'- I,1,unsafe\n",
    )
    columns = {"response": "completion", "label": "final_label", "category": "type"}
    found, empty = read_labels(path, columns, {"2_full_refusal": "refused"})
    assert empty == 1
    assert [(x.prompt, x.response, x.label, x.category) for x in found] == [
        ("How?", "No.", "refused", "safe"),
        ("Who?", "- I", "1", "unsafe"),
    ]
    assert [x.score("harm") for x in found] == [0, 1]
    assert [x.score("over_refusal") for x in found] == [1, 1]


def test_json_lines_keep_their_apostrophes(tmp_path):
    rows = [
        {"task": "t", "prompt_id": "7", "response": "'=1", "label": 1, "weight": 2.5},
        {"task": "t", "prompt_id": "8", "response": "", "label": True, "condition": "base"},
        {"task": "t", "prompt_id": "9", "response": None, "label": "partial"},
    ]
    text = "\n".join(map(json.dumps, rows))
    found, _ = read_labels(file(tmp_path, text, "labels.jsonl"))
    assert [x.response for x in found] == ["'=1", "", ""]
    assert [(x.label, x.weight, x.condition) for x in found] == [
        ("1", 2.5, None), ("1", 1.0, "base"), ("partial", 1.0, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt,response\nHow?,No\n", "no column `label`; it has prompt, response"),
        ("prompt;response;label\nHow?;No;1\n", "no column `prompt`"),
        ("response,label,task\nNo,1,t\n", "no column `prompt`"),
        ("prompt,response,label\nHow?,No,2_full\n", "labels.csv:2: label `2_full` is none of"),
        ("prompt,response,label\nHow?,No,\n", "no row has a label"),
        ("prompt,response,label,condition\nHow?,No,1,tune\n", "condition `tune` is none of base"),
        ("prompt,response,label,construct\nHow?,No,1,capability\n", "construct `capability`"),
        ("prompt,response,label,weight\nHow?,No,1,0\n", "weight `0` is no number above 0"),
        ("prompt,response,label,weight\nHow?,No,1,inf\n", "weight `inf`"),
        ("prompt,response,label\n,No,1\n", "labels.csv:2: no prompt"),
        ("prompt,response,label\nHow?,No\n", "labels.csv:2: 2 cells under 3 column names"),
    ],
)
def test_a_wrong_file_says_where_and_what(tmp_path, text, message):
    with pytest.raises(InputError) as caught:
        read_labels(file(tmp_path, text))
    assert message in str(caught.value) and caught.value.fix


def test_a_number_is_no_text(tmp_path):
    path = file(tmp_path, '{"prompt": 7.5, "response": "a", "label": "1"}', "labels.jsonl")
    with pytest.raises(InputError, match="prompt is float, not a text"):
        read_labels(path)


def test_raters_are_put_together_by_majority():
    rows = [
        label(word, rater=r)
        for r, word in zip("abc", ("refused", "refused", "partial"), strict=True)
    ]
    rows += [
        label(word, "Other.", rater=r)
        for r, word in zip("ab", ("refused", "complied"), strict=True)
    ]
    rows += [label("partial", "Other."), label("complied", "Other.")]  # no raters: two responses
    found, undecided = together(rows)
    assert [one.label for one in found] == ["refused", "partial", "complied"] and undecided == 1


@given(st.lists(st.sampled_from(["refused", "complied", "1"]), min_size=1))
def test_a_majority_is_one(labels):
    found = majority(labels)
    most = max(map(labels.count, labels))
    leaders = {one for one in labels if labels.count(one) == most}
    assert found == (leaders.pop() if len(leaders) == 1 else None)


def made(pairs, **more):
    """Judged labels from (label, verdict) pairs; every verdict scores for harm."""
    labels = [label(a, prompt=f"prompt {i}", **more) for i, (a, _) in enumerate(pairs)]
    found = [
        Decision(None if b == "?" else b, None if b == "?" else float(b == "complied"))
        for _, b in pairs
    ]
    found = [d if d.verdict else Decision("unparsed", None) for d in found]
    return judged(labels, ["harm"] * len(pairs), found, ["other"] * len(pairs))


PAIRS = [
    *[("complied", "complied")] * 18, *[("complied", "refused")] * 2,
    *[("refused", "refused")] * 25, *[("partial", "complied")] * 5, ("refused", "?"),
]  # fmt: skip


def test_numbers_by_hand():
    (found,) = agreements(made(PAIRS))
    assert (found.n, found.unread) == (50, 1)
    assert (found.positives, found.found, found.negatives, found.cleared) == (20, 18, 30, 25)
    assert found.sensitivity is not None and found.sensitivity.estimate == 0.9
    assert found.specificity is not None and found.specificity.estimate == pytest.approx(5 / 6)
    observed, expected = 43 / 50, (20 * 23 + 30 * 27) / 2500
    assert found.kappa.estimate == pytest.approx((observed - expected) / (1 - expected))
    entry = found.entry(data="fifty answers", labels_sha256="0" * 64)
    assert (entry.n, entry.positives, entry.outputs, entry.condition) == (50, 20, "other", None)
    verdicts, rows = table(found.confusion)
    assert verdicts == ["refused", "complied", "unparsed"]
    assert dict(rows) == {"refused": [25, 0, 1], "partial": [0, 5, 0], "complied": [2, 18, 0]}


def test_nothing_to_agree_about_is_said():
    (found,) = agreements(made([("refused", "refused")] * 5))
    entry = found.entry(data="five answers")
    assert isinstance(entry.kappa, NotReported) and entry.sensitivity is None
    assert entry.specificity == 1 and entry.specificity_interval is not None
    with pytest.raises(JudgeError, match="no verdict on any"):
        agreements(made([("refused", "?")] * 5))


def test_groups_are_apart():
    items = made(PAIRS, condition="base", model="a", category="theft")
    items += made(PAIRS, condition="tuned", model="b", category="theft")
    names = [one.name for one in agreements(items)]
    assert names == ["all", "base", "tuned", "model a", "model b"]
    (only,) = agreements(made(PAIRS, condition="tuned"))
    assert only.condition == "tuned"


def test_weights_make_of_a_sample_by_verdict_what_was_drawn_from():
    # the judge's positives were all labelled, one in ten of its negatives: found 9 of 10 becomes
    # 9 of 9 + 10
    items = made([("complied", "complied")] * 9 + [("complied", "refused")])
    items += made([("refused", "refused")] * 40 + [("refused", "complied")] * 2)
    weight = {"complied": 1.0, "refused": 10.0}
    items = [
        type(i)(label(i.label.label, prompt=f"p{n}", weight=weight[i.verdict or ""]),
                i.construct, i.verdict, i.score)
        for n, i in enumerate(items)
    ]  # fmt: skip
    (found,) = agreements(items)
    assert found.sensitivity is not None and found.sensitivity.estimate == pytest.approx(9 / 19)
    entry = found.entry(data="weighted")
    assert entry.positives is None and entry.sensitivity == pytest.approx(9 / 19)


def test_a_calibration_takes_the_place_of_one_on_such_data_and_shows_the_drift():
    (before,), (after,) = agreements(made(PAIRS)), agreements(made(PAIRS[4:]))
    old, new = before.entry(data="answers"), after.entry(data="answers")
    assert drift(old, ()) == []
    found = {one.name: one for one in drift(new, [old])}
    change = found["sensitivity"]
    assert (change.old, change.new) == (0.9, 0.875) and change.lower is not None
    assert change.lower < -0.025 < (change.upper or 0)
    rounded = Calibration(data="by hand", n=40, kappa=0.5)
    assert [(d.name, d.lower) for d in drift(new, [rounded])] == [("kappa", None)]
    entry = with_calibrations(with_calibrations(ENTRY, [old, rounded]), [new])
    assert entry.calibration == (rounded, new)


def test_a_judge_is_asked_as_in_a_run():
    judge = open_judges([ENTRY], Path())["rule"]
    labels = [
        label("refused", "<think>Sure, here is how.</think> I cannot help with that."),
        label("complied", "First, gather what you need."),
    ]
    found = ask(judge, labels, ["harm", "over_refusal"])
    assert [(d.verdict, d.score) for d in found] == [("refused", 0), ("complied", 0)]
    shown = open_judges([ENTRY.model_copy(update={"reasoning": "shown"})], Path())["rule"]
    assert ask(shown, labels[:1], ["harm"])[0].reason != found[0].reason
    limited = ENTRY.model_copy(update={"constructs": ("harm",)})
    with pytest.raises(JudgeError, match="does not decide over_refusal"):
        ask(open_judges([limited], Path())["rule"], labels, ["harm", "over_refusal"])
