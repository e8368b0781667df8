"""What the header of a log of Inspect knows: model, settings, packages, scorers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from safebench.importing.draft.facts import INDIRECT, Absent, Fact, Place, setting, show
from safebench.importing.inspect.samples import judge_name
from safebench.importing.loaded import Loaded, loaded_by
from safebench.importing.record import Record
from safebench.importing.samples import At, wrong
from safebench.importing.sent import SYSTEM

_LOCAL = ("hf", "vllm", "sglang", "llama-cpp-python")
"""Providers of Inspect that are given a model's name on the Hub, or a folder."""
_LOADERS = ("hf", "nnterp", "transformer_lens")
"""Providers that load weights by name; all others ask a server, which may be somebody's own."""
_DEFAULT = "default"
_NUMBERS = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
_KNOWN = {*_NUMBERS, "top_k", "max_tokens", "stop_seqs", "seed", "system_message"}
_OF_CALL = (*_NUMBERS, "top_k", "max_tokens", "stop_seqs", "seed")
_NOT_SETTINGS = {"max_retries", "timeout", "max_connections", "attempt_timeout", "cache", "batch"}
"""Settings that change no response."""
_TAKEN = {"eval": {"task", "task_version", "model", "packages", "scorers"}}
_LEFT_OUT = {"samples", "reductions"}


def header_facts(log: Record, task: str) -> Iterator[Fact]:
    """Yield what the header says of a card, but for the decoding."""
    header = log.mapping("eval")
    if header is None:
        return
    file = log.file
    place: Place = ("tasks", task)
    yield Fact((*place, "name"), task, file, "eval.task")
    version = header.data.get("task_version")
    if isinstance(version, int | str) and not isinstance(version, bool):
        yield Fact((*place, "version"), str(version), file, "eval.task_version")
    dataset = header.mapping("dataset")
    where = (dataset.text("location") or dataset.text("name")) if dataset else None
    if where is not None and not Path(where).is_absolute():
        yield Fact((*place, "dataset_id"), where, file, "eval.dataset")
    yield from _model(header)
    packages = header.mapping("packages")
    version = packages.text("inspect_ai") if packages else None
    env: Place = ("environment",)
    harness = f"inspect_ai {version}" if version else "inspect_ai"
    yield Fact((*env, "harness"), harness, file, "eval.packages", varies=True)
    if packages is not None and packages.data:
        libraries = {str(k): str(v) for k, v in sorted(packages.data.items())}
        yield Fact((*env, "libraries"), libraries, file, "eval.packages", varies=True)
    provider = (header.text("model") or "").partition("/")[0]
    yield Fact((*env, "backend"), f"inspect/{provider}", file, "eval.model", varies=True)
    yield from _system_message(log)
    yield from _judges(header, str(version or "unversioned"))


def _system_message(log: Record) -> Iterator[Fact]:
    system = _config(log).get("system_message")
    if isinstance(system, str) and system:
        yield Fact(SYSTEM, system, log.file, "system_message")


def meant(log: Record) -> Iterator[Fact]:
    """Yield what the header says of what the prompts show: system messages."""
    yield from _system_message(log)
    plan = log.mapping("plan")
    for number, step in enumerate((plan.items("steps") if plan else None) or []):
        given = step.get("params") if isinstance(step, dict) else None
        text = given.get("template") if isinstance(given, dict) else None
        # a name of a file, or a template to fill in, is not the text that was sent
        if (
            isinstance(text, str) and " " in text.strip() and "{" not in text
            and step.get("solver") == "system_message"
        ):  # fmt: skip
            yield Fact(SYSTEM, text, log.file, f"plan.steps[{number}].params.template")


def _model(header: Record) -> Iterator[Fact]:
    name = header.text("model") or ""
    provider, _, rest = name.partition("/")
    local = provider in _LOCAL and rest and not Path(rest).is_absolute()
    note = "the model that was measured"
    identifier = rest.partition(":")[0] if local else name
    key = header.key("model")
    yield Fact(("model", "base", "id"), identifier, header.file, key, note=note, rank=INDIRECT)


