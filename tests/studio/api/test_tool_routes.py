"""A project's tools over the API: cards, changes that keep the file's words, dry runs without secrets, and calls that only read."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.shop_project import shop_project

from smidgen.studio.flows.recipes.project_recipe import project_folder
from smidgen.studio.flows.tool_files.tool_secrets import secrets_file, tool_environment
from smidgen.studio.store.projects import Project, StudioStore
from smidgen.tools import http_calls, toolbox

SECRET = "sk-very-secret-4711"
PRODUCTS = {"description": "Look up a price", "words": "Look up the price of {product}", "changes": False,
            "sql": "SELECT name, price_gbp FROM products WHERE instr(lower(name), lower(:product)) > 0 ORDER BY sku LIMIT 2",
            "arguments": {"product": {"type": "string", "minLength": 2, "title": "product"}}}  # fmt: skip
TEXT = {"schema": {"type": "string"}}
API = {
    "openapi": "3.0.0",
    "servers": [{"url": "https://api.example.com/v1"}],
    "paths": {
        "/slots": {"get": {"operationId": "listSlots", "parameters": [{"name": "day", "in": "query", **TEXT}]}},
        "/slots/{slotId}": {
            "post": {"operationId": "bookSlot", "parameters": [{"name": "slotId", "in": "path", "required": True, **TEXT}]}
        },
    },
}


@pytest.fixture
def project(store: StudioStore) -> Project:
    return shop_project(store)


@pytest.fixture
def path(project: Project) -> str:
    return f"/api/v1/projects/{project.id}/tools"


@pytest.fixture(autouse=True)
def _nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def sent(*_: Any, **__: Any) -> Any:
        raise AssertionError("a request was sent")

    monkeypatch.setattr(toolbox, "send", sent)
    monkeypatch.setattr(http_calls, "send", sent)


def change(client: TestClient, path: str, name: str, settings: dict[str, Any], before: str | None = None) -> Any:
    stamp = client.get(path).json()["stamp"]
    body = {"place": {"id": name}, "settings": settings, "before": {"id": before} if before else None, "stamp": stamp}
    return client.put(path, json=body)


def test_each_tool_is_told_with_what_it_does_and_needs(client: TestClient, path: str) -> None:
    found = client.get(path).json()
    tools = {tool["name"]: tool for tool in found["tools"]}
    assert list(tools) == ["order_status", "product_search", "stock", "cancel_order", "change_address", "start_return"]
    status, cancel = tools["order_status"], tools["cancel_order"]
    assert (status["kind"], status["changes"], status["waits"], status["owner"]) == ("sql", False, False, ["order", "contact"])
    assert (cancel["kind"], cancel["changes"], cancel["waits"]) == ("http", True, True)
    assert cancel["variables"] == {"SHOP_URL": False, "SHOP_KEY": False, "SHOP_DATABASE": False}
    assert found["secrets"] == {"SHOP_DATABASE": False, "SHOP_KEY": False, "SHOP_URL": False}
    assert all(tool["mistakes"] == [] for tool in found["tools"]) and found["mistakes"] == [] and found["model"] is False


def test_a_changed_tool_leaves_the_rest_of_the_file_as_it_was(client: TestClient, path: str) -> None:
    before = client.get(path).json()
    settings = next(tool for tool in before["tools"] if tool["name"] == "stock")["settings"]
    after = change(client, path, "stock", {**settings, "description": "Say how many are left"}, "stock").json()
    assert after["kept_comments"] is True
    assert after["text"] == before["text"].replace('"Say whether a product is in stock"', '"Say how many are left"')
    renamed = change(client, path, "left_over", {**settings, "description": "Say how many are left"}, "stock").json()
    assert [tool["name"] for tool in renamed["tools"]][2] == "left_over" and "# The new address" in renamed["text"]
    added = change(client, path, "price", PRODUCTS).json()
    assert added["tools"][-1]["name"] == "price" and added["text"].startswith(renamed["text"].rstrip("\n"))
    gone = client.post(f"{path}/delete", json={"place": {"id": "price"}, "stamp": added["stamp"]}).json()
    assert gone["text"].rstrip() == renamed["text"].rstrip()


def test_every_mistake_is_told_at_its_field_and_nothing_is_kept(client: TestClient, path: str) -> None:
    wrong = {
        "description": "",
        "words": {"en": "Look up {order}", "English": "?"},
        "changes": True,
        "owner": ["mail"],
        "sql": "DELETE FROM orders WHERE id = :other",
        "arguments": {"Order": {"type": "string"}, "code": {"type": "string", "pattern": "(a+)+"}},
    }
    before = client.get(path).json()
    told = client.post(f"{path}/check", json={"place": {"id": "Bad Name"}, "settings": wrong}).json()["mistakes"]
    places = {one["place"] for one in told}
    assert {"name", "description", "words.en", "words.English", "changes", "owner", "sql", "arguments.Order", "arguments.code"} <= places
    refused = change(client, path, "bad", wrong)
    assert refused.status_code == 400 and "description" in refused.json()["error"]["todo"]
    assert client.get(path).json() == before


def test_a_change_on_top_of_another_persons_is_refused(client: TestClient, path: str) -> None:
    stamp = client.get(path).json()["stamp"]
    assert change(client, path, "price", PRODUCTS).status_code == 200
    late = client.put(path, json={"place": {"id": "late"}, "settings": PRODUCTS, "stamp": stamp})
    assert late.status_code == 409 and late.json()["error"]["code"] == "changed_meanwhile"
    again = change(client, path, "price", PRODUCTS)
    assert again.status_code == 400 and "late" not in client.get(path).json()["text"]


def test_a_broken_tool_hides_no_other_and_can_be_mended(client: TestClient, path: str, project: Project) -> None:
    file = project_folder(project.id) / "tools.toml"
    file.write_text(
        file.read_text(encoding="utf-8").replace("FROM products WHERE sku", "FROM products WHERE nobody = :nobody OR sku"), encoding="utf-8"
    )
    found = {tool["name"]: tool for tool in client.get(path).json()["tools"]}
    assert [one["place"] for one in found["stock"]["mistakes"]] == ["sql"] and found["order_status"]["mistakes"] == []
    assert change(client, path, "price", PRODUCTS).status_code == 200
    assert client.post(f"{path}/dry-run", json={"tool": "stock", "arguments": {}}).status_code == 400
    file.write_text("tools = [", encoding="utf-8")
    assert "not TOML" in client.get(path).json()["mistakes"][0]["text"]


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({**PRODUCTS, "database": "sqlite:///../../../studio.db"}, "database"),
        ({**PRODUCTS, "database": "sqlite:////etc/passwd"}, "database"),
        ({**PRODUCTS, "database": "sqlite:///${HOME}/x.db"}, "database"),
    ],
)
def test_no_tool_reads_files_outside_the_projects_folder(client: TestClient, path: str, settings: dict[str, Any], place: str) -> None:
    refused = change(client, path, "price", settings)
    assert refused.status_code == 400 and place in refused.json()["error"]["todo"]
    stamp = client.get(path).json()["stamp"]
    assert client.put(f"{path}/database", json={"url": settings["database"], "stamp": stamp}).status_code == 400
    text = client.get(path).json()["text"] + f'\n[openapi.x]\nfile = "{settings["database"][10:]}"\n[openapi.x.operations.a]\n'
    assert client.put(f"{path}/text", json={"text": text, "stamp": stamp}).status_code == 400


def test_secrets_are_kept_for_this_user_alone_and_never_told(client: TestClient, path: str, project: Project) -> None:
    assert client.put(f"{path}/secrets", json={"name": "SHOP_KEY", "value": SECRET}).status_code == 204
    file = secrets_file(project.id)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and tool_environment(project.id) == {"SHOP_KEY": SECRET}
    found = client.get(path)
    assert found.json()["secrets"]["SHOP_KEY"] is True and SECRET not in found.text
    assert client.put(f"{path}/secrets", json={"name": "PATH; rm", "value": "x"}).status_code == 400
    assert client.put(f"{path}/secrets", json={"name": "A", "value": "x\ny"}).status_code == 400
    client.put(f"{path}/secrets", json={"name": "SHOP_KEY", "value": ""})
    assert tool_environment(project.id) == {}


def test_a_dry_run_shows_the_exact_call_and_no_secret(client: TestClient, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_URL", "https://leak.example")
    for name, value in (("SHOP_KEY", SECRET), ("SHOP_URL", "https://shop.example/api"), ("SHOP_DATABASE", "sqlite:///x.db")):
        client.put(f"{path}/secrets", json={"name": name, "value": value})
    call = {"tool": "cancel_order", "arguments": {"order": "FH-20103", "contact": "nia@example.com"}}
    shown = client.post(f"{path}/dry-run", json=call).json()
    assert shown["call"]["method"] == "POST" and shown["call"]["url"] == "${SHOP_URL}/api/orders/FH-20103/cancel"
    lines = shown["exact"].splitlines()
    assert lines[0] == "POST ${SHOP_URL}/api/orders/FH-20103/cancel" and "Authorization: Bearer •••" in lines
    assert json.loads(lines[lines.index("") + 1]) == {"contact": "nia@example.com"} and "order_id = 'FH-20103'" in lines[-1]
    assert shown["call"]["headers"]["Authorization"] == "Bearer •••" and json.loads(shown["call"]["body"]) == {"contact": "nia@example.com"}
    assert "order_id = 'FH-20103'" in shown["call"]["guard"] and shown["waits"] and shown["fault"] == ""
    assert (
        SECRET not in json.dumps(shown) and "leak" not in json.dumps(shown) and shown["words"] == "Cancel order FH-20103 of nia@example.com"
    )
    german = client.post(f"{path}/dry-run", json={**call, "language": "de"}).json()
    assert german["words"] == "Bestellung FH-20103 von nia@example.com stornieren"


def test_a_dry_run_reads_a_message_and_says_what_is_missing(client: TestClient, path: str) -> None:
    said = {"tool": "order_status", "message": "where is fh-20103?"}
    shown = client.post(f"{path}/dry-run", json=said).json()
    assert (shown["by"], shown["arguments"], shown["missing"]) == ("words", {"order": "FH-20103"}, ["contact"])
    assert shown["call"]["values"] == {"order": "FH-20103", "contact": None} and "SHOP_DATABASE" in shown["fault"]
    assert client.post(f"{path}/dry-run", json={"message": "where is it"}).json()["tool"] == ""
    wrong = client.post(f"{path}/dry-run", json={"tool": "order_status", "arguments": {"order": "12", "other": 1}}).json()
    assert set(wrong["mistakes"]) == {"order", "other"}


def test_a_tool_that_reads_is_run_once_and_one_that_changes_is_not(client: TestClient, path: str, project: Project) -> None:
    stamp = client.get(path).json()["stamp"]
    made = client.put(f"{path}/database", json={"tables": ["products.csv", "orders.csv"], "stamp": stamp}).json()
    assert made["database"] == "sqlite:///database.sqlite3" and "# The tools of the sample shop's desk." in made["text"]
    found = client.post(f"{path}/run", json={"tool": "stock", "arguments": {"product": "Pedlar Stripe Cushion"}, "confirmed": True}).json()
    assert (
        found["status"] == "ok"
        and found["rows"][0]["name"] == "Pedlar Stripe Cushion"
        and found["text"].startswith("Pedlar Stripe Cushion: ")
    )
    assert client.post(f"{path}/run", json={"tool": "stock", "arguments": {}, "confirmed": False}).status_code == 422
    assert client.post(f"{path}/run", json={"tool": "stock", "arguments": {}, "confirmed": True}).json()["status"] == "refused"
    refused = client.post(f"{path}/run", json={"tool": "cancel_order", "arguments": {}, "confirmed": True})
    assert refused.status_code == 400 and "changes something" in refused.json()["error"]["what"]
    assert change(client, path, "price", {**PRODUCTS, "confirm": "always"}).json()["tools"][-1]["waits"] is True
    asked = client.post(f"{path}/run", json={"tool": "price", "arguments": {"product": "rug"}, "confirmed": True}).json()
    assert asked["status"] == "ok" and len(asked["rows"]) == 2


def test_the_studios_own_variables_reach_no_tool(client: TestClient, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_DATABASE", "sqlite:///database.sqlite3")
    run = client.post(f"{path}/run", json={"tool": "stock", "arguments": {"product": "rug"}, "confirmed": True}).json()
    assert run["status"] == "failed" and "not set" in run["reason"]


def test_operations_of_a_document_are_chosen(client: TestClient, path: str, project: Project) -> None:
    offered = client.post(f"{path}/openapi", json={"text": json.dumps(API)}).json()
    assert [(one["id"], one["changes"], one["arguments"]) for one in offered] == [
        ("listSlots", False, ["day"]),
        ("bookSlot", True, ["slot_id"]),
    ]
    stamp = client.get(path).json()["stamp"]
    chosen = {"bookSlot": {"words": "Book {slot_id}"}}
    saved = client.put(f"{path}/openapi/booking", json={"text": json.dumps(API), "chosen": chosen, "stamp": stamp}).json()
    tool = saved["tools"][-1]
    assert tool["place"] == {"source": "openapi", "origin": "booking", "id": "bookSlot"} and tool["name"] == "book_slot" and tool["waits"]
    assert (project_folder(project.id) / "openapi" / "booking.json").is_file()
    shown = client.post(f"{path}/dry-run", json={"tool": "book_slot", "arguments": {"slot_id": "a b"}}).json()
    assert shown["call"]["url"] == "https://api.example.com/v1/slots/a%20b"
    stray = client.put(f"{path}/openapi/..%2Fx", json={"text": json.dumps(API), "chosen": chosen, "stamp": saved["stamp"]})
    assert stray.status_code in (400, 404)
    unknown = client.put(f"{path}/openapi/more", json={"text": json.dumps(API), "chosen": {"none": {}}, "stamp": saved["stamp"]})
    assert unknown.status_code == 400 and client.post(f"{path}/openapi", json={"text": "swagger: 2"}).status_code == 400
    gone = client.post(f"{path}/delete", json={"place": tool["place"], "stamp": saved["stamp"]}).json()
    assert "openapi" not in gone["text"] and gone["sources"] == []


def test_tools_of_a_server_are_chosen_and_no_program_is_started(client: TestClient, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"name": "stockOf", "description": "Look up the stock", "annotations": {"readOnlyHint": True},
             "inputSchema": {"type": "object", "properties": {"productId": {"type": "string"}}, "required": ["productId"]}}  # fmt: skip
    monkeypatch.setattr("smidgen.studio.flows.tool_files.tool_sources.listed_tools", lambda target, environment: [entry])
    url = "https://tools.example/mcp"
    found = client.post(f"{path}/mcp", json={"url": url}).json()
    assert found["tools"][0]["id"] == "stockOf" and found["tools"][0]["changes"] is False
    stamp = client.get(path).json()["stamp"]
    body = {"url": url, "definitions": found["definitions"], "chosen": {"stockOf": {"confirm": "never"}}, "stamp": stamp}
    saved = client.put(f"{path}/mcp/shop", json=body).json()
    assert saved["tools"][-1]["name"] == "stock_of" and saved["tools"][-1]["kind"] == "mcp"
    shown = client.post(f"{path}/dry-run", json={"tool": "stock_of", "arguments": {"product_id": "CU-1"}}).json()
    assert shown["call"] == {"server": url, "tool": "stockOf", "arguments": {"productId": "CU-1"}}
    text = saved["text"].replace(f'url = "{url}"', 'command = ["touch", "/tmp/never"]')
    kept = client.put(f"{path}/text", json={"text": text, "stamp": saved["stamp"]})
    assert kept.status_code == 400 and "starts a program" in kept.json()["error"]["what"]
    (tool_file,) = project_folder(path.split("/")[-2]).glob("tools.toml")
    tool_file.write_text(text, encoding="utf-8")  # by hand, as who may use this machine can
    run = client.post(f"{path}/run", json={"tool": "stock_of", "arguments": {"product_id": "CU-1"}, "confirmed": True})
    assert run.status_code == 400 and "starts no programs" in run.json()["error"]["what"]


def test_a_plan_of_the_studio_becomes_tools(client: TestClient, path: str) -> None:
    plan = client.post("/api/v1/plans", json={"solver": "trips", "name": "Our weekend", "sample": True}).json()["id"]
    stamp = client.get(path).json()["stamp"]
    early = client.put(f"{path}/plan", json={"plan": plan, "stamp": stamp})
    assert early.status_code == 409 and "not made yet" in early.json()["error"]["what"]
    client.put(f"/api/v1/plans/{plan}/settings", json={"settings": {"start": "Harbour Hotel"}, "seconds": 0.2})
    place = client.post(f"/api/v1/plans/{plan}/solve").json()["solved"]["tables"][0]["rows"][0]
    saved = client.put(f"{path}/plan", json={"plan": plan, "stamp": stamp}).json()
    assert "tools" in saved, saved
    asked, changed = saved["tools"][-2:]
    assert (asked["name"], asked["waits"], changed["name"], changed["waits"]) == ("trips_plan", False, "change_trips_plan", True)
    assert asked["mistakes"] == changed["mistakes"] == [] and saved["secrets"]["TRIPS_PLAN"]
    assert len(asked["settings"]["examples"]) > 40 and len(changed["settings"]["examples"]) > 40
    name = next(cell for cell in place if " " in cell)
    run = client.post(f"{path}/run", json={"tool": "trips_plan", "arguments": {"about": name}, "confirmed": True}).json()
    assert run["status"] == "ok" and name in run["text"]
    again = client.put(f"{path}/plan", json={"plan": plan, "stamp": saved["stamp"]})
    assert again.status_code == 200 and len(again.json()["tools"]) == len(saved["tools"])
    stray = again.json()["text"].replace("${TRIPS_PLAN}", "/etc")
    refused = client.put(f"{path}/text", json={"text": stray, "stamp": again.json()["stamp"]})
    assert refused.status_code == 400 and "a variable whose value an owner gives" in refused.text


def test_an_inner_address_is_not_asked(client: TestClient, path: str) -> None:
    seen = 0
    for url in ("http://169.254.169.254/mcp", "http://10.0.0.1/mcp", "ftp://x.example/", "http://shop.example/mcp"):
        refused = client.post(f"{path}/mcp", json={"url": url})
        assert refused.status_code in (400, 409), refused.text
        seen += 1
    assert seen == 4


def test_a_database_that_is_sent_lies_beside_the_tools_and_tells_its_tables(
    client: TestClient, project: Project, path: str, tmp_path: Path
) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as base:
        base.execute("CREATE TABLE bookings (number TEXT, email TEXT)")
        base.commit()
    stamp = client.get(path).json()["stamp"]
    no_database = client.post(f"{path}/database/uploads", params={"name": "tools.toml", "stamp": stamp}, content=b"not one")
    assert no_database.status_code == 400 and "no SQLite database" in no_database.json()["error"]["message"]
    content = (tmp_path / "shop.db").read_bytes()
    made = client.post(f"{path}/database/uploads", params={"name": "../shop.db", "stamp": stamp}, content=content).json()
    assert made["database"] == "sqlite:///shop.sqlite3" and made["tables"] == {"bookings": ["number", "email"]}
    assert (project_folder(project.id) / "shop.sqlite3").read_bytes() == content
