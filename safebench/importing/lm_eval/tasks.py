"""What lm-eval's results say of each task: its version, its prompts, how it was decoded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safebench.card.decoding import SAMPLING_FIELDS
from safebench.importing.facts import Absent, Fact, Place, setting
from safebench.importing.loaded import COMMIT
from safebench.importing.record import Record, parse_record

# Loaders of files, whose name says nothing about where the data come from.
_LOADERS = frozenset({"json", "csv", "parquet", "text", "arrow"})
_LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_OTHER = ("repetition_penalty", "frequency_penalty", "presence_penalty")
_KNOWN = {*_LENGTHS, *SAMPLING_FIELDS, *_OTHER, "until", "do_sample"}
_OWN = "generation_kwargs has none: the model's own generation_config.json or the backend decided"
_NO_LENGTH = "generation_kwargs has no max_gen_toks, so lm-eval's default was used"
MOST_LINE = 4 * 1024 * 1024
"""Longest first line of a file of samples that is read."""


def task_facts(record: Record) -> Iterator[Fact]:
    """Yield name, version, prompts, metric and data set of every task."""
    configs = record.at("configs")
    for name in configs.data:
        if configs.mapping(name) is not None:
            yield from _task(record, name)


def _task(record: Record, name: str) -> Iterator[Fact]:
    config = record.at("configs", name)

    def fact(field: str, value: Any, key: str) -> Fact:
        return Fact(("tasks", name, field), value, record.file, key)

    yield fact("name", name, f"configs.{name}")
    version = record.at("versions").data.get(name)
    if isinstance(version, int | float | str) and version != "N/A":
        yield fact("version", str(version), f"versions.{name}")
    count = record.at("n-samples", name)
    used, available = count.whole("effective"), count.whole("original")
    if used is not None:
        yield fact("prompts", used, f"n-samples.{name}.effective")
    if used is not None and available is not None and used < available:
        yield fact("limit", used, f"n-samples.{name}")
        yield fact("available", available, f"n-samples.{name}.original")
    dataset = config.text("dataset_path")
    if dataset is not None and dataset not in _LOADERS:
        yield config.fact(("tasks", name, "dataset_id"), "dataset_path", dataset)
        options = config.at("dataset_kwargs")
        revision = options.text("revision")
        if revision is not None and COMMIT.match(revision):
            yield options.fact(("tasks", name, "dataset_revision"), "revision", revision)
    metrics = record.at("higher_is_better", name)
    if len(metrics.data) == 1:  # of several, a person has to choose
        metric = next(iter(metrics.data))
        higher = metrics.flag(metric)
        yield fact("metric", metric, f"higher_is_better.{name}")
        if higher is not None:
            direction = "higher_is_better" if higher else "lower_is_better"
            yield fact("direction", direction, f"higher_is_better.{name}")


def decoding_facts(record: Record) -> Iterator[Fact]:
    """Yield every decoding: tasks with the same settings share one.

    `configs.TASK.generation_kwargs` is what was used; `config.gen_kwargs` holds only what the
    command line replaced.
    """
    for name in record.at("configs").data:
        config = record.at("configs", name)
        kwargs = generation_kwargs(config)
        if kwargs is not None:
            yield from one_decoding(kwargs, config.whole("repeats"))


def generation_kwargs(config: Record) -> Record | None:
    """Return the settings of a task's configuration; None where it generates no text."""
    kwargs = config.mapping("generation_kwargs")
    return kwargs if config.text("output_type") == "generate_until" else None


def one_decoding(kwargs: Record, repeats: int | None) -> Iterator[Fact]:
    """Yield one setting under a key that only the same setting has."""
    values = _settings(kwargs)
    key = json.dumps(values, sort_keys=True, default=lambda absent: absent.reason)
    place: Place = ("decoding", key)
    for field, value in values.items():
        yield Fact((*place, field), value, kwargs.file, kwargs.inside)
    if repeats is not None:
        where = kwargs.inside.replace("generation_kwargs", "repeats")
        yield Fact((*place, "repeats"), repeats, kwargs.file, where, varies=True)


def _settings(kwargs: Record) -> dict[str, Any]:
    temperature = kwargs.number("temperature")
    sampled = kwargs.flag("do_sample")
    if sampled is None:
        # What lm-eval does with it: a temperature above 0 samples.
        sampled = temperature is not None and temperature > 0
    values: dict[str, Any] = {"do_sample": sampled}
    if sampled:
        for field in SAMPLING_FIELDS:
            value = kwargs.whole(field) if field == "top_k" else kwargs.number(field)
            if value is not None and not (field == "top_k" and value <= 0):
                values[field] = value
        for field in ("temperature", "top_k"):
            values.setdefault(field, Absent(_OWN))
    values["repetition_penalty"] = Absent(_OWN)
    values |= {f: value for f in _OTHER if (value := kwargs.number(f)) is not None}
    lengths = (kwargs.whole(name) for name in _LENGTHS)
    length = next((n for n in lengths if n is not None), None)
    values["max_new_tokens"] = Absent(_NO_LENGTH) if length is None else length
    values["stop"] = kwargs.texts("until") or []
    others = {k: setting(v) for k, v in kwargs.data.items() if k not in _KNOWN and v is not None}
    if others:
        values["extra"] = others
    return values


def name_fact(file: Path, task: str) -> Fact:
    """Return the name of a task that no results list."""
    return Fact(("tasks", task, "name"), task, file, "name of the file")


def sample_facts(file: Path, task: str) -> Iterator[Fact]:
    """Yield what the first row of a task's samples says, for tasks that no results list.

    Raises:
        InteropError: the row is damaged.
    """
    with file.open("rb") as stream:
        first = parse_record(stream.readline(MOST_LINE), file)
    yield name_fact(file, task)
    request = first.at("arguments", "gen_args_0")
    if not isinstance(request.data.get("arg_1"), dict):
        return  # a task of log-likelihoods: nothing is generated
    responses = first.items("resps") or []
    repeats = len(responses[0]) if responses and isinstance(responses[0], list) else None
    yield from one_decoding(request.at("arg_1"), repeats or None)
