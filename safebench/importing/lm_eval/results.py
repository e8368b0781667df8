"""What lm-eval's `results_*.json` says of the card: the model that was measured, and with what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from safebench.importing.facts import BY_FILE, INDIRECT, Absent, Fact, Nothing, Place
from safebench.importing.lm_eval.tasks import decoding_facts, task_facts
from safebench.importing.loaded import COMMIT, LoadedWeights, model_name, of_lm_eval, revision_fact
from safebench.importing.record import Record

_ENV: Place = ("environment",)
_SERVERS = ("completions", "anthropic", "openai")  # in the names of lm-eval's backends
_DTYPES = ("float64", "float32", "bfloat16", "float16")
_PACKAGE = re.compile(r"^\[(?:pip3|conda)\] ([A-Za-z0-9_.-]+)[= ]=?\s*([0-9][^\s]*)", re.MULTILINE)
_LIBRARIES = ("torch", "triton", "numpy")
_PYTHON = re.compile(r"^Python version: ([0-9][0-9.]*)", re.MULTILINE)
_GPU = re.compile(r"^GPU \d+: (.+)$", re.MULTILINE)


def facts(record: Record) -> Iterator[Fact]:
    """Yield what a file of results says.

    Raises:
        InteropError: it is no file of lm-eval's results, or a value makes no sense.
    """
    if record.mapping("results") is None or record.mapping("configs") is None:
        raise record.wrong("results", record.data.get("results"), "lm-eval's results and configs")
    config = record.at("config")
    arguments = model_arguments(config)
    yield from _model(config, arguments)
    yield from _chat_template(record)
    yield from _prompting(record)
    yield from decoding_facts(record)
    yield from task_facts(record)
    yield from config.facts(("seeds",), {"generation": ("torch_seed", Record.whole)}, varies=True)
    yield from _environment(record, config, arguments)


def remarks(record: Record) -> Iterator[str]:
    """Yield what a person should know and no field can hold yet."""
    backend = record.at("config").text("model")
    if backend is not None and any(word in backend for word in _SERVERS):
        yield (
            f"{record.file} was measured through {backend}: if only a provider can run the model, "
            "set model.access: api, see spec/v1/card.md"
        )


def model_arguments(config: Record) -> dict[str, Any]:
    """Return `model_args`, which is a mapping or a text such as `pretrained=a,dtype=b`."""
    arguments = config.data.get("model_args")
    if isinstance(arguments, dict):
        return arguments
    pairs = (part.partition("=") for part in (config.text("model_args") or "").split(","))
    return {name.strip(): value.strip() for name, sign, value in pairs if sign}


def loaded(record: Record) -> LoadedWeights:
    """Return the weights that were measured."""
    config = record.at("config")
    return of_lm_eval(config, model_arguments(config))


def _model(config: Record, arguments: dict[str, Any]) -> Iterator[Fact]:
    weights = of_lm_eval(config, arguments)
    if weights.name is None:
        return
    name = model_name(weights.name)
    adapter = bool(weights.added)
    note = "" if adapter else "the model that was measured"
    if name.of_machine:
        note = "last part of a path on another machine"
    # without an adapter, what was measured may be a tuned model in one piece
    rank = BY_FILE if adapter and not name.of_machine else INDIRECT
    key = f"model_args: {weights.whole[0][0]}"
    yield config.fact(("model", "base", "id"), key, name.id, note=note, rank=rank)
    yield from _revision(config, arguments, name.id, name.revision)
    asked = arguments.get("dtype") if weights.by_name else None
    dtype, key = config.text("model_dtype"), "model_dtype"
    if dtype is None and isinstance(asked, str):  # some classes do not log what they loaded
        dtype, key = asked, "model_args: dtype"
    dtype = (dtype or "").removeprefix("torch.")
    if dtype in _DTYPES:
        yield config.fact(("model", "dtype"), key, dtype)
    yield _quantization(config, arguments, weights)


def _revision(
    config: Record, arguments: dict[str, Any], base: str, in_path: str | None
) -> Iterator[Fact]:
    commit, asked = config.text("model_sha"), arguments.get("revision")
    if commit is not None and COMMIT.match(commit):
        yield revision_fact(config, "model_sha", commit, base)
    elif in_path is not None:
        yield revision_fact(config, "model_args: pretrained", in_path, base)
    elif isinstance(asked, str) and COMMIT.match(asked):
        yield revision_fact(config, "model_args: revision", asked, base)
    elif "/" in base:
        branch = config.text("model_revision") or "the default branch"
        why = Absent(f"lm-eval loaded {branch}, and did not record which commit that was")
        yield config.fact(("model", "base", "revision"), "model_sha", why, about=base)


def _quantization(config: Record, arguments: dict[str, Any], weights: LoadedWeights) -> Fact:
    on = {key: str(arguments.get(f"load_in_{key}")).lower() == "true" for key in ("4bit", "8bit")}
    kind = arguments.get("bnb_4bit_quant_type")
    key = "model_args"
    value: Any
    if on["4bit"] and isinstance(kind, str):
        key, value = "model_args: bnb_4bit_quant_type", kind
    elif on["4bit"]:
        key, value = (
            "model_args: load_in_4bit",
            Absent("load_in_4bit is true; the type is not given"),
        )
    elif on["8bit"]:
        key, value = "model_args: load_in_8bit", "int8"
    elif weights.how:
        name, setting = weights.how[0]
        key, value = f"model_args: {name}", Absent(f"model_args have {name}={setting}")
    else:
        value = Absent("model_args ask for none; the model's files may be quantized themselves")
    return config.fact(("model", "quantization"), key, value)


def _chat_template(record: Record) -> Iterator[Fact]:
    place: Place = ("model", "chat_template")
    if "chat_template" not in record.data and "chat_template_sha" not in record.data:
        return
    digest = record.text("chat_template_sha")
    if digest is not None:
        yield record.fact((*place, "source"), "chat_template_sha", "tokenizer")
        yield record.fact((*place, "sha256"), "chat_template_sha", digest)
    elif record.data.get("chat_template") != "":
        note = "null: none was applied"
        yield record.fact((*place, "source"), "chat_template", "none", note=note)
    # else a server was sent chats, and rendered them itself


def _prompting(record: Record) -> Iterator[Fact]:
    if "system_instruction" in record.data:
        text = record.text("system_instruction")
        place: Place = ("prompting", "system_prompt")
        yield record.fact(place, "system_instruction", text if text else Nothing())
    shots = record.at("n-shot")
    for task in shots.data:
        count = shots.whole(task)
        if count is not None:
            place = ("prompting", "few_shot")
            yield Fact(place, count, record.file, f"n-shot.{task}", varies=True)
    for task in record.at("configs").data:
        config = record.at("configs", task)
        if config.text("output_type") != "generate_until":
            continue
        prefix = config.text("gen_prefix")
        note = "" if prefix else "the task gives none"
        place = ("prompting", "prefill")
        yield config.fact(place, "gen_prefix", prefix or Nothing(), note=note, varies=True)
        note = "lm-eval asks once and takes the answer"
        yield config.fact(("prompting", "turns"), "output_type", 1, note=note)


def _environment(record: Record, config: Record, arguments: dict[str, Any]) -> Iterator[Fact]:
    def env(name: str, value: Any, key: str) -> Fact:
        return Fact((*_ENV, name), value, record.file, key, varies=True)

    version = record.text("lm_eval_version")
    if version is not None:
        yield env("harness", f"lm-eval {version}", "lm_eval_version")
    about = record.text("pretty_env_info") or ""
    python = _PYTHON.search(about)
    if python is not None:
        yield env("python", python[1], "pretty_env_info")
    libraries = {name: found for name, found in _PACKAGE.findall(about) if name in _LIBRARIES}
    transformers = record.text("transformers_version")
    if transformers is not None:
        libraries["transformers"] = transformers
    if libraries:
        key = "transformers_version, pretty_env_info"
        yield env("libraries", dict(sorted(libraries.items())), key)
    backend = config.text("model")
    if backend is not None:
        yield env("backend", backend, config.key("model"))
    size = str(config.data.get("batch_size"))
    if size.isdecimal():  # `auto` is what was asked for, not what was used
        yield env("batch_size", int(size), config.key("batch_size"))
    attention = arguments.get("attn_implementation")
    if isinstance(attention, str):
        yield env("attention", attention, f"{config.key('model_args')}: attn_implementation")
    if backend == "hf":
        yield from _of_transformers(config, arguments)
    device = _device(config.text("device"), about)
    if device is not None:
        yield env("device", device, f"{config.key('device')}, pretty_env_info")


def _of_transformers(config: Record, arguments: dict[str, Any]) -> Iterator[Fact]:
    """Yield what lm-eval's `hf` does, unless its arguments change it."""
    values: dict[str, tuple[Any, str]] = {
        "tensor_parallel": (1, "no parallelize: each device holds the whole model"),
        "kv_cache_dtype": ("auto", "transformers keeps that of the weights"),
        "serving_quantization": ("none", "nothing serves the model in between"),
        "determinism": ([], "lm-eval sets no flags"),
    }
    if str(arguments.get("parallelize", False)).lower() != "false":
        del values["tensor_parallel"]
    for name, (value, note) in values.items():
        # the key is not `model_args`, which would then count as read in whole
        yield config.fact((*_ENV, name), "model", value, note=note, varies=True)


def _device(asked: str | None, about: str) -> str | None:
    """Return what generated. `device` alone is what was asked for: cuda:0 also on a CPU machine."""
    cuda = asked is None or asked.startswith("cuda")
    if asked == "cpu" or (cuda and "Is CUDA available: False" in about):
        return "cpu"
    names = set(_GPU.findall(about))
    return names.pop() if cuda and len(names) == 1 else None
