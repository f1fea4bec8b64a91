"""A catalogue is read as people export it, and a bad one is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from smidgen.core.errors import DataError
from smidgen.retail.goods import common_words, product_of, read_catalogue

CSV = """sku,name,category,material,price_gbp,stock,rating,description
CE-1,Kelp Mug,ceramics,stoneware,16.00,5,4.6,"A dark green mug, hand-thrown."
CE-2,Kelp Bowl,ceramics,stoneware,18.00,0,4.4,A bowl for pasta.
"""


def write(tmp_path: Path, text: str, name: str = "goods.csv", encoding: str = "utf-8") -> Path:
    file = tmp_path / name
    file.write_bytes(text.encode(encoding))
    return file


def test_a_table_of_goods(tmp_path: Path) -> None:
    mug, bowl = read_catalogue(write(tmp_path, CSV), {"CE-1"})
    assert (mug.id, mug.name, mug.price, mug.stock, bowl.stock) == ("CE-1", "Kelp Mug", "£16.00", 5, 0)
    assert mug.attributes == {"category": "ceramics", "material": "stoneware"}
    assert mug.text == "Kelp Mug. ceramics. stoneware. A dark green mug, hand-thrown."  # no numbers: they tell nothing of likeness
    assert product_of(mug.json()) == product_of({**mug.json(), "text": "unread"})


def test_the_column_of_ids_is_the_one_that_orders_name(tmp_path: Path) -> None:
    goods = "name,article,ean\nMug,7,400\nBowl,8,401\n"
    assert [product.id for product in read_catalogue(write(tmp_path, goods), {"8", "7"})] == ["7", "8"]
    assert [product.id for product in read_catalogue(write(tmp_path, goods))] == ["Mug", "Bowl"]


@pytest.mark.parametrize("name, encoding", [("goods.csv", "cp1252"), ("goods.csv", "utf-8-sig")])
def test_other_encodings_and_delimiters(tmp_path: Path, name: str, encoding: str) -> None:
    (product,) = read_catalogue(write(tmp_path, "artikel;bezeichnung;preis_eur\n1;Grüner Becher;4,50\n", name, encoding), {"1"})
    assert (product.name, product.price) == ("Grüner Becher", "€4,50")


def test_json_lines(tmp_path: Path) -> None:
    mug = '{"id": 1, "title": "Mug", "material": ["stone", "glaze"], "stock": true, "url": "javascript:alert(1)"}'
    lines = mug + '\n\n{"id": 2, "title": "Bowl"}\n'
    mug, bowl = read_catalogue(write(tmp_path, lines, "goods.jsonl"), {"1", "2"})
    assert (mug.id, mug.attributes, mug.url) == ("1", {"material": "stone, glaze"}, "")
    assert bowl.name == "Bowl"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the catalogue is empty"),
        ("sku,name\n", "the catalogue has no items"),
        ("sku,name\nCE-1,Mug\nCE-1,Bowl\n", "row 2, column 'sku': the item is there twice"),
        ("sku,name\nCE-1,Mug\n,Bowl\n", "row 2, column 'sku': the item has no id"),
        ("sku,name\nXX-1,Mug\n", "no item of the orders is in the catalogue"),
        ("sku,name\nCE-1,Mug,more\n", "the row has more cells than the header"),
        ('{"id": 1}\n{"id"\n', "the catalogue is not valid JSON"),
        ("[1, 2]", "row 1: the row is not an object"),
        ("sku\0,name\n", "the catalogue is not a text file"),
    ],
)
def test_a_bad_catalogue(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(DataError) as caught:
        read_catalogue(write(tmp_path, text), {"CE-1"})
    assert what in str(caught.value)


def test_a_missing_catalogue(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such catalogue"):
        read_catalogue(tmp_path / "none.csv")


def test_names_of_ranges_are_words_that_no_attribute_has() -> None:
    names = ["Kelp Mug", "Kelp Bowl", "Oak Stool", "Oak Bench", "Mug", "Fig Candle"]
    assert common_words(names, ["solid oak", "stoneware"]) == {"Kelp"}
