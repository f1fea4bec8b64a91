"""The state of the bundles on this machine, from files alone: how each certificate stands, what its audits found, what requests took, what
was spent today."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from smidgen.bundles.open import read_manifest
from smidgen.core.errors import BundleError, InputError, SmidgenError
from smidgen.flows import auditing, lines
from smidgen.flows.account import PERIODS, account
from smidgen.flows.vouching import subject_of
from smidgen.gateway.budget import today
from smidgen.gateway.standing import Standing, standing
from smidgen.store import ledger, shelf
from smidgen.store.ledger import NANO
from smidgen.store.line import Line, is_line
from smidgen.watch import record


def state(days: int = PERIODS[-1], now: datetime | None = None) -> dict[str, Any]:
    """All of it, JSON-ready: `as_of`, `bundles`, `account` of the last days, `spending`, and `traffic`, how much of it was stored in these
    days (None where there is no store). What cannot be read has its `error` in its place."""
    moment = now or datetime.now(UTC)
    return {
        "as_of": moment.isoformat(timespec="seconds"),
        "bundles": [_bundle(folder, moment) for folder in shelf.known()],
        "account": account(days, moment),
        "spending": _spending(today(moment)),
        "traffic": _traffic(moment - timedelta(days=days - 1)),
    }


def _bundle(folder: Path, now: datetime) -> dict[str, Any]:
    """Of a bundle's folder, or of a line's: its champion is meant."""
    try:
        bundle = lines.folder_of(folder)
        manifest = read_manifest(bundle)
    except (BundleError, InputError) as error:
        return {"name": folder.name, "folder": str(folder), "error": str(error)}
    found = standing(bundle, subject_of(manifest), now)
    return {
        "name": manifest.name,
        "id": manifest.id,
        "task": manifest.task,
        "folder": str(folder),
        "certificate": _certificate(found),
        "audits": _audits(found),
        "drift": _drift(manifest.id, Line(folder).read().name if is_line(folder) else manifest.name),
    }


def _certificate(found: Standing) -> dict[str, Any]:
    paper = found.certificate
    facts: dict[str, Any] = {"state": found.state.value, "why": found.why}
    if paper is not None:
        facts |= {
            "id": paper.id,
            "alpha": paper.alpha,
            "delta": paper.delta,
            "reference": paper.reference.words,
            "share": paper.share,
            "valid_until": paper.valid_until.isoformat(),
        }
    return facts


def _audits(found: Standing) -> dict[str, Any] | None:
    if found.certificate is None:
        return None
    try:
        return asdict(auditing.evidence(found.certificate))
    except (OSError, ValueError) as error:
        return {"error": str(error)}


def _drift(bundle_id: str, name: str) -> dict[str, Any] | None:
    """What the last look at its traffic found; None where nobody looked."""
    try:
        found = record.read(bundle_id, name)
    except (OSError, ValueError) as error:
        return {"error": str(error)}
    if found.at is None:
        return None
    return {
        "at": found.at.isoformat(timespec="seconds"),
        "alarm": found.alarm,
        "moved": found.moved,
        "looks": found.looks,
        "sizes": found.sizes,
    }


def _traffic(since: datetime) -> dict[str, Any] | None:
    """How much of the traffic since then was stored; None where none was ever to be."""
    from smidgen.flows.learning import captured

    try:
        with captured.store() as store:
            return store.seen(since).json() if store is not None else None
    except SmidgenError as error:
        return {"error": str(error)}


def _spending(day: str) -> dict[str, Any]:
    try:
        spent = ledger.read(day)
    except OSError as error:
        return {"day": day, "error": str(error)}
    scopes = {
        scope: {
            "usd": one.nano / NANO,
            "of_that_estimated_usd": one.estimated / NANO,
            "set_aside_usd": one.held / NANO,
            "requests": one.requests,
        }
        for scope, one in sorted(spent.items())
    }
    return {"day": day, "scopes": scopes}
