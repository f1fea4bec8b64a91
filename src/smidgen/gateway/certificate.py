"""The certificate: a signed file beside a bundle that states the risk of its answers; this machine's keys and register of certificates.

The bundle itself never changes. The register is the folder `certificates/` in smidgen's home. It only grows, so the findings of audits
outlive the certificate's file beside the bundle.

A certificate is signed with Ed25519 (RFC 8032). The key is made at the first use, in `keys/certificate.pem` of smidgen's home, readable by
its owner alone. A machine trusts its own key and the public keys in `keys/trusted/` (copies of `certificate.pub` from the machines that
certify).
"""

from __future__ import annotations

import base64
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

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
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from smidgen.core.errors import CertificateError
from smidgen.gateway.sample_reuse import LONGEST_FINGERPRINTS as MOST_MARKS
from smidgen.store import files
from smidgen.store.files import home

FORMAT_VERSION = 1
SUFFIX = ".certificate.json"
MOST_NAME = 200
"""Most characters of a large model's name."""
_MOST_BYTES = 16 * 1024 * 1024
_AGAIN = "Certify the bundle again: smidgen certify DIR --data calibration.csv."

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Level = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _CertificatePart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CertifiedBundle(_CertificatePart):
    """The bundle of a certificate: the SHA-256 of its manifest, which lists those of all its files, and the SHA-256 of its base."""

    name: str
    id: str
    sha256: Sha256
    base_sha256: Sha256 | None = None


class JudgeError(_CertificatePart):
    """How often the judge was wrong in the reviewed verdicts, and the bound on its error that is part of the certificate's bound."""

    wrong: int = Field(ge=0)
    reviewed: int = Field(gt=0)
    bound: Share


class Reference(_CertificatePart):
    """The reference that answers were compared with; the kind `request` means the attributes of the request itself.

    `judge` is set if the reference itself makes errors. `model` names the large model that is the reference, or the judge. It is written
    only if it is known, so that older certificates keep their signature.
    """

    kind: Literal["gold", "model", "reviews", "judge", "request"]
    judge: JudgeError | None = None
    model: str = Field(default="", max_length=MOST_NAME)

    @property
    def words(self) -> str:
        """The reference in words."""
        if self.judge is not None:
            named = f"the judge {self.model}, which" if self.model else "a judge that"
            return f"{named} was wrong in {self.judge.wrong} of {self.judge.reviewed} reviewed verdicts"
        if self.kind == "model":
            return f"the large model {self.model}" if self.model else "the large model (no name of it is known)"
        names = {"gold": "gold labels", "reviews": "human reviews", "judge": "a judge", "request": "the attributes of the request itself"}
        return names[self.kind]

    @property
    def large(self) -> str:
        """The name of the large model that is the reference; empty if the reference is another, or the name is unknown."""
        return self.model if self.kind == "model" else ""

    @model_validator(mode="after")
    def _sound(self) -> Reference:
        if (self.kind == "judge") != (self.judge is not None):
            raise ValueError("a judge must come with its measured error, and no other reference may")
        if self.model and self.kind not in ("model", "judge"):
            raise ValueError("only the large model and a judge may have a model's name")
        return self


class CertifiedSegment(_CertificatePart):
    """A segment's requests that are answered locally: those that score at least the threshold.

    Attributes:
        segment: empty if the certificate covers all requests.
        threshold: the lowest score that is answered.
        n: calibration rows of the segment.
        answered: those that scored at least the threshold.
        loss: the sum of their losses; if answers are right or wrong, the number of errors.
        bound: the one-sided upper bound of the risk, at most alpha.
    """

    segment: str = ""
    threshold: float = Field(allow_inf_nan=False)
    n: int = Field(gt=0)
    answered: int = Field(gt=0)
    loss: Finite
    bound: Share

    @property
    def share(self) -> float:
        """The share of the segment's requests that is answered, 0..1."""
        return self.answered / self.n


class CertificateSample(_CertificatePart):
    """The calibration sample.

    `jobs` and `marks` are written only if they are set, so that older certificates keep their signature.

    Attributes:
        file_sha256, rows_sha256: SHA-256 of its file, and of its rows as they were read.
        n: rows used.
        left_out: rows left out because the bundle was trained on their texts.
        unusable: rows that could not be read.
        jobs: scopes of the recurring jobs whose captured requests are among the rows used.
        marks: fingerprints of the rows, to compare samples; see `sample_reuse`.
    """

    file_sha256: Sha256
    rows_sha256: Sha256
    n: int = Field(gt=0)
    left_out: int = Field(default=0, ge=0)
    unusable: int = Field(default=0, ge=0)
    jobs: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")], ...] = ()
    marks: str = Field(default="", max_length=MOST_MARKS)


