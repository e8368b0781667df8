"""What lm-eval's `results_*.json` says about a card: the model, the tasks, the environment."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from safebench.importing.facts import BY_FILE, INDIRECT, Absent, Fact, Nothing, Place
from safebench.importing.lm_eval.decoding import decoding_facts
from safebench.importing.loaded import COMMIT, LoadedWeights, loaded_by, model_name, revision_fact
from safebench.importing.record import Record, plain

_BY_PRETRAINED = (
    "hf hf-auto huggingface hf-multimodal hf-audiolm-qwen hf-mistral3 steered mamba_ssm openvino "
    "ipex habana neuronx onnxruntime onnxruntime-genai winml vllm vllm-vlm sglang"
)
_LOADERS = {
    **dict.fromkeys(_BY_PRETRAINED.split(), "pretrained"),
    **{"trtllm": "model", "nemo_lm": "path", "megatron_lm": "load"},
}
"""Backends of lm-eval that load weights by name, and the argument that names them. All others ask a
server, whose names say nothing about the weights behind them."""
_SERVERS = ("completions", "anthropic", "openai")  # in the names of backends
_FILE_LOADERS = ("json", "csv", "parquet", "text", "arrow")
"""Values of `dataset_path` that say nothing about where the data come from."""
_DTYPES = ("float64", "float32", "bfloat16", "float16")
_PACKAGE = re.compile(r"^\[(?:pip3|conda)\] ([A-Za-z0-9_.-]+)[= ]=?\s*([0-9][^\s]*)", re.MULTILINE)
_LIBRARIES = ("torch", "triton", "numpy")
_PYTHON = re.compile(r"^Python version: ([0-9][0-9.]*)", re.MULTILINE)
_GPU = re.compile(r"^GPU \d+: (.+)$", re.MULTILINE)
_SECRET = re.compile(r"token|api_key|password|secret|authorization", re.IGNORECASE)
_OF_HF: dict[str, tuple[Any, str]] = {
    "tensor_parallel": (1, "no parallelize: each device holds the whole model"),
    "kv_cache_dtype": ("auto", "transformers keeps that of the weights"),
    "serving_quantization": ("none", "nothing serves the model in between"),
    "determinism": ([], "lm-eval sets no flags"),
}
"""What lm-eval's `hf` does, and why."""


def facts(record: Record) -> Iterator[Fact]:
    """Yield what a file of results says about the card's fields.

    Raises:
        InteropError: these are not results of lm-eval, or a value makes no sense.
    """
    if record.mapping("results") is None or record.mapping("configs") is None:
        raise record.wrong("results", record.data.get("results"), "lm-eval's results and configs")
    config = record.at("config")
    arguments = config.arguments("model_args")
    yield from _model(config, arguments, loaded(record))
    yield from _chat_template(record)
    yield from _prompting(record)
    yield from decoding_facts(record)
    for name in record.at("configs").data:
        yield from _task(record, name)
    yield from config.facts(("seeds",), {"generation": ("torch_seed", Record.whole)}, varies=True)
    yield from _environment(record, config, arguments)


def remarks(record: Record) -> Iterator[str]:
    """Yield what a person should know and no field of the card holds."""
    backend = record.at("config").text("model")
    if backend is not None and any(word in backend for word in _SERVERS):
        yield (
            f"{record.file} was measured through {backend}: if only a provider can run the model, "
            "set model.access: api, see spec/v1/card.md"
        )


def loaded(record: Record) -> LoadedWeights:
    """Return the weights that were measured."""
    config = record.at("config")
    arguments, backend = config.arguments("model_args"), config.data.get("model")
    named = _LOADERS.get(backend) if isinstance(backend, str) else None
    by_name = named is not None and named in arguments
    argument = named if by_name else "pretrained" if "pretrained" in arguments else "model"
    key = config.key("model_args")
    return loaded_by(config, key, arguments, str(argument), by_name=by_name)


def left_over(record: Record, facts: Sequence[Fact]) -> dict[str, Any]:
    """Return everything in the results that no fact was made of, as plain data.

    Access keys in `model_args` are left out, and paths of the machine keep their last part.
    """
    used = {fact.key for fact in facts if not isinstance(fact.value, Absent)}
    used.discard("pretty_env_info")  # facts were made of parts of it

    def walk(data: dict[str, Any], inside: str) -> Iterator[tuple[str, Any]]:
        for name, value in data.items():
            key = f"{inside}.{name}" if inside else name
            # a decoding holds all of generation_kwargs
            if isinstance(value, dict) and not (name == "generation_kwargs" and key in used):
                rest = dict(walk(value, key))
                if rest or not value:
                    yield name, rest
            elif key not in used:
                yield name, plain(value)

    rest = dict(walk(record.data, ""))
    config = rest.get("config")
    if isinstance(config, dict) and "model_args" in config:
        config["model_args"] = _without_secrets(config["model_args"])
    for task in rest.get("configs", {}).values():  # lm-eval copies model_args into each task
        if isinstance(task, dict) and isinstance(task.get("metadata"), dict):
            task["metadata"] = _without_secrets(task["metadata"])
    name = record.data.get("model_name")
    if isinstance(name, str) and model_name(name).of_machine:
        rest["model_name"] = model_name(name).id
        rest.pop("model_name_sanitized", None)  # the same path, with other separators
    return rest


