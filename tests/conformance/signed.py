"""Registrations and signatures of the examples: a key that everybody knows, and no randomness."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from safebench.card.card import Card
from safebench.evidence import keys
from safebench.evidence.registration import KIND, request_of
from safebench.evidence.signature import Signer, sign_with_key
from safebench.files import replace_file

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NONCE = hashlib.sha256(b"a nonce that was made up").hexdigest()
BOARD = {"name": "A board", "organisation": "Example Board"}


def registration(card: Card, **changes: Any) -> bytes:
    """Return a registration of a card, signed; with something else in it where that is asked."""
    document = request_of(card).model_dump(mode="json")
    document |= {"date": "2026-01-01", "nonce": NONCE, "registrar": BOARD}
    document |= {"public_key": keys.public_key(KEY), **changes}
    document["signature"] = keys.sign(KEY, KIND, document)
    return (json.dumps(document | changes, indent=2) + "\n").encode()


def write_registered(folder: Path, **changes: Any) -> None:
    """Write the small submission with seeds of a nonce, and a registration that is changed."""
    from tests.conformance.make_examples import make_submission

    for path in folder.iterdir():
        path.unlink() if path.is_file() else shutil.rmtree(path)
    make_submission(folder, lambda card: registration(card, **changes))


def write_signed(folder: Path) -> None:
    """Sign a submission."""
    sign_with_key(folder, KEY, Signer(name="A. Person", organisation="Example Lab"), "2026-01-02")


def spoil_signature(folder: Path, **changes: Any) -> None:
    """Sign a submission, and change what the signature says."""
    write_signed(folder)
    path = folder / "signature.json"
    replace_file(path, json.dumps(json.loads(path.read_text()) | changes).encode())


def edit_signed(folder: Path) -> None:
    """Sign a submission, and change its card afterwards."""
    write_signed(folder)
    data = yaml.safe_load((folder / "card.yaml").read_text(encoding="utf-8"))
    data["submission"]["title"] = "Another title, after it was signed"
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    replace_file(folder / "card.yaml", text.encode())
