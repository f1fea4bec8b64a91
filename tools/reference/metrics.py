"""Metrics: names, labels and help of everything that `/metrics` may show, from the objects that count."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from prometheus_client import CollectorRegistry

from smidgen.gateway.cache import AnswerCache
from smidgen.server.gateway.budget_guard import BudgetGauge, BudgetGuard
from smidgen.server.gateway.certificates import CertificateGauge
from smidgen.server.ops.prometheus import AccountMetrics, CacheMetrics, DriftGauge, MemoryGauge, ServerMetrics
from tools.reference.tables import table


class _Listing(CollectorRegistry):
    """A registry that lists what registers with it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def register(self, collector: Any) -> None:
        """Note it."""
        self.seen.append(collector)


def parts() -> dict[str, str]:
    """A table for each group of metrics."""
    account, cache = _Listing(), _Listing()
    AccountMetrics(account)
    CacheMetrics(cache, cast(AnswerCache, None))
    gauges = [MemoryGauge([]), DriftGauge([]), CertificateGauge(dict), BudgetGauge(cast(BudgetGuard, None))]
    server = [one for one in vars(ServerMetrics()).values() if hasattr(one, "describe") and not isinstance(one, CollectorRegistry)]
    return {
        "server": _table(server),
        "gauges": _table(gauges),
        "account": _table(account.seen),
        "cache": _table(cache.seen),
    }


def _table(collectors: list[Any]) -> str:
    return table(("metric", "type", "labels", "what it counts"), (row for one in collectors for row in _rows(one)))


def _rows(collector: Any) -> Iterator[tuple[str, str, str, str]]:
    """The rows of a collector. Label names stand in an attribute that the client library does not make public."""
    for family in collector.describe():
        labels = getattr(family, "_labelnames", None) or getattr(collector, "_labelnames", None) or ()
        shown = family.name + ("_total" if family.type == "counter" else "")
        yield f"`{shown}`", family.type, ", ".join(f"`{label}`" for label in labels), family.documentation
