"""What the last look at the traffic of each served bundle found, for Prometheus. Looks are made elsewhere: here a small file is read."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from smidgen.server.served import Served
from smidgen.watch import record

_ALARM = ("smidgen_drift_alarm", "1 where the last look at the traffic found that it is not like what the model was made in.")
_SIZE = ("smidgen_drift_size", "The share of the texts that must have come from elsewhere, by what was tested, as of the last look.")
_LOOKS = ("smidgen_drift_looks", "Looks at the traffic of this bundle so far.")
_AT = ("smidgen_drift_looked_timestamp_seconds", "When the last look was.")


class Drift(Collector):
    """Read anew each time it is asked for; what nobody has looked at, or cannot be read, is left out."""

    def __init__(self, models: Collection[Served]) -> None:
        self._models = models

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """The names: nothing is read for that."""
        yield GaugeMetricFamily(*_ALARM, labels=("model",))
        yield GaugeMetricFamily(*_SIZE, labels=("model", "what"))
        yield GaugeMetricFamily(*_LOOKS, labels=("model",))
        yield GaugeMetricFamily(*_AT, labels=("model",))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges."""
        alarm, size, looks, when = families = list(self.describe())
        for model in list(self._models):
            try:
                found = record.read(model.id, model.name)
            except (OSError, ValueError):
                continue
            if found.at is None:
                continue
            alarm.add_metric((model.name,), float(found.alarm))
            looks.add_metric((model.name,), float(found.looks))
            when.add_metric((model.name,), found.at.timestamp())
            for what, moved in found.sizes.items():
                size.add_metric((model.name, what), moved)
        yield from families
