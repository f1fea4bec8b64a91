"""The door at which requests are counted for the account: it looks at what goes in and out, and changes nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smidgen.gateway import budget as budgets
from smidgen.server import slip as slips
from smidgen.server.bookkeeper import Bookkeeper
from smidgen.server.measured_sizes import MeasuredSizes
from smidgen.server.observation import of
from smidgen.server.slip import MOST, OTHER, Slip
from smidgen.store.account import Entry, Key

if TYPE_CHECKING:
    from smidgen.server.tariff import Tariff

_UNDER = "/v1/"
_FEEDBACK = "/v1/feedback"
_BY = ("local", "upstream", "cache")
_GONE = 499
_MARK = b"x-smidgen-"
_COUNTS = re.compile(r"\d+ of \d+")
"""Of the questions of a request, so many: a reason each, if they were kept."""


class Accounting:
    """Counts what is posted under `/v1/`, and whatever else an upstream answers.

    Args:
        app: the doors behind it.
        bookkeeper: adds up.
        tariff: prices and names of large models; None without a fallback.
        instead: what the first fallback calls its model: what local answers are compared to. Empty where there is none.
        sizes: told of what the upstream counted of requests to a bundle; None for nobody.
    """

    def __init__(
        self, app: ASGIApp, bookkeeper: Bookkeeper, tariff: Tariff | None, instead: str, sizes: MeasuredSizes | None = None
    ) -> None:
        self._app, self._bookkeeper, self._tariff, self._instead, self._sizes = app, bookkeeper, tariff, instead, sizes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it through, and count it when it is done, however it ended."""
        if scope["type"] != "http" or not scope["path"].startswith(_UNDER) or scope["path"] == _FEEDBACK:
            await self._app(scope, receive, send)
            return
        seen = _Seen(Slip(budgets.today()))
        began = time.perf_counter()

        async def noted(message: Message) -> None:
            await send(message)
            seen.sent(message)

        of(scope)  # made here, where all who ask later see the same one
        with slips.opened(seen.slip):
            try:
                await self._app(scope, receive, noted)
            finally:
                self._count(seen, scope, time.perf_counter() - began)
                self._bookkeeper.looped(time.thread_time())

    def _count(self, seen: _Seen, scope: Scope, seconds: float) -> None:
        marks = seen.marks()
        by = seen.by(marks)
        if scope["method"] != "POST" and by != "upstream":
            return
        slip, tariff = seen.slip, self._tariff
        named = slip.bundle or (tariff.name(slip.named) if tariff is not None and slip.named else OTHER)
        key = Key(slip.day, named, by, seen.why(by, marks))
        failed = by == "none" or seen.failed
        entry, price = slip.paid, None
        entry.requests, entry.errors = 1, int(failed)
        if by == "local":
            entry.add(_tokens(slip))
        if self._sizes is not None and by == "upstream" and slip.bundle and not (failed or entry.read_estimated or entry.written_estimated):
            self._sizes.note(slip.bundle, slip.asks, entry.read, entry.written)
        if tariff is not None and by == "upstream" and entry.spent:
            price = tariff.noted(slip.day, marks.get(b"model", ""))
        elif tariff is not None and by in ("local", "cache") and slip.instead is not None:
            saved = tariff.cost(self._instead, *slip.instead)
            entry.saved, entry.unsaved = min(saved or 0, MOST), int(saved is None)
            price = tariff.noted(slip.day, self._instead)
        local = of(scope).local_seconds
        busy = local if local is not None else seconds if slip.answered else 0.0
        self._bookkeeper.take(key, entry, None if failed else seconds, busy, price)
        slip.late = lambda paid: self._bookkeeper.take(key, paid)


class _Seen:
    """What was seen of an answer."""

    def __init__(self, slip: Slip) -> None:
        self.slip = slip
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._complete = False

    def sent(self, message: Message) -> None:
        """A piece of it has gone."""
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], message.get("headers", [])
        elif message["type"] == "http.response.body":
            self._complete = not message.get("more_body", False)

    @property
    def failed(self) -> bool:
        """Whether it is an error, or not the whole of an answer."""
        return not (200 <= self._status < 400 and self._complete)

    def marks(self) -> dict[bytes, str]:
        """What it says of who it is from, by the names of its headers behind `x-smidgen-`."""
        size = len(_MARK)
        return {name[size:]: value.decode("latin-1") for name, value in self._headers if name.startswith(_MARK)}

    def by(self, marks: Mapping[bytes, str]) -> str:
        """Who answered: as the answer says; where no gateway said so, a bundle that did."""
        said = marks.get(b"answered-by", "")
        if said in _BY:
            return "none" if said == "local" and not 200 <= self._status < 400 else said
        return "local" if not said and self.slip.answered and self._status == 200 else "none"

    def why(self, by: str, marks: Mapping[bytes, str]) -> str:
        """Why it was not answered under a certificate, one of a few words; empty where it was."""
        escalated = marks.get(b"escalated", "").partition(" (")[0]
        if self._status == _GONE:
            return "client gone"
        if by == "local":
            uncertified = _COUNTS.sub("some", marks.get(b"uncertified", ""))
            return uncertified or ("" if b"certificate" in marks else "asked directly")
        if by == "none":
            return escalated or ("refused" if 400 <= self._status < 500 else "failed")
        return escalated or "passed"


def _tokens(slip: Slip) -> Entry:
    """A bundle's."""
    return Entry(read=slip.read, written=slip.written, read_estimated=slip.read_estimated, written_estimated=slip.written_estimated)
