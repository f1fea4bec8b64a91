"""`smidgen cost`: when an own small model has paid for itself, beside a large one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from smidgen.cli.screen import out, print_json


def cost(
    requests_per_month: Annotated[int, typer.Option(min=1, max=10**12, help="Requests in the first month.")],
    bundle: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIR",
            help="Folder of a bundle or a line: the report, of a line its champion's, says how fast it is and how long a request is.",
        ),
    ] = None,
    tokens_in: Annotated[
        float | None, typer.Option(min=0, max=1e7, help="Tokens that a large model reads for one request (default: as the report says).")
    ] = None,
    tokens_out: Annotated[
        float | None, typer.Option(min=0, max=1e7, help="Tokens that it answers with (default: as the report says).")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="A large model of the price list to be held against; may be repeated (default: all, the cheapest first)."),
    ] = None,
    share_local: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="The share of requests that the small model answers where both are used (default: as its certificate says; else 0.8).",
        ),
    ] = None,
    machine_usd_per_hour: Annotated[
        float | None,
        typer.Option(
            min=0, max=1e5, help="What the machine costs, in dollars an hour; 0 for one that you have (default: 0.085, a rented one)."
        ),
    ] = None,
    texts_per_second: Annotated[
        float | None, typer.Option(min=1e-3, max=1e7, help="What a machine answers (default: as the report measured; else 100, assumed).")
    ] = None,
    build_hours: Annotated[
        float | None, typer.Option(min=0, max=1e5, help="Hours that building takes (default: as the report says of training; else 1).")
    ] = None,
    build_usd_per_hour: Annotated[
        float | None,
        typer.Option(
            min=0, max=1e5, help="What an hour of building costs, your own time with it if you like (default: the machine's price)."
        ),
    ] = None,
    growth: Annotated[
        float, typer.Option(min=-50, max=100, help="By how many percent requests grow from month to month; below 0 they become fewer.")
    ] = 0.0,
    months: Annotated[int, typer.Option(min=1, max=120, help="Months to look at.")] = 12,
    prices: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A price list of your own, in the form of the one that comes with smidgen.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the months as a chart: an SVG file, whose name ends in .svg.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Compare the cost of a large model with one of your own.

    It shows the cost of the large model, the small one and both together, month by month, and when the small one has paid for itself.

    Example: smidgen cost --requests-per-month 500000 --tokens-in 400 --tokens-out 20 --model "Claude Sonnet 5.5"
    """
    from smidgen.cli import cost_table
    from smidgen.core.errors import InputError
    from smidgen.flows.cost_report import CostQuestion, reckon_cost

    if plot is not None and plot.suffix.lower() != ".svg":
        raise InputError(
            "the chart is an SVG file, and its name must say so",
            value=str(plot),
            todo=f"Name it {plot.stem or 'cost'}.svg; browsers and drawing programs make a PNG or a PDF of it.",
        )
    found = reckon_cost(
        CostQuestion(
            requests_per_month=requests_per_month,
            bundle=bundle,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            models=tuple(model or ()),
            share_local=share_local,
            machine_usd_per_hour=machine_usd_per_hour,
            texts_per_second=texts_per_second,
            build_hours=build_hours,
            build_usd_per_hour=build_usd_per_hour,
            growth_percent=growth,
            months=months,
            prices=prices,
        )
    )
    if plot is not None:
        try:
            plot.write_text(found.chart(), encoding="utf-8", newline="\n")
        except OSError as error:
            raise InputError("the chart cannot be written", value=f"{plot}: {error.strerror}", todo="Name a file in a folder.") from None
    if as_json:
        print_json(found.json())
        return
    cost_table.show(found)
    if plot is not None:
        out.print(f"\nThe chart: {plot}", soft_wrap=True, markup=False)


part = cost
