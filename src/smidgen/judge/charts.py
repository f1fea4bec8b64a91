"""The report's charts as SVG: curves, the alternatives of a build, the confusion table; and the scales, ticks and axes that they share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TypeAlias

from markupsafe import Markup, escape

from smidgen.judge.sections import (
    BuildAlternative,
    CalibrationFacts,
    ConfusionTable,
    CoveragePoint,
    LearningCurve,
    Measured,
    RiskCoverage,
    shortened,
)


def tag(name: str, *content: str, **attributes: object) -> Markup:
    """An SVG element. Attribute names take dashes for underscores, and lose a trailing one (`class_`); all text is escaped."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"' for key, value in attributes.items() if value is not None
    )
    inner = Markup("").join(escape(part) for part in content)
    return Markup(f"<{name}{given}>{inner}</{name}>") if content else Markup(f"<{name}{given}/>")


def _value(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def picture(name: str, width: float, height: float, title: str, description: str, *content: str, widest: float | None = None) -> Markup:
    """A whole chart, with a title and a description for screen readers. It fills its column, up to `widest` pixels."""
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", description, id=f"{name}-desc"),
        *content,
        class_=f"chart {name}",
        viewBox=f"0 0 {_value(float(width))} {_value(float(height))}",
        style=f"max-width:{_value(widest)}px" if widest is not None else None,
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        xmlns="http://www.w3.org/2000/svg",
    )


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values in low..high to 0..1, linearly or by logarithm."""

    low: float
    high: float
    log: bool = False

    def unit(self, value: float) -> float:
        """The place of a value, 0 at low and 1 at high; values outside are clipped."""
        if self.log:
            low, high, value = math.log(self.low), math.log(self.high), math.log(max(value, 1e-12))
        else:
            low, high = self.low, self.high
        return min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.5

    def ticks(self, about: int = 5) -> list[float]:
        """About `about` round values inside the scale: steps of 1, 2 or 5; on a logarithmic scale, 1, 2 and 5 times powers of ten."""
        if self.log:
            return self._log_ticks(about)
        rough = (self.high - self.low) / max(1, about)
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [round(k * step, 10) for k in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def _log_ticks(self, about: int) -> list[float]:
        low, high = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for steps in ((1, 2, 5), (1, 3), (1,)):
            found = [m * 10.0**k for k in range(low, high + 1) for m in steps if self.low * 0.999 <= m * 10.0**k <= self.high * 1.001]
            if len(found) <= about + 1:
                break
        return found


@dataclass(frozen=True, slots=True)
class PlotFrame:
    """A plot's rectangle inside its picture, with its two scales. Lengths are in the picture's own units, one CSS pixel at full size."""

    x: Scale
    y: Scale
    width: float = 480.0
    height: float = 340.0
    left: float = 52.0
    right: float = 16.0
    top: float = 36.0
    bottom: float = 46.0

    def across(self, value: float) -> float:
        """Horizontal place of a value."""
        return self.left + self.x.unit(value) * (self.width - self.left - self.right)

    def up(self, value: float) -> float:
        """Vertical place of a value."""
        return self.height - self.bottom - self.y.unit(value) * (self.height - self.top - self.bottom)

    def axes(
        self,
        x_name: str,
        y_name: str,
        x_words: Callable[[float], str],
        y_words: Callable[[float], str],
        *,
        x_ticks: Sequence[float] | None = None,
        y_ticks: Sequence[float] | None = None,
    ) -> Markup:
        """Grid lines, tick labels, axis names. The vertical axis has its name above it, written horizontally."""
        floor, drawn = self.height - self.bottom, []
        for value in y_ticks if y_ticks is not None else self.y.ticks():
            at = self.up(value)
            drawn.append(tag("line", x1=self.left, x2=self.width - self.right, y1=at, y2=at, class_="grid"))
            drawn.append(tag("text", y_words(value), x=self.left - 8, y=at + 4, class_="tick", text_anchor="end"))
        for value in x_ticks if x_ticks is not None else self.x.ticks():
            at = self.across(value)
            drawn.append(tag("line", x1=at, x2=at, y1=floor, y2=floor + 4, class_="axis"))
            drawn.append(tag("text", x_words(value), x=at, y=floor + 18, class_="tick", text_anchor="middle"))
        drawn.append(tag("line", x1=self.left, x2=self.width - self.right, y1=floor, y2=floor, class_="axis"))
        drawn.append(
            tag("text", x_name, x=(self.left + self.width - self.right) / 2, y=self.height - 6, class_="name", text_anchor="middle")
        )
        drawn.append(tag("text", y_name, x=0.0, y=12.0, class_="name"))
        return Markup("").join(drawn)

    def line(self, points: Sequence[tuple[float, float]], class_: str) -> Markup:
        """A line through values."""
        return tag("path", d=self._path(points), class_=class_)

    def band(self, low: Sequence[tuple[float, float]], high: Sequence[tuple[float, float]], class_: str) -> Markup:
        """The area between two lines of values."""
        return tag("path", d=self._path([*high, *reversed(low)]) + "Z", class_=class_)

    def _path(self, points: Sequence[tuple[float, float]]) -> str:
        return "M" + "L".join(f"{self.across(x):.1f},{self.up(y):.1f}" for x, y in points)


def rounded_down(value: float, step: float) -> float:
    """The multiple of `step` at or below a value."""
    return round(math.floor(value / step + 1e-9) * step, 10)


def rounded_up(value: float, step: float) -> float:
    """The multiple of `step` at or above a value."""
    return round(math.ceil(value / step - 1e-9) * step, 10)


def standalone(chart: Markup) -> str:
    """The chart as an SVG file that includes the report's styles for charts, light and dark."""
    sheet = resources.files("smidgen.judge").joinpath("templates", "report.css").read_text(encoding="utf-8")
    colours = sheet[: sheet.index("* {")]
    rules = [line for line in sheet.splitlines() if line.startswith(".chart")]
    opening, close, rest = chart.partition(">")
    return str(opening + close + tag("style", Markup("\n".join([colours, *rules]))) + rest) + "\n"


