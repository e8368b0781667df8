"""A strict reader of our pages: nesting, identifiers, attributes, links."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "link", "br", "input", "hr", "img"}


@dataclass
class Page:
    """What a page consists of."""

    tags: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    text: str = ""
    problems: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self._element(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self._element(tag, attrs)

    def _element(self, tag, attrs):
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.page.problems.append(f"<{tag}> repeats an attribute: {names}")
        self.page.tags.append((tag, tuple(sorted(names))))
        found = dict(attrs)
        if "id" in found:
            self.page.ids.append(found["id"])
        self.page.links += [found[n] for n in ("href", "src") if n in found]

    def handle_endtag(self, tag):
        if tag in VOID or not self.open or self.open.pop() != tag:
            self.page.problems.append(f"</{tag}> closes nothing, line {self.getpos()[0]}")

    def handle_data(self, data):
        self.page.text += data


def read(html: str) -> Page:
    """Read a page; what is wrong with it is in `problems`."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    page = reader.page
    page.problems += [f"<{tag}> stays open" for tag in reader.open]
    page.problems += [f"id {i} occurs twice" for i in set(page.ids) if page.ids.count(i) > 1]
    return page


@cache
def _ids(path: Path, _changed: int) -> frozenset[str]:
    return frozenset(read(path.read_text(encoding="utf-8")).ids)


def broken_links(path: Path, page: Page) -> list[str]:
    """Return links of a page that lead nowhere; links into the web are not followed."""
    broken = []
    for link in page.links:
        if link.startswith("https://example.org/"):
            continue
        name, _, anchor = link.partition("#")
        target = path if not name else (path.parent / name)
        is_state = "=" in anchor  # what a page's script reads, as `#sort=harm`
        if not target.is_file() or (
            anchor and not is_state and anchor not in read(target.read_text(encoding="utf-8")).ids
        ):
            broken.append(link)
    return broken
