"""Every method and setting of a card trains what it says, and fails in one message."""

from __future__ import annotations

import copy
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from safebench.card.card import Card
from safebench.errors import (
    CardError,
    DivergedError,
    MissingDependencyError,
    SafebenchError,
    TuningError,
)
from safebench.models.loading import load_base, load_tokenizer, locate
from safebench.models.quiet import quiet
from safebench.models.weights import weights_file, with_adapter
from safebench.tuning import libraries, peft_trainer
from safebench.tuning.arguments import trainer_arguments
from safebench.tuning.interface import Job
from safebench.tuning.peft_model import Saver, load_for_training, prepare
from safebench.tuning.peft_trainer import PeftTrainer
from tests.plans import plan_data
from tests.small_models import save_llama

pytestmark = pytest.mark.slow
PROMPT = torch.tensor([[5, 6, 7, 8, 9]])
ALL = ("adapter_init", "data_order", "dropout")
NF4 = {"type": "nf4", "compute_dtype": "float32"}
ROWS = [{"prompt": f"how do i repair {i}?", "completion": "first gather"} for i in range(8)]

Tune = Callable[..., dict[int, Path]]


def recipe(**changes: Any) -> Any:
    """A recipe of two steps an epoch, with something changed."""
    what = {
        **plan_data()["hyperparameters"],
        "batch_size": {"per_device": 4},
        "epochs": 1,
        "checkpoints": [1],
        **changes,
    }
    if what["method"] == "full":
        del what["lora"]
    what = {name: value for name, value in what.items() if value is not None}
    return Card.model_validate_json(json.dumps(plan_data(hyperparameters=what))).hyperparameters


def job(model: Path, out: Path, **changes: Any) -> Job:
    """One fine-tuning of the small model, all of it seeded by 1, with something changed."""
    found = locate(str(model), None, Path("/"))
    fields: dict[str, Any] = {
        "base": found,
        "recipe": recipe(),
        "rows": ROWS,
        "tokenizer": load_tokenizer(found),
        "seed": 1,
        "controls": ALL,
        "fixed": {},
        "base_name": "model",
        "out": out,
    }
    return Job(**{**fields, **changes})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def tune(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Tune:
    done: dict[str, dict[int, Path]] = {}

    def tuned(**what: Any) -> dict[int, Path]:
        """Train what was not trained before; with `out` or `anew` in any case."""
        if what.pop("anew", False) or "out" in what:
            return anew(**what)
        key = repr(sorted(what.items()))
        if key not in done:
            done[key] = anew(**what)
        return done[key]

    def anew(out: Path | None = None, seed: int = 1, **what: Any) -> dict[int, Path]:
        out = out or tmp_path_factory.mktemp("out") / "new"
        return PeftTrainer().train(job(model, out, recipe=recipe(**what), seed=seed))

    return tuned


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(weights_file(folder))
    return found


def differing(one: Path, other: Path) -> set[str]:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    return {name for name in a if not torch.equal(a[name], b[name])}


# --- methods -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_qlora_trains_an_adapter_on_quantized_weights(
    tune: Tune, model: Path, kind: str, tmp_path: Path
) -> None:
    how = {"method": "qlora", "quantization": {**NF4, "type": kind}}
    saved = tune(**how)[1]
    assert all("lora_" in name for name in weights(saved))
    assert any(bool(value.any()) for name, value in weights(saved).items() if "lora_B" in name)
    again = tune(**how, anew=True)[1]
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (saved / name).read_bytes() == (again / name).read_bytes()
    assert str(tmp_path.parent) not in (saved / "adapter_config.json").read_text()
    # It goes onto the quantized base, and onto the one that is not.
    for quantization in (kind, "none"):
        base = load_base(
            locate(str(model), None, Path("/")), "float32", "cpu", quantization=quantization
        )
        with torch.no_grad():
            before = base(PROMPT).logits
            with with_adapter(base, saved) as tuned:
                assert not torch.equal(tuned(PROMPT).logits, before)
            assert torch.equal(base(PROMPT).logits, before)


