"""Several files about one recipe: what agrees is one value, what contradicts is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from safebench.errors import InteropError
from safebench.importing.draft.settle import settle
from safebench.importing.facts import BY_PERSON, Fact, Nothing
from tests.importing.made import adapter, arguments, read, results, state, values


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"r": 16}, "hyperparameters.lora.r"),
        ({"lora_dropout": 0.1}, "hyperparameters.lora.dropout"),
        ({"target_modules": ["q_proj"]}, "hyperparameters.lora.target_modules"),
        ({"use_dora": True}, "hyperparameters.method"),
        ({"base_model_name_or_path": "example/Other"}, "model.base.id"),
        ({"revision": "f" * 40}, "model.base.revision"),
    ],
)
def test_two_adapters_that_differ(changes: dict[str, Any], field: str, tmp_path: Path) -> None:
    one = adapter(tmp_path / "a")
    other = adapter(tmp_path / "b", b"other", **changes)
    with pytest.raises(InteropError) as raised:
        read(tmp_path)
    message = str(raised.value)
    assert message.startswith(f"{field}: two sources differ")
    assert str(one) in message and str(other) in message
    assert "a card is about one recipe" in str(raised.value.fix)


def test_the_order_of_a_set_is_no_difference(tmp_path: Path) -> None:
    adapter(tmp_path / "a", target_modules=["q", "v"])
    adapter(tmp_path / "b", b"other", target_modules=["v", "q"], lora_alpha=16.0)
    found = read(tmp_path).filled["hyperparameters", "lora", "target_modules"]
    assert found.value == ["q", "v"]
    assert found.comment == "adapter_config.json: target_modules (2 files)"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 1e-5}, "hyperparameters.learning_rate: two sources differ"),
        ({"max_steps": 9}, "hyperparameters.epochs or hyperparameters.steps: two sources differ"),
    ],
)
def test_two_runs_that_differ(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    adapter(tmp_path / "a")
    arguments(tmp_path / "a", seed=1)
    adapter(tmp_path / "b", b"other")
    arguments(tmp_path / "b", seed=2, **changes)
    with pytest.raises(InteropError, match=message):
        read(tmp_path)


def test_measured_in_two_types(tmp_path: Path) -> None:
    results(tmp_path / "a")
    results(tmp_path / "b", config={"model_dtype": "torch.float32"})
    with pytest.raises(InteropError, match=r"model\.dtype: two sources differ"):
        read(tmp_path)


def test_a_hub_id_counts_before_a_path_of_a_machine(tmp_path: Path) -> None:
    adapter(tmp_path / "out", base_model_name_or_path="/models/Base-1B", revision=None)
    results(tmp_path / "eval")
    found = read(tmp_path)
    assert values(found)["model", "base", "id"] == "example/Base-1B"
    (remark,) = found.remarks
    assert "says model.base.id is 'Base-1B'; the draft has 'example/Base-1B'" in remark


def test_arguments_and_state_of_two_trainings(tmp_path: Path) -> None:
    adapter(tmp_path)
    arguments(tmp_path, num_train_epochs=5)
    state(tmp_path)
    found = read(tmp_path)
    assert values(found)["hyperparameters", "epochs"] == 5
    (remark,) = found.remarks
    assert "trainer_state.json: num_train_epochs says hyperparameters.epochs is 2" in remark


def test_a_person_s_none_is_told_in_words(tmp_path: Path) -> None:
    place = ("prompting", "system_prompt")
    remarks: list[str] = []
    told = Fact(place, "Be kind.", tmp_path / "results.json", "system_instruction")
    settle([told, Fact(place, Nothing(), None, key="--card", rank=BY_PERSON)], remarks)
    assert remarks[0].endswith("is 'Be kind.'; the draft has none, from --card")
