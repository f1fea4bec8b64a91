"""Models that take other settings than most, and models that think before they answer, over real HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.data.conftest import Make
from tests.recorded_progress import RecordedProgress
from tests.teacher_server import Fault, TeacherServer

from smidgen.core.errors import TeacherError
from smidgen.core.progress import Silent
from smidgen.data.teacher.client import refused, without_reasoning
from smidgen.data.teacher.questions import AnswerStore, NoAnswerReason, TeacherAnswer, TeacherQuestion
from smidgen.usage.budgets import RunBudget, TokenCount

TOLD = {
    "max_tokens": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    "temperature": "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.",
    "seed": "Unsupported parameter: 'seed' is not supported with this model.",
}
"""As OpenAI says it of its models that reason."""


def refusing(*names: str, param: bool = True) -> Any:
    """Refuses a request by the first of these settings that is in it."""

    def refuses(body: dict[str, Any]) -> Fault | None:
        name = next((name for name in names if name in body), None)
        if name is None:
            return None
        error = {"message": TOLD[name], "type": "invalid_request_error", **({"param": name} if param else {})}
        return Fault(400, body=json.dumps({"error": error}).encode())

    return refuses


def questions(count: int, heat: float = 0.0, vote: int = 0) -> list[TeacherQuestion]:
    return [TeacherQuestion((("user", f"question {number}"),), 8, heat, vote) for number in range(count)]


@pytest.mark.parametrize("param", [True, False])
def test_a_model_that_reasons_is_asked_as_it_takes_it(server: TeacherServer, asker: Make, param: bool) -> None:
    server.refuses = refusing("max_tokens", "temperature", "seed", param=param)
    one, told = asker(concurrency=1), RecordedProgress()
    answers = one.ask(questions(30, heat=0.7), "ask", told) + one.ask(questions(30, heat=0.7, vote=1), "ask", told)
    assert [answer.text for answer in answers] == ["yes"] * 60
    assert len(server.refused) == 3, "each is learnt once"
    assert all(set(body) == {"model", "messages", "max_completion_tokens"} and body["max_completion_tokens"] == 8 for body in server.seen)
    assert len(server.seen) == 60, "votes are asked one by one all the same"
    assert told.said == ["the teacher's server takes no temperature: it samples as it always does"]
    again = asker()
    again.ask(questions(30, heat=0.7), "ask", Silent())
    assert (again.stored, len(server.seen)) == (30, 60), "what a question is kept by is what was asked, not how it was sent"


def test_what_a_server_takes_is_still_sent(server: TeacherServer, asker: Make) -> None:
    server.refuses = refusing("max_tokens")
    told = RecordedProgress()
    asker(concurrency=8).ask(questions(40, heat=0.7), "ask", told)
    assert all((body["max_completion_tokens"], body["temperature"], body["seed"]) == (8, 0.7, 0) for body in server.seen)
    assert len(server.seen) == 40 and len(server.refused) <= 8 and told.said == []


def test_a_budget_is_kept_whatever_the_bound_is_called(server: TeacherServer, asker: Make) -> None:
    server.refuses = refusing("max_tokens", "temperature")
    budget = RunBudget(tokens=400)
    answers = asker(budget, concurrency=4).ask(questions(60), "ask", Silent())
    assert 0 < sum(answer.why_not == NoAnswerReason.BUDGET for answer in answers) < 60
    assert budget.spent.total == server.tokens() <= 400


def test_a_refusal_for_another_reason_changes_nothing(server: TeacherServer, asker: Make) -> None:
    asker(concurrency=1).ask(questions(1), "ask", Silent())
    large = b'{"error": {"message": "max_tokens is too large: 8. This model takes 4.", "param": "max_tokens"}}'
    server.refuses = lambda body: Fault(400, body=large) if body["messages"][-1]["content"] == "question 1" else None
    answers = asker(concurrency=1).ask(questions(4), "ask", Silent())
    assert [answer.why_not for answer in answers] == [None, NoAnswerReason.REFUSED, None, None]
    assert all("max_tokens" in body for body in server.seen) and len(server.seen) == 3
    server.refuses = lambda body: Fault(400, body=b'{"error": {"message": "no temperature, no max_tokens"}}')
    with pytest.raises(TeacherError, match="refuses every question"):
        asker(concurrency=1).ask(questions(40, heat=0.5), "ask", Silent())


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b'{"error": {"message": "Unsupported", "param": "temperature"}}', {"temperature"}),
        (b'{"error": {"message": "the temperature of your text", "param": "messages"}}', set()),
        (b'{"error": {"message": "use max_completion_tokens", "param": null}}', set()),
        (b'{"message": "max_tokens and temperature are not known"}', {"max_tokens", "temperature"}),
        (b'{"error": "seed: not permitted"}', {"seed"}),
        (b"<html>max_tokens", set()),
        (b"[1]", set()),
        (b'{"error": {"message": 7}}', set()),
    ],
)
def test_what_a_refusal_names(body: bytes, names: set[str]) -> None:
    assert refused(body) == names


@pytest.mark.parametrize(
    ("said", "text", "finished", "thought"),
    [
        ("<think>is it?</think>\n\nyes", "yes", True, True),
        ("\n<think>\n\n</think>\n\nyes", "yes", True, False),
        ("is it?</think>yes", "yes", True, True),
        ("<think>is it", "", False, True),
        ("yes", "yes", True, False),
        ("write <think>so</think>", "write <think>so</think>", True, False),
        (" yes", " yes", True, False),
    ],
)
def test_what_is_thought_is_not_the_answer(said: str, text: str, finished: bool, thought: bool) -> None:
    found = without_reasoning(TeacherAnswer(said))
    assert (found.text, found.finished, found.thought) == (text, finished, thought)
    assert without_reasoning(found) == found


def test_how_a_server_shows_that_its_model_thinks(server: TeacherServer, asker: Make) -> None:
    ways: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
        ({"content": "yes", "reasoning_content": "is it?"}, "stop", {}),
        ({"content": "yes", "reasoning": "is it?"}, "stop", {}),
        ({"content": "yes"}, "stop", {"completion_tokens_details": {"reasoning_tokens": 5}}),
        ({"content": "<think>is it?</think>yes"}, "stop", {}),
        ({"content": "yes", "reasoning": None}, "stop", {"completion_tokens_details": {"reasoning_tokens": 0}}),
    ]
    found = []
    for number, way in enumerate(ways):
        server.whole = lambda text, way=way: way
        found += asker().ask([TeacherQuestion((("user", f"way {number}"),), 8)], "ask", Silent())
    assert [answer.text for answer in found] == ["yes"] * 5
    assert [answer.thought for answer in found] == [True, True, True, True, False]
    again = [asker().ask([TeacherQuestion((("user", f"way {number}"),), 8)], "ask", Silent())[0] for number in range(5)]
    assert [answer.thought for answer in again] == [True, True, True, True, False] and all(answer.stored for answer in again)


def test_an_answer_that_was_cut_while_it_thought_is_one(server: TeacherServer, asker: Make) -> None:
    for number, message in enumerate(({"content": None, "reasoning_content": "hm"}, {}, {"content": "<think>hm"})):
        server.whole = lambda text, message=message: (message, "length", {})
        (found,) = asker().ask([TeacherQuestion((("user", f"{number}"),), 8)], "ask", Silent())
        assert (found.text, found.finished, found.why_not) == ("", False, None)
    assert len(server.seen) == 3, "it is paid for, and not asked again"


def test_what_is_thought_is_paid_for_even_where_the_total_alone_counts_it(server: TeacherServer, asker: Make) -> None:
    server.whole = lambda text: ({"content": text}, "stop", {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 18})
    one = asker()
    one.ask(questions(1), "ask", Silent())
    assert one.budget.spent == TokenCount(10, 8)


def test_an_older_store_keeps_what_was_thought(server: TeacherServer, asker: Make, tmp_path: Path) -> None:
    one, (asked,) = asker(), questions(1)
    AnswerStore(tmp_path / "answers").put(one._key(asked), TeacherAnswer("<think>is it?</think>no", 3, 4), TokenCount())
    (found,) = one.ask([asked], "ask", Silent())
    assert (found.text, found.thought, server.times) == ("no", True, [])
