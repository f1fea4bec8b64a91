"""On which side of the line a text falls, for ever: learnt from, chosen by, or certified on.

The side is a keyed hash of the text alone, so the same text falls on the same side whenever it comes, whatever it was answered, and nobody
can pick a text's side who does not know the key.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

from smidgen.core.rows import Text, joined
from smidgen.data.near import folded

CHOOSING_SHARE = 0.4
"""Of the held-out texts, those that choose between models. The rest certify: a bound takes more rows than a comparison."""
_BITS = 53


class Side(StrEnum):
    """What a text is for."""

    LEARNING = "learning"
    CHOOSING = "choosing"
    CERTIFYING = "certifying"


def side(text: Text, key: str, held_out: float) -> Side:
    """The side of a text that nobody has put on one yet. `held_out` is the share of texts that are not learnt from."""
    return held_side(text, key) if draw(text, key, "held-out") < held_out else Side.LEARNING


def held_side(text: Text, key: str) -> Side:
    """The side of a text that is held out already."""
    return Side.CHOOSING if draw(text, key, "choosing") < CHOOSING_SHARE else Side.CERTIFYING


def draw(text: Text, key: str, purpose: str) -> float:
    """A number in [0, 1) that a text has for a purpose under this key; case, punctuation and spaces change nothing. Numbers for different
    purposes have nothing to do with one another."""
    digest = hashlib.blake2b(folded(joined(text)).encode("utf-8", "surrogatepass"), key=key.encode(), person=purpose.encode()[:16])
    return float((int.from_bytes(digest.digest()[:8], "big") >> (64 - _BITS)) / (1 << _BITS))
