"""Hashes of content: the names under which things are stored."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_CHUNK = 1 << 20


def file_hash(file: Path) -> str:
    """SHA-256 of a file, hex; reads it in pieces."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def content_hash(value: Any) -> str:
    """SHA-256 of a JSON-ready value, hex; the order of keys does not matter."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def rows_hash(rows: Iterable[tuple[Any, Any]]) -> str:
    """SHA-256 of (input, output) pairs in their order, hex; holds one row at a time."""
    digest = hashlib.sha256()
    for given, wanted in rows:
        digest.update(json.dumps([given, wanted], ensure_ascii=False, separators=(",", ":")).encode("utf-8"))
        digest.update(b"\n")
    return digest.hexdigest()


@functools.cache
def code_hash() -> str:
    """SHA-256 over smidgen's own source, hex: changed code does not use an older step's stored result."""
    top = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for file in sorted(top.rglob("*.py")):
        digest.update(file.relative_to(top).as_posix().encode("utf-8"))
        digest.update(file.read_bytes())
    return digest.hexdigest()
