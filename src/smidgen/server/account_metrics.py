"""What the account adds up, for Prometheus: the same numbers, from the start of the server on."""

from __future__ import annotations

import functools

from prometheus_client import CollectorRegistry, Counter, Histogram

from smidgen.store.account import Entry, Key
from smidgen.store.ledger import NANO

_SECONDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2, 4, 8, 16, 32, 64)
_MICRO = 1e6


class AccountMetrics:
    """The counters. Their models are those of the account: no client can make a new one up."""

    def __init__(self, registry: CollectorRegistry) -> None:
        names = ("model", "answered_by")
        self._seconds = Histogram(
            "smidgen_answer_seconds",
            "Time from a request to the end of its answer, of answers without an error, by model and by who answered.",
            names,
            buckets=_SECONDS,
            registry=registry,
        )
        self._spent = Counter(
            "smidgen_spent_usd", "Dollars that upstreams took, by whether they counted the tokens.", ("model", "kind"), registry=registry
        )
        self._unpriced = Counter("smidgen_unpriced", "Requests to an upstream whose cost is not known.", ("model",), registry=registry)
        self._saved = Counter(
            "smidgen_saved_usd",
            "Dollars that answers given here would have cost upstream, at list price.",
            ("model",),
            registry=registry,
        )
        self._energy = Counter(
            "smidgen_energy_joules",
            "Energy of this server and its engines, by what it went to, and whether it was measured or estimated.",
            (*names, "method"),
            registry=registry,
        )
        # Looking one up by its names takes longer than counting.
        self._waits, self._costs = functools.cache(self._seconds.labels), functools.cache(self._spent.labels)
        self.failures = Counter("smidgen_account_failures", "Times that the account could not be written.", registry=registry)

    def took(self, key: Key, entry: Entry, seconds: float | None) -> None:
        """Count a request."""
        if seconds is not None:
            self._waits(key.model, key.by).observe(seconds)
        for kind, nano in (("counted", entry.spent - entry.spent_estimated), ("estimated", entry.spent_estimated)):
            if nano:
                self._costs(key.model, kind).inc(nano / NANO)
        if entry.unpriced:
            self._unpriced.labels(key.model).inc(entry.unpriced)
        if entry.saved:
            self._saved.labels(key.model).inc(entry.saved / NANO)

    def energy(self, key: Key, measured: int, estimated: int) -> None:
        """Count energy, in microjoules."""
        for method, amount in (("measured", measured), ("estimated", estimated)):
            if amount:
                self._energy.labels(key.model, key.by, method).inc(amount / _MICRO)
