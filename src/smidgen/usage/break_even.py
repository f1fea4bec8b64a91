"""When a small model has paid for itself: the monthly cost of a large model alone, of the small one alone, and of both.

All money is in US dollars. A serving machine is paid for day and night. There is at least one; more are added if one is not enough.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smidgen.core.quantities import dollars
from smidgen.core.settings import Settings, setting

HOURS_A_MONTH = 730.0
"""8,760 hours of a year, divided by 12."""

_FURTHEST = 600
"""Months computed beyond the requested ones: a payback after more than fifty years counts as never."""


class CostSettings(Settings):
    """Settings of `smidgen cost`. Missing values come from the bundle's report, or are assumed."""

    requests_per_month: int = setting(..., "Requests in the first month.", ge=1, le=10**12)
    bundle: Path | None = setting(
        None, "Folder of a bundle or a line. Its report, for a line the champion's, says how fast it is and how long a request is."
    )
    tokens_in: float | None = setting(None, "Tokens that a large model reads for one request (default: as the report says).", ge=0, le=1e7)
    tokens_out: float | None = setting(
        None, "Tokens that a large model writes for one request (default: as the report says).", ge=0, le=1e7
    )
    models: tuple[str, ...] = setting(
        (),
        "A large model of the price list to compare with; may be repeated (default: all, the one in the middle of the prices first).",
        alias="model",
    )
    share_local: float | None = setting(
        None,
        "Share of requests that the small model answers when both are used (default: as its certificate says, else as its report measured; "
        "0.8 where nothing was measured).",
        ge=0,
        le=1,
    )
    machine_usd_per_hour: float | None = setting(
        None, "Cost of the machine in dollars per hour; a rented one costs about 0.085 (default: 0, a machine that you have).", ge=0, le=1e5
    )
    texts_per_second: float | None = setting(
        None, "Texts per second that the machine answers (default: as the report measured; else 100, assumed).", ge=1e-3, le=1e7
    )
    build_hours: float | None = setting(None, "Hours that a build takes (default: as the report says; else 1).", ge=0, le=1e5)
    build_usd_per_hour: float | None = setting(
        None, "Cost of an hour of building in dollars; include your own time if you like (default: the machine's cost).", ge=0, le=1e5
    )
    growth_percent: float = setting(0.0, "Growth of requests per month, in percent; negative if they fall.", ge=-50, le=100, alias="growth")
    months: int = setting(12, "Months to look at.", ge=1, le=120)
    prices: Path | None = setting(None, "Your own price list, in the format of the one that comes with smidgen.", metavar="FILE")


@dataclass(frozen=True, slots=True)
class CostCase:
    """The assumptions of a break-even computation.

    Attributes:
        requests: requests in the first month.
        growth: by how much they grow from month to month; 0.05 is 5 %.
        months: months that are added up.
        usd_per_request: the large model's price for one.
        share_local: the share of requests that the small model answers if both are used; the large one answers the rest.
        machine_usd_per_hour: the cost of a machine, busy or idle.
        texts_per_second: requests that a machine answers at full speed.
        busy: the planned share of its full speed; the rest is for peak hours.
        build_usd: the cost of building, paid before the first month.
    """

    requests: float
    growth: float
    months: int
    usd_per_request: float
    share_local: float
    machine_usd_per_hour: float
    texts_per_second: float
    busy: float
    build_usd: float

    @property
    def machine_usd(self) -> float:
        """The cost of one machine a month, in dollars."""
        return self.machine_usd_per_hour * HOURS_A_MONTH

    @property
    def capacity(self) -> float:
        """The requests a month that one machine is planned for."""
        return self.texts_per_second * self.busy * 3600 * HOURS_A_MONTH


@dataclass(frozen=True, slots=True)
class MonthlyCost:
    """A month's cost in each way, without building. `slm` and `hybrid` use `machines` machines."""

    number: int
    requests: float
    machines: int
    llm_usd: float
    slm_usd: float
    hybrid_usd: float


@dataclass(frozen=True, slots=True)
class PaybackOutcome:
    """The total of one way.

    Attributes:
        total_usd: over the months, building included.
        saved_usd: against the large model alone; below 0 if it costs more.
        payback_month: from this month on its total cost is at most that of the large model alone; None if that never comes. It may lie
            beyond the months that are added up.
        why_never: why it never comes, a clause; empty if it does.
        from_requests: requests a month from which on a month costs less than with the large model alone; None if no number does.
    """

    total_usd: float
    saved_usd: float
    payback_month: int | None
    why_never: str
    from_requests: int | None


@dataclass(frozen=True, slots=True)
class BreakEven:
    """The months, and the total of each way."""

    months: tuple[MonthlyCost, ...]
    build_usd: float
    llm_usd: float
    slm: PaybackOutcome
    hybrid: PaybackOutcome


