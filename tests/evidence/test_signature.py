"""Keys, signatures and registrations: what is signed, and what is found when it does not hold."""

from __future__ import annotations

import json
import re
import shutil
import stat
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from safebench.errors import EvidenceError, InputError, MissingDependencyError, RunError
from safebench.evidence import keys
from safebench.evidence.signature import (
    Signer,
    check_signature,
    sign_with_key,
    sign_with_sigstore,
)
from safebench.resources import spec_dir
from tests.conformance.runner import VALID
from tests.conformance.signed import KEY, write_signed

PAGE = (spec_dir() / "v1" / "signatures.md").read_text(encoding="utf-8")
ME = Signer(name="A. Person", organisation="Example Lab")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return shutil.copytree(VALID / "submission", tmp_path / "submission")


def test_the_page_s_vector_is_what_is_signed() -> None:
    document = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.S)[0])
    document["signature"] = re.findall(r"\| signature \| `(\w{128})`", PAGE)[0]
    assert keys.sign(KEY, "signature", document) == document["signature"]
    assert keys.is_signed_by(document["public_key"], "signature", document)
    assert not keys.is_signed_by(document["public_key"], "registration", document)
    assert f"`{keys.fingerprint(document['public_key'])}`" in PAGE


def test_a_key_is_its_owner_s_alone_and_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys" / "mine.pem"
    for secret in ("", "open sesame"):
        monkeypatch.setenv(keys.PASSPHRASE, secret)
        made = keys.new_key(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert keys.fingerprint(keys.public_key(keys.read_key(path))) == made
        with pytest.raises(RunError):
            keys.new_key(path)
        if secret:
            break
        path.unlink()
    for wrong in ("", "close sesame"):
        monkeypatch.setenv(keys.PASSPHRASE, wrong)
        with pytest.raises(InputError, match=r"encrypted|opens"):
            keys.read_key(path)
    monkeypatch.setenv(keys.PASSPHRASE, "open sesame")
    path.chmod(0o640)
    with pytest.raises(InputError, match="640"):
        keys.read_key(path)


@pytest.mark.parametrize("content", [b"", b"no key", b"\xff" * 20_000])
def test_a_file_without_a_key_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(InputError, match="PEM"):
        keys.read_key(path)
    with pytest.raises(InputError, match="absent"):
        keys.read_key(tmp_path / "absent")


def test_signing_twice_gives_the_same_bytes_and_another_key_is_refused(home: Path) -> None:
    before = {path.name: path.read_bytes() for path in home.iterdir()}
    write_signed(home)
    first = (home / "signature.json").read_bytes()
    write_signed(home)
    assert (home / "signature.json").read_bytes() == first
    assert {p.name: p.read_bytes() for p in home.iterdir() if p.name in before} == before
    assert check_signature(home) is not None
    other = keys.read_key(_key(home.parent / "other.pem"))
    with pytest.raises(RunError, match="Example Lab"):
        sign_with_key(home, other, ME)


def _key(path: Path) -> Path:
    keys.new_key(path)
    return path


@pytest.mark.parametrize("name", ["card.yaml", "manifest.json", "verdict.json"])
def test_a_file_that_changes_or_comes_later_is_found(home: Path, name: str) -> None:
    write_signed(home)
    with (home / name).open("a") as file:
        file.write(" ")
    with pytest.raises(EvidenceError, match=name):
        check_signature(home)


def test_nothing_outside_the_folder_is_read(home: Path) -> None:
    write_signed(home)
    elsewhere = (home / "signature.json").rename(home.parent / "signature.json")
    (home / "signature.json").symlink_to(elsewhere)
    with pytest.raises(EvidenceError, match="leads out"):
        check_signature(home)


class _Error(Exception):
    pass


def _sigstore(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put modules in sigstore's place: `sign` returns the bytes, `verify` compares them."""
    parts: dict[str, dict[str, Any]] = {
        "": {},
        ".errors": {"Error": _Error},
        ".models": {
            "Bundle": SimpleNamespace(from_json=json.loads),
            "ClientTrustConfig": SimpleNamespace(production=lambda: None),
        },
        ".oidc": {
            "IdentityToken": lambda _: SimpleNamespace(
                identity="a@example.org", federated_issuer="https://login.example.org"
            ),
            "Issuer": None,
            "detect_credential": lambda: "a token",
        },
        ".sign": {"SigningContext": SimpleNamespace(from_trust_config=lambda _: _Context())},
        ".verify": {"Verifier": SimpleNamespace(production=_verifier)},
        ".verify.policy": {"Identity": lambda **said: said},
    }
    for name, members in parts.items():
        module = ModuleType(f"sigstore{name}")
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, f"sigstore{name}", module)


class _Context:
    def signer(self, token: Any) -> _Context:
        self.who = {"identity": token.identity, "issuer": token.federated_issuer}
        return self

    def __enter__(self) -> _Context:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def sign_artifact(self, content: bytes) -> Any:
        text = json.dumps({"content": content.hex(), "who": self.who})
        return SimpleNamespace(to_json=lambda: text)


def _verifier(*, offline: bool) -> Any:
    assert offline

    def verify(content: bytes, bundle: Any, policy: Any) -> None:
        if bundle != {"content": content.hex(), "who": policy}:
            raise _Error("another identity")

    return SimpleNamespace(verify_artifact=verify)


def test_sigstore_signs_the_same_and_is_asked_for_identity_and_issuer(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client's own checks are not tried here: its modules are replaced."""
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "sigstore", None)
        with pytest.raises(MissingDependencyError, match="sigstore"):
            sign_with_sigstore(home, ME)
    _sigstore(monkeypatch)
    signed = sign_with_sigstore(home, ME)
    assert check_signature(home) == signed
    bundle = home / "signature.sigstore.json"
    bundle.write_text(bundle.read_text().replace("a@example.org", "b@example.org"))
    with pytest.raises(EvidenceError, match="not signed by a@"):
        check_signature(home)
    bundle.unlink()
    with pytest.raises(EvidenceError, match="no bundle"):
        check_signature(home)
