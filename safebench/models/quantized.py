"""Quantization of base weights while they are loaded, and the type that they are computed in."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import BitsAndBytesConfig

from safebench.errors import MissingDependencyError, ModelError

_FORMAT = ("bnb_4bit_quant_type", "bnb_4bit_use_double_quant")


def quantization_config(quantization: str, compute_dtype: str, *, double: bool = False) -> Any:
    """Return how transformers is to quantize weights; None for `none`.

    Raises:
        ModelError: a format that weights cannot be quantized to on loading.
        MissingDependencyError: bitsandbytes is absent.
    """
    if quantization == "none":
        return None
    if quantization not in ("nf4", "fp4", "int8"):
        raise ModelError(
            f"quantization `{quantization}` cannot be made on loading; nf4, fp4 and int8 can",
            fix="use one of them, or measure the model behind a server that has it",
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingDependencyError(
            f"quantization `{quantization}` needs bitsandbytes, which is not installed",
            fix="pip install 'safebench[qlora]'",
        )
    if quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quantization,
        bnb_4bit_use_double_quant=double,
        bnb_4bit_compute_dtype=getattr(torch, compute_dtype),
    )


@contextmanager
def without_bitsandbytes() -> Iterator[None]:
    """Make peft do without bitsandbytes during the block, unless it was imported before.

    peft would import it, if installed, for itself and for every layer that gets an adapter, which
    is slow. Quantized weights need it and have it imported by now: then nothing is done.
    """
    if "bitsandbytes" in sys.modules:
        yield
        return
    sys.modules["bitsandbytes"] = None  # type: ignore[assignment]  # Python's word for "not there"
    _ask_again()
    try:
        yield
    finally:
        sys.modules.pop("bitsandbytes", None)
        _ask_again()


def _ask_again() -> None:
    """Clear peft's cached answer to whether bitsandbytes is installed."""
    checks = sys.modules.get("peft.import_utils")
    if checks is not None:
        checks.is_bnb_available.cache_clear()
        checks.is_bnb_4bit_available.cache_clear()


def compute_as_declared(model: Any, declared: BitsAndBytesConfig) -> None:
    """Check that a model is quantized as declared, and make 4-bit layers compute in that type.

    Raises:
        ModelError: it was stored in another format, or none of its layers can be quantized.
    """
    from bitsandbytes.nn.modules import Linear4bit, Linear8bitLt

    found = model.config.quantization_config  # that of the files, where they are quantized already
    for name in ("load_in_8bit", *(_FORMAT if declared.load_in_4bit else ())):
        if getattr(found, name) != getattr(declared, name):
            raise ModelError(
                f"the weights are stored quantized with {name} {getattr(found, name)}, but the "
                f"card asks for {getattr(declared, name)}",
                fix="declare that quantization in the card, or use weights that are not quantized",
            )
    layers = [m for m in model.modules() if isinstance(m, Linear4bit | Linear8bitLt)]
    if not layers:
        raise ModelError(
            f"no layer of a {type(model).__name__} can be quantized",
            fix="set quantization to none",
        )
    for layer in layers:
        if isinstance(layer, Linear4bit):
            layer.compute_dtype, layer.compute_type_is_set = declared.bnb_4bit_compute_dtype, True
            # On such a processor bitsandbytes 0.50 packs weights anew at the first forward pass:
            # it then computes in bfloat16 whatever was asked, and fails where in_features is no
            # multiple of 64, or out_features none of 32.
            layer.support_avx512bf16_for_cpu = False