WIDEST = 1.1
"""The most that a chart is enlarged: its letters grow with it, and all charts of a page should have letters of one size."""
_NAME_WIDTH = 26.0
_LEAST_ANSWERED = 20  # with fewer answers a share is not worth drawing


def reliability(calibration: CalibrationFacts, grade: str | None = None) -> Markup | None:
    """The reliability diagram: share right against score, one dot per bin with its interval. For a graded task, whose metric is `grade`,
    the mean grade against the score."""
    bins = calibration.bins
    if not bins:
        return None
    least = min(min(entry.confidence for entry in bins), min(entry.accuracy for entry in bins))
    low = max(0.0, min(0.8, rounded_down(least - 0.02, 0.1)))
    high = 1.0 if grade is None else min(1.0, rounded_up(max(max(entry.confidence, entry.high) for entry in bins) + 0.02, 0.1))
    frame = PlotFrame(Scale(low, high), Scale(low, high))
    words, named = (_percent, _percent1) if grade is None else (_grade, _grade)
    axes = ("Score of the answer", "Share that was right") if grade is None else ("Score of the text", grade)
    drawn = [frame.axes(*axes, words, words), frame.line([(low, low), (high, high)], "ideal")]
    corner = low + 0.28 * (high - low)
    what = "share right" if grade is None else "what came of it"
    drawn.append(tag("text", f"score = {what}", x=frame.across(corner) + 8, y=frame.up(corner) + 14, class_="note"))
    for entry in bins:
        x = frame.across(entry.confidence)
        spread = f"{named(entry.low)} to {named(entry.high)}"
        right = "right" if grade is None else "on average"
        about = f"Score {named(entry.confidence)}: {named(entry.accuracy)} {right} of {entry.n} ({spread})"
        drawn.append(
            tag(
                "g",
                tag("title", about),
                tag("line", x1=x, x2=x, y1=frame.up(entry.low), y2=frame.up(min(entry.high, high)), class_="whisker"),
                tag("circle", cx=x, cy=frame.up(entry.accuracy), r=4.5, class_="dot"),
            )
        )
    meaning = "a score of 90 % is right 90 % of the time" if grade is None else "texts are as good as their scores say"
    return picture(
        "reliability",
        frame.width,
        frame.height,
        "Do the scores mean what they say?",
        f"{len(bins)} groups of answers by score. Dots near the diagonal: {meaning}.",
        *drawn,
        widest=WIDEST * frame.width,
    )


