"""What quantized layers compute: the type that is stated, whatever the processor would rather."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bitsandbytes as bnb
import pytest
import torch
from bitsandbytes import functional

from safebench.errors import ModelError
from safebench.models.loading import Located, load_base
from safebench.models.quiet import quiet
from safebench.models.weights import with_adapter
from tests.models.test_loading import save_adapter
from tests.small_models import save_gpt2, save_llama

pytestmark = pytest.mark.slow
Linear4bit: Any = bnb.nn.Linear4bit
WIDTHS = {(32, 32), (32, 64), (64, 32)}
"""in_features and out_features of the layers; those of 32 cannot be packed, those of 64 can."""


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def _avx512_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor for which bitsandbytes packs 4-bit weights, and its kernel, in bfloat16."""

    def kernel(x: torch.Tensor, packed: torch.Tensor, out: Any, state: Any) -> torch.Tensor:
        unpack = functional._convert_weight_packed_for_cpu_inverse
        weight = functional.dequantize_4bit(*unpack(packed.data, copy.copy(state)))
        return (x.bfloat16() @ weight.bfloat16().T).to(x.dtype)

    monkeypatch.setattr(bnb.nn.modules, "has_avx512bf16", lambda: True)
    monkeypatch.setattr(functional, "gemv_4bit", kernel)


def load(folder: Path, dtype: str = "float32", **how: Any) -> Any:
    return load_base(Located(str(folder), None, ""), dtype, "cpu", **how)


def layers(model: Any) -> Iterator[Any]:
    return (layer for layer in model.modules() if isinstance(layer, Linear4bit))


def product(layer: Any, x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """x times the layer's weights, both in one type."""
    state = copy.copy(layer.weight.quant_state)
    state.dtype = dtype
    weight = functional.dequantize_4bit(layer.weight.data, state)
    return (x.to(dtype) @ weight.T).to(x.dtype)


@pytest.mark.usefixtures("_avx512_bf16")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["nf4", "fp4"])
@pytest.mark.parametrize("double", [False, True])
def test_a_4_bit_layer_computes_in_the_type_that_is_stated(
    llama: Path, kind: str, dtype: str, double: bool
) -> None:
    model = load(llama, quantization=kind, compute_dtype=dtype, double=double)
    stated, other = torch.float32, torch.bfloat16
    if dtype == "bfloat16":
        stated, other = other, stated
    widths = set()
    for layer in layers(model):
        x = torch.randn(3, layer.in_features, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            found = layer(x)
        torch.testing.assert_close(found, product(layer, x, stated), rtol=1e-6, atol=1e-7)
        assert (found - product(layer, x, other)).abs().max() > 1e-4 * found.abs().max()
        widths.add((layer.in_features, layer.out_features))
    assert widths == WIDTHS


@pytest.mark.usefixtures("_avx512_bf16")
@pytest.mark.parametrize("width", [32, 64])
def test_the_processor_that_is_simulated_does_what_it_is_said_to(width: int) -> None:
    """Of bitsandbytes alone: it fails, or computes in bfloat16 where float32 was asked for."""
    layer = Linear4bit(width, 32, bias=False, compute_dtype=torch.float32, quant_type="nf4")
    x = torch.randn(3, width)
    with torch.no_grad():
        layer = layer.to("cpu").eval()
        exact = product(layer, x, torch.float32)
        if width == 32:
            with pytest.raises(RuntimeError, match=r"shape '\[32, 0\]' is invalid for input of"):
                layer(x)
            return
        found = layer(x)
    assert torch.equal(found, found.bfloat16().float())
    assert (found - exact).abs().max() > 1e-4 * exact.abs().max()


@pytest.mark.usefixtures("_avx512_bf16")
def test_an_adapter_on_4_bit_weights_changes_no_type(llama: Path, tmp_path: Path) -> None:
    model = load(llama, quantization="nf4")
    with quiet():
        saved = save_adapter(llama, tmp_path)
    with with_adapter(model, saved) as tuned:
        found = list(layers(tuned))
        for layer in found:
            x = torch.ones(1, layer.in_features)
            with torch.no_grad():
                assert torch.equal(layer(x), product(layer, x, torch.float32))
    assert len(found) == 2 * 7


def test_weights_that_are_stored_quantized_are_what_the_card_says(
    llama: Path, tmp_path: Path
) -> None:
    load(llama, quantization="nf4", compute_dtype="bfloat16").save_pretrained(tmp_path)
    model = load(tmp_path, quantization="nf4", compute_dtype="float32")
    assert {layer.compute_dtype for layer in layers(model)} == {torch.float32}
    for other, said in (
        ({"quantization": "fp4"}, "with bnb_4bit_quant_type nf4, but the card asks for fp4"),
        ({"quantization": "int8"}, "with load_in_8bit False, but the card asks for True"),
        ({"quantization": "nf4", "double": True}, "use_double_quant False, but the card asks"),
    ):
        with pytest.raises(ModelError, match=said):
            load(tmp_path, **other)


def test_a_model_without_a_layer_to_quantize_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_gpt2(tmp_path)
    monkeypatch.setattr(
        "transformers.integrations.replace_with_bnb_linear", lambda model, **_: model
    )
    with pytest.raises(ModelError, match="no layer of a GPT2LMHeadModel can be quantized"):
        load(model, quantization="int8")
