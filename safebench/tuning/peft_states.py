"""The state of transformers' trainer: saved between two steps, and put back before the first.

The trainer's own checkpoints hold pickles. It is given the folder of a state that has none: it
reads its position and the weights from there, finds no optimizer, scheduler or random state, and
those are put back here, once it has moved to its place in the data.
"""

from __future__ import annotations

import dataclasses
import json
import random
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from safebench.errors import TuningError
from safebench.files import link_missing
from safebench.tuning.libraries import TrainerCallback
from safebench.tuning.states import KEPT, States

_POSITION: Final = "trainer_state.json"
_WEIGHTS: Final = "model.safetensors"
"""As the trainer calls them."""
_TENSORS: Final = "rest.safetensors"
_REST: Final = "rest.json"
FILES: Final = (_POSITION, _WEIGHTS, _TENSORS, _REST)


class StateSaver(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Saves states at intervals; has put `found` back before the first step."""

    def __init__(self, states: States, out: Path, accelerator: Any) -> None:
        """Look for a state; `out` gets the weights of the checkpoints that were reached before it.

        Raises:
            RunError: the state is of another protocol, or was made in another environment.
        """
        self._states, self._out, self._accelerator = states, out, accelerator
        self.found = states.latest(FILES)
        self._is_back = self.found is None
        if self.found is not None:
            link_missing(self.found / KEPT, out)
        self._last = time.monotonic()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Put the state back, or save one if it is time.

        The data of the step has been fetched by then in both, so that what that draws is drawn
        alike; and the checkpoint of an epoch that has just ended was kept.
        """
        parts = {
            "optimizer": kwargs["optimizer"],
            "scheduler": kwargs["lr_scheduler"],
            "scaler": getattr(self._accelerator, "scaler", None),
        }
        if not self._is_back and self.found is not None:
            self._is_back = True
            _put_back(self.found, parts)
        elif state.global_step and time.monotonic() - self._last >= self._states.seconds:
            with self._states.new(state.global_step) as folder:
                dataclasses.replace(state, log_history=[]).save_to_json(str(folder / _POSITION))
                _save(folder, kwargs["model"], parts)
                link_missing(self._out, folder / KEPT)
            self._last = time.monotonic()


def _save(folder: Path, model: Any, parts: dict[str, Any]) -> None:
    learning = ((name, p) for name, p in model.named_parameters() if p.requires_grad)
    trained = {name: p.detach().cpu().contiguous() for name, p in learning}
    save_file(trained, folder / _WEIGHTS)
    rest = {name: one.state_dict() for name, one in parts.items() if one is not None}
    tensors: dict[int, tuple[str, torch.Tensor]] = {}
    text = json.dumps(_plain({**rest, "random": _random_state()}, tensors))
    (folder / _REST).write_text(text, encoding="utf-8")
    save_file({n: t.detach().cpu().contiguous() for n, t in tensors.values()}, folder / _TENSORS)


def _put_back(folder: Path, parts: dict[str, Any]) -> None:
    text = (folder / _REST).read_text(encoding="utf-8")
    rest = _whole(json.loads(text), load_file(folder / _TENSORS))
    for name, one in parts.items():
        if one is not None:
            one.load_state_dict(rest[name])
    _uncast(parts["optimizer"], rest["optimizer"])
    python, numpy, cpu, cuda = rest["random"]
    random.setstate(python)
    np.random.set_state((numpy[0], np.array(numpy[1], np.uint32), *numpy[2:]))
    torch.set_rng_state(cpu)
    if cuda:
        torch.cuda.set_rng_state_all(cuda)


def _random_state() -> tuple[Any, ...]:
    numpy: Any = np.random.get_state()
    name, keys, *more = numpy
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return random.getstate(), (name, keys.tolist(), *more), torch.get_rng_state(), cuda


def _uncast(optimizer: Any, saved: dict[str, Any]) -> None:
    """Undo what torch does to loaded state: it is cast to the type of its parameter.

    Some optimizers keep float32 for parameters of 16 bit.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for place, values in saved["state"].items():
        held = optimizer.state[parameters[place]] if isinstance(place, int) else {}
        for name, value in values.items():
            if isinstance(value, torch.Tensor) and name in held and held[name].dtype != value.dtype:
                held[name] = value.to(held[name].device)


def _plain(value: Any, tensors: dict[int, tuple[str, torch.Tensor]]) -> Any:
    """Return nested containers as JSON; tensors are named in their place, and put into `tensors`.

    Raises:
        TuningError: there is something else in it.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.Tensor):  # some optimizers have one tensor in many places
        return {"tensor": tensors.setdefault(id(value), (str(len(tensors)), value))[0]}
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_plain(one, tensors) for one in value]}
    if isinstance(value, dict):
        return {"dict": [[_plain(k, tensors), _plain(v, tensors)] for k, v in value.items()]}
    raise TuningError(
        f"a state of this fine-tuning cannot be saved: it has a {type(value).__name__}",
        fix="give --save-state-every 0, or another hyperparameters.optimizer",
    )


def _whole(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Return what `_plain` was given."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {_whole(k, tensors): _whole(v, tensors) for k, v in content}
    found = [_whole(one, tensors) for one in content]
    return tuple(found) if kind == "tuple" else found