def risk_coverage(curve: RiskCoverage, rows: int) -> Markup | None:
    """The share of wrong answers against the share answered, with its interval and the wanted error rates."""
    usable = [point for point in curve.points if point.coverage * rows >= _LEAST_ANSWERED]
    if len(usable) < 2:
        return None
    peak = max(point.risk for point in usable)
    top = max(0.02, rounded_up(peak * 1.3, 0.01 if peak < 0.08 else 0.05))
    frame = PlotFrame(Scale(0.0, 1.0), Scale(0.0, min(1.0, top)))
    low = [(point.coverage, point.risk_low) for point in usable]
    high = [(point.coverage, min(point.risk_high, frame.y.high)) for point in usable]
    drawn = [
        frame.axes("Share of texts answered, surest first", "Wrong among the answered", _percent, _percent),
        frame.band(low, high, "band"),
        frame.line([(point.coverage, point.risk) for point in usable], "curve"),
    ]
    free = frame.left  # a name is drawn only if it does not overlap the one before
    for at in curve.at:
        if (
            at.point is not None
            and at.point.coverage < 0.9995
            and at.point.coverage * rows >= _LEAST_ANSWERED
            and at.wanted <= frame.y.high
        ):
            x = frame.across(at.point.coverage)
            drawn.append(_mark(frame, at.point, at.wanted, named=x - free > _NAME_WIDTH))
            free = x
    last = usable[-1]
    drawn.append(tag("circle", cx=frame.across(last.coverage), cy=frame.up(last.risk), r=4.0, class_="dot"))
    return picture(
        "risk-coverage",
        frame.width,
        frame.height,
        "How much could it answer alone?",
        "; ".join(
            f"at most {_percent(at.wanted)} wrong: {_percent1(at.point.coverage)} of texts" for at in curve.at if at.point is not None
        ),
        *drawn,
        widest=WIDEST * frame.width,
    )


def grade_coverage(curve: RiskCoverage, rows: int, grade: str) -> Markup | None:
    """The mean grade of the answered texts against the share answered, with its interval, and the mean grade of all texts."""
    usable = [point for point in curve.points if point.coverage * rows >= _LEAST_ANSWERED]
    if len(usable) < 2:
        return None
    lows, highs = [1 - point.risk_high for point in usable], [1 - point.risk_low for point in usable]
    frame = PlotFrame(Scale(0.0, 1.0), Scale(max(0.0, rounded_down(min(lows) - 0.02, 0.1)), min(1.0, rounded_up(max(highs) + 0.02, 0.1))))
    last = usable[-1]
    everything = 1 - last.risk
    at = [point.coverage for point in usable]
    drawn = [
        frame.axes("Share of texts answered, surest first", f"Mean {grade} of the answered", _percent, _grade),
        frame.band(list(zip(at, lows, strict=True)), list(zip(at, highs, strict=True)), "band"),
        frame.line([(0.0, everything), (1.0, everything)], "ideal"),
        frame.line([(point.coverage, 1 - point.risk) for point in usable], "curve"),
        tag(
            "g",
            tag("title", f"All texts: {everything:.3f}"),
            tag("circle", cx=frame.across(last.coverage), cy=frame.up(everything), r=4.0, class_="dot"),
        ),
    ]
    return picture(
        "risk-coverage",
        frame.width,
        frame.height,
        "How much better are the texts that it is sure of?",
        f"Mean {grade} {1 - usable[0].risk:.3f} of the surest {_percent1(usable[0].coverage)}, {everything:.3f} of all.",
        *drawn,
        widest=WIDEST * frame.width,
    )


def _mark(frame: PlotFrame, point: CoveragePoint, wanted: float, named: bool) -> Markup:
    x, y = frame.across(point.coverage), frame.up(point.risk)
    words = f"Answering only what scores {point.threshold:.2f} or more: {_percent1(point.coverage)} of texts, {_percent1(point.risk)} wrong"
    return tag(
        "g",
        tag("title", words),
        tag("line", x1=x, x2=x, y1=y, y2=frame.height - frame.bottom, class_="drop"),
        tag("circle", cx=x, cy=y, r=4.0, class_="dot"),
        *([tag("text", _percent(wanted), x=x - 3, y=y - 11, class_="note", text_anchor="end")] if named else []),
    )


