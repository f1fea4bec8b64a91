"""A result's columns as a customer sees them: named, dated and priced in their language.

Only a column that the tool file names is written otherwise than it came: a number alone does not say that it is money.
"""

from __future__ import annotations

import datetime
import decimal
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from smidgen.core.conversations import Facts
from smidgen.core.printable import printable

ByLanguage: TypeAlias = Mapping[str, str]
"""A text by language, `en`, `de`; under the empty name, the text for every other language."""

ColumnKind: TypeAlias = Literal["text", "date", "money"]

PLACED = ("name", "price", "url", "image", "reason")
"""Columns of a product that have a place of their own on a card, and so keep their names."""
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ]00:00(?::00(?:\.0+)?)?)?")
_AMOUNT = re.compile(r"-?\d{1,15}(\.\d{1,6})?")
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
_SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$"}


@dataclass(frozen=True, slots=True)
class ShownColumn:
    """How a column of a tool's result is shown.

    Attributes:
        title: its name in words, by language; empty for its name as it is.
        kind: `date` for ISO dates, `money` for amounts, `text` for all else.
        currency: of money, its ISO code.
    """

    title: ByLanguage = field(default_factory=dict)
    kind: ColumnKind = "text"
    currency: str = ""


def in_language(texts: ByLanguage, language: str) -> str:
    """The text in a language; else the one for every other language; else the first; empty if there are none."""
    for name in (language, language.partition("-")[0], ""):
        if name in texts:
            return texts[name]
    return next(iter(texts.values()), "")


def shown_row(row: Facts, columns: Mapping[str, ShownColumn], language: str) -> dict[str, Any]:
    """A row with its values in a language, under its own names."""
    return {name: _shown(value, columns[name], language) if name in columns else value for name, value in row.items()}


def titled_row(row: Facts, columns: Mapping[str, ShownColumn], language: str) -> dict[str, Any]:
    """A row with its values and the names of its columns in a language. Two columns never become one."""
    found: dict[str, Any] = {}
    for name, value in shown_row(row, columns, language).items():
        title = printable(in_language(columns[name].title, language)) if name in columns and name not in PLACED else ""
        found[title if title and title not in row and title not in found else name] = value
    return found


def _shown(value: Any, column: ShownColumn, language: str) -> Any:
    if column.kind == "date" and isinstance(value, str):
        return shown_date(value, language)
    if column.kind == "money" and isinstance(value, int | float | str) and not isinstance(value, bool):
        return shown_money(value, column.currency, language)
    return value


def shown_date(value: str, language: str) -> str:
    """An ISO date in a language: 12.11.2026, 12 November 2026; anything else as it is."""
    found = _DATE.fullmatch(value.strip())
    if found is None:
        return value
    try:
        day = datetime.date(*(int(part) for part in found.groups()))
    except ValueError:
        return value
    return f"{day:%d.%m.%Y}" if language.partition("-")[0] == "de" else f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def shown_money(value: float | str, currency: str, language: str) -> str:
    """An amount with its currency in a language: 3,95 £, £3.95; a text that is no amount as it is."""
    if not _AMOUNT.fullmatch(text := str(value).strip()):
        return str(value)
    amount = f"{decimal.Decimal(text).quantize(decimal.Decimal('0.01'), decimal.ROUND_HALF_UP):,.2f}"
    symbol = _SYMBOLS.get(currency, currency)
    if language.partition("-")[0] == "de":
        return f"{amount.translate(str.maketrans(',.', '.,'))} {symbol}".strip()
    if symbol == currency:
        return f"{symbol} {amount}".strip()
    return f"-{symbol}{amount[1:]}" if amount.startswith("-") else f"{symbol}{amount}"
