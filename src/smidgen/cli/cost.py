"""`smidgen cost`: when your own small model has paid for itself, compared with a large one."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape
from rich.table import Table

from smidgen.cli.flags import AsJson, with_flags
from smidgen.cli.screen import out, print_json, print_line
from smidgen.core.errors import InputError
from smidgen.core.quantities import dollars
from smidgen.core.settings import settings_of
from smidgen.usage.break_even import CostSettings, payback_brief, share_percent

if TYPE_CHECKING:
    from smidgen.flows.cost_report import CostReport, LargeModelCost

_FIRST = tuple(settings_of(CostSettings))


@with_flags(CostSettings, _FIRST, without=("bundle",))
def cost(
    settings: CostSettings,
    bundle: Path = typer.Argument(
        None,
        metavar="DIR",
        help="Folder of a bundle or a line. Speed and length of a request are taken from its report (of a line: the champion's).",
    ),
    plot: Path = typer.Option(None, metavar="FILE", help="Write the months as a chart to this SVG file."),
    as_json: AsJson = False,
) -> None:
    """Compare the cost of a large model with one of your own.

    It shows the cost of the large model, the small one and both together, month by month, and when the small one has paid for itself.

    Example: smidgen cost --requests-per-month 500000 --tokens-in 400 --tokens-out 20 --model "Claude Sonnet 5.5"
    """
    from smidgen.flows.cost_report import reckon_cost

    if plot is not None and plot.suffix.lower() != ".svg":
        raise InputError("cli.chart_file_must_end_in_svg", value=str(plot), stem=plot.stem or "cost")
    found = reckon_cost(settings.model_copy(update={"bundle": bundle}))
    if plot is not None:
        try:
            plot.write_text(found.chart(), encoding="utf-8", newline="\n")
        except OSError as error:
            raise InputError("cli.chart_cannot_be_written", value=f"{plot}: {error.strerror}") from None
    if as_json:
        print_json(found.json())
        return
    _show(found)
    if plot is not None:
        print_line(f"\nThe chart: {plot}")


def _show(found: CostReport) -> None:
    """Print the answer first, then the months, the other large models, and the assumptions."""
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
    """Return a table with the cost of each month, and the savings of the small model alone by its end."""
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
    table.add_row("building", "", "", built, *([built] if both else []), _signed(-first.found.build_usd))
    saved = itertools.accumulate((month.llm_usd - month.slm_usd for month in first.found.months), initial=-first.found.build_usd)
    next(saved)
    for month, so_far in zip(first.found.months, saved, strict=True):
        sums = [dollars(month.llm_usd), dollars(month.slm_usd), *([dollars(month.hybrid_usd)] if both else [])]
        table.add_row(str(month.number), f"{month.requests:,.0f}", *sums, _signed(so_far))
    table.add_section()
    totals = [dollars(first.found.llm_usd), dollars(first.found.slm.total_usd), *([dollars(first.found.hybrid.total_usd)] if both else [])]
    requests = sum(month.requests for month in first.found.months)
    table.add_row("total", f"{requests:,.0f}", *totals, _signed(first.found.slm.saved_usd), style="bold")
    return table


def _others(found: CostReport, others: list[LargeModelCost]) -> Table:
    """Return a table with the savings against each other large model, and when the small model pays for itself."""
    months, share = found.asked.months, found.asked.share_local or 0.0
    both = 0 < share < 1
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Large model", no_wrap=True)
    for name in ("Alone costs", "Small model saves", "Pays back", *(["Both save", "Pay back"] if both else [])):
        table.add_column(name, justify="right")
    for one in others:
        slm, hybrid = one.found.slm, one.found.hybrid
        more = [_signed(hybrid.saved_usd), payback_brief(months, hybrid)] if both else []
        table.add_row(escape(one.model.name), dollars(one.found.llm_usd), _signed(slm.saved_usd), payback_brief(months, slm), *more)
    return table


def _signed(amount: float) -> str:
    """Return an amount that may be below zero: "-$62.05"; "$0.00" for less than half a cent on either side."""
    if abs(amount) < 0.005:
        return "$0.00"
    return f"-{dollars(-amount)}" if amount < 0 else dollars(amount)


part = cost
