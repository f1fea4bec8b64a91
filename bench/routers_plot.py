"""The plot of `routers`: quality over the share of requests that escalate, a panel for each case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

FILE = "routers.svg"
IDEAL = "knows both answers"
PLAIN = "random"
POINTS = 101
WIDTH, HEIGHT, ACROSS = 440.0, 320.0, 2
LINES = (
    ("smidgen", "curve", "smidgen's score"),
    ("nearness and score", "curve both", "nearness and score"),
    ("FrugalGPT-style scorer (text, answer)", "curve llm", "FrugalGPT-style"),
)
"""Routers with a line that is named; the others have thin ones."""

Curves = Mapping[str, Sequence[tuple[Any, Any]]]
"""For each router and seed (costs, qualities)."""


def draw(cases: Mapping[str, Curves]) -> str:
    """One panel for each case, two in a row. Lines are means over the seeds."""
    from markupsafe import Markup

    from smidgen.judge.charts import picture, standalone, tag

    panels = []
    for number, (name, curves) in enumerate(cases.items()):
        x, y = (WIDTH + 20) * (number % ACROSS), (HEIGHT + 16) * (number // ACROSS)
        panels.append(tag("g", *_panel(name, curves), transform=f"translate({x:.0f} {y:.0f})"))
    rows = (len(cases) + ACROSS - 1) // ACROSS
    told = "Lines are means over the seeds, thin ones the other routers, dashed ones random and a router that knows both answers."
    whole = picture("routers", (WIDTH + 20) * ACROSS, (HEIGHT + 16) * rows, "Routers: quality over cost", told, *panels)
    return standalone(Markup(whole))


def _panel(name: str, curves: Curves) -> list[Any]:
    from smidgen.judge.charts import PlotFrame, Scale, rounded_down, rounded_up, tag

    means = {router: _mean(found) for router, found in curves.items()}
    values = [value for line in means.values() for _, value in line]
    frame = PlotFrame(Scale(0, 1), Scale(rounded_down(min(values), 0.01), rounded_up(max(values), 0.01)), height=HEIGHT, width=WIDTH)
    named = {router for router, _, _ in LINES}
    content = [frame.axes("share that escalates", name, _percent, _percent)]
    for router, line in means.items():
        if router not in named:
            plain = router in (PLAIN, IDEAL)
            content.append(tag("g", frame.line(line, "ideal" if plain else "axis"), fill="none", stroke_opacity=None if plain else "0.55"))
    labels = 0
    for router, drawn, label in reversed(LINES):
        if router in means:
            content.append(frame.line(means[router], drawn))
            labels += 1
            kind = {"curve": "own", "curve both": "both", "curve llm": "llm"}[drawn]
            place = frame.up(frame.y.low) - 10 - 16 * (labels - 1)
            content.append(tag("text", label, x=frame.across(1.0) - 4, y=place, class_=f"label {kind}", text_anchor="end"))
    return content


def _mean(found: Sequence[tuple[Any, Any]]) -> list[tuple[float, float]]:
    import numpy as np

    grid = np.linspace(0, 1, POINTS)
    line = np.mean([np.interp(grid, costs, qualities) for costs, qualities in found], axis=0)
    return list(zip(grid.tolist(), line.tolist(), strict=True))


def _percent(value: float) -> str:
    return f"{value:.0%}"
