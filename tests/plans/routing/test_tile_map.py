"""The map with tiles: made where tiles are named, and able to load nothing but them and Leaflet."""

from __future__ import annotations

import html
import re

import pytest

from smidgen.core.errors import InputError
from smidgen.plans.routing.map import MapRoute
from smidgen.plans.routing.tile_map import tile_map, tiles_of

TILES = "https://{s}.tiles.example/{z}/{x}/{y}.png"
LEAFLET = "https://files.example/leaflet/"
ROUTE = MapRoute("Van <1>", "1 stop", (48.0, 11.0), (48.0, 11.0), [("</script><b>Moll", (48.1, 11.1))])


def test_the_page_loads_tiles_and_leaflet_alone() -> None:
    tiles = tiles_of(TILES, LEAFLET, "© Map <people>")
    assert tiles is not None
    page = tile_map("Map of the routes", [ROUTE], [("Out", (48.2, 11.2))], tiles).decode()
    policy = html.unescape(re.findall(r'Content-Security-Policy" content="([^"]+)"', page)[0])
    assert re.sub(r"sha256-[\w+/]+=", "HASH", policy) == (
        "default-src 'none'; script-src https://files.example/leaflet/leaflet.js 'HASH'; "
        "style-src https://files.example/leaflet/leaflet.css 'HASH'; img-src https://*.tiles.example data:"
    )
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert loaded == ["https://files.example/leaflet/leaflet.css", "https://files.example/leaflet/leaflet.js"]
    assert page.count("integrity=") == 2 and page.count("</script>") == 2 and "Map &lt;people>" not in page
    assert "\\u003c/script>\\u003cb>Moll" in page and "Van &lt;1&gt;" in page


def test_nothing_is_made_where_no_tiles_are_named() -> None:
    assert tiles_of(None, None, "x") is None and tiles_of("", LEAFLET, "x") is None
    tiles = tiles_of("http://127.0.0.1:8000/{z}/{x}/{y}.png", "http://localhost:8000", "x")
    assert tiles is not None and tile_map("Map", [], [], tiles) == b""


@pytest.mark.parametrize(
    ("url", "leaflet", "said"),
    [
        ("https://tiles.example/{z}/{x}.png", LEAFLET, "lacks"),
        (TILES, None, "needs Leaflet"),
        ("http://tiles.example/{z}/{x}/{y}.png", LEAFLET, "cannot be used"),
        ("https://me:word@tiles.example/{z}/{x}/{y}.png", LEAFLET, "cannot be used"),
        ("https://tiles.example/{z}/{x}/{y}.png; script-src *", LEAFLET, "cannot be used"),
        (TILES, "javascript:alert(1)", "cannot be used"),
        (TILES, 'https://files.example/"><script>', "cannot be used"),
    ],
)
def test_urls_that_are_refused(url: str, leaflet: str | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        tiles_of(url, leaflet, "x")
