"""Fine-tuned weights that a card names: found, checked by their digest; and that digest."""

from __future__ import annotations

from pathlib import Path

from safebench.card.base import require
from safebench.card.model import Weights
from safebench.errors import ModelError
from safebench.files import sha256_of, sha256_of_folder
from safebench.models.loading import ADAPTER_WEIGHTS, COMMIT
from safebench.models.quiet import explained

_WHOLE = "model.safetensors"


def weights_file(folder: Path) -> Path:
    """Return the safetensors file of a checkpoint: an adapter's, or a whole model's."""
    adapter = folder / ADAPTER_WEIGHTS
    return adapter if adapter.is_file() else folder / _WHOLE


def weights_sha256(folder: Path) -> str:
    """Return the digest that a card gives for weights.

    That of the one safetensors file; of weights in several, that of the lines `DIGEST  NAME`,
    one per `*.safetensors` file, sorted by name.

    Raises:
        ModelError: there are no safetensors.
    """
    one = weights_file(folder)
    if one.is_file():
        return sha256_of(one)
    shards = tuple(sorted(p.name for p in folder.glob("*.safetensors")))
    if not shards or not (folder / f"{_WHOLE}.index.json").is_file():
        raise ModelError(
            f"{folder}: no {ADAPTER_WEIGHTS}, {_WHOLE} or {_WHOLE}.index.json with its files",
            fix="give the folder that save_pretrained wrote, in safetensors",
        )
    return sha256_of_folder(folder, shards)


def card_weights(entry: Weights, folder: Path) -> Path:
    """Return the folder of weights that a card names; its relative paths start at `folder`.

    Raises:
        ModelError: they are not there, or their digest is not the card's.
    """
    what = f"weights of training seed {entry.training_seed}, checkpoint {entry.checkpoint}"
    path = require(entry.path, "model.weights.path")
    found = _on_hub(entry, what) if path is None else folder / path
    if not found.is_dir():
        raise ModelError(
            f"{what}: {found}: no such folder", fix="give `path` relative to the card, or a Hub id"
        )
    if (
        require(entry.form, "model.weights.form") == "adapter"
        and weights_file(found).name == _WHOLE
    ):
        raise ModelError(
            f"{what}: {found} holds no {ADAPTER_WEIGHTS}, but form is `adapter`",
            fix="set form: full or merged, or give the adapter's folder",
        )
    digest, declared = weights_sha256(found), require(entry.sha256, "model.weights.sha256")
    if digest != declared:
        raise ModelError(
            f"{what}: {found} has digest {digest}, but the card says {declared}",
            fix="use the files that the card was made with, or write a new card",
        )
    return found


def _on_hub(entry: Weights, what: str) -> Path:
    from huggingface_hub import snapshot_download

    name, revision = require(entry.id, "model.weights.id"), entry.revision
    if name is None:
        raise ModelError(
            f"{what}: neither path nor id",
            fix="give `path`, or `id` with `revision`",
        )
    if not isinstance(revision, str) or not COMMIT.fullmatch(revision):
        raise ModelError(
            f"{what}: {name!r} has no revision that is a 40-digit commit",
            fix="pin the commit: a branch or tag can move under the reader",
        )
    with explained(f"{what} ({name!r})"):
        return Path(
            snapshot_download(name, revision=revision, allow_patterns=["*.safetensors", "*.json"])
        )
