"""Travel times: straight lines, a network of streets with closures, and a Valhalla server that was recorded."""

from __future__ import annotations

import http.server
import json
import math
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from smidgen.core.errors import InputError
from smidgen.plans.routing.distances import NEVER
from smidgen.plans.routing.network import StreetNetwork, StreetPiece
from smidgen.plans.routing.sources import by_streets, by_valhalla, straight_lines
from smidgen.plans.routing.travel import Travel

POINTS = [(48.0, 11.0), (48.0, 11.01), (48.01, 11.01)]
NAMES = ["A", "B", "C"]


def test_straight_lines_are_as_long_as_roads_are() -> None:
    travel = straight_lines(NAMES, POINTS, 36)
    assert travel.metres[0, 1] == pytest.approx(1.3 * 1112 * math.cos(math.radians(48)), rel=0.01)
    assert travel.seconds[0, 1] == pytest.approx(travel.metres[0, 1] / 10, abs=1)
    assert (travel.seconds == travel.seconds.T).all() and travel.steady


def square() -> StreetNetwork:
    """A block of four streets; A and C lie at opposite corners, B at the corner between them."""
    corner = (48.01, 11.0)
    pieces = [
        StreetPiece("South Street", POINTS[0], POINTS[1], 50),
        StreetPiece("East Street", POINTS[1], POINTS[2], 50),
        StreetPiece("North Street", POINTS[2], corner, 50),
        StreetPiece("West Street", corner, POINTS[0], 25, oneway=True),
    ]
    return StreetNetwork(pieces, POINTS)


def test_a_closed_street_sends_vans_round_it_and_a_one_way_street_is_one() -> None:
    network = square()
    seconds, _ = network.times()
    assert seconds[0, 1] == pytest.approx(744 / (50 / 3.6), abs=2)
    assert seconds[0, 2] == pytest.approx(seconds[0, 1] + seconds[1, 2], abs=2)
    closed, _ = network.times({"East Street"})
    assert closed[0, 2] >= NEVER, "West Street leads only southwards"
    back, _ = network.times({"South Street"})
    assert back[2, 0] > seconds[2, 0] and back[2, 0] < NEVER
    slow, _ = network.times(slow={"South Street": 3.0})
    assert slow[0, 1] == pytest.approx(3 * seconds[0, 1], abs=2)
    assert by_streets(NAMES, network).network is network


def test_the_way_on_the_map_follows_the_streets() -> None:
    network = square()
    assert [tuple(round(part, 4) for part in point) for point in dict.fromkeys(network.path(0, 2))] == POINTS
    assert network.path(0, 2, {"East Street"}) == []


def test_a_door_on_a_closed_street_is_reached_on_foot() -> None:
    pieces = [StreetPiece("Long Street", (48.0, 11.0), (48.0, 11.01), 50), StreetPiece("Side Street", (48.0, 11.01), (48.003, 11.01), 50)]
    network = StreetNetwork(pieces, [(48.0, 11.009), (48.003, 11.01)])
    usual, _ = network.times()
    closed, _ = network.times({"Long Street"})
    assert closed[0, 1] > usual[0, 1] + 30
    far = StreetNetwork(pieces, [(48.0, 11.0), (48.003, 11.01)])
    assert far.times({"Long Street"})[0][0, 1] >= NEVER


def test_a_leg_goes_through_the_hours_at_the_speed_of_each() -> None:
    travel = Travel(
        ("A", "B"), *(straight_lines(NAMES[:2], POINTS[:2], 1).seconds,) * 2, "straight lines", hours=(1.0,) * 8 + (2.0,) + (1.0,) * 15
    )
    free = int(travel.seconds[0, 1])
    assert travel.lasts(0, 1, 0) == free
    assert travel.lasts(0, 1, 8 * 3600 - 600) == pytest.approx(600 + 3600 + (free - 600 - 1800), abs=1)
    assert travel.at(8 * 3600 - 600)[0, 1] == travel.lasts(0, 1, 8 * 3600 - 600)
    arrivals = [time + travel.lasts(0, 1, time) for time in range(7 * 3600, 10 * 3600, 60)]
    assert arrivals == sorted(arrivals), "who leaves later is never earlier there"


class Recorded(http.server.BaseHTTPRequestHandler):
    """Answers as a Valhalla server did (its documented form)."""

    answer: Any = None
    status = 200
    asked: list[Any] = []  # noqa: RUF012

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, body))
        answer = self.answer if self.answer is not None else cells(body)
        payload = json.dumps(answer).encode() if not isinstance(answer, bytes) else answer
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def cells(body: Any) -> Any:
    def cell(i: int, j: int) -> Any:
        near = body["sources"][i] == body["targets"][j]
        return {"distance": 0 if near else 1.5, "time": 0 if near else 120.4, "from_index": i, "to_index": j}

    grid = [[cell(i, j) for j in range(len(body["targets"]))] for i in range(len(body["sources"]))]
    grid[0][-1]["time"] = None
    return {"sources_to_targets": grid, "units": "kilometers"}


@pytest.fixture()
def server() -> Iterator[tuple[str, type[Recorded]]]:
    handler = type("Server", (Recorded,), {"asked": []})
    listening = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_address[1]}/", handler
    listening.shutdown()
    listening.server_close()
    thread.join()


def test_a_valhalla_server_is_asked_in_blocks(server: tuple[str, type[Recorded]]) -> None:
    url, handler = server
    many = [(48.0 + n / 1000, 11.0) for n in range(60)]
    travel = by_valhalla([str(n) for n in range(60)], many, url)
    assert [path for path, _ in handler.asked] == ["/sources_to_targets"] * 4
    assert max(len(body["sources"]) * len(body["targets"]) for _, body in handler.asked) == 2500
    assert handler.asked[0][1]["costing"] == "auto" and handler.asked[0][1]["sources"][0] == {"lat": 48.0, "lon": 11.0}
    assert travel.seconds[0, 1] == 121 and travel.metres[0, 1] == 1500
    assert travel.seconds[0, 49] == NEVER and travel.seconds[5, 5] == 0


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (400, {"error_code": 171, "error": "No suitable edges near location"}, "HTTP 400: No suitable edges near location"),
        (200, b"<html>", "did not answer with JSON"),
        (200, {"sources_to_targets": [[{"time": 1}]]}, "another shape"),
        (302, {}, "HTTP 302"),
    ],
)
def test_a_server_that_does_not_help_is_said(server: tuple[str, type[Recorded]], status: int, answer: Any, said: str) -> None:
    url, handler = server
    handler.status, handler.answer = status, answer
    with pytest.raises(InputError, match=said):
        by_valhalla(NAMES, POINTS, url)


@pytest.mark.parametrize("url", ["http://valhalla.example", "ftp://127.0.0.1", "https://user:secret@valhalla.example", "127.0.0.1:8002"])
def test_only_a_named_https_server_or_this_machine_is_asked(url: str) -> None:
    with pytest.raises(InputError, match="cannot be used") as caught:
        by_valhalla(NAMES, POINTS, url)
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_said() -> None:
    with pytest.raises(InputError, match="cannot be asked"):
        by_valhalla(NAMES, POINTS, "http://127.0.0.1:9")
