"""Spending by the end of each month: with a large model alone, with the small one alone, with both."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from smidgen.core.quantities import dollars
from smidgen.judge.charts import PlotFrame, Scale, picture, rounded_up, tag
from smidgen.judge.sections import shortened
from smidgen.usage.break_even import BreakEven, PaybackOutcome

_HEAD = 88.0  # room for the heading, above the plot
_EDGE = 20.0
_LINE_HEIGHT = 17.0  # from one line of text to the next
_LETTER = 7.2
_NOTE = 80.0  # width of "month 12"
_LONGEST = 28  # letters of a name


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of the chart: its name, its class in the style sheet, the spending by month, and when it pays back."""

    name: str
    look: str
    spent: Sequence[float]
    outcome: PaybackOutcome | None = None


def month_chart(found: BreakEven, model: str, heading: str, below: str) -> Markup:
    """The chart, with its heading, the payback of each line, and small print, for `standalone`."""
    last = len(found.months)
    lines = [
        _Line(f"{shortened(model, _LONGEST)} alone", "llm", _summed(0.0, [month.llm_usd for month in found.months])),
        _Line("Both", "both", _summed(found.build_usd, [month.hybrid_usd for month in found.months]), found.hybrid),
        _Line("Small model alone", "own", _summed(found.build_usd, [month.slm_usd for month in found.months]), found.slm),
    ]
    most = max(line.spent[-1] for line in lines) or 1.0
    step = 10.0 ** (len(f"{most:.0f}") - 1) / 2
    right = 26 + _LETTER * max(len(line.name) for line in lines)
    frame = PlotFrame(
        Scale(0.0, float(last)), Scale(0.0, rounded_up(most * 1.02, step)), width=620 + right, height=380, left=62.0, right=right
    )
    ticks = [float(month) for month in _ticks(last)]
    drawn = [frame.axes("Month", "US dollars spent so far, building included", _whole, _money, x_ticks=ticks)]
    drawn += [_curve(frame, line, last) for line in lines]
    drawn += _names(frame, lines, last)
    drawn += _paybacks(frame, lines, last)
    return picture(
        "months",
        frame.width + 2 * _EDGE,
        frame.height + _HEAD + _EDGE,
        heading,
        "; ".join(f"{line.name}: {dollars(line.spent[-1])} after {last} months" for line in lines),
        tag("rect", width="100%", height="100%", class_="ground"),
        tag("text", heading, x=_EDGE, y=30.0, class_="heading"),
        tag("text", _answer(lines, last), x=_EDGE, y=52.0, class_="label"),
        tag("text", below, x=_EDGE, y=72.0),
        tag("g", *drawn, transform=f"translate({_EDGE:g} {_HEAD:g})"),
        widest=frame.width + 2 * _EDGE,
    )


def _curve(frame: PlotFrame, line: _Line, last: int) -> Markup:
    title = tag("title", f"{line.name}: {dollars(line.spent[-1])} after {last} months")
    return tag("g", title, frame.line(list(enumerate(line.spent)), f"curve {line.look}"))


def _names(frame: PlotFrame, lines: Sequence[_Line], last: int) -> list[Markup]:
    """Each line's name and sum at its end, moved apart if the ends are close."""
    ends = sorted(lines, key=lambda line: frame.up(line.spent[-1]))
    floor = frame.height - frame.bottom
    places: list[float] = []
    for line in ends:
        least = places[-1] + 2.2 * _LINE_HEIGHT if places else frame.top
        places.append(max(least, frame.up(line.spent[-1]) - 2))
    over = max(0.0, places[-1] + _LINE_HEIGHT - floor)
    x = frame.across(last) + 10
    drawn = []
    for line, place in zip(ends, places, strict=True):
        lifted = place - over
        drawn.append(tag("text", line.name, x=x, y=lifted, class_=f"label {line.look}"))
        drawn.append(tag("text", _sum(line.spent[-1]), x=x, y=lifted + _LINE_HEIGHT))
    return drawn


def _paybacks(frame: PlotFrame, lines: Sequence[_Line], last: int) -> list[Markup]:
    """The points at which lines pay back: a dot, a line down to the axis, and the month as text if there is room below the lines."""
    floor = frame.height - frame.bottom
    drawn, rows = [], 0
    paid = [(line.outcome.payback_month, line) for line in lines if line.outcome and line.outcome.payback_month is not None]
    # The earliest lowest, because the lines are lowest there, too.
    for month, line in sorted(paid, key=lambda pair: pair[0]):
        if month > last:
            continue
        x, y = frame.across(month), frame.up(line.spent[month])
        drawn.append(tag("line", x1=x, x2=x, y1=y, y2=floor, class_="drop"))
        drawn.append(tag("circle", cx=x, cy=y, r=5.0, class_=f"dot {line.look}"))
        before = x + _NOTE > frame.width - frame.right
        place, anchor = (x - 8, "end") if before else (x + 8, None)
        foot = floor - 10 - rows * _LINE_HEIGHT
        # Spending only grows, so a line is lowest where the note begins.
        begins = next(number for number in range(month + 1) if not before or frame.across(number + 1) > x - _NOTE)
        if all(frame.up(other.spent[month if not before else begins]) < foot - _LINE_HEIGHT for other in lines):
            drawn.append(tag("text", f"month {month}", x=place, y=foot, class_=f"label {line.look}", text_anchor=anchor))
            rows += 1
    return drawn


def _answer(lines: Sequence[_Line], last: int) -> str:
    """When each line pays back within the months drawn, in words."""
    said = []
    for line in reversed(lines):
        if line.outcome is not None:
            month = line.outcome.payback_month
            when = f"pays back in month {month}" if month is not None and month <= last else f"does not pay back within {last} months"
            said.append(f"{line.name}: {when}")
    return "; ".join(said)


def _summed(first: float, months: Sequence[float]) -> list[float]:
    return list(itertools.accumulate(months, initial=first))


def _ticks(last: int) -> list[int]:
    """Ticks at whole months, about a dozen at most."""
    step = next((step for step in (1, 2, 3, 6, 12, 24) if last / step <= 12), 60)
    return list(range(0, last + 1, step))


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _money(value: float) -> str:
    """A tick: "500", "20k", "1.5M"."""
    for unit, letter in ((1e12, ""), (1e9, "bn"), (1e6, "M"), (1e4, "k")):
        if value >= unit:
            return f"{value:.0e}" if not letter else f"{value / (1e3 if letter == 'k' else unit):g}{letter}"
    return f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"


def _sum(value: float) -> str:
    """A sum of any size, for the end of its line."""
    return dollars(value) if value < 1e9 else f"${value / 1e9:,.4g}bn" if value < 1e15 else f"${value:.2e}"