def compute_break_even(case: CostCase) -> BreakEven:
    """Compute the months and the totals of a case."""
    months = tuple(_month(case, number) for number in range(1, case.months + 1))
    return BreakEven(
        months=months,
        build_usd=case.build_usd,
        llm_usd=math.fsum(month.llm_usd for month in months),
        slm=_outcome(case, months, 1.0),
        hybrid=_outcome(case, months, case.share_local),
    )


def _month(case: CostCase, number: int) -> MonthlyCost:
    requests = case.requests * (1 + case.growth) ** (number - 1)
    machines = max(1, math.ceil(requests / case.capacity - 1e-9))
    llm, slm = requests * case.usd_per_request, machines * case.machine_usd
    return MonthlyCost(number, requests, machines, llm, slm, slm + (1 - case.share_local) * llm)


def _outcome(case: CostCase, months: Sequence[MonthlyCost], share: float) -> PaybackOutcome:
    """The outcome if the small model answers this share."""
    costs = [month.slm_usd + (1 - share) * month.llm_usd for month in months]
    total = case.build_usd + math.fsum(costs)
    saved = math.fsum(month.llm_usd for month in months) - total
    payback = _payback(case, share)
    return PaybackOutcome(total, saved, payback, "" if payback else _why_never(case, share), _from_requests(case, share))


def _payback(case: CostCase, share: float) -> int | None:
    """The first month from which on the total never exceeds the large model's again, within the months that are added up; else the first
    month beyond them in which it does not exceed it."""
    ahead = -case.build_usd
    since: int | None = None
    for number in range(1, max(case.months, _FURTHEST) + 1):
        month = _month(case, number)
        ahead += share * month.llm_usd - month.slm_usd
        if ahead < -1e-9:
            since = None
        elif since is None:
            since = number
        if number >= case.months and since is not None:
            return since
    return None


def _why_never(case: CostCase, share: float) -> str:
    first = _month(case, 1)
    taken = share * first.llm_usd
    if share == 0:
        return "the small model answers nothing"
    if taken <= first.slm_usd:
        machines = "the machine costs" if first.machines == 1 else f"the {first.machines} machines cost"
        which = "these requests" if share == 1 else "the requests that it takes over"
        return f"{machines} {dollars(first.slm_usd)} a month, and the large model charges {dollars(taken)} for {which}"
    if case.growth < 0:
        return f"it saves {dollars(taken - first.slm_usd)} in the first month, and less each month as requests become fewer"
    return f"it saves {dollars(taken - first.slm_usd)} in the first month, and building costs {dollars(case.build_usd)}"


def _from_requests(case: CostCase, share: float) -> int | None:
    """Requests at which one machine is paid for by the requests it takes over. If that exceeds its full load, more machines do not help."""
    return cheaper_from(case.machine_usd, share * case.usd_per_request, case.capacity)


def cheaper_from(machine_usd: float, gain: float, capacity: float) -> int | None:
    """Requests a month from which on a machine costs less than it saves, at `gain` dollars a request; None if that exceeds its capacity."""
    if gain <= 0:
        return None
    least = math.floor(machine_usd / gain + 1e-9) + 1
    return least if least <= capacity else None


def payback_answer(model: str, months: int, outcome: PaybackOutcome, sent_on: float = 0.0) -> str:
    """One whole sentence on one way: "Pays back in month 3: over 12 months $1,240 less than Claude Haiku 5.5."

    Args:
        model: the large model to compare with.
        months: months that are added up.
        outcome: the way's totals.
        sent_on: the share of requests that the large model still answers.
    """
    said = f"{_when(model, months, outcome)}."
    if sent_on:
        said = f"With {share_percent(sent_on)} still sent to {model}: {said}"
    return said[0].upper() + said[1:]


def payback_brief(months: int, outcome: PaybackOutcome) -> str:
    """The payback as a cell of a table."""
    month = outcome.payback_month
    return "never" if month is None else f"month {month}" if month <= months else f"month {month} (later)"


def share_percent(share: float) -> str:
    """A share in words: "20 %", "2.5 %"."""
    return f"{round(100 * share, 2):g} %"


def _when(model: str, months: int, outcome: PaybackOutcome) -> str:
    span = "over 12 months" if months == 12 else "over one month" if months == 1 else f"over {months} months"
    if outcome.payback_month is None:
        return f"never pays back: {outcome.why_never}; {_volume(outcome)}"
    if outcome.payback_month > months:
        late = f"not before month {outcome.payback_month}"
        return f"pays back late, {late}: {span} {dollars(-outcome.saved_usd)} more than {model}"
    if outcome.saved_usd < 0.005:
        return f"pays back in month {outcome.payback_month}: {span} as much as {model}"
    return f"pays back in month {outcome.payback_month}: {span} {dollars(outcome.saved_usd)} less than {model}"


def _volume(outcome: PaybackOutcome) -> str:
    if outcome.from_requests is None:
        return "at no number of requests is a month cheaper"
    return f"a month is cheaper from {outcome.from_requests:,} requests on"
