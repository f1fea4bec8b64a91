"""The certificate: a signed file beside a bundle that states the risk of its answers, and the register of those given on this machine.

The bundle itself never changes. The register lies in smidgen's home, in `certificates/`, and only grows: what audits found against a
certificate is not forgotten when its file beside the bundle is deleted or damaged.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from smidgen.core.errors import CertificateError
from smidgen.gateway import signing
from smidgen.gateway.sample_reuse import LONGEST_FINGERPRINTS as MOST_MARKS
from smidgen.store import atomic_file
from smidgen.store.home import home

FORMAT_VERSION = 1
SUFFIX = ".certificate.json"
MOST_NAME = 200
"""Characters of a large model's name."""
_MOST_BYTES = 16 * 1024 * 1024
_AGAIN = "Certify the bundle again: smidgen certify DIR --data calibration.csv."

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Level = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _CertificatePart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CertifiedBundle(_CertificatePart):
    """The bundle that a certificate is for: the SHA-256 of its manifest, which holds those of all its files, and of its base."""

    name: str
    id: str
    sha256: Sha256
    base_sha256: Sha256 | None = None


class JudgeError(_CertificatePart):
    """How often the reference was wrong where it was reviewed, and the bound that entered the certificate's."""

    wrong: int = Field(ge=0)
    reviewed: int = Field(gt=0)
    bound: Share


class Reference(_CertificatePart):
    """What the answers were compared with. `judge` is there where the reference errs itself. `model` is what the large model is called by
    those who ask it, where it is the reference and its name is known, or what a judge is that gave marks; it is written only then, so that
    older certificates keep their signature. `request`: the attributes of the request itself."""

    kind: Literal["gold", "model", "reviews", "judge", "request"]
    judge: JudgeError | None = None
    model: str = Field(default="", max_length=MOST_NAME)

    @property
    def words(self) -> str:
        """As it is said to a reader."""
        if self.judge is not None:
            named = f"the judge {self.model}, which" if self.model else "a judge that"
            return f"{named} was wrong in {self.judge.wrong} of {self.judge.reviewed} reviewed verdicts"
        if self.kind == "model":
            return f"the large model {self.model}" if self.model else "the large model (no name of it is known)"
        names = {"gold": "gold labels", "reviews": "human reviews", "judge": "a judge", "request": "the attributes of the request itself"}
        return names[self.kind]

    @property
    def large(self) -> str:
        """The name of the large model that is the reference; empty where another is, or no name is known."""
        return self.model if self.kind == "model" else ""

    @model_validator(mode="after")
    def _sound(self) -> Reference:
        if (self.kind == "judge") != (self.judge is not None):
            raise ValueError("a judge, and nothing else, comes with its measured error")
        if self.model and self.kind not in ("model", "judge"):
            raise ValueError("the large model or a judge, and nothing else, has a model's name")
        return self


class CertifiedSegment(_CertificatePart):
    """What is answered locally: requests of a segment that score at least the threshold.

    Attributes:
        segment: empty where the certificate is for all requests alike.
        threshold: the lowest score that is answered.
        n: calibration rows of the segment.
        answered: those that scored at least the threshold.
        loss: the sum of their losses: the number of errors where answers are right or wrong.
        bound: the one-sided upper bound of the risk; never over alpha.
    """

    segment: str = ""
    threshold: float = Field(allow_inf_nan=False)
    n: int = Field(gt=0)
    answered: int = Field(gt=0)
    loss: Finite
    bound: Share

    @property
    def share(self) -> float:
        """Of the segment's requests, those answered."""
        return self.answered / self.n


class CertificateSample(_CertificatePart):
    """The sample: the SHA-256 of its file and of its rows as they were read, how many rows were used, and how many left out because the
    bundle knows their texts. `jobs` are the scopes of the recurring jobs whose captured requests are among the rows that were used; nobody
    knows of others, nor of a file's. `marks` are of the rows, by which another sample is compared with it; see sample_reuse. Both are
    written only where there are any, so that older certificates keep their signature."""

    file_sha256: Sha256
    rows_sha256: Sha256
    n: int = Field(gt=0)
    left_out: int = Field(default=0, ge=0)
    unusable: int = Field(default=0, ge=0)
    jobs: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")], ...] = ()
    marks: str = Field(default="", max_length=MOST_MARKS)


