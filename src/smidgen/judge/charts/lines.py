"""Curves: reliability, risk against coverage, accuracy against training rows, and the share answered locally over requests."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from smidgen.judge.charts.axes import PlotFrame, Scale, picture, rounded_down, rounded_up, tag
from smidgen.judge.sections import CalibrationFacts, CoveragePoint, LearningCurve, RiskCoverage

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
