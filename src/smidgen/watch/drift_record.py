"""The record of drift tests on a model's traffic: their number, and the result of the last one.

It holds no text and no words of one, because deleted traffic must not live on here. It is a small file in smidgen's home, one for each
bundle and name that it is served under. A new champion has a file of its own, so its looks are counted anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import filelock
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from smidgen.core.errors import SmidgenError
from smidgen.store import files
from smidgen.store.files import home

_MOST_BYTES = 262_144
_LOCK_SECONDS = 10


class DriftError(SmidgenError):
    """The looks at a model's traffic cannot be counted."""


class DriftRecord(BaseModel):
    """The stored record. A look is counted before it is made; its result is written down after it.

    Attributes:
        bundle_id: of the bundle that was served, under this `name`.
        looks: the number of looks, including one that is under way or broke off.
        sample_sha256: of the requests of the last look: a repeat on the same requests is not a further look.
        newest: the time of the newest request that a look used.
        at: when the last finished look was.
        last: its result, JSON.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    bundle_id: str = Field(max_length=100)
    name: str = Field(max_length=200)
    looks: int = Field(default=0, ge=0)
    sample_sha256: str = Field(default="", max_length=64)
    newest: AwareDatetime | None = None
    at: AwareDatetime | None = None
    last: dict[str, Any] | None = None

    @property
    def alarm(self) -> bool:
        """Whether the last look raised an alarm."""
        return bool(self.last and self.last.get("alarm") is True)

    @property
    def moved(self) -> list[str]:
        """The views that had moved in the last look."""
        moved = (self.last or {}).get("moved")
        return [str(what) for what in moved] if isinstance(moved, list) else []

    @property
    def sizes(self) -> dict[str, float]:
        """The size of each tested shift in the last look, 0..1."""
        tests = (self.last or {}).get("tests")
        found = [test for test in tests if isinstance(test, dict)] if isinstance(tests, list) else []
        return {str(test["what"]): float(test["size"]) for test in found if isinstance(test.get("size"), int | float) and "what" in test}

    def looking(self, sample_sha256: str) -> DriftRecord:
        """The record before a look at these requests, which gets the number `looks`. It counts as spent from now on, whatever its
        result."""
        return self.model_copy(update={"looks": self.next(sample_sha256), "sample_sha256": sample_sha256})

    def looked(self, look: int, newest: datetime, at: datetime, found: dict[str, Any]) -> DriftRecord:
        """The record after the look of this number. If a later look has ended already, its result stays. A time later than now (`at`) comes
        from
        a clock that was ahead: it is not stored, because nothing would be newer until then."""
        known = self.newest if self.newest is not None and self.newest <= at else newest
        latest = min(at, max(known, newest))
        before = (self.last or {}).get("look")
        if isinstance(before, int) and before > look:
            return self.model_copy(update={"newest": latest})
        return self.model_copy(update={"newest": latest, "at": at, "last": found})

    def next(self, sample_sha256: str) -> int:
        """The number of a look at these requests: the next one, unless they were the last to be looked at."""
        return self.looks if self.looks and sample_sha256 == self.sample_sha256 else self.looks + 1


def place(bundle_id: str, name: str) -> Path:
    """The file of the record of a bundle, under the name that requests use."""
    return home() / "drift" / f"{hashlib.sha256(json.dumps([bundle_id, name]).encode()).hexdigest()[:24]}.json"


def read(bundle_id: str, name: str) -> DriftRecord:
    """Read the record; a new one if there is none. Raises OSError or ValueError if it cannot be read."""
    try:
        with place(bundle_id, name).open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return DriftRecord(bundle_id=bundle_id, name=name)
    if len(content) > _MOST_BYTES:
        raise ValueError("it is too large")
    try:
        return DriftRecord.model_validate_json(content)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"]) from error


def change(bundle_id: str, name: str, how: Callable[[DriftRecord], DriftRecord]) -> DriftRecord:
    """Read, change and write the record under a lock; returns the new record.

    Raises DriftError if it cannot be read or written. A damaged record is not replaced silently: spent looks would be forgotten.
    """
    file = place(bundle_id, name)
    try:
        file.parent.mkdir(exist_ok=True)
        with filelock.FileLock(file.with_suffix(".lock"), timeout=_LOCK_SECONDS):
            changed = how(read(bundle_id, name))
            files.write(file, (json.dumps(changed.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n").encode("utf-8"))
            return changed
    except (OSError, ValueError) as error:
        raise DriftError("watch.drift_tests_cannot_be_counted", value=str(file), error=error) from error
