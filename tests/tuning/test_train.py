"""What a recipe says is what is trained: the same recipe gives the same weights, another others."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from safebench.card.card import Card
from safebench.models.loading import load_base, load_tokenizer, locate
from safebench.models.weights import weights_file, with_adapter
from safebench.tuning.interface import Job
from safebench.tuning.peft_trainer import PeftTrainer
from tests.plans import plan_data
from tests.small_models import save_gpt2, save_llama

pytestmark = pytest.mark.slow
ALL = ("adapter_init", "data_order", "dropout")
STEPS = 6  # 24 examples, 8 a step, twice
PROMPT = torch.tensor([[5, 6, 7, 8, 9]])

Tune = Callable[..., Path]


@pytest.fixture(scope="module")
def tune(tmp_path_factory: pytest.TempPathFactory) -> Tune:
    """Fine-tune the small model by a recipe with something changed; return its last weights.

    What was asked for before is not trained again; `tune.anew` trains it again.
    """
    model = save_llama(tmp_path_factory.mktemp("llama"))
    done: dict[str, Path] = {}

    def tuned(**what: Any) -> Path:
        key = repr(sorted(what.items()))
        if key not in done:
            done[key] = anew(**what)
        return done[key]

    def anew(
        seed: int = 1,
        controls: Sequence[str] = ALL,
        fixed: dict[str, int] | None = None,
        lora: dict[str, Any] | None = None,
        base: Path = model,
        **changes: Any,
    ) -> Path:
        recipe = {**plan_data()["hyperparameters"], **changes}
        recipe["lora"] = {**recipe["lora"], **(lora or {})}
        recipe = {name: value for name, value in recipe.items() if value is not None}
        if recipe["method"] == "full":
            del recipe["lora"]
        card = Card.model_validate_json(json.dumps(plan_data(hyperparameters=recipe)))
        found = locate(str(base), None, Path("/"))
        job = Job(
            base=found,
            recipe=card.hyperparameters,  # type: ignore[arg-type]
            rows=[
                {"prompt": f"how do i repair a fence {i}?", "completion": "first gather what"}
                for i in range(24)
            ],
            tokenizer=load_tokenizer(found),
            seed=seed,
            controls=controls,
            fixed=fixed or {},
            base_name="model",
            out=tmp_path_factory.mktemp("out"),
        )
        return PeftTrainer().train(job)[2]

    tuned.anew = anew  # type: ignore[attr-defined]
    return tuned


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(weights_file(folder))
    return found


def same(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_same_recipe_and_seed_give_the_same_weights(tune: Tune) -> None:
    assert same(tune(), tune.anew())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "dora"},
        {"lora": {"rslora": True}},
        {"optimizer": "sgd"},
        {"adam_beta1": 0.5},
        {"adam_epsilon": 0.1},
        {"max_grad_norm": 0.001},
        {"loss_on": "all"},
        {"batch_size": {"per_device": 4, "gradient_accumulation": 3}},
        {"max_length": 12},
        {"packing": True},
    ],
    ids=str,
)
def test_another_recipe_gives_other_weights(tune: Tune, changes: dict[str, Any]) -> None:
    assert not same(tune(), tune(**changes))


def test_dora_has_magnitudes_and_rank_stabilisation_another_scale(tune: Tune) -> None:
    assert any("magnitude" in name for name in weights(tune(method="dora")))
    assert not any("magnitude" in name for name in weights(tune()))
    config = json.loads((tune(lora={"rslora": True}) / "adapter_config.json").read_text())
    assert config["use_rslora"] is True


# --- seeds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_what_the_training_seed_sets_alone_differs_by_seed(tune: Tune, name: str) -> None:
    assert not same(tune(controls=[name]), tune(seed=2, controls=[name]))


def test_what_the_training_seed_does_not_set_is_the_same_in_every_run(tune: Tune) -> None:
    assert same(tune(controls=[]), tune(seed=2, controls=[]))


@pytest.mark.parametrize("name", ALL)
def test_a_fixed_seed_is_used_for_what_the_training_seed_does_not_set(
    tune: Tune, name: str
) -> None:
    others = [other for other in ALL if other != name]
    assert not same(tune(controls=others), tune(controls=others, fixed={name: 5}))
    assert same(tune(seed=5), tune(controls=others, seed=5, fixed={name: 5}))
    assert same(tune(), tune(fixed={name: 5}))


# --- warm-up -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ratio", "steps"), [(0.0, 0), (0.5, 3), (1.0, STEPS)])
def test_a_warm_up_may_be_given_as_a_share_of_all_steps(
    tune: Tune, ratio: float, steps: int
) -> None:
    share = tune(warmup_steps=None, warmup_ratio=ratio)
    assert same(share, tune(warmup_steps=steps))
    assert same(share, tune(warmup_steps=1)) is False


# --- putting weights in place --------------------------------------------------------------------


@pytest.mark.parametrize("bias", ["none", "lora_only", "all"])
def test_an_adapter_leaves_nothing_behind_in_the_base_model(
    tune: Tune, tmp_path: Path, bias: str
) -> None:
    model = save_gpt2(tmp_path)  # it has biases
    adapter = tune(base=model, lora={"bias": bias})
    assert any(name.endswith("bias") for name in weights(adapter)) is (bias != "none")
    base = load_base(locate(str(model), None, Path("/")), "float32", "cpu")
    with torch.no_grad():
        before = base(PROMPT).logits
        with with_adapter(base, adapter) as tuned:
            changed = tuned(PROMPT).logits
        assert not torch.equal(changed, before)
        assert torch.equal(base(PROMPT).logits, before)
