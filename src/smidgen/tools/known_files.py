"""The tool files of desks that were built on this machine, and the test copies in which their calls were made.

A bundle says which tools its desk has learnt, and names no place: so it moves to another machine. Where the file lies that says how they
are called, this machine remembers, by a key of the desk: two shops may have the same tools, each with its own addresses. On
another machine the file is named: by `--tools`, or in the desk file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from smidgen.store.files import home, write

_MOST = 1_000
_COPY = " copy"
_MANIFEST = "smidgen.json"


def desk_key(tools: str, policy: bytes, members: Mapping[str, Path]) -> str:
    """Return the key of a desk: its tools as `dump_tools` writes them, its policy, and its members, by role the folder of a bundle."""
    parts = [hashlib.sha256(part).hexdigest() for part in (tools.encode(), policy)]
    parts += [role + hashlib.sha256((folder / _MANIFEST).read_bytes()).hexdigest() for role, folder in sorted(members.items())]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def remember_tool_file(desk: str, file: Path, copy: str | None = None) -> None:
    """Remember where the tool file of a desk lies, and in which test copy its tools are called; `desk`: see `desk_key`."""
    found = _remembered()
    for key, place in ((desk, str(file.resolve())), (desk + _COPY, copy)):
        found.pop(key, None)
        if place is not None:
            found[key] = place
    write(_list(), json.dumps(dict(list(found.items())[-_MOST:]), indent=1).encode())


def known_tool_file(desk: str) -> Path | None:
    """The tool file of this desk, if this machine knows one and it is still there."""
    place = _remembered().get(desk)
    return Path(place) if place is not None and Path(place).is_file() else None


def known_test_copy(desk: str) -> str | None:
    """The test copy in which this desk was last measured here; None without one. It may be gone."""
    return _remembered().get(desk + _COPY)


def _remembered() -> dict[str, str]:
    try:
        found = json.loads(_list().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(place) for key, place in found.items()} if isinstance(found, dict) else {}


def _list() -> Path:
    return home() / "tool_files.json"
