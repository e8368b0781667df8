"""Which weights a sampler was given, as its file says: the whole model, and what was put on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safebench.errors import visible
from safebench.importing.names import model_name
from safebench.importing.record import Record

_PRETRAINED = (
    "hf", "hf-auto", "huggingface", "hf-multimodal", "hf-audiolm-qwen", "hf-mistral3", "steered",
    "mamba_ssm", "openvino", "ipex", "habana", "neuronx", "onnxruntime", "onnxruntime-genai",
    "winml", "vllm", "vllm-vlm", "sglang",
)  # fmt: skip
_LOADERS = {
    **dict.fromkeys(_PRETRAINED, "pretrained"),
    "trtllm": "model", "nemo_lm": "path", "megatron_lm": "load",
}  # fmt: skip
"""Classes of lm-eval that load weights by name, and the argument that names them. All others ask a
server, whose names say nothing of the weights behind them."""
_ADDED = (
    "peft", "delta", "lora_local_path", "lora_path", "lora_paths", "lora_modules", "lora_dir",
    "adapter", "adapters", "adapter_path", "adapter_name_or_path", "steer_path",
)  # fmt: skip
"""Arguments, of whatever class, for what changes the weights of the whole model."""
_WHICH = ("revision", "subfolder", "gguf_file", "ckpt_step")
"""Arguments that tell one set of weights of a name from another."""
_HOW = (
    "load_in_4bit", "load_in_8bit", "bnb_4bit_quant_type", "bnb_4bit_use_double_quant",
    "bnb_4bit_compute_dtype", "quantization", "quantization_config", "autogptq", "gptqmodel",
    "gguf_file",
)  # fmt: skip
"""Arguments that quantize the weights, or choose quantized ones."""
_UNSET = ("", "none", "null", "false")

Arguments = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Loaded:
    """The weights of one run."""

    file: Path
    key: str
    """Where in the file its arguments stand."""
    whole: Arguments = ()
    """Argument and name of the whole model, where one is named."""
    added: Arguments = ()
    """What was put on it, argument and name each."""
    which: Arguments = ()
    how: Arguments = ()
    by_name: bool = False
    """Whether the sampler loaded the weights of that name itself, rather than ask a server."""

    @property
    def name(self) -> str | None:
        """The whole model."""
        return self.whole[0][1] if self.whole else None

    @property
    def folders(self) -> tuple[str, ...]:
        """What tells these weights from others': what was added, else the whole model."""
        return tuple(name for _, name in self.added or self.whole)

    @property
    def places(self) -> frozenset[Path]:
        """Their folders, where those are on this machine."""
        return frozenset(Path(name).resolve() for name in self.folders if _there(name))

    def said(self, arguments: Iterable[tuple[str, str]]) -> str:
        """Return file, key and arguments, as messages name them."""
        told = ", ".join(f"{name}={value}" for name, value in arguments)
        return visible(f"{self.file}: {self.key} has {told}")


def loaded_by(
    record: Record, key: str, given: Mapping[str, Any], named: str, *, by_name: bool
) -> Loaded:
    """Return the weights that arguments name; `named` is the argument for the whole model."""
    whole = _set(given, (named,)) if isinstance(given.get(named), str) else ()
    added = _set(given, _ADDED)
    if whole and by_name and _there(f"{whole[0][1]}/adapter_config.json"):
        # transformers loads such a folder as an adapter, on the base that its file names
        whole, added = (), (*whole, *added)
    return Loaded(record.file, key, whole, added, _set(given, _WHICH), _set(given, _HOW), by_name)


def of_lm_eval(config: Record, given: Mapping[str, Any]) -> Loaded:
    """Return the weights of a run of lm-eval. `given` are its `model_args`."""
    backend = config.data.get("model")
    named = _LOADERS.get(backend) if isinstance(backend, str) else None
    by_name = named is not None and named in given
    argument = named if by_name else "pretrained" if "pretrained" in given else "model"
    return loaded_by(config, config.key("model_args"), given, str(argument), by_name=by_name)


def _set(given: Mapping[str, Any], names: Iterable[str]) -> Arguments:
    """Return those arguments that say something, as texts; `revision=main` says nothing."""
    found = ((name, given[name]) for name in names if name in given)
    texts = ((name, str(value).strip().rstrip("/")) for name, value in found)
    return tuple(
        (name, text)
        for name, text in texts
        if text.lower() not in _UNSET and (name, text) != ("revision", "main")
    )


def _there(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # a file can hold any text as the name of a model
        return False


def is_same(one: Loaded, other: Loaded) -> bool:
    """Whether two runs loaded the same weights for certain; a server's names make nothing so."""
    return (
        one.by_name and other.by_name and bool(one.folders)
        and one.added == other.added and one.which == other.which
        and (one.whole == other.whole or same_name(one.name or "", other.name or ""))
    )  # fmt: skip


def same_name(one: str, other: str) -> bool:
    """Whether two names are those of one model for certain."""
    named = model_name(one), model_name(other)
    if one == other or (named[0] == named[1] and not named[0].of_machine):
        return True
    return _there(one) and _there(other) and Path(one).resolve() == Path(other).resolve()


def may_be_same_name(one: str, other: str) -> bool:
    """Whether two names can be those of one model: as a rule, folders keep a model's last name."""
    last = [Path(model_name(name).id).name.lower() for name in (one, other)]
    return last[0] == last[1] or same_name(one, other)
