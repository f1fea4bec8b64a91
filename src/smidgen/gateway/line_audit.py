"""The audits of a line: one sequential test over all versions behind one name, beside each certificate's own.

A certificate's own test starts at nothing with every version. A line that promotes a slightly bad version every week would never be found
out. So each audit also enters the test of its line, which goes on through restarts, promotions and rollbacks. If that one has enough
evidence, every certificate whose audits it counted is revoked, and it starts anew: a new version needs a certificate on fresh rows. It also
starts anew after a certificate was revoked by its own audits. `stats/sequential_audit.py` says how both tests share delta.

A line is a folder of versions (`store/line.py`), wherever it lies. Outside lines it is the bundles of one name in one folder: a build that
takes the place of the one before, or stands beside it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock

from smidgen.core.errors import BundleError, InputError
from smidgen.gateway.certificate import Certificate
from smidgen.stats.sequential_audit import SequentialAudit
from smidgen.store import files
from smidgen.store.files import home
from smidgen.store.line import Line, is_line

_LOCK_SECONDS = 10
_MOST_BYTES = 16 * 1024 * 1024
_MOST_ENDED = 1000
"""Revoked tests that a line remembers; each has its own revocation, too."""
_DEPTH = 3
"""How far above a version, or one that is being made, its line may be."""


@dataclass(slots=True)
class LineAudit:
    """The audits of a line since its last revocation.

    Attributes:
        audit: the test of all of them; `alpha`, `delta` and segments are the present certificate's.
        tests: the certificates' own tests whose audits it counted, by their first certificate's id.
        ended: for each such test that the line's has revoked, why.
    """

    audit: SequentialAudit
    tests: tuple[str, ...] = ()
    ended: Mapping[str, str] = field(default_factory=dict)

    def join(self, test: str, own: SequentialAudit) -> None:
        """Let a certificate's own test take part, before its next audit. Both share delta as soon as the line has other versions."""
        if test not in self.tests:
            self.tests = (*self.tests, test)
        if len(self.tests) > 1:
            own.share(2)

    def observe(self, own: SequentialAudit, loss: float, probability: float, segment: str | None, client: str | None) -> bool:
        """Add an audit that `own` has taken in. Returns whether the line's test revokes."""
        self.audit.least_probability, self.audit.declared = own.least_probability, own.declared
        return self.audit.observe(loss, probability, segment, client)

    def end(self, why: str = "") -> None:
        """Start the test anew, after a revocation. `why`: if the line's test revokes, and so for all versions that took part."""
        ended = {**self.ended, **(dict.fromkeys(self.tests, why) if why else {})}
        self.ended = dict(list(ended.items())[-_MOST_ENDED:])
        self.audit, self.tests = begun(self.audit.alpha, self.audit.delta, self.audit.segments), ()

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"audit": self.audit.json(), "tests": list(self.tests), "ended": dict(self.ended)}


def line_file(bundle: Path, paper: Certificate) -> Path:
    """The file of the line's audits. Raises OSError if the line's pointer cannot be read."""
    place = bundle.resolve()
    line = next((folder for folder in place.parents[:_DEPTH] if is_line(folder)), None)
    try:
        told = ["line", Line(line).read().key] if line is not None else ["folder", str(place.parent), paper.bundle.name]
    except (BundleError, InputError) as error:
        raise OSError(f"the line cannot be read: {error}") from error
    return home() / "audits" / f"line-{hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]}.json"


def read(file: Path, paper: Certificate, segments: tuple[str, ...], *, known: bool) -> LineAudit:
    """The audits of a line, to go on with a certificate's terms. Raises OSError or ValueError if they cannot be read.

    `known`: whether the certificate's own state says that there are some: then a missing file has lost them.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        if known:
            raise ValueError(f"{file.name} is gone, and with it the findings of the line's audits") from None
        return LineAudit(begun(paper.alpha, paper.delta, segments))
    if len(content) > _MOST_BYTES:
        raise ValueError(f"{file.name} is too large")
    try:
        told = json.loads(content)
        state = {**told["audit"], "alpha": paper.alpha, "delta": paper.delta}
        tests, ended = tuple(map(str, told["tests"])), {str(name): str(why) for name, why in told["ended"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file.name} is not the state of a line's audits ({error})") from error
    return LineAudit(SequentialAudit.from_json(state, segments), tests, ended)


@contextlib.contextmanager
def turn(file: Path) -> Iterator[None]:
    """Hold the lock of a line's audits. Take it after that of the certificate's own."""
    file.parent.mkdir(exist_ok=True)
    with filelock.FileLock(file.with_suffix(".lock"), timeout=_LOCK_SECONDS):
        yield


def write(file: Path, found: LineAudit) -> None:
    """Write the audits of a line. Raises OSError."""
    files.write(file, (json.dumps(found.json()) + "\n").encode("ascii"))


def begun(alpha: float, delta: float, segments: tuple[str, ...]) -> SequentialAudit:
    """The test of a line that has no audits yet."""
    audit = SequentialAudit(alpha, delta, segments=segments)
    audit.share(2)
    return audit
