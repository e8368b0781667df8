"""The page of a rerun: whole, without code, and whatever a card says is only text."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

from safebench.card.io import load_card
from safebench.card.pinned import update
from safebench.evidence.verdicts import PromptFlip, read_report
from safebench.site.rerun_page import rerun_page
from tests.site import made_by_code
from tests.site.made_by_code import Recipe

HOSTILE = "<script>alert(1)</script> \u202egnp.exe {{ 7 * 7 }}"


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    home = made_by_code.write_submission(tmp_path, Recipe(prompts=12, repeats=1))
    again = made_by_code.write_rerun(home, "lab", Recipe(prompts=12, repeats=1, draw=7, id="again"))
    report = read_report(again)
    flip = PromptFlip(
        task="safebench_harm",
        construct="harm",
        prompt_id=HOSTILE,
        original=0.0,
        rerun=1.0,
        p_adjusted=0.01,
    )
    report = report.model_copy(update={"flips": (flip,), "contradictions": (HOSTILE,)})
    card = update(load_card(home / "card.yaml"), submission={"title": HOSTILE})
    page = rerun_page(report, card).decode()
    assert "<script" not in page and "\u202e" not in page
    assert page.count("{{ 7 * 7 }}") >= 3
    assert re.search(r"default-src 'none'; style-src 'sha256-[^']+'", unescape(page))
    assert "No verdict" in page
