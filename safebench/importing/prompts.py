"""Checks what is declared about prompts against the prompts as they were sent.

A header records what was intended, not what was sent: where a chat template takes no system turn,
lm-eval drops the system prompt, and its results name it all the same. So whatever should show in a
prompt is looked for in every prompt, whether the header of a file or a person declares it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from safebench.errors import InteropError, visible
from safebench.importing.facts import (
    BY_PERSON,
    Absent,
    Fact,
    Nothing,
    Place,
    first_words,
    show,
    where_read,
)
from safebench.rows import At

SYSTEM: Place = ("prompting", "system_prompt")
EXAMPLES: Place = ("prompting", "few_shot")
PREFILL: Place = ("prompting", "prefill")
ATTACK: Place = ("prompting", "attack")
TEMPLATE: Place = ("model", "chat_template", "source")
_NONE = {
    SYSTEM: "prompting: {system_prompt: null}",
    EXAMPLES: "prompting: {few_shot: 0}",
    PREFILL: "prompting: {prefill: null}",
    TEMPLATE: "model: {chat_template: {source: none}}",
}
"""How a card declares that there was none."""
_SYSTEM_ROLES = ("system", "developer")
_WORD = re.compile(r"[^\W\d_]{2,}")
_MARKUP = re.compile(r"<[^<>\s]{1,60}>|\[/?[A-Z_]+\]")
_DATE = re.compile(
    r"\b(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|"
    r"Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|"
    r"Sun)day|Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b"
)
"""Words that a template writes of the day on which it was applied."""
_TAG = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)


@dataclass(frozen=True, eq=False)
class PromptHeader:
    """What the header of one run of one task declares about its prompts."""

    file: Path
    facts: tuple[Fact, ...] = ()
    """What it says about `SYSTEM`, `EXAMPLES`, `PREFILL`, `TEMPLATE`."""
    template: str | None = None
    """Source of the chat template that was applied, where the header holds it."""
    in_turns: bool | None = None
    """Whether examples are turns of their own; None where turns may belong to a dialogue."""
    words: frozenset[str] | None = None
    """Words that it accounts for beside the task's own prompt; None where it is incomplete."""
    whole: bool = True
    """Whether prompts were logged as the model got them, with nothing added afterwards."""


@dataclass(frozen=True, slots=True, eq=False)
class SentPrompt:
    """One prompt as it was sent."""

    at: At
    turns: tuple[tuple[str, str], ...]
    """Role and text of each turn; one turn without a role where it was sent as one text."""
    header: PromptHeader
    prompt: str | None = None
    """The task's own prompt, where the text of the turns is more than that."""

    def text(self, *roles: str) -> str:
        """Return the text of some turns, or of all, with single spaces."""
        return _plain(" ".join(text for role, text in self.turns if not roles or role in roles))

    @property
    def chat(self) -> bool:
        """Whether it was sent as a chat, so that a server put it into words."""
        return any(role for role, _ in self.turns)

    def around(self) -> frozenset[str]:
        """Return the words that stand around the task's own prompt."""
        if self.prompt is None:
            return frozenset()
        before, _, after = self.text("user", "").rpartition(_plain(self.prompt))
        return words_of(f"{before} {after}")


def words_of(text: str) -> frozenset[str]:
    """Return the words of a text, without marks such as `<|user|>`, and without dates."""
    return frozenset(_WORD.findall(_DATE.sub(" ", _MARKUP.sub(" ", text)).casefold()))


def words_of_template(source: str) -> frozenset[str]:
    """Return the words that a template can write by itself."""
    return frozenset(_WORD.findall(re.sub(r"\\[nrt]", " ", source).casefold()))


def marks_of(template: str) -> frozenset[str]:
    """Return the texts that tell that a chat template was applied: its literals with signs."""
    pieces = [_TAG.sub("\n", template)]
    for tag in _TAG.findall(template):
        pieces += [one or other for one, other in _QUOTED.findall(tag)]
    lines = (line.strip() for piece in pieces for line in re.split(r"\\[nrt]|\n", piece))
    return frozenset(line for line in lines if re.search(r"[^\w\s]", line) and len(line) > 2)


def check_prompts(sent: Iterable[SentPrompt], declared: Iterable[Fact]) -> None:
    """Check that prompts show what headers and a person declare about them.

    Args:
        sent: The prompts, of every model and task.
        declared: What a person declares; it counts instead of a header's.

    Raises:
        InteropError: no prompt or only some show it, or they show what nobody declared.
    """
    by_header: dict[PromptHeader, list[SentPrompt]] = {}
    for one in sent:
        by_header.setdefault(one.header, []).append(one)
    person = [fact for fact in declared if fact.rank == BY_PERSON and fact.file is not None]
    for header, prompts in by_header.items():
        run = _Declared(header, prompts, person)
        run.check_own_prompt()
        run.check_system()
        run.check_template()
        run.check_examples()
        run.check_prefill()
        run.check_rest()


