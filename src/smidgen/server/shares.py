"""Whose was it: the energy of a stretch of time, shared out among the requests that were answered in it.

Processor time is known by process, and of this one by thread. That of the event loop, which reads, routes and passes on, is shared
equally by all requests; that of the other threads by the requests to small models, by how long these were at them; that of an engine's own
process by the requests to the models in it. Energy goes with processor time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smidgen.machine.consumption import Consumed
from smidgen.store.account import Key

_MICRO = 1_000_000


@dataclass(slots=True)
class Work:
    """Of one kind of request: how many, and for how many seconds small models were at them."""

    requests: int = 0
    busy: float = 0.0

    def add(self, requests: int, busy: float) -> None:
        """One more."""
        self.requests += requests
        self.busy += busy


def shared(consumed: Consumed, loop: float, work: Mapping[Key, Work], engines: Mapping[int, Sequence[str]]) -> dict[Key, tuple[int, int]]:
    """Microjoules by kind of request: measured, and estimated. They add up to what was consumed, to the microjoule.

    Args:
        consumed: what was taken in that time.
        loop: core-seconds of the event loop in it.
        work: what was done; at least one request.
        engines: the names of the models in each process.
    """
    loop = min(max(0.0, loop), consumed.own)
    requests = {key: float(done.requests) for key, done in work.items()}
    busy = {key: done.busy for key, done in work.items()}
    seconds = dict.fromkeys(work, 0.0)
    _spread(seconds, loop, requests)
    named = {model for models in engines.values() for model in models}
    inside = {key: time for key, time in busy.items() if key.model not in named}
    _spread(seconds, consumed.own - loop, next((one for one in (inside, busy) if any(one.values())), requests))
    for pid, taken in consumed.others.items():
        apart = {key: time for key, time in busy.items() if key.model in engines.get(pid, ())}
        _spread(seconds, taken, next((one for one in (apart, busy) if any(one.values())), requests))
    measured, estimated = (_whole(joules, seconds) for joules in (consumed.measured, consumed.estimated))
    return {key: (measured[key], estimated[key]) for key in work}


def _spread(seconds: dict[Key, float], amount: float, weights: Mapping[Key, float]) -> None:
    total = sum(weights.values())
    for key, weight in weights.items():
        seconds[key] += amount * weight / total if total > 0 else amount / len(weights)


def _whole(joules: float, seconds: Mapping[Key, float]) -> dict[Key, int]:
    """Microjoules by share, whole ones; what rounding leaves goes to the largest share."""
    total, amount = sum(seconds.values()), round(joules * _MICRO)
    found = {key: int(amount * share / total) if total > 0 else 0 for key, share in seconds.items()}
    largest = max(seconds, key=lambda key: seconds[key])
    found[largest] += amount - sum(found.values())
    return found
