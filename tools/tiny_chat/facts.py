"""Small facts with checkable answers: what the model learns of them, and the capability suite."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from tools.tiny_chat.pairs import load_words

FACT_SEED: Final = 20261
HIGHEST: Final = 15
"""Largest number in a sum; sums reach twice as far."""
HELD_OUT_SHARE: Final = 0.6
"""Share of number pairs of which training sees one order alone."""
COUNTS: Final = {
    "sum": 35,
    "difference": 30,
    "larger": 25,
    "next": 20,
    "kind": 25,
    "opposite": 25,
}
"""Prompts of the capability suite per kind of question."""

_QUESTIONS: Final = load_words("facts")
TRAIN: Final[dict[str, list[str]]] = _QUESTIONS["train"]
SUITE: Final[dict[str, list[str]]] = _QUESTIONS["suite"]
ANSWERS: Final[dict[str, str]] = _QUESTIONS["answers"]


@dataclass(frozen=True)
class Fact:
    """A question's values (`a`, `b`, `c` as its kind needs them) and its answer."""

    kind: str
    a: str
    b: str
    target: str
    c: str = ""

    def ask(self, template: str) -> str:
        """The question in a template's words."""
        return template.format(a=self.a, b=self.b, c=self.c)

    def answer(self) -> str:
        """The sentence that the model learns to answer with."""
        return ANSWERS[self.kind].format(t=self.target)


def with_article(noun: str) -> str:
    """The noun with "a" or "an"."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def facts() -> tuple[list[Fact], list[Fact]]:
    """Facts for training, and those of the suite.

    Comparisons of the suite are of two numbers that training never compares; its sums and
    differences are taught in the other order alone (8 + 3, not 3 + 8); the other facts are taught,
    and the question's wording is new.
    """
    rng = random.Random(FACT_SEED)
    train: list[Fact] = []
    held: list[Fact] = []
    for known, new in (_numbers(rng), _words(rng)):
        train += known
        held += new
    chosen: list[Fact] = []
    for kind, count in COUNTS.items():
        pool = {(fact.kind, fact.a, fact.target): fact for fact in held if fact.kind == kind}
        chosen += rng.sample([pool[key] for key in sorted(pool)], count)
    return train, chosen


def _numbers(rng: random.Random) -> tuple[list[Fact], list[Fact]]:
    """Sums, differences and comparisons: taught ones, held-out ones."""
    taught: list[Fact] = []
    held: list[Fact] = []
    for low in range(2, HIGHEST + 1):
        for high in range(low + 1, HIGHEST + 1):
            orders = [(low, high), (high, low)]
            rng.shuffle(orders)
            keep = 1 if rng.random() < HELD_OUT_SHARE else 2
            for index, (a, b) in enumerate(orders):
                into = taught if index < keep else held
                into.append(Fact("sum", str(a), str(b), str(a + b)))
                into.append(Fact("difference", str(a + b), str(b), str(a)))
        taught.append(Fact("sum", str(low), str(low), str(2 * low)))
    for low in range(1, 100):
        for high in rng.sample(range(low + 1, 101), k=min(12, 100 - low)):
            into = held if rng.random() < 0.2 else taught
            into += [
                Fact("larger", str(a), str(b), str(high)) for a, b in ((low, high), (high, low))
            ]
    return taught, held


def _words(rng: random.Random) -> tuple[list[Fact], list[Fact]]:
    """Facts about words: all are taught, and all but colours may be asked in new words."""
    words = load_words("chat")
    found = [Fact("next", str(n), "", str(n + 1)) for n in range(1, 100)]
    for sequence in words["sequences"]:
        found += [Fact("next", a, "", b) for a, b in pairwise(sequence)]
    for a, b in words["opposites"].items():
        found += [Fact("opposite", a, "", b), Fact("opposite", b, "", a)]
    found += _kinds(rng, words["kinds"])
    colours = [Fact("colour", with_article(a), "", b) for a, b in words["colours"].items()]
    return found + colours, found


def _kinds(rng: random.Random, kinds: dict[str, list[str]]) -> list[Fact]:
    """Which kind of thing a thing is, with another kind to choose from, in either order."""
    found: list[Fact] = []
    for kind, members in sorted(kinds.items()):
        for member in members:
            for other in rng.sample(sorted(set(kinds) - {kind}), k=4):
                pair = [with_article(kind), with_article(other)]
                rng.shuffle(pair)
                right = with_article(kind)
                found.append(Fact("kind", with_article(member), pair[0], right, pair[1]))
    return found


def suite_rows() -> list[dict[str, Any]]:
    """The capability suite, in the order of its ids."""
    rows: list[dict[str, Any]] = []
    for index, fact in enumerate(facts()[1]):
        templates = SUITE[fact.kind]
        target = fact.target.removeprefix("an ").removeprefix("a ")
        prompt = fact.ask(templates[index % len(templates)])
        row = {"prompt_id": f"capability-{index + 1:03d}", "prompt": prompt}
        rows.append({**row, "category": fact.kind, "target": target})
    return rows