class Certificate(_CertificatePart):
    """A certificate.

    Some fields are written only if they are set, so that the signatures of older certificates stay valid.

    Attributes:
        id: its id; a revocation names it.
        statement: the promise in words.
        loss: the loss that alpha bounds, in words.
        measure: for texts, the loss if it is not the distance to the reference; written only then.
        overall: the greatest average share of all requests that is answered locally and disagrees; written only if it was asked for.
        counts: whether the promise is about requests or distinct texts. Older certificates lack it, and counted each text once.
        by: the kind of segments: empty for none, `label` for the answered label, else a column.
        answering: one entry, or one for each certified segment. Requests of any other segment escalate.
        method: the test.
        unchecked: checks that could not be made at signing, in words.
        audit_days: days of serving without an audit after which it goes stale; 0 for never. Written only if it is set.
        begun: whether the signing machine wrote an audit state first. If so, and that machine has no state now, the state was lost. Written
            only if it is true.
        key: the signer's public key, base64 of 32 bytes.
        signature: Ed25519, base64, over `content`.
    """

    format_version: int = FORMAT_VERSION
    id: str = Field(pattern=r"^[0-9a-f]{32}$")
    statement: str
    bundle: CertifiedBundle
    task: str
    loss: str
    measure: Literal["", "attributes", "judge"] = ""
    reference: Reference
    alpha: Level
    delta: Level
    overall: Level | None = None
    counts: Literal["", "requests", "texts"] = ""
    by: str = ""
    answering: tuple[CertifiedSegment, ...] = Field(min_length=1)
    method: str
    calibration: CertificateSample
    created: AwareDatetime
    valid_until: AwareDatetime
    unchecked: tuple[str, ...] = ()
    audit_days: int = Field(default=0, ge=0)
    begun: bool = False
    smidgen_version: str
    key: str = ""
    signature: str = ""

    @model_validator(mode="after")
    def _sound(self) -> Certificate:
        names = [entry.segment for entry in self.answering]
        if len(set(names)) != len(names) or (not self.by and names != [""]):
            raise ValueError("each segment must occur once, and only in a certificate by segments")
        if any(entry.bound > self.alpha or entry.answered > entry.n or entry.loss > entry.answered for entry in self.answering):
            raise ValueError("a bound is over alpha, or more is answered or lost than there is")
        if (self.measure == "attributes") != (self.reference.kind == "request"):
            raise ValueError("the measure attributes needs the reference request, and no other measure may have it")
        if self.valid_until <= self.created:
            raise ValueError("valid_until is not after created")
        return self

    @property
    def n(self) -> int:
        """Calibration rows."""
        return self.calibration.n

    @property
    def share(self) -> float:
        """The share of all calibration rows that are answered, 0..1."""
        return sum(entry.answered for entry in self.answering) / self.n

    @property
    def content(self) -> bytes:
        """The signed bytes: all fields but the signature, as canonical JSON."""
        facts = {name: value for name, value in self.facts().items() if name != "signature"}
        return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")

    def signed(self) -> Certificate:
        """Sign the certificate with this machine's key, made at the first use. Raises CertificateError if the key cannot be used."""
        key = signing_key()
        named = self.model_copy(update={"key": public_key(key)})
        return named.model_copy(update={"signature": sign(key, named.content)})

    def facts(self) -> dict[str, Any]:
        """The content of the file, JSON-ready."""
        facts = self.model_dump(mode="json")
        for part, name in (("calibration", "jobs"), ("calibration", "marks"), ("reference", "model")):
            if not facts[part][name]:
                del facts[part][name]
        for name in ("measure", "begun", "overall", "counts", "audit_days"):
            if not facts[name]:
                del facts[name]
        return facts

    def facts_for_reader(self) -> dict[str, Any]:
        """The facts without the fingerprints of the rows, which are long and mean nothing to a reader."""
        facts = self.facts()
        facts["calibration"].pop("marks", None)
        return facts


def statement(
    alpha: float,
    delta: float,
    until: datetime,
    overall: float | None = None,
    distinct: bool = False,
    without: str = "",
    audit_days: int = 0,
) -> str:
    """The promise in words, with its numbers.

    Args:
        distinct: whether each text was counted once.
        without: completes "texts that …": the texts left out of the sample, and so of the promise. Example: "the bundle was made from".
        audit_days: days that answers may go without an audit; 0 for any number.
    """
    what = "distinct texts" if distinct else "requests"
    left_out = f" (but for texts that {without})" if without else ""
    besides = f"and of all {what} on average at most {overall:.4g} are answered locally and disagree, " if overall is not None else ""
    return (
        f"of the {what} answered locally{left_out}, at most α = {alpha:.4g} disagree with the reference, "
        f"with confidence 1−δ = {1 - delta:.4g}, {besides}for traffic exchangeable with the calibration sample; "
        f"valid until {until.astimezone(UTC):%Y-%m-%d %H:%M} UTC or until revoked"
        + (f", while answers do not go without an audit for over {audit_days} days." if audit_days else ".")
    )


def place(bundle: Path) -> Path:
    """The certificate file of the bundle in this folder."""
    folder = bundle.resolve()
    return folder.parent / f"{folder.name}{SUFFIX}"


