"""A trainer's output: its state, its arguments, its tokenizer, its weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from safebench.errors import InteropError
from safebench.importing.draft.start import CardBasics
from safebench.importing.facts import Absent
from tests.importing.made import adapter, arguments, draft, read, state, values, write_json

HYP = "hyperparameters"


def weights_of(found: dict[tuple[str, ...], Any]) -> list[dict[str, Any]]:
    listed: dict[str, dict[str, Any]] = {}
    for place, value in found.items():
        if place[:2] == ("model", "weights"):
            listed.setdefault(place[2], {})[place[3]] = value
    return list(listed.values())


def run(folder: Path, seed: int | None, epochs: tuple[int, ...] = (1, 2)) -> None:
    """A trainer's output folder with a checkpoint per epoch, of ten steps each."""
    for epoch in epochs:
        inside = folder / f"checkpoint-{epoch * 10}"
        adapter(inside, weights=f"{folder.name} {epoch}".encode())
        state(inside, epoch=float(epoch), global_step=epoch * 10)
    if seed is not None:
        arguments(folder, seed=seed)


def test_a_state_alone_says_what_it_knows(tmp_path: Path) -> None:
    state(tmp_path)
    found = read(tmp_path, basics=CardBasics(method="full"))
    said = values(found)
    assert said[HYP, "epochs"] == 2
    assert said[HYP, "batch_size", "per_device"] == 4
    assert said[HYP, "learning_rate"] == 2e-4
    assert "the highest that was logged" in found.filled[HYP, "learning_rate"].comment
    assert draft(tmp_path, basics=CardBasics(method="full")).report.errors == 0


def test_a_training_of_which_nothing_says_what_was_trained(tmp_path: Path) -> None:
    state(tmp_path)
    made = draft(tmp_path)
    assert made.report.errors == 0
    assert 'hyperparameters: {not_reported: "to fill in' in made.text
    assert "#   learning_rate: 0.0002" in made.text
    assert "--method" in " ".join(read(tmp_path).remarks)


def test_training_that_stops_within_an_epoch_is_counted_in_steps(tmp_path: Path) -> None:
    state(tmp_path, max_steps=15, num_train_epochs=2)
    said = values(read(tmp_path, basics=CardBasics(method="full")))
    assert said[HYP, "steps"] == 15
    assert (HYP, "epochs") not in said


def test_arguments_count_before_the_state(tmp_path: Path) -> None:
    adapter(tmp_path)
    state(tmp_path)
    arguments(tmp_path)
    found = read(tmp_path)
    said = values(found)
    assert said[HYP, "learning_rate"] == 3e-4
    assert said[HYP, "batch_size", "per_device"] == 4
    assert said[HYP, "batch_size", "gradient_accumulation"] == 2
    assert said[HYP, "warmup_steps"] == 5
    assert said[HYP, "precision"] == "bfloat16"
    assert said[HYP, "loss_on"] == "completion"
    assert said[HYP, "objective"] == "sft"
    assert said[HYP, "optimizer"] == "adamw_torch_fused"
    assert said["seeds", "training"] == [1]
    assert found.remarks == ()
    assert draft(tmp_path).report.errors == 0


@pytest.mark.parametrize(
    ("changes", "place", "value"),
    [
        ({"max_steps": 300}, (HYP, "steps"), 300),
        ({"warmup_steps": 0, "warmup_ratio": 0.1}, (HYP, "warmup_ratio"), 0.1),
        ({"warmup_steps": 0.03}, (HYP, "warmup_ratio"), 0.03),
        ({"warmup_steps": 0.0, "warmup_ratio": 0.0}, (HYP, "warmup_steps"), 0),
        ({"bf16": False, "fp16": True}, (HYP, "precision"), "float16"),
        ({"max_length": None, "max_seq_length": 256}, (HYP, "max_length"), 256),
        ({"completion_only_loss": False}, (HYP, "loss_on"), "all"),
        (
            {"completion_only_loss": False, "assistant_only_loss": True},
            (HYP, "loss_on"),
            "completion",
        ),
        ({"neftune_noise_alpha": 5.0}, (HYP, "extra", "neftune_noise_alpha"), 5.0),
        ({"lr_scheduler_kwargs": {"min_lr": 1e-6}}, (HYP, "lr_scheduler_args", "min_lr"), 1e-6),
        ({"optim_args": "foreach=True"}, (HYP, "optimizer_args", "foreach"), "True"),
        ({"data_seed": 7}, ("seeds", "fixed", "data_order"), 7),
    ],
)
def test_what_arguments_can_say(
    changes: dict[str, Any], place: tuple[str, ...], value: object, tmp_path: Path
) -> None:
    adapter(tmp_path)
    arguments(tmp_path, **changes)
    assert values(read(tmp_path))[place] == value
    assert draft(tmp_path).report.errors == 0


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"bf16": False}, (HYP, "precision")),
        ({"completion_only_loss": None}, (HYP, "loss_on")),
        ({"num_train_epochs": 0.5}, (HYP, "steps")),
        ({"beta": 0.1}, (HYP, "objective")),
        ({"deepspeed": "ds.json"}, (HYP, "sharding")),
    ],
)
def test_what_arguments_leave_open_is_not_guessed(
    changes: dict[str, Any], place: tuple[str, ...], tmp_path: Path
) -> None:
    adapter(tmp_path)
    arguments(tmp_path, **changes)
    assert isinstance(values(read(tmp_path))[place], Absent)
    made = draft(tmp_path)
    assert made.report.errors == 0
    assert any(".".join(place) in one or "epochs" in one for one in made.report.missing_for_next)


