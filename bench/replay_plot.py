"""The plot of `replay`: over the requests, the share answered locally, that of local answers that disagree, and what was paid."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

FILE = "replay.svg"
PARTS = 26
"""Stretches of the traffic that a line is drawn through."""
ALPHA = 0.05


def draw(traces: Mapping[str, Sequence[Any]]) -> str:
    """A row of panels for each entry, one under the other: median and the middle nine tenths of the seeds."""
    import numpy as np
    from markupsafe import Markup

    from smidgen.judge.charts import PlotFrame, Scale, picture, standalone, tag

    drawn, height = [], 300.0
    for number, (name, found) in enumerate(traces.items()):
        n = len(found[0].who)
        edges = np.linspace(0, n, PARTS + 1).astype(int)
        parts = [slice(a, b) for a, b in itertools.pairwise(edges.tolist())]
        middles, ends = [(part.start + part.stop) / 2 for part in parts], [float(part.stop) for part in parts]
        panels = []
        for at, (label, of, places, top) in enumerate(
            (
                ("Answered locally", lambda trace, part: trace.share(part), middles, 1.0),
                ("Of these, disagree", _risk, middles, 0.1),
                ("Paid so far, against escalating all", _paid, ends, 1.0),
            )
        ):
            frame = PlotFrame(Scale(0, n), Scale(0.0, top), height=height, width=440.0)
            values = np.array([[of(trace, part) for part in parts] for trace in found])
            known = np.flatnonzero(~np.isnan(values).all(axis=0)).tolist()
            sides = np.nanquantile(values[:, known], (0.05, 0.5, 0.95), axis=0) if known else np.empty((3, 0))
            low, line, high = ([(places[place], min(top, float(one))) for place, one in zip(known, side, strict=True)] for side in sides)
            band = (low, high)
            content = [frame.axes("requests", f"{label}: {name}" if at == 0 else label, _whole, _percent)]
            if at == 1:
                content.append(frame.line([(0, ALPHA), (n, ALPHA)], "ideal"))
                content.append(tag("text", "α", x=frame.across(n) - 12, y=frame.up(ALPHA) - 5, class_="note"))
            if len(line) > 1:
                content += [frame.band(*band, "band"), frame.line(line, "curve")]
            panels.append(tag("g", *content, transform=f"translate({460 * at} {number * (height + 16):.0f})"))
        drawn += panels
    told = "One row for each data set and policy; lines are medians over the seeds, bands hold nine tenths of them. Paid are audits, too."
    whole = picture("replay", 1360.0, len(traces) * (height + 16), "The loop, replayed", told, *drawn)
    return standalone(Markup(whole))


def _risk(trace: Any, part: slice) -> float:
    return float("nan") if trace.share(part) == 0 else float(trace.disagreement(part))


def _paid(trace: Any, part: slice) -> float:
    """What the large model was asked up to the end of these requests, audits with it, in parts of what it would have been asked."""
    escalated = part.stop - int(trace.who[: part.stop].sum())
    return (escalated + sum(at < part.stop for at in trace.audited)) / part.stop


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _percent(value: float) -> str:
    return f"{value:.0%}"
