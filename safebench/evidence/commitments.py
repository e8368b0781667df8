"""Commitments to texts: what a submission publishes of its responses where it withholds them.

A commitment binds whoever published it to a text and tells nobody else anything about it, not even
whether two texts are equal. One secret opens all of them; a salt opens one.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa

from safebench.errors import EvidenceError, RunError
from safebench.evidence.audit import KEY
from safebench.evidence.columns import distinct, encoded
from safebench.evidence.tables import RESPONSES, read_table, sort_table
from safebench.files import write_private

COMMITMENTS_FILE: Final = "commitments.parquet"
COMMITMENTS: Final = pa.schema([field for field in RESPONSES if field.name != "new_tokens"])
"""As `RESPONSES`, with commitments for texts; the number of tokens would tell something of them."""
Column = Literal["prompt", "response"]
TEXTS: Final[tuple[Column, ...]] = ("prompt", "response")
_DOMAIN: Final = b"safebench commitments v1\n"
_DIGITS: Final = 64
_as_json: Final = json.JSONEncoder(ensure_ascii=False).encode  # made once: there are many places


class Salts:
    """The salts of one submission, each derived from the secret and the place of its text."""

    def __init__(self, secret: bytes, outcomes_sha256: str) -> None:
        """Take the secret and what identifies the submission: a secret may serve several."""
        self._key = hmac.digest(secret, _DOMAIN + outcomes_sha256.encode(), "sha256")

    def of(self, column: Column, key: tuple[Any, ...]) -> bytes:
        """Return the salt (32 bytes) of a text; `key`: its row's values of `audit.KEY`."""
        place = _as_json([column, *key])
        return hmac.digest(self._key, place.encode(), "sha256")


def commitment(salt: bytes, text: str) -> str:
    """Return the commitment to a text: HMAC-SHA256 of its UTF-8 under the salt, 64 digits."""
    return hmac.digest(salt, text.encode(), "sha256").hex()


def commit(responses: pa.Table, salts: Salts) -> pa.Table:
    """Return responses with their texts replaced by commitments, in canonical order.

    Raises:
        EvidenceError: two rows have one place.
    """
    if len(distinct(responses, list(KEY))) < responses.num_rows:
        raise EvidenceError(
            "responses.parquet: a response stands twice", fix="safebench validate says which"
        )
    table = sort_table(responses).select(COMMITMENTS.names)
    keys = list(keys_of(table))
    for column in TEXTS:
        texts = texts_of(table, column)
        found = [
            None if text is None else commitment(salts.of(column, key), text)
            for key, text in zip(keys, texts, strict=True)
        ]
        place = table.column_names.index(column)
        table = table.set_column(place, COMMITMENTS.field(column), pa.array(found, pa.string()))
    return table.cast(COMMITMENTS)


def keys_of(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Yield the values of `audit.KEY` of every row."""
    return zip(*(table.column(name).to_pylist() for name in KEY), strict=True)


def texts_of(table: pa.Table, column: Column) -> Iterator[str | None]:
    """Yield a column of texts row by row; texts that rows share are held once."""
    codes, values = encoded(table, column)
    return (values[code] for code in codes.tolist())


def read_commitments(folder: Path) -> pa.Table:
    """Read a submission's commitments; raises EvidenceError."""
    return read_table(folder / COMMITMENTS_FILE, COMMITMENTS)


def read_secret(path: Path) -> bytes:
    """Read a secret: 64 hexadecimal digits; raises RunError, which never quotes it."""
    with path.open("rb") as file:
        digits = file.read(_DIGITS + 3).strip()
    try:
        if len(digits) == _DIGITS:
            return bytes.fromhex(digits.decode())
    except ValueError:
        pass
    raise RunError(f"{path}: is no secret of {_DIGITS} hexadecimal digits", fix="give its own file")


def new_secret() -> bytes:
    """Return a secret that nobody can guess."""
    return secrets.token_bytes(_DIGITS // 2)


def write_secret(path: Path, secret: bytes) -> None:
    """Write a secret to a new file that its owner alone can read."""
    write_private(path, f"{secret.hex()}\n".encode())
