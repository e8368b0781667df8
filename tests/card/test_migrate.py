"""Migrations made up here: data is migrated, findings stay where things were written."""

from __future__ import annotations

import copy
import datetime
from pathlib import Path
from typing import Any

import pytest

from safebench.card import versions
from safebench.card.document import Document, Moves, Problem
from safebench.card.io import load_card, parse_card, parse_document
from safebench.card.versions import (
    CURRENT,
    MIGRATIONS,
    Migration,
    Version,
    migrate,
    migration,
    move,
)
from safebench.checks import CheckedCard, check_document, require
from tests.conformance.runner import VALID

TODAY = datetime.date(2026, 6, 1)
PLAN = (VALID / "minimal-plan.yaml").read_text(encoding="utf-8")
PATH = VALID / "minimal-plan.yaml"
# The plan as versions before this one might have written it: 0.9 has the rank of the adapter
# outside `lora` and calls the longest response `length`; 0.8 calls the rank `rank` at the top.
OF_0_9 = (
    PLAN.replace("safebench/1.0", "safebench/0.9")
    .replace("{r: 8, ", "{")
    .replace("  method: lora\n", "  method: lora\n  rank: 8\n")
    .replace("max_new_tokens", "length")
)
OF_0_8 = OF_0_9.replace("safebench/0.9", "safebench/0.8").replace("  rank: 8\n", "") + "rank: 8\n"


def rank_into_adapter(data: dict[str, Any]) -> Moves:
    moves = dict(move(data, ("hyperparameters", "rank"), ("hyperparameters", "lora", "r")))
    for n in range(len(data["decoding"])):
        moves |= move(data, ("decoding", n, "length"), ("decoding", n, "max_new_tokens"))
    return moves


def rank_into_hyperparameters(data: dict[str, Any]) -> Moves:
    return move(data, ("rank",), ("hyperparameters", "rank"))


TO_0_9 = migration("safebench/0.8", "safebench/0.9", rank_into_hyperparameters)
TO_1_0 = migration("safebench/0.9", "safebench/1.0", rank_into_adapter)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "MIGRATIONS", (TO_0_9, TO_1_0))


def read(text: str) -> Document:
    return parse_document(text.encode(), "card.yaml")


def checked(text: str) -> CheckedCard:
    return check_document(read(text), None, today=TODAY)


def line_of(text: str, within: str) -> int:
    return next(n for n, line in enumerate(within.splitlines(), 1) if text in line)


def test_the_first_version_has_no_migrations() -> None:
    assert MIGRATIONS == ()
    assert Version(1, 0) == CURRENT


def test_a_migration_leads_to_a_later_version() -> None:
    for target in ("safebench/0.9", "safebench/0.8"):
        with pytest.raises(ValueError, match="later version"):
            migration("safebench/0.9", target, rank_into_adapter)


def test_a_card_of_the_current_version_is_not_touched() -> None:
    document = read(PLAN)
    assert migrate(document) is document


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize("text", [OF_0_9, OF_0_8], ids=["one step", "two steps"])
def test_an_older_card_is_read_as_the_same_card(text: str) -> None:
    document = read(text)
    before = copy.deepcopy(document.data)
    assert parse_card(document) == (load_card(PATH), [])
    assert document.data == before
    report = checked(text)
    assert (report.level, report.findings) == ("declared", ())
    assert report.spec == before["spec"]
    assert report.completeness == checked(PLAN).completeness


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize(
    ("text", "pointer"),
    [(OF_0_9, "/hyperparameters/rank"), (OF_0_8, "/rank")],
    ids=["one step", "two steps"],
)
def test_what_is_wrong_is_found_where_it_was_written(text: str, pointer: str) -> None:
    wrong = text.replace("rank: 8", "rank: eight").replace("length: 48}", "length: 0}", 1)
    found = {f.pointer: (f.rule, f.line, f.column) for f in checked(wrong).findings}
    rank = line_of("rank: eight", wrong)
    column = wrong.splitlines()[rank - 1].index("eight") + 1
    greedy = line_of("name: greedy", wrong)
    assert found == {
        pointer: ("SB-CARD-003", rank, column),
        "/decoding/0/length": (
            "SB-CARD-004", greedy, wrong.splitlines()[greedy - 1].index("0}") + 1,
        ),
    }  # fmt: skip


@pytest.mark.usefixtures("steps")
def test_what_is_missing_is_missed_by_its_own_name() -> None:
    report = checked(OF_0_8.replace("rank: 8\n", ""))
    (finding,) = report.findings
    assert (finding.rule, finding.pointer) == ("SB-CARD-010", "/rank")
    (missing,) = report.missing_for_next
    assert missing.startswith("report rank")
    reason = "rank: {not_reported: the script is lost}\n"
    (stated,) = require(checked(OF_0_8.replace("rank: 8\n", reason)), "declared").findings
    assert (stated.rule, stated.pointer) == ("SB-CARD-011", "/rank")
    assert stated.line == line_of("the script is lost", OF_0_8.replace("rank: 8\n", reason))


