"""Goods: what a catalogue says of each item. A file is read, and its columns are recognised by their names and contents."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.core.errors import DataError, MachineError
from smidgen.text import numbers

MAX_FILE_BYTES = 200 << 20
MAX_GOODS = 500_000
MAX_CELL_LENGTH = 20_000
MAX_COLUMNS = 200
_ATTRIBUTE_LENGTH = 60
"""A longer value is a text, not an attribute."""
_DELIMITERS = ",;\t|"
_NAMES = ("name", "title", "product", "product_name", "item_name", "produkt", "produktname", "titel", "bezeichnung", "artikel")
_PRICES = ("price", "price_gbp", "price_eur", "price_usd", "preis", "preis_eur", "verkaufspreis")
_STOCKS = ("stock", "in_stock", "inventory", "quantity_in_stock", "lager", "lagerbestand", "bestand")
_LINKS = ("url", "link", "product_url", "produktlink")
_PICTURES = ("image", "image_url", "picture", "photo", "bild", "foto")
ATTRIBUTES = (
    "category", "type", "brand", "collection", "range", "series", "style", "room", "material", "colour", "color", "pattern", "genre",
    "author", "artist", "maker", "kategorie", "art", "marke", "kollektion", "serie", "stil", "raum", "farbe", "muster", "hersteller",
    "autor",
)  # fmt: skip
"""Names of columns whose values make goods alike."""
_NUMBER = re.compile(r"[+-]?\d[\d.,\s]*%?")
_IN_WORDS = {"yes": 1, "ja": 1, "true": 1, "in stock": 1, "no": 0, "nein": 0, "false": 0, "out of stock": 0, "sold out": 0}
_LETTER = re.compile(r"[^\W\d_]{2}")
_SIGNS = {"gbp": "£", "eur": "€", "usd": "$"}


@dataclass(frozen=True, slots=True)
class Product:
    """One item.

    Attributes:
        id: as orders name it.
        name: for people; the id where the catalogue has none.
        attributes: values that make goods alike, by column.
        text: its name and its described columns, for vectors.
        price: as shown, with its currency where that is known; empty if unknown.
        stock: how many there are; None if unknown.
        url, image: links; empty without.
    """

    id: str
    name: str
    attributes: Mapping[str, str]
    text: str = ""
    price: str = ""
    stock: int | None = None
    url: str = ""
    image: str = ""

    def json(self) -> dict[str, Any]:
        """Its facts for a file, without empty ones."""
        facts = {"id": self.id, "name": self.name, "attributes": dict(self.attributes), "price": self.price, "stock": self.stock}
        return {name: value for name, value in {**facts, "url": self.url, "image": self.image}.items() if value not in ("", None, {})}


def product_of(facts: Any) -> Product:
    """An item from its facts. Raises ValueError for unusable facts."""
    if not isinstance(facts, Mapping) or not isinstance(facts.get("id"), str) or not facts["id"]:
        raise ValueError("an item has no id")
    texts = {name: str(facts.get(name, "")) for name in ("price", "url", "image")}
    attributes, stock = facts.get("attributes", {}), facts.get("stock")
    if not isinstance(attributes, Mapping) or not (stock is None or (isinstance(stock, int) and not isinstance(stock, bool))):
        raise ValueError(f"the item {facts['id'][:80]!r} has unusable facts")
    named = {str(name): str(value) for name, value in attributes.items()}
    return Product(facts["id"], str(facts.get("name") or facts["id"]), named, stock=stock, **texts)


def read_catalogue(file: Path, known: Collection[str] = ()) -> list[Product]:
    """The goods in a CSV, TSV, JSON or JSONL file, in its order. `known`: ids in orders; the column that holds most of them is that of ids.

    Raises DataError for a file that cannot be read, has no column of ids, or has an id twice.
    """
    records = _read_records(file)
    if not records:
        raise DataError("retail.catalogue_has_no_items", file=file.name)
    if len(records) > MAX_GOODS:
        raise DataError("retail.catalogue_has_too_many_items", records=len(records), most_goods=MAX_GOODS, file=file.name)
    columns = list(dict.fromkeys(name for record in records for name in record))[:MAX_COLUMNS]
    key = _id_column(records, columns, known, file)
    roles = {role: _column_named(columns, names, key) for role, names in _ROLES.items()}
    alike = [name for name in columns if name.casefold().strip() in ATTRIBUTES and name not in (key, *roles.values())]
    described = [name for name in columns if name not in (key, *roles.values()) and _has_words(records, name)]
    made: dict[str, Product] = {}
    for number, record in enumerate(records, start=1):
        id = _cell(record.get(key))
        if not id:
            raise DataError("retail.item_has_no_id", file=file.name, row=number, column=key)
        if id in made:
            raise DataError("retail.item_is_there_twice", value=id, file=file.name, row=number, column=key)
        made[id] = _product(id, record, roles, alike, described)
    return list(made.values())


_ROLES = {"name": _NAMES, "price": _PRICES, "stock": _STOCKS, "url": _LINKS, "image": _PICTURES}


def _product(
    id: str, record: Mapping[str, Any], roles: Mapping[str, str | None], alike: Sequence[str], described: Sequence[str]
) -> Product:
    found = {role: _cell(record.get(column)) if column is not None else "" for role, column in roles.items()}
    attributes = {name: value for name in alike if (value := _cell(record.get(name))) and len(value) <= _ATTRIBUTE_LENGTH}
    name = found["name"] or id
    texts = [name, *(value for column in described if (value := _cell(record.get(column))))]
    return Product(
        id=id,
        name=name[:200],
        attributes=attributes,
        text=". ".join(texts)[:MAX_CELL_LENGTH],
        price=_price(found["price"], roles["price"] or ""),
        stock=_stock(found["stock"]),
        url=found["url"] if found["url"].startswith(("https://", "http://", "/")) else "",
        image=found["image"] if found["image"].startswith(("https://", "http://", "/")) else "",
    )


def _read_records(file: Path) -> list[dict[str, Any]]:
    try:
        if not file.is_file():
            raise DataError("retail.there_is_no_such_catalogue", value=str(file), file=file.name)
        if file.stat().st_size > MAX_FILE_BYTES:
            value = f"{file.stat().st_size >> 20} MB"
            raise DataError("retail.catalogue_is_too_large", value=value, file=file.name)
        content = file.read_bytes()
    except OSError as error:
        plain = MachineError.told_by(error)
        raise DataError(plain.message_code, value=plain.value, file=file.name, **plain.values) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    if "\0" in text:
        raise DataError("retail.catalogue_is_not_text_file", value=file.name, file=file.name)
    return _json_records(text, file.name) if text.lstrip()[:1] in ("[", "{") else _csv_records(text, file.name)


def _json_records(text: str, file: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        raise DataError("retail.catalogue_is_not_valid_json", value=str(error)[:100], file=file) from error
    for number, record in enumerate(found, start=1):
        if not isinstance(record, dict):
            raise DataError("retail.row_is_not_object", value=str(record)[:80], file=file, row=number)
    return list(found)


def _csv_records(text: str, file: str) -> list[dict[str, Any]]:
    head = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=head.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise DataError("retail.catalogue_is_not_table", value=str(error)[:100], file=file) from error
    filled = [(number, row) for number, row in enumerate(rows) if any(cell.strip() for cell in row)]
    if not filled:
        raise DataError("retail.catalogue_is_empty", file=file)
    header = [name.strip() or f"column_{place}" for place, name in enumerate(filled[0][1], start=1)]
    for number, row in filled[1:]:
        if len(row) > len(header):
            value = f"{len(row)} cells, {len(header)} columns"
            raise DataError("retail.row_has_more_cells_than_header", value=value, file=file, row=number)
    return [dict(zip(header, row, strict=False)) for _, row in filled[1:]]


def _id_column(records: Sequence[Mapping[str, Any]], columns: Sequence[str], known: Collection[str], file: Path) -> str:
    """The column with the most of the known ids; without any, the first one whose values differ in every row."""
    if known:
        ids = set(known)
        counts = {name: len({_cell(record.get(name)) for record in records} & ids) for name in columns}
        best = max(columns, key=lambda name: counts[name])
        if not counts[best]:
            raise DataError("retail.no_ordered_item_is_in_catalogue", value=", ".join(columns)[:200], file=file.name)
        return best
    for name in columns:
        values = [_cell(record.get(name)) for record in records]
        if all(values) and len(set(values)) == len(values):
            return name
    raise DataError("retail.catalogue_has_no_column_of_ids", value=", ".join(columns)[:200], file=file.name)


def _column_named(columns: Sequence[str], names: Sequence[str], taken: str) -> str | None:
    folded = {column.casefold().strip().replace(" ", "_"): column for column in reversed(columns) if column != taken}
    return next((folded[name] for name in names if name in folded), None)


def _has_words(records: Sequence[Mapping[str, Any]], name: str) -> bool:
    cells = [cell for record in records[:500] if (cell := _cell(record.get(name)))]
    wordy = sum(bool(_LETTER.search(cell)) and not _NUMBER.fullmatch(cell) and "://" not in cell for cell in cells)
    return bool(cells) and wordy > 0.8 * len(cells)


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(filter(None, map(_cell, value)))[:MAX_CELL_LENGTH]
    if value is None or isinstance(value, bool | dict):
        return ""
    return " ".join(str(value).split())[:MAX_CELL_LENGTH]


def price_of(shown: str) -> float | None:
    """The number of a price as it is shown, such as `£1,249.00` or `19,90 €`; None if there is none."""
    value = numbers.read(shown, numbers.mark(shown) or ".") if shown else None
    return None if value is None else float(value)


def _price(cell: str, column: str) -> str:
    sign = next((sign for name, sign in _SIGNS.items() if column.casefold().endswith(name)), "")
    return f"{sign}{cell}" if cell and _NUMBER.fullmatch(cell) else cell[:40]


def _stock(cell: str) -> int | None:
    found = re.fullmatch(r"\d{1,9}(?:\.0+)?", cell)
    return int(float(found[0])) if found else _IN_WORDS.get(cell.casefold())


def common_words(names: Iterable[str], values: Iterable[str]) -> frozenset[str]:
    """First words that several names share and no attribute has: names of ranges, such as "Hearthside"."""
    firsts = Counter(word for name in names if (word := first_word(name)))
    attribute_words = {word for value in values for word in re.findall(r"\w+", value.casefold())}
    return frozenset(word for word, times in firsts.items() if times > 1 and word.casefold() not in attribute_words)


def first_word(name: str) -> str:
    """The first word of a name of several words; empty for others."""
    words = name.split()
    return words[0] if len(words) > 1 and words[0][:1].isalpha() and len(words[0]) > 2 else ""
