"""The tool files of desks that were built on this machine, and the test copies in which their calls were made.

A bundle says which tools its desk has learnt, and names no place: so it moves to another machine. Where the file lies that says how they
are called, this machine remembers, by the hash of the tools. On another machine the file is named: by `--tools`, or in the desk file.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from smidgen.store.files import home, write

_MOST = 1_000
_COPY = " copy"


def remember_tool_file(tools: str, file: Path, copy: str | None = None) -> None:
    """Remember where the tool file of these tools lies, and in which test copy they are called; `tools`: as `dump_tools` writes them."""
    found = _remembered()
    for key, place in ((_key(tools), str(file.resolve())), (_key(tools) + _COPY, copy)):
        found.pop(key, None)
        if place is not None:
            found[key] = place
    write(_list(), json.dumps(dict(list(found.items())[-_MOST:]), indent=1).encode())


def known_tool_file(tools: str) -> Path | None:
    """The tool file of these tools, if this machine knows one and it is still there."""
    place = _remembered().get(_key(tools))
    return Path(place) if place is not None and Path(place).is_file() else None


def known_test_copy(tools: str) -> str | None:
    """The test copy in which a desk with these tools was last measured here; None without one. It may be gone."""
    return _remembered().get(_key(tools) + _COPY)


def _remembered() -> dict[str, str]:
    try:
        found = json.loads(_list().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(place) for key, place in found.items()} if isinstance(found, dict) else {}


def _list() -> Path:
    return home() / "tool_files.json"


def _key(tools: str) -> str:
    return hashlib.sha256(tools.encode()).hexdigest()
