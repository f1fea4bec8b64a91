"""Marks of rows: by them two samples are compared without keeping any text.

A row's mark is a keyed hash of its text and its output; the key is made of this machine's own, so that nobody else can tell from a mark
whether a text that he can guess was in the sample. Of a large sample the smallest marks are kept: they are a random part of it, and of any
other sample the rows whose marks are as small tell which share of it the two have in common (Broder 1997).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MOST = 4096
"""Marks of one sample that are kept."""
_BYTES = 6
MOST_SIGNS = MOST * _BYTES * 4 // 3
_PERSON = b"smidgen rows"


class Marks:
    """The marks of one sample, all of them, or the smallest `MOST`."""

    def __init__(self, values: Iterable[bytes]) -> None:
        self._values = sorted(set(values))

    @classmethod
    def of(cls, rows: Iterable[tuple[Any, Any]], key: Ed25519PrivateKey) -> Marks:
        """Those of (input, output) rows, all of them: what is asked which share it has of another."""
        secret = hashlib.blake2b(key.private_bytes_raw(), digest_size=32, person=_PERSON).digest()
        return cls(
            hashlib.blake2b(
                json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"), key=secret, digest_size=_BYTES
            ).digest()
            for row in rows
        )

    @classmethod
    def read(cls, text: str) -> Marks:
        """Those that were written. Raises ValueError for what is none."""
        content = base64.b64decode(text, validate=True)
        if len(content) % _BYTES or len(text) > MOST_SIGNS:
            raise ValueError("these are no marks")
        return cls(content[start : start + _BYTES] for start in range(0, len(content), _BYTES))

    @property
    def text(self) -> str:
        """As they are written: the smallest `MOST` at most."""
        return base64.b64encode(b"".join(self._values[:MOST])).decode("ascii")

    def share_in(self, other: Marks) -> float:
        """Which share of these rows stands in another sample, of which so much is known as was written: 0 where nothing can be told."""
        known = set(other._values[:MOST])
        # Of a sample that was written whole every row is known, of a larger one those up to its last mark.
        seen = self._values if len(known) < MOST else [value for value in self._values if value <= other._values[MOST - 1]]
        return sum(value in known for value in seen) / len(seen) if seen else 0.0
