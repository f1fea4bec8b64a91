"""The questions that people ask about a project's documents, with the words that answer: a file of one question a line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from pydantic.dataclasses import dataclass

from smidgen.core.errors import InputError, RequestError
from smidgen.flows.recipe_files import MaterialKind
from smidgen.studio.flows.material import material_name, material_path, write_file
from smidgen.studio.store.projects import Project

MOST_QUESTIONS = 20_000
_LONGEST = 20_000
_KIND: MaterialKind = "questions"


@dataclass(frozen=True, slots=True)
class AskedRow:
    """A question, the words that answer it and the id of their document; `text` is None where the documents do not say."""

    question: str
    text: str | None
    document: str = ""


@dataclass(frozen=True, slots=True)
class QuestionList:
    """The questions in the file's order, a mark of the file as it is, and the lines that are none."""

    rows: tuple[AskedRow, ...]
    state: str
    unreadable: int = 0


def read_questions(project: Project) -> QuestionList:
    """Read the questions; none if there is no file yet."""
    place = material_path(project, _KIND)
    content = place.read_bytes() if place.is_file() else b""
    rows, unreadable = list[AskedRow](), 0
    for line in content.decode("utf-8-sig", errors="replace").splitlines():
        if line.strip():
            row = _row(line)
            unreadable += row is None
            rows += [row] if row is not None else []
    return QuestionList(tuple(rows[:MOST_QUESTIONS]), hashlib.sha256(content).hexdigest()[:16], unreadable)


def write_questions(project: Project, rows: Sequence[AskedRow], state: str) -> QuestionList:
    """Replace all questions. Raises RequestError if somebody else has changed them since `state`, InputError for too many or too long."""
    held = read_questions(project)
    if held.state != state:
        raise RequestError("studio.somebody_else_has_changed_questions", value=_KIND, status=409, code="changed")
    if held.unreadable:
        raise InputError("studio.questions_file_has_unreadable_lines", unreadable=held.unreadable)
    return _written(project, rows)


def add_question(project: Project, row: AskedRow) -> QuestionList:
    """Add a question at the end. One that is there already gets the new answer."""
    held = read_questions(project)
    kept = [one for one in held.rows if one.question != row.question]
    if held.unreadable:
        raise InputError("studio.questions_file_has_unreadable_lines", unreadable=held.unreadable)
    return _written(project, [*kept, row])


def _written(project: Project, rows: Sequence[AskedRow]) -> QuestionList:
    if len(rows) > MOST_QUESTIONS or any(len(row.question) > _LONGEST or len(row.text or "") > _LONGEST for row in rows):
        raise InputError("studio.questions_are_too_many_or_too_long", rows=len(rows), most_questions=MOST_QUESTIONS, longest=_LONGEST)
    lines = [json.dumps(_told(row), ensure_ascii=False) for row in rows if row.question.strip()]
    write_file(project, material_name(project, _KIND), "".join(f"{line}\n" for line in lines).encode())
    return read_questions(project)


def _told(row: AskedRow) -> dict[str, object]:
    text = (row.text or "").strip()
    output = None if not text else {**({"id": row.document.strip()} if row.document.strip() else {}), "text": text}
    return {"input": row.question.strip(), "output": output}


def _row(line: str) -> AskedRow | None:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or not isinstance(told.get("input"), str) or not told["input"].strip():
        return None
    output = told.get("output")
    if output is None:
        return AskedRow(told["input"], None)
    if isinstance(output, str):
        return AskedRow(told["input"], output)
    if not isinstance(output, dict) or not isinstance(output.get("text"), str):
        return None
    return AskedRow(told["input"], output["text"], output["id"] if isinstance(output.get("id"), str) else "")
