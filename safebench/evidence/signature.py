"""signature.json: who answers for a submission's files (spec/v1/signatures.md).

It is detached: it lists the digests of card, manifest and verdict, and the manifest lists every
other file's. So what the card says is signed too, and signing changes none of these files.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import rfc8785
from pydantic import StringConstraints

from safebench.card.base import IsoDate, Section, Sha256, Text
from safebench.errors import EvidenceError, RunError
from safebench.evidence import keys, sigstores
from safebench.evidence.documents import read_model
from safebench.evidence.manifest import MANIFEST_FILE
from safebench.evidence.submission import CARD_FILE
from safebench.evidence.verdicts import VERDICT_FILE
from safebench.files import inside, replace_file, sha256_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNATURE_FILE = "signature.json"
COVERED = (CARD_FILE, MANIFEST_FILE, VERDICT_FILE)
"""Files whose digests are signed, where they are there."""
KIND = "signature"
PublicKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Signed = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]


class Signer(Section):
    """Who signs, as they state it: a board decides whose key it is."""

    name: Text
    """A person's or a laboratory's name."""
    organisation: Text
    """The organisation."""


class CoveredFiles(Section):
    """Digests of the files that are signed."""

    card: Sha256
    """Of card.yaml."""
    manifest: Sha256
    """Of manifest.json, which lists the digests of all other files of the evidence."""
    verdict: Sha256 | None
    """Of verdict.json of a rerun; null where there is none."""


class Signature(Section):
    """A signature over a submission. Every member is there, with null where it does not apply."""

    schema_version: Literal["safebench/signature/1"]
    """Format of this file."""
    algorithm: Literal["ed25519", "sigstore"]
    """What signed: a key, or an identity that sigstore certified."""
    public_key: PublicKey | None
    """Of an Ed25519 key: its 32 bytes, in hexadecimal digits."""
    identity: Text | None
    """Of sigstore: the identity in the certificate, an e-mail address or a workflow."""
    issuer: Text | None
    """Of sigstore: who vouches for the identity."""
    signer: Signer
    """Who signs, as they state it."""
    date: IsoDate | None
    """Day of signing as the signer states it, YYYY-MM-DD."""
    files: CoveredFiles
    """What is signed."""
    signature: Signed | None
    """Of an Ed25519 key; that of sigstore stands in signature.sigstore.json."""

    @property
    def fingerprint(self) -> str:
        """What a board knows the key or the identity by, 64 hexadecimal digits."""
        if self.algorithm == "ed25519":
            return keys.fingerprint(str(self.public_key))
        return hashlib.sha256(f"{self.issuer} {self.identity}".encode()).hexdigest()


def covered_files(folder: Path) -> CoveredFiles:
    """Return the digests that a signature of a folder as it is now would have.

    Raises:
        EvidenceError: there is no card or no manifest, or one leads out of the folder.
    """
    found: dict[str, str | None] = {}
    for name in COVERED:
        target = inside(folder, name)
        is_there = target is not None and target.is_file()
        if not is_there and name != VERDICT_FILE:
            raise EvidenceError(f"{folder / name}: no file in this folder", fix="restore the file")
        found[name.partition(".")[0]] = sha256_of(folder / name) if is_there else None
    return CoveredFiles.model_validate(found)


def content_digest(files: CoveredFiles) -> str:
    """Return one digest of a submission: SHA-256 of its covered files' digests (RFC 8785)."""
    return hashlib.sha256(rfc8785.dumps(files.model_dump(mode="json"))).hexdigest()


def sign_with_key(
    folder: Path, key: Ed25519PrivateKey, signer: Signer, date: str | None = None
) -> Signature:
    """Sign a submission and write signature.json.

    Raises:
        RunError: it is signed by another key or identity.
        EvidenceError: there is no card or no manifest.
    """
    document = _unsigned(folder, signer, date)
    document |= {"algorithm": "ed25519", "public_key": keys.public_key(key)}
    document["signature"] = keys.sign(key, KIND, document)
    return _write(folder, document)


