"""A break-even in words: whether an own model pays back, when, and what it saves; or why it never does."""

from __future__ import annotations

from smidgen.judge.break_even import Outcome
from smidgen.judge.phrases import dollars


def answer(model: str, months: int, outcome: Outcome, sent_on: float = 0.0) -> str:
    """One sentence on one way, whole: "Pays back in month 3: over 12 months $1,240 less than Claude Haiku 5.5."

    Args:
        model: the large model that it is held against.
        months: months that are added up.
        outcome: what the way comes to.
        sent_on: the share of requests that the large model still answers.
    """
    said = f"{_when(model, months, outcome)}."
    if sent_on:
        said = f"With {percent(sent_on)} still sent to {model}: {said}"
    return said[0].upper() + said[1:]


def brief(months: int, outcome: Outcome) -> str:
    """The same as a cell of a table."""
    month = outcome.payback_month
    return "never" if month is None else f"month {month}" if month <= months else f"month {month} (later)"


def percent(share: float) -> str:
    """A share as it is said: "20 %", "2.5 %"."""
    return f"{round(100 * share, 2):g} %"


def _when(model: str, months: int, outcome: Outcome) -> str:
    span = "over 12 months" if months == 12 else "over one month" if months == 1 else f"over {months} months"
    if outcome.payback_month is None:
        return f"never pays back: {outcome.why_never}; {_volume(outcome)}"
    if outcome.payback_month > months:
        late = f"not before month {outcome.payback_month}"
        return f"pays back late, {late}: {span} {dollars(-outcome.saved_usd)} more than {model}"
    if outcome.saved_usd < 0.005:
        return f"pays back in month {outcome.payback_month}: {span} as much as {model}"
    return f"pays back in month {outcome.payback_month}: {span} {dollars(outcome.saved_usd)} less than {model}"


def _volume(outcome: Outcome) -> str:
    if outcome.from_requests is None:
        return "at no number of requests is a month cheaper"
    return f"a month is cheaper from {outcome.from_requests:,} requests on"
