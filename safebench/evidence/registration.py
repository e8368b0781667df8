"""registration.json: a protocol named before it is run, and the nonce that a board drew for it.

Seeds are derived from the nonce (spec/v1/seeds.md), so that nobody can have tried them before; the
registered number of seeds shows an unlucky ending that was left out.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import StringConstraints

from safebench.card.base import IsoDate, Name, Positive, Section, Sha256, TaskName
from safebench.card.card import Card
from safebench.card.digest import generation_digest, protocol_digest
from safebench.card.task import Estimand
from safebench.errors import CardError, EvidenceError
from safebench.evidence import keys
from safebench.evidence.documents import read_model
from safebench.evidence.signature import PublicKey, Signed, Signer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

REGISTRATION_FILE = "registration.json"
KIND = "registration"


class RegisteredEstimand(Section):
    """The one number of a task that was named before it was measured."""

    task: TaskName
    """Name of the task."""
    checkpoint: Positive | None
    """Epoch or step; null for an untuned model."""
    decoding: Name
    """Name of the decoding."""
    judge: Name
    """Name of the judge."""


class Registration(Section):
    """What was registered. Every member is there, with null where it does not apply."""

    schema_version: Literal["safebench/registration/1"]
    """Format of this file."""
    protocol: Sha256
    """Protocol digest."""
    generation: Sha256
    """Generation digest, which seeds are derived from."""
    seeds: Positive
    """Number of training seeds."""
    primary: tuple[RegisteredEstimand, ...]
    """The primary estimands, in the order of their tasks' names."""
    date: IsoDate | None
    """Day of registration, YYYY-MM-DD, as the registrar states it."""
    nonce: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None
    """256 random bits that the registrar drew; null in a request."""
    registrar: Signer | None
    """Who registers, as they state it; null in a request."""
    public_key: PublicKey | None
    """The registrar's Ed25519 key, its 32 bytes in hexadecimal digits; null in a request."""
    signature: Signed | None
    """Of that key, over the document without this member; null in a request."""

    @property
    def fingerprint(self) -> str:
        """What a board knows the registrar's key by; empty in a request."""
        return "" if self.public_key is None else keys.fingerprint(self.public_key)


def request_of(card: Card) -> Registration:
    """Return the request for a plan's registration: a card with every digest filled in.

    Raises:
        CardError: it reports no number of seeds, or its seeds are not derived.
    """
    scheme, count = getattr(card.seeds, "scheme", None), seed_count(card)
    if scheme != "derived" or not count:
        raise CardError(
            f"seeds.scheme is {scheme!r}, with {count or 'no'} training seeds: nothing to register",
            fix="set scheme: derived and a number of training seeds",
        )
    absent = dict.fromkeys(("date", "nonce", "registrar", "public_key", "signature"))
    return Registration(
        schema_version="safebench/registration/1",
        protocol=protocol_digest(card),
        generation=generation_digest(card),
        seeds=count,
        primary=primary_of(card),
        **absent,
    )


def seed_count(card: Card) -> int | None:
    """Return how many training seeds a card has or asks for; None where it does not say."""
    training = getattr(card.seeds, "training", None)
    return len(training) if isinstance(training, tuple) else training if training else None


def primary_of(card: Card) -> tuple[RegisteredEstimand, ...]:
    """Return the estimands that the tasks of a card declare, in the order of their names."""
    return tuple(
        RegisteredEstimand(task=task.name, **task.primary.model_dump())
        for task in sorted(card.task_list(), key=lambda task: task.name)
        if isinstance(task.primary, Estimand)
    )


def departures(card: Card, registration: Registration) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield where a card is not what was registered, and how.

    A plan whose digests are not filled in yet is another than the one that they were taken of, so
    protocol and estimands are compared in a card with results alone.
    """
    nonce, count = getattr(card.seeds, "nonce", None), seed_count(card)
    if nonce != registration.nonce:
        yield ("seeds", "nonce"), f"the nonce is {nonce!r}, but {registration.nonce} was issued"
    if count is not None and count != registration.seeds:
        yield ("seeds", "training"), f"{count} training seeds, but {registration.seeds} registered"
    if card.given_results is not None:
        yield from protocol_departures(card, registration)


def protocol_departures(
    card: Card, registration: Registration
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield where the protocol of a card, with every digest, is not what was registered."""
    digest = generation_digest(card)
    if digest != registration.generation:
        yield (
            ("seeds", "registration"),
            f"the generation digest is {digest}, but {registration.generation} was registered",
        )
    if primary_of(card) != registration.primary:
        yield ("tasks",), "the primary estimands are not those that were registered"


def register(
    request: Registration, key: Ed25519PrivateKey, registrar: Signer, date: str | None
) -> Registration:
    """Return a registration with a nonce that nobody chose, signed by the registrar."""
    document = request.model_dump(mode="json")
    document |= {
        "date": date,
        "nonce": secrets.token_hex(32),
        "registrar": registrar.model_dump(mode="json"),
        "public_key": keys.public_key(key),
    }
    document["signature"] = keys.sign(key, KIND, document)
    return Registration.model_validate_json(json.dumps(document))


def as_bytes(registration: Registration) -> bytes:
    """Return a registration as it is written; a card names the digest of these bytes."""
    content = registration.model_dump(mode="json")
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def read_registration(path: Path, *, is_request: bool = False) -> Registration:
    """Read a registration whose signature holds, or a request for one.

    Raises:
        EvidenceError: absent, a request where it should be none, not signed by its key, or does not
            fit its schema.
    """
    found = read_model(path, "registration", Registration)
    answers = (found.nonce, found.registrar, found.public_key, found.signature)
    if is_request and all(part is None for part in answers):
        return found
    if is_request:
        raise EvidenceError(f"{path}: is registered already", fix="use its nonce")
    if None in answers:
        raise EvidenceError(
            f"{path}: is a request, and nobody registered it",
            fix="a board answers it: safebench register FILE --key KEY",
        )
    if not keys.is_signed_by(str(found.public_key), KIND, found.model_dump(mode="json")):
        raise EvidenceError(f"{path}: the signature is not that of its public_key")
    return found
