"""sigstore: a signature by an identity that somebody else vouches for, with no key to keep.

The only module that knows sigstore's Python client (extra `sigstore`). Signing needs a network and
somebody who signs in, checking neither: the client carries the roots that it trusts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from safebench.errors import EvidenceError, MissingDependencyError, RunError
from safebench.files import inside

if TYPE_CHECKING:
    from sigstore.oidc import IdentityToken

BUNDLE_FILE = "signature.sigstore.json"
_MOST_BYTES = 2**20
_INSTALL = "pip install 'safebench[sigstore]'"


def sign_in() -> IdentityToken:
    """Return who signs: the identity of the machine where it has one, else of whoever signs in.

    Raises:
        MissingDependencyError: sigstore is not installed.
        RunError: nobody signed in, or sigstore cannot be reached.
    """
    try:
        from sigstore.models import ClientTrustConfig
        from sigstore.oidc import IdentityToken, Issuer, detect_credential
    except ModuleNotFoundError as problem:
        raise MissingDependencyError("`--sigstore` needs sigstore", fix=_INSTALL) from problem
    try:
        found = detect_credential()
        if found is not None:
            return IdentityToken(found)
        config = ClientTrustConfig.production().signing_config
        return Issuer(config.get_oidc_url()).identity_token()
    except Exception as problem:  # the client raises errors of several libraries
        raise RunError(f"sigstore: {problem}", fix=_OFFLINE) from problem


_OFFLINE = "without a network, sign with a key: safebench sign SUBMISSION --key FILE"


def sign(token: IdentityToken, content: bytes) -> bytes:
    """Return sigstore's bundle for a signature of bytes, as JSON; raises RunError."""
    from sigstore.models import ClientTrustConfig
    from sigstore.sign import SigningContext

    try:
        context = SigningContext.from_trust_config(ClientTrustConfig.production())
        with context.signer(token) as signer:
            return str(signer.sign_artifact(content).to_json()).encode()
    except Exception as problem:
        raise RunError(f"sigstore: {problem}", fix=_OFFLINE) from problem


def check(folder: Path, content: bytes, identity: str, issuer: str) -> None:
    """Check that a folder's bundle signs bytes, by an identity that an issuer vouches for.

    Raises:
        EvidenceError: there is no bundle, or it does not.
        MissingDependencyError: sigstore is not installed.
    """
    path = inside(folder, BUNDLE_FILE)
    if path is None or not path.is_file() or path.stat().st_size > _MOST_BYTES:
        raise EvidenceError(f"{folder / BUNDLE_FILE}: no bundle of sigstore in this folder")
    try:
        from sigstore.errors import Error
        from sigstore.models import Bundle
        from sigstore.verify import Verifier
        from sigstore.verify.policy import Identity
    except ModuleNotFoundError as problem:
        raise MissingDependencyError(
            f"{path}: checking it needs sigstore", fix=_INSTALL
        ) from problem
    try:
        verifier = Verifier.production(offline=True)
        policy = Identity(identity=identity, issuer=issuer)
        verifier.verify_artifact(content, Bundle.from_json(path.read_bytes()), policy)
    except (Error, ValueError) as problem:
        raise EvidenceError(f"{path}: not signed by {identity} ({problem})") from problem
