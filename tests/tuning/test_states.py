"""A fine-tuning that was interrupted goes on inside, to the bytes of one that was left alone."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from safebench.card.card import Card
from safebench.errors import RunError, TuningError
from safebench.evidence.lock import locked
from safebench.files import sha256_of_folder
from safebench.models.loading import load_tokenizer, locate
from safebench.tuning.interface import Job
from safebench.tuning.peft_states import FILES, _plain, _whole
from safebench.tuning.peft_trainer import PeftTrainer
from safebench.tuning.states import States, alone
from tests.plans import plan_data
from tests.small_models import save_llama

pytestmark = pytest.mark.slow
Train = Callable[..., Path]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def train(model: Path, tmp_path: Path) -> Train:
    """Fine-tune by a changed recipe; interrupted after so many steps of this attempt."""
    places = (tmp_path / str(number) for number in itertools.count())
    found = locate(str(model), None, Path("/"))
    tokenizer = load_tokenizer(found)

    def trained(states: States | None = None, stop: int | None = None, **changes: Any) -> Path:
        recipe = plan_data()["hyperparameters"] | changes
        if recipe["method"] == "full":
            del recipe["lora"]
        card = Card.model_validate_json(json.dumps(plan_data(hyperparameters=recipe)))
        steps = itertools.count(1)

        def interrupt(epoch: float, loss: float | None) -> None:
            if loss is not None and next(steps) == stop:
                raise KeyboardInterrupt

        job = Job(
            base=found,
            recipe=card.hyperparameters,  # type: ignore[arg-type]
            rows=[{"prompt": f"a fence {i}?", "completion": "first gather"} for i in range(21)],
            tokenizer=tokenizer,
            seed=1,
            controls=("adapter_init", "data_order", "dropout"),
            fixed={},
            base_name="model",
            out=next(places),
            progress=interrupt,
            states=states,
        )
        PeftTrainer().train(job)
        return job.out

    return trained


@pytest.mark.parametrize(
    ("steps", "wanted", "changes"),
    [
        # 21 examples: 4 steps an epoch, the last one of a single batch
        (3, [0, 3], {"batch_size": {"per_device": 3, "gradient_accumulation": 2}}),
        # 3 steps an epoch; an optimizer that keeps float32 for weights of 16 bit
        (3, [0], {"method": "full", "optimizer": "adafactor", "precision": "bfloat16"}),
    ],
    ids=["within an epoch", "between epochs"],
)
def test_the_bytes_are_those_of_a_training_left_alone(
    train: Train, tmp_path: Path, steps: int, wanted: list[int], changes: dict[str, Any]
) -> None:
    whole = train(States(tmp_path / "none", {}, 600.0), **changes)
    assert not (tmp_path / "none").exists()  # it was not time yet
    for began_at in wanted:  # one step more begins before it is interrupted
        states = States(tmp_path / "states", {"protocol": "x"}, 0.0)
        with pytest.raises(KeyboardInterrupt):
            train(states, stop=steps + 1, **changes)
        assert states.began_at == began_at
    done = train(states, **changes)
    assert states.began_at == wanted[-1] + steps
    assert sorted(path.name for path in done.iterdir()) == ["checkpoint-1", "checkpoint-2"]
    assert sha256_of_folder(done) == sha256_of_folder(whole)


def test_which_state_is_gone_on_from(tmp_path: Path) -> None:
    def states(protocol: str = "x") -> States:
        return States(tmp_path / "states", {"protocol": protocol}, 0.0)

    def save(step: int) -> Path:
        with states().new(step) as folder:
            for name in FILES:
                (folder / name).write_text(name)
        return tmp_path / "states" / f"step-{step}"

    assert states().latest(FILES) is None
    first = save(9)
    assert states().latest(FILES) == first
    last = save(10)
    assert not first.exists()
    (tmp_path / "states" / ".step-11.killed").mkdir()
    with pytest.raises(RunError, match="protocol x -> y") as caught:
        states("y").latest(FILES)
    assert str(tmp_path / "states") in str(caught.value.fix)
    assert states().latest(FILES) == last
    assert not list((tmp_path / "states").glob(".*"))
    for spoilt in ("optimizer.pt", FILES[0]):  # a pickle beside it; other bytes in it
        path = save(12)
        (path / spoilt).write_text("spoilt")
        assert states().latest(FILES) is None
        assert not path.exists()


def test_one_process_at_a_time_has_the_states(tmp_path: Path) -> None:
    states = States(tmp_path, {}, 0.0)
    with alone(states) as ours:
        assert ours is states
        with alone(states) as others:
            assert others is None
    with locked(tmp_path / "lock"), alone(None) as none:
        assert none is None


def test_whatever_an_optimizer_keeps_comes_back() -> None:
    shared = torch.tensor([1.5, 2.5])
    state = {
        "state": {0: {"step": 3, "avg": shared, "beta": (0.9, float("inf"))}, 1: {"avg": shared}},
        "param_groups": [{"lr": 1e-5, "fused": None, "name": "a", "params": [0, 1]}],
    }
    tensors: dict[int, tuple[str, torch.Tensor]] = {}
    text = json.dumps(_plain(state, tensors))
    assert len(tensors) == 1
    back = _whole(json.loads(text), dict(tensors.values()))
    assert str(back) == str(state)
    with pytest.raises(TuningError, match="it has a set"):
        _plain({"odd": {1}}, {})