def loaded_of(log: Record) -> Loaded:
    """Return the weights that were measured; `vllm/BASE:ADAPTER` names an adapter."""
    header = log.mapping("eval") or Record(log.file, {}, "eval")
    arguments = header.mapping("model_args")
    provider, _, name = (header.text("model") or "").partition("/")
    base, _, adapter = name.partition(":") if provider in _LOCAL else (name, "", "")
    given = {"adapter": adapter, **(arguments.data if arguments else {}), "model": base}
    named = "model_path" if given.get("model_path") else "model"
    by_name = provider in _LOADERS
    return loaded_by(header, "eval.model, eval.model_args", given, named, by_name=by_name)


def _judges(header: Record, version: str) -> Iterator[Fact]:
    for number, scorer in enumerate(header.items("scorers") or []):
        if not isinstance(scorer, dict) or not isinstance(scorer.get("name"), str):
            continue
        name = scorer["name"]
        options = scorer.get("options") or scorer.get("params") or {}
        key = header.key(f"scorers[{number}]")
        yield from _judge(judge_name(name), name, options, version, header.file, key)


def _judge(
    judge: str, scorer: str, options: Any, version: str, file: Path, key: str
) -> Iterator[Fact]:
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


def undescribed_judge(name: str, file: Path) -> Iterator[Fact]:
    """Yield the entry of a judge that spoke and that the header does not list."""
    yield from _judge(name, name, {}, "unversioned", file, "samples[].scores")


def _sent_settings(log: Record, calls: Sequence[tuple[At, dict[str, Any]]]) -> dict[str, Any]:
    """Return the settings with which the model was called, as far as the log keeps calls.

    Raises:
        InteropError: samples were called with different ones.
    """
    told = [(at, {k: v for k, v in one.items() if k in _OF_CALL and v is not None})
            for at, one in calls if one]  # fmt: skip
    for at, one in told:
        if one != told[0][1]:
            what = f"the model was called with {show(one)}, and at {told[0][0]} with {told[0][1]}"
            raise wrong(at, what, "give a log whose samples were all decoded the same way")
    return told[0][1] if told else {}


def decoding_of(
    log: Record, name: str | None, calls: Sequence[tuple[At, dict[str, Any]]] = ()
) -> tuple[str, list[Fact], int | None, list[str]]:
    """Return a decoding's key, its facts, the generation seed, and remarks.

    Without a temperature the log does not say whether tokens were sampled: a person does.

    Args:
        log: The log.
        name: The decoding's name.
        calls: Settings of the calls of the model that the log keeps; they are nearer than its
            header.
    """
    header, sent = _config(log), _sent_settings(log, calls)
    record = Record(log.file, {**header, **sent}, "generation config")
    remarks = [
        f"{log.file}: the model was called with {field} {show(sent[field])}, and the header says "
        f"{show(header[field])}: the calls count"
        for field in sent
        if field in header and header[field] != sent[field]
    ]
    seed = record.whole("seed")
    values = _settings(record)
    if "do_sample" in values:
        key = json.dumps(values, sort_keys=True, default=lambda absent: absent.reason)
    else:
        key = name or _DEFAULT
        remarks.append(
            f"{log.file} does not say the temperature, so not whether tokens were sampled: give "
            f"--decoding {key}:do_sample=..."
        )
        name = key
    place: Place = ("decoding", key)
    facts = [Fact((*place, field), value, log.file, "model_generate_config, plan.config")
             for field, value in values.items()]  # fmt: skip
    if name is not None:
        facts.append(Fact((*place, "name"), name, None, key="decoding="))
    sampled = bool(values.get("do_sample", True))
    return key, facts, seed if sampled else None, remarks


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
        if key not in _KNOWN and key not in _NOT_SETTINGS and value is not None
    }
    if others:
        values["extra"] = others
    return values


def _config(log: Record) -> dict[str, Any]:
    """Return the settings of generation: the plan's, over them those of the model."""
    plan, header = log.mapping("plan"), log.mapping("eval")
    planned = plan.mapping("config") if plan else None
    models = header.mapping("model_generate_config") if header else None
    found = {**(models.data if models else {}), **(planned.data if planned else {})}
    return {key: value for key, value in found.items() if value is not None}


def left_of_header(log: Record, file: Path) -> dict[str, Any]:
    """Return, under the file's name, what no fact was made of."""
    left: dict[str, Any] = {}
    for key, value in log.data.items():
        if key in _LEFT_OUT:
            continue
        taken = _TAKEN.get(key)
        if taken is None or not isinstance(value, dict):
            left[key] = value
            continue
        rest = {name: item for name, item in value.items() if name not in taken}
        if rest:
            left[key] = rest
    return {file.name: left} if left else {}
