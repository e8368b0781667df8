"""Words, pictures, rows and field tables, one by one."""

from __future__ import annotations

import pytest

from safebench.card.base import NotReported
from safebench.card.decoding import Decoding
from safebench.card.judge import Calibration, RuleJudge
from safebench.site import charts, fields, svg, text


def test_backticks_become_code_and_markup_does_not() -> None:
    assert text.ticks("`a<b>` & c") == "<code>a&lt;b&gt;</code> &amp; c"


def test_a_picture_escapes_what_it_says() -> None:
    size = {"width": 10, "height": 10, "style": "", "sections": [("</svg><script>", 1, [])]}
    shape = {"left": 0, "scale": 1, "row_height": 1, "lines": ['"><b>']}
    picture = svg.draw("variance", title="a < b", desc="c & d", **size, **shape)
    assert "<script>" not in picture
    assert "<title>a &lt; b</title><desc>c &amp; d</desc>" in picture
    assert "<b>" not in picture
    assert "style=" not in picture


@pytest.mark.parametrize(("value", "top"), [(0.05, 0.1), (0.1, 0.2), (0.3, 0.5), (0.6, 1.0)])
def test_a_scale_begins_at_zero_and_holds_its_values(value: float, top: float) -> None:
    assert charts.top_of_scale([0.0, value]) == top


def test_a_field_table_says_what_is_absent_and_why() -> None:
    greedy = Decoding(name="greedy", do_sample=False, max_new_tokens=8)
    sampled = Decoding(
        name="warm",
        do_sample=True,
        temperature=0.7,
        max_new_tokens=8,
        top_p=NotReported(not_reported="unclear"),
    )
    table = fields.table((greedy, sampled))
    assert table.columns == ("greedy", "warm")
    rows = {row.label: [v.text for v in row.values] for row in table.rows}
    assert rows["Temperature"] == ["not given", "0.7"]
    assert rows["Top p"] == ["not given", "not reported: unclear"]
    assert rows["Sampling"] == ["no", "yes"]
    left_out = "Top k, Min p, Frequency penalty, Presence penalty, Reasoning budget, Extra"
    assert ", ".join(table.left_out) == left_out
    lost = NotReported(not_reported="lost")
    entry = Calibration(data="200 answers", n=200, kappa=lost)
    labelled = RuleJudge(name="r", kind="rule", id="x", revision="1", calibration=(entry,))
    shown = {row.label: row.values[0].text for row in fields.table(labelled).rows}
    assert shown["Calibration"] == "data 200 answers outputs these n 200 kappa not reported"
    whole = fields.table(NotReported(not_reported="lost"))
    assert whole.absent == "not reported: lost"
