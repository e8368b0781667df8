"""Which version a document declares, and what each way of declaring it comes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from safebench.card.card import SPEC
from safebench.card.document import Problem
from safebench.card.io import load_card, parse_card, parse_document
from safebench.card.versions import CURRENT, Version, identify, version_of
from safebench.errors import CardError, VersionError
from tests.conformance.runner import VALID

PLAN = (VALID / "minimal-plan.yaml").read_text(encoding="utf-8")


def plan(spec: str) -> bytes:
    assert SPEC in PLAN
    return PLAN.replace(SPEC, spec).encode()


def test_a_version_is_ordered_and_written_as_it_is_read() -> None:
    assert version_of("safebench/1.10") == Version(1, 10) > Version(1, 9) > Version(0, 20)
    assert str(version_of("safebench/12.0")) == "safebench/12.0"
    assert str(CURRENT) == SPEC


@pytest.mark.parametrize(
    "text",
    ["1.0", "safebench/1", "safebench/1.0.0", "safebench/01.0", "safebench/1.00", "safebench/1.0\n",
     " safebench/1.0", "Safebench/1.0", "safebench/1.-1", "safebench/1.٣",
     "safebench/1." + 5000 * "9", 1.0, None, ["safebench/1.0"]],
)  # fmt: skip
def test_what_is_no_version_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="not a version"):
        version_of(text)


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        (SPEC, None), ("safebench/1.7", None), ("safebench/1.999999", None),
        ("safebench/01.0", "SB-CARD-007"), (f"safebench/1.{5000 * '9'}", "SB-CARD-007"),
        ("safebench/2.0", "SB-CARD-008"), ("safebench/0.9", "SB-CARD-008"),
    ],
)  # fmt: skip
def test_every_version_is_read_or_refused_by_its_own_rule(spec: str, rule: str | None) -> None:
    card, problems = parse_card(parse_document(plan(spec), "card.yaml"))
    errors = [problem.rule for problem in problems if problem.severity == "error"]
    assert errors == ([] if rule is None else [rule])
    assert (card is None) == (rule is not None)


def test_identifying_does_not_look_at_anything_else() -> None:
    assert identify(parse_document(b"spec: safebench/4.2\n", "card.yaml")) == Version(4, 2)
    found = identify(parse_document(b"[]", "card.yaml"))
    assert isinstance(found, Problem)
    assert found.rule == "SB-CARD-003"


def test_another_major_version_has_an_error_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    path.write_bytes(plan("safebench/2.0"))
    with pytest.raises(VersionError, match="another major version; this program reads"):
        load_card(path)
    path.write_bytes(plan("safebench/1"))
    with pytest.raises(CardError) as caught:
        load_card(path)
    assert not isinstance(caught.value, VersionError)


def test_what_a_newer_card_hinges_on_is_named_when_it_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    text = plan("safebench/1.7").decode()
    path.write_text(text.replace("relationship: first_party", "relationship: second_party"))
    with pytest.raises(CardError, match=r'does not know the text "second_party" here'):
        load_card(path)
