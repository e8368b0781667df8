"""Another training backend is one object in the registry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from safebench.card.card import Card
from safebench.errors import CardError
from safebench.tuning.interface import Job, Recipe, Trainer
from safebench.tuning.registry import TRAINERS, trained, trainer_of
from tests.plans import plan_data


class PromptTrainer:
    """Trains nothing, by a method that the package's own backend does not have."""

    name = "prompts"
    methods: tuple[str, ...] = ("prompt", "lora")
    executed: Mapping[str, tuple[Any, ...]] = {"sharding": ("none", "fsdp2")}

    def check(self, recipe: Recipe) -> None:
        """Accept everything."""

    def train(self, job: Job) -> dict[int, Path]:
        return {1: job.out}


def card(method: str, **more: Any) -> Card:
    own = {"prompt": {"kind": "prefix", "virtual_tokens": 8}} if method == "prompt" else {}
    what = {**plan_data()["hyperparameters"], "method": method, **own, **more}
    if method == "prompt":
        del what["lora"]
    return Card.model_validate_json(json.dumps(plan_data(hyperparameters=what)))


def test_the_first_backend_that_has_the_method_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CardError, match=r"hyperparameters\.method is `prompt`; this version train"):
        trained(card("prompt"))
    other: Trainer = PromptTrainer()
    monkeypatch.setitem(TRAINERS, other.name, other)
    recipe = trained(card("prompt"))
    assert recipe is not None
    assert trainer_of(recipe) is other
    lora = trained(card("lora"))
    assert lora is not None
    assert trainer_of(lora).name == "peft"
    for sharding, name in (("fsdp2", "prompts"), ("zero3", "peft")):  # executed there; by none
        sharded = trained(card("lora", sharding=sharding))
        assert sharded is not None
        assert trainer_of(sharded).name == name
