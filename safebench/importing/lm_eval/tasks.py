"""What lm-eval's results know of each task: its version, its prompts, how it was decoded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from safebench.card.decoding import SAMPLING_FIELDS
from safebench.importing.draft.facts import Absent, Fact, Place, setting
from safebench.importing.names import COMMIT
from safebench.importing.record import Record, parse_record

# Loaders of files, whose name says nothing about where the data come from.
_LOADERS = frozenset({"json", "csv", "parquet", "text", "arrow"})
_LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_OTHER = ("repetition_penalty", "frequency_penalty", "presence_penalty")
_KNOWN = {*_LENGTHS, *SAMPLING_FIELDS, *_OTHER, "until", "do_sample"}
_OWN = "generation_kwargs has none: the model's own generation_config.json or the backend decided"
MOST_LINE = 4 * 1024 * 1024
"""Longest first line of a file of samples that is read."""


def task_facts(record: Record) -> Iterator[Fact]:
    """Yield name, version, prompts, metric and data set of every task."""
    configs = record.mapping("configs")
    for name in configs.data if configs else ():
        config = configs.mapping(name) if configs else None
        if config is not None:
            yield from _task(record, config, name)


def _task(record: Record, config: Record, name: str) -> Iterator[Fact]:
    def fact(field: str, value: Any, key: str) -> Fact:
        return Fact(("tasks", name, field), value, record.file, key)

    yield fact("name", name, f"configs.{name}")
    versions = record.mapping("versions")
    version = versions.data.get(name) if versions else None
    if isinstance(version, int | float | str) and version != "N/A":
        yield fact("version", str(version), f"versions.{name}")
    counts = record.mapping("n-samples")
    count = counts.mapping(name) if counts else None
    used, all_ = (count.whole("effective"), count.whole("original")) if count else (None, None)
    if used is not None:
        yield fact("prompts", used, f"n-samples.{name}.effective")
    if used is not None and all_ is not None and used < all_:
        yield fact("limit", used, f"n-samples.{name}")
        yield fact("available", all_, f"n-samples.{name}.original")
    yield from _dataset(config, name)
    better = record.mapping("higher_is_better")
    metrics = better.mapping(name) if better else None
    if metrics is not None and len(metrics.data) == 1:  # of several, a person has to choose
        metric = next(iter(metrics.data))
        higher = metrics.flag(metric)
        yield fact("metric", metric, f"higher_is_better.{name}")
        if higher is not None:
            direction = "higher_is_better" if higher else "lower_is_better"
            yield fact("direction", direction, f"higher_is_better.{name}")


def _dataset(config: Record, name: str) -> Iterator[Fact]:
    path = config.text("dataset_path")
    if path is None or path in _LOADERS:
        return
    place: Place = ("tasks", name)
    yield Fact((*place, "dataset_id"), path, config.file, config.key("dataset_path"))
    options = config.mapping("dataset_kwargs")
    revision = options.text("revision") if options else None
    if options is not None and revision is not None and COMMIT.match(revision):
        yield Fact((*place, "dataset_revision"), revision, config.file, options.key("revision"))


def decoding_facts(record: Record) -> Iterator[Fact]:
    """Yield every decoding: tasks with the same settings share one.

    `configs.TASK.generation_kwargs` is what was used; `config.gen_kwargs` holds only what the
    command line replaced.
    """
    configs = record.mapping("configs")
    for name in configs.data if configs else ():
        config = configs.mapping(name) if configs else None
        given = config.mapping("generation_kwargs") if config else None
        if config is None or given is None or config.text("output_type") != "generate_until":
            continue
        yield from one_decoding(given, config.whole("repeats"))


def one_decoding(given: Record, repeats: int | None) -> Iterator[Fact]:
    """Yield one setting under a key that only the same setting has."""
    values = _settings(given)
    key = json.dumps(values, sort_keys=True, default=lambda absent: absent.reason)
    place: Place = ("decoding", key)
    for field, value in values.items():
        yield Fact((*place, field), value, given.file, given.inside)
    if repeats is not None:
        where = given.inside.replace("generation_kwargs", "repeats")
        yield Fact((*place, "repeats"), repeats, given.file, where, varies=True)


def _settings(given: Record) -> dict[str, Any]:
    temperature = given.number("temperature")
    sampled = given.flag("do_sample")
    if sampled is None:
        # What lm-eval does with it: a temperature above 0 samples.
        sampled = temperature is not None and temperature > 0
    values: dict[str, Any] = {"do_sample": sampled}
    if sampled:
        for field in SAMPLING_FIELDS:
            value = given.whole(field) if field == "top_k" else given.number(field)
            if value is not None and not (field == "top_k" and value <= 0):
                values[field] = value
        for field in ("temperature", "top_k"):
            values.setdefault(field, Absent(_OWN))
    values["repetition_penalty"] = Absent(_OWN)
    for field in _OTHER:
        value = given.number(field)
        if value is not None:
            values[field] = value
    length = next((n for name in _LENGTHS if (n := given.whole(name)) is not None), None)
    values["max_new_tokens"] = (
        Absent("generation_kwargs has no max_gen_toks, so lm-eval's default was used")
        if length is None
        else length
    )
    values["stop"] = given.texts("until") or []
    others = {k: setting(v) for k, v in given.data.items() if k not in _KNOWN and v is not None}
    if others:
        values["extra"] = others
    return values


def sample_facts(first: Record, task: str) -> Iterator[Fact]:
    """Yield what the first line of a task's samples says; used where no results name the task."""
    yield Fact(("tasks", task, "name"), task, first.file, "name of the file")
    arguments = first.mapping("arguments")
    request = arguments.mapping("gen_args_0") if arguments else None
    if request is None or not isinstance(request.data.get("arg_1"), dict):
        return  # a task of log-likelihoods: nothing is generated
    given = request.mapping("arg_1")
    responses = first.items("resps") or []
    repeats = len(responses[0]) if responses and isinstance(responses[0], list) else None
    if given is not None:
        yield from one_decoding(given, repeats or None)


def first_line(record_file: Any) -> Record:
    """Return the first row of a file of samples. Raises InteropError."""
    with record_file.open("rb") as file:
        line = file.readline(MOST_LINE)
    return parse_record(line, record_file)
