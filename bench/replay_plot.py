"""The plot of `replay`: over the requests, the share that is answered locally, and the share of local answers that disagree."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

FILE = "replay.svg"
PARTS = 26
"""Stretches of the traffic that a line is drawn through."""
ALPHA = 0.05


def draw(traces: Mapping[str, Sequence[Any]]) -> str:
    """One panel for each entry, one under the other: median and the middle nine tenths of the seeds."""
    import numpy as np
    from markupsafe import Markup

    from smidgen.judge.charts.axes import Frame, Scale, picture, tag
    from smidgen.judge.charts.standalone import standalone

    drawn, height = [], 300.0
    for number, (name, found) in enumerate(traces.items()):
        n = len(found[0].who)
        edges = np.linspace(0, n, PARTS + 1).astype(int)
        parts = [slice(a, b) for a, b in itertools.pairwise(edges.tolist())]
        middles = [(part.start + part.stop) / 2 for part in parts]
        panels = []
        for at, (label, of, top) in enumerate(
            (("Answered locally", lambda trace, part: trace.share(part), 1.0), ("Of these, disagree", _risk, 0.1))
        ):
            frame = Frame(Scale(0, n), Scale(0.0, top), height=height, width=440.0)
            low, middle, high = np.nanquantile([[of(trace, part) for part in parts] for trace in found], (0.05, 0.5, 0.95), axis=0)
            known = [place for place, value in enumerate(middle) if not np.isnan(value)]
            line = [(middles[place], min(top, float(middle[place]))) for place in known]
            band = [[(middles[place], min(top, float(side[place]))) for place in known] for side in (low, high)]
            content = [frame.axes("requests", f"{label}: {name}" if at == 0 else label, _whole, _percent)]
            if at == 1:
                content.append(frame.line([(0, ALPHA), (n, ALPHA)], "ideal"))
                content.append(tag("text", "α", x=frame.across(n) - 12, y=frame.up(ALPHA) - 5, class_="note"))
            if len(line) > 1:
                content += [frame.band(*band, "band"), frame.line(line, "curve")]
            panels.append(tag("g", *content, transform=f"translate({460 * at} {number * (height + 16):.0f})"))
        drawn += panels
    told = "One row for each data set and policy; lines are medians over the seeds, bands hold nine tenths of them."
    whole = picture("replay", 900.0, len(traces) * (height + 16), "The loop, replayed", told, *drawn)
    return standalone(Markup(whole))


def _risk(trace: Any, part: slice) -> float:
    return float("nan") if trace.share(part) == 0 else float(trace.disagreement(part))


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _percent(value: float) -> str:
    return f"{value:.0%}"