def write(certificate: Certificate, bundle: Path) -> Path:
    """Write a certificate beside its bundle, replacing an older one. Raises CertificateError if it cannot be written."""
    file = place(bundle)
    content = json.dumps(certificate.facts(), ensure_ascii=False, indent=2) + "\n"
    try:
        files.write(file, content.encode("utf-8"))
    except OSError as error:
        raise CertificateError("gateway.certificate_cannot_be_written", value=f"{file}: {error.strerror}") from error
    return file


def read(file: Path) -> Certificate:
    """Read the certificate in a file, whether or not it is valid. Raises CertificateError if there is none or it cannot be read."""
    try:
        with file.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise CertificateError("gateway.there_is_no_certificate", value=str(file), missing=True) from None
    except OSError as error:
        raise CertificateError("gateway.certificate_cannot_be_read", value=f"{file}: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise CertificateError("gateway.certificate_is_too_large", most_bytes=_MOST_BYTES)
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CertificateError("gateway.certificate_is_not_readable_json", value=f"{file}: {error}") from error
    version = facts.get("format_version") if isinstance(facts, dict) else None
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise CertificateError("gateway.certificate_format_version_is_unknown", value=version, format_version=FORMAT_VERSION)
    try:
        return Certificate.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise CertificateError("gateway.certificate_field_is_invalid", value=first["msg"], where=where or "its whole") from error


def register(paper: Certificate) -> None:
    """Add a copy of a certificate to the register. Raises CertificateError if it cannot be written."""
    file = _register_folder(paper.bundle.sha256) / f"{paper.id}.json"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        files.write(file, (json.dumps(paper.facts(), ensure_ascii=False) + "\n").encode("utf-8"))
    except OSError as error:
        raise CertificateError("gateway.certificate_cannot_be_entered", value=f"{file}: {error.strerror}") from error


def registered(sha256: str) -> list[Certificate]:
    """The registered certificates of the bundle whose manifest has this SHA-256. Raises CertificateError if one cannot be read."""
    folder = _register_folder(sha256)
    try:
        return [read(file) for file in sorted(folder.glob("*.json"))]
    except CertificateError as error:
        raise CertificateError("gateway.certificate_register_cannot_be_read", value=f"{folder}: {error.what}") from error


def _register_folder(sha256: str) -> Path:
    return home() / "certificates" / sha256


_LOCK_SECONDS = 10


def keys_folder() -> Path:
    """The folder of the keys."""
    return home() / "keys"


def signing_key() -> Ed25519PrivateKey:
    """This machine's key, made if there is none. Raises CertificateError if it is damaged, or others can read it."""
    file = keys_folder() / "certificate.pem"
    keys_folder().mkdir(mode=0o700, exist_ok=True)
    with filelock.FileLock(file.with_suffix(".lock"), timeout=_LOCK_SECONDS):
        if not file.exists():
            made = Ed25519PrivateKey.generate()
            files.write(file, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
            files.write(file.with_suffix(".pub"), made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    if os.name != "nt" and file.stat().st_mode & 0o077:
        raise CertificateError("gateway.key_can_be_read_by_others", value=str(file), path=file)
    found = _read_private_key(file)
    if found is None:
        raise CertificateError("gateway.key_cannot_be_read", value=str(file))
    return found


def public_key(private: Ed25519PrivateKey) -> str:
    """The public half of a key, base64 of its 32 bytes."""
    return _key_text(private.public_key())


def own_public_key() -> str | None:
    """This machine's public key, in the form of `public_key`; None if there is none that can be read."""
    found = _read_private_key(keys_folder() / "certificate.pem")
    return _key_text(found.public_key()) if found is not None else None


def sign(private: Ed25519PrivateKey, content: bytes) -> str:
    """The signature of a content, base64."""
    return base64.b64encode(private.sign(content)).decode("ascii")


def trusted_keys() -> frozenset[str]:
    """The public keys that this machine trusts. Makes no key."""
    mine = own_public_key()
    found = [other for other in map(_read_public_key, _other_key_files()) if other is not None]
    return frozenset([*([mine] if mine is not None else []), *map(_key_text, found)])


def key_files() -> list[Path]:
    """The files that `trusted_keys` reads."""
    return [keys_folder() / "certificate.pem", keys_folder() / "trusted", *_other_key_files()]


def is_signed(content: bytes, by: str, signature: str) -> bool:
    """Whether the signature over the content is by this public key. It does not check that the key is trusted."""
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(by, validate=True)).verify(base64.b64decode(signature, validate=True), content)
    except (InvalidSignature, ValueError):
        return False
    return True


def _other_key_files() -> list[Path]:
    return sorted((keys_folder() / "trusted").glob("*.pub")) if (keys_folder() / "trusted").is_dir() else []


def _key_text(key: Ed25519PublicKey) -> str:
    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode("ascii")


def _read_private_key(file: Path) -> Ed25519PrivateKey | None:
    try:
        found = load_pem_private_key(file.read_bytes(), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return found if isinstance(found, Ed25519PrivateKey) else None


def _read_public_key(file: Path) -> Ed25519PublicKey | None:
    try:
        found = load_pem_public_key(file.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm):
        return None
    return found if isinstance(found, Ed25519PublicKey) else None
