"""What a card may leave out because it follows from the rest (spec/v1/card.md#short-plans).

Plain data is filled in before the models see it, so that nothing after it knows short cards from
complete ones; what is filled in has the place of the nearest part that was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, TypeGuard

from safebench.card.document import Document

Data = dict[str, Any]

RULE_JUDGE = {
    "name": "rule",
    "kind": "rule",
    "id": "safebench/refusal-rule",
    "revision": "1",
    "primary": True,
}
"""The judge of a plan that names none."""
TRAINING = {"lr_scheduler": "linear", "weight_decay": 0.0}
"""What transformers does unless it is told otherwise."""
FOLLOWS = {"Dataset": ("name",), "Seeds": ("scheme",)}
"""Fields of the models that any card may leave out because they follow from others."""
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9_.-]+")


def in_full(document: Document) -> Document:
    """Return a document with the fields that follow from others; itself where there are none."""
    data = document.data
    if not isinstance(data, dict):
        return document
    filled = {**data, **dict(_names_and_scheme(data))}
    if _is_to_be_run(data):
        filled |= dict(_planned(filled))
    return document if filled == data else replace(document, data=filled)


def _is_to_be_run(data: Data) -> bool:
    """Do as `Card.is_to_be_run` does, on plain data."""
    info = data.get("submission")
    own = isinstance(info, dict) and (
        info.get("relationship") == "first_party" or info.get("object") == "artefact"
    )
    return own and all(data.get(name) is None for name in ("unstated", "results", "evidence"))


def _names_and_scheme(data: Data) -> Iterator[tuple[str, Any]]:
    """Yield what any card may leave out: the names of its data, and the scheme of its seeds."""
    sets = data.get("data")
    if isinstance(sets, list):
        yield "data", [{"name": name, **one} if (name := _name(one)) else one for one in sets]
    seeds = data.get("seeds")
    if _is_given(seeds) and "scheme" not in seeds:
        yield "seeds", {"scheme": "derived" if _is_to_be_run(data) else "declared", **seeds}


def _name(dataset: Any) -> str | None:
    """Return the name of a set that has none: that of its file, or the last part of its id."""
    if not _is_given(dataset) or "name" in dataset:
        return None
    place = dataset.get("path") or dataset.get("id")
    if not isinstance(place, str):
        return None
    stem = PurePosixPath(place.rpartition(":")[2]).stem.lower()
    return _NOT_IN_A_NAME.sub("-", stem).strip("_.-")[:64] or None


def _planned(data: Data) -> Iterator[tuple[str, Any]]:
    """Yield what a plan of one's own may leave out."""
    training, seeds, judges = data.get("hyperparameters"), data.get("seeds"), data.get("judge")
    method = training.get("method") if isinstance(training, dict) else None
    if isinstance(training, dict) and isinstance(method, str) and method != "none":
        yield "hyperparameters", {**dict(_training(training)), **training}
    if _is_given(seeds) and "controls" not in seeds and isinstance(method, str):
        controls = {"none": [], "full": ["data_order", "dropout"]}
        yield "seeds", {**seeds, "controls": controls.get(method, _ALL)}
    if "judge" not in data:
        yield "judge", [RULE_JUDGE]
    elif isinstance(judges, list) and len(judges) == 1 and isinstance(judges[0], dict):
        yield "judge", [{"primary": True, **judges[0]}]


_ALL = ["adapter_init", "data_order", "dropout"]


def _training(given: Data) -> Iterator[tuple[str, Any]]:
    yield from TRAINING.items()
    if "warmup_ratio" not in given:
        yield "warmup_steps", 0
    if "checkpoints" in given:
        return
    if isinstance(given.get("epochs"), int):
        yield "checkpoints", [given["epochs"]]
    elif "epochs" not in given and isinstance(given.get("steps"), int):
        yield from {"checkpoints": [given["steps"]], "checkpoint_unit": "step"}.items()


def _is_given(section: Any) -> TypeGuard[Data]:
    return isinstance(section, dict) and "not_reported" not in section
