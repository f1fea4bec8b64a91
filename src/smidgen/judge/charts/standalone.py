"""A chart as a file of its own: an SVG that brings the report's colours with it."""

from __future__ import annotations

from importlib import resources

from markupsafe import Markup

from smidgen.judge.charts.axes import tag


def standalone(chart: Markup) -> str:
    """The chart with all that the report's style sheet says of charts in it, light and dark."""
    sheet = resources.files("smidgen.judge").joinpath("templates", "report.css").read_text(encoding="utf-8")
    colours = sheet[: sheet.index("* {")]
    rules = [line for line in sheet.splitlines() if line.startswith(".chart")]
    opening, close, rest = chart.partition(">")
    return str(opening + close + tag("style", Markup("\n".join([colours, *rules]))) + rest) + "\n"
