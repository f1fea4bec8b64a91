"""Names of columns as files write them."""

from __future__ import annotations

import pytest

from smidgen.text.column_names import column_like


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        (["OrderDate", "Item"], "OrderDate"),
        (["order date", "date"], "date"),
        (["Belegdatum", "Artikel"], "Belegdatum"),
        (["Belegdatum", "Lieferdatum"], None),
        (["Dates"], None),
        (["ab", "Zahl"], None),
    ],
)
def test_a_column_is_found_by_its_name_the_surest_first(columns: list[str], found: str | None) -> None:
    assert column_like(columns, ("date", "order_date", "datum", "b")) == found
