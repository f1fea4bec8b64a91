"""Keyed hashes: names that cannot be read back, and the side that a text falls on, for ever."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata

_HEX = 32
_BITS = 53


class Sides:
    """See above.

    Args:
        key: the store's own secret, hex. It lies in the store: whoever moves the store keeps the sides.
        held_out: the share of texts that is never learnt from, 0..1.
    """

    def __init__(self, key: str, held_out: float) -> None:
        self._key = bytes.fromhex(key)
        self.share = held_out

    def hashed(self, purpose: str, value: str) -> str:
        """The name of a value; empty for none. Values of different purposes have names of their own."""
        return self._digest(purpose, value).hexdigest()[:_HEX] if value else ""

    def held_out(self, input: str | None, id: str) -> bool:
        """Whether a request is held out: by its text, so that the same text, however it is spaced or capitalised, is always on the same
        side; by its id where it has none."""
        text = None if input is None else " ".join(unicodedata.normalize("NFKC", input).casefold().split())
        return self._among("side", f"text {text}" if text is not None else f"id {id}", self.share)

    def drawn(self, purpose: str, value: str, share: float) -> bool:
        """Whether a value is among a share, 0..1, that is drawn for a purpose. Those of a smaller share are among those of a larger one."""
        return self._among(f"draw {purpose}", value, share)

    def _among(self, purpose: str, value: str, share: float) -> bool:
        digest = self._digest(purpose, value).digest()
        return (int.from_bytes(digest[:8], "big") >> (64 - _BITS)) < share * (1 << _BITS)

    def _digest(self, purpose: str, value: str) -> hmac.HMAC:
        return hmac.new(self._key, f"{purpose}\0{value}".encode("utf-8", "replace"), hashlib.sha256)