def _without_secrets(arguments: Any) -> Any:
    def kept(name: str, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if _SECRET.search(name) and value.lower() not in ("true", "false", "none", ""):
            return "(left out)"
        cut = model_name(value)
        return cut.id if cut.of_machine else value

    if isinstance(arguments, dict):
        return {name: kept(name, value) for name, value in arguments.items()}
    if not isinstance(arguments, str):
        return arguments
    pairs = (part.partition("=") for part in arguments.split(","))
    return ",".join(f"{name}{sign}{kept(name, value)}" for name, sign, value in pairs)


def _model(config: Record, arguments: dict[str, Any], weights: LoadedWeights) -> Iterator[Fact]:
    if weights.name is None:
        return
    name = model_name(weights.name)
    note = "" if weights.added else "the model that was measured"
    if name.of_machine:
        note = "last part of a path on another machine"
    # without an adapter, what was measured may be a tuned model in one piece
    rank = BY_FILE if weights.added and not name.of_machine else INDIRECT
    key = f"model_args: {weights.whole[0][0]}"
    yield config.fact(("model", "base", "id"), key, name.id, note=note, rank=rank)
    yield from _revision(config, arguments, name.id, name.revision)
    requested = arguments.get("dtype") if weights.by_name else None
    dtype, key = config.text("model_dtype"), "model_dtype"
    if dtype is None and isinstance(requested, str):  # some backends do not log what they loaded
        dtype, key = requested, "model_args: dtype"
    dtype = (dtype or "").removeprefix("torch.")
    if dtype in _DTYPES:
        yield config.fact(("model", "dtype"), key, dtype)
    yield _quantization(config, arguments, weights)


def _revision(
    config: Record, arguments: dict[str, Any], base: str, in_path: str | None
) -> Iterator[Fact]:
    for key, commit in (
        ("model_sha", config.text("model_sha")),
        ("model_args: pretrained", in_path),
        ("model_args: revision", arguments.get("revision")),
    ):
        if isinstance(commit, str) and COMMIT.match(commit):
            yield revision_fact(config, key, commit, base)
            return
    if "/" in base:
        branch = config.text("model_revision") or "the default branch"
        why = Absent(f"lm-eval loaded {branch} and did not record which commit that was")
        yield config.fact(("model", "base", "revision"), "model_sha", why, about=base)


def _quantization(config: Record, arguments: dict[str, Any], weights: LoadedWeights) -> Fact:
    on = {key: str(arguments.get(f"load_in_{key}")).lower() == "true" for key in ("4bit", "8bit")}
    kind = arguments.get("bnb_4bit_quant_type")
    value: Any = Absent("model_args request none; the model's own files may be quantized")
    argument = None
    if on["4bit"] and isinstance(kind, str):
        argument, value = "bnb_4bit_quant_type", kind
    elif on["4bit"]:
        argument, value = "load_in_4bit", Absent("load_in_4bit is true; the type is not recorded")
    elif on["8bit"]:
        argument, value = "load_in_8bit", "int8"
    elif weights.how:
        argument, setting = weights.how[0]
        value = Absent(f"model_args have {argument}={setting}")
    key = f"model_args: {argument}" if argument else "model_args"
    return config.fact(("model", "quantization"), key, value)


def _chat_template(record: Record) -> Iterator[Fact]:
    place: Place = ("model", "chat_template")
    if "chat_template" not in record.data and "chat_template_sha" not in record.data:
        return
    digest, text = record.text("chat_template_sha"), record.data.get("chat_template")
    if digest is not None and isinstance(text, str) and text:
        of_text = hashlib.sha256(text.encode()).hexdigest()
        if digest != of_text:
            raise record.wrong("chat_template_sha", digest, f"{of_text}, that of chat_template")
    if digest is not None:
        yield record.fact((*place, "source"), "chat_template_sha", "tokenizer")
        yield record.fact((*place, "sha256"), "chat_template_sha", digest)
        yield from _template_arguments(record.at("config"), place)
    elif record.data.get("chat_template") != "":
        note = "null: none was applied"
        yield record.fact((*place, "source"), "chat_template", "none", note=note)
    # else a server was sent chats, and rendered them itself


def _template_arguments(config: Record, place: Place) -> Iterator[Fact]:
    """Yield what lm-eval gave a chat template beside the messages."""
    arguments = config.arguments("model_args")
    given = arguments.get("chat_template_args")
    found = dict(given) if isinstance(given, dict) else {}
    thinking = {"true": True, "false": False}.get(str(arguments.get("enable_thinking")).lower())
    if thinking is not None:
        found["enable_thinking"] = thinking
    for name, value in found.items():
        if isinstance(value, bool | int | float | str):
            yield config.fact((*place, "arguments", str(name)), "model_args", value)


def _prompting(record: Record) -> Iterator[Fact]:
    if "system_instruction" in record.data:
        text = record.text("system_instruction") or Nothing()
        yield record.fact(("prompting", "system_prompt"), "system_instruction", text)
    shots = record.at("n-shot")
    for task in shots.data:
        count = shots.whole(task)
        if count is not None:
            yield shots.fact(("prompting", "few_shot"), task, count, varies=True)
    for task in record.at("configs").data:
        config = record.at("configs", task)
        if config.text("output_type") == "generate_until":
            prefix = config.text("gen_prefix")
            note = "" if prefix else "the task has none"
            value = prefix or Nothing()
            yield config.fact(("prompting", "prefill"), "gen_prefix", value, note=note, varies=True)
            note = "lm-eval sends one prompt and takes the answer"
            yield config.fact(("prompting", "turns"), "output_type", 1, note=note)


def _task(record: Record, name: str) -> Iterator[Fact]:
    """Yield name, version, prompts, metric and data set of a task."""
    config = record.at("configs").mapping(name)
    if config is None:
        return

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
        if available is not None and used < available:
            yield fact("limit", used, f"n-samples.{name}")
            yield fact("available", available, f"n-samples.{name}.original")
    dataset = config.text("dataset_path")
    if dataset is not None and dataset not in _FILE_LOADERS:
        yield fact("dataset_id", dataset, config.key("dataset_path"))
        options = config.at("dataset_kwargs")
        revision = options.text("revision")
        if revision is not None and COMMIT.match(revision):
            yield fact("dataset_revision", revision, options.key("revision"))
    metrics = record.at("higher_is_better", name)
    if len(metrics.data) == 1:  # of several, a person has to choose
        metric = next(iter(metrics.data))
        higher = metrics.flag(metric)
        yield fact("metric", metric, metrics.inside)
        if higher is not None:
            direction = "higher_is_better" if higher else "lower_is_better"
            yield fact("direction", direction, metrics.inside)


def _environment(record: Record, config: Record, arguments: dict[str, Any]) -> Iterator[Fact]:
    version, backend = record.text("lm_eval_version"), config.text("model")
    about = record.text("pretty_env_info") or ""
    python = _PYTHON.search(about)
    libraries = {name: found for name, found in _PACKAGE.findall(about) if name in _LIBRARIES}
    transformers = record.text("transformers_version")
    if transformers is not None:
        libraries["transformers"] = transformers
    size = str(config.data.get("batch_size"))
    attention = arguments.get("attn_implementation")
    device = _device(config.text("device"), about)
    values: dict[str, tuple[Any, str]] = {
        "harness": (version and f"lm-eval {version}", "lm_eval_version"),
        "python": (python and python[1], "pretty_env_info"),
        "libraries": (dict(sorted(libraries.items())), "transformers_version, pretty_env_info"),
        "backend": (backend, config.key("model")),
        # `auto` is what was requested, not what was used
        "batch_size": (int(size) if size.isdecimal() else None, config.key("batch_size")),
        "attention": (
            attention if isinstance(attention, str) else None,
            f"{config.key('model_args')}: attn_implementation",
        ),
        "device": (device, f"{config.key('device')}, pretty_env_info"),
    }
    for name, (value, key) in values.items():
        if value not in (None, {}):
            yield Fact(("environment", name), value, record.file, key, varies=True)
    if backend == "hf":
        parallel = str(arguments.get("parallelize", False)).lower() != "false"
        for name, (value, note) in _OF_HF.items():
            if not (parallel and name == "tensor_parallel"):
                # the key is not `model_args`, which would then count as imported in full
                yield config.fact(("environment", name), "model", value, note=note, varies=True)


def _device(requested: str | None, about: str) -> str | None:
    """Return what generated; `device` alone is only a request: cuda:0 also on a CPU machine."""
    cuda = requested is None or requested.startswith("cuda")
    if requested == "cpu" or (cuda and "Is CUDA available: False" in about):
        return "cpu"
    names = set(_GPU.findall(about))
    return names.pop() if cuda and len(names) == 1 else None
