"""Builds whose teacher thinks before it answers: what it says where its answers are cut off, and that thinking is no answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.flows.build.test_teaching import made, maker, said, taught
from tests.recorded_progress import RecordedProgress
from tests.teacher_server import Messages, TeacherServer, teacher_server, words_alone  # noqa: F401

from smidgen.core.errors import TeacherError
from smidgen.core.quantities import Metric
from smidgen.data.teacher import evaluation

THOUGHT = "Let me see what this is about. " * 8


@pytest.fixture
def server() -> Iterator[TeacherServer]:
    with teacher_server(said) as running:
        yield running


def cutting(most: int) -> Any:
    """What a completion says where an answer of so many letters is cut off."""

    def whole(text: str) -> tuple[dict[str, Any], str, dict[str, Any]]:
        return {"content": text[:most]}, "length" if len(text) > most else "stop", {}

    return whole


def thinking(messages: Messages) -> str:
    return f"<think>{THOUGHT}</think>\n\n{maker(messages)}"


def test_a_teacher_whose_thinking_takes_all_its_tokens_is_told_apart_from_a_weak_one(server: TeacherServer, tmp_path: Path) -> None:
    server.answer, server.whole = thinking, cutting(80)
    wrong = r"could not finish its answers.*32 of 32 answers were cut off at \d+ tokens \(data\.teacher\.max_tokens\); it thinks before it"
    with pytest.raises(TeacherError, match=wrong + r".*Set data\.teacher\.max_tokens"):
        taught(made(tmp_path, server.url))
    with pytest.raises(TeacherError, match="could not finish"):
        taught(made(tmp_path, server.url, min_quality=0.0))
    assert {body["max_tokens"] for body in server.seen} == {20} and len(server.seen) == 32


def test_with_room_to_think_it_teaches_generates_and_marks(server: TeacherServer, tmp_path: Path) -> None:
    def answer(messages: Messages) -> str:
        marking = messages[0]["content"].startswith("You mark answers")
        return f"<think>{THOUGHT}</think>\n\n9" if marking else thinking(messages)

    server.answer = answer
    _, after = taught(made(tmp_path, server.url, max_tokens=900, uses=["label", "generate", "score"], generate=16))
    found = after.teacher
    assert found is not None and found.quality is not None
    assert found.quality.value == 1.0 and found.kept > 110 and found.generated_kept >= 5
    bounds = {body["messages"][0]["content"][:8]: body["max_tokens"] for body in server.seen}
    assert bounds["You mark"] == 912 and bounds["You make"] > 900, "it thinks of a mark as long as of an answer"


def test_answers_that_are_cut_now_and_then_are_told_of(server: TeacherServer, tmp_path: Path) -> None:
    server.answer = lambda messages: said(messages) + " " * 90 * ("lamp" in messages[-1]["content"])
    server.whole = cutting(80)
    told = RecordedProgress()
    taught(made(tmp_path, server.url), told)
    assert any(line.startswith("8 of 32 answers were cut off at 20 tokens (data.teacher.max_tokens)") for line in told.said)


def test_what_is_said_of_a_bundle_whose_answers_are_cut_off() -> None:
    """How long its answers may be is its own affair, and no setting of ours."""
    with pytest.raises(TeacherError, match=r"; 60 of 60 answers were cut off: .*Take a larger model"):
        evaluation.require_able(evaluation.TeacherEvaluation(Metric(0.0, 0.0, 0.06, 60), 60, 0.05, "", None, cut=60), "m", "f1")
