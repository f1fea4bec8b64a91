"""Which share of requests is answered here, over the requests: one dot for every hundred, and a line where a new version took over."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from smidgen.judge.charts.axes import Frame, Scale, picture, tag

_HEAD = 64.0
_EDGE = 20.0


def draw(points: Sequence[tuple[int, float]], turns: Sequence[tuple[int, str]], heading: str, below: str) -> Markup | None:
    """The chart, with its heading and a line of small print; None where there is no point. It stands by itself: see `standalone`.

    Args:
        points: (requests by then, share of the requests since the point before that were answered here, 0..1), in their order.
        turns: (requests by then, what took over), in their order.
    """
    if not points:
        return None
    frame = Frame(Scale(0.0, float(points[-1][0])), Scale(0.0, 1.0), width=640.0)
    floor = frame.height - frame.bottom
    drawn = [frame.axes("Requests", "Share answered here", lambda value: f"{value:,.0f}", lambda value: f"{100 * value:.0f} %")]
    for at, name in turns:
        x = frame.across(float(at))
        drawn.append(
            tag(
                "g",
                tag("title", f"after {at:,} requests: {name}"),
                tag("line", x1=x, x2=x, y1=frame.top, y2=floor, class_="drop"),
                tag("text", name, x=x - 5, y=frame.top + 10, class_="note", text_anchor="end"),
            )
        )
    drawn.append(frame.line([(float(at), share) for at, share in points], "curve"))
    for at, share in points:
        words = f"up to {at:,} requests: {100 * share:.0f} % answered here"
        drawn.append(tag("g", tag("title", words), tag("circle", cx=frame.across(float(at)), cy=frame.up(share), r=4.0, class_="dot")))
    return picture(
        "shares",
        frame.width + 2 * _EDGE,
        frame.height + _HEAD + _EDGE,
        heading,
        "; ".join(f"{at:,} requests: {100 * share:.0f} %" for at, share in points),
        tag("rect", width="100%", height="100%", class_="ground"),
        tag("text", heading, x=_EDGE, y=28.0, class_="heading"),
        tag("text", below, x=_EDGE, y=48.0),
        tag("g", *drawn, transform=f"translate({_EDGE:g} {_HEAD:g})"),
        widest=frame.width + 2 * _EDGE,
    )
