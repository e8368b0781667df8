"""From what lm-eval logged of a prompt to the responses and verdicts of the common shape."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from safebench.errors import visible
from safebench.importing.draft.facts import Absent, Fact, first_words, show
from safebench.importing.lm_eval.doc import NO_FILTER, Doc
from safebench.importing.lm_eval.folder import Run
from safebench.importing.lm_eval.lines import AS_WRITTEN, plain
from safebench.importing.lm_eval.sent import sent_of
from safebench.importing.samples import Judged, ModelKey, Sampled, wrong
from safebench.importing.sent import Header, Sent

_OWN = ("prompt_id", "prompt", "category", "construct", "target")
_NO_NAME = re.compile(r"[^a-z0-9_.-]+")
_OF_ARGMAX = "acc"
"""The metric of scored choices that is about the most likely one."""


@dataclass
class Reader:
    """Makes the samples of one task of one run."""

    run: Run
    model: ModelKey
    decoding: str
    repeat: int
    """Number of the first."""
    seed: int | None
    own: bool
    """Whether the task is this package's: its prompts are the documents' own."""
    generated: bool
    """Whether text was generated, rather than choices scored."""
    header: Header
    sent: list[Sent] = field(default_factory=list)
    """The prompts that were read, as they were sent."""
    _metrics: dict[str, str] = field(default_factory=dict)
    _unsplit: set[str] = field(default_factory=set)

    def samples(self, doc: Doc) -> Iterator[Sampled]:
        """Yield a prompt's responses, by repeat. Raises InteropError."""
        if self.generated:
            prompt, responses, more = self._generated(doc)
        else:
            prompt, responses, more = self._chosen(doc)
        judged = {} if self.own else self._judged(doc, len(responses))
        extra = {**doc.extra, **more}
        filtered = extra.pop("filtered_resps", {})
        filtered = {name: value for name, value in filtered.items() if value != responses}
        if filtered:  # a filter that took the response as it is says nothing more
            extra["filtered_resps"] = filtered
        if any(doc.metrics.values()):
            extra["metrics"] = doc.metrics
        about = self._about(doc, prompt, extra)
        self.sent.append(sent_of(doc, prompt, about["prompt"] if self.own else None, self.header))
        for number, response in enumerate(responses, self.repeat):
            yield Sampled(
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
        """Yield who judged: each metric that came along is a rule of lm-eval's."""
        record = self.run.results
        version = record.text("lm_eval_version") if record else None
        file = self.run.samples if record is None else record.file
        versions = record.mapping("versions") if record else None
        of_task = versions.data.get(self.run.task) if versions else None
        for name, metric in self._metrics.items():
            place = ("judge", name)
            key = f"results.{self.run.task}.{metric}" if record else "metrics"
            yield Fact((*place, "name"), name, file, key)
            yield Fact((*place, "kind"), "rule", file, key)
            yield Fact((*place, "id"), f"lm-eval/{metric}", file, key)
            if version is not None:
                yield Fact((*place, "revision"), version, file, "lm_eval_version")
            elif of_task is not None:
                where = f"versions.{self.run.task}"
                yield Fact((*place, "revision"), str(of_task), file, where, varies=True)
            else:
                why = "the files do not say which version of lm-eval made them"
                yield Fact((*place, "revision"), Absent(why), file, "lm_eval_version")

    def remarks(self) -> Iterator[str]:
        """Yield what a person should know of the verdicts."""
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
        about: dict[str, Any] = {name: self._own_text(doc, name) for name in _OWN}
        if prompt != about["prompt"]:
            extra["rendered_prompt"] = prompt
        others = {key: plain(value) for key, value in doc.doc.items() if key not in _OWN}
        if others:
            extra["doc"] = others
        return about

    def _own_text(self, doc: Doc, name: str) -> str | None:
        value = doc.doc.get(name)
        needed = name in ("prompt_id", "prompt")
        if isinstance(value, str) or (value is None and not needed):
            return value
        what = f"`doc.{name}` is {show(value)}, expected the text that {self.run.task} has"
        raise wrong(doc.at, what, "these may be samples of another task: check the file's name")

    def _generated(self, doc: Doc) -> tuple[str, list[str | None], dict[str, Any]]:
        if len(doc.answers) != 1 or len(doc.requests) != 1:
            what = f"there are {len(doc.answers)} requests for one prompt, expected one"
            raise wrong(doc.at, what, "leave the task out: name the tasks to import")
        responses = doc.answers[0]
        for response in responses:
            if response is not None and not isinstance(response, str):
                raise wrong(doc.at, f"a response is {show(response)}, expected a text", AS_WRITTEN)
        rest = doc.requests[0][2:]
        more = {"arguments": plain(rest)} if rest else {}
        return self._context(doc, doc.requests[0][0]), list(responses), more

    def _context(self, doc: Doc, value: Any) -> str:
        """Return the prompt of a request: a text, or a chat as JSON, which old files wrap."""
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
            return value[0]
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            return json.dumps(value, ensure_ascii=False)
        if not isinstance(value, str):
            what = f"`arguments` begin with {show(value)}, expected the prompt"
            raise wrong(doc.at, what, AS_WRITTEN)
        return value

    def _chosen(self, doc: Doc) -> tuple[str, list[str | None], dict[str, Any]]:
        """Return the most likely choice as the response."""
        if len(doc.answers) != len(doc.requests):
            what = f"there are {len(doc.requests)} requests and {len(doc.answers)} answers"
            raise wrong(doc.at, what, AS_WRITTEN)
        texts, scores, greedy = [], [], []
        for request, answers in zip(doc.requests, doc.answers, strict=True):
            if len(request) < 2 or not all(isinstance(part, str) for part in request[:2]):
                what = f"a request is {show(request)}, expected a context and a choice"
                raise wrong(doc.at, what, AS_WRITTEN)
            texts.append((request[0], request[1]))
            score, is_greedy = self._score(doc, answers)
            scores.append(score)
            greedy.append(is_greedy)
        # acc_mutual_info scores every choice once more, without the context
        asked = [n for n, (context, _) in enumerate(texts) if context]
        asked = asked or list(range(len(texts)))
        shared = _shared([texts[n][0] for n in asked])
        best = max(asked, key=lambda n: scores[n])
        listed = [
            {"context": context[len(shared) :] if n in asked else context,
             "text": text, "loglikelihood": scores[n], "is_greedy": greedy[n]}
            for n, (context, text) in enumerate(texts)
        ]  # fmt: skip
        chosen = texts[best][0][len(shared) :] + texts[best][1]
        return shared, [chosen], {"choices": plain(listed)}

    def _score(self, doc: Doc, answers: list[Any]) -> tuple[float, bool | None]:
        if len(answers) != 1 or not isinstance(answers[0], list) or not answers[0]:
            what = (
                f"`resps` has {show(answers)}, expected a log-likelihood and whether it is greedy"
            )
            raise wrong(doc.at, what, AS_WRITTEN)
        try:
            score = float(answers[0][0])
        except (TypeError, ValueError, OverflowError):
            score = float("nan")
        if score != score:
            what = f"a log-likelihood is {show(answers[0][0])}, expected a number"
            raise wrong(doc.at, what, AS_WRITTEN)
        greedy = str(answers[0][1]) if len(answers[0]) > 1 else ""
        return score, {"True": True, "False": False}.get(greedy)

    def _judged(self, doc: Doc, repeats: int) -> Mapping[str, Judged]:
        """Return the metrics that say something of one response, as verdicts."""
        found: dict[str, Judged] = {}
        for filter_, metrics in doc.metrics.items():
            for metric, value in metrics.items():
                if not isinstance(value, int | float) or not 0 <= value <= 1:
                    continue
                if repeats > 1:
                    self._unsplit.add(metric)
                elif self.generated or metric == _OF_ARGMAX:
                    found[self._judge(metric, filter_)] = Judged(score=float(value))
        return found

    def _judge(self, metric: str, filter_: str) -> str:
        """Return the name that a card gives to a metric after a filter."""
        full = metric if filter_ == NO_FILTER else f"{metric},{filter_}"
        name = _NO_NAME.sub("-", full.lower().replace(",", "."))[:64].lstrip("-_.") or "metric"
        number, free = 2, name
        while self._metrics.setdefault(free, full) != full:
            free, number = f"{name[:60]}-{number}", number + 1
        return free


def _shared(texts: list[str]) -> str:
    """Return what all texts begin with."""
    first, last = min(texts), max(texts)
    same = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    return first if same is None else first[:same]
