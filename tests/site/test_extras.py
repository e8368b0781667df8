"""Files beside the board: badge, feed, citation, registry, the Space; a server for them."""

from __future__ import annotations

import http.client
import json
import threading
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from safebench.errors import InputError
from safebench.evidence.board_log import LogLine
from safebench.site import further_pages, space
from safebench.site.board import Board
from safebench.site.board_rows import BoardRow
from safebench.site.citing import citation_file
from safebench.site.pages import LINKS, Pages
from safebench.site.serving import HEADERS, open_server
from tests.site.html_check import read

ATOM = "{http://www.w3.org/2005/Atom}"


def test_every_linked_page_is_there_and_nothing_on_a_submission_depends_on_others(
    site: Path,
) -> None:
    assert all((site / name).is_file() for name, _ in LINKS)
    ids = {path.stem for path in (site / "submissions").glob("*.html")}
    for id in ids:
        for path in (
            site / f"submissions/{id}.html",
            site / f"c/{id}.js",
            site / f"badge/{id}.svg",
        ):
            text = path.read_text(encoding="utf-8")
            assert not [other for other in ids - {id} if f"{other}.html" in text]


def test_the_badge_has_level_and_verdict(site: Path) -> None:
    drawn = ElementTree.parse(site / "badge" / "household.svg").getroot()  # noqa: S314 - ours
    texts = [one.text for one in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["safebench", "evidenced", "less safe"]
    single = (site / "badge" / "single.svg").read_text()
    assert "not read" in single


def test_the_feed_is_atom(site: Path) -> None:
    feed = ElementTree.parse(site / "feed.xml").getroot()  # noqa: S314 - ours
    assert feed.tag == f"{ATOM}feed"
    entries = feed.findall(f"{ATOM}entry")
    assert len(entries) == 4
    for node in (feed, *entries):
        assert all(node.find(f"{ATOM}{name}") is not None for name in ("id", "title", "updated"))
    assert len({one.findtext(f"{ATOM}id") for one in entries}) == 4


def test_citations(site: Path) -> None:
    cff = yaml.safe_load((site / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= cff.keys()  # what 1.2.0 requires
    assert (cff["cff-version"], cff["type"]) == ("1.2.0", "dataset")
    text = read((site / "submissions" / "household.html").read_text()).text
    assert "@misc{household," in text
    assert "author = {{A. Person}}" in text
    assert b"date-released" not in citation_file(Board(), [])


def test_a_space_has_its_front_matter() -> None:
    made = dict(space.files(Board(title="A: board\nof mine")))
    _, head, _ = made["README.md"].decode().split("---\n")
    assert yaml.safe_load(head)["sdk"] == "static"
    assert yaml.safe_load(head)["title"] == "A: board of mine"
    assert b"*.parquet filter=lfs" in made[".gitattributes"]


def row(id: str, **changes: object) -> BoardRow:
    made = BoardRow(
        *(id, id, "Lab", False, False, "m", "LoRA", None, None, None, None, None, 0, "declared"),
        *(1, 1, None, None, True),  # type: ignore[arg-type]
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def line(kind: str, id: str, digit: str) -> LogLine:
    return LogLine(kind=kind, id=id, content=digit * 64, key=None, previous="0" * 64)


def test_the_registry_has_every_line_and_says_what_became_of_it() -> None:
    log = [
        line("submission", "a", "1"),
        line("submission", "a", "2"),
        line("submission", "gone", "3"),
        line("registration", "4" * 64, "4"),
        *(line("submission", f"x{n}", "5") for n in range(further_pages.LINES_A_PAGE)),
    ]
    begun = {"finished": 5, "withdrawn": 1}
    rows = [row("a", begun=begun), row("unlogged")]
    pages = dict(further_pages.registry(Pages(Board()), rows, log, []))
    assert list(pages) == ["registry.html", "registry-2.html"]
    text = " ".join(read(pages["registry.html"].decode()).text.split())
    assert text.count("replaced by a later version") == 1
    assert text.count("6 runs: 5 finished and 1 withdrawn") == 1
    assert "not there any more" in text
    assert "registered before it was run" in text
    assert "unlogged" not in text  # it comes last
    end = read(pages["registry-2.html"].decode())
    assert "published without evidence, and so not logged" in " ".join(end.text.split())
    assert {"submissions/unlogged.html", "registry.html", "registry-2.html"} <= set(end.links)


@pytest.mark.parametrize("logged", [True, False])
def test_the_registry_of_a_large_board_is_many_small_pages(logged: bool) -> None:
    rows = [row(f"{'w' * 50}-{n}", begun={"finished": 5, "failed": 2}) for n in range(2_000)]
    log = [line("submission", one.id, "1") for one in rows] if logged else []
    pages = dict(further_pages.registry(Pages(Board()), rows, log, []))
    assert len(pages) == 2_000 // further_pages.LINES_A_PAGE
    found = [read(content.decode()) for content in pages.values()]
    assert max(len(page.tags) for page in found) <= 1_400
    assert max(map(len, pages.values())) <= 150_000
    listed = [link for page in found for link in page.links if link.startswith("submissions/")]
    assert listed == [f"submissions/{one.id}.html" for one in rows]
    reached, new = {"registry.html"}, ["registry.html"]  # every page, by links alone
    while new:
        links = set(read(pages[new.pop()].decode()).links) & set(pages)
        new += links - reached
        reached |= links
    assert reached == set(pages)


def test_the_rules_page_has_the_words_of_the_standard(site: Path) -> None:
    text = read((site / "rules.html").read_text(encoding="utf-8")).text
    for words in ("it can be read", "no_change", "SB-DEC-004", "complied / all responses"):
        assert words in text
    with pytest.raises(ValueError, match="has no table"):
        further_pages.spec_table("levels.md", "| no | such | head |")


def test_the_server_gives_out_listed_files_alone(site: Path) -> None:
    with open_server(site, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            asked = {
                path: _ask(server.server_port, path)
                for path in (
                    *("/", "/submissions/household.html?x#y", "/feed.xml", "/SHA256SUMS"),
                    *("/../path/index.html", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd"),
                    *("/submissions/", "/.safebench-site", "/static", "/a%00b"),
                )
            }
            elsewhere = _ask(server.server_port, "/", host="evil.example")
        finally:
            server.shutdown()
            thread.join()
    codes = [code for code, _ in asked.values()]
    assert codes == [200] * 4 + [404] * 7
    assert elsewhere[0] == 421
    assert all(headers.items() >= HEADERS.items() for _, headers in asked.values())


def _ask(port: int, path: str, host: str | None = None) -> tuple[int, dict[str, str]]:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    link.request("GET", path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = link.getresponse()
    answer.read()
    link.close()
    return answer.status, dict(answer.getheaders())


def test_what_is_no_site_is_not_served(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a site"):
        open_server(tmp_path, 0)


def test_the_page_of_comparison_knows_every_name(site: Path) -> None:
    text = (site / "names.js").read_text()
    names = json.loads(text.removeprefix("safebenchNames(").removesuffix(");\n"))
    assert [name for name, _ in names] == ["careful", "dolly", "household", "single"]
