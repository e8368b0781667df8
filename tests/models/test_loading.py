"""Weights go in and out: quantized, several adapters on one base, given ones by their digest."""

from __future__ import annotations

import gc
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from peft import LoraConfig, get_peft_model

from safebench.card.model import Weights
from safebench.errors import MissingDependencyError, ModelError
from safebench.files import sha256_of, sha256_of_folder
from safebench.models.loading import (
    check_device,
    free_memory,
    input_device,
    load_base,
    locate,
)
from safebench.models.quiet import quiet
from safebench.models.weights import card_weights, weights_sha256, with_adapter
from tests.small_models import save_gpt2, save_llama

pytestmark = pytest.mark.slow
PROMPT = torch.tensor([[5, 6, 7, 8, 9]])
COMMIT = "a" * 40


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with quiet():
        yield


def load(folder: Path, **how: Any) -> Any:
    return load_base(locate(str(folder), None, Path("/")), "float32", "cpu", **how)


def save_adapter(model: Path, folder: Path, seed: int = 1, **settings: Any) -> Path:
    """Save an adapter whose every weight is random, so that it changes what is generated."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = {"r": 4, "target_modules": "all-linear", "task_type": "CAUSAL_LM", **settings}
        tuned = get_peft_model(load(model), LoraConfig(**config))
        with torch.no_grad():
            for value in tuned.parameters():
                if value.requires_grad:
                    value.add_(torch.randn_like(value) * 0.1)
        tuned.save_pretrained(folder, save_embedding_layers=False)
    return folder


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(PROMPT).logits
    return found


# --- adapters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "quantization"),
    [
        ({}, "none"),
        ({}, "nf4"),
        ({}, "int8"),
        ({"use_rslora": True}, "none"),
        ({"use_dora": True}, "none"),
        ({"use_dora": True}, "nf4"),
        ({"bias": "all"}, "none"),
        ({"bias": "all"}, "int8"),
        ({"bias": "lora_only"}, "none"),
        ({"modules_to_save": ["lm_head"]}, "none"),
        ({"modules_to_save": ["lm_head"]}, "nf4"),
    ],
    ids=str,
)
def test_an_adapter_leaves_nothing_behind(
    settings: dict[str, Any], quantization: str, tmp_path: Path
) -> None:
    # It has biases, and its embeddings are its head; a head of its own can be saved whole.
    make = save_llama if "modules_to_save" in settings else save_gpt2
    model = make(tmp_path / "model")
    saved = [save_adapter(model, tmp_path / str(seed), seed, **settings) for seed in (1, 2)]
    base = load(model, quantization=quantization)
    names = [name for name, _ in base.named_modules()]
    state = torch.random.get_rng_state()
    before = logits(base)
    found = []
    for folder in (*saved, saved[0]):
        with with_adapter(base, folder) as tuned:
            found.append(logits(tuned))
        assert torch.equal(logits(base), before)
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[0], before)
    assert [name for name, _ in base.named_modules()] == names
    assert not hasattr(base, "peft_config")
    assert torch.equal(torch.random.get_rng_state(), state)


def test_dora_on_int8_is_refused(llama: Path, tmp_path: Path) -> None:
    folder = save_adapter(llama, tmp_path, use_dora=True)
    base = load(llama, quantization="int8")
    with pytest.raises(ModelError, match="DoRA adapter needs"), with_adapter(base, folder):
        pass


def test_an_adapter_is_the_same_as_when_it_is_loaded_alone(llama: Path, tmp_path: Path) -> None:
    one, other = (save_adapter(llama, tmp_path / str(seed), seed) for seed in (1, 2))
    base = load(llama)
    with with_adapter(base, one), pytest.raises(ZeroDivisionError):
        raise ZeroDivisionError
    with with_adapter(base, other) as tuned:
        after_another = logits(tuned)
    with with_adapter(load(llama), other) as tuned:
        assert torch.equal(logits(tuned), after_another)


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_an_adapter_made_elsewhere_loads(llama: Path, tmp_path: Path) -> None:
    folder = save_adapter(llama, tmp_path / "adapter")
    base = load(llama)
    with with_adapter(base, folder) as tuned:
        expected = logits(tuned)
    edit(folder, base_model_name_or_path="/home/somebody/else", revision="main")
    with with_adapter(base, folder) as tuned:
        assert torch.equal(logits(tuned), expected)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"peft_type": "IA3"}, "peft_type is 'IA3'; LORA adapters are loaded"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights is 'pissa', which changes the base"),
        ({"layer_replication": [[0, 2], [1, 2]]}, "layer_replication is given, which changes"),
        ({"target_modules": ["nowhere"]}, "cannot be loaded: Target modules"),
        ({"r": 8}, "cannot be loaded: Error"),
        ({"modules_to_save": ["lm_head"]}, "cannot be loaded: .*lm_head"),
        ({"use_dora": True}, "cannot be loaded: .*magnitude"),
        ({"target_modules": ["q_proj"]}, "28 tensors in the file, 4 in the model"),
    ],
    ids=str,
)
def test_an_adapter_that_does_not_fit_is_one_message(
    changes: dict[str, Any], said: str, llama: Path, tmp_path: Path
) -> None:
    folder = save_adapter(llama, tmp_path / "adapter")
    edit(folder, **changes)
    base = load(llama)
    before = logits(base)
    with pytest.raises(ModelError, match=said), with_adapter(base, folder):
        pass
    assert torch.equal(logits(base), before)


def test_what_is_no_adapter_is_said(llama: Path, tmp_path: Path) -> None:
    base = load(llama)
    with (
        pytest.raises(ModelError, match="no adapter_model"),
        with_adapter(base, tmp_path),
    ):
        pass
    folder = save_adapter(llama, tmp_path / "adapter")
    (folder / "adapter_config.json").write_text("[" * 100_000)
    with pytest.raises(ModelError, match="missing or not JSON"), with_adapter(base, folder):
        pass
    (folder / "adapter_model.safetensors").write_bytes(b"no safetensors")
    shutil.copy(save_adapter(llama, tmp_path / "b") / "adapter_config.json", folder)
    with pytest.raises(ModelError, match="cannot be loaded"), with_adapter(base, folder):
        pass


# --- the base model ------------------------------------------------------------------------------


@pytest.mark.parametrize("quantization", ["nf4", "fp4", "int8"])
def test_a_quantized_base_is_near_the_other_and_not_it(llama: Path, quantization: str) -> None:
    exact, found = logits(load(llama)), logits(load(llama, quantization=quantization))
    assert not torch.equal(exact, found)
    assert torch.nn.functional.cosine_similarity(exact.flatten(), found.flatten(), 0) > 0.9


@pytest.mark.parametrize("quantization", ["int4", "fp8"])
def test_other_formats_are_refused(llama: Path, quantization: str) -> None:
    with pytest.raises(ModelError, match=f"`{quantization}` cannot be made on loading; nf4, fp4"):
        load(llama, quantization=quantization)


def test_without_bitsandbytes(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(MissingDependencyError, match="needs bitsandbytes") as caught:
        load(llama, quantization="nf4")
    assert caught.value.fix == "pip install 'safebench[qlora]'"


def test_weights_stored_quantized_are_not_taken_for_others(llama: Path, tmp_path: Path) -> None:
    load(llama, quantization="nf4").save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"stored quantized, but model\.quantization is `none`"):
        load(tmp_path)


def test_the_attention_is_the_one_asked_for(llama: Path) -> None:
    for name in ("eager", "sdpa"):
        assert load(llama, attention=name).config._attn_implementation == name
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(llama, attention="nothing")


def test_a_model_may_be_spread_over_what_there_is(llama: Path, tmp_path: Path) -> None:
    spread = load_base(locate(str(llama), None, Path("/")), "float32", "auto")
    folder = save_adapter(llama, tmp_path)
    one = load(llama)
    if not torch.cuda.is_available():
        assert torch.equal(logits(spread), logits(one))
    with with_adapter(spread, folder) as tuned:
        assert input_device(tuned) == input_device(spread)
        assert tuned(PROMPT.to(input_device(tuned))).logits.isfinite().all()
    assert input_device(one) == torch.device("cpu")
    check_device("auto")


# --- given weights -------------------------------------------------------------------------------


def entry(**changes: Any) -> Weights:
    stated = {"training_seed": 1, "checkpoint": 2, "sha256": "0" * 64, **changes}
    return Weights.model_validate_json(json.dumps(stated))


def test_given_weights_are_those_of_the_card(llama: Path, tmp_path: Path) -> None:
    folder = save_adapter(llama, tmp_path / "mine")
    digest = sha256_of(folder / "adapter_model.safetensors")
    assert card_weights(entry(path="mine", sha256=digest), tmp_path) == folder
    whole = entry(path="whole", form="full", sha256=sha256_of(llama / "model.safetensors"))
    shutil.copytree(llama, tmp_path / "whole")
    assert card_weights(whole, tmp_path) == tmp_path / "whole"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"path": "mine"}, "mine has digest [0-9a-f]{64}, but the card says 0{64}"),
        ({"path": "nowhere"}, "nowhere: no such folder"),
        ({"path": "empty"}, "holds no adapter_model.safetensors, but form is `adapter`"),
        ({"path": "empty", "form": "full"}, "no adapter_model.safetensors, model.safetensors or"),
        ({"id": "a/b"}, "'a/b' has no revision that is a 40-digit commit"),
        ({"id": "a/b", "revision": "main"}, "'a/b' has no revision that is a 40-digit commit"),
        ({}, "neither path nor id"),
    ],
    ids=str,
)
def test_given_weights_that_are_not_those_are_said(
    changes: dict[str, Any], said: str, llama: Path, tmp_path: Path
) -> None:
    save_adapter(llama, tmp_path / "mine")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=said) as caught:
        card_weights(entry(**changes), tmp_path)
    assert caught.value.fix


def test_weights_of_the_hub_are_pinned_and_hold_no_pickles(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_adapter(llama, tmp_path / "mine")
    asked: list[Any] = []

    def download(name: str, **how: Any) -> str:
        asked.append((name, how))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    stated = entry(id="a/b", revision=COMMIT, sha256=weights_sha256(folder))
    assert card_weights(stated, Path("/nowhere")) == folder
    patterns = ["*.safetensors", "*.json"]
    assert asked == [("a/b", {"revision": COMMIT, "allow_patterns": patterns})]


def test_weights_in_several_files_have_one_digest(llama: Path, tmp_path: Path) -> None:
    load(llama).save_pretrained(tmp_path, max_shard_size="50KB")
    shards = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert len(shards) > 1
    assert weights_sha256(tmp_path) == sha256_of_folder(tmp_path, tuple(shards))
    stated = entry(path=".", form="full", sha256=weights_sha256(tmp_path))
    assert torch.equal(logits(load(card_weights(stated, tmp_path))), logits(load(llama)))
    (tmp_path / shards[0]).write_bytes((tmp_path / shards[0]).read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="has digest"):
        card_weights(stated, tmp_path)


def test_what_is_alive_between_models_is_looked_through_once() -> None:
    libraries: list[Any] = [[]]
    free_memory()
    assert any(one is libraries for one in gc.get_objects())
    free_memory(idle=True)
    assert not any(one is libraries for one in gc.get_objects())
