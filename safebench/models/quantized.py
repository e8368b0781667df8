"""Quantization of base weights while they are loaded."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from transformers import BitsAndBytesConfig

from safebench.errors import MissingDependencyError, ModelError


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
