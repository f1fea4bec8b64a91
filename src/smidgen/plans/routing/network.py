"""A network of named streets: shortest times between places, with streets closed or slowed."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from smidgen.plans.routing.distances import NEVER, Matrix, beeline

Point: TypeAlias = tuple[float, float]
Graph: TypeAlias = dict[Hashable, list[tuple[Hashable, float, float]]]
"""By node its neighbours, with seconds and metres."""

WALK = 5 / 3.6
"""Metres a second on foot, from the nearest open street to a door."""
FARTHEST = 600.0
"""Metres on foot beyond which a place counts as not reached."""
_KERB = 60.0
"""Metres beside a street within which a door lies at it, without a way on foot."""
_SAME = 5
"""Decimals of a degree to which two points are the same crossing (about a metre)."""


@dataclass(frozen=True, slots=True)
class StreetPiece:
    """A straight piece of a street between two points, with its speed. `oneway`: only from the first to the second."""

    street: str
    start: Point
    end: Point
    kmh: float
    oneway: bool = False


@dataclass(frozen=True, slots=True)
class Door:
    """Where a place lies at the network: the number of a piece, how far along it (0 to 1), and metres to it."""

    piece: int
    along: float
    metres: float


class StreetNetwork:
    """Streets and the places that lie at them.

    Args:
        pieces: all pieces of streets. Streets meet where points are the same.
        places: (latitude, longitude) of each place.
    """

    def __init__(self, pieces: Sequence[StreetPiece], places: Sequence[Point]) -> None:
        self.pieces, self.places = tuple(pieces), tuple(places)
        self._graphs: dict[Hashable, Graph] = {}

    def door(self, place: Point, closed: Collection[str] = ()) -> Door | None:
        """Where a place lies at the open streets; None if that is too far."""
        best: Door | None = None
        for number, piece in enumerate(self.pieces):
            if piece.street in closed:
                continue
            along, metres = nearest_on(place, piece.start, piece.end)
            if metres <= FARTHEST and (best is None or metres < best.metres):
                best = Door(number, along, metres)
        return best

    def times(self, closed: Collection[str] = (), slow: Mapping[str, float] | None = None) -> tuple[Matrix, Matrix]:
        """(places, places) seconds and metres of the quickest ways (Dijkstra 1959); NEVER where there is none.

        Args:
            closed: streets that no van may drive. Doors on them are reached on foot from the nearest open street.
            slow: factors of the time on a street, by its name.
        """
        graph = self._graph(closed, slow or {})
        size = len(self.places)
        seconds, metres = np.full((size, size), NEVER, dtype=np.int64), np.zeros((size, size), dtype=np.int64)
        for number in range(size):
            for other, (time, length) in _reached(graph, number, size).items():
                seconds[number, other], metres[number, other] = math.ceil(time), round(length)
            seconds[number, number] = 0
        return seconds, metres

    def path(self, origin: int, target: int, closed: Collection[str] = (), slow: Mapping[str, float] | None = None) -> list[Point]:
        """The points of the quickest way between two places, from door to door; empty if there is none."""
        before: dict[Hashable, Hashable] = {}
        _reached(self._graph(closed, slow or {}), origin, len(self.places), before)
        if target not in before and target != origin:
            return []
        nodes: list[Hashable] = [target]
        while nodes[-1] != origin:
            nodes.append(before[nodes[-1]])
        return [self._point(node, closed) for node in reversed(nodes)]

    def _point(self, node: Hashable, closed: Collection[str]) -> Point:
        if isinstance(node, int):
            return self.places[node]
        assert isinstance(node, tuple)
        if node[0] != "door":
            return node[0], node[1]
        door = self.door(self.places[node[1]], closed)
        assert door is not None
        start, end = self.pieces[door.piece].start, self.pieces[door.piece].end
        return start[0] + door.along * (end[0] - start[0]), start[1] + door.along * (end[1] - start[1])

    def _graph(self, closed: Collection[str], slow: Mapping[str, float]) -> Graph:
        key = (frozenset(closed), frozenset(slow.items()))
        if key not in self._graphs:
            self._graphs[key] = self._built(closed, slow)
        return self._graphs[key]

    def _built(self, closed: Collection[str], slow: Mapping[str, float]) -> Graph:
        graph: Graph = defaultdict(list)
        doors: dict[int, list[tuple[float, int]]] = defaultdict(list)
        for number, place in enumerate(self.places):
            door = self.door(place, closed)
            if door is None:
                continue
            at = ("door", number)
            doors[door.piece].append((door.along, number))
            walk = door.metres / WALK if door.metres > _KERB else 0.0
            graph[number].append((at, walk, door.metres))
            graph[at].append((number, walk, door.metres))
        for number, piece in enumerate(self.pieces):
            if piece.street in closed:
                continue
            length = beeline(piece.start, piece.end)
            pace = slow.get(piece.street, 1.0) / (piece.kmh / 3.6)
            chain: list[tuple[float, Hashable]] = [(0.0, _rounded(piece.start))]
            chain += [(along, ("door", own)) for along, own in sorted(doors[number])]
            chain.append((1.0, _rounded(piece.end)))
            for (begin, one), (end, other) in pairwise(chain):
                part = (end - begin) * length
                graph[one].append((other, part * pace, part))
                if not piece.oneway:
                    graph[other].append((one, part * pace, part))
        return graph


def nearest_on(place: Point, start: Point, end: Point) -> tuple[float, float]:
    """How far along a piece (0 to 1) its nearest point to a place lies, and the metres between them."""
    scale = math.cos(math.radians(start[0]))
    wide, high = (end[1] - start[1]) * scale, end[0] - start[0]
    length = wide * wide + high * high
    along = 0.0 if length == 0 else (((place[1] - start[1]) * scale) * wide + (place[0] - start[0]) * high) / length
    along = min(1.0, max(0.0, along))
    return along, beeline(place, (start[0] + along * high, start[1] + along * (end[1] - start[1])))


def _rounded(point: Point) -> Point:
    return round(point[0], _SAME), round(point[1], _SAME)


def _reached(graph: Graph, home: int, size: int, before: dict[Hashable, Hashable] | None = None) -> dict[int, tuple[float, float]]:
    """Seconds and metres to every place. Ways lead through doors, not through other places. `before` gets the node before each one."""
    best: dict[Hashable, float] = {}
    done: set[Hashable] = set()
    found: dict[int, tuple[float, float]] = {}
    queue: list[tuple[float, float, int, Hashable]] = [(0.0, 0.0, 0, home)]
    ticket = 0
    while queue and len(found) < size:
        time, length, _, node = heapq.heappop(queue)
        if node in done:
            continue
        done.add(node)
        if isinstance(node, int):
            found[node] = (time, length)
            if node != home:
                continue
        for other, seconds, metres in graph[node]:
            if other not in done:
                ticket += 1
                if before is not None and time + seconds < best.get(other, math.inf):
                    best[other], before[other] = time + seconds, node
                heapq.heappush(queue, (time + seconds, length + metres, ticket, other))
    return found
