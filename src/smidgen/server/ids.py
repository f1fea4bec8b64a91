"""Names for requests and replies: unique, and cheap to make. They are no secrets."""

from __future__ import annotations

import itertools
import secrets

_PROCESS = secrets.token_hex(8)
_numbers = itertools.count(1)


def fresh() -> str:
    """A name that no other request has, here or in another process: 24 hexadecimal digits."""
    return f"{_PROCESS}{next(_numbers):08x}"
