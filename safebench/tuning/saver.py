"""Saving weights while the trainer runs, and checking that they are finite."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch

from safebench.card.base import require
from safebench.errors import DivergedError
from safebench.files import replace_file
from safebench.models.loading import ADAPTER_CONFIG
from safebench.tuning.interface import Job
from safebench.tuning.libraries import TrainerCallback

_FIX = "lower hyperparameters.learning_rate, or lengthen the warm-up"


class Saver(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Saves weights at the card's checkpoints, watches the loss, and reports progress."""

    def __init__(self, job: Job) -> None:
        """Take what is fine-tuned; `use_cache` is set to the base model's own value later."""
        self.job, self.seed, recipe = job, job.seed, job.recipe
        self.checkpoints = set(require(recipe.checkpoints, "hyperparameters.checkpoints"))
        self.unit = str(require(recipe.checkpoint_unit, "hyperparameters.checkpoint_unit"))
        self.use_cache: bool | None = None
        self.saved: dict[int, Path] = {}

    @property
    def missing(self) -> list[int]:
        """Checkpoints of the card that were never reached."""
        return sorted(self.checkpoints - set(self.saved))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Check that the loss is finite."""
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            raise DivergedError(
                f"training seed {self.seed}: the loss became {loss} at step {state.global_step}",
                fix=_FIX,
            )
        self.job.progress(float(state.epoch or 0.0), loss)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save the weights if the card keeps this step."""
        if self.unit == "step":
            self._keep(state.global_step, kwargs["model"])

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save the weights if the card keeps this epoch, and it is complete."""
        epoch = round(state.epoch)
        if self.unit == "epoch" and abs(state.epoch - epoch) < 1e-6:
            self._keep(epoch, kwargs["model"])

    def _keep(self, number: int, model: Any) -> None:
        if number not in self.checkpoints:
            return
        for name, value in model.named_parameters():
            if value.requires_grad and not bool(torch.isfinite(value).all()):
                raise DivergedError(
                    f"training seed {self.seed}: {name} is not finite after {self.unit} {number}",
                    fix=_FIX,
                )
        folder = self.job.out / f"checkpoint-{number}"
        save_weights(model, folder, self.job.base_name, use_cache=self.use_cache)
        self.saved[number] = folder


def save_weights(model: Any, folder: Path, base_name: str, *, use_cache: bool | None) -> None:
    """Save an adapter, or a whole model, as safetensors with the same bytes on every machine."""
    during = model.config.use_cache
    if use_cache is not None:  # the trainer turned it off; saved so, the model would be slow
        model.config.use_cache = use_cache
    # peft would ask the Hub whether the embeddings were resized; they never are here.
    more = {"save_embedding_layers": False} if hasattr(model, "peft_config") else {}
    model.save_pretrained(folder, **more)
    model.config.use_cache = during
    (folder / "README.md").unlink(missing_ok=True)
    _name_base(folder, base_name)


def _name_base(folder: Path, base_name: str) -> None:
    """Replace the path of the base model on this machine, which peft wrote, by the card's name."""
    path = folder / ADAPTER_CONFIG
    if not path.is_file():
        return
    config = json.loads(path.read_bytes())
    config["base_model_name_or_path"] = base_name
    if isinstance(config.get("target_modules"), list):
        config["target_modules"].sort()  # peft keeps a set, whose order is random
    replace_file(path, (json.dumps(config, indent=2, sort_keys=True) + "\n").encode())
