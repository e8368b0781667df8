"""run.json: what a run's folder is for, and whether two folders belong to the same study."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from safebench.card.card import Card
from safebench.card.differences import protocol_differences

_SCHEMA = "safebench/run/1"


@dataclass(frozen=True)
class Size:
    """How much one block of cells is."""

    condition: str
    training_seed: int | None
    cells: int
    """Repeats times tasks."""
    responses: int


@dataclass(frozen=True)
class Claim:
    """What a folder is for: a pinned card, and the blocks of its grid that are made here."""

    card: Card
    blocks: dict[str, Size]
    """Blocks by name, in order."""
    shard: str = "1/1"
    """Which part of the grid this is, `i/n`."""

    def as_json(self) -> dict[str, Any]:
        """Return what run.json holds."""
        return {
            "schema": _SCHEMA,
            "shard": self.shard,
            "blocks": {name: asdict(size) for name, size in self.blocks.items()},
            "card": json.loads(self.card.model_dump_json(exclude_none=True)),
        }

    @classmethod
    def from_json(cls, content: bytes) -> Claim:
        """Read back what `as_json` wrote.

        Raises:
            ValueError, KeyError, TypeError, AttributeError: the content is something else.
        """
        found = json.loads(content)
        card = Card.model_validate_json(json.dumps(found["card"]))
        blocks = {str(name): Size(**size) for name, size in found["blocks"].items()}
        return cls(card, blocks, str(found["shard"]))

    def is_same_work(self, other: Claim) -> bool:
        """Tell whether work for one may be continued for the other."""
        return {**self.as_json(), "card": None} == {**other.as_json(), "card": None} and (
            same_study(self.card) == same_study(other.card)
        )


def asked_for(card: Card, limit: int | None) -> str:
    """Return a digest of what a run was asked for: a card as it was given, and a limit."""
    content = json.dumps([json.loads(card.model_dump_json()), limit], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def same_study(card: Card) -> dict[str, Any]:
    """Return what must be equal for work to belong together: no titles, people or paths.

    Judges are none of it: they read what was generated, whoever they are.
    """
    content: dict[str, Any] = json.loads(card.model_dump_json(exclude_none=True))
    content.pop("submission")
    content.pop("judge", None)
    model = content["model"]
    revision = model["base"].get("revision")
    if str(revision).startswith("sha256:"):  # the digest names the folder, wherever it lies
        model["base"].pop("id")
    elif isinstance(revision, dict) and "unpinnable" in revision:
        model["base"]["revision"] = "unpinnable"  # a run adds the days of its requests there
    templates = (model.get(name, {}) for name in ("chat_template", "training_chat_template"))
    listed = (*_entries(content.get("tasks")), *_entries(model.get("weights")))
    for entry in (*templates, *listed):
        entry.pop("path", None)
    for task in _entries(content.get("tasks")):
        if isinstance(task.get("primary"), dict):
            task["primary"].pop("judge", None)
    return content


def _entries(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def differing(old: Card, new: Card) -> str:
    """Describe what differs between two cards in words."""
    found = protocol_differences(old, new)
    lines = [f"{v.name}: {v.a} -> {v.b}" for v in found.variables]
    lines += [text.replace(" in A", " there").replace(" in B", " here") for text in found.extent]
    if lines:
        return "; ".join(lines)
    first, second = same_study(old), same_study(new)
    names = [k for k in sorted({*first, *second}) if first.get(k) != second.get(k)]
    return ", ".join(names) or "its cells differ"