def sign_with_sigstore(folder: Path, signer: Signer, date: str | None = None) -> Signature:
    """Sign a submission with sigstore: signature.json, and the bundle beside it.

    Raises:
        MissingDependencyError: sigstore is not installed.
        RunError: nobody signed in, or sigstore cannot be reached.
        EvidenceError: there is no card or no manifest.
    """
    document = _unsigned(folder, signer, date) | {"algorithm": "sigstore"}
    token = sigstores.sign_in()
    document |= {"identity": token.identity, "issuer": token.federated_issuer}
    bundle = sigstores.sign(token, keys.message(KIND, document))
    signature = _write(folder, document)
    replace_file(folder / sigstores.BUNDLE_FILE, bundle)
    return signature


def _unsigned(folder: Path, signer: Signer, date: str | None) -> dict[str, Any]:
    absent = dict.fromkeys(("public_key", "identity", "issuer", "signature"))
    return {
        "schema_version": "safebench/signature/1",
        **absent,
        "signer": signer.model_dump(mode="json"),
        "date": date,
        "files": covered_files(folder).model_dump(mode="json"),
    }


def _write(folder: Path, document: dict[str, Any]) -> Signature:
    signature = Signature.model_validate(document)
    path = folder / SIGNATURE_FILE
    if path.exists() or path.is_symlink():
        earlier = read_signature(folder)
        if earlier is not None and earlier.fingerprint != signature.fingerprint:
            raise RunError(
                f"{path}: is signed by {earlier.signer.name}, {earlier.signer.organisation} "
                f"(key {earlier.fingerprint[:16]})",
                fix="remove the file first, if that signature is not to stand",
            )
    content = {name: document[name] for name in Signature.model_fields}
    replace_file(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
    return signature


def read_signature(folder: Path) -> Signature | None:
    """Read signature.json of a folder, whether it holds or not; None where there is none.

    Raises:
        EvidenceError: it leads out of the folder, or does not fit its schema.
    """
    path = folder / SIGNATURE_FILE
    if not path.exists() and not path.is_symlink():
        return None
    if inside(folder, SIGNATURE_FILE) is None:
        raise EvidenceError(f"{path}: leads out of the folder", fix="copy the file there")
    signature = read_model(path, "signature", Signature)
    names = ("public_key", "signature"), ("identity", "issuer")
    needed, absent = names if signature.algorithm == "ed25519" else reversed(names)
    given = {name for name, value in signature if value is not None}
    if given & {*needed, *absent} != {*needed}:
        raise EvidenceError(
            f"{path}: algorithm {signature.algorithm} needs {' and '.join(needed)}, and has "
            f"neither {' nor '.join(absent)}"
        )
    return signature


def check_signature(folder: Path) -> Signature | None:
    """Return the signature of a folder, which holds; None where it is not signed.

    Raises:
        EvidenceError: it does not fit its schema, signs other bytes than lie here, or is not by its
            key or identity.
        MissingDependencyError: it is sigstore's, and sigstore is not installed.
    """
    signature = read_signature(folder)
    if signature is None:
        return None
    path, document = folder / SIGNATURE_FILE, signature.model_dump(mode="json")
    here, signed = covered_files(folder).model_dump(), signature.files.model_dump()
    changed = [n for n in COVERED if here[n.partition(".")[0]] != signed[n.partition(".")[0]]]
    if changed:
        raise EvidenceError(f"{path}: {' and '.join(changed)} changed after signing")
    if signature.algorithm == "sigstore":
        sigstores.check(
            folder, keys.message(KIND, document), str(signature.identity), str(signature.issuer)
        )
    elif not keys.is_signed_by(str(signature.public_key), KIND, document):
        raise EvidenceError(f"{path}: the signature is not that of its public_key")
    return signature
