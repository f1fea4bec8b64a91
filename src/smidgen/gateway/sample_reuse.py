"""Repeated tests on one sample: fingerprints of its rows, and the confidence that earlier tests have spent.

A failed test that is repeated on other terms, with a few rows more or less, or with another bundle, passes some day by chance. So each
test is recorded in smidgen's home, in `looks/`, before any result is seen, with the level that it spends. A later test on much of the
same rows gets the rest: asked for δ, it is tested at δ minus the level spent before.

Two kinds of earlier tests count as spent: failed tests of any bundle, and tests of the same bundle on other terms, failed or not, because
of several that pass the best would be chosen. So the chance that any of these gives a false certificate is at most δ, by the union bound,
provided that no terms were chosen by the result of an earlier test. Repeating a test gives its result again and spends nothing. A line
counts its own tests: see `stats.risk_bounds`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import filelock
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smidgen.core.errors import CertificateError
from smidgen.store import files
from smidgen.store.files import home

MOST_FINGERPRINTS = 4096
"""Most fingerprints of one sample that are stored."""
_BYTES = 6
LONGEST_FINGERPRINTS = MOST_FINGERPRINTS * _BYTES * 4 // 3
_PERSON = b"smidgen rows"


class RowFingerprints:
    """Fingerprints of a sample's rows, to compare two samples without storing any text.

    A fingerprint is a keyed hash of a row's text and output. The key is derived from this machine's own, so that nobody else can test a
    guessed text. Of a large sample the smallest `MOST_FINGERPRINTS` are stored. They are a random part of it, and show the share of its
    rows that another sample has (MinHash; Broder 1997).
    """

    def __init__(self, values: Iterable[bytes]) -> None:
        self._values = sorted(set(values))

    @classmethod
    def of(cls, rows: Iterable[tuple[Any, Any]], key: Ed25519PrivateKey) -> RowFingerprints:
        """The fingerprints of all (input, output) rows."""
        secret = hashlib.blake2b(key.private_bytes_raw(), digest_size=32, person=_PERSON).digest()
        return cls(
            hashlib.blake2b(
                json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"), key=secret, digest_size=_BYTES
            ).digest()
            for row in rows
        )

    @classmethod
    def read(cls, text: str) -> RowFingerprints:
        """Read fingerprints from their text. Raises ValueError for any other text."""
        content = base64.b64decode(text, validate=True)
        if len(content) % _BYTES or len(text) > LONGEST_FINGERPRINTS:
            raise ValueError("these are not fingerprints")
        return cls(content[start : start + _BYTES] for start in range(0, len(content), _BYTES))

    @property
    def text(self) -> str:
        """The smallest `MOST_FINGERPRINTS`, base64."""
        return base64.b64encode(b"".join(self._values[:MOST_FINGERPRINTS])).decode("ascii")

    def share_in(self, other: RowFingerprints) -> float:
        """The share of these rows that is in another sample, estimated from that one's stored fingerprints; 0 if they allow no estimate."""
        known = set(other._values[:MOST_FINGERPRINTS])
        # Of a small sample every row is known, of a larger one those up to its last stored fingerprint.
        seen = (
            self._values
            if len(known) < MOST_FINGERPRINTS
            else [value for value in self._values if value <= other._values[MOST_FINGERPRINTS - 1]]
        )
        return sum(value in known for value in seen) / len(seen) if seen else 0.0


MOST_SHARED = 0.1
"""Greatest share of common rows for two samples to count as different."""
_LOCK_SECONDS = 10
_MOST_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SampleTest:
    """A test on a sample.

    Attributes:
        bundle: the SHA-256 of the bundle's manifest.
        rows: the SHA-256 of the sample's rows, as they were read.
        marks: fingerprints of the rows.
        n: rows tested on.
        terms: the terms of the test, in canonical form.
        level: the part of δ that it spends.
        overall: the part of the bound on all requests that it spends; 0 without such a bound.
        passed: whether it gave a certificate.
    """

    bundle: str
    rows: str
    marks: str
    n: int
    terms: str
    level: float
    overall: float = 0.0
    passed: bool = False

    @property
    def id(self) -> str:
        """An id derived from the test: equal tests have equal ids."""
        said = json.dumps([self.bundle, self.rows, self.n, self.terms])
        return hashlib.sha256(said.encode("utf-8")).hexdigest()[:32]

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class SpentConfidence:
    """The parts of δ and of the bound on all requests that earlier tests on much the same rows spent, and the number of those tests."""

    level: float = 0.0
    overall: float = 0.0
    looks: int = 0


def begin_test(look: SampleTest) -> tuple[SampleTest, SpentConfidence]:
    """Record a test before it is made; returns it with the levels it may spend, and the levels spent before. The levels of `look` are the
    bounds for all tests together.

    Raises CertificateError if earlier tests cannot be read, or this one cannot be written. If no level is left, nothing is written.
    """
    folder = home() / "looks"
    folder.mkdir(exist_ok=True)
    with filelock.FileLock(home() / "looks.lock", timeout=_LOCK_SECONDS):
        before = [_read(file) for file in sorted(folder.glob("*.json"))]
        same = next((one for one in before if one.id == look.id), None)
        if same is not None:
            return same, _spent(look, [one for one in before if one.id != look.id])
        spent = _spent(look, before)
        look = replace(look, level=look.level - spent.level, overall=look.overall - spent.overall if look.overall else 0.0)
        if look.level > 0 and look.overall >= 0:
            _write(look)
    return look, spent


def mark_passed(look: SampleTest) -> None:
    """Record that a test gave a certificate. Raises CertificateError if it cannot be written."""
    _write(replace(look, passed=True))


def forget_test(look: SampleTest) -> None:
    """Delete a test of which no loss was seen."""
    with contextlib.suppress(OSError):
        _place(look).unlink(missing_ok=True)


def _spent(look: SampleTest, before: list[SampleTest]) -> SpentConfidence:
    marks, counted = _fingerprints(look), []
    for one in before:
        other = one.bundle == look.bundle and one.terms != look.terms
        if (other or not one.passed) and (one.rows == look.rows or marks.share_in(_fingerprints(one)) > MOST_SHARED):
            counted.append(one)
    return SpentConfidence(sum(one.level for one in counted), sum(one.overall for one in counted), len(counted))


def _fingerprints(look: SampleTest) -> RowFingerprints:
    try:
        return RowFingerprints.read(look.marks)
    except ValueError:
        return RowFingerprints([])


def _place(look: SampleTest) -> Path:
    return home() / "looks" / f"{look.id}.json"


def _write(look: SampleTest) -> None:
    try:
        files.write(_place(look), (json.dumps(look.json()) + "\n").encode("ascii"))
    except OSError as error:
        raise CertificateError("gateway.test_on_these_rows_cannot_be_recorded", value=f"{_place(look)}: {error.strerror}") from error


def _read(file: Path) -> SampleTest:
    try:
        with file.open("rb") as stream:
            facts = json.loads(stream.read(_MOST_BYTES))
        look = SampleTest(**{name: facts[name] for name in SampleTest.__slots__})
        fine = 0 < look.level < 1 and 0 <= look.overall < 1 and all(isinstance(text, str) for text in (look.bundle, look.rows, look.marks))
        if not fine:
            raise ValueError("a number is out of range")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CertificateError("gateway.record_of_earlier_test_cannot_be_read", value=f"{file}: {error}") from error
    return look
