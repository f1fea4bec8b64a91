"""What a failing HTTP server says: when to come back, and what went wrong. For teachers and upstreams alike."""

from __future__ import annotations

import email.utils
import json
import math
import time
from collections.abc import Mapping

_SHOWN = 200


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds to wait by `Retry-After`: a number, or a date (RFC 9110); None where it does not say."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - (time.time() if now is None else now)
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def failure_reason(body: bytes, key: str | None) -> str:
    """What the body says of the failure, in OpenAI's error shape or near it; empty where it says nothing. See `plain`."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    error = found.get("error", found) if isinstance(found, dict) else None
    text = error.get("message") if isinstance(error, dict) else error
    return one_line(text, key) if isinstance(text, str) else ""


def one_line(text: str, key: str | None) -> str:
    """A server's text as a message may show it: one line, not too long, without the key in case it repeats it."""
    line = " ".join(text.split())
    return (line.replace(key, "…") if key else line)[:_SHOWN]
