"""Ed25519 keys: made, read from PEM files, and what they sign."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rfc8785

from safebench.errors import InputError, RunError
from safebench.files import write_private

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PASSPHRASE = "SAFEBENCH_KEY_PASSPHRASE"  # noqa: S105 - the name of an environment variable
_MOST_BYTES = 10_000


def new_key(path: Path) -> str:
    """Write a new key as PEM (PKCS #8), readable by its owner alone, and return its fingerprint.

    It is encrypted where the environment variable SAFEBENCH_KEY_PASSPHRASE is set.

    Raises:
        RunError: there is a file already.
    """
    from cryptography.hazmat.primitives import serialization as pem
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key, secret = Ed25519PrivateKey.generate(), _passphrase()
    encryption = pem.BestAvailableEncryption(secret) if secret else pem.NoEncryption()
    content = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, encryption)
    try:
        write_private(path, content)
    except FileExistsError as problem:
        raise RunError(
            f"{path}: is there already, and a key is never overwritten", fix="name another file"
        ) from problem
    return fingerprint(public_key(key))


def read_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key from a PEM file.

    Raises:
        InputError: absent, readable by others, no Ed25519 key, or its passphrase is not given.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        mode, size = path.stat().st_mode, path.stat().st_size
        content = path.read_bytes() if size <= _MOST_BYTES else b""
    except OSError as problem:
        raise InputError(f"{path}: {problem.strerror}", fix=_MAKE) from problem
    if os.name != "nt" and mode & 0o077:
        raise InputError(
            f"{path}: others on this machine can read the key (mode {mode & 0o777:o})",
            fix=f"chmod 600 {path}, and make a new key if somebody may have read it",
        )
    secret = _passphrase()
    encrypted = b"ENCRYPTED" in content
    if encrypted and secret is None:
        raise InputError(f"{path}: the key is encrypted", fix=f"set {PASSPHRASE}")
    try:
        key = load_pem_private_key(content, secret if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as problem:
        what = f"no key that {PASSPHRASE} opens" if encrypted else "no private key in PEM"
        raise InputError(f"{path}: {what}", fix=_MAKE) from problem
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{path}: the key is of another kind than Ed25519", fix=_MAKE)
    return key


_MAKE = "make one: safebench sign --new-key FILE"


def public_key(key: Ed25519PrivateKey) -> str:
    """Return the 32 bytes of a key's public half, as 64 hexadecimal digits."""
    return key.public_key().public_bytes_raw().hex()


def fingerprint(public: str) -> str:
    """Return the SHA-256 of a public key's 32 bytes, 64 hexadecimal digits."""
    return hashlib.sha256(bytes.fromhex(public)).hexdigest()


def message(kind: str, document: dict[str, Any]) -> bytes:
    """Return what is signed: `safebench KIND v1`, a line feed, and the document by RFC 8785.

    Its member `signature` is left out. The first line keeps what is signed as one kind of document
    from being shown as another.
    """
    signed = {name: value for name, value in document.items() if name != "signature"}
    return f"safebench {kind} v1\n".encode() + rfc8785.dumps(signed)


def sign(key: Ed25519PrivateKey, kind: str, document: dict[str, Any]) -> str:
    """Return the signature of a document, 128 hexadecimal digits."""
    return key.sign(message(kind, document)).hex()


def is_signed_by(public: str, kind: str, document: dict[str, Any]) -> bool:
    """Whether a document's `signature` is that of a public key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        key.verify(bytes.fromhex(document["signature"]), message(kind, document))
    except (InvalidSignature, ValueError):
        return False
    return True


def _passphrase() -> bytes | None:
    return os.environ.get(PASSPHRASE, "").encode() or None
