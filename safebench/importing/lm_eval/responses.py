"""From what lm-eval logged of a prompt to responses and reported verdicts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from safebench.errors import visible
from safebench.importing.facts import Absent, Fact, first_words, show
from safebench.importing.interface import ModelKey, ReportedVerdict, Response, row_error
from safebench.importing.lm_eval.docs import NO_FILTER, Doc
from safebench.importing.lm_eval.folder import Run
from safebench.importing.lm_eval.prompts import turns_of
from safebench.importing.lm_eval.rows import AS_WRITTEN
from safebench.importing.prompts import PromptHeader, SentPrompt
from safebench.importing.record import plain

_OWN = ("prompt_id", "prompt", "category", "construct", "target")
_NO_NAME = re.compile(r"[^a-z0-9_.-]+")
_OF_ARGMAX = "acc"
"""The metric of scored choices that is about the most likely one."""


@dataclass
class TaskReader:
    """Makes the responses of one task of one run."""

    run: Run
    model: ModelKey
    decoding: str
    repeat: int
    """Number of the first."""
    seed: int | None
    own: bool
    """Whether the task is safebench's: its prompts are those of the documents."""
    generated: bool
    """Whether text was generated, rather than choices scored."""
    header: PromptHeader
    sent: list[SentPrompt] = field(default_factory=list)
    """The prompts that were read, as they were sent."""
    _judges: dict[str, str] = field(default_factory=dict)
    """Metric (and filter) by the name that the card gives it."""
    _unsplit: set[str] = field(default_factory=set)
    """Metrics that are logged once for several repeats."""

    def responses(self, doc: Doc) -> Iterator[Response]:
        """Yield a prompt's responses, by repeat. Raises InteropError."""
        prompt, responses, more = (_generated if self.generated else _chosen)(doc)
        judged = {} if self.own else self._judged(doc, len(responses))
        extra = {**doc.extra, **more}
        filtered = extra.pop("filtered_resps", {})
        # a filter that took the response as it is adds nothing
        filtered = {name: value for name, value in filtered.items() if value != responses}
        if filtered:
            extra["filtered_resps"] = filtered
        if any(doc.metrics.values()):
            extra["metrics"] = doc.metrics
        about = self._about(doc, prompt, extra)
        own_prompt = about["prompt"] if self.own else None
        self.sent.append(SentPrompt(doc.at, turns_of(prompt), self.header, own_prompt))
        for number, response in enumerate(responses, self.repeat):
            yield Response(
                model=self.model,
                decoding=self.decoding,
                repeat=number,
                task=self.run.task,
                response=response,
                at=doc.at,
                status="error" if response is None else "unrecorded" if self.generated else "ok",
                generation_seed=self.seed,
                judged=judged,
                extra=extra,
                **about,
            )

    def judges(self) -> Iterator[Fact]:
        """Yield who judged: each reported metric is a rule of lm-eval's."""
        record, task = self.run.results, self.run.task
        file = self.run.samples if record is None else record.file
        version = record.text("lm_eval_version") if record else None
        of_task = record.at("versions").data.get(task) if record else None
        for name, metric in self._judges.items():
            place = ("judge", name)
            key = f"results.{task}.{metric}" if record else "metrics"
            for what, value in {"name": name, "kind": "rule", "id": f"lm-eval/{metric}"}.items():
                yield Fact((*place, what), value, file, key)
            revision: Any = version
            key = "lm_eval_version"
            if version is None and of_task is not None:
                revision, key = str(of_task), f"versions.{task}"
            elif version is None:
                revision = Absent("the files do not say which version of lm-eval made them")
            varies = key != "lm_eval_version"
            yield Fact((*place, "revision"), revision, file, key, varies=varies)

    def remarks(self) -> Iterator[str]:
        """Yield what a person should know about the verdicts."""
        if self._unsplit:
            names = first_words(sorted(self._unsplit))
            yield (
                f"{visible(str(self.run.samples))}: lm-eval logs {names} once for all repeats of a "
                "prompt, so no response has a verdict of it; it is kept under extra"
            )

    def _about(self, doc: Doc, prompt: str, extra: dict[str, Any]) -> dict[str, Any]:
        """Return what the sample says of its prompt; put the rest of the document into extra."""
        if not self.own:
            extra["doc"] = plain(doc.doc)
            return {"prompt": prompt, "prompt_id": str(doc.doc_id), "target": doc.target}
        about = {name: doc.doc.get(name) for name in _OWN}
        for name, value in about.items():
            needed = name in ("prompt_id", "prompt")
            if not isinstance(value, str) and (needed or value is not None):
                task = self.run.task
                what = f"`doc.{name}` is {show(value)}, expected the text that {task} has"
                fix = "these may be samples of another task: check the file's name"
                raise row_error(doc.at, what, fix)
        if prompt != about["prompt"]:
            extra["rendered_prompt"] = prompt
        others = {key: plain(value) for key, value in doc.doc.items() if key not in _OWN}
        if others:
            extra["doc"] = others
        return about

    def _judged(self, doc: Doc, repeats: int) -> Mapping[str, ReportedVerdict]:
        """Return the metrics that say something about one response, as verdicts."""
        found: dict[str, ReportedVerdict] = {}
        for filter_, metrics in doc.metrics.items():
            for metric, value in metrics.items():
                if not isinstance(value, int | float) or not 0 <= value <= 1:
                    continue
                if repeats > 1:
                    self._unsplit.add(metric)
                elif self.generated or metric == _OF_ARGMAX:
                    found[self._judge(metric, filter_)] = ReportedVerdict(score=float(value))
        return found

    def _judge(self, metric: str, filter_: str) -> str:
        """Return the name that a card gives to a metric after a filter."""
        full = metric if filter_ == NO_FILTER else f"{metric},{filter_}"
        name = _NO_NAME.sub("-", full.lower().replace(",", "."))[:64].lstrip("-_.") or "metric"
        number, free = 2, name
        while self._judges.setdefault(free, full) != full:
            free, number = f"{name[:60]}-{number}", number + 1
        return free


