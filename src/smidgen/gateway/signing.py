"""Sign and verify certificates (Ed25519, RFC 8032), and list the trusted keys.

The key is made at the first use, in `keys/certificate.pem` of smidgen's home, readable by its owner alone. A machine trusts its own key
and the public keys in `keys/trusted/` (copies of `certificate.pub` from the machines that certify).
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

import filelock
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from smidgen.core.errors import CertificateError
from smidgen.store import files
from smidgen.store.files import home

_LOCK_SECONDS = 10


def folder() -> Path:
    """The folder of the keys."""
    return home() / "keys"


def key() -> Ed25519PrivateKey:
    """This machine's key, made if there is none. Raises CertificateError if it is damaged, or others can read it."""
    file = folder() / "certificate.pem"
    folder().mkdir(mode=0o700, exist_ok=True)
    with filelock.FileLock(file.with_suffix(".lock"), timeout=_LOCK_SECONDS):
        if not file.exists():
            made = Ed25519PrivateKey.generate()
            files.write(file, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
            files.write(file.with_suffix(".pub"), made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    if os.name != "nt" and file.stat().st_mode & 0o077:
        raise CertificateError("gateway.key_can_be_read_by_others", value=str(file), path=file)
    found = _private(file)
    if found is None:
        raise CertificateError("gateway.key_cannot_be_read", value=str(file))
    return found


def public(private: Ed25519PrivateKey) -> str:
    """The public half of a key, base64 of its 32 bytes."""
    return _text(private.public_key())


def own_public_key() -> str | None:
    """This machine's public key, in the form of `public`; None if there is none that can be read."""
    found = _private(folder() / "certificate.pem")
    return _text(found.public_key()) if found is not None else None


def sign(private: Ed25519PrivateKey, content: bytes) -> str:
    """The signature, base64."""
    return base64.b64encode(private.sign(content)).decode("ascii")


def trusted_keys() -> frozenset[str]:
    """The public keys that this machine trusts. Makes no key."""
    mine = own_public_key()
    found = [other for other in map(_public, _others()) if other is not None]
    return frozenset([*([mine] if mine is not None else []), *map(_text, found)])


def watched_files() -> list[Path]:
    """The files that `trusted_keys` reads."""
    return [folder() / "certificate.pem", folder() / "trusted", *_others()]


def is_signed(content: bytes, by: str, signature: str) -> bool:
    """Whether the signature over the content is by this public key. It does not check that the key is trusted."""
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(by, validate=True)).verify(base64.b64decode(signature, validate=True), content)
    except (InvalidSignature, ValueError):
        return False
    return True


def _others() -> list[Path]:
    return sorted((folder() / "trusted").glob("*.pub")) if (folder() / "trusted").is_dir() else []


def _text(public: Ed25519PublicKey) -> str:
    return base64.b64encode(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode("ascii")


def _private(file: Path) -> Ed25519PrivateKey | None:
    try:
        found = load_pem_private_key(file.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return found if isinstance(found, Ed25519PrivateKey) else None


def _public(file: Path) -> Ed25519PublicKey | None:
    try:
        found = load_pem_public_key(file.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm):
        return None
    return found if isinstance(found, Ed25519PublicKey) else None