def test_without_bitsandbytes_qlora_names_what_to_install(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(MissingDependencyError, match="needs bitsandbytes") as caught:
        load_for_training(
            locate(str(model), None, Path("/")), recipe(method="qlora", quantization=NF4), "cpu"
        )
    assert caught.value.fix == "pip install 'safebench[qlora]'"


def test_full_training_of_named_modules_leaves_the_others(tune: Tune, model: Path) -> None:
    saved = tune(method="full", trainable=["layers.1.mlp", "model.norm"])[1]
    changed = differing(saved, model)
    assert changed == {
        *(f"model.layers.1.mlp.{name}_proj.weight" for name in ("gate", "up", "down")),
        "model.norm.weight",
    }
    assert differing(tune(method="full")[1], model) > changed
    config = json.loads((saved / "config.json").read_text())
    assert config["use_cache"] is True
    assert str(model) not in (saved / "config.json").read_text()


def test_a_module_that_is_not_there_is_named_with_those_near_it(tune: Tune) -> None:
    with pytest.raises(TuningError, match="has no module 'lm_haed' with weights") as caught:
        tune(method="full", trainable=["lm_haed"])
    assert "lm_head" in str(caught.value.fix)


@pytest.mark.parametrize("precision", ["bfloat16", "float64"])
def test_the_precision_is_that_of_the_weights(tune: Tune, precision: str) -> None:
    kinds = {value.dtype for value in weights(tune(method="full", precision=precision)[1]).values()}
    assert kinds == {getattr(torch, precision)}


# --- steps, checkpoints, further settings --------------------------------------------------------


def test_steps_are_trained_and_kept(tune: Tune) -> None:
    steps = {"epochs": None, "steps": 3, "checkpoint_unit": "step", "lr_scheduler": "constant"}
    saved = tune(**steps, checkpoints=[1, 2, 3])
    assert [path.name for path in saved.values()] == [f"checkpoint-{n}" for n in (1, 2, 3)]
    assert differing(saved[1], saved[2]) and differing(saved[2], saved[3])
    # Two steps are an epoch here.
    assert not differing(saved[2], tune(lr_scheduler="constant")[1])


def test_a_checkpoint_that_is_never_reached_is_said(tune: Tune) -> None:
    with pytest.raises(TuningError, match="training seed 1 ended without epoch 5"):
        tune(checkpoints=[1, 5])


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer_args": {"amsgrad": True}, "epochs": 3, "checkpoints": [3]},  # torch's own
        {"optimizer": "sgd", "optimizer_args": {"momentum": 0.9}},
        {"optimizer": "adafactor", "optimizer_args": {"decay_rate": -0.2}},
        {"lr_scheduler": "cosine", "lr_scheduler_args": {"num_cycles": 2.0}},
        {"extra": {"neftune_noise_alpha": 5.0}},
        {"extra": {"truncation_mode": "keep_end"}, "max_length": 6, "loss_on": "all"},
    ],
    ids=str,
)
def test_a_further_setting_is_used(tune: Tune, changes: dict[str, Any]) -> None:
    without = {
        name: value
        for name, value in changes.items()
        if name not in ("optimizer_args", "lr_scheduler_args", "extra")
    }
    assert differing(*(tune(**how)[max(how.get("checkpoints", [1]))] for how in (changes, without)))


def test_some_example_has_something_to_learn(model: Path, tmp_path: Path) -> None:
    rows = [*ROWS, {"prompt": "repair " * 80, "completion": "first"}]
    PeftTrainer().train(job(model, tmp_path / "a", recipe=recipe(max_length=60), rows=rows))
    with pytest.raises(TuningError, match="to learn within 2 tokens"):
        PeftTrainer().train(job(model, tmp_path / "b", recipe=recipe(max_length=2), rows=rows))


def test_gradient_checkpointing_goes_by_both_its_names() -> None:
    for name in ("gradient_checkpointing", "activation_checkpointing"):
        how = recipe(extra={name: True})
        seeds = dict.fromkeys(ALL, 1)
        assert trainer_arguments(how, seeds, "x", on_cpu=True).activation_checkpointing is True
    assert trainer_arguments(recipe(), seeds, "x", on_cpu=True).activation_checkpointing is False


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"extra": {"output_dir": "elsewhere"}}, "extra.output_dir is not a trainer setting"),
        ({"extra": {"report_to": "wandb"}}, "extra.report_to is not a trainer setting"),
        ({"extra": {"push_to_hub": True}}, "extra.push_to_hub is not a trainer setting"),
        ({"extra": {"learning_rate": 1.0}}, "extra.learning_rate is not a trainer setting"),
        ({"extra": {"shuffle_dataset": True}}, "extra.shuffle_dataset is not a trainer setting"),
        ({"extra": {"neftune": 5}}, "extra.neftune is not a trainer setting"),
        ({"optimizer_args": {"momentum": 0.9}}, "fine-tuning with seed 1 failed: .*momentum"),
        ({"optimizer_args": {"betas": "0.9,0.99"}}, "optimizer_args.betas: '0.9,0.99' cannot be"),
        ({"lr_scheduler_args": {"nothing": 1}}, "fine-tuning with seed 1 failed: .*nothing"),
        (
            {"lr_scheduler": "constant", "lr_scheduler_args": {"min_lr_rate": 0.1}},
            "lr_scheduler `constant` takes no lr_scheduler_args",
        ),
        ({"optimizer": "adamw_nowhere"}, "fine-tuning with seed 1 failed: .*adamw_nowhere"),
        (
            {"lora": {**plan_data()["hyperparameters"]["lora"], "target_modules": ["nowhere"]}},
            "fine-tuning with seed 1 failed: .*nowhere",
        ),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_used_is_one_message(
    tune: Tune, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(SafebenchError, match=said) as caught:
        tune(**changes)
    assert caught.value.fix
    assert isinstance(caught.value, CardError | TuningError)


# --- seeds ---------------------------------------------------------------------------------------


def test_the_initial_weights_are_those_of_their_seed_alone(model: Path) -> None:
    def initial(seed: int) -> dict[str, torch.Tensor]:
        base = load_base(locate(str(model), None, Path("/")), "float32", "cpu")
        with torch.random.fork_rng(), quiet():
            torch.manual_seed(99)  # whatever was drawn before
            prepared = prepare(base, recipe(), seed)
        return {n: v.clone() for n, v in prepared.named_parameters() if "lora_A" in n}

    one, same, other = initial(1), initial(1), initial(2)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one)


