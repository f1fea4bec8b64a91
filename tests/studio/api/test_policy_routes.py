"""A desk's policy and its test conversations over the Studio's API: form and text in step, mistakes at their fields, and what is tried."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.shop_project import CONVERSATIONS, shop_project
from tests.tried_model import add_model

from smidgen.core.replies import Reply
from smidgen.desk.answering import Desk
from smidgen.desk.policy import parse_policy
from smidgen.desk.studio.conversation_tests import built_results, conversations_in
from smidgen.desk.studio.desk_policy import try_message
from smidgen.flows.redaction_model import SHIPPED
from smidgen.studio.flows.file_recipes import recipe_of_files
from smidgen.studio.flows.recipes.project_recipe import project_folder
from smidgen.studio.store.projects import Project, StudioStore


@pytest.fixture
def project(store: StudioStore) -> Project:
    return shop_project(store)


@pytest.fixture
def path(project: Project) -> str:
    return f"/api/v1/projects/{project.id}"


def test_a_policy_is_told_as_form_and_text_with_what_it_may_name(client: TestClient, path: str) -> None:
    found = client.get(f"{path}/policy").json()
    form = found["form"]
    assert form["languages"] == ["en", "de"] and form["intents"]["order/cancel"] == ["act cancel_order", "answer"]
    assert form["hours"]["monday"] == "09:00-17:30" and form["hours"]["sunday"] == "" and form["least_intent"] == 0.5
    assert found["intents"] == ["feedback/praise", "order/status"] and "cancel_order" in found["tools"]
    assert found["members"] == ["intents", "answer", "act", "recommend"] and "greeting" in found["texts"]
    assert found["mistakes"] == found["remarks"] == [] and found["model"] is False


def test_a_changed_form_changes_only_its_own_lines_of_the_text(client: TestClient, path: str) -> None:
    before = client.get(f"{path}/policy").json()
    same = client.post(f"{path}/policy/check", json={"form": before["form"], "text": before["text"]}).json()
    assert same["text"] == before["text"] and same["kept_comments"]
    form = json.loads(json.dumps(before["form"]))
    form["hours"]["saturday"] = "10:00-14:00"
    form["intents"]["feedback/praise"] = ["say thanks", "person"]
    form["least_act"] = 0.6
    after = client.post(f"{path}/policy/check", json={"form": form, "text": before["text"]}).json()
    assert after["text"] == before["text"].replace('"say thanks"\n', '["say thanks", "person"]\n').replace(
        'unknown = ["act", "answer"]\n', 'unknown = ["act", "answer"]\nleast_act = 0.6\n'
    ).replace('"2027-01-01"]\n', '"2027-01-01"]\nsaturday = "10:00-14:00"\n')
    assert after["form"] == form
    saved = client.put(f"{path}/policy", json={"form": form, "text": before["text"], "stamp": before["stamp"]}).json()
    assert saved["stamp"] != before["stamp"] and client.get(f"{path}/policy").json()["text"] == after["text"]
    late = client.put(f"{path}/policy", json={"text": before["text"], "stamp": before["stamp"]})
    assert late.status_code == 409


def test_mistakes_and_steps_that_cannot_answer_stand_at_their_fields(client: TestClient, path: str) -> None:
    before = client.get(f"{path}/policy").json()
    form = json.loads(json.dumps(before["form"]))
    form["hours"] |= {"monday": "9-17", "timezone": "Mars/Base", "closed": ["tomorrow"]}
    form["intents"]["order/status"] = ["dance"]
    form["least_intent"] = 2
    told = client.post(f"{path}/policy/check", json={"form": form, "text": before["text"]}).json()
    places = {one["place"] for one in told["mistakes"]}
    assert places == {"hours.monday", "hours.timezone", "hours.closed.0", "intents.order/status.0", "least_intent"}
    assert told["form"]["hours"]["monday"] == "9-17" and told["form"]["intents"]["order/status"] == ["dance"]
    assert client.put(f"{path}/policy", json={"form": form, "text": before["text"], "stamp": before["stamp"]}).status_code == 400
    form = json.loads(json.dumps(before["form"]))
    form["intents"] |= {"order/status": ["act nothing"], "x": ["say unsaid"]}
    told = client.post(f"{path}/policy/check", json={"form": form, "text": before["text"]}).json()
    assert [one["place"] for one in told["remarks"]] == ["intents.order/status"]
    assert [one["place"] for one in told["mistakes"]] == ["texts.unsaid"]
    broken = client.post(f"{path}/policy/check", json={"text": "languages = ["}).json()
    assert broken["form"] is None and "not TOML" in broken["mistakes"][0]["text"]
    assert client.post(f"{path}/policy/check", json={"form": {"odd": 1}}).status_code == 400
    assert client.get(f"{path}/policy").json() == before


def test_without_a_model_the_policy_alone_says_the_steps(client: TestClient, path: str) -> None:
    found = client.post(f"{path}/policy/try", json={"text": client.get(f"{path}/policy").json()["text"], "intent": "damage/broken"}).json()
    assert found["pattern"] == "damage/*" and found["outcome"] == ""
    assert found["steps"] == [{"step": "answer", "state": "left"}, {"step": "person", "state": "left"}]
    assert client.post(f"{path}/policy/try", json={"text": "", "message": " "}).status_code == 422


class _Model:
    """A built desk whose members know one message each."""

    class runner:
        desk: Desk


@pytest.mark.parametrize(
    ("message", "intent", "states", "outcome"),
    [
        ("where do you deliver", "delivery/where", [("answer", "answered")], "answered"),
        ("it broke", "damage/broken", [("answer", "passed"), ("person", "answered")], "handed_over"),
        ("what is love", "", [("act", "passed"), ("answer", "passed")], "unanswered"),
        ("well done", "feedback/praise", [("say thanks", "answered")], "answered"),
    ],
)
def test_a_message_is_tried_under_a_policy_that_is_not_saved(
    message: str, intent: str, states: list[tuple[str, str]], outcome: str
) -> None:
    text = 'unknown = ["act", "answer"]\n[intents]\n"damage/*" = ["answer", "person"]\n"feedback/praise" = "say thanks"\n"*" = "answer"\n'
    policy = parse_policy(text + '[texts.thanks]\nen = "Thank you."\n', "test")

    def answer(said: str) -> Reply:
        known = {"id": "policies.md", "text": "We deliver anywhere."} if "deliver" in said else None
        return Reply(known, 0.9)

    members: dict[str, Any] = {"intents": lambda said: Reply(intent or "other", 0.9 if intent else 0.2), "answer": answer}
    _Model.runner.desk = Desk("shop", parse_policy("", "old"), members)
    found = try_message(policy, message, _Model())  # type: ignore[arg-type]
    assert (found.intent, [(one.step, one.state) for one in found.steps]) == (intent, states)
    assert found.outcome == outcome


def test_conversations_are_read_changed_and_removed(client: TestClient, path: str) -> None:
    found = client.get(f"{path}/test-conversations").json()
    assert len(found["conversations"]) == CONVERSATIONS and found["model"] == ""
    turns = [{"say": "cancel FH-20103", "expect": {"outcome": "asked", "tool": "cancel_order", "not_contains": ["done"], "contains": []}}]
    added = client.put(f"{path}/test-conversations", json={"turns": turns, "stamp": found["stamp"]}).json()
    assert added["conversations"][-1]["turns"][0]["expect"] == {"outcome": "asked", "tool": "cancel_order", "not_contains": ["done"]}
    line = added["conversations"][-1]["line"]
    longer = [*turns, {"say": "nia@example.com"}]
    changed = client.put(f"{path}/test-conversations", json={"line": line, "turns": longer, "stamp": added["stamp"]}).json()
    assert [turn["say"] for turn in changed["conversations"][-1]["turns"]] == ["cancel FH-20103", "nia@example.com"]
    assert client.put(f"{path}/test-conversations", json={"line": line, "turns": turns, "stamp": added["stamp"]}).status_code == 409
    gone = client.post(f"{path}/test-conversations/delete", json={"line": line, "stamp": changed["stamp"]}).json()
    assert gone["conversations"] == found["conversations"]
    assert client.post(f"{path}/test-conversations/delete", json={"line": 99, "stamp": gone["stamp"]}).status_code == 400


def test_a_conversation_with_mistakes_is_refused_with_each_at_its_turn(client: TestClient, path: str) -> None:
    stamp = client.get(f"{path}/test-conversations").json()["stamp"]
    turns = [{"say": " "}, {"say": "hi", "expect": {"outcome": "won"}}, {"say": "ho", "expect": {"outcome": "asked", "contains": [7]}}]
    refused = client.put(f"{path}/test-conversations", json={"turns": turns, "stamp": stamp})
    told = refused.json()["error"]["todo"]
    assert refused.status_code == 400 and all(place in told for place in ("turns.0.say", "turns.1.expect", "turns.2.expect"))
    lines = '{"turns": [{"say": "hi", "expect": {"outcome": "answered"}}]}\n{"turns": []}\n'
    bad = client.post(f"{path}/test-conversations/import", json={"text": lines, "stamp": stamp})
    assert bad.status_code == 400 and "line 2" in bad.json()["error"]["todo"]
    good = client.post(f"{path}/test-conversations/import", json={"text": lines.splitlines()[0], "stamp": stamp}).json()
    assert len(good["conversations"]) == CONVERSATIONS + 1
    alone = client.post(
        f"{path}/test-conversations/import", json={"text": lines.splitlines()[0], "replaces": True, "stamp": good["stamp"]}
    ).json()
    assert len(alone["conversations"]) == 1


def test_the_answers_of_a_build_stand_beside_what_was_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps({"turns": [
        {"say": "how much is delivery", "expect": {"outcome": "answered", "contains": ["£3.95"], "not_contains": ["free"]}},
        {"say": "and to Ireland", "expect": {"outcome": "answered", "document": "policies.md"}},
        {"say": "thanks"},
    ]})  # fmt: skip
    (one,) = conversations_in(text)

    class Answer:
        def __init__(self, input: str, answer: dict[str, Any]) -> None:
            self.input, self.answer = input, answer

    first = Answer("how much is delivery", {"outcome": "answered", "text": "Delivery is £3.95, never free."})
    second = json.dumps([{"role": "user", "content": said} for said in ("how much is delivery", "and to Ireland")])
    answers = [first, Answer(second, {"outcome": "answered", "text": "£7.95", "citations": [{"document": "policies.md"}]})]
    monkeypatch.setattr("smidgen.desk.studio.conversation_tests.read_answers", lambda model: answers)
    assert [found.right for found in built_results("m", [one])[1]] == [False, True, None]


def test_a_model_of_the_studio_becomes_the_member_that_finds_personal_data(client: TestClient, store: StudioStore, path: str) -> None:
    model = add_model(store, store.create("Names in notes", "extract").id, SHIPPED)
    before = client.get(f"{path}/policy").json()
    assert before["finder"] is None and [one["name"] for one in before["finders"]] == ["Names in notes"] and "cvv" in before["kinds"]
    no_spans = client.put(f"{path}/policy/finder", json={"model": "no-such-run"})
    assert no_spans.status_code == 400 and "finds no spans" in no_spans.json()["error"]["message"]
    chosen = client.put(f"{path}/policy/finder", json={"model": model}).json()
    assert chosen["finder"]["model"] == model and "person" in chosen["finder"]["kinds"]
    project = store.project(path.rpartition("/")[2])
    members = recipe_of_files(project, {}).asked.members  # type: ignore[attr-defined]
    assert (Path(members["redaction"]) / "smidgen.json").is_file()
    assert client.put(f"{path}/policy/finder", json={"model": ""}).json()["finder"] is None
    assert not (project_folder(project.id) / "redaction").exists()
