"""Responses in lm-eval's output folders, as they were logged with `--log_samples`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from safebench.errors import InteropError, visible
from safebench.importing.facts import INDIRECT, Absent, Fact, first_words
from safebench.importing.interface import (
    Collected,
    ModelKey,
    Option,
    Reader,
    Response,
    Source,
    each_source,
    own_task,
)
from safebench.importing.lm_eval import results
from safebench.importing.lm_eval.docs import Doc, docs_of
from safebench.importing.lm_eval.folder import Run, leaf_tasks, runs_in
from safebench.importing.lm_eval.leftover import left_over
from safebench.importing.lm_eval.prompts import header_of, other_settings
from safebench.importing.lm_eval.responses import TaskReader
from safebench.importing.lm_eval.tasks import generation_kwargs, name_fact, one_decoding
from safebench.importing.prompts import TEMPLATE, SentPrompt
from safebench.importing.record import Record

LOGLIKELIHOOD = "loglikelihood"
"""Key and name of the decoding of tasks whose choices are scored."""
_NO_TEXT = "no text is generated: choices are scored"
_SCHEME = (
    "transformers generate: torch's global generator, seeded once before the run; "
    "a response depends on its batch and on the order of the prompts"
)
_NO_NOISE = "none: greedy decoding draws nothing"
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
    records = {run.results.file: run.results for run in runs if run.results is not None}
    facts_of = {file: list(results.facts(record)) for file, record in records.items()}
    samples: list[Response] = []
    sent: list[SentPrompt] = []
    facts: list[Fact] = []
    tasks_by_decoding: dict[str, list[str]] = {}
    for run in runs:
        docs, left = docs_of(run.samples, run.task, _metrics(run), limit)
        if left:
            where = visible(str(run.samples))
            remarks.append(f"{where}: {left} rows with doc_id {limit} or above were left out")
        _check_complete(run, docs, limit)
        key, of_samples = _decoding(run, docs[0])
        tasks_by_decoding.setdefault(key, []).append(run.task)
        of_results = facts_of[run.results.file] if run.results else []
        reader = TaskReader(
            run=run,
            model=model,
            decoding=key,
            repeat=repeat or 1,
            seed=_seed(run, of_samples),
            own=own_task(run.task),
            generated=key != LOGLIKELIHOOD,
            header=header_of(run, of_results, docs[0]),
        )
        samples += [response for doc in docs for response in reader.responses(doc)]
        sent += reader.sent
        key_of_results = _key_of_results(run)
        if key != key_of_results:  # otherwise the results have the same settings
            facts += of_samples
        if docs[0].settings is not None:
            differ = key_of_results not in (None, key)
            remarks += other_settings(run, docs[0].settings, differ=differ)
        facts += reader.judges()
        remarks += reader.remarks()
    facts += _names(tasks_by_decoding, decoding, path)
    chats = any(one.chat for one in sent)
    if chats:
        remarks.append(
            f"{visible(str(path))}: prompts were sent as chats, to which a server applied its own "
            "chat template: say which in --card"
        )
    of_files: list[Fact] = []
    extra: dict[str, Any] = {}
    for file, record in records.items():
        read = {run.task for run in runs if run.results is record}
        kept = _relevant(record, facts_of[file], read, set(tasks_by_decoding), chats=chats)
        name = file.name if file.name not in extra else f"{file.parent.name}/{file.name}"
        extra[name] = left_over(record, kept)
        of_files += [*kept, *_scheme(record, kept)]
        remarks += results.remarks(record)
    if limit is not None:
        of_files = list(_limited(of_files, limit))
    return Collected(
        samples=tuple(samples),
        facts=(*of_files, *facts),
        files=(*records, *(run.samples for run in runs)),
        loaded={model: tuple(results.loaded(record) for record in records.values())},
        sent=tuple(sent),
        remarks=tuple(dict.fromkeys(remarks)),
        extra=extra,
    )


def _metrics(run: Run) -> list[str]:
    return [name.partition(",")[0] for name in run.of_results("results").data]


def _check_complete(run: Run, docs: list[Doc], limit: int | None) -> None:
    """Raise InteropError where the results say that more or fewer prompts were measured."""
    measured = run.of_results("n-samples").whole("effective")
    if measured is None or run.results is None:
        return
    expected = measured if limit is None else min(limit, measured)
    if len(docs) != expected:
        first = "" if limit is None else f" of the first {limit:,}"
        raise InteropError(
            f"{visible(str(run.samples))} has {len(docs):,} prompts{first}, but "
            f"{visible(str(run.results.file))} says {measured:,} were measured",
            fix="copy the whole file; or import its first prompts alone: --limit N"
            if len(docs) < expected
            else "give the results that were written with these samples",
        )


def _decoding(run: Run, first: Doc) -> tuple[str, list[Fact]]:
    """Return a decoding's key and facts, as the samples have them.

    Choices that are scored have a decoding of their own, which says that nothing was generated.
    """
    config = run.config
    kind = config.text("output_type") or ("generate_until" if first.generated else "")
    if kind == "loglikelihood_rolling" or (not kind and len(first.requests[0]) == 1):
        raise _unfit(run, "measures the likelihood of whole texts: there are no responses")
    alone = not first.generated and len(first.requests) == 1
    if kind == "loglikelihood" or (alone and kind != "generate_until"):
        raise _unfit(run, "scores one given text for each prompt: there are no responses")
    if kind != "generate_until":
        return LOGLIKELIHOOD, _scored(run)
    repeats, there = config.whole("repeats"), len(first.answers[0])
    if repeats is not None and repeats != there:
        raise InteropError(
            f"{first.at}: there are {there} responses, but {config.file} says that {run.task} was "
            f"run with repeats {repeats}",
            fix="give the results that were written with these samples",
        )
    kwargs = config.mapping("generation_kwargs") or Record(run.samples, {}, "arguments")
    if first.settings is not None:  # the request is nearer than the task's configuration
        where = f"{first.at.unit} {first.at.number}: arguments.gen_args_0.arg_1"
        kwargs = Record(run.samples, first.settings, where)
    facts = list(one_decoding(kwargs, there))
    if run.results is None:
        facts.append(name_fact(run.samples, run.task))
    return facts[0].place[1], facts


def _key_of_results(run: Run) -> str | None:
    """Return the key of the decoding that the results name; None where they name none."""
    kwargs = generation_kwargs(run.config)
    return None if kwargs is None else next(one_decoding(kwargs, None)).place[1]


def _scored(run: Run) -> list[Fact]:
    key = "arguments" if run.results is None else run.config.key("output_type")
    values: dict[str, Any] = {"name": LOGLIKELIHOOD, "do_sample": False}
    values |= {"max_new_tokens": Absent(_NO_TEXT), "repeats": 1}
    return [
        Fact(("decoding", LOGLIKELIHOOD, name), value, run.config.file, key, note=_NO_TEXT)
        for name, value in values.items()
    ]


def _unfit(run: Run, why: str) -> InteropError:
    fix = "leave it out: name the tasks to import"
    return InteropError(f"{visible(str(run.samples))}: {run.task} {why}", fix=fix)


def _seed(run: Run, decoding: list[Fact]) -> int | None:
    """Return the seed of the responses, where they were sampled and the results name it.

    vllm takes its own, from `model_args`; torch's global one counts for everything else.
    """
    if not _samples(decoding) or run.results is None:
        return None
    config = run.results.at("config")
    own = str(results.model_arguments(config).get("seed", ""))
    if own.isdecimal() and own.isascii() and int(own) < 2**32:
        return int(own)
    return config.whole("torch_seed")


def _samples(facts: Sequence[Fact]) -> bool:
    """Whether a decoding draws tokens at random."""
    return any(fact.place[2:] == ("do_sample",) and fact.value is True for fact in facts)


def _names(tasks: dict[str, list[str]], name: str | None, path: Path) -> Iterator[Fact]:
    generated = {key: names for key, names in tasks.items() if key != LOGLIKELIHOOD}
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


def _relevant(
    record: Record, facts: Sequence[Fact], tasks: set[str], decodings: set[str], *, chats: bool
) -> list[Fact]:
    """Return what results say about the tasks that are read."""
    of_decoding = {
        f"configs.{task}.{key}" for task in tasks for key in ("generation_kwargs", "repeats")
    }
    unread = {f"n-shot.{task}" for task in leaf_tasks(record) if task not in tasks}

    def is_relevant(fact: Fact) -> bool:
        if fact.place[0] == "tasks":
            return fact.place[1] in tasks
        if fact.place[0] == "decoding":
            return fact.place[1] in decodings and fact.key in of_decoding
        # a server that is sent chats applies a template of its own
        return fact.key not in unread and not (chats and fact.place[:2] == TEMPLATE[:2])

    return [fact for fact in facts if is_relevant(fact)]


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


def _scheme(record: Record, facts: Sequence[Fact]) -> Iterator[Fact]:
    config = record.at("config")
    place = ("environment", "sampling_scheme")
    if not _samples(facts):
        yield Fact(place, _NO_NOISE, record.file, "do_sample", rank=INDIRECT, varies=True)
    elif config.text("model") in _HF:
        yield config.fact(place, "model", _SCHEME, varies=True)


def _read(sources: Sequence[Source], options: Mapping[str, Any]) -> Collected:
    return each_source(
        sources,
        lambda source, model: read_lm_eval(
            source.path,
            model,
            decoding=source.decoding,
            repeat=source.repeat,
            tasks=options["only_task"] or None,
            limit=options["limit"],
        ),
    )


READER = Reader(
    _read,
    help="""Make a submission of what `lm_eval run --log_samples` wrote.

    \b
    DIR  an output folder (results_*.json and samples_*.jsonl, also in a folder named after the
         model), or one results_*.json

    One folder holds one model's responses. Give further folders of the same model for other
    decodings, or for tasks that were measured separately. `repeat=N` numbers repeats that were
    separate runs; a task that was run with `repeats` already has them. Prompts, settings and
    weights in the header are checked against the samples. --label says what another lab's metric
    means for harm.

    \b
    safebench import lm-eval --base out/base --tuned seed=1:out/s1 --tuned seed=2:out/s2 \\
        --adapter seed=1:ckpt/s1 --adapter seed=2:ckpt/s2 --out submission
    """,
    options=(Option("--only-task", "Read only this task. May be repeated.", "texts", "NAME"),),
)
