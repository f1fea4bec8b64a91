"""What was spent today and what may be, for Prometheus, from the ledger that all servers of this machine share."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from smidgen.gateway.budget import today
from smidgen.server.purse import Purse
from smidgen.store.ledger import NANO

_SPENT = ("smidgen_budget_spent_usd", "Dollars spent on upstreams today (UTC), by scope and kind: counted, estimated, set aside.")
_LIMIT = ("smidgen_budget_limit_usd", "Dollars that may be spent in a day, by scope.")


class Spending(Collector):
    """Read anew each time it is asked for; what cannot be read is left out."""

    def __init__(self, purse: Purse) -> None:
        self._purse = purse

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """The names: nothing is read for that."""
        yield GaugeMetricFamily(*_SPENT, labels=("scope", "kind"))
        yield GaugeMetricFamily(*_LIMIT, labels=("scope",))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges."""
        spent, limit = self.describe()
        try:
            found = self._purse.ledger.spent(today())
        except OSError:
            found = {}
        for scope, one in found.items():
            for kind, nano in (("counted", one.nano - one.estimated), ("estimated", one.estimated), ("set aside", one.held)):
                spent.add_metric((scope, kind), nano / NANO)
        for scope, usd in self._purse.limits.items():
            limit.add_metric((scope,), usd)
        yield from (spent, limit)
