"""A desk goes the way of every model: its members are built, it is measured on conversations, packed, opened, evaluated and served."""

from __future__ import annotations

import importlib.util
import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.desk.channels.vendor import Answer, Asked, vendor
from tests.eventually import eventually
from tests.made_once import made_once

from smidgen.cli import main
from smidgen.cli.serve import _uncalled
from smidgen.core.errors import DataError, EngineError, InputError, MissingExtra, RecipeError
from smidgen.core.progress import Silent
from smidgen.desk.engines import packed_key
from smidgen.desk.flows.live_desk import desk_of, live_desk, tools_of
from smidgen.desk.routes.desk_file import shown_desks
from smidgen.desk.tasks import DeskSettings
from smidgen.desk.tasks import part_desk as desk_task
from smidgen.flows.build.pipeline import build
from smidgen.flows.evaluation import evaluate
from smidgen.flows.learn.cycle import learn
from smidgen.flows.learn.settings import LearnSettings, TrafficSettings
from smidgen.flows.local_model import load
from smidgen.parts import recipe
from smidgen.server.app import create_app
from smidgen.server.settings import ServeSettings
from smidgen.store.calls import CallStore
from smidgen.tools.known_files import known_test_copy, known_tool_file, remember_tool_file

POLICY = """
[intents]
"contact/human" = "person"
"order/cancel" = "act cancel_order"
"shop/opening_hours" = "say hours"
[texts.hours]
en = "We are open from 9 to 5."
"""
TOOLS = """
[tools.cancel_order]
description = "Cancel an order"
words = "Cancel order {order}"
[tools.cancel_order.http]
method = "POST"
url = "http://127.0.0.1:9/orders/{order}"
[tools.cancel_order.arguments]
order = { pattern = "FH-[0-9]{5}", title = "order number" }
"""
TALKS: list[list[tuple[str, dict[str, Any] | None]]] = [
    [("I would like to talk to a real person please", {"outcome": "handed_over"})],
    [("can I speak to a human", {"outcome": "handed_over"})],
    [("when are you open on saturdays", {"outcome": "answered", "contains": "9 to 5"})],
    [("what are your opening hours", {"outcome": "answered", "contains": ["9 to 5"]})],
    [
        ("please cancel my order", {"outcome": "asked"}),
        ("FH-20103", {"outcome": "proposed", "tool": "cancel_order", "arguments": {"order": "FH-20103"}}),
        ("yes", {"outcome": "done", "tool": "cancel_order"}),
    ],
    [("cancel my order FH-20104", {"outcome": "proposed", "arguments": {"order": "FH-20104"}})],
    [("is the earth flat", {"outcome": "unanswered"})],
    [("cancel order FH-20105 please", None), ("no", {"outcome": "cancelled"})],
]


def talks(file: Path) -> Path:
    lines = [{"turns": [{"say": say} | ({"expect": wanted} if wanted else {}) for say, wanted in turns]} for turns in TALKS]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return file


def wanted(folder: Path, member: Path, **more: Any) -> recipe.Recipe:
    (folder / "policy.toml").write_text(POLICY, encoding="utf-8")
    (folder / "tools.toml").write_text(TOOLS, encoding="utf-8")
    talks(folder / "talks.jsonl")
    desk = {"members": {"intents": str(member)}, "policy": "policy.toml", "tools": "tools.toml", "conversations": "talks.jsonl", **more}
    return recipe.make({"name": "shop", "task": "desk", "desk": desk}, folder=folder)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Path:
    def make(folder: Path) -> None:
        build(wanted(folder, bundle), folder / "desk", threads=1, progress=Silent(), listed=False)

    return made_once(tmp_path_factory, "desk", make)


def test_it_is_a_bundle_of_bundles(desk: Path, bundle: Path) -> None:
    inside = desk / "desk" / "members" / "intents"
    assert (inside / "smidgen.json").read_bytes() == (bundle / "smidgen.json").read_bytes()
    report = json.loads((desk / "desk" / "report.json").read_text(encoding="utf-8"))
    assert (report["task"], report["headline"], report["graded"]) == ("desk", "outcome_right", False)
    assert report["metrics"]["outcome_right"]["n"] == report["metrics"]["wrong_given"]["n"] > 4
    member = json.loads((inside / "report.json").read_text(encoding="utf-8"))
    assert report["training"]["seconds"] >= member["training"]["seconds"] > 0, "a desk was trained as long as its members"
    assert "Calls that change something are not made" in report["data"]["test_source"]
    card = (desk / "desk" / "README.md").read_text(encoding="utf-8")
    assert "sorts messages by what the customer wants" in card and "without the customer's yes" in card