def test_arguments_say_how_the_base_was_quantized(tmp_path: Path) -> None:
    quantization = {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True,
        "bnb_4bit_compute_dtype": "bfloat16",
    }
    adapter(tmp_path)
    arguments(tmp_path, model_init_kwargs={"quantization_config": quantization})
    said = values(read(tmp_path))
    assert said[HYP, "method"] == "qlora"
    found = {p[2]: value for p, value in said.items() if p[:2] == (HYP, "quantization")}
    assert found == {"type": "nf4", "double": True, "compute_dtype": "bfloat16"}
    assert draft(tmp_path).report.errors == 0


def test_arguments_in_yaml(tmp_path: Path) -> None:
    adapter(tmp_path)
    given = {"per_device_train_batch_size": 4, "learning_rate": 1e-5, "seed": 3}
    (tmp_path / "training_args.yaml").write_text(yaml.safe_dump(given))
    said = values(read(tmp_path))
    assert said[HYP, "learning_rate"] == 1e-5
    assert said["seeds", "training"] == [3]


def test_every_seed_and_checkpoint_is_listed(tmp_path: Path) -> None:
    run(tmp_path / "a", seed=11)
    run(tmp_path / "b", seed=12)
    said = values(read(tmp_path))
    listed = weights_of(said)
    assert [(w["training_seed"], w["checkpoint"], w["path"]) for w in listed] == [
        (11, 1, "a/checkpoint-10"),
        (11, 2, "a/checkpoint-20"),
        (12, 1, "b/checkpoint-10"),
        (12, 2, "b/checkpoint-20"),
    ]
    assert listed[0]["sha256"] == hashlib.sha256(b"a 1").hexdigest()
    assert said[HYP, "checkpoints"] == [1, 2]
    assert said[HYP, "checkpoint_unit"] == "epoch"
    assert said["seeds", "training"] == [11, 12]
    assert draft(tmp_path).report.errors == 0


def test_the_copy_of_the_last_checkpoint_is_not_listed_twice(tmp_path: Path) -> None:
    run(tmp_path, seed=1)
    adapter(tmp_path, weights=f"{tmp_path.name} 2".encode())
    state(tmp_path, epoch=2.0, global_step=20)
    assert [w["path"] for w in weights_of(values(read(tmp_path)))] == [
        "checkpoint-10",
        "checkpoint-20",
    ]


def test_checkpoints_within_epochs_are_counted_in_steps(tmp_path: Path) -> None:
    for step in (5, 10):
        inside = tmp_path / f"checkpoint-{step}"
        adapter(inside, weights=str(step).encode())
        state(inside, epoch=step / 10, global_step=step)
    said = values(read(tmp_path))
    assert said[HYP, "checkpoints"] == [5, 10]
    assert said[HYP, "checkpoint_unit"] == "step"
    assert [w["checkpoint"] for w in weights_of(said)] == [5, 10]
    assert draft(tmp_path).report.errors == 0


def test_a_checkpoint_is_not_read_from_a_folders_name(tmp_path: Path) -> None:
    adapter(tmp_path / "checkpoint-500")
    (listed,) = weights_of(values(read(tmp_path)))
    assert isinstance(listed["checkpoint"], Absent)
    assert isinstance(listed["training_seed"], Absent)
    assert draft(tmp_path).report.errors == 0


