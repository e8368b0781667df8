"""Files as peft, transformers, trl and lm-eval write them, with what a test wants changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safebench.importing.draft.draft import Draft, make_draft
from safebench.importing.draft.gather import Gathered, gather
from safebench.importing.draft.start import CardBasics, first_facts
from safebench.importing.facts import Place

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write_json(path: Path, data: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))
    return path


def adapter(folder: Path, weights: bytes | None = b"weights", **changes: Any) -> Path:
    """An adapter's folder; returns its configuration."""
    config = {
        "base_model_name_or_path": "example/Base-1B",
        "bias": "none",
        "lora_alpha": 16,
        "lora_dropout": 0.05,
        "peft_type": "LORA",
        "r": 8,
        "rank_pattern": {},
        "revision": COMMIT,
        "target_modules": ["v_proj", "q_proj"],
        "task_type": "CAUSAL_LM",
        "use_dora": False,
        "use_rslora": False,
    }
    path = write_json(folder / "adapter_config.json", {**config, **changes})
    if weights is not None:
        (folder / "adapter_model.safetensors").write_bytes(weights)
    return path


def state(folder: Path, **changes: Any) -> Path:
    """A trainer's state after one of two epochs."""
    data = {
        "best_model_checkpoint": None,
        "epoch": 1.0,
        "global_step": 10,
        "max_steps": 20,
        "num_train_epochs": 2,
        "train_batch_size": 4,
        "log_history": [
            {"epoch": 0.5, "learning_rate": 2e-4, "loss": 2.0, "step": 5},
            {"epoch": 1.0, "learning_rate": 1e-4, "loss": 1.5, "step": 10},
        ],
    }
    return write_json(folder / "trainer_state.json", {**data, **changes})


def arguments(folder: Path, **changes: Any) -> Path:
    """Arguments as `TrainingArguments.to_json_string` writes them; None removes one."""
    data = {
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "num_train_epochs": 2,
        "max_steps": -1,
        "learning_rate": 3e-4,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 5,
        "weight_decay": 0.01,
        "max_grad_norm": 1.0,
        "optim": "adamw_torch_fused",
        "adam_beta1": 0.9,
        "adam_beta2": 0.95,
        "adam_epsilon": 1e-8,
        "bf16": True,
        "fp16": False,
        "max_length": 512,
        "packing": False,
        "completion_only_loss": True,
        "assistant_only_loss": False,
        "seed": 1,
        "data_seed": None,
    }
    return write_json(folder / "training_args.json", {**data, **changes})


def results(folder: Path, name: str = "results_2026-01-02T03-04-05.6.json", **changes: Any) -> Path:
    """One task of lm-eval, greedy; `config` and `task` are merged into theirs."""
    config = {
        "model": "hf",
        "model_args": {"pretrained": "example/Base-1B", "peft": "out"},
        "model_dtype": "torch.bfloat16",
        "model_revision": "main",
        "model_sha": COMMIT,
        "batch_size": 16,
        "device": "cuda:0",
        "gen_kwargs": None,
        "torch_seed": 1234,
        **changes.pop("config", {}),
    }
    task = {
        "task": "harm",
        "dataset_path": "example/harm",
        "output_type": "generate_until",
        "generation_kwargs": {"until": ["\n\n"], "do_sample": False, "max_gen_toks": 64},
        "repeats": 1,
        **changes.pop("task", {}),
    }
    data = {
        "results": {"harm": {"harm,none": 0.5}},
        "configs": {"harm": task},
        "versions": {"harm": 2},
        "n-shot": {"harm": 0},
        "higher_is_better": {"harm": {"harm": False}},
        "n-samples": {"harm": {"original": 100, "effective": 100}},
        "config": config,
        "pretty_env_info": "Is CUDA available: True\nPython version: 3.12.1 (main)\n"
        "GPU 0: Example X1\nGPU 1: Example X1\n[pip3] torch==2.9.0\n",
        "transformers_version": "5.1.0",
        "lm_eval_version": "0.4.13",
        "system_instruction": None,
        "chat_template": None,
        "chat_template_sha": None,
    }
    return write_json(folder / name, {**data, **changes})


def values(gathered: Gathered) -> dict[Place, Any]:
    """What was gathered, without where it came from."""
    return {place: one.value for place, one in gathered.filled.items()}


def read(*paths: Path, start: Path | None = None, basics: CardBasics | None = None) -> Gathered:
    """Gather as the command does."""
    return gather(paths, start or paths[0], list(first_facts(basics or CardBasics(), plan=False)))


def draft(*paths: Path, basics: CardBasics | None = None) -> Draft:
    """Draft as the command does."""
    return make_draft(read(*paths, basics=basics), paths[0], "card.yaml")
