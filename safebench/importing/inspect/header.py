"""What the header of a log of Inspect says: model, settings, packages, scorers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from safebench.importing.facts import INDIRECT, Absent, Fact, setting, show
from safebench.importing.inspect.sample import judge_name
from safebench.importing.interface import At, row_error
from safebench.importing.loaded import LoadedWeights, loaded_by
from safebench.importing.prompts import SYSTEM
from safebench.importing.record import Record

_LOCAL = ("hf", "vllm", "sglang", "llama-cpp-python")
"""Providers of Inspect that are given a model's name on the Hub, or a folder."""
_LOADERS = ("hf", "nnterp", "transformer_lens")
"""Providers that load weights by name; all others ask a server, which may be somebody's own."""
_DEFAULT = "default"
_OF_CALL = [
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "top_k",
    "max_tokens",
    "stop_seqs",
    "seed",
]
"""Settings of a call that decide a response."""
_KNOWN = {*_OF_CALL, "system_message"}
_NO_SETTINGS = frozenset(
    ["max_retries", "timeout", "max_connections", "attempt_timeout", "cache", "batch"]
)
"""Settings that change no response."""
_TAKEN = {"eval": {"task", "task_version", "model", "packages", "scorers"}}
"""Keys of which facts were made in whole."""
_LEFT_OUT = {"samples", "reductions"}


def header_facts(log: Record, task: str) -> Iterator[Fact]:
    """Yield what the header says of a card, but for the decoding."""
    header = log.mapping("eval")
    if header is None:
        return
    yield header.fact(("tasks", task, "name"), "task", task)
    version = header.data.get("task_version")
    if isinstance(version, int | str) and not isinstance(version, bool):
        yield header.fact(("tasks", task, "version"), "task_version", str(version))
    dataset = header.at("dataset")
    where = dataset.text("location") or dataset.text("name")
    if where is not None and not Path(where).is_absolute():
        yield header.fact(("tasks", task, "dataset_id"), "dataset", where)
    provider, _, name = (header.text("model") or "").partition("/")
    local = provider in _LOCAL and name and not Path(name).is_absolute()
    identifier = name.partition(":")[0] if local else (header.text("model") or "")
    note = "the model that was measured"
    yield header.fact(("model", "base", "id"), "model", identifier, note=note, rank=INDIRECT)
    packages = header.at("packages")
    version = packages.text("inspect_ai")
    harness = f"inspect_ai {version}" if version else "inspect_ai"
    yield header.fact(("environment", "harness"), "packages", harness, varies=True)
    if packages.data:
        libraries = {str(k): str(v) for k, v in sorted(packages.data.items())}
        yield header.fact(("environment", "libraries"), "packages", libraries, varies=True)
    backend = f"inspect/{provider}"
    yield header.fact(("environment", "backend"), "model", backend, varies=True)
    yield from _system_message(log)
    yield from _judges(header, str(version or "unversioned"))


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
        # a name of a file, or a template to fill in, is not the text that was sent
        if isinstance(text, str) and " " in text.strip() and "{" not in text:
            yield log.fact(SYSTEM, f"plan.steps[{number}].params.template", text)


def loaded_of(log: Record) -> LoadedWeights:
    """Return the weights that were measured; `vllm/BASE:ADAPTER` names an adapter."""
    header = log.at("eval")
    provider, _, name = (header.text("model") or "").partition("/")
    base, _, adapter = name.partition(":") if provider in _LOCAL else (name, "", "")
    arguments = {"adapter": adapter, **header.at("model_args").data, "model": base}
    named = "model_path" if arguments.get("model_path") else "model"
    key = "eval.model, eval.model_args"
    return loaded_by(header, key, arguments, named, by_name=provider in _LOADERS)


def _judges(header: Record, version: str) -> Iterator[Fact]:
    for number, scorer in enumerate(header.items("scorers") or []):
        if isinstance(scorer, dict) and isinstance(scorer.get("name"), str):
            options = scorer.get("options") or scorer.get("params") or {}
            key = header.key(f"scorers[{number}]")
            yield from _judge(scorer["name"], options, version, header.file, key)


