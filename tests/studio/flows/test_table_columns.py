"""Which column of a table is what: guessed by name and content, chosen by people, named in the recipe of a build."""

from __future__ import annotations

from pathlib import Path

import pytest
import xlsxwriter

from smidgen.core.errors import InputError
from smidgen.studio.flows.file_recipes import recipe_of_files
from smidgen.studio.flows.material import read_file, write_file
from smidgen.studio.flows.samples import begin_project, create_from_sample
from smidgen.studio.flows.table_columns import choose_columns, first_rows, project_columns, take_table
from smidgen.studio.store.projects import StudioStore

GERMAN = "Bestellnummer;Kundennummer;Artikelnummer;Menge;Bestelldatum;Geliefert\n" + "".join(
    f"{number};K{number % 7};A{number % 5};1;{1 + number % 28:02}.03.2026;2026-04-01\n" for number in range(40)
)
SHOP = "order_id,customer_email,product_name,price,order_date\n" + "".join(
    f"{number},u{number % 9}@x.example,Lamp {number % 7},5.20,2026-03-{1 + number % 28:02}\n" for number in range(40)
)
RATED = "user_id,item_id,rating,timestamp\n" + "".join(f"{number % 9},{number % 7},5,{1_700_000_000 + number}\n" for number in range(40))
INVOICES = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n" + "".join(
    f"5363{number},850{number % 7},LAMP,6,12/{1 + number % 28:02}/2025 08:26,2.55,{17850 + number % 9},France\n" for number in range(40)
)
EXPORT = "Name,Email,Paid at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku\n" + "".join(
    f"#{number},u{number % 9}@x.example,2026-03-{1 + number % 28:02} 10:00:00 +0100,1,Lamp {number % 7},5.20,L{number % 7}\n"
    for number in range(40)
)
FILMS = "userId,movieId,rating,timestamp\n" + "".join(f"{number % 9},{number % 7},3.5,{1_700_000_000 + number}\n" for number in range(40))
NAMELESS = "a,b,c\n" + "".join(f"{number % 9},P{number % 4},{number}.50\n" for number in range(40))


@pytest.mark.parametrize(
    ("table", "user", "item", "time"),
    [
        (GERMAN, "Kundennummer", "Artikelnummer", "Bestelldatum"),
        (SHOP, "customer_email", "product_name", "order_date"),
        (RATED, "user_id", "item_id", "timestamp"),
        (INVOICES, "CustomerID", "StockCode", "InvoiceDate"),
        (EXPORT, "Email", "Lineitem sku", "Paid at"),
        (FILMS, "userId", "movieId", "timestamp"),
        (NAMELESS, "a", "b", ""),
    ],
)
def test_columns_of_orders_are_guessed(store: StudioStore, table: str, user: str, item: str, time: str) -> None:
    project = begin_project(store, "Ours", "recommend")
    write_file(project, "orders.csv", table.encode())
    write_file(project, "products.csv", b"id,name\nP0,Lamp\nP1,Rug\nP2,Pan\nP3,Cup\n")
    (found,) = project_columns(project)
    assert found.chosen == {"user": user, "item": item, "time": time} and "time" in found.optional
    made = recipe_of_files(project, {}).given()["recommend"]
    assert (made["user"], made["item"], made.get("time", "")) == (user, item, time)


def test_a_choice_counts_before_a_guess_and_is_kept_with_the_recipe(store: StudioStore) -> None:
    desk = create_from_sample(store, "desk", "ann")
    orders = next(one for one in project_columns(desk) if one.kind == "orders")
    assert orders.guessed == () and orders.chosen == {"item": "items", "time": "date", "user": "customer"}
    choose_columns(store, desk, "orders", {"user": "email", "time": ""})
    orders = next(one for one in project_columns(desk) if one.kind == "orders")
    assert orders.chosen["user"] == "email" and orders.guessed == ("time",)
    text = read_file(desk, "recommend.toml").decode()
    assert 'user = "email"' in text and text.startswith("# Suggestions")
    with pytest.raises(InputError, match="no such column"):
        choose_columns(store, desk, "orders", {"user": "nobody"})


def test_a_table_without_a_known_column_is_told_before_the_build(store: StudioStore) -> None:
    project = begin_project(store, "Ours", "recommend")
    write_file(project, "orders.csv", b"x\n1.5\n2.5\n")
    with pytest.raises(InputError, match="which column is what"):
        recipe_of_files(project, {})


def test_a_spreadsheet_takes_the_place_of_a_csv_file(store: StudioStore, tmp_path: Path) -> None:
    project, file = begin_project(store, "Ours", "recommend"), tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(file) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate((("customer", "item", "total"), ("ann", "A;B", 12.5), ("bob", "C", 3))):
            sheet.write_row(number, 0, row)
    assert take_table(project, "orders", file) == "orders.csv"
    assert read_file(project, "orders.csv").decode().splitlines()[:2] == ["customer,item,total", "ann,A;B,12.5"]


def test_a_table_that_is_written_again_loses_no_row_and_no_column(tmp_path: Path) -> None:
    """Nor does a table without rows, or one with a row that has a cell too many. Other encodings have a test of their own."""
    file = tmp_path / "intents.csv"
    file.write_text("id,text,intent\n", encoding="utf-8")
    assert first_rows(file) == (("id", "text", "intent"), [])
    file.write_text("id,text,intent\n1,hello,greet,more\n2,bye,part\n", encoding="utf-8")
    assert [row["id"] for row in first_rows(file)[1]] == ["1", "2"]


def test_a_table_in_another_encoding_is_looked_at(store: StudioStore) -> None:
    project = begin_project(store, "Ours", "recommend")
    write_file(project, "orders.csv", GERMAN.replace("Menge", "Größe").encode("cp1252"))
    (found,) = project_columns(project)
    assert found.chosen == {"user": "Kundennummer", "item": "Artikelnummer", "time": "Bestelldatum"}