class Certificate(_CertificatePart):
    """All that the file says.

    Attributes:
        id: of this certificate; a revocation names it.
        statement: what is promised, in words.
        loss: the loss that alpha bounds, in words.
        measure: of texts, which loss that is, where it is not their likeness to the reference's; it is written only then.
        overall: of all requests, the share that may be answered locally and disagree, on average. It is written only where it was asked.
        counts: what the promise is a share of: requests as they come, or distinct texts. Older certificates do not say it, and counted
            each text once.
        by: what the segments are: empty for none, `label` for the label that is answered, else a column.
        answering: one entry, or one a segment that is certified. Requests of any other segment escalate.
        method: the test.
        unchecked: what could not be checked when it was given, in words.
        audit_days: days for which answers may be given while no audit comes; then it goes stale. 0: no matter how many. It is written only
            where it is asked: older certificates keep their signature.
        begun: whether the state of its audits was written down, on the machine whose key signed it, before it was given: where that machine
            has none, it was lost. It is written only where it is so: older certificates keep their signature.
        key: the public key of who signed, base64 of 32 bytes.
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
            raise ValueError("segments stand once each, and only where there are segments")
        if any(entry.bound > self.alpha or entry.answered > entry.n or entry.loss > entry.answered for entry in self.answering):
            raise ValueError("no bound is over alpha, and no more is answered or lost than there is")
        if (self.measure == "attributes") != (self.reference.kind == "request"):
            raise ValueError("of attributes the request itself is the reference, and of nothing else")
        if self.valid_until <= self.created:
            raise ValueError("it would end before it began")
        return self

    @property
    def n(self) -> int:
        """Calibration rows."""
        return self.calibration.n

    @property
    def share(self) -> float:
        """Of all calibration rows, those answered."""
        return sum(entry.answered for entry in self.answering) / self.n

    @property
    def content(self) -> bytes:
        """All but the signature, in one certain spelling: what is signed."""
        facts = {name: value for name, value in self.facts().items() if name != "signature"}
        return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")

    def signed(self) -> Certificate:
        """The same, signed with this machine's key, which is made at the first use. Raises CertificateError where it cannot be used."""
        key = signing.key()
        named = self.model_copy(update={"key": signing.public(key)})
        return named.model_copy(update={"signature": signing.sign(key, named.content)})

    def facts(self) -> dict[str, Any]:
        """As it stands in the file, JSON-ready."""
        facts = self.model_dump(mode="json")
        for part, name in (("calibration", "jobs"), ("calibration", "marks"), ("reference", "model")):
            if not facts[part][name]:
                del facts[part][name]
        for name in ("measure", "begun", "overall", "counts", "audit_days"):
            if not facts[name]:
                del facts[name]
        return facts

    def told(self) -> dict[str, Any]:
        """The same for a reader: without the marks of the rows, which are long and say nothing to anybody."""
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
    """The promise, in the words of the documentation, with its numbers.

    Args:
        distinct: whether each text was counted once.
        without: whose texts were left out of the sample, and so are not in the promise: "the bundle was made from", for example.
        audit_days: days for which answers may go without an audit; 0 for any number.
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
    """Where the certificate of the bundle in this folder lies."""
    folder = bundle.resolve()
    return folder.parent / f"{folder.name}{SUFFIX}"


def write(certificate: Certificate, bundle: Path) -> Path:
    """Put it beside its bundle, in the place of an older one, at once. Raises CertificateError where that cannot be done."""
    file = place(bundle)
    content = json.dumps(certificate.facts(), ensure_ascii=False, indent=2) + "\n"
    try:
        atomic_file.write(file, content.encode("utf-8"))
    except OSError as error:
        raise CertificateError(
            "the certificate cannot be written", value=f"{file}: {error.strerror}", todo="Make the folder that holds the bundle writable."
        ) from error
    return file


def read(file: Path) -> Certificate:
    """The certificate in a file; nothing is said of whether it holds. Raises CertificateError where there is none that can be read."""
    try:
        with file.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise CertificateError("there is no certificate", value=str(file), todo=_AGAIN, missing=True) from None
    except OSError as error:
        raise CertificateError("the certificate cannot be read", value=f"{file}: {error.strerror}", todo=_AGAIN) from error
    if len(content) > _MOST_BYTES:
        raise CertificateError("the certificate is too large", value=f"over {_MOST_BYTES} bytes", todo=_AGAIN)
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CertificateError("the certificate is not readable JSON", value=f"{file}: {error}", todo=_AGAIN) from error
    version = facts.get("format_version") if isinstance(facts, dict) else None
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise CertificateError(
            "the certificate's format version is unknown", value=version, todo=f"This smidgen reads version {FORMAT_VERSION}. {_AGAIN}"
        )
    try:
        return Certificate.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise CertificateError(f"the certificate is not valid at {where or 'its whole'}", value=first["msg"], todo=_AGAIN) from error


def register(paper: Certificate) -> None:
    """Keep a copy of a certificate. Raises CertificateError where it cannot be written."""
    file = _register_folder(paper.bundle.sha256) / f"{paper.id}.json"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_file.write(file, (json.dumps(paper.facts(), ensure_ascii=False) + "\n").encode("utf-8"))
    except OSError as error:
        raise CertificateError(
            "the certificate cannot be entered in the register", value=f"{file}: {error.strerror}", todo="Make room on the disk."
        ) from error


def registered(sha256: str) -> list[Certificate]:
    """The certificates of the bundle whose manifest has this SHA-256. Raises CertificateError where one of them cannot be read."""
    folder = _register_folder(sha256)
    try:
        return [read(file) for file in sorted(folder.glob("*.json"))]
    except CertificateError as error:
        raise CertificateError(
            "the register of the bundle's certificates cannot be read, and what audits found would be forgotten",
            value=f"{folder}: {error.what}",
            todo="Put a copy of the folder back.",
        ) from error


def _register_folder(sha256: str) -> Path:
    return home() / "certificates" / sha256
