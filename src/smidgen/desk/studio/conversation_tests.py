"""The conversations that a desk is measured on: read, changed one by one, imported, and compared with what a built desk answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smidgen.core.errors import InputError, RecipeError
from smidgen.desk.dialogue import written
from smidgen.desk.flows.live_desk import tried_replies
from smidgen.desk.wanted import fits, read_wanted
from smidgen.flows.local_model import Model
from smidgen.studio.flows.models.built_models import read_answers
from smidgen.studio.flows.tool_files.text_files import FieldMistake, TextFile, changing, read_text, write_text
from smidgen.studio.store.projects import Project

MOST_BYTES = 20_000_000
MOST_TURNS = 40
_MOST_CONVERSATIONS = 5_000
_MOST_MEASURED = 1_000
"""Messages that are answered at one request."""


@dataclass(frozen=True, slots=True)
class TestConversation:
    """A conversation: its line in the file, counted from 1, what is said in it with what is wanted, and what is wrong with it."""

    __test__ = False  # it is no test of pytest's

    line: int
    turns: tuple[Mapping[str, Any], ...]
    mistakes: tuple[FieldMistake, ...]


@dataclass(frozen=True, slots=True)
class TurnResult:
    """The answer of a built desk to a message, and whether it is what was wanted. Both are None where it was not measured."""

    answer: Mapping[str, Any] | None
    right: bool | None


def read_conversation_tests(project: Project) -> tuple[TextFile, list[TestConversation]]:
    """The conversations of a project, those with mistakes too."""
    file = read_text(project, "conversations", MOST_BYTES)
    return file, conversations_in(file.text)


def conversations_in(text: str) -> list[TestConversation]:
    """The conversations in a JSONL text."""
    return [_read(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _read(number: int, line: str) -> TestConversation:
    try:
        given = json.loads(line)
    except (ValueError, RecursionError):
        return TestConversation(number, (), (FieldMistake("", "the line is not JSON"),))
    turns = given.get("turns") if isinstance(given, Mapping) else None
    known = tuple(turn for turn in turns if isinstance(turn, Mapping)) if isinstance(turns, list) else ()
    return TestConversation(number, known, tuple(_faults(given)))


def _faults(given: Any) -> list[FieldMistake]:
    """Every mistake in a conversation, each with its place: `turns.2.expect`, counted from 0."""
    turns = given.get("turns") if isinstance(given, Mapping) else None
    if not isinstance(turns, list) or not turns:
        return [FieldMistake("", "a list of turns is expected")]
    found = []
    for place, turn in enumerate(turns):
        if not isinstance(turn, Mapping) or not isinstance(turn.get("say"), str) or not turn["say"].strip():
            found.append(FieldMistake(f"turns.{place}.say", "a turn says something in `say`"))
        if isinstance(turn, Mapping) and "expect" in turn:
            try:
                read_wanted(turn["expect"] if isinstance(turn["expect"], Mapping) else {})
            except ValueError as error:
                found.append(FieldMistake(f"turns.{place}.expect", str(error)))
    if not any(isinstance(turn, Mapping) and "expect" in turn for turn in turns):
        found.append(FieldMistake("turns.0.expect", "at least one message has a wanted outcome"))
    return found


def save_conversation(
    project: Project, line: int, turns: Sequence[Mapping[str, Any]], stamp: str
) -> tuple[TextFile, list[TestConversation]]:
    """Replace the conversation of a line, or add one behind all others where the line is 0. Raises RecipeError with every mistake in it."""
    if len(turns) > MOST_TURNS:
        raise InputError("desk.conversation_is_too_long", turns=len(turns), most_turns=MOST_TURNS)
    given = {"turns": [_plain(turn) for turn in turns]}
    wrong = _faults(given)
    if wrong:
        mistakes = [f"{one.place}: {one.text}" if one.place else one.text for one in wrong]
        raise RecipeError("desk.conversation_has_mistakes", turns=len(turns), mistakes=mistakes)
    with changing(project, "conversations", MOST_BYTES, stamp) as file:
        lines = file.text.splitlines()
        written_line = json.dumps(given, ensure_ascii=False)
        if line == 0:
            lines.append(written_line)
        else:
            _check_line(lines, line)
            lines[line - 1] = written_line
        return _kept(project, file, lines)


def delete_conversation(project: Project, line: int, stamp: str) -> tuple[TextFile, list[TestConversation]]:
    """Remove the conversation of a line."""
    with changing(project, "conversations", MOST_BYTES, stamp) as file:
        lines = file.text.splitlines()
        _check_line(lines, line)
        del lines[line - 1]
        return _kept(project, file, lines)


def import_conversations(project: Project, text: str, replaces: bool, stamp: str) -> tuple[TextFile, list[TestConversation]]:
    """Add the conversations of a JSONL text, or put them in place of all that are there. Raises RecipeError with each line at fault."""
    found = conversations_in(text.removeprefix("\ufeff"))
    wrong = [f"line {one.line}: {fault.text}" for one in found for fault in one.mistakes[:1]]
    if wrong or not found:
        raise RecipeError(
            "desk.conversations_cannot_be_used" if found else "desk.file_has_no_conversations", found=len(found), mistakes=wrong[:50]
        )
    with changing(project, "conversations", MOST_BYTES, stamp) as file:
        added = [line for line in text.removeprefix("\ufeff").splitlines() if line.strip()]
        return _kept(project, file, added if replaces else [*file.text.splitlines(), *added])


def _check_line(lines: Sequence[str], line: int) -> None:
    if not 0 < line <= len(lines):
        raise InputError("desk.test_conversation_is_missing", value=line)


def _kept(project: Project, file: TextFile, lines: Sequence[str]) -> tuple[TextFile, list[TestConversation]]:
    kept = [line for line in lines if line.strip()]
    if len(kept) > _MOST_CONVERSATIONS:
        raise InputError("desk.there_are_too_many_conversations", value=f"{len(kept):,}", most_conversations=_MOST_CONVERSATIONS)
    text = "".join(f"{line}\n" for line in kept)
    return write_text(project, file.name, text, MOST_BYTES), conversations_in(text)


def _plain(turn: Mapping[str, Any]) -> dict[str, Any]:
    """A turn without what is empty."""
    wanted = turn.get("expect")
    kept = {name: value for name, value in wanted.items() if value not in (None, "", [], {})} if isinstance(wanted, Mapping) else {}
    return {"say": turn.get("say"), **({"expect": kept} if kept else {})}


# What a built desk answers.


def built_results(model: str, conversations: Sequence[TestConversation]) -> dict[int, list[TurnResult]]:
    """The answers that a desk gave when it was built, by line. A build measures some of the conversations; the others fit its scores."""
    answers = {answer.input: answer.answer for answer in read_answers(model)}
    return {one.line: [_result(turn, answers.get(text)) for turn, text in _texts(one)] for one in conversations}


def measured_now(model: Model, conversations: Sequence[TestConversation]) -> dict[int, list[TurnResult]]:
    """The answers of a desk to all conversations, by line. Calls are made as in its build: in its test copy, or those that only read."""
    found, measured = {}, 0
    for one in conversations:
        asked = [(turn, text) for turn, text in _texts(one) if not one.mistakes]
        measured += len(asked)
        if measured > _MOST_MEASURED:
            break
        wanted = [text for turn, text in asked if "expect" in turn]
        replies = dict(zip(wanted, tried_replies(model, wanted) or model.predict(wanted), strict=True))
        found[one.line] = [_result(turn, replies[text].output if text in replies else None) for turn, text in asked]
    return found


def _texts(one: TestConversation) -> list[tuple[Mapping[str, Any], str]]:
    """Each turn with the text that a model reads for it: all that was said so far."""
    said = [str(turn.get("say", "")) for turn in one.turns]
    return [(turn, written(said[: place + 1])) for place, turn in enumerate(one.turns)]


def _result(turn: Mapping[str, Any], answer: Any) -> TurnResult:
    wanted = turn.get("expect")
    if not isinstance(answer, Mapping) or not isinstance(wanted, Mapping):
        return TurnResult(None, None)
    return TurnResult(answer, fits(answer, {"contains": [], **wanted}))
