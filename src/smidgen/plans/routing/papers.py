"""Printable driver sheets as HTML, and tracks as GPX.

Each phrase has its own element, and names are marked with translate="no", so that a page can be translated.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from xml.sax.saxutils import quoteattr

from smidgen.plans.routing.problem import DAY, NO_LIMIT, Problem, Route, Spot, Stop, TakenBreak, clock, counted, units


def driver_sheets(problem: Problem, routes: Sequence[Route]) -> bytes:
    """A page for each van that drives, as one HTML file that loads nothing."""
    stand = {van.name for van in problem.broken}
    pages = "".join(_driver_sheet(problem, route) for route in routes if route.visits and route.van not in stand)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Driver sheets</title><style>{_STYLE}</style></head><body>{pages or '<p>No van drives.</p>'}</body></html>\n"
    ).encode()


_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.4 system-ui,sans-serif;margin:1rem auto;max-width:46rem;padding:0 .8rem}"
    "section{break-after:page}h1{margin:.2rem 0}"
    "ol{padding:0;list-style:none}li{border-top:1px solid #888;padding:.5rem 0;break-inside:avoid}"
    ".time{font-weight:600;display:inline-block;min-width:4rem}.tick{float:right;"
    "width:1.1rem;height:1.1rem;border:2px solid currentColor}"
    ".done{opacity:.6}small{display:block;margin-left:4rem}@media print{body{margin:0;max-width:none;font-size:12pt}}"
)


def _driver_sheet(problem: Problem, route: Route) -> str:
    van = next(van for van in (*problem.vans, *problem.broken) if van.name == route.van)
    under = problem.underway.get(van.name)
    done = {visit.stop for visit in under.visits} if under else set()
    load = units(sum(problem.stop[visit.stop].demand for visit in route.visits))
    rows = []
    rest = route.rest
    for number, visit in enumerate(route.visits, start=1):
        if rest is not None and rest.begins <= visit.begins:
            rows.append(_break_row(rest))
            rest = None
        stop = problem.stop[visit.stop]
        notes = [
            _window_text(stop),
            f"load {units(stop.demand)}" if stop.demand else "",
            f"{stop.service // 60} min of work" if stop.service else "",
            f"wait until {clock(visit.begins)}" if visit.begins > visit.arrives else "",
            f"needs {', '.join(sorted(stop.skills))}" if stop.skills else "",
            "already served" if stop.name in done else "",
        ]
        address = [f'<span translate="no">{escape(stop.address)}</span>'] if stop.address else []
        details = " · ".join([*address, *(f"<span>{escape(note)}</span>" for note in notes if note)])
        tick = "" if stop.name in done else '<span class="tick"></span>'
        mark = ' class="done"' if stop.name in done else ""
        rows.append(
            f'<li{mark}>{tick}<span class="time">{clock(visit.arrives)}</span>{number}. {escape(stop.name)}<small>{details}</small></li>'
        )
    rows += [_break_row(rest)] if rest is not None else []
    many = counted(len(route.visits), "stop")
    room = f" of {units(van.capacity)}" if van.capacity < NO_LIMIT else ""
    return (
        f'<section><h1 translate="no">{escape(van.name)}</h1><p>Leaves {escape(van.start.name)} at {clock(route.leaves)}, is at '
        f"{escape(van.end.name)} at {clock(route.back)}. {many}, load {load}{room}, {route.metres / 1000:.1f} km.</p>"
        f"<ol>{''.join(rows)}</ol></section>"
    )


def _window_text(stop: Stop) -> str:
    if stop.opens <= 0 and stop.closes >= DAY:
        return ""
    if stop.opens <= 0:
        return f"window until {clock(stop.closes)}"
    return f"window {clock(stop.opens)} to {clock(stop.closes)}" if stop.closes < DAY else f"window from {clock(stop.opens)}"


def _break_row(rest: TakenBreak) -> str:
    minutes = (rest.ends - rest.begins) // 60
    text = f'<span>Break of {minutes} minutes</span><small translate="no">{escape(rest.place)}</small>'
    return f'<li><span class="time">{clock(rest.begins)}</span>{text}</li>'


def tracks(problem: Problem, routes: Sequence[Route]) -> bytes:
    """The routes as GPX 1.1 (topografix.com/GPX/1/1); empty where places have no coordinates."""
    made = []
    for route in routes:
        van = next(van for van in (*problem.vans, *problem.broken) if van.name == route.van)
        spots: list[tuple[Spot, str]] = [(van.start, clock(route.leaves))]
        spots += [(problem.stop[visit.stop].spot, clock(visit.arrives)) for visit in route.visits]
        spots.append((van.end, clock(route.back)))
        if route.visits and all(spot.latitude is not None for spot, _ in spots):
            points = "".join(
                f'<rtept lat="{spot.latitude:.6f}" lon="{spot.longitude:.6f}"><name>{escape(spot.name)}</name><desc>{time}</desc></rtept>'
                for spot, time in spots
            )
            made.append(f"<rte><name>{escape(route.van)}</name>{points}</rte>")
    if not made:
        return b""
    space = quoteattr("http://www.topografix.com/GPX/1/1")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<gpx version="1.1" creator="smidgen" xmlns={space}>{"".join(made)}</gpx>\n'.encode()
