"""The map is one SVG that loads nothing and shows every stop."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from smidgen.plans.routing.map import MapRoute, drawn_map


def test_a_map_has_routes_stops_legend_north_and_scale() -> None:
    stops = [(f"Shop <{n}> & son", (48.0 + n / 500, 11.0 + n / 300)) for n in range(12)]
    routes = [MapRoute("Van 1", "12 stops", (48.0, 11.0), (48.0, 11.0), stops), MapRoute("Van 2", "0 stops", (48.0, 11.0), None, [])]
    drawn = drawn_map("Map", routes, [("Left", (48.01, 11.02))], {"Elm": [[(48.0, 11.0), (48.02, 11.03)]]})
    tree = ElementTree.fromstring(drawn)
    texts = [node.text for node in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert {str(n) for n in range(1, 13)} <= set(texts)
    assert {"N", "Van 1: 12 stops", "stays out"} <= set(texts) and any(text and text.endswith(" m") for text in texts)
    assert "Van 2: 0 stops" not in texts
    assert "prefers-color-scheme:dark" in drawn and not re.search(r"<script|href|url\((?!#)|onload", drawn)
    marks = [(float(x), float(y)) for x, y in re.findall(r'class="mark c0" cx="([\d.]+)" cy="([\d.]+)"', drawn)]
    assert len(set(marks)) == 12


def test_stops_at_one_place_stand_beside_each_other() -> None:
    drawn = drawn_map("Map", [MapRoute("Van", "", None, None, [(str(n), (48.0, 11.0)) for n in range(9)])])
    marks = [(float(x), float(y)) for x, y in re.findall(r'class="mark c0" cx="([\d.]+)" cy="([\d.]+)"', drawn)]
    assert min(abs(a[0] - b[0]) + abs(a[1] - b[1]) for n, a in enumerate(marks) for b in marks[:n]) > 5


def test_no_coordinates_no_map() -> None:
    assert drawn_map("Map", [MapRoute("Van", "", None, None, [])]) == ""
