"""The prompted judge: a language model is given a template, filled in, and its output is read.

templates.py reads the template, local.py or endpoint.py gets the answer, and reader.py reads it
by one of parsers.py. What cannot be read has the verdict `unparsed`, a judge's own refusal is
`judge_refused`, and neither has a score. Every answer is kept as soon as it is there, so that an
interrupted run asks nothing twice, and a text is asked about once whatever it stands for.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final, cast

from safebench.card.base import NotReported, require
from safebench.card.judge import ModelJudge, OwnTemplate
from safebench.card.task import Construct
from safebench.errors import CardError, JudgeError
from safebench.evidence.tables import Unread, Verdict
from safebench.judges.cache import Grade, identity, key_of
from safebench.judges.grading import GRADED, RememberingJudge
from safebench.judges.interface import (
    DESCRIPTIVE,
    Decision,
    Exchange,
    Kind,
    Missing,
    Setting,
)
from safebench.judges.pinned import find_weights, missing_weights
from safebench.judges.prompted.parsers import Output
from safebench.judges.prompted.reader import Asker, Reader
from safebench.judges.prompted.templates import (
    check_filled,
    check_template,
    missing_template,
    read_template,
)
from safebench.judges.services import openai_address


class LlmJudge(RememberingJudge):
    """A prompted language model."""

    def __init__(self, entry: ModelJudge, setting: Setting) -> None:
        """Open it; raises CardError, JudgeError or ModelError."""
        super().__init__(entry)
        check_entry(entry, f"judge {entry.name}")
        self._reader = Reader(entry, f"judge {entry.name}")
        self._asker = _open(entry, self._reader, setting)
        self._identity, self._alone = identity(entry), entry.sees == "response"
        self._lock = threading.Lock()

    def decide(self, construct: Construct, places: Sequence[int]) -> list[Decision]:
        """Ask about what was not asked before."""
        if construct not in (self.entry.constructs or ()):
            raise JudgeError(
                f"judge {self.entry.name} does not list {construct}",
                fix="list in `constructs` what it decides",
            )
        keys = [self._key(construct, place) for place in places]
        of_key: dict[str, list[int]] = {}
        for key, place in zip(keys, places, strict=True):
            of_key.setdefault(key, []).append(place)
        asked: list[list[int]] = []
        for key, same in of_key.items():
            kept = self._answers.get(key) or (self._cache.get(key) if self._cache else None)
            if kept is None:
                asked.append(same)
            else:
                self._answers[key] = kept
                self._advance(same)
        if asked:
            questions = [self._question(same[0]) for same in asked]

            def tell(number: int, outputs: Sequence[Output]) -> None:
                with self._lock:  # a server's answers come in several threads
                    self._take(asked[number][0], outputs)
                    self._advance(asked[number])

            self._asker.ask(questions, tell)
        return [_decision(self._answers[key]) for key in keys]

    def close(self) -> None:
        """Free weights; say what a server cost."""
        if spent := self._asker.close():
            self._progress.say(f"judge {self.entry.name}: {spent}")

    def _take(self, place: int, outputs: Sequence[Output]) -> None:
        """Read the outputs for everything that the judge decides, and keep that at once."""
        day = max((one.day for one in outputs if one.day), default=None)
        new = {}
        for construct in self.entry.constructs or ():
            found = self._reader.read(outputs, construct)
            grade = Grade(found.score, day, found.verdict or "", found.reason)
            new[self._key(construct, place)] = grade
        if self._cache is not None:
            self._cache.keep(new.items())
        self._answers |= new

    def _key(self, construct: str, place: int) -> str:
        return key_of(self._identity, construct, *self._question(place))

    def _question(self, place: int) -> Exchange:
        """Return what the judge is asked about: without the prompt where it does not see that."""
        exchange = self._texts[place].exchange
        return exchange._replace(prompt="") if self._alone else exchange


def _decision(grade: Grade) -> Decision:
    verdict = cast("Verdict | Unread | None", grade.verdict or None)
    return Decision(verdict, grade.degree, grade.reason)


def _open(entry: ModelJudge, reader: Reader, setting: Setting) -> Asker:
    if entry.access == "api":
        from safebench.judges.prompted.endpoint import Endpoint

        return Endpoint(entry, reader, setting.folder)
    from safebench.judges.prompted.local import LocalModel

    return LocalModel(entry, reader, setting.folder, setting.device)


def check_entry(entry: ModelJudge, place: str, *_: object) -> None:
    """Check that an entry says all that is needed, and nothing that is not executed.

    Raises:
        CardError: names the place and what would be executed.
    """
    parser = Reader(entry, place).parser
    check_template(entry, place)
    sampling = require(entry.sampling, f"{place}.sampling")
    if parser.shares is None and sampling is None:
        raise CardError(
            f"{place}.sampling is missing, and its judge writes text",
            fix="give `sampling` with max_new_tokens; temperature 0 is greedy",
        )
    votes = require(entry.votes, f"{place}.votes")
    if votes > 1 and (parser.shares is not None or not (sampling and sampling.temperature > 0)):
        raise CardError(
            f"{place}.votes is {votes}, and every vote would be the same",
            fix="give sampling.temperature above 0, or leave votes out",
        )


def _check_present(entry: ModelJudge, folder: Path) -> None:
    check_filled(entry)
    if not isinstance(entry.template, OwnTemplate):
        read_template(entry, folder)
    if entry.access != "api":
        find_weights(entry, folder)


def _missing(entry: ModelJudge, folder: Path) -> list[Missing]:
    found = missing_template(entry, folder)
    extra, packages = "run", ["torch", "transformers", "lm_eval"]
    if entry.access == "api":
        extra, packages = "api", ["openai"]
        try:
            openai_address(entry.name)
        except JudgeError as problem:
            found.append(Missing("key", str(problem), problem.fix or ""))
    if entry.access != "api" or isinstance(entry.template, OwnTemplate):
        found += missing_weights(entry, folder)
    digest = entry.prompt_template_sha256
    if isinstance(entry.template, OwnTemplate) and isinstance(digest, NotReported):
        what = f"prompt_template_sha256 of judge {entry.name}"
        found.append(Missing("digest", what, digest.not_reported))
    lacking = [name for name in packages if find_spec(name) is None]
    if lacking:
        what = f"what judge {entry.name} is asked with: {', '.join(lacking)}"
        found.append(Missing("packages", what, f"pip install 'safebench[{extra}]'"))
    return found


LLM: Final = Kind(
    "llm",
    about="a prompted language model, loaded here or behind an API",
    constructs=GRADED,
    open=LlmJudge,
    check_entry=check_entry,
    check_present=_check_present,
    missing=_missing,
    looked_up=frozenset({"revision", "prompt_template_sha256"}),
    loads_weights=True,
    executed={
        "sees": ("response", "prompt_and_response"),
        "on_parse_failure": ("unparsed",),
    },
    unused=DESCRIPTIVE | {"lineage", "decoding", "provider"},
)
