"""Keeping weights while the trainer runs, and seeing that they are still numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from safebench.card.base import require
from safebench.errors import DivergedError
from safebench.files import replace_file
from safebench.tuning.libraries import TrainerCallback
from safebench.tuning.recipe import Recipe

Progress = Callable[[float, float | None], None]
"""Called with the epoch reached and the loss, if one was measured."""

_FIX = "lower hyperparameters.learning_rate, or lengthen the warm-up"


class Saver(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Keeps weights at the card's checkpoints, watches the loss, reports progress."""

    def __init__(
        self, out: Path, recipe: Recipe, seed: int, base_name: str, progress: Progress
    ) -> None:
        self.out = out
        self.wanted = set(require(recipe.checkpoints, "hyperparameters.checkpoints"))
        self.unit = str(require(recipe.checkpoint_unit, "hyperparameters.checkpoint_unit"))
        self.seed = seed
        self.base_name = base_name
        self.progress = progress
        self.use_cache: bool | None = None
        self.saved: dict[int, Path] = {}

    @property
    def missing(self) -> list[int]:
        """Checkpoints of the card that were never reached."""
        return sorted(self.wanted - set(self.saved))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """See that the loss is a number."""
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            raise DivergedError(
                f"training seed {self.seed}: the loss became {loss} at step {state.global_step}",
                fix=_FIX,
            )
        self.progress(float(state.epoch or 0.0), loss)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save the weights if the card keeps this step."""
        if self.unit == "step":
            self._keep(state.global_step, kwargs["model"])

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save the weights if the card keeps this epoch, and it is over."""
        epoch = round(state.epoch)
        if self.unit == "epoch" and abs(state.epoch - epoch) < 1e-6:
            self._keep(epoch, kwargs["model"])

    def _keep(self, number: int, model: Any) -> None:
        if number not in self.wanted:
            return
        for name, value in model.named_parameters():
            if value.requires_grad and not bool(torch.isfinite(value).all()):
                raise DivergedError(
                    f"training seed {self.seed}: {name} is not finite after {self.unit} {number}",
                    fix=_FIX,
                )
        folder = self.out / f"checkpoint-{number}"
        save_weights(model, folder, self.base_name, use_cache=self.use_cache)
        self.saved[number] = folder


def save_weights(model: Any, folder: Path, base_name: str, *, use_cache: bool | None) -> None:
    """Save an adapter, or a whole model, as safetensors that are the same on every machine."""
    during = model.config.use_cache
    if use_cache is not None:  # the trainer turns it off, and what is saved would generate slowly
        model.config.use_cache = use_cache
    # Whether embeddings were resized, peft would look up on the network; they never are.
    more = {"save_embedding_layers": False} if hasattr(model, "peft_config") else {}
    model.save_pretrained(folder, **more)
    model.config.use_cache = during
    (folder / "README.md").unlink(missing_ok=True)
    _name_base(folder, base_name)


def _name_base(folder: Path, base_name: str) -> None:
    """Write the card's name of the base model where peft wrote this machine's path."""
    path = folder / "adapter_config.json"
    if not path.is_file():
        return
    config = json.loads(path.read_bytes())
    config["base_model_name_or_path"] = base_name
    if isinstance(config.get("target_modules"), list):
        config["target_modules"].sort()  # peft keeps a set, whose order changes by process
    replace_file(path, (json.dumps(config, indent=2, sort_keys=True) + "\n").encode())
