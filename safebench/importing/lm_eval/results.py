"""What lm-eval's `results_*.json` knows: the model that was measured, and with what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from safebench.importing.draft.facts import INDIRECT, STATED, Absent, Fact, Nothing, Place
from safebench.importing.lm_eval.tasks import decoding_facts, task_facts
from safebench.importing.loaded import Loaded, of_lm_eval
from safebench.importing.names import COMMIT, ModelName, model_name
from safebench.importing.record import Record
from safebench.importing.trained.peft import revision_fact

_ENV = ("environment",)
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
    config = record.mapping("config") or Record(record.file, {}, "config")
    arguments = model_arguments(config)
    yield from _model(config, arguments)
    yield from _chat_template(record)
    yield from _prompting(record)
    yield from decoding_facts(record)
    yield from task_facts(record)
    yield from _seed(config)
    yield from _environment(record, config, arguments)


def remarks(record: Record) -> Iterator[str]:
    """Yield what a person should know and no field can hold yet."""
    config = record.mapping("config")
    backend = config.text("model") if config else None
    if backend is not None and any(word in backend for word in _SERVERS):
        yield (
            f"{record.file} was measured through {backend}: if only a provider can run the model, "
            "set model.access: api, see spec/v1/card.md"
        )


def model_arguments(config: Record) -> dict[str, Any]:
    """Return `model_args`, which is a mapping or a text such as `pretrained=a,dtype=b`."""
    stated = config.data.get("model_args")
    if isinstance(stated, dict):
        return stated
    pairs = (part.partition("=") for part in (config.text("model_args") or "").split(","))
    return {name.strip(): value.strip() for name, sign, value in pairs if sign}


def loaded(record: Record) -> Loaded:
    """Return the weights that were measured."""
    config = record.mapping("config") or Record(record.file, {}, "config")
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
    yield Fact(
        ("model", "base", "id"),
        name.id,
        config.file,
        f"{weights.key}: {weights.whole[0][0]}",
        note=note,
        rank=STATED if adapter and not name.of_machine else INDIRECT,
    )
    yield from _revision(config, arguments, name)
    asked = arguments.get("dtype") if weights.by_name else None
    dtype, key = config.text("model_dtype"), "model_dtype"
    if dtype is None and isinstance(asked, str):  # some classes do not log what they loaded
        dtype, key = asked, "model_args: dtype"
    dtype = (dtype or "").removeprefix("torch.")
    if dtype in _DTYPES:
        yield Fact(("model", "dtype"), dtype, config.file, config.key(key))
    yield from _quantization(config, arguments)


def _revision(config: Record, arguments: dict[str, Any], name: ModelName) -> Iterator[Fact]:
    commit = config.text("model_sha")
    asked = arguments.get("revision")
    place: Place = ("model", "base", "revision")
    if commit is not None and COMMIT.match(commit):
        yield Fact(place, commit, config.file, config.key("model_sha"), about=name.id)
    elif name.revision is not None:
        key = f"{config.key('model_args')}: pretrained"
        yield Fact(place, name.revision, config.file, key, about=name.id)
    elif isinstance(asked, str) and COMMIT.match(asked):
        yield revision_fact(config, "model_args: revision", asked, name.id)
    elif "/" in name.id:
        branch = config.text("model_revision") or "the default branch"
        why = f"lm-eval loaded {branch}, and did not record which commit that was"
        yield Fact(place, Absent(why), config.file, config.key("model_sha"), about=name.id)


def _quantization(config: Record, arguments: dict[str, Any]) -> Iterator[Fact]:
    on = {key: str(arguments.get(f"load_in_{key}")).lower() == "true" for key in ("4bit", "8bit")}
    kind = arguments.get("bnb_4bit_quant_type")
    place: Place = ("model", "quantization")
    key = config.key("model_args")
    if on["4bit"] and isinstance(kind, str):
        yield Fact(place, kind, config.file, f"{key}: bnb_4bit_quant_type")
    elif on["4bit"]:
        why = "load_in_4bit is true; the type is not given"
        yield Fact(place, Absent(why), config.file, f"{key}: load_in_4bit")
    elif on["8bit"]:
        yield Fact(place, "int8", config.file, f"{key}: load_in_8bit")
    elif other := of_lm_eval(config, arguments).how:
        why = f"model_args have {other[0][0]}={other[0][1]}"
        yield Fact(place, Absent(why), config.file, f"{key}: {other[0][0]}")
    else:
        why = "model_args ask for none; the model's files may be quantized themselves"
        yield Fact(place, Absent(why), config.file, key)


def _chat_template(record: Record) -> Iterator[Fact]:
    place: Place = ("model", "chat_template")
    if "chat_template" not in record.data and "chat_template_sha" not in record.data:
        return
    digest = record.text("chat_template_sha")
    if digest is None and record.data.get("chat_template") == "":
        return  # a server was sent chats, and put them into words itself
    if digest is None:
        key = record.key("chat_template")
        yield Fact((*place, "source"), "none", record.file, key, note="null: none was applied")
        return
    key = record.key("chat_template_sha")
    yield Fact((*place, "source"), "tokenizer", record.file, key)
    yield Fact((*place, "sha256"), digest, record.file, key)


def _prompting(record: Record) -> Iterator[Fact]:
    if "system_instruction" in record.data:
        text = record.text("system_instruction")
        key = record.key("system_instruction")
        place: Place = ("prompting", "system_prompt")
        yield Fact(place, text if text else Nothing(), record.file, key)
    shots = record.mapping("n-shot")
    for task in shots.data if shots else ():
        count = shots.whole(task) if shots else None
        if count is not None:
            place = ("prompting", "few_shot")
            yield Fact(place, count, record.file, f"n-shot.{task}", varies=True)
    configs = record.mapping("configs")
    for task in configs.data if configs else ():
        config = configs.mapping(task) if configs else None
        if config is None or config.text("output_type") != "generate_until":
            continue
        begun = config.text("gen_prefix")
        key = config.key("gen_prefix")
        place = ("prompting", "prefill")
        note = "" if begun else "the task gives none"
        yield Fact(place, begun or Nothing(), record.file, key, note=note, varies=True)
        note = "lm-eval asks once and takes the answer"
        yield Fact(("prompting", "turns"), 1, record.file, config.key("output_type"), note=note)


def _seed(config: Record) -> Iterator[Fact]:
    seed = config.whole("torch_seed")
    if seed is not None:
        place: Place = ("seeds", "generation")
        yield Fact(place, seed, config.file, config.key("torch_seed"), varies=True)


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
    size = config.data.get("batch_size")
    if str(size).isdecimal():  # `auto` says what was asked for
        yield env("batch_size", int(str(size)), config.key("batch_size"))
    attention = arguments.get("attn_implementation")
    if isinstance(attention, str):
        yield env("attention", attention, f"{config.key('model_args')}: attn_implementation")
    if backend == "hf":
        yield from _of_transformers(config, arguments)
    device = _device(config.text("device"), about)
    if device is not None:
        yield env("device", device, f"{config.key('device')}, pretty_env_info")


def _of_transformers(config: Record, arguments: dict[str, Any]) -> Iterator[Fact]:
    """Yield what lm-eval's `hf` does, where its arguments do not say otherwise."""
    key = config.key("model")  # not its arguments: they say more than these facts hold

    def env(name: str, value: Any, note: str) -> Fact:
        return Fact((*_ENV, name), value, config.file, key, note=note, varies=True)

    if str(arguments.get("parallelize", False)).lower() == "false":
        yield env("tensor_parallel", 1, "no parallelize: each device holds the whole model")
    yield env("kv_cache_dtype", "auto", "transformers keeps that of the weights")
    yield env("serving_quantization", "none", "nothing serves the model in between")
    yield env("determinism", [], "lm-eval sets no flags")


def _device(asked: str | None, about: str) -> str | None:
    """Return what generated. `device` alone is what was asked for: cuda:0 also on a CPU machine."""
    cuda = asked is None or asked.startswith("cuda")
    if asked == "cpu" or (cuda and "Is CUDA available: False" in about):
        return "cpu"
    names = set(_GPU.findall(about))
    return names.pop() if cuda and len(names) == 1 else None
