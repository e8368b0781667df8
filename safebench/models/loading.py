"""Finding and loading a base model: built in, a local folder, or a pinned Hub revision.

Safetensors only, no remote code, no pickles. Adapters and other weights of a card: weights.py.
Finding a model needs no model library, so a plan can be counted without one.
"""

from __future__ import annotations

import gc
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safebench.errors import ModelError
from safebench.files import sha256_of_folder
from safebench.models.conversation import bind, keep_default_template
from safebench.models.quiet import explained, first_line
from safebench.resources import builtin_model_dir

if TYPE_CHECKING:
    import torch

COMMIT = re.compile(r"[0-9a-f]{40}")
ADAPTER_WEIGHTS = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
"""Files of an adapter, as peft names them."""


@dataclass(frozen=True)
class Located:
    """A base model that was found: its location and what pins it."""

    source: str
    """A folder, or a Hub id."""
    commit: str | None
    """Hub commit; None for a folder."""
    revision: str
    """What the card records: the commit, or `sha256:` and the folder's digest."""


def locate(model_id: str, revision: str | None, beside: Path) -> Located:
    """Find a base model and check that it is the one the card pins.

    Raises:
        ModelError: no such model, or its bytes are not those of the revision.
    """
    folder = _folder(model_id, beside)
    if folder is None:
        if revision is None or not COMMIT.fullmatch(revision):
            raise ModelError(
                f"model {model_id!r}: revision {revision!r} is not a 40-digit commit",
                fix="pin the commit: a branch or tag can move under the reader",
            )
        return Located(model_id, revision, revision)
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"model {model_id!r}: {folder} has no config.json",
            fix="give a folder saved with save_pretrained, or a Hub id with a revision",
        )
    found = f"sha256:{sha256_of_folder(folder, weight_files(folder))}"
    if revision is not None and revision != found:
        raise ModelError(
            f"model {model_id!r} has digest {found}, but the card says {revision}",
            fix="use the files that the card was made with, or write a new card",
        )
    return Located(str(folder), None, found)


def weight_files(folder: Path) -> tuple[str, ...]:
    """Return the files of a model folder that decide what it generates."""
    names = re.compile(
        r"(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|vocab"
        r"|added_tokens|model\.safetensors\.index)\.json|merges\.txt|chat_template\.jinja"
        r"|tokenizer\.model|.*\.safetensors"
    )
    return tuple(p.name for p in folder.iterdir() if p.is_file() and names.fullmatch(p.name))


def _folder(model_id: str, beside: Path) -> Path | None:
    if model_id.startswith("builtin:"):
        folder = builtin_model_dir(model_id.removeprefix("builtin:"))
        if folder is None:
            raise ModelError(f"no built-in model {model_id!r}", fix="use builtin:tiny-chat")
        return folder
    candidate = beside / model_id
    if candidate.is_dir():
        return candidate.resolve()
    if model_id.startswith((".", "/", "~")) or model_id.count("/") != 1:
        raise ModelError(
            f"model {model_id!r}: no such folder ({candidate})",
            fix="give a folder relative to the card, or a Hub id such as owner/name",
        )
    return None


def load_tokenizer(located: Located) -> Any:
    """Load a tokenizer that pads on the left, and renders its chat template within bounds.

    Raises:
        ModelError: it cannot be loaded.
    """
    from transformers import AutoTokenizer

    with explained(f"tokenizer of {located.source!r}"):
        tokenizer = AutoTokenizer.from_pretrained(
            located.source, revision=located.commit, trust_remote_code=False
        )
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token is None:
            raise ModelError(f"tokenizer of {located.source!r} has neither pad nor eos token")
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    keep_default_template(tokenizer)
    bind(tokenizer, f"the chat template of {located.source}")
    return tokenizer


def load_base(
    located: Located,
    dtype: str,
    device: str,
    *,
    quantization: str = "none",
    attention: str | None = None,
    double: bool = False,
    compute_dtype: str | None = None,
) -> Any:
    """Load a causal language model's weights, ready to generate.

    Args:
        located: What `locate` found.
        dtype: Type of the weights that are not quantized.
        device: Where they go; `auto` spreads a model over all devices there are.
        quantization: `nf4`, `fp4` or `int8` (through bitsandbytes), or `none`.
        attention: Attention implementation, by its name in transformers; its choice if None.
        double: Whether the constants of nf4 and fp4 are quantized too.
        compute_dtype: Type that nf4 and fp4 are expanded to; `dtype` if None.

    Raises:
        ModelError: the weights cannot be loaded, are not safetensors, or are not a causal model.
        MissingDependencyError: bitsandbytes is needed and absent.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from safebench.models.quantized import compute_as_declared, quantization_config

    quantized = quantization_config(quantization, compute_dtype or dtype, double=double)
    options: dict[str, Any] = {}
    if attention is not None:
        options["attn_implementation"] = attention
    if quantized is not None:
        options["quantization_config"] = quantized
    if device == "auto":
        options["device_map"] = "auto"
    elif quantized is not None:  # such weights cannot be moved afterwards
        options["device_map"] = {"": device}
    with explained(f"model {located.source!r}"):
        model = AutoModelForCausalLM.from_pretrained(
            located.source,
            revision=located.commit,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=located.commit is None,
            **options,
        )
    if quantized is None and getattr(model.config, "quantization_config", None) is not None:
        raise ModelError(
            f"model {located.source!r} is stored quantized, but model.quantization is `none`",
            fix="declare the quantization in the card, or use weights that are not quantized",
        )
    if quantized is not None:
        compute_as_declared(model, quantized)
    return (model if "device_map" in options else model.to(device)).eval()


def input_device(model: Any) -> torch.device:
    """Return the device for token ids, also of a model that is spread over several."""
    device: torch.device = model.get_input_embeddings().weight.device
    if device.type != "meta":  # else accelerate keeps them elsewhere until they are used
        return device
    return next((p.device for p in model.parameters() if p.device.type != "meta"), device)


def default_device() -> str:
    """Return the accelerator if there is one, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def check_device(device: str) -> None:
    """Check that tensors can be put on a device; `auto` always can.

    Raises:
        ModelError: there is no such device here.
    """
    import torch

    if device == "auto":
        return
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as problem:
        raise ModelError(
            f"device {device!r} cannot be used: {first_line(problem)}",
            fix="leave --device out, or give cpu",
        ) from problem


def is_out_of_memory(problem: BaseException) -> bool:
    """Return whether an error reports a lack of memory, on whatever device."""
    import torch

    text = str(problem).lower()
    return isinstance(problem, MemoryError | torch.OutOfMemoryError) or any(
        words in text for words in ("out of memory", "not enough memory", "can't allocate memory")
    )


def free_memory(*, idle: bool = False) -> None:
    """Free the device memory of models that are no longer used.

    Args:
        idle: No model is loaded. The half a million objects that are alive then belong to
            libraries, and later collections of this process skip them.
    """
    import torch

    gc.collect()
    if idle:
        gc.freeze()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def context_length(model: Any) -> int | None:
    """Return the longest sequence a model takes, in tokens, if its configuration says."""
    for name in ("max_position_embeddings", "n_positions", "max_seq_len"):
        value = getattr(model.config, name, None)
        if isinstance(value, int):
            return value
    return None