@dataclass(frozen=True)
class _Declared:
    """The prompts of one run, and what is declared about them."""

    header: PromptHeader
    prompts: Sequence[SentPrompt]
    person: Sequence[Fact] = field(repr=False)

    def of(self, place: Place) -> list[Fact]:
        """Return the facts of a field: a person's, else the header's."""
        for facts in (self.person, self.header.facts):
            found = [f for f in facts if place[: len(f.place)] == f.place]
            if found:
                return [f for f in found if not isinstance(f.value, Absent | dict)]
        return []

    def require(self, fact: Fact, without: Sequence[SentPrompt], answer: str) -> None:
        """Raise InteropError where prompts lack what is declared; `answer` is a line for --card."""
        if not without:
            return
        count = len(self.prompts)
        fit = count - len(without)
        agree = f"only {fit} of {count} prompts agree" if fit else f"none of {count} prompts agrees"
        fix = f"say in --card what was sent, e.g. {answer}"
        if fact.place != TEMPLATE:
            fix += ", or {not_reported: WHY} in its place"
        if fact in self.person:
            fix = "correct it there"
        raise InteropError(
            f"{where_read(fact)} is {show(fact.value)}, but {agree} with that as they were sent; "
            f"{without[0].at} asks {show(without[0].text())}",
            fix=f"{fix}; or sample again, so that every prompt is sent as declared",
        )

    def check_own_prompt(self) -> None:
        """Check that what was sent contains the task's own prompt."""
        for one in self.prompts:
            if one.prompt is not None and _plain(one.prompt) not in one.text("user", ""):
                raise InteropError(
                    f"{one.at}: the task's prompt is {show(one.prompt)}, but what was sent is "
                    f"{show(one.text())}",
                    fix="import responses to the task's own prompts, in its own words",
                )

    def check_system(self) -> None:
        """Check that every prompt holds the declared system prompt, or none where none is."""
        header = [f.value for f in self.header.facts if f.place == SYSTEM]
        intended = [_plain(text) for text in header if isinstance(text, str)]
        for fact in self.of(SYSTEM):
            if isinstance(fact.value, str) and (self.header.whole or fact not in self.person):
                text = _plain(fact.value)
                without = [one for one in self.prompts if text not in one.text()]
                self.require(fact, without, _NONE[SYSTEM])
            elif isinstance(fact.value, Nothing):
                without = [
                    one
                    for one in self.prompts
                    if one.text(*_SYSTEM_ROLES) or any(text in one.text() for text in intended)
                ]
                self.require(fact, without, "prompting: {system_prompt: TEXT}")

    def check_template(self) -> None:
        """Check that prompts show the marks of the declared chat template, or none of them."""
        marks = marks_of(self.header.template or "")
        for fact in self.of(TEMPLATE) if marks else ():
            applied = fact.value != "none"
            without = [o for o in self.prompts if not o.chat and _shows(marks, o) != applied]
            answer = _NONE[TEMPLATE] if applied else "model: {chat_template: {source: tokenizer}}"
            self.require(fact, without, answer)

    def check_examples(self) -> None:
        """Check that prompts hold the declared number of examples, where that can be seen."""
        for fact in self.of(EXAMPLES):
            if not isinstance(fact.value, int):
                continue
            without = [one for one in self.prompts if not self._has(one, fact.value)]
            answer = _NONE[EXAMPLES] if fact.value else "prompting: {few_shot: N}"
            self.require(fact, without, answer)

    def _has(self, one: SentPrompt, count: int) -> bool:
        """Whether a prompt can hold that many examples."""
        in_turns = self.header.in_turns
        if in_turns is None:
            return True
        users = sum(role == "user" for role, _ in one.turns)
        if one.chat and (in_turns or not count):
            return users == count + 1
        if count and one.prompt is not None and self.header.words is not None:
            return bool(self._unexplained(one))
        return True

    def check_prefill(self) -> None:
        """Check that every prompt ends with the declared beginning of the response."""
        for fact in self.of(PREFILL) if self.header.whole else ():
            if isinstance(fact.value, str) and "{" not in fact.value:  # lm-eval fills in such a one
                text = _plain(fact.value)
                without = [one for one in self.prompts if not one.text().endswith(text)]
                self.require(fact, without, _NONE[PREFILL])
            elif isinstance(fact.value, Nothing):
                without = [one for one in self.prompts if one.turns[-1][0] == "assistant"]
                self.require(fact, without, "prompting: {prefill: TEXT}")

    def check_rest(self) -> None:
        """Check that nothing surrounds the task's prompts that nobody declared."""
        answers = (SYSTEM, EXAMPLES, PREFILL, ATTACK)
        if self.header.words is None or any(f.place in answers for f in self.person):
            return
        if any(f.value for f in self.of(EXAMPLES) if isinstance(f.value, int)):
            return
        for one in self.prompts:
            left = self._unexplained(one)
            if left:
                raise InteropError(
                    f"{one.at}: the prompt as it was sent is {show(one.text())}; its words "
                    f"{visible(first_words(sorted(left), 5))} are neither the task's nor mentioned "
                    f"in {visible(str(self.header.file))}",
                    fix="say what it is in --card, e.g. prompting: {system_prompt: TEXT}; or "
                    "few_shot, prefill or attack there",
                )

    def _unexplained(self, one: SentPrompt) -> frozenset[str]:
        system = (f.value for f in self.of(SYSTEM) if isinstance(f.value, str))
        known = (self.header.words or frozenset()).union(*map(words_of, system))
        return one.around() - known


def _shows(marks: Iterable[str], one: SentPrompt) -> bool:
    text = " ".join(text for _, text in one.turns)
    return any(mark in text for mark in marks)


def _plain(text: str) -> str:
    return " ".join(text.split())
