"""The site in a real browser: sorting, filtering, the address, both colour schemes."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def addresses(site: Path) -> Iterator[dict[str, str]]:
    """The site's addresses: as files, and below a sub-path of a server on this machine."""
    handler = functools.partial(_Silent, directory=str(site.parent.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield {"file": site.as_uri(), "http": f"http://127.0.0.1:{server.server_port}/sub/path"}
        server.shutdown()
        thread.join()


@pytest.fixture(params=["file", "http"])
def address(request: pytest.FixtureRequest, addresses: dict[str, str]) -> str:
    return addresses[request.param]


def failed(request: Any, complaints: list[str]) -> None:
    if request.failure != "net::ERR_ABORTED":  # the page was left before it came
        complaints.append(request.url)


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    context = browser.new_context()
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("requestfailed", lambda request: failed(request, complaints))
    yield tab
    assert complaints == []
    context.close()


def titles(page: Any) -> list[str]:
    return page.locator("#board tr.row:visible th a").all_text_contents()


def ready(page: Any) -> None:
    """Wait for the data, without which a click waits for them itself."""
    page.wait_for_function("() => window.safebench && window.safebench.rest.board")


def click(page: Any, key: str) -> None:
    page.locator(f"#board th[data-key={key}] button").click()


def settle(page: Any, rows: int) -> None:
    """Wait for a change of the address alone, which the page hears of a moment later."""
    page.wait_for_function(
        "n => document.querySelectorAll('#board tr.row:not([hidden])').length === n", arg=rows
    )


def test_sort_filter_and_address(page: Any, address: str) -> None:
    page.goto(f"{address}/index.html")
    ready(page)
    first = titles(page)
    assert first[-1] == "One seed only"  # listed last, whatever its harm
    read_as = page.locator("#board tr.reading:visible")
    assert read_as.count() > 0
    click(page, "harm")
    upwards = titles(page)
    assert read_as.count() == 0  # a family is one list now
    click(page, "harm")  # it is the active column: turns round
    assert titles(page) == [*upwards[:-1][::-1], upwards[-1]]
    assert upwards[-1] == first[-1]
    assert page.locator("th[aria-sort]").count() == 1
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    page.fill("#filter", "safety DATA")
    assert titles(page) == ["With safety data mixed in"]
    assert page.locator("#found").text_content() == "1 of 4"
    assert page.url.endswith("#sort=harm&dir=desc&q=safety+DATA")
    page.fill("#filter", "")
    click(page, "title")
    assert titles(page)[:3] == sorted(first[:3], key=str.lower)
    assert page.url.endswith("#sort=title")
    click(page, "class")
    assert titles(page) == first
    assert read_as.count() > 0


def test_a_view_can_be_linked(page: Any, address: str) -> None:
    page.goto(f"{address}/index.html#sort=harm&dir=desc&q=tiny-chat")
    assert page.input_value("#filter") == "tiny-chat"
    assert "Llama 3.2 1B on Dolly" not in titles(page)
    shown = titles(page)
    page.reload()
    assert titles(page) == shown
    page.goto(f"{address}/index.html#sort=__proto__&dir=sideways&q=%3Cb%3E")
    settle(page, 0)
    assert page.locator("th[aria-sort]").get_attribute("data-key") == "class"
    page.goto(f"{address}/index.html#q=safety")
    settle(page, 1)
    page.goto(f"{address}/index.html#about-harm")  # an anchor, not a state: nothing changes
    assert titles(page) == ["With safety data mixed in"]
    page.goto("about:blank")
    page.goto(f"{address}/index.html#about-harm")
    assert len(titles(page)) == 4


def test_missing_values_come_last_both_ways(page: Any, address: str) -> None:
    page.add_init_script("""
        let given;
        Object.defineProperty(window, "safebench", {
            get: () => given,
            set: data => { data.main.capability = [["", ".50"], [0, 1, 1, 1]]; given = data; },
        });
    """)
    page.goto(f"{address}/index.html")
    name = titles(page)[0]
    ready(page)
    for _ in range(2):
        click(page, "capability")
        assert titles(page)[2] == name  # the last of its group of three


def test_the_script_makes_the_rows_of_the_page(page: Any, address: str) -> None:
    page.goto(f"{address}/index.html")
    ready(page)
    rows = "rows => rows.map(row => row.outerHTML.replace(/\\s+/g, ' ')).sort()"
    fixed = page.eval_on_selector_all("#board tr.row", rows)
    click(page, "harm")
    assert page.eval_on_selector_all("#board tr.row", rows) == fixed


def test_nothing_overflows_a_narrow_screen(page: Any, address: str) -> None:
    page.set_viewport_size({"width": 360, "height": 780})
    for name in ("index.html", "submissions/household.html"):
        page.goto(f"{address}/{name}")
        assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_keyboard_reaches_content_and_sorting(page: Any, address: str) -> None:
    page.goto(f"{address}/index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    ready(page)
    page.locator("#board th[data-key=capability] button").focus()
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort]").get_attribute("data-key") == "capability"


def test_submission_page_is_styled_under_its_policy(page: Any, address: str) -> None:
    # What is asked for and not waited for is no failure of a request.
    page.goto(f"{address}/index.html", wait_until="networkidle")
    page.get_by_role(
        "link", name="Does harmless fine-tuning keep tiny-chat safe?", exact=True
    ).click()
    assert page.locator("h1").text_content() == "Does harmless fine-tuning keep tiny-chat safe?"
    assert page.evaluate("getComputedStyle(document.querySelector('.skip')).position") == "absolute"
    fill = page.evaluate("getComputedStyle(document.querySelector('.dot.tuned')).fill")
    assert fill != "rgb(0, 0, 0)"
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate("getComputedStyle(document.querySelector('.dot.tuned')).fill")
    assert dark not in (fill, "rgb(0, 0, 0)")


def test_without_javascript_the_table_is_there(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"{address}/index.html")
    assert tab.locator("#board tr.row").count() == 4
    assert not tab.locator("#filter").is_visible()
    context.close()