def test_it_is_measured_on_conversations(desk: Path) -> None:
    model = load(desk / "desk", threads=1)
    found = evaluate(model, desk / "talks.jsonl")
    assert found.n == 10 and found.metrics["outcome_right"].value >= 0.8
    proposed = [reply.output for reply in found.replies if reply.output["outcome"] == "proposed"]
    assert proposed and all(output["call"]["tool"] == "cancel_order" for output in proposed)


def test_a_few_messages_give_no_figure_in_eval_nor_on_the_card(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.code(["eval", str(desk / "desk"), "--data", str(desk / "talks.jsonl"), "--threads", "1"]) == 0
    told = capsys.readouterr()
    assert "outcome_right" not in told.out and "%" not in told.out and "calibration" not in told.out
    said = " ".join(told.err.split())
    assert "10 of at least 30 test messages: too few for a figure. Write conversations with some 20 more messages" in said
    assert "for each, in --data FILE." in said
    card = (desk / "desk" / "README.md").read_text(encoding="utf-8")
    assert card.count("of at least 30 test messages: too few for a figure.") == 3 and "page Tests" in card and "100.0 %" not in card


def test_it_is_served_with_its_whole_conversation(desk: Path) -> None:
    remember_tool_file(packed_key(desk / "desk"), desk / "tools.toml")
    said = ["please cancel my order", "FH-20103", "yes"]
    messages: list[dict[str, str]] = []
    with TestClient(create_app([load(desk / "desk", threads=1)], ServeSettings()), base_url="http://127.0.0.1") as client:
        texts = []
        for one in said:
            messages.append({"role": "user", "content": one})
            answer = client.post("/v1/chat/completions", json={"model": "shop", "messages": messages}).json()
            texts.append(answer["choices"][0]["message"]["content"])
            messages.append({"role": "assistant", "content": texts[-1]})
    assert texts == [
        "Please tell me the order number.",
        "Shall I do this? Cancel order FH-20103",
        "This would now be done: Cancel order FH-20103.",
    ], "a bundle makes no call"


def test_served_without_its_tool_file_it_proposes_nothing_and_says_so(desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path))  # a machine that does not know the tool file
    asked = {"model": "shop", "messages": [{"role": "user", "content": "cancel my order FH-20104"}]}
    model = load(desk / "desk", threads=1)
    found = evaluate(model, desk / "talks.jsonl")
    assert any(reply.output["outcome"] == "proposed" for reply in found.replies), "it is measured on what it would propose"
    with TestClient(create_app([model], ServeSettings()), base_url="http://127.0.0.1") as client:
        answer = client.post("/v1/chat/completions", json=asked).json()["choices"][0]["message"]["content"]
    assert "Shall I" not in answer and "FH-20104" not in answer
    (line,) = _uncalled([model], [])
    assert "shop cannot call its tools here" in line and "cancel_order" in line and "--desk" in line
    remember_tool_file(packed_key(desk / "desk"), desk / "tools.toml")
    known = load(desk / "desk", threads=1)
    create_app([known], ServeSettings())
    assert _uncalled([known], []) == []


def test_it_comes_alive_with_a_store_of_calls(desk: Path, tmp_path: Path) -> None:
    model, calls = load(desk / "desk", threads=1), CallStore(tmp_path / "calls.db")
    try:
        assert desk_of(model) is not None and desk_of(model).live is False  # type: ignore[union-attr]
        assert live_desk(model, calls, environment={}).live
    finally:
        calls.close()


def test_a_bundle_does_not_say_how_its_tools_are_called(desk: Path, tmp_path: Path) -> None:
    """So nobody's bundle makes a server send a secret away, or start a program: the tool file is the server's own."""
    told = (desk / "desk" / "tools.json").read_text(encoding="utf-8")
    model = load(desk / "desk", threads=1)
    assert "cancel_order" in told and "http" not in told and not (desk / "desk" / "tools.toml").exists()
    found = {tool.name: tool.target is not None for tool in tools_of(model, desk / "tools.toml")}
    assert found and all(found.values())
    other = tmp_path / "tools.toml"
    other.write_text((desk / "tools.toml").read_text(encoding="utf-8").replace("[0-9]{5}", "[0-9]{6}"), encoding="utf-8")
    with pytest.raises(EngineError, match="other tools than the desk has learnt"):
        tools_of(model, other)


