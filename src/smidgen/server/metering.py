"""What the server counts, for Prometheus. Names of labels come from bundles and routes, never from what a client sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from smidgen.core.replies import Reply

_SECONDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1, 2, 4, 8, 16, 32)
_TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SCORES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
_MOST_LABELS = 1000
"""Answers are counted by label up to this many labels a bundle; a series for each of more would burden the one who scrapes."""


class Usage(Protocol):
    """Sizes of a written text."""

    @property
    def prompt(self) -> int:
        """Tokens read."""
        ...

    @property
    def written(self) -> int:
        """Tokens written."""
        ...


class Metering:
    """The counters of one server; each server has its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("smidgen_requests", "Requests answered.", ("route", "method", "status"), registry=self.registry)
        self.seconds = Histogram(
            "smidgen_request_seconds", "Time from request to reply.", ("route",), buckets=_SECONDS, registry=self.registry
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
        self.upstream_errors = Counter(
            "smidgen_upstream_errors", "Tries at an upstream that gave no answer.", ("upstream", "kind"), registry=self.registry
        )
        self.upstream_retries = Counter("smidgen_upstream_retries", "Tries after a failed one.", ("upstream",), registry=self.registry)
        self.breakers = Gauge(
            "smidgen_upstream_breaker", "Of each upstream: 0 closed, 1 half-open, 2 open.", ("upstream",), registry=self.registry
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
            "under way or the budget is used up; withheld by the privacy policy; unanswered by the upstream; failed.",
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
        """Count answers. `labels` are all that the bundle can give; an answer that is not one of them is counted without its text."""
        known = labels if len(labels) <= _MOST_LABELS else frozenset()
        scores = self.scores.labels(model)
        for reply in replies:
            given = reply.output if isinstance(reply.output, list) else [reply.output]
            for label in given or [""]:
                shown = label if isinstance(label, str) and label in known else ""
                self.answers.labels(model, shown).inc()
            if "unscored" not in reply.facts:
                scores.observe(reply.score)

    def wrote(self, model: str, usage: Usage) -> None:
        """Count the tokens of a text that was written."""
        self.tokens.labels(model, "read").inc(usage.prompt)
        self.tokens.labels(model, "written").inc(usage.written)
