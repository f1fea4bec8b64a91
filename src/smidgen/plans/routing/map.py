"""A map of routes as SVG, without tiles: streets where they are known, routes by colour and pattern, a legend, north and a scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from smidgen.plans.routing.distances import beeline

Point = tuple[float, float]
"""Latitude and longitude in degrees."""

_WIDTH = 390
"""Width of the drawing: it is readable on a telephone of as many pixels."""
_MAX_HEIGHT = 520
_ENLARGED = 1.5
"""Pixels of a unit where there is room."""
_MARGIN = 26
_LINE = 17
_LEGEND_LETTERS = 50
LIGHT = ("#0b5fa5", "#b3401d", "#1a7a3c", "#7b3fa0", "#8a6400", "#a3195b", "#006d77", "#4a4a4a")
_DARK = ("#6cb6f5", "#ff9a73", "#6fd08c", "#cda2ee", "#e5bd55", "#ff8cc0", "#5fd3dc", "#c8c8c8")
_PATTERNS = ("", "7 3", "2 3", "10 3 2 3", "14 4", "4 2 1 2", "1 4", "9 2 2 2 2 2")
_MARK_DISTANCE = 13.0
"""Units between two marks so that neither covers the other."""


@dataclass(frozen=True, slots=True)
class MapRoute:
    """A route on the map.

    Attributes:
        name: in the legend.
        note: beside the name, such as its number of stops.
        start: where it begins.
        end: where it ends.
        stops: its stops in their order, each with its name.
        path: the points of its way; empty to draw straight lines between the stops.
    """

    name: str
    note: str
    start: Point | None
    end: Point | None
    stops: Sequence[tuple[str, Point]]
    path: Sequence[Point] = ()


@dataclass(frozen=True, slots=True)
class _View:
    """How degrees become units of the drawing."""

    west: float
    north: float
    across: float
    scale: float

    def place(self, point: Point) -> tuple[float, float]:
        """Units of the drawing, from its left and its top, of a point."""
        x = _MARGIN + (point[1] - self.west) * self.across * self.scale
        return round(x, 1), round(_MARGIN + (self.north - point[0]) * self.scale, 1)


def drawn_map(
    title: str,
    routes: Sequence[MapRoute],
    left_out: Sequence[tuple[str, Point]] = (),
    streets: Mapping[str, Sequence[Sequence[Point]]] | None = None,
    *,
    left_label: str = "stays out",
) -> str:
    """The map as SVG; empty where no place has coordinates.

    Args:
        title: for screen readers.
        routes: in the order of the legend.
        left_out: places that no route visits, drawn as crosses.
        streets: lines drawn below the routes.
        left_label: of the crosses in the legend.
    """
    points = [point for route in routes for point in (route.start, route.end, *(stop[1] for stop in route.stops)) if point]
    points += [point for _, point in left_out]
    if not points:
        return ""
    view, height = _view(points)
    parts = [_streets(view, streets or {}, height)]
    parts += [_route_line(view, number, route) for number, route in enumerate(routes)]
    taken: list[tuple[float, float]] = []
    for start in {route.start for route in routes if route.start and route.stops} | {
        route.end for route in routes if route.end and route.stops
    }:
        parts.append(_house(*view.place(start)))
    for number, route in enumerate(routes):
        parts += [_numbered_circle(view, number, order, *stop, taken) for order, stop in enumerate(route.stops, start=1)]
    for name, point in left_out:
        x, y = view.place(point)
        cross = f"M{x - 5} {y - 5}L{x + 5} {y + 5}M{x - 5} {y + 5}L{x + 5} {y - 5}"
        parts.append(f'<g><title>{escape(name)}</title><path class="out" d="{cross}"/></g>')
    x, y = _WIDTH - 16, 20
    parts.append(
        f'<path class="north" d="M{x} {y - 14}L{x + 5} {y}L{x} {y - 4}L{x - 5} {y}Z"/>'
        f'<text x="{x}" y="{y + 12}" text-anchor="middle">N</text>'
    )
    parts.append(_scale_bar(view, height))
    legend, bottom = _legend(routes, bool(left_out), left_label, height + 12)
    parts.append(legend)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom}" width="{_ENLARGED * _WIDTH:g}" '
        f'height="{_ENLARGED * bottom:g}" role="img" aria-label="{escape(title)}" '
        f'font-family="system-ui, sans-serif" font-size="12">\n<title>{escape(title)}</title>\n<style>{_style()}</style>\n'
        f'<rect class="ground" width="{_WIDTH}" height="{bottom}"/>\n' + "\n".join(part for part in parts if part) + "\n</svg>\n"
    )


def _view(points: Sequence[Point]) -> tuple[_View, int]:
    north, south = max(point[0] for point in points), min(point[0] for point in points)
    west, east = min(point[1] for point in points), max(point[1] for point in points)
    across = math.cos(math.radians((north + south) / 2))
    wide, high = max((east - west) * across, 1e-4), max(north - south, 1e-4)
    scale = min((_WIDTH - 2 * _MARGIN) / wide, (_MAX_HEIGHT - 2 * _MARGIN) / high)
    # A narrow town stands in the middle.
    west -= ((_WIDTH - 2 * _MARGIN) / scale - wide) / 2 / across
    return _View(west, north, across, scale), round(high * scale + 2 * _MARGIN)


def _streets(view: _View, streets: Mapping[str, Sequence[Sequence[Point]]], height: int) -> str:
    lines = []
    for name, own in streets.items():
        for line in own:
            places = [view.place(point) for point in line]
            if any(0 <= x <= _WIDTH and 0 <= y <= height for x, y in places):
                shown = " ".join(f"{x},{y}" for x, y in places)
                lines.append(f'<polyline class="street" points="{shown}"><title>{escape(name)}</title></polyline>')
    if not lines:
        return ""
    return f'<clipPath id="frame"><rect width="{_WIDTH}" height="{height}"/></clipPath><g clip-path="url(#frame)">{"".join(lines)}</g>'


def _route_line(view: _View, number: int, route: MapRoute) -> str:
    points = list(route.path) or [point for point in (route.start, *(stop[1] for stop in route.stops), route.end) if point]
    if len(points) < 2 or not route.stops:
        return ""
    shown = " ".join(f"{x},{y}" for x, y in map(view.place, points))
    return f'<polyline class="route c{number % len(LIGHT)}" stroke-dasharray="{pattern(number)}" points="{shown}"/>'


def pattern(number: int) -> str:
    """The dashes of a route's line, as SVG writes them; empty for a whole line."""
    return _PATTERNS[(number + number // len(_PATTERNS)) % len(_PATTERNS)]


def _numbered_circle(view: _View, number: int, order: int, name: str, point: Point, taken: list[tuple[float, float]]) -> str:
    x, y = view.place(point)
    spot = (x, y)
    # A circle that would cover another stands beside its place, with a line to it.
    for step in range(40):
        if all(math.dist(spot, other) >= _MARK_DISTANCE for other in taken):
            break
        turn, far = step * 2.4, _MARK_DISTANCE * (0.7 + step / 12)
        spot = (
            round(min(_WIDTH - 9.0, max(9.0, x + far * math.cos(turn))), 1),
            round(max(9.0, y + far * math.sin(turn)), 1),
        )
    taken.append(spot)
    lead = "" if spot == (x, y) else f'<line class="lead" x1="{x}" y1="{y}" x2="{spot[0]}" y2="{spot[1]}"/>'
    colour = f"c{number % len(LIGHT)}"
    return (
        f'{lead}<g><title>{order}. {escape(name)}</title><circle class="mark {colour}" cx="{spot[0]}" cy="{spot[1]}" r="7.5"/>'
        f'<text class="order" x="{spot[0]}" y="{spot[1] + 3.2}" text-anchor="middle">{order}</text></g>'
    )


def _house(x: float, y: float) -> str:
    return f'<path class="house" d="M{x - 8} {y}L{x} {y - 9}L{x + 8} {y}V{y + 8}H{x - 8}Z"><title>start and end</title></path>'


def _scale_bar(view: _View, height: int) -> str:
    metres = beeline((view.north, view.west), (view.north, view.west + 1 / view.across / view.scale * _WIDTH / 4))
    size = 10 ** math.floor(math.log10(max(metres, 1.0)))
    length = next(step * size for step in (5, 2, 1) if step * size <= metres)
    units = _WIDTH / 4 * length / metres
    label = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    x, y = 10, height + 2
    return f'<path class="bar" d="M{x} {y - 4}V{y}H{x + units:.1f}V{y - 4}"/><text x="{x + units + 6:.1f}" y="{y}">{label}</text>'


def _legend(routes: Sequence[MapRoute], crosses: bool, left_label: str, top: int) -> tuple[str, int]:
    rows, y = [], top + _LINE
    for number, route in enumerate(routes):
        if not route.stops:
            continue
        colour = f"c{number % len(LIGHT)}"
        rows.append(f'<line class="route {colour}" stroke-dasharray="{pattern(number)}" x1="10" y1="{y - 4}" x2="46" y2="{y - 4}"/>')
        text = f"{route.name}: {route.note}"
        text = text if len(text) <= _LEGEND_LETTERS else text[: _LEGEND_LETTERS - 1] + "…"
        rows.append(f'<text x="54" y="{y}">{escape(text)}</text>')
        y += _LINE
    rows.append(f'{_house(28, y - 5)}<text x="54" y="{y}">start and end; numbers: order of the stops</text>')
    y += _LINE + 2
    if crosses:
        rows.append(f'<path class="out" d="M23 {y - 9}L33 {y + 1}M23 {y + 1}L33 {y - 9}"/><text x="54" y="{y}">{escape(left_label)}</text>')
        y += _LINE
    return "".join(rows), y - 4


def _style() -> str:
    light = "".join(f".route.c{n}{{stroke:{c}}}.mark.c{n}{{fill:{c}}}" for n, c in enumerate(LIGHT))
    dark = "".join(f".route.c{n}{{stroke:{c}}}.mark.c{n}{{fill:{c}}}" for n, c in enumerate(_DARK))
    return (
        ".ground{fill:#fff}text{fill:#1c1c1c}.street{fill:none;stroke:#d5d5d5;stroke-width:2}.route{fill:none;stroke-width:2.4;"
        "stroke-linejoin:round}.mark{stroke:#fff;stroke-width:1.2}.order{fill:#fff;font-size:9.5px;font-weight:600}"
        ".house{fill:#1c1c1c;stroke:#fff;stroke-width:1}.out{stroke:#b00020;stroke-width:2.6;fill:none}.lead{stroke:#777;stroke-width:.8}"
        f".north,.bar{{fill:#1c1c1c}}.bar{{fill:none;stroke:#1c1c1c;stroke-width:1.5}}{light}"
        "@media (prefers-color-scheme:dark){.ground{fill:#16191d}text{fill:#ececec}.street{stroke:#3a4048}.mark{stroke:#16191d}"
        ".order{fill:#101214}.house{fill:#ececec;stroke:#16191d}.out{stroke:#ff8a8a}.lead{stroke:#999}.north{fill:#ececec}"
        f".bar{{stroke:#ececec}}{dark}}}"
    )