def test_a_member_is_replaced_without_the_others(desk: Path, bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "member"
    shutil.copytree(bundle, other)
    changed = wanted(tmp_path, other, policy=None)
    build(changed, tmp_path / "desk", threads=1, progress=Silent(), listed=False)
    assert (tmp_path / "desk" / "policy.toml").read_bytes() == b"" and (desk / "desk" / "policy.toml").read_bytes() != b""


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"members": {}}, "no members"),
        ({"members": {"cook": "."}}, "unknown role"),
        ({"members": {"intents": "nowhere"}}, "no such folder"),
        ({"conversations": None}, "none are named"),
        ({"conversations": "missing.jsonl"}, "no such file"),
        ({"policy": "missing.toml"}, "no such policy"),
    ],
)
def test_a_desk_that_cannot_be_is_refused(tmp_path: Path, bundle: Path, more: dict[str, Any], what: str) -> None:
    made = wanted(tmp_path, bundle)
    made = recipe.make({**made.given(), "desk": {**made.given()["desk"], **more}}, folder=tmp_path)
    with pytest.raises(InputError, match=what):
        build(made, tmp_path / "desk", threads=1, progress=Silent(), listed=False)


def test_mistakes_in_its_files_are_told_before_a_member_is_built(tmp_path: Path) -> None:
    (tmp_path / "member.toml").write_text('task = "classify"\n[data]\ntrain = "rows.csv"\n', encoding="utf-8")
    (tmp_path / "rows.csv").write_text("text,label\na,b\n", encoding="utf-8")
    made = wanted(tmp_path, tmp_path / "member.toml")
    (tmp_path / "talks.jsonl").write_text('{"turns": [{"say": "hello", "expect": {"outcome": "happy"}}]}\n', encoding="utf-8")
    with pytest.raises(DataError, match="conversation cannot be used"):
        build(made, tmp_path / "desk", threads=1, progress=Silent(), listed=False)


@pytest.mark.parametrize(("name", "module", "package"), [("terms.pdf", "pypdf", "pypdf"), ("terms.html", "lxml", "lxml")])
def test_a_package_that_it_will_need_is_asked_for_before_a_member_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, package: str
) -> None:
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / name).write_bytes(b"no matter")
    told = 'task = "answer"\n[answer]\ndocuments = "papers"\n[data]\ntrain = "rows.csv"\n'
    (tmp_path / "member.toml").write_text(told, encoding="utf-8")
    (tmp_path / "rows.csv").write_text("text,label\na,b\n", encoding="utf-8")
    made = wanted(tmp_path, tmp_path / "member.toml")
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda asked, *more: None if asked == module else find(asked, *more))
    monkeypatch.setattr("smidgen.flows.build.members._built", lambda *given: pytest.fail("a member was built"))
    with pytest.raises(MissingExtra, match=package) as missing:
        build(made, tmp_path / "desk", threads=1, progress=Silent(), listed=False)
    assert "[desk]" in str(missing.value)


def test_variables_of_tools_that_are_not_set_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tools.toml").write_text(TOOLS.replace("http://127.0.0.1:9", "${SHOP_URL}/${SHOP_KEY}"), encoding="utf-8")
    monkeypatch.setenv("SHOP_KEY", "secret")
    monkeypatch.delenv("SHOP_URL", raising=False)
    settings = DeskSettings(tools=str(tmp_path / "tools.toml"))
    changing, said = desk_task.files.remarks(settings)
    assert "are not made while" in changing and "desk.tools_env" in changing
    assert said.startswith("not set here: SHOP_URL.") and "desk.tools_env" in said and "secret" not in said
    monkeypatch.setenv("SHOP_URL", "http://127.0.0.1:9")
    assert desk_task.files.remarks(settings) == [changing]
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY.replace("act cancel_order", "act stop_order"), encoding="utf-8")
    said, _ = desk_task.files.remarks(settings.model_copy(update={"policy": str(policy)}))
    assert "no tool stop_order" in said