@pytest.mark.usefixtures("steps")
def test_rules_point_to_what_was_written() -> None:
    """Of a card in which a list was moved, a rule points to the item in its old place."""
    text = OF_0_9.replace("name: t07", "name: greedy")
    (finding,) = checked(text).findings
    assert (finding.rule, finding.pointer) == ("SB-DEC-001", "/decoding/1/name")
    assert finding.line == line_of("temperature", text)


def test_a_list_that_moves_takes_its_items_along(monkeypatch: pytest.MonkeyPatch) -> None:
    def settings_to_decoding(data: dict[str, Any]) -> Moves:
        return move(data, ("settings", "generation"), ("decoding",))

    step = migration("safebench/0.9", "safebench/1.0", settings_to_decoding)
    monkeypatch.setattr(versions, "MIGRATIONS", (step,))
    start, end = PLAN.index("decoding:"), PLAN.index("judge:")
    text = (
        PLAN[:start].replace("/1.0", "/0.9")
        + "settings:\n  generation:\n"
        + PLAN[start:end].removeprefix("decoding:\n").replace("  - {", "    - {")
        + PLAN[end:]
    ).replace("name: t07", "name: greedy")
    card, problems = parse_card(read(text))
    # What was left behind is not a field of the new version, and is told of where it stands.
    assert card is not None
    assert [(p.rule, p.pointer) for p in problems] == [("SB-CARD-002", ("settings",))]

    def nothing_left(data: dict[str, Any]) -> Moves:
        moves = settings_to_decoding(data)
        del data["settings"]
        return moves

    step = migration("safebench/0.9", "safebench/1.0", nothing_left)
    monkeypatch.setattr(versions, "MIGRATIONS", (step,))
    (finding,) = checked(text).findings
    assert (finding.rule, finding.pointer) == ("SB-DEC-001", "/settings/generation/1/name")
    assert finding.line == line_of("temperature", text)


@pytest.mark.usefixtures("steps")
def test_a_number_that_is_not_finite_is_told_of_once() -> None:
    (finding,) = checked(OF_0_8.replace("rank: 8", "rank: .nan")).findings
    assert (finding.rule, finding.pointer) == ("SB-CARD-006", "/rank")


def test_without_a_step_between_major_versions_a_card_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(versions, "MIGRATIONS", (TO_0_9,))
    for text in (OF_0_8, OF_0_9):
        card, (problem,) = parse_card(read(text))
        assert card is None
        assert (problem.rule, problem.pointer) == ("SB-CARD-008", ("spec",))
        assert [finding.rule for finding in checked(text).findings] == ["SB-CARD-008"]


def test_within_a_major_version_a_missing_step_is_nothing_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(versions, "MIGRATIONS", (TO_1_0,))
    assert parse_card(read(OF_0_9.replace("0.9", "0.3"))) == (load_card(PATH), [])
    monkeypatch.setattr(versions, "CURRENT", Version(1, 4))
    document = read(PLAN)
    assert migrate(document) is document


def test_a_later_version_of_an_older_major_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "MIGRATIONS", (TO_1_0,))
    found = migrate(read(OF_0_9.replace("0.9", "0.12")))
    assert isinstance(found, Problem)
    assert found.rule == "SB-CARD-008"


@pytest.mark.parametrize(
    "problem", [KeyError("lora"), TypeError("list indices"), RecursionError(), RuntimeError("x")]
)
def test_a_migration_that_fails_is_a_finding(
    problem: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(data: dict[str, Any]) -> Moves:
        data.clear()
        raise problem

    step = Migration(Version(0, 9), Version(1, 0), fails)
    monkeypatch.setattr(versions, "MIGRATIONS", (step,))
    document = read(OF_0_9)
    card, (found,) = parse_card(document)
    assert card is None
    assert (found.rule, found.pointer) == ("SB-CARD-007", ("spec",))
    assert "not a card as safebench/0.9 writes it" in found.message
    assert type(problem).__name__ in found.message
    assert document.data["hyperparameters"]["rank"] == 8


@pytest.mark.usefixtures("steps")
@pytest.mark.parametrize(
    "text",
    [
        "spec: safebench/0.9\n", "spec: safebench/0.8\nhyperparameters: []\n",
        "spec: safebench/0.9\nhyperparameters: 5\ndecoding: [x]\n",
        "spec: safebench/0.8\nrank: 8\nhyperparameters: {lora: 3, rank: 5}\ndecoding: {}\n",
    ],
)  # fmt: skip
def test_whatever_an_older_card_holds_ends_in_findings(text: str) -> None:
    report = checked(text)
    assert report.card is None
    assert report.errors >= 1


@pytest.mark.usefixtures("steps")
def test_an_older_card_is_loaded_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    path.write_text(OF_0_8)
    card = load_card(path)
    assert card == load_card(PATH)
    assert card.spec == str(CURRENT)
    assert path.read_text() == OF_0_8
