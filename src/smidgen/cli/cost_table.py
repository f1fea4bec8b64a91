"""A break-even in the terminal: the answer first, then the months, the other large models, and the assumptions."""

from __future__ import annotations

import itertools

from rich.markup import escape
from rich.table import Table

from smidgen.cli.screen import out
from smidgen.core.quantities import dollars
from smidgen.flows.cost_report import CostReport, LargeModelCost
from smidgen.usage.break_even import payback_brief, share_percent


def show(found: CostReport) -> None:
    """Print it all."""
    first, *others = found.against
    answer, *more = found.answers
    pays = first.found.slm.payback_month is not None and first.found.slm.payback_month <= found.asked.months
    out.print(f"[bold {'green' if pays else 'yellow'}]{escape(answer)}[/]", soft_wrap=True)
    for sentence in more:
        out.print(escape(sentence), soft_wrap=True)
    for sentence in found.hints:
        out.print(escape(sentence), soft_wrap=True)
    out.print()
    out.print(_months(found, first))
    if others:
        out.print()
        out.print(_others(found, others))
    out.print("\n[dim]Assumptions:[/]")
    for sentence in found.assumptions:
        out.print(f"[dim]·[/] {escape(sentence)}", soft_wrap=True)


def _months(found: CostReport, first: LargeModelCost) -> Table:
    """The cost of each month, and what the small model alone has saved by its end."""
    share = found.asked.share_local or 0.0
    both = 0 < share < 1
    table = Table(box=None, pad_edge=False, header_style="bold")
    names = [
        "Month",
        "Requests",
        first.model.name,
        "Small model",
        *([f"Both ({share_percent(share)} here)"] if both else []),
        "Saved so far",
    ]
    for name in names:
        table.add_column(escape(name), justify="right")
    built = dollars(first.found.build_usd)
    table.add_row("building", "", "", built, *([built] if both else []), signed(-first.found.build_usd))
    saved = itertools.accumulate((month.llm_usd - month.slm_usd for month in first.found.months), initial=-first.found.build_usd)
    next(saved)
    for month, so_far in zip(first.found.months, saved, strict=True):
        sums = [dollars(month.llm_usd), dollars(month.slm_usd), *([dollars(month.hybrid_usd)] if both else [])]
        table.add_row(str(month.number), f"{month.requests:,.0f}", *sums, signed(so_far))
    table.add_section()
    totals = [dollars(first.found.llm_usd), dollars(first.found.slm.total_usd), *([dollars(first.found.hybrid.total_usd)] if both else [])]
    requests = sum(month.requests for month in first.found.months)
    table.add_row("total", f"{requests:,.0f}", *totals, signed(first.found.slm.saved_usd), style="bold")
    return table


def _others(found: CostReport, others: list[LargeModelCost]) -> Table:
    """The savings against each other large model, and when the small one pays back."""
    months, share = found.asked.months, found.asked.share_local or 0.0
    both = 0 < share < 1
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Large model", no_wrap=True)
    for name in ("Alone costs", "Small model saves", "Pays back", *(["Both save", "Pay back"] if both else [])):
        table.add_column(name, justify="right")
    for one in others:
        slm, hybrid = one.found.slm, one.found.hybrid
        more = [signed(hybrid.saved_usd), payback_brief(months, hybrid)] if both else []
        table.add_row(escape(one.model.name), dollars(one.found.llm_usd), signed(slm.saved_usd), payback_brief(months, slm), *more)
    return table


def signed(amount: float) -> str:
    """An amount that may be below zero: "-$62.05"; "$0.00" for less than half a cent on either side."""
    if abs(amount) < 0.005:
        return "$0.00"
    return f"-{dollars(-amount)}" if amount < 0 else dollars(amount)