def test_a_text_that_is_not_there_is_told(tmp_path: Path, bundle: Path) -> None:
    made = wanted(tmp_path, bundle)
    (tmp_path / "policy.toml").write_text('unknown = "say nonsense"', encoding="utf-8")
    with pytest.raises(RecipeError, match="nonsense"):
        build(made, tmp_path / "desk", threads=1, progress=Silent(), listed=False)


@pytest.mark.parametrize("name", ["wrong.csv", "wrong.jsonl"])
def test_wrong_messages_are_written_with_both_outcomes(desk: Path, tmp_path: Path, name: str) -> None:
    lines = [{"turns": [{"say": "can I speak to a human", "expect": {"outcome": outcome}}]} for outcome in ("handed_over", "unanswered")]
    (tmp_path / "talks.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    with closing(load(desk / "desk", 1)) as model:
        assert evaluate(model, tmp_path / "talks.jsonl", errors=str(tmp_path / name)).errors == 1
    said = (tmp_path / name).read_text(encoding="utf-8-sig")
    assert "can I speak to a human" in said and said.count("handed_over") == 1 and "unanswered" in said
    with pytest.raises(InputError, match="errors go to a file"):
        evaluate(model, tmp_path / "talks.jsonl", errors="-")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "cannot be used"),
        ('{"turns": []}', "turns is expected"),
        ('{"turns": [{"say": ""}]}', "says something"),
        ('{"turns": [{"say": "hi", "expect": {"outcome": "sung"}}]}', "one of"),
        ('{"turns": [{"say": "hi", "expect": {"outcome": "asked", "colour": 1}}]}', "unknown"),
    ],
)
def test_a_conversation_that_cannot_be_used_is_told_with_its_line(tmp_path: Path, bundle: Path, line: str, what: str) -> None:
    made = wanted(tmp_path, bundle)
    (tmp_path / "talks.jsonl").write_text(f'{{"turns": [{{"say": "hi", "expect": {{"outcome": "asked"}}}}]}}\n{line}\n', encoding="utf-8")
    with pytest.raises(DataError, match=what) as told:
        build(made, tmp_path / "desk", threads=1, progress=Silent(), listed=False)
    assert "row 2" in str(told.value)


def test_a_desk_file_shows_it_and_its_channels_answer(desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TELEGRAM_SECRET", "TELEGRAM_BOT_TOKEN"):
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("SMIDGEN_CONVERSATIONS_URL", f"sqlite:///{tmp_path}/conversations.db")
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path))
    message = {"message_id": 1, "chat": {"id": 5, "type": "private"}, "from": {"id": 5}, "text": "what are your opening hours"}
    model = load(desk / "desk", threads=1)
    with vendor() as telegram:
        file = tmp_path / "desk.toml"
        file.write_text(f'[widget]\nname = "Fern"\n[channels.chat]\nkind = "telegram"\napi = "{telegram.url}"\n', encoding="utf-8")
        with shown_desks(file, [model]) as shown, TestClient(create_app([model], ServeSettings(), shown=shown)) as client:
            client.base_url = client.base_url.copy_with(host="127.0.0.1")
            secret = {"x-telegram-bot-api-secret-token": "s3cret"}
            assert client.post("/desk/shop/channels/chat", json={"update_id": 1, "message": message}, headers=secret).status_code == 200
            eventually(lambda: telegram.asked, 30)
    assert telegram.asked[0].body["text"] == "We are open from 9 to 5." and shown[0].settings.name == "Fern"
    with pytest.raises(InputError, match="one desk"), shown_desks(file, []):
        pass
    with shown_desks(None, [model]) as none:
        assert none == []