@pytest.mark.parametrize("name", ["seed-3", "seed_3", "s3", "run-seed3"])
def test_a_folders_name_says_the_seed(name: str, tmp_path: Path) -> None:
    run(tmp_path / name, seed=None, epochs=(1,))
    found = read(tmp_path)
    (listed,) = weights_of(values(found))
    assert listed["training_seed"] == 3
    comment = found.filled["model", "weights", "000000", "training_seed"].comment
    assert comment == f"{name}: name of the folder"


def test_seeds_that_only_some_weights_have_are_no_list(tmp_path: Path) -> None:
    run(tmp_path / "seed-1", seed=None, epochs=(1,))
    run(tmp_path / "other", seed=None, epochs=(1,))
    assert isinstance(values(read(tmp_path))["seeds", "training"], Absent)


def test_folder_and_arguments_that_name_two_seeds(tmp_path: Path) -> None:
    run(tmp_path / "seed-3", seed=4)
    with pytest.raises(InteropError, match=r"seed-3\S* names seed 3, but .*args.json says seed 4"):
        read(tmp_path)


def test_whole_weights_beside_a_trainers_state(tmp_path: Path) -> None:
    state(tmp_path / "s1", epoch=2.0, global_step=20)
    (tmp_path / "s1" / "model.safetensors").write_bytes(b"all")
    said = values(read(tmp_path))
    (listed,) = weights_of(said)
    assert (listed["form"], listed["checkpoint"], listed["training_seed"]) == ("full", 2, 1)
    assert listed["sha256"] == hashlib.sha256(b"all").hexdigest()
    assert said[HYP, "method"] == "full"
    assert draft(tmp_path).report.errors == 0


def test_whole_weights_in_several_files_have_one_digest(tmp_path: Path) -> None:
    state(tmp_path)
    write_json(tmp_path / "model.safetensors.index.json", {"weight_map": {}})
    for number in (1, 2):
        (tmp_path / f"model-0000{number}-of-00002.safetensors").write_bytes(b"part")
    (listed,) = weights_of(values(read(tmp_path)))
    assert len(listed["sha256"]) == 64


TEMPLATE = "{% for m in messages %}\n{{ m.content }}é{% endfor %}"
NAMED = {"rag": "another", "default": TEMPLATE}
LISTED = [{"name": name, "template": text} for name, text in NAMED.items()]


@pytest.mark.parametrize("in_file", ["", "\r\n", "\n"])
@pytest.mark.parametrize("configured", [TEMPLATE, NAMED, LISTED, None, "an older one"])
def test_the_template_that_is_applied_has_the_digest(
    in_file: str, configured: Any, tmp_path: Path
) -> None:
    adapter(tmp_path)
    write_json(tmp_path / "tokenizer_config.json", {"chat_template": configured})
    if in_file:
        text = TEMPLATE.replace("\n", in_file)
        (tmp_path / "chat_template.jinja").write_bytes(text.encode())
    elif not isinstance(configured, list | dict) and configured != TEMPLATE:
        return
    found = values(read(tmp_path))
    assert found["model", "chat_template", "source"] == "tokenizer"
    digest = hashlib.sha256(TEMPLATE.encode()).hexdigest()
    assert found["model", "chat_template", "sha256"] == digest


def test_templates_of_which_none_is_applied_are_named(tmp_path: Path) -> None:
    adapter(tmp_path)
    write_json(tmp_path / "tokenizer_config.json", {"chat_template": {"rag": "x", "tools": "y"}})
    found = read(tmp_path)
    assert ("model", "chat_template", "source") not in values(found)
    assert any("rag, tools" in remark for remark in found.remarks)


def test_a_pickle_is_named_and_never_read(tmp_path: Path) -> None:
    adapter(tmp_path)
    pickle = tmp_path / "training_args.bin"
    pickle.write_bytes(b"c__builtin__\neval\n(S'1/0'\ntR.")
    pickle.chmod(0)
    (remark,) = read(tmp_path).remarks
    assert "is a pickle, which can run code and is never loaded" in remark
    arguments(tmp_path)
    assert read(tmp_path).remarks == ()


def test_the_models_own_sampling_settings_are_pointed_out(tmp_path: Path) -> None:
    adapter(tmp_path)
    write_json(tmp_path / "generation_config.json", {"temperature": 0.6, "top_p": 0.9})
    (remark,) = read(tmp_path).remarks
    assert "temperature 0.6, top_p 0.9" in remark


def test_the_best_checkpoint_is_pointed_out(tmp_path: Path) -> None:
    adapter(tmp_path)
    state(tmp_path, best_model_checkpoint="/home/someone/out/checkpoint-10")
    (remark,) = read(tmp_path).remarks
    assert "calls checkpoint-10 the best" in remark
    assert "someone" not in remark
