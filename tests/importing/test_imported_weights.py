"""Weights and training data of runs made elsewhere: found, checked, copied, listed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from safebench.card.io import load_card
from safebench.checks.report import check
from safebench.errors import InteropError
from safebench.importing.interface import ModelKey
from safebench.importing.loaded import LoadedWeights
from safebench.importing.submission.request import TrainingFile
from safebench.importing.submission.write import import_runs
from safebench.importing.training.weights import DeclaredWeights
from safebench.progress import Silent
from tests.importing.made import adapter, arguments, state
from tests.importing.test_imported import imported, refused, request, sampled
from tests.small_models import save_llama

UNKNOWN = (ModelKey("base"), ModelKey("tuned", 1), ModelKey("tuned", 2))


def trained(folder: Path, *seeds: int, checkpoints: int = 1) -> tuple[DeclaredWeights, ...]:
    """Make the folders of a trainer's runs, with the arguments and checkpoints of each."""
    found = []
    for seed in seeds:
        run = folder / f"run-{seed}"
        arguments(run, seed=seed)
        for epoch in range(1, checkpoints + 1):
            place = run / f"checkpoint-{10 * epoch}"
            adapter(place, f"{seed}/{epoch}".encode())
            state(place, epoch=float(epoch), global_step=10 * epoch)
        found.append(DeclaredWeights(run, seed, "adapter"))
    return tuple(found)


def peft(adapter: str) -> LoadedWeights:
    whole = (("pretrained", "example/Base-1B"),)
    return LoadedWeights(
        Path("results.json"), "model_args", whole, (("peft", adapter),), by_name=True
    )


def test_the_only_checkpoint_is_the_one_that_answered(tmp_path: Path) -> None:
    weights = trained(tmp_path, 1, 2)
    card = imported(tmp_path / "out", sampled(UNKNOWN), weights=weights)
    listed = [(w.training_seed, w.checkpoint, w.path) for w in card.model.weights]
    assert listed == [
        (1, 1, "adapters/tuned-seed-1/checkpoint-1"),
        (2, 1, "adapters/tuned-seed-2/checkpoint-1"),
    ]
    for w in card.model.weights:
        copied = (tmp_path / "out" / w.path / "adapter_model.safetensors").read_bytes()
        assert copied == f"{w.training_seed}/1".encode()
    assert card.hyperparameters.checkpoints == (1,)
    assert card.hyperparameters.checkpoint_unit == "epoch"
    assert card.hyperparameters.learning_rate == 3e-4
    assert {s.checkpoint for s in card.given_results.scores} == {None, 1}
    files = {file.path for file in card.given_evidence.files}
    assert "adapters/tuned-seed-2/checkpoint-1/adapter_config.json" in files
    assert check(tmp_path / "out" / "card.yaml").errors == 0


def test_of_several_checkpoints_one_has_to_be_named(tmp_path: Path) -> None:
    weights = trained(tmp_path, 1, 2, checkpoints=2)
    problem = refused(tmp_path / "out", sampled(UNKNOWN), weights=weights)
    assert "tuned, seed 1: " in str(problem) and "checkpoints 1, 2" in str(problem)
    assert "seed=1,checkpoint=2:DIR" in str(problem.fix)
    named = [
        replace(s, model=replace(s.model, checkpoint=2)) if s.model.training_seed else s
        for s in sampled(UNKNOWN)
    ]
    card = imported(tmp_path / "out", named, weights=weights)
    assert [w.checkpoint for w in card.model.weights] == [2, 2]  # the others answered nothing
    assert card.hyperparameters.checkpoints == (2,)


def test_the_weights_that_the_sampler_loaded_say_the_checkpoint(tmp_path: Path) -> None:
    weights = trained(tmp_path, 1, 2, checkpoints=2)
    loaded = {
        ModelKey("tuned", seed): (peft(str(tmp_path / f"run-{seed}" / "checkpoint-10")),)
        for seed in (1, 2)
    }
    made = request(tmp_path / "out", sampled(UNKNOWN), weights=weights)
    collected = replace(made.collected, loaded=loaded)
    import_runs(replace(made, collected=collected), Silent())
    card = load_card(tmp_path / "out" / "card.yaml")
    assert [(w.training_seed, w.checkpoint) for w in card.model.weights] == [(1, 1), (2, 1)]
    swapped = {ModelKey("tuned", 1): loaded[ModelKey("tuned", 2)]}
    collected = replace(made.collected, loaded=swapped)
    with pytest.raises(InteropError, match=r"declared as .* tuned, seed 2"):
        import_runs(replace(made, collected=collected, out=tmp_path / "no"), Silent())


def test_a_seed_that_the_trainer_contradicts_is_refused(tmp_path: Path) -> None:
    (weights,) = trained(tmp_path, 7)
    stated = (replace(weights, seed=1),)
    problem = refused(tmp_path / "out", sampled((ModelKey("tuned", 1),)), weights=stated)
    assert "declared as seed 1" in str(problem) and "says seed 7" in str(problem)


def test_whole_models_stay_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "merged").mkdir()
    (tmp_path / "merged" / "model.safetensors").write_bytes(b"all of it")
    stated = (DeclaredWeights(tmp_path / "merged", 1, "merged", 2),)
    models = (ModelKey("base"), ModelKey("tuned", 1))
    card = imported(tmp_path / "out", sampled(models), weights=stated)
    (listed,) = card.model.weights
    assert (listed.form, listed.path, listed.checkpoint) == ("merged", "../merged", 2)
    assert not (tmp_path / "out" / "adapters").exists()


def test_training_data_are_copied_counted_and_rendered(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    save_llama(model)
    data = tmp_path / "mine.jsonl"
    data.write_text(json.dumps({"prompt": "how?", "completion": "so."}) + "\n")
    answers = tmp_path / "answers.yaml"
    answers.write_text(
        "data: [{name: mine, template: chat}]\n"
        "model: {chat_template: {source: tokenizer}}\n"
        "prompting: {system_prompt: null}\n"
    )
    imported(
        tmp_path / "out",
        sampled(),
        card=answers,
        model=model,
        data=(TrainingFile("mine", data),),
    )
    card = load_card(tmp_path / "out" / "card.yaml")
    (entry,) = card.data
    assert (entry.path, entry.examples) == ("data/mine.jsonl", 1)
    assert isinstance(entry.rendered_sha256, str)
    assert (tmp_path / "out" / entry.path).read_bytes() == data.read_bytes()
    assert card.model.base.id == "../model"
    assert card.model.base.revision.startswith("sha256:")


def test_data_that_are_not_there_are_named(tmp_path: Path) -> None:
    data = (TrainingFile("mine", tmp_path / "gone.jsonl"),)
    problem = refused(tmp_path / "out", sampled(), data=data)
    assert "data mine" in str(problem) and "gone.jsonl" in str(problem)
