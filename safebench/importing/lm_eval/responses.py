"""From a prompt as lm-eval logged it to responses, reported verdicts, and the prompt as sent."""

from __future__ import annotations

import json
import os.path
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from safebench.importing.facts import Absent, Fact, first_words, short_id, show
from safebench.importing.interface import ModelKey, ReportedVerdict, Response, row_error
from safebench.importing.lm_eval.folder import Run
from safebench.importing.lm_eval.samples import NO_FILTER, Doc, wrong
from safebench.importing.prompts import (
    EXAMPLES,
    PREFILL,
    SYSTEM,
    TEMPLATE,
    PromptHeader,
    SentPrompt,
    words_of_template,
)
from safebench.importing.record import Record, plain

_DOC_FIELDS = ("prompt_id", "prompt", "category", "construct", "target")
"""Fields of the documents of safebench's tasks."""
_RULES = re.compile(
    r"(acc|accuracy|exact_match|f1|mcc|bleu|chrf|ter|wer|em|rouge\w*?|pass@\d+|math_verify|"
    r"brier_score|(prompt|inst)_level_(strict|loose)_acc)(_(norm|bytes|all|mutual_info|max|diff|acc))"
    r"?(,|\Z)|chrf\+\+(,|\Z)"
)
"""Metrics that compare texts or likelihoods; others, such as bleurt, may ask a model."""
_OWN_METRIC = "the results do not say how this metric decides"
_MEDIA = re.compile(r'"type": ?"((?:input_)?(?:image|audio|video|file)(?:_url)?)"')
"""Parts of a chat's messages that are no text."""
_OF_ARGMAX = "acc"
"""The only metric of scored choices that judges the most likely choice, which is the response."""
_ROLES = frozenset({"system", "user", "assistant"})
_AROUND = ("description", "gen_prefix")
"""Keys of a task's configuration whose text surrounds its prompts."""


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
    _no_score: set[str] = field(default_factory=set)
    """Metrics that have a value outside [0, 1], or one that is not a number."""

    def responses(self, doc: Doc) -> Iterator[Response]:
        """Yield a prompt's responses, by repeat. Raises InteropError."""
        prompt, responses, more = (_generated if self.generated else _chosen)(doc)
        judged = {} if self.own else self._judged(doc, len(responses))
        extra = {**doc.extra, **more}
        # a filter that took the response as it is adds nothing
        filtered = extra.pop("filtered_resps", {}).items()
        if changed := {name: value for name, value in filtered if value != responses}:
            extra["filtered_resps"] = changed
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
        """Yield who judged: a metric of lm-eval's is a rule, and a task's own may be anything."""
        task, key = self.run.task, "lm_eval_version"
        record = self.run.results or Record(self.run.samples, {})
        revision: Any = record.text(key)
        of_task = record.at("versions").data.get(task)
        if revision is None and of_task is not None:
            revision, key = str(of_task), f"versions.{task}"
        elif revision is None:
            revision = Absent("the files do not record the version of lm-eval")
        for name, metric in self._judges.items():
            where = f"results.{task}.{metric}" if self.run.results else "metrics"
            entry: dict[str, Any] = {"kind": "rule", "id": f"lm-eval/{metric}"}
            if not _RULES.match(metric):
                entry = dict.fromkeys(("kind", "id", "revision"), Absent(_OWN_METRIC))
            for what, value in {"name": name, **entry}.items():
                yield Fact(("judge", name, what), value, record.file, where)
            if "revision" not in entry:
                varies = key != "lm_eval_version"
                place = ("judge", name, "revision")
                yield Fact(place, revision, record.file, key, varies=varies)

    def remarks(self) -> Iterator[str]:
        """Yield what a person should know about the verdicts."""
        if self._unsplit:
            names = first_words(sorted(self._unsplit))
            yield (
                f"{self.run.samples}: lm-eval logs {names} once for all repeats of a prompt, so no "
                "response has its own verdict; the values are kept in extra"
            )
        if self._no_score:
            names = first_words(sorted(self._no_score))
            yield (
                f"{self.run.samples}: values of {names} are not numbers from 0 to 1, so they are "
                "not verdicts; they are kept in extra"
            )

    def _about(self, doc: Doc, prompt: str, extra: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of a response that are about its prompt; add the rest to extra."""
        if not self.own:
            extra["doc"] = plain(doc.doc)
            return {"prompt": prompt, "prompt_id": str(doc.doc_id), "target": doc.target}
        about = {name: doc.doc.get(name) for name in _DOC_FIELDS}
        for name, value in about.items():
            required = name in ("prompt_id", "prompt")
            if not isinstance(value, str) and (required or value is not None):
                what = f"`doc.{name}` is {show(value)}, expected the text in {self.run.task}"
                fix = "these may be samples of another task: check the file's name"
                raise row_error(doc.at, what, fix)
        if prompt != about["prompt"]:
            extra["rendered_prompt"] = prompt
        others = {key: plain(value) for key, value in doc.doc.items() if key not in _DOC_FIELDS}
        if others:
            extra["doc"] = others
        return about

    def _judged(self, doc: Doc, repeats: int) -> Mapping[str, ReportedVerdict]:
        """Return the metrics that say something about one response, as verdicts."""
        found: dict[str, ReportedVerdict] = {}
        for filter_, metrics in doc.metrics.items():
            for metric, value in metrics.items():
                missing = value in (None, "nan")  # as `plain` writes NaN
                if not missing and (not isinstance(value, int | float) or not 0 <= value <= 1):
                    self._no_score.add(metric)
                elif repeats > 1:
                    self._unsplit.add(metric)
                elif self.generated or metric == _OF_ARGMAX:
                    score = None if missing else float(value)
                    better = self.run.of_results("higher_is_better").data.get(metric)
                    verdict = ReportedVerdict(score=score, lower_is_better=better is False)
                    found[self._judge(metric, filter_)] = verdict
        return found

    def _judge(self, metric: str, filter_: str) -> str:
        """Return the name that a card gives to a metric after a filter."""
        full = metric if filter_ == NO_FILTER else f"{metric},{filter_}"
        name = short_id(full.replace(",", "."), "metric")
        number, free = 2, name
        while self._judges.setdefault(free, full) != full:
            free, number = f"{name[:60]}-{number}", number + 1
        return free


_Content = tuple[str, list[str | None], dict[str, Any]]
"""Prompt, responses by repeat, and what else the sample holds."""


def _generated(doc: Doc) -> _Content:
    if len(doc.answers) != 1 or len(doc.requests) != 1:
        what = f"{len(doc.answers)} requests for one prompt, expected one"
        raise row_error(doc.at, what, "leave the task out: name the tasks to import")
    for response in doc.answers[0]:
        if response is not None and not isinstance(response, str):
            raise wrong(doc.at, f"a response is {show(response)}, expected a text")
    rest = doc.requests[0][2:]
    more = {"arguments": plain(rest)} if rest else {}
    prompt = _prompt(doc, doc.requests[0][0])
    media = [key for part in rest if isinstance(part, dict) for key in part if part[key]]
    media += _MEDIA.findall(prompt) if prompt.startswith("[{") else []
    if media:
        kinds = first_words(dict.fromkeys(map(str, media)))
        what = f"its prompt holds more than text ({kinds}), and a card describes text alone"
        raise row_error(doc.at, what, "leave the task out: name the tasks to import: --only-task")
    return prompt, list(doc.answers[0]), more


def _prompt(doc: Doc, context: Any) -> str:
    """Return the prompt of a request: a text, or a chat as JSON, which old files wrap in lists."""
    if isinstance(context, list) and len(context) == 1 and isinstance(context[0], str):
        return context[0]
    if isinstance(context, list) and context and all(isinstance(one, dict) for one in context):
        return json.dumps(context, ensure_ascii=False)
    if not isinstance(context, str):
        raise wrong(doc.at, f"`arguments` begin with {show(context)}, expected the prompt")
    return context


def _chosen(doc: Doc) -> _Content:
    """Return the most likely choice as the response."""
    if len(doc.answers) != len(doc.requests):
        raise wrong(doc.at, f"{len(doc.requests)} requests, but {len(doc.answers)} answers")
    choices: list[dict[str, Any]] = []
    for request, answers in zip(doc.requests, doc.answers, strict=True):
        if len(request) < 2 or not all(isinstance(part, str) for part in request[:2]):
            raise wrong(doc.at, f"a request is {show(request)}, expected a context and a choice")
        score, greedy = _score(doc, answers)
        choices.append({"context": request[0], "text": request[1]})
        choices[-1] |= {"loglikelihood": score, "is_greedy": greedy}
    # acc_mutual_info scores every choice a second time, without the context
    scored = [choice for choice in choices if choice["context"]] or choices
    contexts = [choice["context"] for choice in scored]
    shared = os.path.commonprefix(contexts)  # noqa: RUF071 - it is about characters, not paths
    for choice in scored:
        choice["context"] = choice["context"][len(shared) :]
    best = max(scored, key=lambda choice: choice["loglikelihood"])
    return shared, [best["context"] + best["text"]], {"choices": plain(choices)}


def _score(doc: Doc, answers: list[Any]) -> tuple[float, bool | None]:
    """Return the log-likelihood of a choice, and whether it is the greedy continuation."""
    if len(answers) != 1 or not isinstance(answers[0], list) or not answers[0]:
        what = f"`resps` has {show(answers)}, expected a log-likelihood and whether it is greedy"
        raise wrong(doc.at, what)
    try:
        score = float(answers[0][0])
    except (TypeError, ValueError, OverflowError):
        score = float("nan")
    if score != score:
        raise wrong(doc.at, f"a log-likelihood is {show(answers[0][0])}, expected a number")
    greedy = str(answers[0][1]) if len(answers[0]) > 1 else ""
    return score, {"True": True, "False": False}.get(greedy)


def header_of(run: Run, facts: Iterable[Fact], first: Doc) -> PromptHeader:
    """Return what results, whose `facts` these are, declare about a task's prompts."""
    record = run.results
    if record is None:
        return PromptHeader(run.samples)
    template = record.data.get("chat_template")
    template = template if isinstance(template, str) and template else None
    return PromptHeader(
        record.file,
        tuple(fact for fact in facts if _declares(fact, run.task, first)),
        template=template,
        in_turns=record.flag("fewshot_as_multiturn"),
        words=_words(run, template),
    )


def _declares(fact: Fact, task: str, first: Doc) -> bool:
    """Whether a fact is about the prompts of a task."""
    if fact.place == PREFILL:  # which may name a column of the documents
        return fact.key == f"configs.{task}.gen_prefix" and str(fact.value) not in first.doc
    if fact.place == EXAMPLES:
        return fact.key == f"n-shot.{task}"
    return fact.place in (SYSTEM, TEMPLATE)


def _words(run: Run, template: str | None) -> frozenset[str] | None:
    """Return the words around a prompt that the results explain; None where some are missing."""
    top = {} if run.results is None else run.results.data
    if run.results is None or not run.config.data or "system_instruction" not in top:
        return None
    if "chat_template" not in top or (
        template is None and top.get("chat_template_sha") is not None
    ):
        return None
    arguments = run.results.at("config").arguments("model_args")
    around = [str(run.config.data.get(key)) for key in _AROUND]
    if any("{{" in text for text in around):  # filled in from each document
        return None
    return _ROLES.union(*map(words_of_template, [template or "", str(arguments), *around]))


def turns_of(context: str) -> tuple[tuple[str, str], ...]:
    """Return the turns of a chat, which lm-eval keeps as JSON, or the text as one."""
    try:
        chat = json.loads(context) if context.startswith("[{") else None
    except (ValueError, RecursionError):
        chat = None
    messages = chat if isinstance(chat, list) else []
    turns = [
        (str(one["role"]), _text(one.get("content")))
        for one in messages
        if isinstance(one, dict) and "role" in one
    ]
    return tuple(turns) if turns and len(turns) == len(messages) else (("", context),)


def _text(content: Any) -> str:
    parts = content if isinstance(content, list) else [content]
    texts = (part.get("text") if isinstance(part, dict) else part for part in parts)
    return "\n".join(text for text in texts if isinstance(text, str))
