"""Putting an adapter into a base model and taking it out again, leaving nothing behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from safebench.errors import ModelError
from safebench.models.loading import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from safebench.models.quantized import without_bitsandbytes
from safebench.models.quiet import explained, preserved_random_state

_CHANGES_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")


@contextmanager
def with_adapter(base: Any, folder: Path) -> Iterator[Any]:
    """Put an adapter into the base model for the duration of the block.

    The base is restored exactly: its own modules are put back, and trained biases undone.

    Raises:
        ModelError: the folder holds no safetensors adapter, or it does not fit.
    """
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
    with safe_open(folder / ADAPTER_WEIGHTS, framework="pt") as file:
        stored = sum("lora_" in name for name in file.keys())  # noqa: SIM118  # no mapping
    placed = sum("lora_" in name for name, _ in tuned.named_parameters())
    if stored != placed:
        raise ModelError(
            f"adapter {folder}: {stored} tensors in the file, {placed} in the model",
            fix="use the base model that it was trained on",
        )
