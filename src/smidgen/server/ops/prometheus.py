"""Metrics for Prometheus: requests, answers, the usage account, the cache, memory and drift.

Label values come from bundles and routes, never from clients.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from smidgen.core.replies import Reply
from smidgen.gateway.cache import DRAWN, UNSUITED, AnswerCache
from smidgen.machine.memory import resident_mb
from smidgen.server.models import ServedBundle
from smidgen.store.spending_ledger import NANO
from smidgen.store.usage_records import UsageKey, UsageTotals
from smidgen.watch import drift_record

_REQUEST_SECONDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2, 4, 8, 16, 32)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SCORES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
_MOST_LABELS = 1000
"""Most labels of a bundle for which answers are counted by label: more series would burden the scraper."""


class TextUsage(Protocol):
    """Sizes of a written text."""

    @property
    def prompt(self) -> int:
        """Tokens read."""
        ...

    @property
    def written(self) -> int:
        """Tokens written."""
        ...


class ServerMetrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("smidgen_requests", "Requests answered.", ("route", "method", "status"), registry=self.registry)
        self.seconds = Histogram(
            "smidgen_request_seconds", "Time from request to reply.", ("route",), buckets=_REQUEST_SECONDS, registry=self.registry
        )
        self.running = Gauge("smidgen_requests_running", "Requests being answered now.", registry=self.registry)
        self.waiting = Gauge("smidgen_queue_texts", "Texts taken on and not yet answered.", ("model",), registry=self.registry)
        self.batches = Histogram(
            "smidgen_batch_texts", "Texts that a model was given at once.", ("model",), buckets=_TEXTS, registry=self.registry
        )
        self.answers = Counter(
            "smidgen_answers", "Texts answered, by label where the bundle has labels.", ("model", "label"), registry=self.registry
        )
        self.scores = Histogram("smidgen_answer_score", "Scores of the answers.", ("model",), buckets=_SCORES, registry=self.registry)
        self.tokens = Counter("smidgen_tokens", "Tokens read and written, by models that write.", ("model", "kind"), registry=self.registry)
        self.routed = Counter(
            "smidgen_gateway_requests",
            "Requests by who answered them (local, upstream, cache, none), and why it was not the small model under its certificate.",
            ("model", "answered_by", "why"),
            registry=self.registry,
        )
        self.measured_error = Gauge(
            "smidgen_measured_error",
            "Measured share of wrong answers from the bundle's operating point on.",
            ("model",),
            registry=self.registry,
        )
        self.upstream_errors = Counter(
            "smidgen_upstream_errors", "Tries at an upstream that gave no answer.", ("upstream", "kind"), registry=self.registry
        )
        self.upstream_retries = Counter("smidgen_upstream_retries", "Tries after a failed one.", ("upstream",), registry=self.registry)
        self.breakers = Gauge(
            "smidgen_upstream_breaker", "Of each upstream: 0 closed, 1 half-open, 2 open.", ("upstream",), registry=self.registry
        )
        self.proxy_unnamed = Gauge(
            "smidgen_proxy_unnamed",
            "1 if visitors of a desk come through a proxy whose header no setting names: its limits then hold for all of them together.",
            registry=self.registry,
        )
        self.captured = Counter(
            "smidgen_capture_rows", "Requests that were to be stored, by what became of them.", ("outcome",), registry=self.registry
        )
        self.capture_failures = Counter(
            "smidgen_capture_failures",
            "Failures of storing that are about no request: retention (deleting what is old), feedback, thread (anything else).",
            ("what",),
            registry=self.registry,
        )
        self.private = Counter(
            "smidgen_privacy_found",
            "Personal data found in requests on their way upstream, by kind and by what became of it (mask, block).",
            ("kind", "action"),
            registry=self.registry,
        )
        self.withheld = Counter(
            "smidgen_privacy_withheld",
            "Requests that were not sent upstream: blocked, unread (what cannot be checked), refused, failed.",
            ("why",),
            registry=self.registry,
        )
        self.audits = Counter(
            "smidgen_audits",
            "Local answers drawn for an audit, by what became of it: agreed, disagreed, graded (in between); dropped, for too many were "
            "under way or the budget is used up; withheld by the privacy policy; refused or unanswered by the upstream; failed. "
            "checked: a very frequent text, which was not drawn.",
            ("model", "outcome"),
            registry=self.registry,
        )
        self.over_budget = Counter(
            "smidgen_budget_refused", "Requests that could have passed a budget, by the budget's scope.", ("scope",), registry=self.registry
        )
        self.loaded = Gauge("smidgen_model_info", "1 for each bundle served.", ("model", "bundle", "task"), registry=self.registry)
        self.swaps = Counter(
            "smidgen_champions",
            "New champions of lines: put in place while serving, or refused.",
            ("model", "outcome"),
            registry=self.registry,
        )
        self.refusing = Gauge(
            "smidgen_champion_refused",
            "1 where a line's pointer names a champion that could not be opened, and the one before it goes on answering.",
            ("model",),
            registry=self.registry,
        )

    def answered(self, model: str, labels: frozenset[str], replies: Sequence[Reply]) -> None:
        """Count answers. `labels`: all labels of the bundle. An answer that is not one of them is counted without its text."""
        known = labels if len(labels) <= _MOST_LABELS else frozenset()
        scores = self.scores.labels(model)
        for reply in replies:
            given = reply.output if isinstance(reply.output, list) else [reply.output]
            for label in given or [""]:
                shown = label if isinstance(label, str) and label in known else ""
                self.answers.labels(model, shown).inc()
            if "unscored" not in reply.facts:
                scores.observe(reply.score)

    def wrote(self, model: str, usage: TextUsage) -> None:
        """Count the tokens of a written text."""
        self.tokens.labels(model, "read").inc(usage.prompt)
        self.tokens.labels(model, "written").inc(usage.written)


_ANSWER_SECONDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2, 4, 8, 16, 32, 64)
_MICRO = 1e6


class AccountMetrics:
    """The metrics of the account. Their model names are the account's, so clients cannot add new ones."""

    def __init__(self, registry: CollectorRegistry) -> None:
        names = ("model", "answered_by")
        self._seconds = Histogram(
            "smidgen_answer_seconds",
            "Time from a request to the end of its answer, of answers without an error, by model and by who answered.",
            names,
            buckets=_ANSWER_SECONDS,
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
        # Cache the children, because looking one up takes longer than counting.
        self._waits, self._costs = functools.cache(self._seconds.labels), functools.cache(self._spent.labels)
        self.failures = Counter("smidgen_account_failures", "Times that the account could not be written.", registry=registry)

    def took(self, key: UsageKey, entry: UsageTotals, seconds: float | None) -> None:
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

    def energy(self, key: UsageKey, measured: int, estimated: int) -> None:
        """Count energy, in microjoules."""
        for method, amount in (("measured", measured), ("estimated", estimated)):
            if amount:
                self._energy.labels(key.model, key.by, method).inc(amount / _MICRO)


EXACT, SIMILAR, MISS = "exact", "similar", "miss"
UNNAMED, REFUSED, RENEWED = "unnamed", "no-store", "no-cache"
CACHE_OUTCOMES = (EXACT, SIMILAR, MISS, UNNAMED, DRAWN, UNSUITED, REFUSED, RENEWED)
KEPT, ODD, LARGE, SECOND = "kept", "odd", "large", "second"
_ENDS = (KEPT, ODD, LARGE, SECOND)
_SEARCHES = ("late", "failed")


class CacheMetrics:
    """The metrics of the answer cache. A server without a cache has none of them."""

    def __init__(self, registry: CollectorRegistry, memory: AnswerCache) -> None:
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
        for outcome in CACHE_OUTCOMES:
            self.requests.labels(outcome)
        for outcome in _ENDS:
            self.answers.labels(outcome)
        for outcome in _SEARCHES:
            self.searches.labels(outcome)
        Gauge("smidgen_cache_entries", "Answers in the cache.", registry=registry).set_function(lambda: len(memory))
        Gauge("smidgen_cache_bytes", "Memory of the cache, about.", registry=registry).set_function(lambda: memory.size)


_MEMORY_NAME = "smidgen_resident_memory_bytes"
_MEMORY_HELP = "Resident memory: of the server's own process, and of each that an engine runs in, with the models whose weights lie there."


class MemoryGauge(Collector):
    """Memory metrics, read at each scrape. Unknown values are left out. `models` may change between scrapes."""

    def __init__(self, models: Collection[ServedBundle]) -> None:
        self._models = models

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metric's name without reading anything."""
        yield self._family()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metric. Bundles that share a process are one series, because their memory counts once."""
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
        return GaugeMetricFamily(_MEMORY_NAME, _MEMORY_HELP, labels=("process", "model"))


_DRIFT_ALARM = ("smidgen_drift_alarm", "1 where the last look at the traffic found that it is not like what the model was made in.")
_DRIFT_SIZE = ("smidgen_drift_size", "The share of the texts that must have come from elsewhere, by what was tested, as of the last look.")
_DRIFT_LOOKS = ("smidgen_drift_looks", "Looks at the traffic of this bundle so far.")
_DRIFT_AT = ("smidgen_drift_looked_timestamp_seconds", "When the last look was.")


class DriftGauge(Collector):
    """Drift metrics, read at each scrape. Bundles without a test, or with an unreadable one, are left out."""

    def __init__(self, models: Collection[ServedBundle]) -> None:
        self._models = models

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics' names without reading anything."""
        yield GaugeMetricFamily(*_DRIFT_ALARM, labels=("model",))
        yield GaugeMetricFamily(*_DRIFT_SIZE, labels=("model", "what"))
        yield GaugeMetricFamily(*_DRIFT_LOOKS, labels=("model",))
        yield GaugeMetricFamily(*_DRIFT_AT, labels=("model",))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics."""
        alarm, size, looks, when = families = list(self.describe())
        for model in list(self._models):
            try:
                found = drift_record.read(model.id, model.name)
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
