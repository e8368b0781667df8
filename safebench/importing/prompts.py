"""Checks what is declared about prompts against the prompts as they were sent.

A header records what was intended, not what was sent: where a chat template has no system turn,
lm-eval drops the system prompt, and its results name it all the same. So whatever should show in a
prompt is looked for in every prompt, whether a file's header or a person declares it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from safebench.errors import InteropError
from safebench.importing.facts import (
    BY_PERSON,
    Absent,
    Fact,
    Nothing,
    Place,
    first_words,
    row_error,
    show,
    single_spaced,
    where_read,
)
from safebench.rows import At

SYSTEM: Place = ("prompting", "system_prompt")
EXAMPLES: Place = ("prompting", "few_shot")
PREFILL: Place = ("prompting", "prefill")
ATTACK: Place = ("prompting", "attack")
TEMPLATE: Place = ("model", "chat_template", "source")
_ANSWERS = {
    SYSTEM: ("prompting: {system_prompt: null}", "prompting: {system_prompt: TEXT}"),
    EXAMPLES: ("prompting: {few_shot: 0}", "prompting: {few_shot: N}"),
    PREFILL: ("prompting: {prefill: null}", "prompting: {prefill: TEXT}"),
    TEMPLATE: (
        "model: {chat_template: {source: none}}",
        "model: {chat_template: {source: tokenizer}}",
    ),
}
"""How a card declares that there was none, and that there was one."""
_SYSTEM_ROLES = ("system", "developer")
_WORD = re.compile(r"[^\W\d_]{2,}")
_MARKUP = re.compile(r"<[^<>\s]{1,60}>|\[/?[A-Z_]+\]")
_DATE = re.compile(
    r"\b(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|"
    r"Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|"
    r"Sun)day|Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b"
)
"""Names of months and days, which a template writes of the day on which it is applied."""
_TAG = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"", re.DOTALL)


@dataclass(frozen=True, eq=False)
class PromptHeader:
    """What the header of one run of one task declares about its prompts."""

    file: Path
    facts: tuple[Fact, ...] = ()
    """Its facts about `SYSTEM`, `EXAMPLES`, `PREFILL`, `TEMPLATE`."""
    template: str | None = None
    """Source of the chat template that was applied, where the header has it."""
    in_turns: bool | None = None
    """Whether examples are turns of their own; None where turns may be those of a dialogue."""
    words: frozenset[str] | None = None
    """Words besides the task's own prompt that it accounts for; None where it is incomplete."""
    whole: bool = True
    """Whether prompts were logged as the model got them, so that nothing was added afterwards."""


@dataclass(frozen=True, slots=True, eq=False)
class SentPrompt:
    """One prompt as it was sent."""

    at: At
    turns: tuple[tuple[str, str], ...]
    """Role and text of each turn; a single turn without a role where it was sent as one text."""
    header: PromptHeader
    prompt: str | None = None
    """The task's own prompt, where the text of the turns is more than that."""

    def text(self, *roles: str) -> str:
        """Return the text of all turns, or of those with some roles, with single spaces."""
        return single_spaced(
            " ".join(text for role, text in self.turns if not roles or role in roles)
        )

    @property
    def chat(self) -> bool:
        """Whether it was sent as a chat, which a server rendered."""
        return any(role for role, _ in self.turns)

    def around(self) -> frozenset[str]:
        """Return the words around the task's own prompt."""
        if self.prompt is None:
            return frozenset()
        # the last occurrence: what stands before the prompt may be examples that repeat it
        before, _, after = self.text("user", "").rpartition(single_spaced(self.prompt))
        return words_of(f"{before} {after}")


def words_of(text: str) -> frozenset[str]:
    """Return the words of a text, without marks such as `<|user|>`, and without dates."""
    return frozenset(_WORD.findall(_DATE.sub(" ", _MARKUP.sub(" ", text)).casefold()))


def words_of_template(source: str) -> frozenset[str]:
    """Return the words that a template itself can write."""
    return frozenset(_WORD.findall(re.sub(r"\\[nrt]", " ", source).casefold()))


def marks_of(template: str) -> frozenset[str]:
    """Return texts that show a chat template was applied: its literals with punctuation."""
    pieces = [_TAG.sub("\n", template)]
    for tag in _TAG.findall(template):
        pieces += [one or other for one, other in _QUOTED.findall(tag)]
    lines = (line.strip() for piece in pieces for line in re.split(r"\\[nrt]|\n", piece))
    return frozenset(line for line in lines if re.search(r"[^\w\s]", line) and len(line) > 2)


def check_prompts(sent: Iterable[SentPrompt], declared: Iterable[Fact]) -> None:
    """Check that prompts show what headers and a person declare about them.

    What a person declares counts instead of what a header does.

    Raises:
        InteropError: no prompt or only some show it, or they show what nobody declared.
    """
    by_header: dict[PromptHeader, list[SentPrompt]] = {}
    for one in sent:
        by_header.setdefault(one.header, []).append(one)
    person = [fact for fact in declared if fact.rank == BY_PERSON and fact.file is not None]
    for header, prompts in by_header.items():
        _Run(header, prompts, person).check()


