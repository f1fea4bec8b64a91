"""The alternatives of a build: accuracy against latency, size as area."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from markupsafe import Markup

from smidgen.judge.charts.axes import PlotFrame, Scale, picture, rounded_down, rounded_up, tag
from smidgen.judge.sections import BuildAlternative, Measured

_LETTER = 7.6  # mean width of a letter of a name, rather too wide
Box: TypeAlias = tuple[float, float, float, float]


def draw(alternatives: Sequence[BuildAlternative], measure: str = "Accuracy", graded: bool = False) -> Markup | None:
    """The scatter plot; None with fewer than two measured alternatives. `measure` names the metric: a share, or with `graded` a grade."""
    value = _grade if graded else _percent
    usable = [(entry, entry.accuracy, entry.latency_ms_p50) for entry in alternatives]
    shown = [(entry, accuracy, latency) for entry, accuracy, latency in usable if accuracy is not None and latency]
    if len(shown) < 2:
        return None
    lows, highs = [accuracy.low for _, accuracy, _ in shown], [accuracy.high for _, accuracy, _ in shown]
    step = 0.01 if max(highs) - min(lows) < 0.06 else 0.05
    latencies = [latency for _, _, latency in shown]
    frame = PlotFrame(
        Scale(min(latencies) / 1.7, max(latencies) * 1.7, log=True),
        Scale(max(0.0, rounded_down(min(lows), step)), min(1.0, rounded_up(max(highs), step))),
        width=1024.0,
        height=430.0,
    )
    biggest = max((entry.size_mb or 0.0 for entry, _, _ in shown), default=0.0) or 1.0
    drawn = [frame.axes("Latency of one text, median, in ms", measure, _milliseconds, value)]
    discs = [(frame.across(latency), frame.up(accuracy.value), _radius(entry, biggest)) for entry, accuracy, latency in shown]
    taken = [(x - r, y - r, x + r, y + r) for x, y, r in discs]
    names: list[Markup] = []
    # Large ones first, so that small ones lie on top and can be pointed at; names above all.
    for entry, accuracy, latency in sorted(shown, key=lambda found: -(found[0].size_mb or 0.0)):
        drawn.append(_bubble(frame, entry, accuracy, latency, biggest, value))
    for (entry, _, _), (x, y, r) in sorted(zip(shown, discs, strict=True), key=lambda found: not found[0][0].chosen):
        names.append(_name(frame, entry, x, y, r, taken))
    drawn += names
    return picture(
        "alternatives",
        frame.width,
        frame.height,
        "What else could have been built?",
        "; ".join(f"{entry.name}: {value(accuracy.value)} at {_brief(latency)} ms" for entry, accuracy, latency in shown),
        *drawn,
    )


def _radius(entry: BuildAlternative, biggest: float) -> float:
    return 6 + 16 * float(((entry.size_mb or 0.0) / biggest) ** 0.5)


def _kind(entry: BuildAlternative) -> str:
    return "chosen" if entry.chosen else "baseline" if entry.baseline else "other"


def _bubble(
    frame: PlotFrame, entry: BuildAlternative, accuracy: Measured, latency: float, biggest: float, value: Callable[[float], str]
) -> Markup:
    x = frame.across(latency)
    size = f", {entry.size_mb:.3g} MB" if entry.size_mb is not None else ""
    spread = f"{value(accuracy.low)} to {value(accuracy.high)}"
    return tag(
        "g",
        tag("title", f"{entry.name}: {value(accuracy.value)} ({spread}), {_brief(latency)} ms{size}"),
        tag("line", x1=x, x2=x, y1=frame.up(accuracy.low), y2=frame.up(accuracy.high), class_="whisker"),
        tag("circle", cx=x, cy=frame.up(accuracy.value), r=_radius(entry, biggest), class_=f"bubble {_kind(entry)}"),
    )


def _name(frame: PlotFrame, entry: BuildAlternative, x: float, y: float, r: float, taken: list[Box]) -> Markup:
    """The name beside its disc, at the first place that overlaps no disc and no other name; to the right if there is none."""
    width = len(entry.name) * _LETTER
    places = [(x + r + 8, y + 5, "start"), (x - r - 8, y + 5, "end")]
    for lift in (r + 10, r + 26, r + 42):
        places += [(x + 8, y - lift, "start"), (x + 8, y + lift + 6, "start"), (x - 8, y - lift, "end"), (x - 8, y + lift + 6, "end")]
    boxes = [
        (at - width if anchor == "end" else at, height - 12, at if anchor == "end" else at + width, height + 4)
        for at, height, anchor in places
    ]
    free = (
        number
        for number, box in enumerate(boxes)
        if box[0] > frame.left
        and box[2] < frame.width
        and box[1] > frame.top - 16
        and box[3] < frame.height - frame.bottom
        and not any(box[0] < o[2] and o[0] < box[2] and box[1] < o[3] and o[1] < box[3] for o in taken)
    )
    chosen = next(free, 0)
    taken.append(boxes[chosen])
    at, height, anchor = places[chosen]
    return tag("text", entry.name, x=at, y=height, class_=f"label {_kind(entry)}", text_anchor=anchor)


def _percent(value: float) -> str:
    return f"{round(100 * value, 1):g} %"


def _grade(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _brief(latency: float) -> str:
    return f"{latency:.2g}" if latency < 100 else f"{latency:,.0f}"


def _milliseconds(value: float) -> str:
    return f"{value:g}"
