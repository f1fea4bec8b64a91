"""The border of the gateway: before a request leaves, its personal data is masked, or it does not leave; in the answer the values go back.

Whatever fails here keeps the request: nothing leaves unchecked.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

import httpx

from smidgen.core.errors import EngineError, RedactionError, shown
from smidgen.flows.border import Border, Masked, TooLong
from smidgen.gateway.address_words import Odd, odd
from smidgen.gateway.crossing import known, marks
from smidgen.gateway.leaving import ROUTES, read_once
from smidgen.gateway.privacy import FILE, Action
from smidgen.gateway.returning import mender, written
from smidgen.server.escalation import Unreachable
from smidgen.server.fair_turns import FairTurns, Places, Turn
from smidgen.server.leaving import Leaving
from smidgen.server.mending import mended
from smidgen.server.metering import Metering
from smidgen.server.upstream import Call

T = TypeVar("T")
_THREADS = 64
"""Requests that are being read or wait for their next turn: each has a thread."""


class Withheld(Unreachable):
    """A request that must not leave."""

    withheld = True

    @property
    def uncertified(self) -> str:
        """What a local answer in its place says of itself."""
        return "not sent"


class Keeper:
    """See above. Several requests are read at a time, those of different clients in rotation; how many wait, `--max-concurrent` bounds, how
    long, `seconds`.

    Args:
        border: what finds and masks.
        metering: counts what is found, and what is withheld.
        seconds: the longest that finding may take, with the time that a request waits for its turn.
        workers: how many are read at a time.
    """

    def __init__(self, border: Border, metering: Metering, seconds: float, workers: int = 3) -> None:
        self._border, self._metering, self._seconds = border, metering, seconds
        self._turns, self._places = FairTurns(workers), Places(workers)
        self._threads = ThreadPoolExecutor(max(_THREADS, workers), "privacy")

    def close(self) -> None:
        """Give up what waits."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def leaving(self, call: Call) -> Leaving:
        """The request as it may leave, and its answer with the values back. Raises Withheld."""
        headers = known(call.headers)
        await self._check_address(call)
        if call.body == b"":
            return Leaving(replace(call, headers=headers))
        tail = call.tail.decode("latin-1")
        coded = any(name.lower() == b"content-encoding" for name, _ in call.headers)
        readable = call.method == "POST" and tail in ROUTES and isinstance(call.body, bytes) and not coded
        read = read_once(call.body) if readable and isinstance(call.body, bytes) else None
        if read is None:
            if self._border.policy.of(FILE) is not Action.ALLOW:
                self._count(Counter({FILE: 1}), Action.BLOCK)
                raise self._withheld_unread("a body that is no JSON of a known route")
            return Leaving(replace(call, headers=headers))
        masked = await self._asked(call, partial(self._border.masked, read))
        self._count(masked.counts)
        if masked.unread and FILE in masked.blocked:
            raise self._withheld_unread(", ".join(masked.unread))
        if masked.blocked:
            raise self._blocked(masked.blocked)
        if masked.body is None:
            return Leaving(replace(call, headers=headers))
        plain = [*((name, value) for name, value in headers if name != b"accept-encoding"), (b"accept-encoding", b"identity")]
        return Leaving(replace(call, headers=plain, body=written(masked.body)), partial(_back, tail, masked))

    async def _check_address(self, call: Call) -> None:
        """Raise Withheld where the path or the query names what must not leave: neither can be masked."""
        told = _odd(call)
        find = partial(self._border.found, told.texts, coded=told.coded)
        counts = await self._asked(call, find) if told else Counter[str]()
        if counts:
            self._count(counts, Action.BLOCK)
            raise self._blocked(tuple(counts), "the address of the request", "Send it in a body.")

    async def _asked(self, call: Call, work: Callable[..., T]) -> T:
        """What some work of the border gives, which takes seconds and what is called between its parts. Raises Withheld for whatever it
        raises, and where it is not done in time."""
        client = call.asker.client
        turn = Turn(self._turns, client, time.monotonic() + self._seconds)

        def taken() -> T:
            with turn.held():
                return work(seconds=turn.until - time.monotonic(), between=turn)

        try:
            async with asyncio.timeout(self._seconds), self._places.place(client):
                return await asyncio.get_running_loop().run_in_executor(self._threads, taken)
        except TooLong as error:
            raise self._withheld("refused", f"{error.what}: {shown(error.value)}", error.todo, 413, "request_too_long") from None
        except RedactionError as error:
            raise self._withheld("refused", f"{error.what}: {shown(error.value)}", error.todo, 422) from None
        except TimeoutError:
            raise self._withheld("failed", f"it took longer than {self._seconds:g} s", "Try again, or send less at a time.", 503) from None
        except EngineError as error:
            raise self._withheld("failed", error.what, error.todo, 503) from None
        except Exception as error:  # noqa: BLE001 whatever breaks while personal data is looked for, the request must not leave
            raise self._withheld("failed", type(error).__name__, "Try again; the server's operator can look into it.", 503) from None
        finally:
            turn.over = True

    def _count(self, counts: Counter[str], action: Action | None = None) -> None:
        """Count what was found by what becomes of it: of each kind what the policy says, or one action of all."""
        for kind, times in counts.items():
            self._metering.private.labels(kind, (action or self._border.policy.of(kind)).value).inc(times)

    def _withheld(self, outcome: str, why: str, todo: str, status: int, code: str = "redaction_failed") -> Withheld:
        self._metering.withheld.labels(outcome).inc()
        what = "the request goes to the large model, and is not sent, for its personal data could not be taken out"
        return _error(what, why, todo, status, code)

    def _withheld_unread(self, what: str) -> Withheld:
        todo = f"Leave it out, or start the server with --privacy-kind {FILE}=allow."
        return self._withheld("unread", f"{what} cannot be read", todo, 422)

    def _blocked(self, kinds: tuple[str, ...], where: str = "the request", todo: str = "") -> Withheld:
        self._metering.withheld.labels("blocked").inc()
        what = f"{where} goes to the large model, and is not sent, for it holds personal data of a kind that must not leave"
        todo = todo or "Take it out, or start the server with another --privacy-kind."
        return _error(what, ", ".join(sorted(kinds)), todo, 422, "personal_data_blocked")


def _back(tail: str, masked: Masked, response: httpx.Response) -> httpx.Response:
    """The response with the values back, where it is understood; else itself."""
    if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
        return response
    change = mender(tail, response.headers.get("content-type", ""), masked.stand_ins, masked.body or {})
    if change is None:
        return response
    return mended(response, change)


def _odd(call: Call) -> Odd:
    """What there is to be read of its path and its query."""
    steps = unquote_to_bytes(call.tail).decode("utf-8", "replace").split("/")
    return odd(steps, parse_qsl(call.query.decode("latin-1"), keep_blank_values=True, errors="replace"))


def _error(what: str, value: str, todo: str, status: int, code: str) -> Withheld:
    error = Withheld(what, value=value, todo=todo, status=status, code=code)
    error.marks = marks("none", "")
    return error
