"""The cache as it was asked for on the command line: its bounds, and what finds near texts, or the server does not start."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from smidgen.core.errors import InputError
from smidgen.gateway.cache.memory import Bounds, Memory
from smidgen.server.cache_meter import CacheMeter
from smidgen.server.caching import Caching
from smidgen.server.escalation import Escalation
from smidgen.server.finding import Finding
from smidgen.server.prices import prices
from smidgen.server.settings import ServeSettings

_SHARE = 16
"""One answer has no more than this part of the memory."""
_LARGEST = 1_000_000


def check(settings: ServeSettings) -> None:
    """Raise InputError for a cache that cannot be."""
    said = sorted(name for name in settings.model_fields_set if name.startswith("cache_"))
    if settings.cache == "off" and said:
        todo = "Add --cache exact or --cache semantic, or leave it out."
        raise InputError("it is said how answers are cached, and not that they are", value=f"--{said[0].replace('_', '-')}", todo=todo)
    if settings.cache != "off" and not settings.fallback:
        todo = "Add --fallback URL, or leave it out: the answers of bundles are not cached."
        raise InputError("there is a cache, and no fallback whose answers it could keep", value=f"--cache {settings.cache}", todo=todo)


def opened(settings: ServeSettings, registry: CollectorRegistry, escalation: Escalation) -> Caching:
    """The cache, empty. Raises InputError and MissingExtra where near texts are to be found, and what finds them cannot be had."""
    total = int(settings.cache_mb * 1_000_000)
    memory = Memory(Bounds(settings.cache_entries, total, min(total // _SHARE, _LARGEST), settings.cache_hours * 3600))
    meter = CacheMeter(registry, memory)
    finding = _finding(settings, meter) if settings.cache == "semantic" else None
    return Caching(escalation, memory, meter, settings.cache_scope, settings.cache_drawn, finding, prices=prices(settings))


def _finding(settings: ServeSettings, meter: CacheMeter) -> Finding:
    from smidgen.flows.likeness import opened as likeness

    return Finding(likeness(), settings.cache_similarity, meter)
