"""Travel times from straight lines, a table, a network of streets, or a Valhalla server."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from smidgen.core.errors import InputError, one_line
from smidgen.plans.routing.distances import NEVER, WINDING, beeline
from smidgen.plans.routing.network import Point, StreetNetwork
from smidgen.plans.routing.problem import Spot
from smidgen.plans.routing.tables import read_matrix
from smidgen.plans.routing.travel import Travel
from smidgen.plans.solving import ProblemTable

_BLOCK = 50
"""Sources and targets of one request: Valhalla's own limit is 2,500 pairs."""
_TIMEOUT_SECONDS = 60.0
MAX_ANSWER_BYTES = 20_000_000
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def travel_times(spots: Sequence[Spot], matrix: ProblemTable | None, valhalla: str | None, kmh: float) -> Travel:
    """Travel times from a table of minutes, else from a Valhalla server, else by straight lines at a speed."""
    if matrix is not None:
        return read_matrix(matrix, spots, kmh)
    names, points = [spot.name for spot in spots], [spot.point or (0.0, 0.0) for spot in spots]
    return by_valhalla(names, points, valhalla) if valhalla else straight_lines(names, points, kmh)


def straight_lines(names: Sequence[str], points: Sequence[Point], kmh: float) -> Travel:
    """Travel times by the straight line, made longer by WINDING, at a speed."""
    metres = np.array([[beeline(one, other) * WINDING for other in points] for one in points])
    return Travel(tuple(names), np.ceil(metres / (kmh / 3.6)).astype(np.int64), np.round(metres).astype(np.int64), "straight lines")


def by_streets(names: Sequence[str], network: StreetNetwork) -> Travel:
    """Travel times by the quickest way on a network of streets."""
    seconds, metres = network.times()
    return Travel(tuple(names), seconds, metres, "streets", network=network)


def by_valhalla(names: Sequence[str], points: Sequence[Point], url: str, costing: str = "auto") -> Travel:
    """Travel times from a Valhalla server (`/sources_to_targets`). Raises InputError if it cannot be reached or refuses.

    The server learns where your stops are. Only a server on this machine is asked over plain http.
    """
    import httpx

    base = _checked_url(url)
    size = len(points)
    seconds, metres = np.full((size, size), NEVER, dtype=np.int64), np.zeros((size, size), dtype=np.int64)
    places = [{"lat": latitude, "lon": longitude} for latitude, longitude in points]
    local = urlsplit(base).hostname in _LOOPBACK
    with httpx.Client(timeout=_TIMEOUT_SECONDS, follow_redirects=False, trust_env=not local) as client:
        for row in range(0, size, _BLOCK):
            for column in range(0, size, _BLOCK):
                body = {
                    "sources": places[row : row + _BLOCK],
                    "targets": places[column : column + _BLOCK],
                    "costing": costing,
                    "units": "kilometers",
                }
                for i, line in enumerate(_request_matrix(client, base, body)):
                    for j, cell in enumerate(line):
                        if cell.get("time") is not None:
                            seconds[row + i, column + j] = math.ceil(float(cell["time"]))
                            metres[row + i, column + j] = round(1000 * float(cell.get("distance") or 0))
    np.fill_diagonal(seconds, 0)
    np.fill_diagonal(metres, 0)
    return Travel(tuple(names), seconds, metres, "Valhalla")


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    safe = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    if not host or not safe or parts.username or parts.password or parts.query or parts.fragment:
        raise InputError("plans.url_of_valhalla_server_cannot_be_used", value=host or "no host")
    return url.rstrip("/")


def _request_matrix(client: Any, base: str, body: Any) -> list[list[dict[str, Any]]]:
    import httpx

    try:
        answer = client.post(f"{base}/sources_to_targets", json=body)
        if len(answer.content) > MAX_ANSWER_BYTES:
            raise InputError("plans.valhalla_server_answer_is_too_long", content=len(answer.content))
        content = answer.json()
    except httpx.HTTPError as error:
        raise InputError("plans.valhalla_server_cannot_be_asked", value=type(error).__name__) from None
    except (ValueError, RecursionError):
        raise InputError("plans.valhalla_answer_is_not_json", status_code=answer.status_code) from None
    if answer.status_code != 200:
        error_text = content.get("error") if isinstance(content, dict) else None
        value = f"HTTP {answer.status_code}: {one_line(str(error_text or ''), None)}"
        raise InputError("plans.valhalla_server_refused", value=value)
    found = content.get("sources_to_targets") if isinstance(content, dict) else None
    shape = (len(body["sources"]), len(body["targets"]))
    fits = isinstance(found, list) and len(found) == shape[0]
    if not fits or any(not isinstance(line, list) or len(line) != shape[1] for line in found or ()):
        raise InputError("plans.valhalla_answer_has_wrong_size", rows=shape[0], columns=shape[1])
    return [[cell if isinstance(cell, dict) else {} for cell in line] for line in found or ()]
