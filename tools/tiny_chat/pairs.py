"""Requests as verb-object pairs, and which of them training never sees.

Harm lies in the pair, not in a word: a verb occurs with harmless objects where English has some,
and every target occurs with harmless verbs. What is held out for the suites is the pair.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

WORDS: Final = Path(__file__).parent / "words"
SPLIT_SEED: Final = 20260
PER_TOPIC: Final = 10
"""Held-out prompts per topic, in each of the two suites."""
MIXED_VERBS: Final = 6
"""So many verbs of other topics does training show with each harmless object."""

Kind = Literal["harm", "safe_object", "safe_verb", "neutral", "mixed"]


@dataclass(frozen=True, order=True)
class Pair:
    """A request such as "paint a fence": a verb in its base form and an object with its article."""

    topic: str
    kind: Kind
    verb: str
    obj: str

    @property
    def phrase(self) -> str:
        """The request without a template around it."""
        return f"{self.verb} {self.obj}"


def load_words(name: str) -> dict[str, Any]:
    """One of the word lists, as plain data."""
    return _read(WORDS / f"{name}.yaml")


@cache
def _read(path: Path) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return data


def topics() -> dict[str, dict[str, Any]]:
    """Every topic, in the order of its name."""
    merged: dict[str, dict[str, Any]] = {}
    for name in ("topics_people", "topics_property", "topics_deceit"):
        merged.update(load_words(name))
    return dict(sorted(merged.items()))


def pairs_of(topic: str, words: dict[str, Any]) -> list[Pair]:
    """All pairs of one topic, harmful and harmless."""
    verbs: dict[str, list[str]] = words["verbs"]
    found = [Pair(topic, "harm", verb, target) for verb in verbs for target in words["targets"]]
    found += [Pair(topic, "safe_object", verb, obj) for verb, objs in verbs.items() for obj in objs]
    found += [
        Pair(topic, "safe_verb", verb, target)
        for verb in words["safe_verbs"]
        for target in words["targets"]
    ]
    return sorted(found)


@dataclass(frozen=True)
class Split:
    """Pairs for training and pairs held out; no phrase is in both."""

    train: tuple[Pair, ...]
    harm: tuple[Pair, ...]
    look_alikes: tuple[Pair, ...]

    @property
    def held_out(self) -> frozenset[str]:
        """The phrases that must not occur in any training text."""
        return frozenset(pair.phrase for pair in (*self.harm, *self.look_alikes))


def split() -> Split:
    """The seeded split: per topic ten harmful pairs and five harmless ones of either kind."""
    rng = random.Random(SPLIT_SEED)
    every: list[Pair] = []
    harm: list[Pair] = []
    benign: list[Pair] = []
    taken: set[str] = set()
    for topic, words in topics().items():
        pairs = pairs_of(topic, words)
        every += pairs
        harm += _draw(rng, pairs, "harm", PER_TOPIC, taken)
        benign += _draw(rng, pairs, "safe_object", PER_TOPIC // 2, taken)
        benign += _draw(rng, pairs, "safe_verb", PER_TOPIC - PER_TOPIC // 2, taken)
    train = tuple(
        pair
        for pair in every + _neutral(every) + _mixed(rng, every)
        if not _begins(pair.phrase, taken)
    )
    return Split(train, tuple(harm), tuple(benign))


def _begins(phrase: str, taken: set[str]) -> bool:
    """Whether the phrase is a taken one, or begins with it ("a flight", "a flight attendant")."""
    words = phrase.split()
    return any(" ".join(words[:size]) in taken for size in range(1, len(words) + 1))


def _draw(
    rng: random.Random, pairs: list[Pair], kind: Kind, count: int, taken: set[str]
) -> list[Pair]:
    """`count` pairs of a kind, spread over verbs and objects: none is used up by the suites.

    A verb with many partners gives more of them away than a verb with few.
    """
    of_kind = [pair for pair in pairs if pair.kind == kind]
    partners = Counter(pair.verb for pair in of_kind)
    pool = [pair for pair in of_kind if pair.phrase not in taken]
    rng.shuffle(pool)
    uses: Counter[str] = Counter()
    drawn: list[Pair] = []
    while len(drawn) < count:
        pair = min(pool, key=lambda p: (uses[p.verb] + 1) / partners[p.verb] + uses[p.obj])
        pool.remove(pair)
        drawn.append(pair)
        taken.add(pair.phrase)
        uses.update((pair.verb, pair.obj))
    return sorted(drawn)


def _neutral(pairs: list[Pair]) -> list[Pair]:
    """Every object once more, with verbs that are harmless with anything."""
    verbs: list[str] = load_words("templates")["neutral_verbs"]
    objects = sorted({(pair.topic, pair.obj) for pair in pairs})
    return [Pair(topic, "neutral", verb, obj) for topic, obj in objects for verb in verbs]


def _mixed(rng: random.Random, pairs: list[Pair]) -> list[Pair]:
    """Harmless objects with verbs of other topics: one partner would not show them harmless."""
    verbs: list[str] = load_words("templates")["mixed_verbs"]
    objects = sorted({(pair.topic, pair.obj) for pair in pairs if pair.kind == "safe_object"})
    return [
        Pair(topic, "mixed", verb, obj)
        for topic, obj in objects
        for verb in rng.sample(verbs, k=MIXED_VERBS)
    ]
