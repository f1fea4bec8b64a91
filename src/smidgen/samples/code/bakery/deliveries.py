"""Deliveries: the tours of a day, street by street."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from .customers import Patron, PatronStore
from .faults import BakeryFault
from .orders import BAKED, BakeryOrder, OrderStore

MOST_STOPS = 12


@dataclass(frozen=True)
class DeliveryStop:
    """One customer of a tour, with the orders to hand over."""

    patron: Patron
    orders: tuple[BakeryOrder, ...]

    @property
    def pieces(self) -> int:
        """Return the number of pieces in all."""
        return sum(order.pieces for order in self.orders)

    def shown(self) -> str:
        """Write the stop for a person."""
        return f"{self.patron.shown()}: {self.pieces} pieces"


def delivery_stops(day: date, orders: OrderStore, patrons: PatronStore) -> list[DeliveryStop]:
    """Return the stops of a day by town and street."""
    found: dict[str, list[BakeryOrder]] = {}
    for order in orders.of_day(day):
        if order.state == BAKED:
            found.setdefault(order.patron, []).append(order)
    stops = [DeliveryStop(patrons.get(number), tuple(own)) for number, own in found.items()]
    return sorted(stops, key=lambda stop: (stop.patron.town, stop.patron.street))


def delivery_tours(day: date, orders: OrderStore, patrons: PatronStore) -> list[list[DeliveryStop]]:
    """Return the tours of a day, each with a bounded number of stops."""
    stops = delivery_stops(day, orders, patrons)
    if not stops:
        raise BakeryFault("nothing is baked for this day", day.isoformat())
    return [stops[start : start + MOST_STOPS] for start in range(0, len(stops), MOST_STOPS)]


def hand_over(stop: DeliveryStop, orders: OrderStore) -> int:
    """Mark the orders of a stop as delivered, and return their number."""
    for order in stop.orders:
        orders.moved_on(order.number)
    return len(stop.orders)
