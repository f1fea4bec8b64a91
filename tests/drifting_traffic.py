"""Captured traffic of a known bundle, about eight subjects or a ninth, and vectors of it that need no weights."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.certified_bundle import WORDS

from smidgen.store.traffic.records import Exchange
from smidgen.store.traffic.store import TrafficStore

START = datetime(2026, 5, 1, tzinfo=UTC)
SUBJECTS = ("parcel", "refund", "invoice", "lamp", "voucher", "return", "address", "colour")
NEW = "klarna"
_WIDTH = 24


def letters(number: int) -> str:
    """A name that no other number has."""
    return "".join(chr(97 + number // 26**place % 26) for place in range(4))


def text(number: int, new: bool = False) -> str:
    """A text that no other number has. Of a new subject the known bundle always answers the second label, and never surely."""
    rng = np.random.default_rng(number)
    # Four of five are answered by the first label.
    word = WORDS[99] if new else WORDS[2 * int(rng.integers(0, 45)) + int(rng.random() < 0.2)]
    subject = NEW if new else SUBJECTS[int(rng.integers(0, 8))]
    return f"{word} about the {subject} {letters(number)}"


def vectors(texts: Sequence[Any]) -> NDArray[np.float32]:
    """Unit vectors by the words of texts."""
    found = np.zeros((len(texts), _WIDTH), dtype=np.float32)
    for place, one in enumerate(texts):
        for word in str(one).split():
            found[place, int.from_bytes(hashlib.sha256(word.encode()).digest()[:2], "big") % _WIDTH] += 1
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def capture(store: TrafficStore, numbers: Sequence[int], new_every: int = 0, asked: str = "support", **more: Any) -> None:
    """Store a request for each number, a minute apart by it; every so many are of the new subject."""
    store.add(
        [
            Exchange(
                id=f"req_{number}",
                time=START + timedelta(minutes=number),
                asked=asked,
                path="/v1/chat/completions",
                input=text(number, bool(new_every) and number % new_every == 0),
                answered_by="local",
                **more,
            )
            for number in numbers
        ]
    )


def at(number: int) -> datetime:
    """When the request of this number came."""
    return START + timedelta(minutes=number)
