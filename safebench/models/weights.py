"""Fine-tuned weights: found where a card names them, digested, and put into a base model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safebench.card.base import require
from safebench.card.model import Weights
from safebench.errors import ModelError
from safebench.files import sha256_of, sha256_of_folder
from safebench.models.loading import ADAPTER_CONFIG, ADAPTER_WEIGHTS, COMMIT
from safebench.models.quiet import explained, preserved_random_state

_WHOLE = "model.safetensors"


def weights_file(folder: Path) -> Path:
    """Return the safetensors file of a checkpoint: an adapter's, or a whole model's."""
    adapter = folder / ADAPTER_WEIGHTS
    return adapter if adapter.is_file() else folder / _WHOLE


def weights_sha256(folder: Path) -> str:
    """Return the digest that a card gives for weights.

    It is the digest of the one safetensors file; for several files, the digest of the lines
    `DIGEST  NAME`, one per `*.safetensors` file, sorted by name.

    Raises:
        ModelError: there are no safetensors.
    """
    one = weights_file(folder)
    if one.is_file():
        return sha256_of(one)
    shards = tuple(sorted(p.name for p in folder.glob("*.safetensors")))
    if not shards or not (folder / f"{_WHOLE}.index.json").is_file():
        raise ModelError(
            f"{folder}: no {ADAPTER_WEIGHTS}, {_WHOLE} or {_WHOLE}.index.json with its files",
            fix="give the folder that save_pretrained wrote, in safetensors",
        )
    return sha256_of_folder(folder, shards)


def card_weights(entry: Weights, folder: Path) -> Path:
    """Return the folder of weights that a card names; its relative paths start at `folder`.

    Raises:
        ModelError: they are not there, or their digest is not the card's.
    """
    what = f"weights of training seed {entry.training_seed}, checkpoint {entry.checkpoint}"
    path = require(entry.path, "model.weights.path")
    found = _on_hub(entry, what) if path is None else folder / path
    if not found.is_dir():
        raise ModelError(
            f"{what}: {found}: no such folder", fix="give `path` relative to the card, or a Hub id"
        )
    if (
        require(entry.form, "model.weights.form") == "adapter"
        and weights_file(found).name == _WHOLE
    ):
        raise ModelError(
            f"{what}: {found} holds no {ADAPTER_WEIGHTS}, but form is `adapter`",
            fix="set form: full or merged, or give the adapter's folder",
        )
    digest, declared = weights_sha256(found), require(entry.sha256, "model.weights.sha256")
    if digest != declared:
        raise ModelError(
            f"{what}: {found} has digest {digest}, but the card says {declared}",
            fix="use the files that the card was made with, or write a new card",
        )
    return found


def _on_hub(entry: Weights, what: str) -> Path:
    from huggingface_hub import snapshot_download

    name, revision = require(entry.id, "model.weights.id"), entry.revision
    if name is None:
        raise ModelError(
            f"{what}: neither path nor id",
            fix="give `path`, or `id` with `revision`",
        )
    if not isinstance(revision, str) or not COMMIT.fullmatch(revision):
        raise ModelError(
            f"{what}: {name!r} has no revision that is a 40-digit commit",
            fix="pin the commit: a branch or tag can move under the reader",
        )
    with explained(f"{what} ({name!r})"):
        return Path(
            snapshot_download(name, revision=revision, allow_patterns=["*.safetensors", "*.json"])
        )


_CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")


@contextmanager
def with_adapter(base: Any, folder: Path) -> Iterator[Any]:
    """Put an adapter into the base model for the duration of the block.

    The base is restored exactly: its own modules are put back, and trained biases undone.

    Raises:
        ModelError: the folder holds no safetensors adapter, or it does not fit.
    """
    import torch

    from safebench.models.quantized import without_bitsandbytes

    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise ModelError(
            f"{folder}: no {ADAPTER_WEIGHTS}", fix="adapters are read from safetensors only"
        )
    config = _config(folder)
    if config.get("use_dora") and getattr(base, "is_loaded_in_8bit", False):
        raise ModelError(
            f"{folder}: a DoRA adapter needs the base weights back, which int8 does not give",
            fix="set model.quantization to nf4, fp4 or none",
        )
    modules = [(module, dict(module._modules)) for module in base.modules()]
    trained_biases = config.get("bias", "none") != "none"
    biases = [
        (parameter, parameter.detach().clone())
        for name, parameter in base.named_parameters()
        if trained_biases and name.endswith("bias")
    ]
    try:
        # peft draws initial weights before it puts the file's in their place.
        with explained(f"adapter {folder}"), preserved_random_state(), without_bitsandbytes():
            from peft import PeftModel

            tuned = PeftModel.from_pretrained(base, folder, is_trainable=False)
            _check_all_used(folder, tuned)
        yield tuned.eval()
    finally:
        for module, children in modules:
            module._modules.clear()
            module._modules.update(children)
        with torch.no_grad():
            for parameter, before in biases:
                parameter.copy_(before)
        if hasattr(base, "peft_config"):
            del base.peft_config


def _config(folder: Path) -> dict[str, Any]:
    """Return an adapter's configuration; refuse kinds that would change the base for good."""
    path = folder / ADAPTER_CONFIG
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as problem:
        raise ModelError(
            f"{path}: missing or not JSON", fix="give the folder that peft saved"
        ) from problem
    kind = config.get("peft_type") if isinstance(config, dict) else None
    if kind != "LORA":
        raise ModelError(
            f"{path}: peft_type is {kind!r}; LORA adapters are loaded",
            fix="merge the adapter into its base and give the weights as `form: full`",
        )
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(_CHANGES_BASE):
        raise ModelError(
            f"{path}: init_lora_weights is {start!r}, which changes the base model's own weights",
            fix="save it with path_initial_model_for_weight_conversion, as a plain LoRA adapter",
        )
    if config.get("layer_replication"):
        raise ModelError(
            f"{path}: layer_replication is given, which changes the base model's own layers",
            fix="merge the adapter into its base and give the weights as `form: full`",
        )
    found: dict[str, Any] = config
    return found


def _check_all_used(folder: Path, tuned: Any) -> None:
    """Check that every adapter tensor of the file is in the model: peft skips others in silence."""
    from safetensors import safe_open

    with safe_open(folder / ADAPTER_WEIGHTS, framework="pt") as file:
        stored = sum("lora_" in name for name in file.keys())  # noqa: SIM118  # no mapping
    placed = sum("lora_" in name for name, _ in tuned.named_parameters())
    if stored != placed:
        raise ModelError(
            f"adapter {folder}: {stored} tensors in the file, {placed} in the model",
            fix="use the base model that it was trained on",
        )
