"""Draws by keyed hash: which requests are held out, and which local answers people audit."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from smidgen.store.traffic.records import from_timestamp
from smidgen.store.traffic.tables import REQUESTS

_HEX = 32
_BITS = 53


class KeyedHash:
    """Keyed hashes of names and texts.

    Args:
        key: the store's own secret, hex. It is part of the store, so a moved store keeps its sides.
        held_out: the share of texts that is never trained on, 0..1.
    """

    def __init__(self, key: str, held_out: float) -> None:
        self._key = bytes.fromhex(key)
        self.share = held_out

    def hashed(self, purpose: str, value: str) -> str:
        """The hash of a value; empty for an empty value. Equal values have different hashes for different purposes."""
        return self._digest(purpose, value).hexdigest()[:_HEX] if value else ""

    def held_out(self, input: str | None, id: str) -> bool:
        """Whether a request is held out: by its text, ignoring spaces and case, so that a text is always on one side; by its id if it has
        no text."""
        text = None if input is None else " ".join(unicodedata.normalize("NFKC", input).casefold().split())
        return self._among("side", f"text {text}" if text is not None else f"id {id}", self.share)

    def drawn(self, purpose: str, value: str, share: float) -> bool:
        """Whether a value is in the share, 0..1, drawn for a purpose. A smaller share is part of a larger one."""
        return self._among(f"draw {purpose}", value, share)

    def _among(self, purpose: str, value: str, share: float) -> bool:
        digest = self._digest(purpose, value).digest()
        return (int.from_bytes(digest[:8], "big") >> (64 - _BITS)) < share * (1 << _BITS)

    def _digest(self, purpose: str, value: str) -> hmac.HMAC:
        return hmac.new(self._key, f"{purpose}\0{value}".encode("utf-8", "replace"), hashlib.sha256)


# People audit some of the answers given under a certificate. A hash of the request's id and the certificate's, with the store's own
# key, draws them: nobody can choose an id that is drawn, and the quality of an answer has no influence.

Place = tuple[float, str]
"""The position of an answer: its time, seconds since 1970, and its request's id."""

_PAGE = 500


@dataclass(frozen=True, slots=True)
class DrawnAnswer:
    """A local answer that was drawn for an audit.

    Attributes:
        id: of the request.
        time: when that came.
        input: the stored text: personal data may have been removed from it.
        local_output: the answer, as JSON.
        held_out: whether the text is never trained on.
        place: see `Place`.
    """

    id: str
    time: datetime
    input: str
    local_output: str
    held_out: bool
    place: Place


def drawn_answers(
    reading: Callable[[], AbstractContextManager[Connection]],
    sides: KeyedHash,
    certificate: str,
    share: float,
    after: Place | None,
    until: float,
) -> Iterator[DrawnAnswer]:
    """The drawn answers, the oldest first.

    Args:
        reading: opens a transaction; one for each page.
        certificate: the id of the certificate that they were given under.
        share: of those answers, 0..1, that are drawn.
        after: only answers after this place.
        until: only those that came before, seconds since 1970.
    """
    while True:
        with reading() as connection:
            rows = connection.execute(_select_page(certificate, after, until)).all()
        if not rows:
            return
        for row in rows:
            after = (row.time, row.id)
            if sides.drawn(f"audit {certificate}", row.id, share):
                yield DrawnAnswer(row.id, from_timestamp(row.time), row.input, row.local_output, row.held_out, after)


def _select_page(certificate: str, after: Place | None, until: float) -> sql.Select[Any]:
    """The next answers under a certificate, after a place. A cut text is left out, because nobody could judge it."""
    one = REQUESTS.c
    wanted: list[sql.ColumnElement[bool]] = [
        one.certificate == certificate,
        one.answered_by == "local",
        one.why == "",
        one.input.is_not(None),
        one.local_output.is_not(None),
        sql.not_(one.truncated),
        one.time < until,
    ]
    if after is not None:
        wanted.append(sql.or_(one.time > after[0], sql.and_(one.time == after[0], one.id > after[1])))
    columns = (one.id, one.time, one.input, one.local_output, one.held_out)
    return sql.select(*columns).where(*wanted).order_by(one.time, one.id).limit(_PAGE)
