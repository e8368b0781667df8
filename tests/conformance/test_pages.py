"""The pages of the standard say what the program does, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from safebench.card.mandatory import MANDATORY
from safebench.card.schema import card_schema
from safebench.checks import all_rules
from tests.conformance.make_pages import _BLOCK, GENERATED, PAGES, page, sections

SPEC = PAGES.parent
KEY_WORDS = re.compile(r"\b(MUST|SHOULD|MAY)\b")


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("name", GENERATED)
def test_the_generated_parts_are_up_to_date(name: str) -> None:
    assert (PAGES / name).read_text(encoding="utf-8") == page(name)


def test_every_rule_is_on_the_page_and_no_other() -> None:
    text = (PAGES / "rules.md").read_text(encoding="utf-8")
    assert re.findall(r"^### (SB-\w+-\d{3})$", text, re.M) == sorted(
        all_rules(), key=lambda id: (text.index(f"### {id}\n"), id)
    )
    assert set(re.findall(r"^### (\S+)$", text, re.M)) == set(all_rules())


def test_every_rule_a_page_names_exists() -> None:
    for path in SPEC.rglob("*.md"):
        named = set(re.findall(r"SB-[A-Z]+-\d+", path.read_text(encoding="utf-8")))
        assert named <= set(all_rules()), path.name


def test_every_field_is_documented() -> None:
    """The tables of card.md cover every mapping of the schema, and with it every field."""
    text = (PAGES / "card.md").read_text(encoding="utf-8")
    tables = {name for match in _BLOCK.finditer(text) for name in match[2].split()}
    assert tables == set(sections())
    assert set(card_schema()["$defs"]) < tables


def test_every_mandatory_field_is_documented() -> None:
    """Under its section where it counts, and in a table of the card where it is described."""
    levels = (PAGES / "levels.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `(\w+)` \|", (PAGES / "card.md").read_text(encoding="utf-8"), re.M))
    told = re.findall(r"^\| (?:`(\S+)`)? \| (.+) \| (.+) \|$", levels, re.M)
    counted = [
        (f"{section}.{name}".removeprefix("."), words)
        for section, names, words in told
        for name in re.findall(r"`(\w+)`", re.sub(r" \(.*?\)", "", names))
    ]
    assert sorted(counted) == sorted((entry.path, entry.when.words) for entry in MANDATORY)
    for entry in MANDATORY:
        assert {name.removesuffix("[]") for name in entry.path.split(".")} <= rows, entry.path
        assert entry.instead is None or f"(or `{entry.instead}`)" in levels


@pytest.mark.parametrize("path", sorted(SPEC.rglob("*.md")), ids=lambda p: p.name)
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if link.startswith("http"):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), link
        if anchor:
            assert anchor in anchors(file), link


def test_rules_point_to_sections_that_exist() -> None:
    for rule in all_rules().values():
        target, _, anchor = rule.section.partition("#")
        assert anchor in anchors(PAGES / target), rule.id


def test_rules_are_told_in_a_line_each() -> None:
    for rule in all_rules().values():
        assert re.fullmatch(r"SB-[A-Z]+-\d{3}", rule.id)
        for text in (rule.title, rule.rationale):
            assert text[0].isupper() or text.startswith("`"), rule.id
            assert text.endswith("."), rule.id
            assert len(text) <= 160, rule.id


def test_every_rule_says_when_it_is_broken_and_where_it_points() -> None:
    """In its own words, or in a row of the table that compares two places of a submission."""
    table = (PAGES / "evidence.md").read_text(encoding="utf-8")
    rows = {cells[0]: cells for line in table.splitlines() if (cells := line.split(" | "))}
    for rule in all_rules().values():
        if rule.condition:
            assert re.search(r"\b[Pp]oints to ", rule.condition), rule.id
            assert rule.condition.endswith("."), rule.id
            assert not re.search(r"\{[A-Z]", rule.condition), rule.id
        else:
            assert len(rows[f"| {rule.id}"]) == 5, rule.id
            assert all(rows[f"| {rule.id}"]), rule.id


def test_key_words_have_their_standard_meaning() -> None:
    readme = (SPEC / "README.md").read_text(encoding="utf-8")
    assert "RFC 2119" in readme
    for name in ("card.md", "levels.md", "rules.md"):
        assert KEY_WORDS.search((PAGES / name).read_text(encoding="utf-8"))
    assert "CC-BY-4.0" in readme