@dataclass(frozen=True)
class _Run:
    """The prompts of one run, and what is declared about them."""

    header: PromptHeader
    prompts: Sequence[SentPrompt]
    person: Sequence[Fact]

    def check(self) -> None:
        """Check every prompt against every declaration; raises InteropError."""
        self._check_own_prompt()
        for place, shows in (
            (SYSTEM, self._shows_system),
            (TEMPLATE, self._shows_template),
            (EXAMPLES, self._shows_examples),
            (PREFILL, self._shows_prefill),
        ):
            for fact in self._declared(place):
                without = [one for one in self.prompts if not shows(fact, one)]
                if without:
                    raise self._contradicted(place, fact, without)
        self._check_rest()

    def _declared(self, place: Place) -> list[Fact]:
        """Return the facts of a field: a person's, or else the header's."""
        for facts in (self.person, self.header.facts):
            found = [f for f in facts if place[: len(f.place)] == f.place]
            if found:
                return [f for f in found if not isinstance(f.value, Absent | dict)]
        return []

    def _contradicted(
        self, place: Place, fact: Fact, without: Sequence[SentPrompt]
    ) -> InteropError:
        """Return the error for prompts that do not show what is declared."""
        count = len(self.prompts)
        fit = count - len(without)
        agree = f"only {fit} of {count} prompts agree" if fit else f"none of {count} prompts agrees"
        none_declared = isinstance(fact.value, Nothing) or fact.value in (0, "none")
        fix = f"declare in --card what was sent, e.g. {_ANSWERS[place][none_declared]}"
        if place != TEMPLATE:
            fix += ", or {not_reported: WHY} in its place"
        if fact in self.person:
            fix = "correct it there"
        return InteropError(
            f"{where_read(fact)} is {show(fact.value)}, but {agree} with that as they were sent; "
            f"the one at {without[0].at} is {show(without[0].text())}",
            fix=f"{fix}; or sample again, so that every prompt is sent as declared",
        )

    def _check_own_prompt(self) -> None:
        """Check that what was sent contains the task's own prompt."""
        for one in self.prompts:
            if one.prompt is not None and single_spaced(one.prompt) not in one.text("user", ""):
                raise row_error(
                    one.at,
                    f"the task's prompt is {show(one.prompt)}, but what was sent is "
                    f"{show(one.text())}",
                    "import responses to the task's own prompts, in its own words",
                )

    @cached_property
    def _intended(self) -> list[str]:
        """System prompts in the header, whatever a person declares."""
        header = [f.value for f in self.header.facts if f.place == SYSTEM]
        return [single_spaced(text) for text in header if isinstance(text, str)]

    @cached_property
    def _marks(self) -> frozenset[str]:
        return marks_of(self.header.template or "")

    def _shows_system(self, fact: Fact, one: SentPrompt) -> bool:
        if isinstance(fact.value, str):
            # a person may know of a system prompt that was added after the log was written
            unseen = fact in self.person and not self.header.whole
            return unseen or single_spaced(fact.value) in one.text()
        if isinstance(fact.value, Nothing):
            text = one.text()
            return not one.text(*_SYSTEM_ROLES) and not any(i in text for i in self._intended)
        return True

    def _shows_template(self, fact: Fact, one: SentPrompt) -> bool:
        if not self._marks or one.chat:
            return True
        text = " ".join(text for _, text in one.turns)
        marked = any(mark in text for mark in self._marks)
        return marked if fact.value != "none" else not marked

    def _shows_examples(self, fact: Fact, one: SentPrompt) -> bool:
        """Whether a prompt can hold the declared number of examples."""
        count, in_turns = fact.value, self.header.in_turns
        if in_turns is None or not isinstance(count, int):
            return True
        users = sum(role == "user" for role, _ in one.turns)
        if one.chat and (in_turns or not count):
            return users == count + 1
        if count and one.prompt is not None and self.header.words is not None:
            return bool(self._unexplained(one))
        return True

    def _shows_prefill(self, fact: Fact, one: SentPrompt) -> bool:
        """Whether a prompt ends with the declared beginning of the response."""
        if not self.header.whole:
            return True
        if isinstance(fact.value, Nothing):
            return one.turns[-1][0] != "assistant"
        # lm-eval fills in a prefill with braces from the document
        filled_in = not isinstance(fact.value, str) or "{" in fact.value
        return filled_in or one.text().endswith(single_spaced(fact.value))

    def _check_rest(self) -> None:
        """Check that nothing undeclared surrounds the task's prompts."""
        # a person who declares any of these has looked at what surrounds the prompts
        answers = (SYSTEM, EXAMPLES, PREFILL, ATTACK)
        if self.header.words is None or any(f.place in answers for f in self.person):
            return
        if any(f.value for f in self._declared(EXAMPLES) if isinstance(f.value, int)):
            return
        for one in self.prompts:
            if words := self._unexplained(one):
                listed = first_words(sorted(words), 5)
                raise row_error(
                    one.at,
                    f"the prompt as it was sent is {show(one.text())}; its words {listed} are "
                    f"neither the task's nor mentioned in {self.header.file}",
                    "declare in --card what they are, e.g. prompting: {system_prompt: TEXT}, or "
                    "few_shot, prefill or attack there",
                )

    def _unexplained(self, one: SentPrompt) -> frozenset[str]:
        system = (f.value for f in self._declared(SYSTEM) if isinstance(f.value, str))
        known = (self.header.words or frozenset()).union(*map(words_of, system))
        return one.around() - known
