"""Read the ids of items in a cell of an order."""

from __future__ import annotations

import json
import re
from typing import Any

MOST_IDS = 2_000
"""Most ids read of a history, the latest, and of a list of excluded items."""
LONGEST_ID = 200
QUANTITY = re.compile(r"(.+):\d{1,6}")


def item_ids(cell: Any) -> list[str]:
    """The item ids in a cell of an order: one, or several as a JSON list or separated by `;` or `|`, each with or without its quantity
    (`RU-004:2`). Raises ValueError, a clause, for an empty or unusable cell."""
    if isinstance(cell, str) and cell.lstrip()[:1] == "[":
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            raise ValueError("it is not a valid list") from None
    if isinstance(cell, str):
        cell = [part for part in re.split(r"[;|\n]", cell) if part.strip()]
    elif isinstance(cell, int | float) and not isinstance(cell, bool):
        cell = [cell]
    if not isinstance(cell, list) or not cell:
        raise ValueError("the item is empty")
    found = [_id_of(part) for part in cell]
    if len(found) > MOST_IDS:
        raise ValueError(f"at most {MOST_IDS:,} items are read of a row")
    return list(dict.fromkeys(found))


def _id_of(part: Any) -> str:
    if isinstance(part, bool) or not isinstance(part, str | int | float):
        raise ValueError("an item is no text")
    if isinstance(part, float) and part.is_integer():
        part = int(part)
    id = str(part).strip()
    if (told := QUANTITY.fullmatch(id)) is not None:
        id = told[1].strip()
    if not id:
        raise ValueError("the item is empty")
    if len(id) > LONGEST_ID:
        raise ValueError(f"an item id has at most {LONGEST_ID} characters")
    return id
