"""Every kind of page by axe-core (WCAG 2.2 AA): no violation, light and dark, wide and narrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

PAGES = (
    "index.html",
    "submissions/household.html",
    "compare.html#a=careful&b=household",
    "registry.html",
    "rules.html",
    "submit.html",
    "samples/household/1.html",
)
WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@pytest.mark.parametrize("width", [1440, 360])
def test_no_page_has_a_violation(browser: Any, site: Path, open_site: Path, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe  # of the extra [dev], as pytest is

    options = {"runOnly": list(WCAG), "resultTypes": ["violations"]}
    context = browser.new_context(viewport={"width": width, "height": 900})
    page = context.new_page()
    found = {}
    for name in PAGES:
        home = open_site if name.startswith("samples/") else site
        page.goto(f"{home.as_uri()}/{name}", wait_until="networkidle")
        if "#" in name:
            page.wait_for_selector("#compared table")
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for one in Axe().run(page, options=options).response["violations"]:
                found[name, scheme, one["id"]] = [node["html"][:200] for node in one["nodes"]][:3]
    assert found == {}
    context.close()


def test_a_violation_would_be_found(browser: Any, site: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site.as_uri()}/rules.html")
    page.evaluate("document.querySelector('main p').setAttribute('role', 'nothing')")
    options = {"runOnly": list(WCAG), "resultTypes": ["violations"]}
    (one,) = Axe().run(page, options=options).response["violations"]
    assert one["id"] == "aria-roles"
    context.close()