def learning(curve: LearningCurve) -> Markup | None:
    """Accuracy against training rows, on a logarithmic scale: measured dots, the fitted curve with its band, the forecast dashed."""
    points = curve.points
    if len(points) < 2:
        return None
    values = [bound for point in points for bound in (point.value, point.low, point.high) if bound is not None]
    values += [bound for point in curve.band for bound in (point.low, point.high) if bound is not None and point.n >= points[0].n]
    low = max(0.0, rounded_down(min(values) - 0.01, 0.05))
    high = min(1.0, rounded_up(max(values) + 0.03, 0.05))
    last = max([points[-1].n, *(point.n for point in curve.band)])
    frame = PlotFrame(Scale(points[0].n * 0.92, last * 1.06, log=True), Scale(low, high), right=24.0)
    drawn = [frame.axes("Training rows", "Accuracy on the test rows", _rows, _percent)]
    now = points[-1].n
    if curve.band:
        inside = [(point.n, point.value) for point in curve.band if point.n <= now]
        beyond = [inside[-1], *((point.n, point.value) for point in curve.band if point.n > now)] if inside else []
        drawn.append(frame.band([(p.n, p.low or 0.0) for p in curve.band], [(p.n, p.high or 1.0) for p in curve.band], "band"))
        drawn.append(frame.line(inside, "curve"))
        drawn.append(frame.line(beyond, "curve beyond"))
    for point in points:
        x = frame.across(point.n)
        whisker = (
            [tag("line", x1=x, x2=x, y1=frame.up(point.low), y2=frame.up(point.high), class_="whisker")]
            if point.low is not None and point.high is not None
            else []
        )
        drawn.append(
            tag(
                "g",
                tag("title", f"{point.n:,} rows: {_percent1(point.value)}"),
                *whisker,
                tag("circle", cx=x, cy=frame.up(point.value), r=4.5, class_="dot"),
            )
        )
    for forecast in (entry for entry in curve.forecasts if entry.trusted):
        x, y = frame.across(forecast.n), frame.up(forecast.value)
        words = f"{forecast.extra:,} more rows: {_percent1(forecast.value)} ({_percent1(forecast.low)} to {_percent1(forecast.high)})"
        label = (
            [tag("text", f"+{forecast.extra:,}", x=x, y=y - 12, class_="note", text_anchor="middle")] if x - frame.across(now) > 26 else []
        )
        drawn.append(tag("g", tag("title", words), tag("circle", cx=x, cy=y, r=4.5, class_="dot hollow"), *label))
    return picture(
        "learning",
        frame.width,
        frame.height,
        "What would more examples bring?",
        "; ".join(f"{point.n:,} rows: {_percent1(point.value)}" for point in points),
        *drawn,
        widest=WIDEST * frame.width,
    )


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %" if round(100 * value, 6) != 100 else "100 %"


def _percent1(value: float) -> str:
    return f"{100 * value:.1f} %"


