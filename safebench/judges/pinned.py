"""Weights of a judge: found where a card names them, and as it pins them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from safebench.card.base import require
from safebench.card.judge import ModelJudge
from safebench.errors import CardError
from safebench.judges.interface import Missing
from safebench.models.loading import COMMIT, Located, locate
from safebench.models.quiet import explained


def find_weights(entry: ModelJudge, folder: Path) -> tuple[Located, Any]:
    """Find a judge's weights; return where they are, and their configuration.

    Local weights are a folder relative to `folder`, where the card lies.

    Raises:
        CardError: its revision is unpinnable.
        ModelError: no such model, or its bytes are not those of the revision.
    """
    from transformers import AutoConfig

    revision = require(entry.revision, f"the revision of judge {entry.name}")
    if not isinstance(revision, str):
        raise CardError(
            f"judge {entry.name}: its revision is `unpinnable`, and weights need a pinned one",
            fix="give the 40-digit commit, or `sha256:` and the digest of a local folder",
        )
    located = locate(require(entry.id, f"the id of judge {entry.name}"), revision, folder)
    with explained(f"judge {entry.name}: {located.source!r}"):
        config = AutoConfig.from_pretrained(
            located.source, revision=located.commit, trust_remote_code=False
        )
    return located, config


def missing_weights(entry: ModelJudge, folder: Path) -> list[Missing]:
    """Return what of a judge's weights is not on this machine; nothing is loaded or digested."""
    id, of = str(entry.id), f"the weights of judge {entry.name}: {entry.id}"
    what, how = "", ""
    if (folder / id).is_dir() or id.startswith("builtin:"):
        return []
    if id.count("/") != 1 or id.startswith((".", "/", "~")):
        what, how = f"{of}: no such folder", "give a folder relative to the card, or a Hub id"
    elif not (isinstance(entry.revision, str) and COMMIT.fullmatch(entry.revision)):
        what, how = f"{of} without a commit", f"hf download {id}, and give its commit"
    elif cached_commit(id, entry.revision) is None:
        what, how = of, f"hf download {id} --revision {entry.revision}"
    return [Missing("weights", what, how)] if what else []


def cached_commit(id: str, revision: str = "*") -> Path | None:
    """Return the folder, named by its commit, of a Hub model that is on this machine, or None."""
    # Where huggingface_hub puts it, which is not imported for this.
    home = os.environ.get("HF_HOME") or Path(
        os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface"
    )
    hub = Path(os.environ.get("HF_HUB_CACHE") or Path(home, "hub")).expanduser()
    snapshots = hub / f"models--{id.replace('/', '--')}" / "snapshots"
    found = sorted(file.parent for file in snapshots.glob(f"{revision}/*.safetensors"))
    return found[-1] if found else None
