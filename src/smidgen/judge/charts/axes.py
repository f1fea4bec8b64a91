"""The parts of every chart: SVG elements, scales, ticks, the frame with its axes; and a chart as a separate file."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources

from markupsafe import Markup, escape


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
