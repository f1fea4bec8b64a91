"""Capture as it was asked for on the command line: the store is opened and the redaction model is loaded, or the server does not start."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from smidgen.flows.captured import Scrubber, besides
from smidgen.server import label_file
from smidgen.server.collecting import Taken
from smidgen.server.exchange import exchange
from smidgen.server.prices import prices
from smidgen.server.recorder import Recorder
from smidgen.server.served import Identity, identity
from smidgen.server.settings import ServeSettings
from smidgen.store.traffic import store
from smidgen.store.traffic.shapes import Exchange

if TYPE_CHECKING:
    from smidgen.server.service import Service

DRAIN_SECONDS = 20.0
"""Longest that a server which stops goes on storing: some thousands of requests, where nothing else needs the processor."""
BATCH_SECONDS = 60.0
"""Longest that it waits, after that, for the batch under way: on a busy machine redaction takes seconds."""
_MOST_BEFORE = 8
"""Versions of one bundle whose names are known at a time."""


def recorder_of(service: Service) -> Recorder:
    """The recorder of a server.

    Raises InputError for a URL, a share, labels or a policy that cannot be, TrafficError where the store cannot be opened, BundleError
    where there is no redaction model.
    """
    settings = service.settings
    traffic = store.opened(held_out=settings.capture_held_out)
    names = Names()
    for model in service.models.values():
        names.note(identity(model))
    scrubber = _scrubber(settings, names) if settings.capture_redact == "mask" else None
    if scrubber is not None:
        scrubber.recurring.know(traffic.labels())
    priced = prices(settings)
    saved_at = priced.of(settings.fallback_model[0]) if settings.fallback_model else None

    def reading(taken: Taken) -> Exchange | None:
        for known in taken.models.values():
            names.note(known)
        found = exchange(taken, saved_at, priced)
        if found is None or found.input is None or not settings.held_out_aside:
            return found
        return replace(found, held_out=traffic.holds_out(found.input))  # by the text that was asked, as the gateway's door has it

    counted = service.metering.captured, service.metering.capture_failures
    return Recorder(traffic, scrubber, reading, settings.capture_days, *counted, kept_days=settings.capture_keep_days)


def _scrubber(settings: ServeSettings, names: Names) -> Scrubber:
    """What takes personal data out: its own kinds, and what the border of this server lets not out. What must not leave must not be kept
    either."""
    labels = label_file.labels_of(settings)
    if settings.privacy == "off":
        return Scrubber(names, labels=labels, label_texts=settings.capture_label_texts)
    more = besides(settings.privacy, settings.privacy_kind, settings.privacy_bundle)
    return Scrubber(names, besides=more, labels=labels, label_texts=settings.capture_label_texts)


class Names:
    """What bundles answer with, labels and names of fields, by the bundles' names. A bundle may be another by the time that an answer is
    stored, or that somebody says something of it: the names of those before it stay, too. All is called by one thread."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, frozenset[str]]] = {}

    def __call__(self, asked: str) -> Collection[str]:
        """Those of the bundle with this name; none for another."""
        return frozenset().union(*self._known.get(asked, {}).values())

    def note(self, one: Identity) -> None:
        """Know these, too."""
        known = self._known.setdefault(one.name, {})
        if one.id not in known:
            schema = one.form.get("schema")
            fields = schema.get("properties", {}) if isinstance(schema, dict) else {}
            named = [*one.form.get("labels", ()), one.form.get("unknown"), *fields]
            known[one.id] = frozenset(name for name in named if isinstance(name, str))
            while len(known) > _MOST_BEFORE:
                del known[next(iter(known))]