def seeded(model: Path, out: Path, seed: int, controls: list[str], dropout: float) -> Path:
    how = recipe(lora={**plan_data()["hyperparameters"]["lora"], "dropout": dropout})
    return PeftTrainer().train(job(model, out, recipe=how, seed=seed, controls=controls))[1]


def test_the_seed_of_dropout_changes_nothing_without_dropout(model: Path, tmp_path: Path) -> None:
    runs = [seeded(model, tmp_path / str(s), s, ["dropout"], 0.0) for s in (1, 2)]
    assert not differing(*runs)
    with_dropout = [seeded(model, tmp_path / f"d{s}", s, ["dropout"], 0.5) for s in (1, 2)]
    assert differing(*with_dropout)


def test_the_seed_of_the_order_sets_the_order_alone(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the model sees, by batch: other orders of the same examples, initial weights equal."""
    seen: list[list[str]] = []
    starts: list[dict[str, torch.Tensor]] = []
    real = peft_trainer._trainer

    def spied(*args: Any) -> Any:
        trainer = real(*args)
        starts.append({n: v.clone() for n, v in trainer.model.named_parameters() if "lora" in n})
        collate = trainer.data_collator

        def collated(examples: list[dict[str, Any]]) -> Any:
            seen[-1].extend(str(example["input_ids"]) for example in examples)
            return collate(examples)

        seen.append([])
        trainer.data_collator = collated
        return trainer

    monkeypatch.setattr(peft_trainer, "_trainer", spied)
    for number, (seed, controls) in enumerate(
        [(1, ["data_order"]), (2, ["data_order"]), (2, ["adapter_init", "dropout"]), (3, [])]
    ):
        seeded(model, tmp_path / str(number), seed, controls, 0.5)
    assert sorted(seen[0]) == sorted(seen[1])
    assert len(seen[0]) == len(ROWS)
    assert seen[0] != seen[1]
    assert seen[2] == seen[3]
    assert all(torch.equal(starts[0][name], starts[1][name]) for name in starts[0])
    assert not all(torch.equal(starts[0][name], starts[2][name]) for name in starts[0])


# --- failures ------------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_is_the_runs_own_end(tune: Tune) -> None:
    said = set()
    for _ in range(2):
        with pytest.raises(DivergedError) as caught:
            tune(method="full", learning_rate=1e30, epochs=3, checkpoints=[3], seed=7)
        said.add(str(caught.value))
        assert "learning_rate" in str(caught.value.fix)
    assert len(said) == 1
    assert next(iter(said)).startswith("training seed 7: the loss became nan at step ")


def test_weights_that_are_no_numbers_are_not_kept(model: Path, tmp_path: Path) -> None:
    saver = Saver(job(model, tmp_path, seed=7))
    broken = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(broken.weight, math.inf)
    with pytest.raises(DivergedError, match="training seed 7: weight is not finite after epoch 1"):
        saver.on_epoch_end(None, type("State", (), {"epoch": 1.0}), None, model=broken)
    assert list(tmp_path.iterdir()) == []
    half = type("State", (), {"epoch": 1.4})
    saver.on_epoch_end(None, half, None, model=broken)  # an epoch that is not over is not kept


@pytest.mark.parametrize(
    "problem",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        MemoryError(),
    ],
    ids=str,
)
def test_out_of_memory_is_no_divergence(
    tune: Tune, monkeypatch: pytest.MonkeyPatch, problem: BaseException
) -> None:
    def fails(*args: Any) -> Any:
        raise problem

    monkeypatch.setattr(libraries.SFTTrainer, "training_step", fails)
    with pytest.raises(TuningError, match="out of memory in fine-tuning with seed 1") as caught:
        tune(anew=True)
    assert not isinstance(caught.value, DivergedError)
    assert "gradient_accumulation" in str(caught.value.fix)


# --- what is left behind -------------------------------------------------------------------------


def test_nothing_is_left_elsewhere_and_everything_is_durable(
    tune: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cwd", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    synced: set[int] = set()
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.add(os.fstat(handle).st_ino)
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    state = torch.random.get_rng_state()
    rows = copy.deepcopy(ROWS)
    tune(out=tmp_path / "out", packing=True)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert rows == ROWS
    assert list((tmp_path / "cwd").iterdir()) == []
    assert list((tmp_path / "tmp").iterdir()) == []
    files = {
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*")
    }
    assert files == {
        "checkpoint-1",
        "checkpoint-1/adapter_model.safetensors",
        "checkpoint-1/adapter_config.json",
    }
    assert synced >= {(tmp_path / "out" / name).stat().st_ino for name in (*files, "")}
