"""What the doors inside of a request notice of it, for those outside: the small model's replies, and how long each took."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import Scope

from smidgen.core.replies import Reply

_KEY = "smidgen.observation"


@dataclass(slots=True)
class Observation:
    """`replies`: the small model's, also where the request escalated in the end. Seconds are None where it was not asked. `saved_usd`: what
    an answer from the cache would have cost; None where that is not known, or there was none."""

    replies: tuple[Reply, ...] = ()
    local_seconds: float | None = None
    upstream_seconds: float | None = None
    saved_usd: float | None = None


def of(scope: Scope) -> Observation:
    """That of a request; one and the same for all who ask with its scope."""
    found = scope.setdefault(_KEY, Observation())
    assert isinstance(found, Observation)
    return found
