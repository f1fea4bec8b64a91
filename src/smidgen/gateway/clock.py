"""The latest time that this machine had while it served under a certificate: a clock that is set back revives nothing that has ended.

Each certificate has a small file in smidgen's home. It is written about once a minute, while the certificate is asked for, and at once
where it has ended. What it says only grows, but where two processes write at the same moment: then the earlier of two times, about a minute
apart at most, may stay until the next is written. Where the home cannot be written, the process remembers by itself, and a restart
forgets.
"""

from __future__ import annotations

import contextlib
import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

from smidgen.store import atomic
from smidgen.store.home import home

SLACK = timedelta(minutes=5)
"""A clock may be set back so far and still tell the time: time servers do that."""

_EACH = timedelta(minutes=1)
_MOST_BYTES = 1000
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def place(certificate: str) -> Path:
    """The file of a certificate, by its id."""
    return home() / "clocks" / f"{certificate}.json"


def latest(certificate: str) -> datetime:
    """The latest time that was written down for a certificate; long ago where there is none. Raises OSError or ValueError where it cannot
    be read."""
    try:
        with place(certificate).open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return _LONG_AGO
    if len(content) > _MOST_BYTES:
        raise ValueError("it is too large")
    found = json.loads(content)
    seconds = found.get("seen") if isinstance(found, dict) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        raise ValueError("it says no time")
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError("it says no time that can be") from error


class Clock:
    """The latest time of one certificate, in memory and on the disk.

    Args:
        certificate: its id.
        ends: when it ends.

    Raises OSError or ValueError where what was written down cannot be read.
    """

    def __init__(self, certificate: str, ends: datetime) -> None:
        self.certificate, self._ends = certificate, ends
        self._seen = self._kept = latest(certificate)

    def see(self, now: datetime) -> datetime:
        """The latest time, now included."""
        if now > self._seen:
            self._seen = now
        return self._seen

    def due(self, now: datetime) -> bool:
        """Whether it is time to write it down."""
        return now - self._kept >= _EACH or (now >= self._ends > self._kept)

    def keep(self) -> None:
        """Write it down, where that can be done; another process may have written a later one meanwhile."""
        self._kept = self._seen  # also where it fails: it is tried again in a minute, not at the next request
        file = place(self.certificate)
        with contextlib.suppress(OSError, ValueError):
            file.parent.mkdir(exist_ok=True)
            self._seen = max(self._seen, latest(self.certificate))
            atomic.write(file, (json.dumps({"seen": self._seen.timestamp()}) + "\n").encode("ascii"))
