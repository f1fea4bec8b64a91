"""Report the state of this machine's bundles from files alone: certificates, audits, spending, and usage by day and model."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from smidgen.bundles.open import folder_of, read_manifest
from smidgen.core.errors import BundleError, InputError, SmidgenError
from smidgen.flows.certify import certificate_status
from smidgen.flows.certify.certificate_status import certificate_subject
from smidgen.gateway.certificate_status import CertificateStatus, check_certificate
from smidgen.store import files, spending_ledger
from smidgen.store import usage_records as accounts
from smidgen.store.line import Line, is_line
from smidgen.store.spending_ledger import NANO
from smidgen.store.usage_records import UsageKey, UsageSums, UsageTotals, today
from smidgen.usage.energy import ESTIMATED, MEASURED
from smidgen.watch import drift_record

PERIODS = (1, 7, 30)
"""Numbers of days that are summed, today included."""
MOST_DAYS = accounts.KEPT_DAYS

_MICRO_PER_WH = 3600 * 1_000_000
_QUANTILES = ("p50", 0.5), ("p95", 0.95), ("p99", 0.99)
_ANSWERED = ("local", "upstream", "cache")
_AUDIT = "audit"


def read_account(days: int = PERIODS[-1], now: datetime | None = None) -> dict[str, Any]:
    """Read the usage of the last days, today (UTC) included.

    Args:
        days: number of days, 1 or more. Usage is given for each day and in total, and for today, 7 and 30 days if these are fewer.
        now: the current time.

    Returns:
        `day`, `file`, `periods`, `by_day`, `prices`, and `notes` on how it was measured. Money is in US dollars, energy in watt hours,
        times in milliseconds. If the file cannot be read: `day`, `file`, `error`.
    """
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    last = moment.date()
    head = {"day": today(moment), "file": ""}
    try:
        head["file"] = str(accounts.place())
        sums = accounts.read(_day(last, days - 1))
    except OSError as error:
        return {**head, "error": str(error)}
    spans = sorted({days, *(span for span in PERIODS if span < days)})
    present = sorted({key.day for key in sums.entries if key.day <= head["day"]}, reverse=True)
    return {
        **head,
        "periods": [_period(sums, last, span) for span in spans],
        "by_day": [{"day": day, "models": _models(sums, {day})} for day in present],
        "prices": [
            {"day": price.day, "model": price.model, "input": price.read, "output": price.written, "source": price.source}
            for price in sorted(sums.prices, reverse=True)
        ],
        "notes": {
            "latency": f"from a request to the end of its answer, of answers without an error; off by {accounts.WAIT_ERROR:.1%} at most",
            "energy": {"measured_wh": MEASURED, "estimated_wh": ESTIMATED},
            "tokens": "those that nobody counted are estimated: a bundle's as one for every four characters, an upstream's as one for "
            "every three bytes",
            "money": "tokens at list price, or as --price-in and --price-out say; no discount for batches or repeated prompts",
        },
    }


def _period(sums: UsageSums, last: date, span: int) -> dict[str, Any]:
    days = {_day(last, back) for back in range(span)}
    names = {key.model for key in sums.entries if key.day in days}
    return {
        "days": span,
        "from": min(days),
        "to": max(days),
        "models": _models(sums, days),
        "total": _summary(sums, days, names) if names else None,
    }


def _models(sums: UsageSums, days: Collection[str]) -> list[dict[str, Any]]:
    """Summarise each model that had requests or audits on these days, the busiest first."""
    names = {key.model for key in sums.entries if key.day in days}
    told = [{"model": name, **_summary(sums, days, {name})} for name in sorted(names)]
    return sorted(told, key=lambda one: -one["requests"])


def _summary(sums: UsageSums, days: Collection[str], names: Collection[str]) -> dict[str, Any]:
    """Sum some days and models."""
    kept = [(key, entry) for key, entry in sums.entries.items() if key.day in days and key.model in names]
    asked = [(key, entry) for key, entry in kept if key.by != _AUDIT]
    audits = [(key, entry) for key, entry in kept if key.by == _AUDIT]
    total, local, upstream = _sum(asked), _sum(asked, "local"), _sum(asked, "upstream")
    whole = _sum(kept)
    counts = {by: _sum(asked, by).requests for by in (*_ANSWERED, "none")}
    return {
        "requests": total.requests,
        **counts,
        "share_local": counts["local"] / total.requests if total.requests else None,
        "errors": total.errors,
        "why": _reasons(asked),
        "tokens": {"local": _tokens(local), "upstream": _tokens(upstream)},
        "spent": {
            "usd": whole.spent / NANO,
            "of_that_estimated_usd": whole.spent_estimated / NANO,
            "of_that_audits_usd": _sum(audits).spent / NANO,
            "requests_without_price": whole.unpriced,
        },
        "saved": {"usd": total.saved / NANO, "answers_without_price": total.unsaved},
        "latency_ms": {by: _latency(sums, days, names, by, _sum(asked, by).waited) for by in _ANSWERED},
        "energy": _energy(whole, local),
        "audits": {key.why: entry.requests for key, entry in _together(audits).items()},
    }


def _sum(kept: Iterable[tuple[UsageKey, UsageTotals]], by: str = "") -> UsageTotals:
    total = UsageTotals()
    for key, entry in kept:
        if not by or key.by == by:
            total.add(entry)
    return total


def _together(kept: Iterable[tuple[UsageKey, UsageTotals]]) -> dict[UsageKey, UsageTotals]:
    """Sum the counts by who answered and why, over days and models."""
    found: dict[UsageKey, UsageTotals] = {}
    for key, entry in kept:
        found.setdefault(UsageKey("", "", key.by, key.why), UsageTotals()).add(entry)
    return found


def _reasons(asked: Iterable[tuple[UsageKey, UsageTotals]]) -> dict[str, dict[str, int]]:
    """Count requests by who answered, and by the reason for not answering under a certificate; `certified` if it was."""
    found: dict[str, dict[str, int]] = {}
    for key, entry in sorted(_together(asked).items()):
        if entry.requests:
            found.setdefault(key.by, {})[key.why or "certified"] = entry.requests
    return found


def _tokens(entry: UsageTotals) -> dict[str, int]:
    return {
        "read": entry.read,
        "written": entry.written,
        "of_that_estimated_read": entry.read_estimated,
        "of_that_estimated_written": entry.written_estimated,
    }


def _latency(sums: UsageSums, days: Collection[str], names: Collection[str], by: str, waited: int) -> dict[str, Any] | None:
    """Return the latency of answers given `by`; None if there were none."""
    counts: dict[int, int] = {}
    for wait, count in sums.waits.items():
        if wait.by == by and wait.day in days and wait.model in names:
            counts[wait.bucket] = counts.get(wait.bucket, 0) + count
    answers = sum(counts.values())
    if not answers:
        return None
    told = {name: accounts.wait_quantile(counts, share) for name, share in _QUANTILES}
    shown = {name: round(seconds * 1000, 3) for name, seconds in told.items() if seconds is not None}
    return {"answers": answers, "mean": round(waited / answers / 1000, 3), **shown}


def _energy(total: UsageTotals, local: UsageTotals) -> dict[str, float]:
    """Return watt hours: of everything, including audits, by method; and the part of local answers."""
    return {
        "measured_wh": total.measured / _MICRO_PER_WH,
        "estimated_wh": total.estimated / _MICRO_PER_WH,
        "of_that_local_answers_wh": (local.measured + local.estimated) / _MICRO_PER_WH,
    }


def _day(last: date, back: int) -> str:
    return (last - timedelta(days=back)).isoformat()


def read_status(days: int = PERIODS[-1], now: datetime | None = None) -> dict[str, Any]:
    """Read the whole status, JSON-ready.

    Keys: `as_of`, `bundles`, `account` of the last days, `spending`, and `traffic`, the share of it stored in these days (None if there is
    no store). A part that cannot be read has an `error` instead.
    """
    moment = now or datetime.now(UTC)
    return {
        "as_of": moment.isoformat(timespec="seconds"),
        "bundles": [_bundle(folder, moment) for folder in files.known_bundles()],
        "account": read_account(days, moment),
        "spending": _spending(today(moment)),
        "traffic": _traffic(moment - timedelta(days=days - 1)),
    }


def _bundle(folder: Path, now: datetime) -> dict[str, Any]:
    """Describe the bundle in a folder; for a line, its champion."""
    try:
        bundle = folder_of(folder)
        manifest = read_manifest(bundle)
        line = Line(folder).read().name if is_line(folder) else None
    except (BundleError, InputError) as error:
        return {"name": folder.name, "folder": str(folder), "error": str(error)}
    found = check_certificate(bundle, certificate_subject(manifest), now)
    return {
        "name": line or manifest.name,
        "id": manifest.id,
        "line": line is not None,
        "task": manifest.task,
        "folder": str(folder),
        "certificate": _certificate(found),
        "audits": _audits(found),
        "drift": _drift(manifest.id, line or manifest.name),
    }


def _certificate(found: CertificateStatus) -> dict[str, Any]:
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


def _audits(found: CertificateStatus) -> dict[str, Any] | None:
    if found.certificate is None:
        return None
    try:
        return asdict(certificate_status.evidence(found.certificate))
    except (OSError, ValueError) as error:
        return {"error": str(error)}


def _drift(bundle_id: str, name: str) -> dict[str, Any] | None:
    """Return the result of the last drift test; None if there was none."""
    try:
        found = drift_record.read(bundle_id, name)
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
    """Return how much of the traffic since then was stored; None if nothing was ever captured."""
    from smidgen.flows.learn import traffic_rows

    try:
        with traffic_rows.open_traffic() as store:
            return store.seen(since).json() if store is not None else None
    except SmidgenError as error:
        return {"error": str(error)}


def _spending(day: str) -> dict[str, Any]:
    try:
        spent = spending_ledger.read(day)
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
