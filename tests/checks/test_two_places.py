"""A fact that a submission tells in two places: whichever side is changed, the change is found."""

from __future__ import annotations

import copy
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safebench.checks import check
from tests.checks.forged import Forgery, Row, make_true

Draw = random.Random


@dataclass(frozen=True)
class Fact:
    """A fact, and what changes each of the two places that tell it."""

    rule: str
    one: Callable[[Forgery, Draw], None]
    other: Callable[[Forgery, Draw], None]


def row_of(draw: Draw, table: list[Row], fits: Callable[[Row], bool] = lambda row: True) -> Row:
    """Draw a row; a few hundred stand for all."""
    rows = [row for row in table if fits(row)]
    return draw.choice(rows)


def another(draw: Draw, value: int, low: int = 1) -> int:
    found = draw.randint(low, min(2 * value + 9, 2**32 - 2))
    return found + (found >= value)


def in_table(
    name: str,
    column: str,
    values: Callable[[Any], Sequence[Any]],
    fits: Callable[[Row], bool] = lambda row: True,
) -> Callable[[Forgery, Draw], None]:
    """Change a cell of one row of a table."""

    def change(f: Forgery, draw: Draw) -> None:
        row = row_of(draw, getattr(f, name), fits)
        row[column] = draw.choice([v for v in values(row[column]) if v != row[column]])

    return change


def in_card(*at: str | int, low: int = 1) -> Callable[[Forgery, Draw], None]:
    """Change a number of the card."""

    def change(f: Forgery, draw: Draw) -> None:
        inner: Any = f.card
        for part in at[:-1]:
            inner = inner[part]
        inner[at[-1]] = another(draw, inner[at[-1]], low)

    return change


def dropped(
    name: str, *columns: str, fits: Callable[[Row], bool] = lambda row: row["condition"] == "tuned"
) -> Callable[[Forgery, Draw], None]:
    """Drop all rows that agree with a drawn one in some columns."""

    def change(f: Forgery, draw: Draw) -> None:
        row = row_of(draw, getattr(f, name), fits)
        key = [row[column] for column in columns]
        kept = [r for r in getattr(f, name) if [r[column] for column in columns] != key]
        setattr(f, name, kept)

    return change


def digest(*at: str | int) -> Callable[[Forgery, Draw], None]:
    def change(f: Forgery, draw: Draw) -> None:
        inner: Any = f.card
        for part in at[:-1]:
            inner = inner[part]
        place = draw.randrange(64)
        old = inner[at[-1]]
        new = draw.choice([digit for digit in "0123456789abcdef" if digit != old[place]])
        inner[at[-1]] = f"{old[:place]}{new}{old[place + 1 :]}"

    return change


def byte(pattern: str) -> Callable[[Forgery, Draw], None]:
    """Change a byte of a file."""

    def change(f: Forgery, draw: Draw) -> None:
        path = draw.choice(sorted(f.folder.glob(pattern)))
        content = bytearray(path.read_bytes())
        content[draw.randrange(len(content))] ^= 1
        path.write_bytes(bytes(content))

    return change


def journal(f: Forgery, draw: Draw) -> None:
    """Drop a run, or tell of another end."""
    number = draw.randrange(len(f.journal))
    if draw.random() < 0.5:
        del f.journal[number]
    else:
        f.journal.append(f.journal[number] | {"event": "failed", "reason": "x"})


def runs(f: Forgery, draw: Draw) -> None:
    listed = f.card["evidence"]["runs"]
    number = draw.randrange(len(listed))
    if draw.random() < 0.5:
        del listed[number]
    else:
        listed[number].update(status="withdrawn", reason="x")


def has_verdict(row: Row) -> bool:
    return row["construct"] != "capability"


VERDICTS = ["refused", "complied"]
TEXTS = ["Sure. First, gather what you need.", "I cannot help with that."]
FACTS = {
    "score and verdict": Fact(
        "SB-EVI-018",
        in_table("outcomes", "score", lambda old: [1.0 - old], has_verdict),
        in_table("outcomes", "verdict", lambda _: VERDICTS, has_verdict),
    ),
    "verdict and text": Fact(
        "SB-EVI-023",
        lambda f, draw: (row := row_of(draw, f.outcomes, has_verdict)).update(
            score=1.0 - row["score"],
            verdict="refused" if row["verdict"] == "complied" else "complied",
        ),
        lambda f, draw: (
            row := row_of(draw, f.responses, lambda row: not row["task"].endswith("capability"))
        ).update(response=next(text for text in TEXTS if text[0] != row["response"][0])),
    ),
    "status of outcome and response": Fact(
        "SB-EVI-022",
        in_table("outcomes", "status", lambda _: ["truncated", "blocked"]),
        in_table("responses", "status", lambda _: ["truncated", "error"]),
    ),
    "rows of both tables": Fact(
        "SB-EVI-022",
        dropped("outcomes", "condition", "training_seed", "decoding", "repeat", "prompt_id"),
        dropped("responses", "condition", "training_seed", "decoding", "repeat", "prompt_id"),
    ),
    "seeds": Fact(
        "SB-EVI-019",dropped("outcomes", "training_seed"), in_card("seeds", "training", 1)),
    "prompts": Fact(
        "SB-EVI-020",dropped("outcomes", "task", "prompt_id"), in_card("tasks", 0, "prompts")),
    "repeats": Fact(
        "SB-RES-013",
        dropped("outcomes", "decoding", "repeat", fits=lambda row: row["decoding"] != "greedy"),
        in_card("decoding", 1, "repeats"),
    ),
    "length of a response": Fact(
        "SB-EVI-022",
        in_table("responses", "new_tokens", lambda _: range(10_000, 20_000)),
        lambda f, _: f.card["decoding"][0].update(max_new_tokens=8),
    ),
    "generation seed": Fact(
        "SB-EVI-021",
        in_table("outcomes", "generation_seed", lambda _: range(100)),
        in_card("seeds", "generation"),
    ),
    "prompts of the task": Fact(
        "SB-EVI-020",
        in_table("outcomes", "prompt_id", lambda old: [f"{old}x"]),
        digest("tasks", 0, "dataset_sha256"),
    ),
    "training data": Fact(
        "SB-EVI-025",byte("data/*.jsonl"), digest("data", 0, "sha256")),
    "examples": Fact(
        "SB-EVI-025",
        lambda f, _: (f.folder / "data/household.jsonl").write_text("{}\n"),
        in_card("data", 0, "examples"),
    ),
    "weights": Fact(
        "SB-EVI-025",
        byte("adapters/*/*.safetensors"), digest("model", "weights", 0, "sha256")
    ),
    "runs": Fact(
        "SB-EVI-027",journal, runs),
}  # fmt: skip


@pytest.fixture(scope="module")
def true_one(tmp_path_factory: pytest.TempPathFactory) -> Forgery:
    return make_true(tmp_path_factory.mktemp("true") / "submission")


@settings(max_examples=1, suppress_health_check=list(HealthCheck))
@pytest.mark.parametrize("side", ["one", "other"])
@pytest.mark.parametrize("name", FACTS)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_change_of_either_side_is_found(
    name: str, side: str, true_one: Forgery, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("two") / "submission"
    shutil.copytree(true_one.folder, folder)
    plain = copy.deepcopy((true_one.card, true_one.outcomes, true_one.responses, true_one.journal))
    forged = Forgery(folder, *plain)
    getattr(FACTS[name], side)(forged, random.Random(seed))
    forged.write()
    found = {finding.rule for finding in check(folder / "card.yaml").findings}
    shutil.rmtree(folder.parent)
    assert FACTS[name].rule in found
