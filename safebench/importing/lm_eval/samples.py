"""Responses in lm-eval's output folders, as they were logged with `--log_samples`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from safebench.errors import InteropError, visible
from safebench.importing.draft.facts import INDIRECT, Absent, Fact, first_words
from safebench.importing.lm_eval import results as lm_eval
from safebench.importing.lm_eval.doc import Doc, docs_of
from safebench.importing.lm_eval.folder import Run, leaf_tasks, runs_in
from safebench.importing.lm_eval.response import Reader
from safebench.importing.lm_eval.rest import left_over
from safebench.importing.lm_eval.sent import header_of, other_settings
from safebench.importing.lm_eval.tasks import one_decoding, sample_facts
from safebench.importing.record import Record
from safebench.importing.samples import Collected, ModelKey, Sampled, own_task
from safebench.importing.sent import TEMPLATE, Sent

LOGLIKELIHOOD = "loglikelihood"
"""Key and name of the decoding of tasks whose choices are scored."""
_NO_TEXT = "no text is generated: choices are scored"
_SCHEME = (
    "transformers generate: torch's global generator, seeded once before the run; "
    "a response depends on its batch and on the order of the prompts"
)
_NO_NOISE = "none: greedy decoding draws nothing"
_OF_DECODING = ("generation_kwargs", "repeats")
_HF = ("hf", "huggingface", "hf-auto")


def read_lm_eval(
    path: Path,
    model: ModelKey,
    *,
    decoding: str | None = None,
    repeat: int | None = None,
    tasks: Sequence[str] | None = None,
    limit: int | None = None,
) -> Collected:
    """Return the responses that one model gave.

    Args:
        path: lm-eval's output folder, with the model's folder inside or not; or one of its files of
            results, which then chooses the samples of the same time; or one file of samples.
        model: which model it is.
        decoding: name for the card; only where all that was generated was decoded the same way.
        repeat: number of the first repeat, from 1, where repeats were separate runs.
        tasks: what is read; None is every task that was run.
        limit: only prompts with a smaller `doc_id` are read; None is all.

    Raises:
        InteropError: a file is damaged, samples are missing, or two runs are mixed.
    """
    runs, remarks = runs_in(path, tasks)
    samples: list[Sampled] = []
    sent: list[Sent] = []
    facts: list[Fact] = []
    keys: dict[str, list[str]] = {}
    for run in runs:
        docs, left = docs_of(run.samples, run.task, _metrics(run), limit)
        if left:
            file = visible(str(run.samples))
            remarks.append(f"{file}: {left} rows with doc_id {limit} or above were left out")
        _complete(run, docs, limit)
        key, said = _decoding(run, docs[0])
        keys.setdefault(key, []).append(run.task)
        reader = Reader(
            run, model, key, repeat or 1, _seed(run, said),
            own=own_task(run.task), generated=key != LOGLIKELIHOOD, header=header_of(run, docs[0]),
        )  # fmt: skip
        samples += [sample for doc in docs for sample in reader.samples(doc)]
        sent += reader.sent
        of_results = _key_of_results(run)
        if key != of_results:  # else the results say it
            facts += said
        if docs[0].generated:
            differ = of_results not in (None, key)
            remarks += other_settings(run, docs[0].requests[0][1], differ=differ)
        facts += reader.judges()
        remarks += reader.remarks()
    facts += _names(keys, decoding, path)
    chats = any(one.chat for one in sent)
    if chats:
        remarks.append(
            f"{visible(str(path))}: prompts were sent as chats, to which a server applied its own "
            "chat template: say which in --card"
        )
    told, extra = _results(runs, set(keys), chats=chats)
    if limit is not None:
        told = list(_limited(told, limit))
    return Collected(
        samples=tuple(samples),
        facts=(*told, *facts),
        files=_files(runs),
        loaded={model: tuple(lm_eval.loaded(record) for record in _records(runs))},
        sent=tuple(sent),
        remarks=tuple(dict.fromkeys([*remarks, *_of_backend(runs)])),
        extra=extra,
    )


def _metrics(run: Run) -> list[str]:
    results = run.results.mapping("results") if run.results else None
    of_task = results.mapping(run.task) if results else None
    return [name.partition(",")[0] for name in (of_task.data if of_task else ())]


def _complete(run: Run, docs: list[Doc], limit: int | None) -> None:
    """Raise InteropError where the results say that more or fewer prompts were measured."""
    counts = run.results.mapping("n-samples") if run.results else None
    count = counts.mapping(run.task) if counts else None
    measured = count.whole("effective") if count else None
    if measured is None or run.results is None:
        return
    asked = measured if limit is None else min(limit, measured)
    if len(docs) != asked:
        first = "" if limit is None else f" of the first {limit:,}"
        raise InteropError(
            f"{visible(str(run.samples))} has {len(docs):,} prompts{first}, but "
            f"{visible(str(run.results.file))} says {measured:,} were measured",
            fix="copy the whole file; or import its first prompts alone: --limit N"
            if len(docs) < asked
            else "give the results that were written with these samples",
        )


def _decoding(run: Run, first: Doc) -> tuple[str, list[Fact]]:
    """Return a decoding's key and facts.

    Choices that are scored have one of their own: it says that nothing was generated.
    """
    config = _config(run)
    output = config.text("output_type") if config else None
    kind = output or ("generate_until" if first.generated else "")
    if kind == "loglikelihood_rolling" or (not kind and len(first.requests[0]) == 1):
        raise _unfit(run, "measures the likelihood of whole texts: there are no responses")
    alone = not first.generated and len(first.requests) == 1
    if kind == "loglikelihood" or (alone and kind != "generate_until"):
        raise _unfit(run, "scores one given text for each prompt: there are no responses")
    if kind != "generate_until":
        return LOGLIKELIHOOD, _scored(run)
    given = config.mapping("generation_kwargs") if config else None
    repeats = config.whole("repeats") if config else None
    there = len(first.answers[0])
    if repeats is not None and repeats != there:
        raise InteropError(
            f"{first.at}: there are {there} responses, but {config.file if config else ''} says "
            f"that {run.task} was run with repeats {repeats}",
            fix="give the results that were written with these samples",
        )
    if first.generated:  # what the request had is nearer than what the task had
        given = Record(run.samples, first.requests[0][1], f"{_first(first)}.arg_1")
    if given is None:
        given = Record(run.samples, {}, "arguments")
    said = list(one_decoding(given, there))
    if run.results is None:
        line = Record(run.samples, {"arguments": None})
        said += [f for f in sample_facts(line, run.task) if f.place[0] == "tasks"]
    return said[0].place[1], said


def _key_of_results(run: Run) -> str | None:
    config = _config(run)
    given = config.mapping("generation_kwargs") if config else None
    if config is None or given is None or config.text("output_type") != "generate_until":
        return None
    return next(one_decoding(given, None)).place[1]


def _first(doc: Doc) -> str:
    return f"{doc.at.unit} {doc.at.number}: arguments.gen_args_0"


def _scored(run: Run) -> list[Fact]:
    config = _config(run)
    file = run.samples if config is None else config.file
    key = "arguments" if config is None else config.key("output_type")
    values = {
        "name": LOGLIKELIHOOD, "do_sample": False, "max_new_tokens": Absent(_NO_TEXT), "repeats": 1,
    }  # fmt: skip
    place = ("decoding", LOGLIKELIHOOD)
    return [Fact((*place, name), value, file, key, note=_NO_TEXT) for name, value in values.items()]


def _config(run: Run) -> Record | None:
    configs = run.results.mapping("configs") if run.results else None
    return configs.mapping(run.task) if configs else None


def _unfit(run: Run, why: str) -> InteropError:
    fix = "leave it out: name the tasks to import"
    return InteropError(f"{visible(str(run.samples))}: {run.task} {why}", fix=fix)


def _seed(run: Run, decoding: list[Fact]) -> int | None:
    """Return the seed of the responses, where they were sampled and the results say it.

    vllm takes its own, from `model_args`; torch's global one counts for everything else.
    """
    sampled = any(f.place[2] == "do_sample" and f.value is True for f in decoding)
    config = run.results.mapping("config") if run.results else None
    if not sampled or config is None:
        return None
    own = str(lm_eval.model_arguments(config).get("seed", ""))
    if own.isdecimal() and own.isascii() and int(own) < 2**32:
        return int(own)
    return config.whole("torch_seed")


def _names(keys: dict[str, list[str]], name: str | None, path: Path) -> Iterator[Fact]:
    generated = {key: tasks for key, tasks in keys.items() if key != LOGLIKELIHOOD}
    if name is None:
        return
    if len(generated) > 1:
        one, other = list(generated.values())[:2]
        raise InteropError(
            f"{visible(str(path))} holds two decodings, which cannot both be {name}: "
            f"{first_words(one)} and {first_words(other)} have other generation_kwargs",
            fix="import the tasks of one decoding at a time, or give no name",
        )
    for key in generated:
        yield Fact(("decoding", key, "name"), name, None, key="--tuned")


def _results(runs: list[Run], keys: set[str], *, chats: bool) -> tuple[list[Fact], dict[str, Any]]:
    """Return what the files of results say of what is read, and the rest of them.

    Where prompts were sent as chats, a server put them into words, with a template of its own.
    """
    told: list[Fact] = []
    extra: dict[str, Any] = {}
    for record in _records(runs):
        read = {run.task for run in runs if run.results is record}
        unread = set(leaf_tasks(record)) - read
        facts = [fact for fact in lm_eval.facts(record) if _concerns(fact, read, unread, keys)]
        if chats:
            facts = [fact for fact in facts if fact.place[:2] != TEMPLATE[:2]]
        extra[_short(record.file, extra)] = left_over(record, facts)
        sampled = any(f.place[2:] == ("do_sample",) and f.value is True for f in facts)
        facts += _scheme(record, sampled=sampled)
        told += facts
    return told, extra


def _concerns(fact: Fact, read: set[str], unread: set[str], keys: set[str]) -> bool:
    if fact.place[0] == "tasks":
        return fact.place[1] in read
    if fact.place[0] == "decoding":
        told_by = {f"configs.{task}.{name}" for task in read for name in _OF_DECODING}
        return fact.place[1] in keys and fact.key in told_by
    return fact.key not in {f"n-shot.{task}" for task in unread}


def _limited(facts: list[Fact], limit: int) -> Iterator[Fact]:
    """Yield facts in which no task has more prompts than were imported."""
    for fact in facts:
        counted = fact.place[0] == "tasks" and fact.place[2] in ("prompts", "limit")
        if not counted or fact.value <= limit:
            yield fact
        elif fact.place[2] == "prompts":
            for name in ("prompts", "limit"):
                note = f"{fact.key} says {fact.value}; the first {limit} are imported"
                yield Fact((*fact.place[:2], name), limit, None, key="--limit", note=note)


def _scheme(record: Record, *, sampled: bool) -> Iterator[Fact]:
    config = record.mapping("config")
    place = ("environment", "sampling_scheme")
    if not sampled:
        yield Fact(place, _NO_NOISE, record.file, "do_sample", rank=INDIRECT, varies=True)
    elif config is not None and config.text("model") in _HF:
        yield Fact(place, _SCHEME, record.file, config.key("model"), varies=True)


def _of_backend(runs: list[Run]) -> Iterator[str]:
    for record in _records(runs):
        yield from lm_eval.remarks(record)


def _records(runs: list[Run]) -> list[Record]:
    found = {run.results.file: run.results for run in runs if run.results is not None}
    return list(found.values())


def _files(runs: list[Run]) -> tuple[Path, ...]:
    return (*(record.file for record in _records(runs)), *(run.samples for run in runs))


def _short(file: Path, taken: dict[str, Any]) -> str:
    return file.name if file.name not in taken else f"{file.parent.name}/{file.name}"