def _grade(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if round(value * 10, 6) % 1 else f"{value:.1f}"


def _rows(value: float) -> str:
    return f"{value:,.0f}"


_HEAD = 64.0
_EDGE = 20.0


def local_share(points: Sequence[tuple[int, float]], turns: Sequence[tuple[int, str]], heading: str, below: str) -> Markup | None:
    """The share of requests answered locally, with a heading and small print, for `standalone`; None without any point.

    Args:
        points: (requests by then, share of the requests since the previous point that were answered here, 0..1), in order.
        turns: (requests by then, version that took over), in order.
    """
    if not points:
        return None
    frame = PlotFrame(Scale(0.0, float(points[-1][0])), Scale(0.0, 1.0), width=640.0)
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


_NAME_LETTER = 7.6  # mean width of a letter of a name, rather too wide
Box: TypeAlias = tuple[float, float, float, float]


def alternatives_chart(alternatives: Sequence[BuildAlternative], measure: str = "Accuracy", graded: bool = False) -> Markup | None:
    """The scatter plot; None with fewer than two measured alternatives. `measure` names the metric: a share, or with `graded` a grade."""
    value = _rounded_grade if graded else _rounded_percent
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
        names.append(_bubble_name(frame, entry, x, y, r, taken))
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


def _bubble_name(frame: PlotFrame, entry: BuildAlternative, x: float, y: float, r: float, taken: list[Box]) -> Markup:
    """The name beside its disc, at the first place that overlaps no disc and no other name; to the right if there is none."""
    width = len(entry.name) * _NAME_LETTER
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


def _rounded_percent(value: float) -> str:
    return f"{round(100 * value, 1):g} %"


def _rounded_grade(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _brief(latency: float) -> str:
    return f"{latency:.2g}" if latency < 100 else f"{latency:,.0f}"


def _milliseconds(value: float) -> str:
    return f"{value:g}"


_LONGEST = 26
_TICK_LETTER = 7.4  # mean width of a letter at the size of tick labels, rather too wide: fonts differ


def heat_map(table: ConfusionTable) -> Markup:
    """The heat map. A cell's opacity is its share of the gold label's rows; with few labels the counts are in the cells."""
    labels, n = table.labels, len(table.labels)
    names = [shortened(label, _LONGEST) for label in labels]
    cell = 92.0 if n <= 3 else 46.0 if n <= 9 else 26.0 if n <= 22 else 19.0
    longest = max(map(len, names), default=0)
    side = longest * _TICK_LETTER + 14
    level = n <= 3  # few enough labels for horizontal names above their columns
    head = 30.0 if level else longest * _TICK_LETTER * 0.77 + 20
    tail = 10.0 if level else longest * _TICK_LETTER * 0.65
    width, height = side + n * cell + tail, head + n * cell + 6
    drawn: list[Markup] = [tag("rect", x=side, y=head, width=n * cell, height=n * cell, class_="field")]
    for at, (label, name) in enumerate(zip(labels, names, strict=True)):
        middle = at * cell + cell / 2
        drawn.append(tag("text", name, tag("title", label), x=side - 8, y=head + middle + 4, class_="tick", text_anchor="end"))
        x, y = side + middle, head - 8
        drawn.append(
            tag("text", name, tag("title", label), x=x, y=y, class_="tick", text_anchor="middle")
            if level
            else tag("text", name, tag("title", label), x=x + 2, y=y, class_="tick", transform=f"rotate(-50 {x + 2:.1f} {y:.1f})")
        )
        drawn.append(
            tag(
                "path",
                d=f"M{side:.1f},{head + at * cell:.1f}h{n * cell:.1f}M{side + at * cell:.1f},{head:.1f}v{n * cell:.1f}",
                class_="mesh",
            )
        )
    for row, counts in enumerate(table.counts):
        total = sum(counts)
        for column, number in enumerate(counts):
            if number:
                drawn.append(_heat_cell(table, row, column, number, number / total, side + column * cell, head + row * cell, cell))
    wrong = sum(number for row, counts in enumerate(table.counts) for column, number in enumerate(counts) if row != column)
    return picture(
        "heat-map",
        width,
        height,
        "Which labels are mistaken for which",
        f"{n} labels; rows are the right label, columns the answer. {wrong} answers lie off the diagonal.",
        *drawn,
        widest=width,
    )


def heat_map_width(table: ConfusionTable) -> int:
    """The least width, in pixels, at which names can be read."""
    n = len(table.labels)
    return 300 if n <= 3 else 420 if n <= 9 else 760


def _heat_cell(table: ConfusionTable, row: int, column: int, number: int, share: float, x: float, y: float, cell: float) -> Markup:
    right = row == column
    strength = max(0.12, share**0.5) if not right else max(0.15, share**1.5)
    gold, answer = table.labels[row], table.labels[column]
    words = f"{gold}: {number} right ({100 * share:.0f} %)" if right else f"{gold} answered as {answer}: {number} ({100 * share:.0f} %)"
    gap = 1.0 if cell > 20 else 0.5
    drawn = [
        tag("title", words),
        tag(
            "rect",
            x=x + gap,
            y=y + gap,
            width=cell - 2 * gap,
            height=cell - 2 * gap,
            rx=2.0,
            class_="right" if right else "wrong",
            fill_opacity=strength,
        ),
    ]
    if cell >= 26:
        light = "cell-number on" if strength > 0.78 else "cell-number"
        drawn.append(tag("text", f"{number}", x=x + cell / 2, y=y + cell / 2 + (5 if cell > 60 else 4), class_=light, text_anchor="middle"))
    return tag("g", *drawn)