_Content = tuple[str, list[str | None], dict[str, Any]]
"""Prompt, responses by repeat, and what else the sample holds."""


def _generated(doc: Doc) -> _Content:
    if len(doc.answers) != 1 or len(doc.requests) != 1:
        what = f"there are {len(doc.answers)} requests for one prompt, expected one"
        raise row_error(doc.at, what, "leave the task out: name the tasks to import")
    for response in doc.answers[0]:
        if response is not None and not isinstance(response, str):
            raise row_error(doc.at, f"a response is {show(response)}, expected a text", AS_WRITTEN)
    rest = doc.requests[0][2:]
    more = {"arguments": plain(rest)} if rest else {}
    return _prompt(doc, doc.requests[0][0]), list(doc.answers[0]), more


def _prompt(doc: Doc, context: Any) -> str:
    """Return the prompt of a request: a text, or a chat as JSON, which old files wrap in lists."""
    if isinstance(context, list) and len(context) == 1 and isinstance(context[0], str):
        return context[0]
    if isinstance(context, list) and context and all(isinstance(one, dict) for one in context):
        return json.dumps(context, ensure_ascii=False)
    if not isinstance(context, str):
        what = f"`arguments` begin with {show(context)}, expected the prompt"
        raise row_error(doc.at, what, AS_WRITTEN)
    return context


def _chosen(doc: Doc) -> _Content:
    """Return the most likely choice as the response."""
    if len(doc.answers) != len(doc.requests):
        what = f"there are {len(doc.requests)} requests and {len(doc.answers)} answers"
        raise row_error(doc.at, what, AS_WRITTEN)
    choices = []
    for request, answers in zip(doc.requests, doc.answers, strict=True):
        if len(request) < 2 or not all(isinstance(part, str) for part in request[:2]):
            what = f"a request is {show(request)}, expected a context and a choice"
            raise row_error(doc.at, what, AS_WRITTEN)
        choices.append((request[0], request[1], *_score(doc, answers)))
    # acc_mutual_info scores every choice once more, without the context
    asked = [choice for choice in choices if choice[0]] or choices
    shared = _shared([context for context, _, _, _ in asked])
    best = max(asked, key=lambda choice: choice[2])
    listed = [
        {
            "context": choice[0][len(shared) :] if choice in asked else choice[0],
            "text": choice[1],
            "loglikelihood": choice[2],
            "is_greedy": choice[3],
        }
        for choice in choices
    ]
    return shared, [best[0][len(shared) :] + best[1]], {"choices": plain(listed)}


def _score(doc: Doc, answers: list[Any]) -> tuple[float, bool | None]:
    """Return the log-likelihood of a choice, and whether it is the greedy continuation."""
    if len(answers) != 1 or not isinstance(answers[0], list) or not answers[0]:
        what = f"`resps` has {show(answers)}, expected a log-likelihood and whether it is greedy"
        raise row_error(doc.at, what, AS_WRITTEN)
    try:
        score = float(answers[0][0])
    except (TypeError, ValueError, OverflowError):
        score = float("nan")
    if score != score:
        what = f"a log-likelihood is {show(answers[0][0])}, expected a number"
        raise row_error(doc.at, what, AS_WRITTEN)
    greedy = str(answers[0][1]) if len(answers[0]) > 1 else ""
    return score, {"True": True, "False": False}.get(greedy)


def _shared(texts: list[str]) -> str:
    """Return what all texts begin with."""
    first, last = min(texts), max(texts)
    same = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    return first if same is None else first[:same]
