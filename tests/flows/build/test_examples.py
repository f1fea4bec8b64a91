"""A label that is seen once, and is another spelling of a common one, is a finding with the command that mends it, and no error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.build_steps import context, rows_of

from smidgen.cli.main import code
from smidgen.core.errors import DataError
from smidgen.flows.build.examples import gather_material
from smidgen.parts.recipe import make

LABELS = ["Delivery"] * 20 + ["Refund"] * 20


def file_of(folder: Path, labels: list[str]) -> Path:
    file = folder / "my data.csv"
    rows = [f"some text {n} about {label.split()[0].lower()},{label}" for n, label in enumerate(labels)]
    file.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return file


def test_a_build_takes_it_for_the_common_spelling(tmp_path: Path) -> None:
    file = file_of(tmp_path, [*LABELS, "delivery", "RE-FUND"])
    recipe = make({"task": "classify", "data": {"train": str(file), "input": "text", "label": "label"}})
    examples = rows_of(recipe)
    assert examples.form.labels == ("Delivery", "Refund")
    (note,) = [note for note in examples.notes if "spelling" in note]
    assert "'delivery' as 'Delivery'" in note and "'RE-FUND' as 'Refund'" in note
    assert f"smidgen check '{file}' --label label --fix OUT" in note


def test_several_labels(tmp_path: Path) -> None:
    file = file_of(tmp_path, [*LABELS, "delivery|Refund"])
    data = {"train": str(file), "input": "text", "label": "label"}
    examples = rows_of(make({"task": "classify", "data": data, "classify": {"multi_label": True}}))
    assert examples.form.labels == ("Delivery", "Refund")


def test_a_label_with_one_row_is_left_out_with_a_note(tmp_path: Path) -> None:
    file = file_of(tmp_path, [*LABELS, "delivery", "alone"])
    recipe = make({"task": "classify", "data": {"train": str(file), "input": "text", "label": "label"}})
    examples = rows_of(recipe)
    assert examples.form.labels == ("Delivery", "Refund")
    assert "alone" not in {row.output for row in (*examples.train, *examples.held, *examples.test)}
    left_out, share = [note for note in examples.notes if "left out" in note]
    assert "'alone'" in left_out and "'delivery'" not in left_out
    assert examples.left_out == ("alone",)
    assert "About 2% of later texts have another" in share


def test_of_several_labels_only_the_thin_one_is_left_out(tmp_path: Path) -> None:
    file = file_of(tmp_path, [*LABELS, "alone|Refund", "single"])
    data = {"train": str(file), "input": "text", "label": "label"}
    examples = rows_of(make({"task": "classify", "data": data, "classify": {"multi_label": True}}))
    rows = [*examples.train, *examples.test]
    assert examples.form.labels == ("Delivery", "Refund")
    assert sum("Refund" in row.output for row in rows) == 21 and len(rows) == 41


def test_one_label_beside_thin_ones_is_still_an_error(tmp_path: Path) -> None:
    file = file_of(tmp_path, ["Delivery"] * 20 + ["alone"])
    recipe = make({"task": "classify", "data": {"train": str(file), "input": "text", "label": "label"}})
    with pytest.raises(DataError, match="'alone'"):
        rows_of(recipe)


def test_two_common_spellings_stay_two_labels(tmp_path: Path) -> None:
    file = file_of(tmp_path, [*LABELS, *["delivery"] * 5])
    recipe = make({"task": "classify", "data": {"train": str(file), "input": "text", "label": "label"}})
    examples = rows_of(recipe)
    assert examples.form.labels == ("Delivery", "Refund", "delivery")
    assert not [note for note in examples.notes if "spelling" in note]


def test_check_gives_the_command_that_mends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("smidgen.flows.data_check.embedder", lambda threads: None)
    monkeypatch.chdir(tmp_path)
    file_of(tmp_path, [*LABELS, "delivery"])
    assert code(["check", "my data.csv", "--label", "label"]) == 0
    said = capsys.readouterr().out
    command = "smidgen check 'my data.csv' --input text --label label --fix 'my data.clean.csv'"
    assert command in said
    assert code(["check", "my data.csv", "--input", "text", "--label", "label", "--fix", "my data.clean.csv"]) == 0
    assert "delivery,delivery" not in (tmp_path / "my data.clean.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("head", "names", "found"),
    [
        ("Description", lambda item, customer: f"Mug {item}", "Mug 1"),
        ("Artikelbezeichnung", lambda item, customer: f"Mug {item}", "Mug 1"),
        ("Description", lambda item, customer: f"for customer {customer}", "1"),
        ("Name", lambda item, customer: f"Mug {item}", "1"),
        ("Title", lambda item, customer: "Mr", "1"),
    ],
)
def test_items_have_the_names_of_the_orders_where_there_is_no_catalogue(tmp_path: Path, head: str, names: Any, found: str) -> None:
    orders = [f"c{customer},{item}:2,{names(item, customer)}" for customer in range(12) for item in (1, 2, 3 + customer % 2)]
    (tmp_path / "orders.csv").write_text("\n".join([f"customer,item,{head}", *orders]) + "\n", encoding="utf-8")
    data, asked = {"train": str(tmp_path / "orders.csv")}, {"user": "customer", "item": "item"}
    gathered = gather_material(rows_of(make({"task": "recommend", "data": data, "recommend": asked})), context(tmp_path))
    assert gathered.material is not None
    goods = json.loads((gathered.material / "goods.json").read_text(encoding="utf-8"))["goods"]
    assert next(one["name"] for one in goods if one["id"] == "1") == found and len(goods) == 4
    assert [note for note in gathered.notes if head in note] == (
        [f"items are named by the column {head}, as no catalogue is given"] if found != "1" else []
    )
