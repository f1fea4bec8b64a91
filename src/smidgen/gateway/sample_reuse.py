"""Samples that are tested on again: fingerprints of their rows, and what of the confidence earlier tests on the same rows have spent.

A test that fails and is repeated on other terms, with a few rows more or less, or with another bundle, passes some day, whatever is true.
So each test is written down in smidgen's home, in `looks/`, before anything is seen of it, with the level that it spends. A later test on
much of the same rows has what is left: asked for δ, it is tested at δ less what was spent before.

Spent is what tests took that failed, of any bundle, and tests of the same bundle on other terms, whether they failed or not: of several
that pass, the best would be kept. So the chance that any of these gives a certificate whose claim is false is at most δ, by the union
bound. That is of terms that were not chosen by what an earlier test showed. The same test once more gives the same and spends nothing. A
line counts its own tests: see `stats.spending`.
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
from smidgen.store import atomic_file
from smidgen.store.home import home

# Marks of rows: by them two samples are compared without keeping any text.
#
# A row's mark is a keyed hash of its text and its output; the key is made of this machine's own, so that nobody else can tell from a
# mark whether a text that he can guess was in the sample. Of a large sample the smallest marks are kept: they are a random part of it,
# and of any other sample the rows whose marks are as small tell which share of it the two have in common (Broder 1997).

MOST_FINGERPRINTS = 4096
"""Marks of one sample that are kept."""
_BYTES = 6
LONGEST_FINGERPRINTS = MOST_FINGERPRINTS * _BYTES * 4 // 3
_PERSON = b"smidgen rows"


class RowFingerprints:
    """The marks of one sample, all of them, or the smallest `MOST`."""

    def __init__(self, values: Iterable[bytes]) -> None:
        self._values = sorted(set(values))

    @classmethod
    def of(cls, rows: Iterable[tuple[Any, Any]], key: Ed25519PrivateKey) -> RowFingerprints:
        """Those of (input, output) rows, all of them: what is asked which share it has of another."""
        secret = hashlib.blake2b(key.private_bytes_raw(), digest_size=32, person=_PERSON).digest()
        return cls(
            hashlib.blake2b(
                json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"), key=secret, digest_size=_BYTES
            ).digest()
            for row in rows
        )

    @classmethod
    def read(cls, text: str) -> RowFingerprints:
        """Those that were written. Raises ValueError for what is none."""
        content = base64.b64decode(text, validate=True)
        if len(content) % _BYTES or len(text) > LONGEST_FINGERPRINTS:
            raise ValueError("these are no marks")
        return cls(content[start : start + _BYTES] for start in range(0, len(content), _BYTES))

    @property
    def text(self) -> str:
        """As they are written: the smallest `MOST` at most."""
        return base64.b64encode(b"".join(self._values[:MOST_FINGERPRINTS])).decode("ascii")

    def share_in(self, other: RowFingerprints) -> float:
        """Which share of these rows stands in another sample, of which so much is known as was written: 0 where nothing can be told."""
        known = set(other._values[:MOST_FINGERPRINTS])
        # Of a sample that was written whole every row is known, of a larger one those up to its last mark.
        seen = (
            self._values
            if len(known) < MOST_FINGERPRINTS
            else [value for value in self._values if value <= other._values[MOST_FINGERPRINTS - 1]]
        )
        return sum(value in known for value in seen) / len(seen) if seen else 0.0


MOST_SHARED = 0.1
"""Of a sample's rows, those that may have been looked at before for it to be another sample."""
_LOCK_SECONDS = 10
_MOST_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SampleTest:
    """A test on a sample of its own.

    Attributes:
        bundle: the SHA-256 of the bundle's manifest.
        rows: the SHA-256 of the sample's rows, as they were read.
        marks: of the rows, by which it is compared with another sample.
        n: how many of them were tested on.
        terms: what was asked for, in one certain spelling.
        level: of δ, what it spends; of the share of all requests that may be lost, `overall`.
        overall: see `level`; 0 where that was not asked.
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
        """The same for the same test."""
        said = json.dumps([self.bundle, self.rows, self.n, self.terms])
        return hashlib.sha256(said.encode("utf-8")).hexdigest()[:32]

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class SpentConfidence:
    """What earlier looks at much the same rows have spent: of δ, and of the share of all requests; and how many there were."""

    level: float = 0.0
    overall: float = 0.0
    looks: int = 0


def begin_test(look: SampleTest) -> tuple[SampleTest, SpentConfidence]:
    """Write down that a test is made, before anything is seen of it; returns it with what it may spend, and what was spent before. The
    levels of `look` are what is asked for, all looks together.

    Raises CertificateError where the looks so far cannot be read, or this one cannot be written. Where nothing is left nothing is written.
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


def passed(look: SampleTest) -> None:
    """Write down that it gave a certificate. Raises CertificateError where that cannot be done."""
    _write(replace(look, passed=True))


def forget_test(look: SampleTest) -> None:
    """Forget it: nothing was seen of the losses."""
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
        atomic_file.write(_place(look), (json.dumps(look.json()) + "\n").encode("ascii"))
    except OSError as error:
        raise CertificateError(
            "the look at these rows cannot be written down, and would be free the next time",
            value=f"{_place(look)}: {error.strerror}",
            todo="Make room on the disk.",
        ) from error


def _read(file: Path) -> SampleTest:
    try:
        with file.open("rb") as stream:
            facts = json.loads(stream.read(_MOST_BYTES))
        look = SampleTest(**{name: facts[name] for name in SampleTest.__slots__})
        fine = 0 < look.level < 1 and 0 <= look.overall < 1 and all(isinstance(text, str) for text in (look.bundle, look.rows, look.marks))
        if not fine:
            raise ValueError("its numbers cannot be")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CertificateError(
            "a record of an earlier look at a sample cannot be read, and what it spent would be forgotten",
            value=f"{file}: {error}",
            todo="Put a copy of the file back.",
        ) from error
    return look
