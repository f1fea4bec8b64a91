"""What a client says of caching in its headers (RFC 9111), and an upstream of its answer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_DAYS = 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class Directives:
    """`store`: whether the answer may be kept, and one that is kept be given; `reuse`: whether one may be given; `fresh`: in seconds, how
    old it may be."""

    store: bool = True
    reuse: bool = True
    fresh: float = _DAYS


def directives(headers: Iterable[tuple[bytes, bytes]]) -> Directives:
    """What `Cache-Control` says: `no-store`, `no-cache`, `max-age=SECONDS`; without it `Pragma: no-cache`. An age that is no number is none
    at all: nothing is fresh enough for it."""
    given = [(name.lower(), value.decode("latin-1").lower()) for name, value in headers]
    words = [word.strip() for name, value in given if name == b"cache-control" for word in value.split(",")]
    if not words:
        words = [word.strip() for name, value in given if name == b"pragma" for word in value.split(",")]
    fresh = _DAYS
    for word in words:
        name, _, value = word.partition("=")
        if name.strip() == "max-age":
            said = value.strip().strip('"')
            fresh = min(fresh, float(said[:9]) if said.isascii() and said.isdigit() else 0.0)
    return Directives("no-store" not in words, "no-cache" not in words and fresh > 0, fresh)
