"""What the header of an Inspect log says: model, settings, packages, scorers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from safebench.importing.facts import INDIRECT, Absent, Fact, show
from safebench.importing.fields import without_secrets
from safebench.importing.inspect.fields import GENERATE, IMPORTED, LOG
from safebench.importing.interface import At, row_error
from safebench.importing.loaded import LoadedWeights, loaded_by
from safebench.importing.prompts import SYSTEM
from safebench.importing.record import Record
from safebench.importing.settings import decoding_key, decoding_values

_LOCAL = ("hf", "vllm", "sglang", "llama-cpp-python")
"""Providers of Inspect that take a model's name on the Hub, or a folder."""
_LOADERS = ("hf", "nnterp", "transformer_lens")
"""Providers that load weights by name; a server may give any weights that name."""
_DEFAULT = "default"
_ELSEWHERE = ("seed", "system_message")
"""Settings that other fields of the card hold."""
_LEFT_OUT = (*_ELSEWHERE, *(name for name, field in GENERATE.items() if field.fate == "ignored"))
_NO_MATTER = frozenset(_LEFT_OUT) - {"seed"}
"""Settings that calls of one decoding may differ in."""


def header_facts(log: Record, task: str) -> Iterator[Fact]:
    """Yield what the header says about the card, except for decoding and judges."""
    header = log.at("eval")
    yield header.fact(("tasks", task, "name"), "task", task)
    version = header.data.get("task_version")
    if isinstance(version, int | str) and not isinstance(version, bool):
        yield header.fact(("tasks", task, "version"), "task_version", str(version))
    dataset = header.at("dataset")
    where = dataset.text("location") or dataset.text("name")
    if where is not None and not Path(where).is_absolute():
        yield header.fact(("tasks", task, "dataset_id"), "dataset", where)
    provider, base, _ = _model(header)
    named = provider in _LOCAL and base and not Path(base).is_absolute()
    name = base if named else header.text("model") or ""
    note = "the model that was measured"
    yield header.fact(("model", "base", "id"), "model", name, note=note, rank=INDIRECT)
    packages = header.at("packages")
    version = packages.text("inspect_ai")
    environment = {
        "harness": ("packages", f"inspect_ai {version}" if version else "inspect_ai"),
        "libraries": ("packages", {k: str(v) for k, v in sorted(packages.data.items())}),
        "backend": ("model", f"inspect/{provider}"),
    }
    for field, (key, value) in environment.items():
        if value:
            yield header.fact(("environment", field), key, value, varies=True)
    yield from _system_message(log)


def part_of_dataset(log: Record, task: str, run: int) -> tuple[list[Fact], list[str]]:
    """Return facts about a run of the first samples alone, or a remark on one of others.

    `run` is the number of samples that were run.
    """
    header = log.at("eval")
    dataset, config = header.at("dataset"), header.at("config")
    available = dataset.whole("samples")
    if available is None or available <= run:
        return [], []
    if config.data.get("limit") == run and not (
        config.data.get("sample_shuffle") or dataset.data.get("shuffled")
    ):
        limit = config.fact(("tasks", task, "limit"), "limit", run)
        return [limit, dataset.fact(("tasks", task, "available"), "samples", available)], []
    what = f"{log.file}: {run:,} of {available:,} samples were run, and not the first ones"
    return [], [f"{what}: the card names them by the digest of their prompts alone"]


def _model(header: Record) -> tuple[str, str, str]:
    """Return provider, model and adapter; `vllm/BASE:ADAPTER` names an adapter."""
    provider, _, name = (header.text("model") or "").partition("/")
    base, _, adapter = name.partition(":") if provider in _LOCAL else (name, "", "")
    return provider, base, adapter


def loaded_of(log: Record) -> LoadedWeights:
    """Return the weights that were measured."""
    header = log.at("eval")
    provider, base, adapter = _model(header)
    arguments = {"adapter": adapter, **header.at("model_args").data, "model": base}
    named = "model_path" if arguments.get("model_path") else "model"
    key = "eval.model, eval.model_args"
    return loaded_by(header, key, arguments, named, by_name=provider in _LOADERS)


