"""What stands before the way out: it says how a request leaves, and what becomes of its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import httpx

from smidgen.server.upstream import Call


def unchanged(response: httpx.Response) -> httpx.Response:
    """The response itself."""
    return response


@dataclass(frozen=True, slots=True)
class Leaving:
    """A request as it leaves, and how its answer comes back."""

    call: Call
    back: Callable[[httpx.Response], httpx.Response] = unchanged


class Guard(Protocol):
    """Whoever decides that."""

    async def leaving(self, call: Call) -> Leaving:
        """The request as it may leave. Raises Unreachable where it may not."""
        ...

    def close(self) -> None:
        """Let go what it holds."""
        ...


class Open:
    """No guard: everything leaves as it came."""

    async def leaving(self, call: Call) -> Leaving:
        """The request itself."""
        return Leaving(call)

    def close(self) -> None:
        """Nothing is held."""
