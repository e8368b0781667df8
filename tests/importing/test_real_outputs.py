"""Folders that peft, trl and lm-eval really write, on a small model made here."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import pytest
import yaml

from safebench.importing.training.adapter import PEFT
from safebench.importing.training.trainer import argument_field
from tests.importing.made import draft, read, values
from tests.small_models import CHAT_TEMPLATE, save_llama

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("small-model"))


def lora(**settings: object) -> object:
    from peft import LoraConfig

    options = {"r": 4, "lora_alpha": 8, "lora_dropout": 0.1, "target_modules": ["q_proj", "v_proj"]}
    return LoraConfig(task_type="CAUSAL_LM", **{**options, **settings})


def save(model: Path, config: object, folder: Path) -> None:
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    from safebench.models.quiet import PEFT_NOTE

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=PEFT_NOTE)
        base = AutoModelForCausalLM.from_pretrained(model)
        get_peft_model(base, config).save_pretrained(folder)


@pytest.mark.parametrize(
    ("settings", "method", "targets"),
    [
        ({}, "lora", ["q_proj", "v_proj"]),
        ({"use_dora": True, "use_rslora": True}, "dora", ["q_proj", "v_proj"]),
        ({"target_modules": "all-linear"}, "lora", None),
    ],
)
def test_an_adapter_that_peft_saved(
    settings: dict[str, object], method: str, targets: list[str] | None, model: Path, tmp_path: Path
) -> None:
    save(model, lora(**settings), tmp_path)
    said = values(read(tmp_path))
    assert said["hyperparameters", "method"] == method
    assert said["hyperparameters", "lora", "r"] == 4
    assert said["hyperparameters", "lora", "alpha"] == 8
    assert said["hyperparameters", "lora", "rslora"] is bool(settings.get("use_rslora"))
    found = said["hyperparameters", "lora", "target_modules"]
    # peft writes `all-linear` as the names it came to
    assert found == targets if targets else len(found) == 14
    assert not any(place[:2] == ("hyperparameters", "extra") for place in said)
    assert said["model", "base", "id"] == model.name  # peft keeps an absolute path
    weights = (tmp_path / "adapter_model.safetensors").read_bytes()
    listed = said["model", "weights", "000000", "sha256"]
    assert listed == hashlib.sha256(weights).hexdigest()
    assert draft(tmp_path).report.errors == 0


def test_a_prompt_that_peft_saved(model: Path, tmp_path: Path) -> None:
    from peft import PromptTuningConfig

    save(model, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5), tmp_path)
    said = values(read(tmp_path))
    assert said["hyperparameters", "method"] == "prompt"
    assert said["hyperparameters", "prompt", "virtual_tokens"] == 5
    assert said["hyperparameters", "prompt", "init"] == "random"
    assert draft(tmp_path).report.errors == 0


def train(model: Path, out: Path, *, adapter: bool) -> None:
    """Fine-tune for two epochs of three steps, a checkpoint after each, as a user of trl does."""
    import datasets
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    rows = [{"prompt": f"repair a fence {i}?", "completion": "first gather"} for i in range(24)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' own, which a user sees too
        arguments = SFTConfig(
            output_dir=str(out),
            num_train_epochs=2,
            per_device_train_batch_size=4,
            gradient_accumulation_steps=2,
            learning_rate=1e-3,
            lr_scheduler_type="cosine",
            warmup_steps=1,
            weight_decay=0.01,
            max_length=64,
            completion_only_loss=True,
            neftune_noise_alpha=5,
            bf16=False,
            seed=3,
            save_strategy="epoch",
            logging_steps=1,
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(model),
            args=arguments,
            train_dataset=datasets.Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(model),
            peft_config=lora() if adapter else None,
        )
        trainer.train()
        trainer.save_model()
        trainer.save_state()
    (out / "training_args.json").write_text(arguments.to_json_string())


def test_a_folder_that_trl_wrote(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(model, tmp_path / "out", adapter=True)
    found = read(tmp_path / "out", start=tmp_path)
    said = values(found)
    about = {place[1]: value for place, value in said.items() if place[0] == "hyperparameters"}
    assert about["method"] == "lora"
    assert about["objective"] == "sft"
    assert (about["epochs"], about["checkpoints"]) == (2, [1, 2])
    assert about["learning_rate"] == 1e-3
    assert about["lr_scheduler"] == "cosine"
    assert about["warmup_steps"] == 1
    assert about["max_length"] == 64
    assert about["loss_on"] == "completion"
    assert said["hyperparameters", "extra", "neftune_noise_alpha"] == 5
    assert said["hyperparameters", "batch_size", "gradient_accumulation"] == 2
    assert said["seeds", "training"] == [3]
    template = hashlib.sha256(CHAT_TEMPLATE.encode()).hexdigest()
    assert said["model", "chat_template", "sha256"] == template
    paths = [value for place, value in said.items() if place[-1] == "path"]
    assert paths == ["out/checkpoint-3", "out/checkpoint-6"]  # and not their copy in out/
    (kept,) = found.remarks  # of all arguments, the one that was set and has no field
    assert kept.endswith("hyperparameters.extra: neftune_noise_alpha")
    report = draft(tmp_path / "out").report
    assert report.errors == 0
    # Without the arguments, the pickle beside the checkpoints is named and not loaded.
    (tmp_path / "out" / "training_args.json").unlink()
    monkeypatch.setattr("pickle.load", lambda *_: pytest.fail("a pickle was loaded"))
    without = read(tmp_path / "out", start=tmp_path)
    assert values(without)["hyperparameters", "epochs"] == 2
    assert values(without)["hyperparameters", "learning_rate"] == pytest.approx(1e-3)
    assert any("is a pickle" in remark for remark in without.remarks)


def test_whole_weights_that_trl_wrote(model: Path, tmp_path: Path) -> None:
    train(model, tmp_path / "out", adapter=False)
    said = values(read(tmp_path / "out", start=tmp_path))
    assert said["hyperparameters", "method"] == "full"
    forms = [value for place, value in said.items() if place[-1] == "form"]
    assert forms == ["full", "full"]
    assert draft(tmp_path / "out").report.errors == 0


def test_results_that_this_lm_eval_writes(model: Path, tmp_path: Path) -> None:
    import lm_eval
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    from safebench.resources import tasks_dir

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tracker = EvaluationTracker(output_path=str(tmp_path / "eval"))
        done = lm_eval.simple_evaluate(
            model="hf",
            model_args={"pretrained": str(model), "dtype": "float32"},
            tasks=["safebench_harm"],
            task_manager=TaskManager(include_path=str(tasks_dir())),
            gen_kwargs="do_sample=true,temperature=0.7,max_gen_toks=4",
            apply_chat_template=True,
            limit=2,
            batch_size=2,
            device="cpu",
            evaluation_tracker=tracker,
        )
        samples = done.pop("samples")
        tracker.save_results_aggregated(results=done, samples=samples)
        tracker.save_results_samples(task_name="safebench_harm", samples=samples["safebench_harm"])
    made = draft(tmp_path)
    assert made.report.errors == 0
    data = yaml.safe_load(made.text)
    (sampled,) = data["decoding"]
    assert (sampled["name"], sampled["temperature"], sampled["max_new_tokens"]) == ("t07", 0.7, 4)
    assert data["model"]["base"]["id"] == model.name
    template = hashlib.sha256(CHAT_TEMPLATE.encode()).hexdigest()
    assert data["model"]["chat_template"] == {"source": "tokenizer", "sha256": template}
    (task,) = data["tasks"]
    assert (task["name"], task["limit"]) == ("safebench_harm", 2)
    assert data["environment"]["device"] == "cpu"
    assert str(tmp_path) not in made.text


def test_the_tables_know_every_setting_of_the_libraries() -> None:
    from dataclasses import fields

    from peft import LoraConfig, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig
    from trl import SFTConfig

    kinds = (LoraConfig, PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig)
    known = {field.name for kind in kinds for field in fields(kind)}
    assert known - set(PEFT) == set()
    arguments = {field.name for field in fields(SFTConfig) if not field.name.startswith("_")}
    assert {name for name in arguments if argument_field(name) is None} == set()