def _judge(scorer: str, options: Any, version: str, file: Path, key: str) -> Iterator[Fact]:
    judge = judge_name(scorer)

    def fact(field: str, value: Any, where: str = "") -> Fact:
        return Fact(("judge", judge, field), value, file, f"{key}{where}")

    yield fact("name", judge, ".name")
    grader = options.get("grader_model") or options.get("model")
    grader = grader.get("model") if isinstance(grader, dict) else grader
    if not isinstance(grader, str):
        yield fact("kind", "rule")
        yield fact("id", f"inspect/{scorer}", ".name")
        yield fact("revision", version)
        return
    yield fact("kind", "llm", ".options.grader_model")
    yield fact("id", grader, ".options.grader_model")
    yield fact("revision", Absent("the log names the model, and no revision of it"))
    template = options.get("grader_template") or options.get("template")
    if isinstance(template, str):
        digest = hashlib.sha256(template.encode()).hexdigest()
        yield fact("prompt_template_sha256", digest, ".options.grader_template")


def unlisted_judge(name: str, file: Path) -> Iterator[Fact]:
    """Yield the entry of a judge with verdicts that the header does not list."""
    yield from _judge(name, {}, "unversioned", file, "samples[].scores")


def _call_settings(calls: Sequence[tuple[At, dict[str, Any]]]) -> dict[str, Any]:
    """Return the settings with which the model was called, as far as the log keeps calls.

    Raises:
        InteropError: samples were called with different ones.
    """
    kept = [
        (at, {k: v for k, v in settings.items() if k in _OF_CALL and v is not None})
        for at, settings in calls
        if settings
    ]
    for at, one in kept:
        if one != kept[0][1]:
            what = f"the model was called with {show(one)}, and at {kept[0][0]} with {kept[0][1]}"
            raise row_error(at, what, "give a log whose samples were all decoded the same way")
    return kept[0][1] if kept else {}


def decoding_of(
    log: Record, name: str | None, calls: Sequence[tuple[At, dict[str, Any]]] = ()
) -> tuple[str, list[Fact], int | None, list[str]]:
    """Return a decoding's key, its facts, the generation seed, and remarks.

    Without a temperature the log does not say whether tokens were sampled: a person does.

    Args:
        log: The log.
        name: The decoding's name.
        calls: Settings of the calls of the model that the log keeps; they count before its header.
    """
    header, called = _config(log), _call_settings(calls)
    record = Record(log.file, {**header, **called}, "generation config")
    remarks = [
        f"{log.file}: the model was called with {field} {show(called[field])}, and the header says "
        f"{show(header[field])}: the calls count"
        for field in called
        if field in header and header[field] != called[field]
    ]
    seed = record.whole("seed")
    values = _settings(record)
    if "do_sample" in values:
        key = json.dumps(values, sort_keys=True, default=lambda absent: absent.reason)
    else:
        key = name = name or _DEFAULT
        remarks.append(
            f"{log.file} does not say the temperature, so not whether tokens were sampled: give "
            f"--decoding {key}:do_sample=..."
        )
    source = "model_generate_config, plan.config"
    facts = [Fact(("decoding", key, f), value, log.file, source) for f, value in values.items()]
    if name is not None:
        facts.append(Fact(("decoding", key, "name"), name, None, key="decoding="))
    return key, facts, seed if values.get("do_sample", True) else None, remarks


def _settings(record: Record) -> dict[str, Any]:
    """Return settings of generation as a card has them."""
    temperature = record.number("temperature")
    values: dict[str, Any] = {}
    if temperature is not None:
        values["do_sample"] = temperature > 0
        if temperature > 0:
            values["temperature"] = temperature
    for field in ("top_p", "frequency_penalty", "presence_penalty"):
        number = record.number(field)
        if number is not None and (field != "top_p" or temperature != 0):
            values[field] = number
    top_k = record.whole("top_k")
    if top_k is not None and top_k > 0 and temperature != 0:
        values["top_k"] = top_k
    length = record.whole("max_tokens")
    own = "the log has none: the provider's own"
    values["max_new_tokens"] = Absent(own) if length is None else length
    values["stop"] = record.texts("stop_seqs") or []
    others = {
        key: setting(value)
        for key, value in record.data.items()
        if key not in _KNOWN | _NO_SETTINGS and value is not None
    }
    if others:
        values["extra"] = others
    return values


def _config(log: Record) -> dict[str, Any]:
    """Return the settings of generation: the plan's, over them those of the model."""
    of_model = log.at("eval", "model_generate_config").data
    settings = {**of_model, **log.at("plan", "config").data}
    return {key: value for key, value in settings.items() if value is not None}


def left_of_header(log: Record, file: Path) -> dict[str, Any]:
    """Return, under the file's name, what no fact was made of."""
    left: dict[str, Any] = {}
    for key, value in log.data.items():
        taken = _TAKEN.get(key)
        if taken is not None and isinstance(value, dict):
            value = {name: item for name, item in value.items() if name not in taken}
            if not value:
                continue
        if key not in _LEFT_OUT:
            left[key] = value
    return {file.name: left} if left else {}
