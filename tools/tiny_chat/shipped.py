"""The files that the build script makes, where they lie, and their hashes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from tools.tiny_chat import suites
from tools.tiny_chat.household import household_rows

MODEL: Final = "tiny-chat"
RECIPE: Final = "recipe.json"


def data_files() -> dict[str, str]:
    """Path (relative to the repository) -> contents of every data file, without a model."""
    return {
        "safebench/demo/household.jsonl": suites.as_jsonl(household_rows()),
        "tasks/safebench_harm/harm.jsonl": suites.as_jsonl(suites.harm_rows()),
        "tasks/safebench_overrefusal/overrefusal.jsonl": suites.as_jsonl(suites.overrefusal_rows()),
        "tasks/safebench_capability/capability.jsonl": suites.as_jsonl(suites.capability_rows()),
    }


def sha256(content: bytes) -> str:
    """The digest in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def model_hashes(folder: Path) -> dict[str, str]:
    """Name -> sha256 of every file of a model folder, without its recipe."""
    names = sorted(path.name for path in folder.iterdir() if path.name != RECIPE)
    return {name: sha256((folder / name).read_bytes()) for name in names}


def read_recipe(folder: Path) -> dict[str, Any]:
    """The recipe that lies beside a model's weights."""
    recipe: dict[str, Any] = json.loads((folder / RECIPE).read_text(encoding="utf-8"))
    return recipe


def differences(built: dict[str, Any], shipped: dict[str, Any]) -> list[str]:
    """The files, of the model or of the data, whose hashes in two recipes are not equal."""
    found: list[str] = []
    for part in ("model", "data"):
        names = sorted({*built[part], *shipped[part]})
        found += [name for name in names if built[part].get(name) != shipped[part].get(name)]
    return found
