"""Mistakes and shortages, in words for the people in the shop."""

from __future__ import annotations


class BakeryFault(Exception):
    """A mistake that a person can correct.

    Attributes:
        what: what is wrong, a clause.
        value: the value that is wrong.
    """

    def __init__(self, what: str, value: object) -> None:
        super().__init__(f"{what}: {value!r}")
        self.what, self.value = what, value


class UnknownEntry(BakeryFault):
    """No entry has this number."""

    def __init__(self, kind: str, number: str) -> None:
        super().__init__(f"there is no {kind} with this number", number)


class OutOfStock(BakeryFault):
    """An ingredient does not suffice."""

    def __init__(self, name: str, wanted: float, there: float) -> None:
        super().__init__(f"there is not enough {name}, {there:g} of {wanted:g}", name)
        self.wanted, self.there = wanted, there