def _system_message(log: Record) -> Iterator[Fact]:
    system = _config(log).get("system_message")
    if isinstance(system, str) and system:
        yield log.fact(SYSTEM, "system_message", system)


def intended_prompts(log: Record) -> Iterator[Fact]:
    """Yield what the header says about system messages, which prompts should then show."""
    yield from _system_message(log)
    for number, step in enumerate(log.at("plan").items("steps") or []):
        if not isinstance(step, dict) or step.get("solver") != "system_message":
            continue
        params = step.get("params")
        text = params.get("template") if isinstance(params, dict) else None
        # the name of a file, or a template to fill in, is not the text that was sent
        if isinstance(text, str) and " " in text.strip() and "{" not in text:
            yield log.fact(SYSTEM, f"plan.steps[{number}].params.template", text)


def decoding_of(
    log: Record, name: str | None, calls: Sequence[tuple[At, dict[str, Any]]] = ()
) -> tuple[str, list[Fact], int | None, list[str]]:
    """Return a decoding's key, its facts, the generation seed, and remarks.

    Without a temperature, a person has to say whether tokens were sampled.

    `calls` are the settings of the model's calls, where the log keeps them; they override its
    header.

    Raises:
        InteropError: samples were called with different settings.
    """
    header, called = _config(log), _call_settings(calls)
    record = Record(log.file, {**header, **called}, "generation config")
    remarks = [
        f"{log.file}: the model was called with {field} {show(called[field])}, and the header says "
        f"{show(header[field])}: the setting of the calls is imported"
        for field in called
        if field in header and header[field] != called[field]
    ]
    seed, temperature = record.whole("seed"), record.number("temperature")
    values = decoding_values(
        record,
        sampled=None if temperature is None else temperature > 0,
        lengths=("max_tokens",),
        stop="stop_seqs",
        no_length=Absent("the log has none: the provider's default was used"),
        leave_out=_LEFT_OUT,
    )
    key = decoding_key(values)
    if temperature is None:
        key = name = name or _DEFAULT
        remarks.append(
            f"{log.file} does not record the temperature, so it is unknown whether tokens were "
            f"sampled: give --decoding {key}:do_sample=..."
        )
    source = "model_generate_config, plan.config"
    facts = [Fact(("decoding", key, f), value, log.file, source) for f, value in values.items()]
    if name is not None:
        facts.append(Fact(("decoding", key, "name"), name, None, key="decoding="))
    return key, facts, seed if values.get("do_sample", True) else None, remarks


def _call_settings(calls: Sequence[tuple[At, dict[str, Any]]]) -> dict[str, Any]:
    """Return the settings with which the model was called, as far as the log keeps calls."""
    kept = [
        (at, {k: v for k, v in settings.items() if k not in _NO_MATTER and v is not None})
        for at, settings in calls
        if settings
    ]
    for at, one in kept:
        if one != kept[0][1]:
            what = f"the model was called with {show(one)}, and at {kept[0][0]} with {kept[0][1]}"
            raise row_error(at, what, "give a log whose samples were all decoded the same way")
    return kept[0][1] if kept else {}


def _config(log: Record) -> dict[str, Any]:
    """Return the generation settings: the model's, overridden by the plan's."""
    of_model = log.at("eval", "model_generate_config").data
    settings = {**of_model, **log.at("plan", "config").data}
    return {key: value for key, value in settings.items() if value is not None}


def left_over(log: Record) -> dict[str, Any]:
    """Return, under the file's name, everything in the header that no fact was made of."""
    left = ("samples", *(name for name, field in LOG.items() if field.fate == "ignored"))
    rest = {k: v for k, v in log.data.items() if k not in left}
    header = {k: v for k, v in log.at("eval").data.items() if k not in IMPORTED}
    rest.pop("eval", None)
    rest |= {"eval": header} if header else {}
    return {log.file.name: without_secrets(rest)} if rest else {}
