"""What the header of a log of Inspect knows: model, settings, packages, scorers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safebench.interop.facts import INDIRECT, Absent, Fact, Place, setting
from safebench.interop.inspect_samples import judge_name
from safebench.interop.record import Record

_LOCAL = ("hf", "vllm", "sglang", "llama-cpp-python")
"""Providers of Inspect that are given a model's name on the Hub, or a folder."""
_DEFAULT = "default"
_NUMBERS = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
_KNOWN = {*_NUMBERS, "top_k", "max_tokens", "stop_seqs", "seed", "system_message"}
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
    config = _config(log)
    system = config.get("system_message")
    if isinstance(system, str) and system:
        yield Fact(("prompting", "system_prompt"), system, file, "system_message")
    yield from _judges(header, str(version or "unversioned"))


def _model(header: Record) -> Iterator[Fact]:
    name = header.text("model") or ""
    provider, _, rest = name.partition("/")
    local = provider in _LOCAL and rest and not Path(rest).is_absolute()
    note = "the model that was measured"
    identifier = rest if local else name
    key = header.key("model")
    yield Fact(("model", "base", "id"), identifier, header.file, key, note=note, rank=INDIRECT)


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


def decoding_of(log: Record, name: str | None) -> tuple[str, list[Fact], int | None, list[str]]:
    """Return a decoding's key, its facts, the generation seed, and remarks.

    Without a temperature the log does not say whether tokens were sampled: a person does.
    """
    given = _config(log)
    record = Record(log.file, given, "generation config")
    temperature = record.number("temperature")
    seed = record.whole("seed")
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
        for key, value in given.items()
        if key not in _KNOWN and key not in _NOT_SETTINGS and value is not None
    }
    if others:
        values["extra"] = others
    if "do_sample" in values:
        key = json.dumps(values, sort_keys=True, default=lambda absent: absent.reason)
        remarks = []
    else:
        key = name or _DEFAULT
        remarks = [
            f"{log.file} does not say the temperature, so not whether tokens were sampled: give "
            f"--decoding {key}:do_sample=..."
        ]
        name = key
    place: Place = ("decoding", key)
    facts = [Fact((*place, field), value, log.file, "model_generate_config, plan.config")
             for field, value in values.items()]  # fmt: skip
    if name is not None:
        facts.append(Fact((*place, "name"), name, None, key="decoding="))
    sampled = bool(values.get("do_sample", True))
    return key, facts, seed if sampled else None, remarks


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
