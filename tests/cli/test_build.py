"""`smidgen build` with a recipe and other rows than the recipe's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smidgen.cli.main import code


def test_other_orders_leave_the_recipe_s_catalogue_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(["init", str(tmp_path / "shop"), "--recipe", "recommend"]) == 0
    orders = tmp_path / "orders.csv"
    orders.write_text("customer,items,date\n1,A,2026-01-01\n1,B,2026-01-02\n", encoding="utf-8")
    build = ["build", str(tmp_path / "shop" / "smidgen.toml"), "--out", str(tmp_path / "model"), "--quiet"]
    assert code([*build, "--orders", str(orders)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "products.csv) is left out" in said and "--items" in said
    assert "in the catalogue" not in said, "what is wrong is the number of customers, not the catalogue"
    products = tmp_path / "shop" / "products.csv"
    assert code([*build, "--orders", str(orders), "--items", str(products)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "products.csv) is left out" not in said and "in the catalogue" in said


def test_the_columns_of_other_orders_are_found_and_rows_without_a_customer_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code(["init", str(tmp_path / "shop"), "--recipe", "recommend"]) == 0
    orders = tmp_path / "invoices.csv"
    lines = [f"{n},S{n % 5},{6 if n % 7 else -6},12/{1 + n % 28:02}/2025 08:26,{17850 + n % 12 if n % 10 else ''}" for n in range(80)]
    orders.write_text("\n".join(["InvoiceNo,StockCode,Quantity,InvoiceDate,CustomerID", *lines]), encoding="utf-8")
    build = ["build", str(tmp_path / "shop" / "smidgen.toml"), "--out", str(tmp_path / "model"), "--orders", str(orders)]
    assert code(build) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "Columns of invoices.csv found by their names and cells: item: StockCode, time: InvoiceDate, user: CustomerID." in said
    assert "8 rows have no CustomerID: left out" in said and "✓ 0." not in said, "no step without a name"
    assert code([*build, "--user", "customer"]) == 2, "a column that a person named is not replaced"
    assert "no such column: 'customer'" in capsys.readouterr().err
    orders.write_text("a,b\n1.5,2.5\n", encoding="utf-8")
    assert code(build) == 2 and "Name it: --item COLUMN" in capsys.readouterr().err


def test_own_rows_are_not_measured_on_the_test_file_of_the_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(["init", str(tmp_path / "desk"), "--recipe", "support"]) == 0
    own = tmp_path / "own.csv"
    rows = [f"{what} order {number},{label}" for number in range(60) for what, label in (("where is", "delivery"), ("cancel", "cancel"))]
    own.write_text("\n".join(["text,intent", *rows]), encoding="utf-8")
    build = ["build", str(tmp_path / "desk" / "smidgen.toml"), "--data", str(own), "--out", str(tmp_path / "model"), "--quiet"]
    assert code([*build, "--student", "linear", "--set", "data.licence=ours"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "data.test of the recipe" in said and "Name yours: --test" in said and "data.licence" not in said
    report = json.loads((tmp_path / "model" / "report.json").read_text(encoding="utf-8"))
    assert 10 <= report["data"]["test"] <= 18, "a part of the own rows, not the recipe's hundred"
