"""A map to move and to zoom, over tiles: one HTML file for Leaflet 1.9.4 (leafletjs.com). It is made only where tiles are named.

The page loads two files of Leaflet, whose bytes it knows by their hashes, and tiles. Its policy lets it load nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any
from urllib.parse import urlsplit

from smidgen.core.errors import InputError
from smidgen.core.settings import setting
from smidgen.machine.addresses import on_this_machine
from smidgen.plans.routing.map import LIGHT, MapRoute, Point, pattern

TILES: Any = setting(
    None, "URL of map tiles with {z}, {x} and {y}, for a page map.html to move and zoom. Its server learns where your stops lie."
)
LEAFLET: Any = setting(None, "URL of a folder with leaflet.js and leaflet.css of version 1.9.4, for the page with tiles.")
CREDIT: Any = setting("© OpenStreetMap contributors", "Attribution on the map, as the tile server requires.")
_SCRIPT_HASH = "sha256-20nQCchB9co0qIjJZRGuk2/Z9VM+kNiyxNV1lvTlZBo="
_CSS_HASH = "sha256-p4NxAoJBhIIN+hmNHrzRCf9tD/miZyoHS5obTRR9BMY="
"""The published files of Leaflet 1.9.4 (npm)."""
_UNSAFE = re.compile(r"""[\s"'<>\\;,]""")


@dataclass(frozen=True, slots=True)
class Tiles:
    """Where tiles and Leaflet come from, and the words that the tiles' server asks for."""

    url: str
    leaflet: str
    credit: str


def tiles_of(url: str | None, leaflet: str | None, credit: str) -> Tiles | None:
    """The tiles of settings; None where none are named. Raises InputError for a URL that cannot be used."""
    if not url:
        return None
    if not all(part in url for part in ("{z}", "{x}", "{y}")):
        raise InputError("plans.url_of_tiles_lacks_z_x_or_y", value=url)
    if not leaflet:
        raise InputError("plans.map_with_tiles_needs_leaflet")
    return Tiles(_checked_url(url), _checked_url(leaflet).rstrip("/"), credit)


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url.replace("{s}", "s"))
        host = parts.hostname or ""
        safe = parts.scheme == "https" or (parts.scheme == "http" and on_this_machine(host))
    except ValueError:
        host, safe = "", False
    if not host or not safe or "@" in url.split("/")[2] or _UNSAFE.search(url):
        raise InputError("plans.this_url_of_map_cannot_be_used", value=host or "no host")
    return url


def tile_map(title: str, routes: Sequence[MapRoute], left_out: Sequence[tuple[str, Point]], tiles: Tiles) -> bytes:
    """The page; empty where no place has coordinates."""
    shown = [_route_data(number, route) for number, route in enumerate(routes) if route.stops]
    out = [{"name": name, "at": point} for name, point in left_out]
    if not shown and not out:
        return b""
    plan = {"tiles": tiles.url, "credit": escape(tiles.credit), "routes": shown, "out": out}
    data = json.dumps(plan, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    script = f"const plan = {data};\n{_PROGRAM}"
    style = _PAGE_STYLE + "".join(f".c{number}{{background:{colour}}}" for number, colour in enumerate(LIGHT))
    server = urlsplit(tiles.url)
    policy = (
        f"default-src 'none'; script-src {tiles.leaflet}/leaflet.js '{_hash(script)}'; "
        f"style-src {tiles.leaflet}/leaflet.css '{_hash(style)}'; img-src {server.scheme}://{server.netloc.replace('{s}.', '*.')} data:"
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{escape(policy)}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f'<link rel="stylesheet" href="{tiles.leaflet}/leaflet.css" integrity="{_CSS_HASH}" crossorigin="anonymous"><style>{style}</style>'
        f'</head><body><div id="map" role="application" aria-label="{escape(title)}"></div>'
        f'<script src="{tiles.leaflet}/leaflet.js" integrity="{_SCRIPT_HASH}" crossorigin="anonymous"></script>'
        f"<script>{script}</script></body></html>\n"
    ).encode()


def _route_data(number: int, route: MapRoute) -> dict[str, Any]:
    ways = [point for point in (route.start, *(stop[1] for stop in route.stops), route.end) if point]
    return {
        "name": escape(f"{route.name}: {route.note}"),
        "colour": number % len(LIGHT),
        "stroke": LIGHT[number % len(LIGHT)],
        "dash": pattern(number),
        "line": list(route.path) or ways,
        "ends": list(dict.fromkeys(point for point in (route.start, route.end) if point)),
        "stops": [{"name": name, "at": point} for name, point in route.stops],
    }


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


_PAGE_STYLE = (
    "html,body,#map{height:100%;margin:0;font:14px system-ui,sans-serif}.mark{border:2px solid #fff;border-radius:50%;color:#fff;"
    "font-weight:600;text-align:center;line-height:20px}.home{background:#1c1c1c;border-radius:0}.out{background:#b00020}"
    ".leaflet-control-layers-toggle{background-image:none!important}"
    ".leaflet-control-layers-toggle:after{content:'☰';display:block;text-align:center;font-size:22px;line-height:36px}"
)
_PROGRAM = """const map = L.map("map");
L.tileLayer(plan.tiles, { maxZoom: 19, attribution: plan.credit }).addTo(map);
function mark(at, sort, text, name) {
  const shown = document.createElement("span");
  shown.textContent = name;
  const sign = document.createElement("span");
  sign.textContent = text;
  return L.marker(at, { icon: L.divIcon({ className: "mark " + sort, html: sign, iconSize: [24, 24] }), title: name }).bindPopup(shown);
}
const layers = {};
const seen = [];
for (const route of plan.routes) {
  const marks = route.stops.map((stop, place) => mark(stop.at, "c" + route.colour, String(place + 1), place + 1 + ". " + stop.name));
  const ends = route.ends.map((at) => mark(at, "home", "⌂", "start and end"));
  const line = L.polyline(route.line, { color: route.stroke, weight: 4, dashArray: route.dash || null });
  layers[route.name] = L.layerGroup([line, ...ends, ...marks]).addTo(map);
  seen.push(...route.line);
}
if (plan.out.length) layers["stays out"] = L.layerGroup(plan.out.map((one) => mark(one.at, "out", "✕", one.name))).addTo(map);
seen.push(...plan.out.map((one) => one.at));
L.control.layers(null, layers, { collapsed: window.innerWidth < 700 }).addTo(map);
map.fitBounds(seen, { padding: [20, 20] });
"""
