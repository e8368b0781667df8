"""The pages beside the board in a real browser: comparison, and what strangers wrote."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from safebench.site.publish import write_board
from safebench.site.writing import Writer
from tests.site.test_hostile import HOSTILE, of_its_own, render, whole_board, with_text


def test_of_many_entries_those_that_fit_are_suggested(tab: Any, site: Path, tmp_path: Path) -> None:
    shutil.copytree(site, tmp_path / "site")
    names = [[f"recipe-{n:04d}", f"LoRA, rate {n}"] for n in range(3_000)]
    (tmp_path / "site" / "names.js").write_text(f"safebenchNames({json.dumps(names)});\n")
    tab.goto(f"{(tmp_path / 'site').as_uri()}/compare.html")
    tab.focus("#a")
    suggested = "[...document.querySelectorAll('#ids option')].map(one => one.value)"
    tab.wait_for_function(f"() => {suggested}.length === 50")
    tab.fill("#a", "rate lora 1234")
    assert tab.evaluate(suggested) == ["recipe-1234"]
    tab.fill("#b", "no such recipe")
    assert tab.evaluate(suggested) == []


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    """A page of a narrow screen that complains about nothing."""
    context = browser.new_context(viewport={"width": 360, "height": 780})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    yield page
    assert complaints == []
    context.close()


def test_any_two_entries_are_compared_and_the_view_can_be_linked(tab: Any, site: Path) -> None:
    tab.goto(f"{site.as_uri()}/compare.html#a=careful&b=household")
    tab.wait_for_selector("#compared table")
    assert tab.locator("#compared h2").count() == 5
    first = tab.locator("#compared table").first.inner_text()
    assert "B - A" in first and "margin" in first
    assert tab.evaluate("document.documentElement.scrollWidth") == 360
    tab.fill("#b", "dolly")
    tab.click("form button")
    tab.wait_for_function("() => document.querySelector('#compared').textContent.includes('Llama')")
    assert tab.url.endswith("#a=careful&b=dolly")
    tab.goto(f"{site.as_uri()}/compare.html#a=careful&b=..%2Fx")
    tab.wait_for_function(
        "() => document.querySelector('#compared').textContent.includes('An id has')"
    )


def test_folded_parts_open_for_an_anchor_and_few_places_stop_the_tab_key(
    tab: Any, site: Path
) -> None:
    tab.goto(f"{site.as_uri()}/submissions/household.html#stability")
    assert tab.locator("#stability").is_visible()
    tab.goto(f"{site.as_uri()}/registry.html")
    tab.set_viewport_size({"width": 1440, "height": 900})
    tab.goto(f"{site.as_uri()}/submissions/household.html")
    stops = tab.evaluate(
        "Array.from(document.querySelectorAll('a[href], summary, [tabindex]'))"
        ".filter(e => e.tabIndex >= 0 && e.checkVisibility({contentVisibilityAuto: true})"
        " && !e.closest('details:not([open]) > :not(summary)')).length"
    )
    assert stops <= 30
    assert tab.evaluate("document.documentElement.scrollHeight") <= 8000


def test_nothing_that_a_stranger_wrote_runs_or_overflows(
    tab: Any, board: Path, tmp_path: Path
) -> None:
    entry = of_its_own(board, tmp_path / "source")
    text = " ".join(HOSTILE).replace("/", "") + "W" * 400
    hostile = with_text(entry, text)
    writer, _, whole = whole_board(hostile, text)
    write_board(Writer(tmp_path), writer, whole, None)
    made = render(hostile, text)
    assert "samples/household/1.html" in made
    for name, content in made.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    for name in (name for name in made if name.endswith(".html")):
        at = "#a=household&b=household" if name == "compare.html" else ""
        tab.goto(f"{tmp_path.as_uri()}/{name}{at}")
        if at:
            tab.wait_for_selector("#compared table")
        tab.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert (name, tab.evaluate("document.documentElement.scrollWidth")) == (name, 360)
