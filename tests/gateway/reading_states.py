"""How an answer is read: at once, and a few bytes at a time."""

from __future__ import annotations

from smidgen.gateway.answer_reading import AnswerReader


def states(kind: str, body: bytes) -> list[str]:
    """How it went by each of the two ways of reading it."""
    found = []
    for step in (len(body), 7 if len(body) < 10_000 else 100_000):
        reading = AnswerReader(kind)
        for start in range(0, len(body), step):
            reading.feed(body[start : start + step])
        reading.end()
        found.append(str(reading.state))
    return found
