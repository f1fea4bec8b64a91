"""What a cache counts, for Prometheus; a server without one has none of it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from smidgen.gateway.cache.memory import Memory
from smidgen.gateway.cache.suitable import DRAWN, UNSUITED

EXACT, SIMILAR, MISS = "exact", "similar", "miss"
UNNAMED, REFUSED, RENEWED = "unnamed", "no-store", "no-cache"
OUTCOMES = (EXACT, SIMILAR, MISS, UNNAMED, DRAWN, UNSUITED, REFUSED, RENEWED)
KEPT, ODD, LARGE, SECOND = "kept", "odd", "large", "second"
_ENDS = (KEPT, ODD, LARGE, SECOND)
_SEARCHES = ("late", "failed")


class CacheMeter:
    """See above."""

    def __init__(self, registry: CollectorRegistry, memory: Memory) -> None:
        self.requests = Counter(
            "smidgen_cache_requests",
            "Requests to chat and completions that no bundle answered: exact and similar got a cached answer, miss did not; the others "
            "were not looked up: unnamed (no scope), drawn, unsuited, no-store, no-cache (as the client asked).",
            ("outcome",),
            registry=registry,
        )
        self.answers = Counter(
            "smidgen_cache_answers",
            "Answers of upstreams after a miss: kept; odd (no whole text), large, second (not of the first fallback).",
            ("outcome",),
            registry=registry,
        )
        self.searches = Counter(
            "smidgen_cache_searches", "Searches for a near text that gave none: late, failed.", ("outcome",), registry=registry
        )
        self.placed = Counter("smidgen_cache_placed", "Kept answers whose text can be found by near ones.", registry=registry)
        self.refused = Counter("smidgen_cache_refused", "Kept answers that feedback took out.", registry=registry)
        self.saved = Counter("smidgen_cache_saved_usd", "What cached answers would have cost, at list prices.", registry=registry)
        for outcome in OUTCOMES:
            self.requests.labels(outcome)
        for outcome in _ENDS:
            self.answers.labels(outcome)
        for outcome in _SEARCHES:
            self.searches.labels(outcome)
        Gauge("smidgen_cache_entries", "Answers in the cache.", registry=registry).set_function(lambda: len(memory))
        Gauge("smidgen_cache_bytes", "Memory of the cache, about.", registry=registry).set_function(lambda: memory.size)
