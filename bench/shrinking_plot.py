"""The plot of `shrinking`: ROUGE-L over size and over speed, a colour a model, a point a form. An SVG that reads in light and in dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 960, 430
TOP, BOTTOM, LEFT, GAP = 64, 56, 60, 60
PANEL = (WIDTH - LEFT - GAP - 20) / 2
LIGHT = ("#0b6e75", "#b35900", "#6639ba", "#a0295f")
DARK = ("#4cc3cc", "#ffa657", "#b392f0", "#f778ba")
"""A colour for each line; those that come after begin anew."""
PLAIN = """text { font: 13px system-ui, sans-serif; fill: #24292f; } .quiet { fill: #57606a; } .axis { stroke: #8c959f; }
.grid { stroke: #d8dee4; } .line { fill: none; stroke-width: 2; } .dot { stroke: #ffffff; }"""
NIGHT = (
    """text { fill: #e6edf3; } .quiet { fill: #9198a1; } .axis { stroke: #7d8590; } .grid { stroke: #30363d; } .dot { stroke: #0d1117; }"""
)


@dataclass(frozen=True)
class Point:
    """A model in a form: MB of its files, tokens a second (median, each round), ROUGE-L with its interval. None: not measured."""

    model: str
    form: str
    size_mb: float
    speed: float | None
    speeds: tuple[float, ...]
    rouge: tuple[float, float, float] | None


def draw(points: Sequence[Point]) -> str:
    """The picture; empty with fewer than two points that were measured."""
    measured = [(point, point.rouge[0], point.speed) for point in points if point.rouge is not None and point.speed is not None]
    if len(measured) < 2:
        return ""
    models = list(dict.fromkeys(point.model for point, _, _ in measured))
    low, high = ticked(min(value for _, value, _ in measured), max(value for _, value, _ in measured))
    parts = [_legend(models)]
    panels: list[tuple[str, Callable[[Point], float]]] = [
        ("MB of files", lambda point: point.size_mb),
        ("tokens a second, one text at a time", lambda point: point.speed or 0.0),
    ]
    for number, (label, of) in enumerate(panels):
        left = LEFT + number * (PANEL + GAP)
        most = max(of(point) for point, _, _ in measured) * 1.08
        parts.append(_axes(left, label, most, low, high, first=number == 0))
        places = [(point, left + PANEL * of(point) / most, _up(value, low, high)) for point, value, _ in measured]
        for at, model in enumerate(models):
            parts.append(_line(at, [place for place in places if place[0].model == model], joined=number == 0))
        parts.append(_names(models, places))
    told = f"ROUGE-L between {low:.2f} and {high:.2f}"
    style = f"{PLAIN}{_coloured(LIGHT)}\n@media (prefers-color-scheme: dark) {{ {NIGHT}{_coloured(DARK)} }}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">\n'
        f"<title>Size and speed against ROUGE-L</title><desc>{escape(', '.join(models))}: {told}</desc>\n"
        f"<style>{style}</style>\n{''.join(parts)}</svg>\n"
    )


def _coloured(colours: Sequence[str]) -> str:
    return "".join(f"\n.m{at} .dot {{ fill: {colour}; }} .m{at} .line {{ stroke: {colour}; }}" for at, colour in enumerate(colours))


def ticked(low: float, high: float) -> tuple[float, float]:
    """Ends of an axis that holds both values, at multiples of 0.05 and at least 0.1 apart."""
    first, last = math.floor(round(low * 20, 6)), math.ceil(round(high * 20, 6))
    return first / 20, max(last, first + 2) / 20


def _up(value: float, low: float, high: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)


def _legend(models: Sequence[str]) -> str:
    parts, x = [], float(LEFT)
    for at, model in enumerate(models):
        parts.append(f'<g class="m{at % 4}">{_mark(at, x, 20)}<text x="{x + 12:.0f}" y="25">{escape(model)}</text></g>\n')
        x += 34 + 7.2 * len(model)
    return "".join(parts)


def _axes(left: float, label: str, most: float, low: float, high: float, *, first: bool) -> str:
    floor, parts = HEIGHT - BOTTOM, []
    for step in range(round(low * 20), round(high * 20) + 1):
        y = _up(step / 20, low, high)
        parts.append(f'<line class="grid" x1="{left:.1f}" x2="{left + PANEL:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="quiet" x="{left - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{step / 20:.2f}</text>')
    step = next(size for size in (10, 20, 50, 100, 200, 500, 1000, 5000) if most / size <= 7)
    for value in range(0, int(most) + 1, step):
        x = left + PANEL * value / most
        parts.append(f'<text class="quiet" x="{x:.1f}" y="{floor + 20}" text-anchor="middle">{value}</text>')
    parts.append(f'<line class="axis" x1="{left:.1f}" x2="{left + PANEL:.1f}" y1="{floor}" y2="{floor}"/>')
    parts.append(f'<text x="{left + PANEL / 2:.1f}" y="{floor + 42}" text-anchor="middle">{escape(label)}</text>')
    parts.append(f'<text x="{left - 36:.1f}" y="{TOP - 14}">ROUGE-L</text>' if first else "")
    return "\n".join(parts) + "\n"


def _line(at: int, line: Sequence[tuple[Point, float, float]], joined: bool) -> str:
    """A model's points; joined where the forms stand in order, as they do by size, and not by speed."""
    path = " ".join(f"{'L' if number else 'M'}{x:.1f} {y:.1f}" for number, (_, x, y) in enumerate(line))
    marks = [f"<g><title>{escape(f'{point.model}, {point.form}')}</title>{_mark(at, x, y)}</g>" for point, x, y in line]
    drawn = f'<path class="line" d="{path}"/>' if joined else ""
    return f'<g class="m{at % 4}">{drawn}{"".join(marks)}</g>\n'


def _names(models: Sequence[str], places: Sequence[tuple[Point, float, float]]) -> str:
    """The form beside the first and the last point of each model, above it or below, where it lies over no point and no other name; left
    out where there is no such place: hovering tells it."""
    taken = [(x - 6, y - 6, x + 6, y + 6) for _, x, y in places]
    parts = []
    for model in models:
        line = [place for place in places if place[0].model == model]
        for point, x, y in (line[0], line[-1]):
            half = 3.1 * len(point.form)
            for middle, base in ((x, y - 9), (x, y + 18), (x + half + 9, y + 4), (x - half - 9, y + 4)):
                box = (middle - half, base - 9, middle + half, base + 2)
                if not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken):
                    taken.append(box)
                    at = f'x="{middle:.1f}" y="{base:.1f}"'
                    parts.append(f'<text class="quiet" {at} text-anchor="middle" style="font-size:11px">{point.form}</text>')
                    break
    return "\n".join(parts) + "\n"


def _mark(at: int, x: float, y: float) -> str:
    """A shape of its own for each line, for those who do not tell the colours apart."""
    if at % 4 == 0:
        return f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
    if at % 4 == 1:
        return f'<rect class="dot" x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9"/>'
    down = -1 if at % 4 == 3 else 1
    return f'<path class="dot" d="M{x:.1f} {y - 6 * down:.1f}l5.5 {10 * down}h-11z"/>'