def test_a_desk_is_measured_in_a_test_copy(bundle: Path, tmp_path: Path) -> None:
    """The copy refuses orders that are cancelled already: each call of a conversation is made once."""
    cancelled: list[str] = []

    def answer(asked: Asked) -> Answer:
        repeated = asked.path in cancelled
        cancelled.append(asked.path)
        return (409 if repeated else 200), {}, {}

    with vendor(answer) as shop:
        made = wanted(tmp_path, bundle, tools_env="copy.json")
        (tmp_path / "copy.json").write_text(json.dumps({"SHOP_URL": shop.url}), encoding="utf-8")
        tools = TOOLS.replace("http://127.0.0.1:9", "${SHOP_URL}").replace("Cancel an order", "Cancel an order in the copy")
        (tmp_path / "tools.toml").write_text(tools, encoding="utf-8")
        built = build(made, tmp_path / "desk", threads=1, progress=Silent(), listed=False)
        assert cancelled == ["/orders/FH-20103"]
        assert "in the test copy copy.json" in built.report.data.test_source
        cancelled.clear()
        model = load(tmp_path / "desk", threads=1)
        found = evaluate(model, tmp_path / "talks.jsonl")
        last = [reply.output for row, reply in zip(found.rows, found.replies, strict=True) if row.output["outcome"] == "done"]
        assert [one["outcome"] for one in last] == ["done"] and "dry" not in last[0] and cancelled == ["/orders/FH-20103"]
    with pytest.raises(InputError, match="the test copy does not answer"):
        evaluate(model, tmp_path / "talks.jsonl")


def test_calls_are_made_only_in_a_test_copy(desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(desk / "desk", threads=1)
    copy, tools = tmp_path / "copy.json", tmp_path / "tools.toml"
    tools.write_text(TOOLS.replace("http://127.0.0.1:9", "${SHOP_URL}"), encoding="utf-8")
    monkeypatch.setenv("SHOP_URL", "http://127.0.0.1:9/real")
    refused = [
        ("http://127.0.0.1:9", desk / "tools.toml", "no address in the test copy"),
        ("http://127.0.0.1:9/real", tools, "the address of the real system"),
        ("https://shop.example", tools, "is not on this machine"),
        ("http://127.0.0.1@shop.example", tools, "is not on this machine"),
        ("", tools, "lacks a variable"),
        ("http://127.0.0.1:9", tools, "does not answer"),
    ]
    for url, file, why in refused:
        copy.write_text(json.dumps({"SHOP_URL": url}), encoding="utf-8")
        with pytest.raises(InputError, match=why):
            evaluate(model, desk / "talks.jsonl", tools_env=str(copy), tools=file)
    with pytest.raises(InputError, match="cannot be read"):
        evaluate(model, desk / "talks.jsonl", tools_env=str(tmp_path / "no.json"), tools=tools)


def test_a_desk_learns_through_its_members_alone(desk: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("text,outcome\nhello,{}\n", encoding="utf-8")
    asked = LearnSettings(start=desk / "desk", data=(tmp_path / "rows.csv",), traffic=TrafficSettings(use=False), threads=1)
    with pytest.raises(InputError, match="does not learn as a whole"):
        learn(tmp_path / "line", asked)
    assert not (tmp_path / "line").exists()


def test_a_bundle_names_no_place_of_this_machine(desk: Path) -> None:
    assert str(desk) not in (desk / "desk" / "smidgen.json").read_text(encoding="utf-8")


def test_desks_with_the_same_tools_keep_their_own_addresses_and_test_copies(desk: Path, bundle: Path, tmp_path: Path) -> None:
    """Two shops may have the same tools: a call of one must never reach the other's system."""
    (tmp_path / "copy.json").write_text("{}", encoding="utf-8")
    shops = []
    for name, hours, copy in (("fern", "9 to 5", None), ("oak", "8 to 4", str(tmp_path / "copy.json"))):
        shutil.copytree(desk / "desk", tmp_path / name / "desk")
        wanted(tmp_path / name, bundle)
        policy, tools = tmp_path / name / "policy.toml", tmp_path / name / "tools.toml"
        policy.write_text(POLICY.replace("9 to 5", hours), encoding="utf-8")
        told = {"members": {"intents": str(bundle)}, "conversations": str(tmp_path / name / "talks.jsonl")}
        settings = DeskSettings.model_validate({**told, "policy": str(policy), "tools": str(tools), "tools_env": copy})
        for file, content in desk_task.files.for_students([], settings).items():
            (tmp_path / name / "desk" / file).write_bytes(content)
        shops.append((packed_key(tmp_path / name / "desk"), tools, copy))
    assert (tmp_path / "fern/desk/tools.json").read_bytes() == (tmp_path / "oak/desk/tools.json").read_bytes()
    assert [(known_tool_file(key), known_test_copy(key)) for key, _, _ in shops] == [(tools, copy) for _, tools, copy in shops]
