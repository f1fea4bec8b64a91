"""The account as it is shown: by day and model, and for days together, JSON-ready, from the account's file alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from smidgen.gateway.budget import today
from smidgen.machine.consumption import ESTIMATED, MEASURED
from smidgen.stats import log_buckets
from smidgen.store import account as accounts
from smidgen.store.account import Entry, Key, Sums
from smidgen.store.ledger import NANO

PERIODS = (1, 7, 30)
"""Days that are shown together, today among them."""
MOST_DAYS = accounts.KEPT_DAYS

_MICRO_PER_WH = 3600 * 1_000_000
_QUANTILES = ("p50", 0.5), ("p95", 0.95), ("p99", 0.99)
_ANSWERED = ("local", "upstream", "cache")
_AUDIT = "audit"


def account(days: int = PERIODS[-1], now: datetime | None = None) -> dict[str, Any]:
    """The account of the last days, today (UTC) among them.

    Args:
        days: how many, 1 or more. They are told one by one, and together; so are today, 7 and 30 days, where these are not more.
        now: the moment it is for.

    Returns:
        `day`, `file`, `periods`, `by_day`, `prices`, and `notes` on how it was measured. Money is in US dollars, energy in watt hours,
        times in milliseconds. Where the file cannot be read: `day`, `file`, `error`.
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
            "latency": f"from a request to the end of its answer, of answers without an error; off by {log_buckets.ERROR:.1%} at most",
            "energy": {"measured_wh": MEASURED, "estimated_wh": ESTIMATED},
            "tokens": "those that nobody counted are estimated: a bundle's as one for every four characters, an upstream's as one for "
            "every three bytes",
            "money": "tokens at list price, or as --price-in and --price-out say; no discount for batches or repeated prompts",
        },
    }


def _period(sums: Sums, last: date, span: int) -> dict[str, Any]:
    days = {_day(last, back) for back in range(span)}
    names = {key.model for key in sums.entries if key.day in days}
    return {
        "days": span,
        "from": min(days),
        "to": max(days),
        "models": _models(sums, days),
        "total": _told(sums, days, names) if names else None,
    }


def _models(sums: Sums, days: Collection[str]) -> list[dict[str, Any]]:
    """Of each model that had requests, or audits, on these days; the busiest first."""
    names = {key.model for key in sums.entries if key.day in days}
    told = [{"model": name, **_told(sums, days, {name})} for name in sorted(names)]
    return sorted(told, key=lambda one: -one["requests"])


def _told(sums: Sums, days: Collection[str], names: Collection[str]) -> dict[str, Any]:
    """Some days and models together."""
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
        "why": _why(asked),
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


def _sum(kept: Iterable[tuple[Key, Entry]], by: str = "") -> Entry:
    total = Entry()
    for key, entry in kept:
        if not by or key.by == by:
            total.add(entry)
    return total


def _together(kept: Iterable[tuple[Key, Entry]]) -> dict[Key, Entry]:
    """The same by who answered and why, whatever the day and the model."""
    found: dict[Key, Entry] = {}
    for key, entry in kept:
        found.setdefault(Key("", "", key.by, key.why), Entry()).add(entry)
    return found


def _why(asked: Iterable[tuple[Key, Entry]]) -> dict[str, dict[str, int]]:
    """Requests by who answered, and by why it was not answered under a certificate; `certified` where it was."""
    found: dict[str, dict[str, int]] = {}
    for key, entry in sorted(_together(asked).items()):
        if entry.requests:
            found.setdefault(key.by, {})[key.why or "certified"] = entry.requests
    return found


def _tokens(entry: Entry) -> dict[str, int]:
    return {
        "read": entry.read,
        "written": entry.written,
        "of_that_estimated_read": entry.read_estimated,
        "of_that_estimated_written": entry.written_estimated,
    }


def _latency(sums: Sums, days: Collection[str], names: Collection[str], by: str, waited: int) -> dict[str, Any] | None:
    """None where nobody answered so."""
    counts: dict[int, int] = {}
    for wait, count in sums.waits.items():
        if wait.by == by and wait.day in days and wait.model in names:
            counts[wait.bucket] = counts.get(wait.bucket, 0) + count
    answers = sum(counts.values())
    if not answers:
        return None
    told = {name: log_buckets.quantile(counts, share) for name, share in _QUANTILES}
    shown = {name: round(seconds * 1000, 3) for name, seconds in told.items() if seconds is not None}
    return {"answers": answers, "mean": round(waited / answers / 1000, 3), **shown}


def _energy(total: Entry, local: Entry) -> dict[str, float]:
    """Watt hours: of all that was done, audits too, by how they were found; and of that what local answers took."""
    return {
        "measured_wh": total.measured / _MICRO_PER_WH,
        "estimated_wh": total.estimated / _MICRO_PER_WH,
        "of_that_local_answers_wh": (local.measured + local.estimated) / _MICRO_PER_WH,
    }


def _day(last: date, back: int) -> str:
    return (last - timedelta(days=back)).isoformat()
