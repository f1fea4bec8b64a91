"""Capture as it was asked for on the command line: the store is opened and the redaction model is loaded, or the server does not start."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import TYPE_CHECKING

from smidgen.flows.captured import Scrubber
from smidgen.server.exchange import exchange
from smidgen.server.recorder import Recorder
from smidgen.server.saving import listed
from smidgen.store.traffic import store

if TYPE_CHECKING:
    from smidgen.server.service import Service

DRAIN_SECONDS = 5.0
"""Longest that a server which stops goes on storing."""


def recorder_of(service: Service) -> Recorder:
    """The recorder of a server.

    Raises InputError for a URL or a share that cannot be, TrafficError where the store cannot be opened, BundleError where there is no
    redaction model.
    """
    settings = service.settings
    traffic = store.opened(held_out=settings.capture_held_out)
    scrubber = Scrubber(partial(_names, service)) if settings.capture_redact == "mask" else None
    saved_at = listed(settings.fallback_model[0]) if settings.fallback_model else None
    return Recorder(
        traffic, scrubber, lambda taken: exchange(taken, service.models, saved_at), settings.capture_days, service.metering.captured
    )


def _names(service: Service, asked: str) -> Collection[str]:
    """What a bundle answers with: labels and names of fields."""
    model = service.models.get(asked)
    if model is None:
        return ()
    schema = model.form.get("schema")
    fields = schema.get("properties", {}) if isinstance(schema, dict) else {}
    named = [*model.form.get("labels", ()), model.form.get("unknown"), *fields]
    return [name for name in named if isinstance(name, str)]
