"""Responses in lm-eval's output folders, as they were logged with `--log_samples`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from safebench.harness.task_yaml import shipped_file
from safebench.importing.facts import INDIRECT, Fact, file_error, first_words
from safebench.importing.interface import (
    Collected,
    ModelKey,
    Option,
    Reader,
    each_source,
    joined,
)
from safebench.importing.lm_eval import results
from safebench.importing.lm_eval.decoding import (
    LOGLIKELIHOOD,
    decoding_of,
    is_sampled,
    key_of_results,
    other_settings,
)
from safebench.importing.lm_eval.folder import Run, leaf_tasks, runs_in
from safebench.importing.lm_eval.responses import TaskReader, header_of
from safebench.importing.lm_eval.samples import Doc, read_docs
from safebench.importing.prompts import TEMPLATE
from safebench.importing.record import Record

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
    only_task: Sequence[str] = (),
    limit: int | None = None,
) -> Collected:
    """Return the responses that one model gave.

    Args:
        path: lm-eval's output folder, with the model's folder inside or not; or one of its files of
            results, which then selects the samples of the same time; or one file of samples.
        model: Which model it is.
        decoding: Name of the decoding for the card; only where all text was generated the same way.
        repeat: Number of the first repeat, from 1, where repeats were separate runs.
        only_task: Tasks to read; empty is every task that was run.
        limit: Only prompts with a smaller `doc_id` are read; None is all.

    Raises:
        InteropError: a file is damaged, samples are missing, or two runs are mixed.
    """
    runs, remarks = runs_in(path, only_task)
    records = {run.results.file: run.results for run in runs if run.results is not None}
    facts_of = {file: list(results.facts(record)) for file, record in records.items()}
    parts = []
    tasks_by_decoding: dict[str, list[str]] = {}
    for run in runs:
        declared = facts_of[run.results.file] if run.results is not None else []
        parts.append(_of_run(run, declared, model, repeat or 1, limit))
        tasks_by_decoding.setdefault(parts[-1].samples[0].decoding, []).append(run.task)
    chats = any(one.chat for part in parts for one in part.sent)
    if chats:
        remarks.append(
            f"{path}: prompts were sent as chats, and a server applied its own chat template: "
            "name it in --card"
        )
    of_files: list[Fact] = []
    extra: dict[str, Any] = {}
    for file, record in records.items():
        read = {run.task for run in runs if run.results is record}
        kept = _relevant(record, facts_of[file], read, set(tasks_by_decoding), chats=chats)
        name = file.name if file.name not in extra else f"{file.parent.name}/{file.name}"
        extra[name] = results.left_over(record, kept)
        of_files += [*kept, *_scheme(record, kept)]
        remarks += results.remarks(record)
    if limit is not None:
        of_files = list(_limited(of_files, limit))
    names = () if decoding is None else tuple(_names(tasks_by_decoding, decoding, path))
    loaded = {model: tuple(results.loaded(record) for record in records.values())}
    head = Collected((), tuple(of_files), tuple(records), tuple(remarks), extra, loaded)
    return joined([head, *parts, Collected((), names)])


def _of_run(
    run: Run, declared: list[Fact], model: ModelKey, repeat: int, limit: int | None
) -> Collected:
    """Return what the samples of one task hold; `declared` is what its results say."""
    metrics = [name.partition(",")[0] for name in run.of_results("results").data]
    docs, left_out = read_docs(run.samples, run.task, metrics, limit)
    first = docs[0]
    _check_complete(run, docs, limit, left_out)
    key, facts = decoding_of(run, first)
    reader = TaskReader(
        run=run,
        model=model,
        decoding=key,
        repeat=repeat,
        seed=_seed(run, facts),
        own=shipped_file(run.task) is not None,
        generated=key != LOGLIKELIHOOD,
        header=header_of(run, declared, first),
    )
    samples = tuple(response for doc in docs for response in reader.responses(doc))
    remarks = []
    if left_out:
        remarks.append(f"{run.samples}: {left_out} rows with doc_id {limit} or above were left out")
    of_results = key_of_results(run)
    if key == of_results:  # the results have the same settings
        facts = []
    if first.settings is not None:
        remarks += other_settings(run, first.settings, differ=of_results not in (None, key))
    return Collected(
        samples,
        facts=(*facts, *reader.judges()),
        files=(run.samples,),
        remarks=(*remarks, *reader.remarks()),
        sent=tuple(reader.sent),
    )


def _check_complete(run: Run, docs: list[Doc], limit: int | None, left_out: int) -> None:
    """Check that there are as many prompts as were measured according to the results.

    lm-eval's --samples picks any prompts, and its results have their number alone.
    """
    measured = run.of_results("n-samples").whole("effective")
    if measured is None or run.results is None:
        return
    chosen = [doc.doc_id for doc in docs]
    if len(docs) + left_out == measured and chosen != list(range(len(docs))):
        raise file_error(
            run.samples,
            f"has the prompts with doc_id {first_words(map(str, chosen), 5)}, as lm_eval --samples "
            "picks them, and a card can say only that the first ones were used",
            "run lm_eval on all prompts, or on the first: --limit N",
        )
    expected = measured if limit is None else min(limit, measured)
    if len(docs) != expected:
        first = "" if limit is None else f" of the first {limit:,}"
        raise file_error(
            run.samples,
            f"has {len(docs):,} prompts{first}, but {measured:,} were measured according to "
            f"{run.results.file}",
            "copy the whole file; or import only its first prompts: --limit N"
            if len(docs) < expected
            else "give the results that were written with these samples",
        )


def _seed(run: Run, decoding: list[Fact]) -> int | None:
    """Return the seed of the responses, where they were sampled and the results name it.

    vllm takes its own, from `model_args`; for all other backends torch's global one counts.
    """
    if not is_sampled(decoding) or run.results is None:
        return None
    config = run.results.at("config")
    own = str(config.arguments("model_args").get("seed", ""))
    if own.isdecimal() and own.isascii() and int(own) < 2**32:
        return int(own)
    return config.whole("torch_seed")


def _names(tasks: dict[str, list[str]], name: str, path: Path) -> Iterator[Fact]:
    generated = {key: names for key, names in tasks.items() if key != LOGLIKELIHOOD}
    if len(generated) > 1:
        one, other = list(generated.values())[:2]
        raise file_error(
            path,
            f"two decodings cannot both be named {name}: {first_words(one)} and "
            f"{first_words(other)} have different generation_kwargs",
            "import the tasks of one decoding at a time, or give no name",
        )
    for key in generated:
        yield Fact(("decoding", key, "name"), name, None, key="--tuned")


def _relevant(
    record: Record, facts: Sequence[Fact], tasks: set[str], decodings: set[str], *, chats: bool
) -> list[Fact]:
    """Return what results say about the tasks that are read, and only about these."""
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
    """Yield facts, with the number of prompts of each task reduced to those that are imported."""
    for fact in facts:
        counted = fact.place[0] == "tasks" and fact.place[2] in ("prompts", "limit")
        if not counted or fact.value <= limit:
            yield fact
        elif fact.place[2] == "prompts":
            for name in ("prompts", "limit"):
                note = f"{fact.value} in {fact.key}; the first {limit} are imported"
                yield Fact((*fact.place[:2], name), limit, None, key="--limit", note=note)


def _scheme(record: Record, facts: Sequence[Fact]) -> Iterator[Fact]:
    config = record.at("config")
    place = ("environment", "sampling_scheme")
    if not is_sampled(facts):
        yield Fact(place, _NO_NOISE, record.file, "do_sample", rank=INDIRECT, varies=True)
    elif config.text("model") in _HF:
        yield config.fact(place, "model", _SCHEME, varies=True)


READER = Reader(
    each_source(read_lm_eval),
    help="""Make a submission from what `lm_eval run --log_samples` wrote.

    \b
    DIR  an output folder (results_*.json and samples_*.jsonl, also in a folder named after the
         model), or one results_*.json

    Each folder holds the responses of one model. Give more folders of the same model for other
    decodings, or for tasks that were measured separately. `repeat=N` numbers repeats that were
    separate runs; a task that was run with `repeats` already has them. Prompts, settings and
    weights in the header are checked against the samples. --label says what the metric of another
    lab means for harm.

    \b
    safebench import lm-eval --base out/base --tuned seed=1:out/s1 --tuned seed=2:out/s2 \\
        --adapter seed=1:ckpt/s1 --adapter seed=2:ckpt/s2 --out submission
    """,
    options=(Option("--only-task", "Read only this task. May be repeated.", "texts", "NAME"),),
)
