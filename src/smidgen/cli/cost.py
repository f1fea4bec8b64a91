"""`smidgen cost`: when a small model of your own has paid for itself, compared with a large one."""

from __future__ import annotations

from pathlib import Path

import typer

from smidgen.cli.flags import AsJson, with_flags
from smidgen.cli.screen import print_json, print_line
from smidgen.core.errors import InputError
from smidgen.core.settings import settings_of
from smidgen.flows.cost_settings import CostSettings

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
    from smidgen.cli import cost_table
    from smidgen.flows.cost_report import reckon_cost

    if plot is not None and plot.suffix.lower() != ".svg":
        raise InputError(
            "the chart's file must end in .svg",
            value=str(plot),
            todo=f"Name it {plot.stem or 'cost'}.svg; browsers and drawing programs turn it into PNG or PDF.",
        )
    found = reckon_cost(settings.model_copy(update={"bundle": bundle}))
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
        print_line(f"\nThe chart: {plot}")


part = cost
