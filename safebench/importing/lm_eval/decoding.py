"""How lm-eval decoded: the settings in its results, and those of the requests themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from safebench.errors import InteropError
from safebench.importing.facts import Absent, Fact, Place, file_error, show
from safebench.importing.interface import row_error
from safebench.importing.lm_eval.folder import Run
from safebench.importing.lm_eval.samples import Doc, first_doc
from safebench.importing.record import Record
from safebench.importing.settings import decoding_key, decoding_values

LOGLIKELIHOOD = "loglikelihood"
"""Key and name of the decoding of tasks whose choices are scored."""
_LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_BY_MODEL = Absent(
    "generation_kwargs has none: the model's own generation_config.json or the backend decided"
)
_NO_LENGTH = Absent("generation_kwargs has no max_gen_toks, so lm-eval's default was used")
_NO_TEXT = "no text is generated: choices are scored"


def decoding_facts(record: Record) -> Iterator[Fact]:
    """Yield every decoding of some results: tasks with the same settings share one.

    `configs.TASK.generation_kwargs` is what was used; `config.gen_kwargs` holds only what the
    command line replaced.
    """
    for name in record.at("configs").data:
        config = record.at("configs", name)
        kwargs = _generation_kwargs(config)
        if kwargs is not None:
            yield from _decoding(kwargs, config.whole("repeats"))


def sample_facts(file: Path, task: str) -> Iterator[Fact]:
    """Yield what a file of samples alone says about its task.

    Raises:
        InteropError: the file or its first row is damaged.
    """
    first = first_doc(file)
    yield _name_fact(file, task)
    if first.settings is not None:
        yield from _decoding(_of_request(first), len(first.answers[0]))


def decoding_of(run: Run, first: Doc) -> tuple[str, list[Fact]]:
    """Return the key and facts of the decoding of a run's samples.

    Tasks whose choices are scored have a decoding of their own: nothing was generated.

    Raises:
        InteropError: the task has no responses, or the results are of other samples.
    """
    config = run.config
    generated = first.settings is not None
    kind = config.text("output_type") or ("generate_until" if generated else "")
    if kind == "loglikelihood_rolling" or (not kind and len(first.requests[0]) == 1):
        raise _unfit(run, "measures the likelihood of whole texts")
    alone = not generated and len(first.requests) == 1
    if kind == "loglikelihood" or (alone and kind != "generate_until"):
        raise _unfit(run, "scores one given text for each prompt")
    if kind != "generate_until":
        return LOGLIKELIHOOD, _scored(run)
    repeats, logged = config.whole("repeats"), len(first.answers[0])
    if repeats is not None and repeats != logged:
        what = f"{run.task} has {logged} responses, but repeats {repeats} in {config.file}"
        raise row_error(first.at, what, "give the results that were written with these samples")
    # the request itself is better evidence than the task's configuration
    configured = config.mapping("generation_kwargs") or Record(run.samples, {}, "arguments")
    facts = list(_decoding(_of_request(first) if generated else configured, logged))
    if run.results is None:
        facts.append(_name_fact(run.samples, run.task))
    return facts[0].place[1], facts


def key_of_results(run: Run) -> str | None:
    """Return the key of the decoding that the results name; None where they name none."""
    kwargs = _generation_kwargs(run.config)
    return None if kwargs is None else next(_decoding(kwargs, None)).place[1]


def is_sampled(facts: Sequence[Fact]) -> bool:
    """Whether a decoding draws tokens at random."""
    return any(fact.place[2:] == ("do_sample",) and fact.value is True for fact in facts)


def other_settings(run: Run, used: dict[str, Any], *, differ: bool) -> Iterator[str]:
    """Yield remarks on decoding settings that the results have and the samples do not.

    `used` are those in the samples; `differ`: the task's configuration has other ones.
    """
    if run.results is None or not run.config.data:
        return
    keys = [run.config.key("generation_kwargs")] if differ else []
    keys += [
        f"config.gen_kwargs.{name} {show(value)}"
        for name, value in run.results.at("config").arguments("gen_kwargs").items()
        if name in used and _comparable(used[name]) != _comparable(value)
    ]
    for key in keys:
        yield (
            f"{run.samples}: the requests of {run.task} have other settings than {key} in "
            f"{run.results.file}; those of the requests are imported"
        )


def _comparable(value: Any) -> object:
    """Return a value for which 1 and 1.0, and True and true, are the same."""
    text = str(value).strip().lower()
    try:
        return float(text)
    except ValueError:
        return text


def _name_fact(file: Path, task: str) -> Fact:
    return Fact(("tasks", task, "name"), task, file, "name of the file")


def _generation_kwargs(config: Record) -> Record | None:
    """Return the settings of a task's configuration; None where it generates no text."""
    kwargs = config.mapping("generation_kwargs")
    return kwargs if config.text("output_type") == "generate_until" else None


def _of_request(doc: Doc) -> Record:
    """Return the settings of a prompt's request."""
    key = f"{doc.at.unit} {doc.at.number}: arguments.gen_args_0.arg_1"
    return Record(doc.at.file, doc.settings or {}, key)


def _decoding(kwargs: Record, repeats: int | None) -> Iterator[Fact]:
    """Yield the facts of some settings, under a key that only the same settings have."""
    values = _settings(kwargs)
    place: Place = ("decoding", decoding_key(values))
    for field, value in values.items():
        yield Fact((*place, field), value, kwargs.file, kwargs.inside)
    if repeats is not None:
        where = kwargs.inside.replace("generation_kwargs", "repeats")
        yield Fact((*place, "repeats"), repeats, kwargs.file, where, varies=True)


def _settings(kwargs: Record) -> dict[str, Any]:
    """Return settings as fields of a card's decoding."""
    temperature = kwargs.number("temperature")
    sampled = kwargs.flag("do_sample")
    if sampled is None:
        # as lm-eval decides it: a temperature above 0 samples
        sampled = temperature is not None and temperature > 0
    values = decoding_values(
        kwargs, sampled=sampled, lengths=_LENGTHS, stop="until", no_length=_NO_LENGTH
    )
    for field in ("temperature", "top_k", "repetition_penalty")[0 if sampled else 2 :]:
        values.setdefault(field, _BY_MODEL)
    return values


def _scored(run: Run) -> list[Fact]:
    """Return the decoding of a task whose choices are scored."""
    key = "arguments" if run.results is None else run.config.key("output_type")
    values: dict[str, Any] = {"name": LOGLIKELIHOOD, "do_sample": False}
    values |= {"max_new_tokens": Absent(_NO_TEXT), "repeats": 1}
    return [
        Fact(("decoding", LOGLIKELIHOOD, name), value, run.config.file, key, note=_NO_TEXT)
        for name, value in values.items()
    ]


def _unfit(run: Run, why: str) -> InteropError:
    fix = "leave it out: name the tasks to import with --only-task"
    return file_error(run.samples, f"{run.task} {why}: there are no responses", fix)
