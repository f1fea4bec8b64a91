"""What the served bundles hold of the machine, for Prometheus: memory of the server, and of each engine in a process of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from smidgen.machine.memory import resident_mb
from smidgen.server.served import Served

_NAME = "smidgen_resident_memory_bytes"
_HELP = "Resident memory: of the server's own process, and of each that an engine runs in, with the models whose weights lie there."


class Memory(Collector):
    """Read anew each time it is asked for; what the system does not say is left out. `models` are gone through each time, too: they may be
    others by then."""

    def __init__(self, models: Collection[Served]) -> None:
        self._models = models

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Its name: nothing is read for that."""
        yield self._family()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauge. Bundles that share a process are one series: their memory counts once."""
        family = self._family()
        names: dict[int, list[str]] = {}
        for model in self._models:
            if (pid := model.pid) is not None:
                names.setdefault(pid, []).append(model.name)
        found = [(("server", ""), resident_mb())] + [(("engine", ",".join(held)), resident_mb(pid)) for pid, held in names.items()]
        for labels, held_mb in found:
            if held_mb is not None:
                family.add_metric(labels, held_mb * 1e6)
        yield family

    @staticmethod
    def _family() -> GaugeMetricFamily:
        return GaugeMetricFamily(_NAME, _HELP, labels=("process", "model"))
