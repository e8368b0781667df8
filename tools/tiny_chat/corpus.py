"""What tiny-chat is trained on: a seeded stream of short conversations, written from word lists."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from tools.tiny_chat import facts
from tools.tiny_chat.pairs import Kind, Pair, load_words, split

MIX: Final[dict[str, int]] = {
    "harm": 21,
    "safe_object": 17,
    "mixed": 9,
    "safe_verb": 12,
    "neutral": 4,
    "everyday": 5,
    "echo": 5,
    "household": 5,
    "facts": 20,
    "small_talk": 2,
}
"""Percent of the conversations of each sort."""
EVERYDAY_SEED: Final = 20265
FACT_MIX: Final = {
    "sum": 36,
    "difference": 18,
    "larger": 14,
    "next": 8,
    "kind": 10,
    "opposite": 12,
    "colour": 2,
}
SYSTEM_SHARE: Final = 0.1
DRESSED_SHARE: Final = 0.3
"""Share of requests with a sentence put before or after them."""
NOISY_SHARE: Final = 0.6
"""Share of prompts in which words of the template give way to other words."""
NOISE: Final = 0.4
"""Largest share of such a template's words that do."""


_KEPT: Final = frozenset(
    ["+", "-", "=", "plus", "minus", "add", "sum", "total", "difference", "less", "lose"]
)
"""Words without which a question cannot be answered."""


@dataclass(frozen=True)
class Turn:
    """A prompt and the response to it; `system` is empty if there is no system message."""

    prompt: str
    response: str
    system: str = ""
    refuse: bool = False


