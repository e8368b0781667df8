"""What was made of a submission in an earlier build, for as long as nothing of it has changed.

A record answers for one state of a submission: its key is the digest of all its files, of this
program and what it computes with, of the board's settings, and of the lines about it in the board's
log. Its first bytes are a MAC under a key that does not lie in the cache, so that a record which
somebody else wrote or changed, in a cache that is shared or restored by CI, is not read at all:
only numbers that were recomputed under this key are published. Nothing is linked: a site and a
cache share no file, and a reader who edits one changes no other.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import struct
import zlib
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from safebench.errors import InputError
from safebench.resources import tasks_dir

KEY_VARIABLE = "SAFEBENCH_CACHE_KEY"
_COMPUTES = ("numpy", "scipy", "pyarrow", "pydantic", "jinja2", "cryptography", "sigstore")
_FORMAT = b"safebench site cache 1\n"
_MAC_BYTES = 32


class Record(NamedTuple):
    """What a build keeps of a submission."""

    facts: dict[str, Any]
    """What is said of it elsewhere on the board, as plain values."""
    made: dict[str, bytes]
    """Files that were made of it."""


class Cache:
    """Records in a folder, one file each."""

    def __init__(self, folder: Path, secret: bytes) -> None:
        self.folder = folder
        self.secret = secret

    @classmethod
    def open(cls, folder: Path) -> Cache:
        """Open a cache, made if need be, with the key of whoever runs this; raises InputError."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return cls(folder, _secret())
        except OSError as problem:
            raise InputError(
                f"{folder}: no cache can be kept here ({problem.strerror})",
                fix=f"give --cache another folder; where there is no home, set {KEY_VARIABLE}",
            ) from problem

    def read(self, key: str) -> Record | None:
        """Return a record; None where there is none that this key has written."""
        try:
            content = self._path(key).read_bytes()
        except OSError:
            return None
        mac, body = content[:_MAC_BYTES], content[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(key, body)):
            return None
        (head,) = struct.unpack(">I", body[:4])
        facts = json.loads(zlib.decompress(body[4 : 4 + head]))
        plain, made = zlib.decompress(body[4 + head :]), {}
        for name, size in facts.pop("made"):
            made[name], plain = plain[:size], plain[size:]
        return Record(facts, made)

    def write(self, key: str, record: Record) -> None:
        """Keep a record."""
        made = [[name, len(content)] for name, content in record.made.items()]
        facts = zlib.compress(json.dumps({**record.facts, "made": made}).encode(), 1)
        content = zlib.compress(b"".join(record.made.values()), 1)
        body = struct.pack(">I", len(facts)) + facts + content
        path = self._path(key)
        path.parent.mkdir(exist_ok=True)
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        scratch.write_bytes(self._mac(key, body) + body)
        scratch.replace(path)

    def forget_all_but(self, keys: set[str]) -> None:
        """Remove what the last build did not use, so that a cache is as large as its board."""
        for path in self.folder.glob("??/*"):
            if path.parent.name + path.name not in keys:
                path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key[2:]

    def _mac(self, key: str, body: bytes) -> bytes:
        return hmac.digest(self.secret, _FORMAT + key.encode() + body, "sha256")


def _secret() -> bytes:
    """Return the key of whoever runs this: from the environment, else from their own folder."""
    given = os.environ.get(KEY_VARIABLE)
    if given:
        return hashlib.sha256(given.encode()).digest()
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    path = home / "safebench" / "cache.key"
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):  # readable by nobody else at any moment
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
    key = path.read_bytes()
    if len(key) < 32:
        raise InputError(f"{path}: is no key, or was not written whole", fix="remove it")
    return key


@cache
def program() -> str:
    """Return a digest of this program and of what it computes with."""
    digest = hashlib.sha256()
    for root in (Path(__file__).resolve().parent.parent, tasks_dir()):
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            if path.suffix not in (".pyc", ".safetensors"):
                digest.update(f"{path.relative_to(root)}\n".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    for name in _COMPUTES:
        try:
            digest.update(f"{name} {version(name)}\n".encode())
        except PackageNotFoundError:
            digest.update(f"{name} is not here\n".encode())
    return digest.hexdigest()


def key_of(files: dict[str, str], *also: str) -> str:
    """Return the key of a state: the digests of a submission's files, and what else decides."""
    # Copies of data sets, which rules may read, are named in the environment.
    named = [n for n in sorted(os.environ) if n.startswith("SAFEBENCH_") and n.endswith("_FILE")]
    copies = [(name, os.environ[name]) for name in named]
    content = json.dumps([program(), sorted(files.items()), copies, also])
    return hashlib.sha256(content.encode()).hexdigest()
