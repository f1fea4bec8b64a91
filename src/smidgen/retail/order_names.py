"""Names of items in a table of orders, for a shop without a catalogue."""

from __future__ import annotations

from collections import Counter
from typing import Any

from smidgen.core.errors import DataError
from smidgen.data.item_ids import item_ids
from smidgen.data.tables import DataTable
from smidgen.text.column_names import column_key

NAMES_IN_ORDERS = frozenset(
    (
        *("productname", "itemname", "producttitle", "itemtitle", "lineitemname", "product", "title"),
        *("description", "productdescription", "itemdescription"),
        *("produktname", "artikelname", "artikelbezeichnung", "produktbezeichnung", "bezeichnung", "produkt", "artikel", "titel"),
    )
)
"""Columns of orders with the names of items, without signs; `name` alone may be that of a customer."""
MAX_NAME_LENGTH = 200
_NAMES_EACH = 1.2
"""Names per item, on average, up to which a column holds names of items: some are written in several ways."""


def names_of_items(table: DataTable, item: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Names of the items in the first column of the orders that is named like one and has one name for each item; and a note of it.

    `item`: the column of the items' ids.
    """
    found: dict[str, dict[str, Counter[str]]] = {
        column: {} for column in table.columns if column != item and column_key(column) in NAMES_IN_ORDERS
    }
    if not found or item not in table.columns:
        return {}, ()
    for record in (record for _, record in table.each() if not isinstance(record, DataError)):
        for column, names in found.items():
            id, name = _single_id(record.get(item)), " ".join(str(record.get(column) or "").split())
            if id and name:
                names.setdefault(id, Counter())[name[:MAX_NAME_LENGTH]] += 1
    for column, names in found.items():
        usual = {id: counts.most_common(1)[0][0] for id, counts in names.items()}
        # A title such as `Mr` is not a name: most items have it in common.
        if usual and sum(map(len, names.values())) <= _NAMES_EACH * len(names) and 2 * len(set(usual.values())) > len(usual):
            return usual, (f"items are named by the column {column}, as no catalogue is given",)
    return {}, ()


def _single_id(cell: Any) -> str:
    try:
        ids = item_ids(cell)
    except ValueError:
        return ""
    return ids[0] if len(ids) == 1 else ""