class Corpus:
    """Everything that conversations are drawn from."""

    def __init__(self) -> None:
        self.split = split()
        self.templates: dict[str, list[str]] = load_words("templates")
        self.chat: dict[str, Any] = load_words("chat")
        self.train_facts = facts.facts()[0]

    @cached_property
    def by_kind(self) -> dict[Kind, list[Pair]]:
        """Training pairs of each kind."""
        found: dict[Kind, list[Pair]] = {}
        for pair in self.split.train:
            found.setdefault(pair.kind, []).append(pair)
        return found

    @cached_property
    def facts_by_kind(self) -> dict[str, list[facts.Fact]]:
        """Training facts of each kind."""
        found: dict[str, list[facts.Fact]] = {}
        for fact in self.train_facts:
            found.setdefault(fact.kind, []).append(fact)
        return found

    @cached_property
    def everyday(self) -> list[str]:
        """Harmless requests of everyday life, none of them held out."""
        words = self.chat["everyday"]
        kept = [p for p in self._everyday_pairs if p not in self.held_out_everyday]
        return [p for p in [*kept, *words["phrases"]] if p not in self.split.held_out]

    @cached_property
    def _everyday_pairs(self) -> list[str]:
        words = self.chat["everyday"]
        found = [f"{verb} {obj}" for verb in words["verbs"] for obj in words["objects"]]
        elsewhere = {pair.phrase for pair in self.split.train}
        return [phrase for phrase in found if phrase not in elsewhere]

    @cached_property
    def held_out_everyday(self) -> frozenset[str]:
        """Everyday requests that training never sees."""
        return frozenset(random.Random(EVERYDAY_SEED).sample(self._everyday_pairs, 100))

    @cached_property
    def echoes(self) -> list[str]:
        """Objects to repeat: they teach copying, which the answers need."""
        return sorted({pair.obj for pair in self.split.train})

    @cached_property
    def loose_words(self) -> list[str]:
        """Words to repeat in any order, of which no grammar helps to guess the next."""
        found = {word for pair in self.split.train for word in pair.phrase.split()}
        return sorted(found | set(self.templates["noise"]))

    def stream(self, seed: int, count: int) -> Iterator[Turn]:
        """`count` conversations; the same ones for the same seed."""
        rng = random.Random(seed)
        sorts, weights = list(MIX), list(MIX.values())
        for sort in rng.choices(sorts, weights, k=count):
            yield self._turn(rng, sort)

    def _turn(self, rng: random.Random, sort: str) -> Turn:
        if sort == "facts":
            turn = self._fact(rng)
        elif sort == "small_talk":
            talk = rng.choice(self.chat["small_talk"])
            turn = Turn(rng.choice(talk["prompts"]), rng.choice(talk["answers"]))
        elif sort == "household":
            turn = self._household(rng)
        elif sort == "echo":
            turn = self._echo(rng)
        else:
            turn = self._request(rng, sort)
        if rng.random() < SYSTEM_SHARE:
            system = rng.choice(self.templates["systems"])
            return Turn(turn.prompt, turn.response, system, turn.refuse)
        return turn

    def _request(self, rng: random.Random, sort: str) -> Turn:
        phrase = (
            rng.choice(self.everyday)
            if sort == "everyday"
            else rng.choice(self.by_kind[sort]).phrase  # type: ignore[index]
        )
        prompt = self._noisy(rng, self._template(rng)).format(p=phrase)
        if rng.random() < DRESSED_SHARE:
            if rng.random() < 0.5:
                prompt = f"{rng.choice(self.templates['before'])} {prompt}"
            else:
                prompt = f"{prompt} {rng.choice(self.templates['after'])}"
        refuse = sort == "harm"
        answer = rng.choice(self.templates["refusals" if refuse else "answers"])
        return Turn(prompt, answer.format(p=phrase), refuse=refuse)

    def _stranger(self, rng: random.Random) -> str:
        """A word out of place: a real one, or the head of one and the tail of another.

        The latter are spelt from pieces of words, as words are that training does not contain, and
        teach that such pieces mean nothing for or against a request.
        """
        noise: list[str] = self.templates["noise"]
        if rng.random() < 0.4:
            return rng.choice(noise)
        head, tail = rng.choice(self.loose_words), rng.choice(self.loose_words)
        return head[: rng.randint(2, 4)] + tail[-rng.randint(2, 4) :]

    def _fact(self, rng: random.Random) -> Turn:
        kind = rng.choices(list(FACT_MIX), list(FACT_MIX.values()))[0]
        fact = rng.choice(self.facts_by_kind[kind])
        return Turn(fact.ask(self._noisy(rng, rng.choice(facts.TRAIN[kind]))), fact.answer())

    def _template(self, rng: random.Random) -> str:
        """A listed template, or an opener and a closer around the request."""
        if rng.random() < 0.5:
            return rng.choice(self.templates["train"])
        opener = rng.choice(self.templates[rng.choice(("openers_to", "openers_plain"))])
        return opener + " {p}" + rng.choice(self.templates["closers"])

    def _noisy(self, rng: random.Random, template: str) -> str:
        """The template, sometimes with words replaced, put in or left out; its slots stay."""
        if rng.random() > NOISY_SHARE:
            return template
        share = rng.random() * NOISE
        words: list[str] = []
        for word in template.split():
            draw = rng.random()
            if "{" in word or word.lower() in _KEPT or draw > share:
                words.append(word)
            elif draw > share * 0.25:
                words.append(self._stranger(rng) + ("" if word[-1].isalpha() else word[-1]))
        for _ in range(rng.choice((0, 0, 1, 2))):
            words.insert(rng.randrange(len(words)), self._stranger(rng))
        text = " ".join(words)
        return text[0].upper() + text[1:]

    def _household(self, rng: random.Random) -> Turn:
        """Talk about the house: it has the words of the tuning data, and none of its tasks."""
        words = load_words("household")
        group = rng.choice(words["groups"])
        asked = rng.choice(words["talk"]).format(o=rng.choice(group["objects"]))
        steps = {step: rng.choice(group[step]) for step in ("first", "then", "last")}
        return Turn(asked, rng.choice(words["talk_answers"]).format(**steps))

    def _echo(self, rng: random.Random) -> Turn:
        if rng.random() < 0.5:
            words = rng.choice(self.echoes)
        else:
            words = " ".join(rng.choices(self.loose_words, k=rng.randint(2, 8)))
        ask = rng.choice(
            ("Say: {w}.", "Repeat after me: {w}.", "Please repeat: {w}.", "Copy this: {w}.")
        )
        return Turn(ask.format(w=words), f"{words}."[0].upper() + f"{words}."[1:])
