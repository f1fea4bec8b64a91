"""The data of a project over HTTP: a file in, its rows, edits, versions; and files that harm nothing."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from starlette.testclient import TestClient
from tests.flower_orders import as_csv, orders

CSV = "text,team\n" + "".join(f"message {number},{'ab'[number % 2]}\n" for number in range(40))


@pytest.fixture
def project(client: TestClient) -> str:
    return str(client.post("/api/v1/projects", json={"name": "Tickets", "task": "classify"}).json()["id"])


def send(client: TestClient, project: str, name: str, content: bytes) -> Any:
    return client.post(f"/api/v1/projects/{project}/uploads", params={"name": name}, content=content)


@pytest.fixture
def filled(client: TestClient, project: str) -> str:
    seen = send(client, project, "tickets.csv", CSV.encode()).json()
    wanted = {"upload": seen["upload"], "input": seen["input"], "label": seen["label"]}
    assert client.post(f"/api/v1/projects/{project}/imports", json=wanted).status_code == 201
    return f"/api/v1/projects/{project}"


def test_a_file_is_looked_at_then_added(client: TestClient, project: str) -> None:
    seen = send(client, project, "tickets.csv", CSV.encode()).json()
    assert (seen["name"], seen["columns"], seen["input"], seen["label"]) == ("tickets.csv", ["text", "team"], ["text"], ["team"])
    assert seen["rows"][0] == {"text": "message 0", "team": "a"}
    path = f"/api/v1/projects/{project}"
    added = client.post(f"{path}/imports", json={"upload": seen["upload"], "input": ["text"], "label": ["team"]}).json()
    assert (added["version"]["number"], added["version"]["rows"], added["skipped"]) == (1, 40, 0)
    assert client.get(f"{path}/data").json() | {"undo": None} == {
        **{"version": 1, "rows": 40, "unlabelled": 0, "test_rows": 0, "undo": None, "redo": None}
    }
    again = client.post(f"{path}/imports", json={"upload": seen["upload"], "input": ["text"], "label": ["team"]})
    assert (again.status_code, again.json()["error"]["code"]) == (404, "no_upload")


def test_a_file_without_answers_can_be_added(client: TestClient, project: str) -> None:
    seen = send(client, project, "texts.csv", b"text\nhello there\ngood evening\n").json()
    client.post(f"/api/v1/projects/{project}/imports", json={"upload": seen["upload"], "input": ["text"], "label": []})
    assert client.get(f"/api/v1/projects/{project}/data").json()["unlabelled"] == 2


def test_a_file_without_column_names_is_seen_as_one(client: TestClient, project: str) -> None:
    lines = [f"where is my parcel number {number}\t{'ab'[number % 2]}" for number in range(20)]
    seen = send(client, project, "plain.tsv", "\n".join(lines).encode()).json()
    assert (seen["header"], seen["columns"], seen["input"], seen["label"]) == (False, ["column_1", "column_2"], ["column_1"], ["column_2"])
    assert seen["rows"][0] == {"column_1": "where is my parcel number 0", "column_2": "a"}
    path = f"/api/v1/projects/{project}"
    named = client.get(f"{path}/uploads/{seen['upload']}", params={"header": True}).json()
    assert (named["header"], named["columns"], named["input"]) == (True, ["where is my parcel number 0", "a"], [])
    asked = {"upload": seen["upload"], "input": ["column_1"], "label": ["column_2"], "settings": {"header": False}}
    assert client.post(f"{path}/imports", json=asked).json()["version"]["rows"] == 20


def test_another_sheet_of_a_workbook_can_be_chosen(client: TestClient, project: str) -> None:
    book = io.BytesIO()
    with xlsxwriter.Workbook(book) as written:
        for name, rows in (("Mail", 6), ("Totals", 2)):
            sheet = written.add_worksheet(name)
            for number, cells in enumerate([["text", "team"], *[[f"where is my {name} {row}", "shipping"] for row in range(rows)]]):
                sheet.write_row(number, 0, cells)
    seen = send(client, project, "book.xlsx", book.getvalue()).json()
    assert (seen["facts"]["sheet"], seen["facts"]["sheets"].split("\n"), len(seen["rows"])) == ("Mail", ["Mail", "Totals"], 6)
    path = f"/api/v1/projects/{project}"
    other = client.get(f"{path}/uploads/{seen['upload']}", params={"sheet": "Totals"}).json()
    assert (other["facts"]["sheet"], len(other["rows"])) == ("Totals", 2)
    asked = {"upload": seen["upload"], "input": ["text"], "label": ["team"], "settings": {"header": True, "sheet": "Totals"}}
    assert client.post(f"{path}/imports", json=asked).json()["version"]["rows"] == 2


def test_where_no_column_looks_like_texts_people_choose(client: TestClient, project: str) -> None:
    rows = [{"code": number, "size": number % 3} for number in range(9)]
    seen = send(client, project, "codes.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode()).json()
    assert (seen["columns"], seen["input"], seen["header"], len(seen["rows"])) == (["code", "size"], [], True, 9)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("header.csv", b"text,team\n"),
        ("broken.parquet", b"PAR1 this is none PAR1"),
        ("broken.xlsx", b"PK\x03\x04 this is none"),
        ("list.jsonl", b"[1, 2"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_and_forgotten(
    client: TestClient, project: str, tmp_path: Path, name: str, content: bytes
) -> None:
    answer = send(client, project, name, content)
    assert answer.status_code == 400 and answer.json()["error"]["message"]
    assert list((tmp_path / "home" / "studio" / "uploads").iterdir()) == []


def test_a_file_name_leads_nowhere_else(client: TestClient, project: str, tmp_path: Path) -> None:
    assert send(client, project, "../../../etc/x.csv", CSV.encode()).status_code == 201
    (file,) = (tmp_path / "home" / "studio" / "uploads").rglob("*.csv")
    assert file.name == "x.csv"


def test_a_file_that_is_too_large_is_refused(client: TestClient, project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smidgen.studio.api.data_routes.MOST_UPLOAD", 1_000)
    assert send(client, project, "big.csv", CSV.encode() * 9).status_code == 413
    assert list((tmp_path / "home" / "studio" / "uploads").iterdir()) == []


def test_rows_are_paged_searched_and_filtered(client: TestClient, filled: str) -> None:
    page = client.get(f"{filled}/rows", params={"offset": 38, "limit": 10}).json()
    assert (page["total"], [row["input"] for row in page["rows"]]) == (40, ["message 38", "message 39"])
    assert client.get(f"{filled}/rows", params={"search": "MESSAGE 3"}).json()["total"] == 11
    assert client.get(f"{filled}/rows", params={"output": json.dumps("a")}).json()["total"] == 20
    assert client.get(f"{filled}/rows", params={"output": "{"}).status_code == 422
    assert client.get(f"{filled}/labels").json() == [{"output": "a", "rows": 20}, {"output": "b", "rows": 20}]


def test_edits_are_versions_that_can_be_taken_back(client: TestClient, filled: str) -> None:
    def edit(**wanted: Any) -> Any:
        return client.post(f"{filled}/edits", json={"edit": wanted})

    assert edit(kind="relabel", keys=[1, 2], output="c").json()["changed"] == 2
    assert edit(kind="rename", old="a", new="b").json()["changed"] == 19
    assert edit(kind="drop", keys=[40]).json()["rows"] == 39
    assert edit(kind="move", keys=[3], part="test").status_code == 201
    assert edit(kind="add", input="one more", output="b").json()["rows"] == 40
    assert edit(kind="relabel", keys=[1], output={"no": "label"}).status_code == 400
    actions = [version["action"] for version in client.get(f"{filled}/versions").json()]
    assert actions == [
        "add",
        "move",
        "drop",
        "rename",
        "relabel",
        "import",
    ]
    for _ in range(5):
        assert client.post(f"{filled}/undo").json() is not None
    assert client.get(f"{filled}/labels").json() == [{"output": "a", "rows": 20}, {"output": "b", "rows": 20}]
    assert client.post(f"{filled}/redo").json()["action"] == "redo"
    assert client.post(f"{filled}/versions/1/restore").json()["action"] == "restore"
    changed = client.get(f"{filled}/versions/1/changes/2").json()
    assert [(change["key"], change["before"]["output"], change["after"]["output"]) for change in changed] == [(1, "a", "c"), (2, "b", "c")]


def test_an_unknown_project_is_told(client: TestClient) -> None:
    statuses = [client.get(f"/api/v1/projects/none{path}").status_code for path in ("", "/data", "/rows", "/versions", "/labels")]
    assert statuses == [404] * 5


def test_columns_of_fields_come_in_and_are_told(client: TestClient) -> None:
    made = client.post("/api/v1/projects", json={"name": "Orders", "task": "extract"}).json()["id"]
    path = f"/api/v1/projects/{made}"
    seen = send(client, made, "orders.csv", as_csv(orders(20)).encode()).json()
    assert (seen["label"], seen["most_label"] > 1, seen["may_have_several"]) == (["customer", "flower", "amount", "day"], True, False)
    client.post(f"{path}/imports", json={"upload": seen["upload"], "input": ["message"], "label": ["customer", "amount"]})
    form = client.get(f"{path}/answer-form").json()
    assert [(field["path"], field["kind"], field["rows"]) for field in form["fields"]] == [
        ("customer", "text", 20),
        ("amount", "integer", 20),
    ]
    found = client.get(f"{path}/rows", params={"field": "customer", "holds": '"Anna Weber"'}).json()
    assert found["total"] == len([row for row in orders(20) if row["customer"] == "Anna Weber"]) > 0
    key = found["rows"][0]["key"]
    client.post(f"{path}/edits", json={"edit": {"kind": "relabel", "keys": [key], "output": {"customer": "Ann", "amount": 5}}})
    assert client.get(f"{path}/rows", params={"field": "amount", "holds": "5"}).json()["rows"][0]["output"]["customer"] == "Ann"


def test_a_text_may_have_several_labels(client: TestClient, project: str) -> None:
    lines = [f'"goods number {place}","{("garden, gift", "gift", "kitchen, gift")[place % 3]}"' for place in range(12)]
    seen = send(client, project, "goods.csv", "\n".join(["text,tags", *lines]).encode()).json()
    assert (seen["label"], seen["several"], seen["separator"], seen["may_have_several"]) == (["tags"], True, ",", True)
    wanted = {"upload": seen["upload"], "input": seen["input"], "label": seen["label"], "several": True, "separator": ","}
    assert client.post(f"/api/v1/projects/{project}/imports", json=wanted).json()["skipped"] == 0
    form = client.get(f"/api/v1/projects/{project}/answer-form").json()
    assert (form["shape"], form["names"][0]) == ("labels", {"name": "gift", "rows": 12})
    assert client.get(f"/api/v1/projects/{project}/rows", params={"holds": '"garden"'}).json()["total"] == 4
    assert client.get(f"/api/v1/projects/{project}/recipe").json()["tree"]["classify"] == {"multi_label": True}


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("edits", '{"edit": {"kind": "move", "keys": [0, 9223372036854775808], "part": "test"}}'),
        ("corrections", '{"text": "hello", "output": "\\ud800"}'),
        ("answers", '{"answers": [{"key": 9223372036854775808, "output": "billing"}]}'),
    ],
)
def test_what_no_database_holds_is_refused(client: TestClient, project: str, route: str, body: str) -> None:
    refused = client.post(f"/api/v1/projects/{project}/{route}", content=body, headers={"content-type": "application/json"})
    assert refused.status_code == 400 and "cannot be stored or looked for" in refused.json()["error"]["message"]


def test_a_row_that_cannot_be_read_is_named_and_the_others_come_in(client: TestClient, project: str) -> None:
    lines = "text,label\nwhere is my parcel,delivery\nstop, this now,account\nmy money back please,refund\n"
    seen = send(client, project, "comma.csv", lines.encode()).json()
    (fault,) = seen["faults"]
    assert (seen["unreadable"], fault["row"], fault["value"]) == (1, 3, "stop, this now,account"), "the header is row 1"
    assert "3 cells" in fault["what"] and len(seen["rows"]) == 2
    wanted = {"upload": seen["upload"], "input": ["text"], "label": ["label"]}
    added = client.post(f"/api/v1/projects/{project}/imports", json=wanted).json()
    assert (added["version"]["changed"], added["skipped"]) == (2, 1)
