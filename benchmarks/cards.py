"""Many different cards, made from the examples of the standard: the same seed, the same bytes."""

from __future__ import annotations

import copy
import random
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from safebench.card.io import load_document  # noqa: E402

VALID = ROOT / "spec" / "v1" / "examples" / "valid"
SEED = 20_250


def write_cards(folder: Path, number: int, *, wrong: bool = False) -> list[Path]:
    """Write plans and reports with an id each; with `wrong`, each has one misspelt field.

    Reports come without their evidence, which a schema does not look at.
    """
    rng = random.Random(SEED)  # noqa: S311 - seeded, and no secret
    bases = [load_document(path).data for path in sorted(VALID.rglob("*.yaml"))]
    paths = []
    for index in range(number):
        data = _varied(copy.deepcopy(bases[index % len(bases)]), index, rng)
        if wrong:
            data["submission"]["titel"] = data["submission"].pop("title")
        path = folder / f"card-{index:05}.yaml"
        path.write_text(as_yaml(data), encoding="utf-8")
        paths.append(path)
    return paths


def as_yaml(data: Any) -> str:
    """Return data as YAML that readers of 1.1 and of 1.2 read alike: 2.0e-05 and never 2e-05."""
    return yaml.safe_dump(data, sort_keys=False, default_flow_style=None, allow_unicode=True)


def _varied(data: dict[str, Any], index: int, rng: random.Random) -> dict[str, Any]:
    submission = data["submission"]
    submission["id"] = f"{submission['id'][:50]}-{index}"
    submission["title"] = f"{submission['title']} ({rng.randrange(10**6)})"
    submission["date"] = f"2025-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    data.pop("evidence", None)
    if "results" not in data:  # the protocol of a report is bound to its seeds and numbers
        _vary_protocol(data, rng)
    return data


def _vary_protocol(data: dict[str, Any], rng: random.Random) -> None:
    training = data.get("hyperparameters", {})
    if isinstance(training.get("learning_rate"), float):
        training["learning_rate"] = rng.choice([1e-5, 2e-5, 5e-5, 1e-4, 2e-4])
    for decoding in data.get("decoding", []):
        decoding["max_new_tokens"] = rng.choice([128, 256, 512, 1024])
