"""Logs of Inspect: what was asked, answered and scored; epochs are repeats.

Read from JSON, as Inspect writes it or `inspect log dump` prints it; a `.eval` file, whose layout
is not frozen, through inspect_ai where that is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from safebench.errors import InteropError, MissingDependencyError, visible
from safebench.importing.draft.facts import Fact, show
from safebench.importing.inspect.header import (
    decoding_of,
    header_facts,
    left_of_header,
    loaded_of,
    meant,
    undescribed_judge,
)
from safebench.importing.inspect.samples import Asked, read_sample
from safebench.importing.record import Record, parse_record, read_record
from safebench.importing.samples import At, Collected, ModelKey, Sampled, joined, own_task, wrong
from safebench.importing.sent import SYSTEM, Header, Sent

_AGAIN = "give a log of an evaluation that ended, with its samples"
_SUFFIXES = (".json", ".eval")


def read_inspect(
    path: Path,
    model: ModelKey,
    *,
    decoding: str | None = None,
    repeat: int | None = None,
    limit: int | None = None,
) -> Collected:
    """Return the responses in a log, or in a folder of logs of one model.

    Args:
        path: A log, or a folder of logs.
        model: Which model it is.
        decoding: Name of the decoding for the card.
        repeat: Number of the first epoch, from 1, where epochs were run apart.
        limit: Only the first samples are read; None is all.

    Raises:
        InteropError: a log is damaged, did not end well, holds no samples, or two runs are mixed.
        MissingDependencyError: a `.eval` file, and inspect_ai is not installed.
    """
    files = _logs(path)
    parts = []
    seen: dict[str, tuple[Path, str]] = {}
    for file in files:
        log = _Log.of(file)
        _check_one_run(log, seen)
        parts.append(_collected(log, model, decoding, repeat or 1, limit))
    return joined(parts)


@dataclass(frozen=True)
class _Log:
    """One log."""

    file: Path
    record: Record = field(repr=False)
    task: str
    model: str

    @classmethod
    def of(cls, file: Path) -> _Log:
        record = _read_eval(file) if file.suffix == ".eval" else read_record(file)
        header = record.mapping("eval")
        task = header.text("task") if header else None
        asked = header.text("model") if header else None
        if header is None or task is None or asked is None:
            raise InteropError(
                f"{visible(str(file))} is no log of Inspect: it has no `eval` with task and model",
                fix="give what Inspect wrote, or what `inspect log dump` prints",
            )
        status = record.text("status")
        if status != "success":
            why = record.mapping("error")
            said = why.text("message") if why else None
            raise InteropError(
                f"{visible(str(file))}: status is {show(status)}"
                + (f" ({show(said)})" if said else ""),
                fix=_AGAIN,
            )
        return cls(file, record, task.rpartition("/")[2], asked)


def _logs(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InteropError(f"{visible(str(path))}: no such file or folder", fix="check the path")
    inside = path.resolve()
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix in _SUFFIXES and file.is_file() and file.resolve().is_relative_to(inside)
    )
    if not found:
        raise InteropError(
            f"{visible(str(path))} holds no logs", fix="give a folder with .eval or .json files"
        )
    return found


def _read_eval(file: Path) -> Record:
    try:
        from inspect_ai.log import read_eval_log
    except ImportError as problem:
        raise MissingDependencyError(
            f"{visible(str(file))} is read by inspect_ai, which is not installed",
            fix="pip install 'safebench[inspect]', or write it as JSON: inspect log dump "
            f"{file.name} > log.json",
        ) from problem
    try:
        log = read_eval_log(str(file))
    except Exception as problem:  # it raises what its readers of zip and JSON raise
        raise InteropError(
            f"{visible(str(file))} cannot be read: {visible(str(problem).splitlines()[0])}",
            fix="copy the log again",
        ) from problem
    return parse_record(log.model_dump_json(exclude_none=True).encode(), file)


def _check_one_run(log: _Log, seen: dict[str, tuple[Path, str]]) -> None:
    for task, (file, model) in seen.items():
        if model != log.model:
            raise InteropError(
                f"two models: {visible(str(file))} is of {visible(model)}, "
                f"{visible(str(log.file))} of {visible(log.model)}",
                fix="give the logs of one model for each --base and --tuned",
            )
        if task == log.task:
            raise InteropError(
                f"task {visible(task)} was run twice: {visible(str(file))} and "
                f"{visible(str(log.file))}",
                fix="name the one that counts; runs that are repeats are given one by one: "
                "repeat=1:LOG, repeat=2:LOG",
            )
    seen[log.task] = (log.file, log.model)


def _collected(
    log: _Log, model: ModelKey, decoding: str | None, first: int, limit: int | None
) -> Collected:
    record = log.record
    read = _samples(log)
    places = {(str(one.prompt_id), one.repeat): one.at for one, _, _ in read}
    ids = dict.fromkeys(name for name, _ in places)
    _check_complete(log, places, ids, limited=limit is not None)
    wanted = set(list(ids)[:limit])
    read = [(one, said, asked) for one, said, asked in read if one.prompt_id in wanted]
    key, settings, seed, remarks = decoding_of(
        record, decoding, [(one.at, asked.settings) for one, _, asked in read]
    )
    samples = [_placed(one, log.task, model, key, first, seed) for one, _, _ in read]
    facts = {(fact.place, str(fact.value)): fact for _, said, _ in read for fact in said}
    header = [*header_facts(record, log.task)]
    header += _undescribed(header, samples, log.file)
    if any(place == SYSTEM for place, _ in facts):
        header = [fact for fact in header if fact.place != SYSTEM]  # what was sent is nearer
    return Collected(
        samples=tuple(samples),
        facts=(*header, *settings, *facts.values()),
        files=(log.file,),
        remarks=tuple(remarks),
        extra=left_of_header(record, log.file),
        loaded={model: (loaded_of(record),)},
        sent=tuple(_sent(log, read)),
    )


_Read = tuple[Sampled, list[Fact], Asked]


def _samples(log: _Log) -> list[_Read]:
    """Return every sample once."""
    items = log.record.items("samples") or []
    if not items:
        raise InteropError(
            f"{visible(str(log.file))}: results without samples",
            fix="give the whole log, with log_samples on; `inspect log dump --header-only` leaves "
            "samples out",
        )
    found = []
    places: dict[tuple[str, int], At] = {}
    for number, item in enumerate(items, start=1):
        at = At(log.file, number, "sample")
        if not isinstance(item, dict):
            raise wrong(at, f"it is {show(item)}, expected a mapping", _AGAIN)
        one, said, asked = read_sample(Record(log.file, item, f"samples[{number - 1}]"), at)
        before = places.setdefault((str(one.prompt_id), one.repeat), at)
        if before is not at:
            raise wrong(
                at,
                f"sample {one.prompt_id}, epoch {one.repeat} is at {before} too",
                "give the log as Inspect wrote it",
            )
        found.append((one, said, asked))
    return found


def _sent(log: _Log, read: Iterable[_Read]) -> Iterator[Sent]:
    """Yield prompts as they were sent, where the log keeps that.

    Of a task of ours nothing stands around a prompt but what the log's own messages are.
    """
    kept = [(one, asked) for one, _, asked in read if asked.turns]
    whole = all(asked.whole for _, asked in kept)
    ours = own_task(log.task)
    header = Header(log.file, tuple(meant(log.record)), words=frozenset(), whole=whole)
    for one, asked in kept:
        yield Sent(one.at, asked.turns, header, one.prompt if ours else None)


def _undescribed(header: list[Fact], samples: Iterable[Sampled], file: Path) -> Iterator[Fact]:
    """Yield entries of judges that spoke and that the header does not list."""
    described = {fact.place[1] for fact in header if fact.place[0] == "judge"}
    for name in dict.fromkeys(name for sample in samples for name in sample.judged):
        if name not in described:
            yield from undescribed_judge(name, file)


def _placed(
    one: Sampled, task: str, model: ModelKey, key: str, first: int, seed: int | None
) -> Sampled:
    return replace(
        one, task=task, model=model, decoding=key, repeat=one.repeat + first - 1,
        generation_seed=seed,
    )  # fmt: skip


def _check_complete(
    log: _Log, places: Mapping[tuple[str, int], At], ids: Mapping[str, None], *, limited: bool
) -> None:
    """Raise InteropError where a sample of an epoch is missing."""
    epochs = sorted({epoch for _, epoch in places})
    for epoch in epochs:
        for name in ids:
            if (name, epoch) not in places:
                raise InteropError(
                    f"{visible(str(log.file))}: sample {visible(name)} has no epoch {epoch}",
                    fix=_AGAIN,
                )
    results = log.record.mapping("results")
    total = results.whole("total_samples") if results else None
    if total is not None and total > len(places) and not limited:
        raise InteropError(
            f"{visible(str(log.file))} has {len(places):,} samples, but its results say {total:,}",
            fix="give the whole log; or import the first prompts alone with --limit",
        )
