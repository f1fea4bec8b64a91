"""Set up capture from the settings: open the store and load the redaction model. If either fails, the server does not start.

The file of labels has answers of the large model that are not personal although they look like it, one per line. They are stored unchanged.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from smidgen.core.errors import InputError
from smidgen.core.placeholders import PLACEHOLDER
from smidgen.flows.capture.redaction import CaptureRedactor, extra_redaction
from smidgen.flows.learn.traffic_rows import LONGEST_LABEL
from smidgen.gateway.route_settings import CaptureSettings, PrivacySettings
from smidgen.privacy.public_names import PublicNames
from smidgen.server.gateway.prices import upstream_prices
from smidgen.server.models import BundleIdentity, bundle_identity
from smidgen.server.traffic.captured_request import CapturedRequest
from smidgen.server.traffic.exchange import read_exchange
from smidgen.server.traffic.recorder import Recorder
from smidgen.store.traffic import store
from smidgen.store.traffic.records import Exchange

if TYPE_CHECKING:
    from smidgen.server.service import Service


MOST_LABELS = 10_000
"""Most labels in a file."""
_MOST_LABELS_BYTES = 4_000_000


def check_labels(capture: CaptureSettings) -> None:
    """Raise InputError for labels or known names without capture, as `read_labels` does, and for invalid known names."""
    if capture.known and not (capture.on and capture.redact == "mask"):
        raise InputError("server.known_names_need_masked_capture", value="--capture-known")
    PublicNames(capture.known)
    if capture.labels is not None and not capture.on:
        raise InputError("server.capture_labels_need_capture", value="--capture-labels")
    labels_of(capture)


def labels_of(capture: CaptureSettings) -> tuple[str, ...]:
    """Return the labels in the file that the settings name; none without a file. Raises as `read_labels` does."""
    return () if capture.labels is None else read_labels(capture.labels.expanduser())


def read_labels(file: Path) -> tuple[str, ...]:
    """Read the labels in a UTF-8 file, in order. Surrounding blanks and empty lines are ignored.

    Raises InputError for a file that cannot be read, is too large or has no label, and for a line that cannot be a label.
    """
    try:
        if file.exists() and not file.is_file():  # opening a pipe would wait for its writer
            raise InputError("server.file_of_labels_is_no_file", value=str(file))
        with file.open("rb") as stream:
            content = stream.read(_MOST_LABELS_BYTES + 1)
    except OSError as error:
        raise InputError("server.file_of_labels_cannot_be_read", value=str(file), reason=error.strerror) from None
    if len(content) > _MOST_LABELS_BYTES:
        raise InputError("server.file_of_labels_is_too_large", path=file, most_bytes=_MOST_LABELS_BYTES, most_labels=MOST_LABELS)
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError("server.file_of_labels_is_not_utf_8", value=str(file)) from None
    labels: dict[str, None] = {}
    for number, line in enumerate(lines, 1):
        label = line.strip()
        if len(label) > LONGEST_LABEL:
            raise InputError("server.label_is_too_long", path=file, line=number, characters=len(label), longest=LONGEST_LABEL)
        if PLACEHOLDER.search(label):
            raise InputError("server.label_is_placeholder", path=file, line=number, label=label)
        if label:
            labels[label] = None
    if not labels:
        raise InputError("server.file_of_labels_has_none", value=str(file))
    if len(labels) > MOST_LABELS:
        raise InputError("server.file_of_labels_has_too_many", path=file, labels=len(labels), most=MOST_LABELS)
    return tuple(labels)


DRAIN_SECONDS = 20.0
"""Longest time that a stopping server goes on storing: some thousands of requests on an idle machine."""
BATCH_SECONDS = 60.0
"""Longest time that it then waits for the current batch: on a busy machine, redaction takes seconds."""
_MOST_BEFORE = 8
"""Versions of one bundle whose names are remembered."""


def open_recorder(service: Service) -> Recorder:
    """Open the recorder of a server.

    Raises InputError for an invalid URL, share, labels or policy, TrafficError if the store cannot be opened, BundleError if there is no
    redaction model.
    """
    settings, capture = service.settings, service.settings.capture
    traffic = store.opened(held_out=capture.held_out)
    names = KnownNames()
    for model in service.models.values():
        names.note(bundle_identity(model))
    scrubber = _scrubber(capture, settings.privacy, names) if capture.redact == "mask" else None
    if scrubber is not None:
        scrubber.recurring.know(traffic.labels())
    priced = upstream_prices(settings.fallback.models, settings.budget)
    saved_at = priced.of(settings.fallback.models[0]) if settings.fallback.models else None

    def reading(taken: CapturedRequest) -> Exchange | None:
        for known in taken.models.values():
            names.note(known)
        found = read_exchange(taken, saved_at, priced)
        if found is None or found.input is None or not settings.local.held_out_aside:
            return found
        return replace(found, held_out=traffic.holds_out(found.input))  # by the unmasked text, as in the gateway

    counted = service.metering.captured, service.metering.capture_failures
    return Recorder(traffic, scrubber, reading, capture.days, *counted, kept_days=capture.keep_days)


def _scrubber(capture: CaptureSettings, privacy: PrivacySettings, names: KnownNames) -> CaptureRedactor:
    """Return the redactor: its own kinds, plus the kinds that this server's border masks or blocks, which must not be stored either."""
    labels = labels_of(capture)
    public = PublicNames(capture.known)
    more = extra_redaction(privacy.policy, privacy.kinds, privacy.bundle, public) if privacy.on else None
    return CaptureRedactor(names, besides=more, labels=labels, label_texts=capture.label_texts, public=public)


class KnownNames:
    """Labels and field names that bundles answer with, by bundle name. For use by one thread.

    A bundle may be replaced before an answer is stored or gets feedback, so names of earlier versions stay.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[str, frozenset[str]]] = {}

    def __call__(self, asked: str) -> Collection[str]:
        """Return the names of a bundle; none for an unknown one."""
        return frozenset().union(*self._known.get(asked, {}).values())

    def note(self, one: BundleIdentity) -> None:
        """Remember the names of a bundle's version."""
        known = self._known.setdefault(one.name, {})
        if one.id not in known:
            known[one.id] = frozenset((*one.form.options, *(one.form.answer_schema or {}).get("properties", {})))
            while len(known) > _MOST_BEFORE:
                del known[next(iter(known))]
