"""Amounts of money in whole cents."""

from __future__ import annotations

from collections.abc import Iterable

from .faults import BakeryFault

VAT_FOOD = 7
VAT_DRINKS = 19


def cents(text: str) -> int:
    """Read an amount such as `3,20` or `3.20`. Raises BakeryFault if it is none."""
    plain = text.strip().replace("€", "").replace(",", ".").strip()
    try:
        amount = round(float(plain) * 100)
    except ValueError:
        raise BakeryFault("the amount cannot be read", text) from None
    if amount < 0:
        raise BakeryFault("the amount is negative", text)
    return amount


def euros(amount: int) -> str:
    """Write an amount for a customer."""
    return f"{amount // 100},{amount % 100:02d} €"


def net(gross: int, vat: int) -> int:
    """Return an amount without tax, rounded to a cent."""
    return round(gross * 100 / (100 + vat))


def tax_in(gross: int, vat: int) -> int:
    """Return the tax that an amount holds."""
    return gross - net(gross, vat)


def total(amounts: Iterable[int]) -> int:
    """Return the sum of some amounts."""
    return sum(amounts)


def share_of(amount: int, percent: int) -> int:
    """Return a share of an amount, rounded to a cent."""
    if not 0 <= percent <= 100:
        raise BakeryFault("the share is out of range", percent)
    return round(amount * percent / 100)
