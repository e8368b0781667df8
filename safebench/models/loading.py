"""Finding and loading weights: built in, a local folder, or a pinned Hub revision.

Safetensors only, no remote code, no pickles.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from safebench.errors import ModelError
from safebench.files import sha256_of_folder
from safebench.resources import builtin_model_dir

COMMIT = re.compile(r"[0-9a-f]{40}")
ADAPTER_WEIGHTS = "adapter_model.safetensors"


# peft 0.21 asks transformers 5.23 for a property under its old name.
PEFT_NOTE = "`is_gradient_checkpointing` is deprecated"


@dataclass(frozen=True)
class Located:
    """A base model that was found: where it lies and what pins it."""

    source: str
    """A folder, or a Hub id."""
    commit: str | None
    """Hub commit; None for a folder."""
    revision: str
    """What the card records: the commit, or `sha256:` and the folder's digest."""


def locate(model_id: str, revision: str | None, beside: Path) -> Located:
    """Find a base model and see that it is the one the card pins.

    Raises:
        ModelError: no such model, or its bytes are not those of the revision.
    """
    folder = _folder(model_id, beside)
    if folder is None:
        return _locate_hub(model_id, revision)
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
    wanted = re.compile(
        r"(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|vocab"
        r"|added_tokens|model\.safetensors\.index)\.json|merges\.txt|chat_template\.jinja"
        r"|tokenizer\.model|.*\.safetensors"
    )
    return tuple(p.name for p in folder.iterdir() if p.is_file() and wanted.fullmatch(p.name))


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


def _locate_hub(model_id: str, revision: str | None) -> Located:
    if revision is None or not COMMIT.fullmatch(revision):
        raise ModelError(
            f"model {model_id!r}: revision {revision!r} is not a 40-digit commit",
            fix="pin the commit: a branch or tag can move under the reader",
        )
    return Located(model_id, revision, revision)


def load_tokenizer(located: Located) -> Any:
    """Load a tokenizer that pads on the left.

    Raises:
        ModelError: it cannot be loaded.
    """
    with _explained(f"tokenizer of {located.source!r}"):
        tokenizer = AutoTokenizer.from_pretrained(
            located.source, revision=located.commit, trust_remote_code=False
        )
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token is None:
            raise ModelError(f"tokenizer of {located.source!r} has neither pad nor eos token")
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return tokenizer


def load_base(located: Located, dtype: str, device: str) -> Any:
    """Load a causal language model's weights, ready to generate.

    Raises:
        ModelError: the weights cannot be loaded, are not safetensors, or are no causal model.
    """
    with _explained(f"model {located.source!r}"):
        model = AutoModelForCausalLM.from_pretrained(
            located.source,
            revision=located.commit,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=located.commit is None,
        )
    return model.to(device).eval()


@contextmanager
def with_adapter(base: Any, folder: Path) -> Iterator[Any]:
    """Put an adapter into the base model for the time of the block.

    Raises:
        ModelError: the folder holds no safetensors adapter, or it does not fit.
    """
    from peft import PeftModel

    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise ModelError(
            f"{folder}: no {ADAPTER_WEIGHTS}", fix="adapters are read from safetensors only"
        )
    before = {name: bias.detach().clone() for name, bias in _biases(base)}
    with _explained(f"adapter {folder}"):
        tuned = PeftModel.from_pretrained(base, folder, is_trainable=False)
    try:
        yield tuned.eval()
    finally:
        tuned.unload()
        with torch.no_grad():  # an adapter that trained biases has put its own into the base
            for name, bias in _biases(base):
                bias.copy_(before[name])
        if hasattr(base, "peft_config"):
            del base.peft_config


def _biases(model: Any) -> Iterator[tuple[str, torch.nn.Parameter]]:
    return ((name, value) for name, value in model.named_parameters() if name.endswith("bias"))


def default_device() -> str:
    """Return the accelerator if there is one, else `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def see_device(device: str) -> None:
    """See that tensors can be put on a device.

    Raises:
        ModelError: there is no such device here.
    """
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as problem:
        first = str(problem).strip().splitlines()[0]
        raise ModelError(
            f"device {device!r} cannot be used: {first}", fix="leave --device out, or give cpu"
        ) from problem


def context_length(model: Any) -> int | None:
    """Return the longest sequence a model takes, in tokens, if its configuration says."""
    for name in ("max_position_embeddings", "n_positions", "max_seq_len"):
        value = getattr(model.config, name, None)
        if isinstance(value, int):
            return value
    return None


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn what transformers raises into one message."""
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=PEFT_NOTE, category=FutureWarning)
            yield
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, json.JSONDecodeError) as e:
        first = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        raise ModelError(f"{what} cannot be loaded: {first}") from e
    finally:
        transformers.logging.set_verbosity(verbosity)
