"""The same text alone, in any batch, in any order; statuses; refusals to load what is unsafe."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from safebench.errors import ModelError
from safebench.models.loading import load_base, load_tokenizer, locate
from safebench.models.quiet import preserved_random_state
from safebench.models.sampling import Stream
from safebench.models.transformers_engine import SafebenchLM
from safebench.models.weights import with_adapter
from tests.small_models import save_llama

SETTINGS: dict[str, Any] = {"do_sample": True, "temperature": 1.0, "max_gen_toks": 12, "until": []}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


def requests(count: int, **changes: Any) -> list[Any]:
    settings = {**SETTINGS, **changes}
    return [
        SimpleNamespace(
            args=(f"how do i repair a fence {'very ' * (i % 5)}{i}", settings),
            doc={"prompt_id": str(i)},
            task_name="t",
        )
        for i in range(count)
    ]


def model(folder: Path, batch: int, dtype: str = "float32") -> SafebenchLM:
    located = locate(str(folder), None, folder)
    lm = SafebenchLM(load_base(located, dtype, "cpu"), load_tokenizer(located), batch)
    lm.stream = Stream(3, "base", None, None, "t10")
    return lm


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_text_does_not_depend_on_batch_or_order(folder: Path, dtype: str) -> None:
    asked = requests(60)
    texts = {
        r.doc["prompt_id"]: t
        for r, t in zip(asked, model(folder, 60, dtype).generate_until(asked), strict=True)
    }
    assert len(set(texts.values())) > 50
    for batch, seed in ((1, 0), (7, 1), (64, 2)):
        order = asked.copy()
        random.Random(seed).shuffle(order)
        again = model(folder, batch, dtype).generate_until(order)
        same = [texts[r.doc["prompt_id"]] == t for r, t in zip(order, again, strict=True)]
        assert np.mean(same) >= (1.0 if dtype == "float64" else 0.995)


def test_repeats_differ_and_are_counted_in_order(folder: Path) -> None:
    one = requests(1)
    first, second = model(folder, 8).generate_until(one * 2)
    assert first != second
    assert model(folder, 1).generate_until(one) == [first]


def test_greedy_needs_no_noise(folder: Path) -> None:
    lm = model(folder, 4)
    greedy = requests(4, do_sample=False)
    first = lm.generate_until(greedy)
    lm.stream = Stream(99, "base", None, None, "other")
    assert lm.generate_until(greedy) == first


def test_a_response_cut_at_the_limit_is_truncated(folder: Path) -> None:
    lm = model(folder, 4)
    lm.generate_until(requests(20, max_gen_toks=1))
    assert {g.status for g in lm.generated} <= {"ok", "truncated"}
    assert all(g.new_tokens == 1 for g in lm.generated if g.status == "truncated")
    assert any(g.status == "truncated" for g in lm.generated)


def test_stop_strings_end_a_response(folder: Path) -> None:
    lm = model(folder, 4)
    text = lm.generate_until(requests(1, max_gen_toks=30))[0]
    mark = text[len(text) // 2]
    cut = lm.generate_until(requests(1, max_gen_toks=30, until=[mark]))[0]
    assert cut == text[: text.index(mark)].strip()
    assert lm.generated[0].status == "ok"


def test_a_prompt_too_long_is_explained(folder: Path) -> None:
    with pytest.raises(ModelError, match="exceed the model's 512 positions"):
        model(folder, 4).generate_until(requests(1, max_gen_toks=505))


def test_global_random_state_is_left_alone() -> None:
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state())
    with preserved_random_state():
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)
    after = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state())
    assert before[0] == after[0]
    assert before[1] == after[1]
    assert torch.equal(before[2], after[2])


def test_changed_weights_are_not_the_pinned_ones(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    pinned = locate("copy", None, tmp_path).revision
    config = copy / "config.json"
    config.write_text(config.read_text().replace("32", "33", 1))
    with pytest.raises(ModelError, match="but the card says"):
        locate("copy", pinned, tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "no such folder"),
        ("./absent", "no such folder"),
        ("builtin:nobody", "no built-in model"),
        ("owner/name", "not a 40-digit commit"),
    ],
)
def test_a_model_that_is_not_there(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        locate(name, "main" if "/" in name else None, tmp_path)


def test_pickled_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "pickled"
    shutil.copytree(folder, copy)
    (copy / "model.safetensors").unlink()
    torch.save({}, copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_base(locate("pickled", None, tmp_path), "float32", "cpu")


def test_an_adapter_without_safetensors_is_refused(folder: Path, tmp_path: Path) -> None:
    base = load_base(locate(str(folder), None, folder), "float32", "cpu")
    torch.save({}, tmp_path / "adapter_model.bin")
    with (
        pytest.raises(ModelError, match=r"no adapter_model\.safetensors"),
        with_adapter(base, tmp_path),
    ):
        pass


def test_lm_evals_own_requests_still_work(folder: Path) -> None:
    lm = model(folder, 4, "float64")
    asked = [
        SimpleNamespace(args=("how do i", text), arguments=("how do i", text))
        for text in (" repair", " need")
    ]
    found = lm.loglikelihood(asked, disable_tqdm=True)
    for request, (share, greedy) in zip(asked, found, strict=True):
        context, rest = (lm.tok_encode(text) for text in request.args)
        with torch.inference_mode():
            logits = lm.model(torch.tensor([context + rest])).logits[0].double()
        places = torch.arange(len(context) - 1, len(context) + len(rest) - 1)
        said = logits[places].log_softmax(-1)[torch.arange(len(rest)), torch.tensor(rest)].sum()
        assert share == pytest.approx(said.item(), rel=1e-5)
        assert not greedy
