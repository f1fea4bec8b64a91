"""Prompts for a teacher: the job and the names of the answers first, your own rows as a conversation that went well, the text last.

What the teacher is told stands in the system message, and the text is the last message, alone. So a server whose model knows the job by
heart can answer it, too.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import RedactionError
from smidgen.core.parts import Form
from smidgen.core.rows import Row, joined
from smidgen.data.row_selection import Embed
from smidgen.data.teacher.leaves import changed, masked
from smidgen.data.teacher.questions import TeacherQuestion
from smidgen.privacy import text_patterns
from smidgen.privacy.redactor import Find, Redactor
from smidgen.text import near_duplicates

# How every conversation with a teacher begins: the job in the user's words, and the names that answers are held to.
#
# Labels, kinds, fields and their choices are names, not running text: each is sent whole or not at all, so that what the teacher is
# asked for stays what it was. A name that is personal has one stand-in, which is put back in what is answered.


@dataclass(frozen=True)
class JobDescription:
    """What is told first.

    Attributes:
        description: what the job is.
        form: the task's form, as the teacher is told of it.
        redactor: what both went through, which all conversations go on from; None where nothing leaves this machine.
    """

    description: str
    form: Form
    redactor: Redactor | None = None

    def begun(self) -> Redactor:
        """The redactor of a new conversation."""
        return Redactor() if self.redactor is None else self.redactor.begun()

    def safe(self, redactor: Redactor) -> Callable[[Any], Any]:
        """What makes a text, or the texts in what JSON can hold, safe to be sent in that conversation. It raises RedactionError."""
        return _unchanged if self.redactor is None else functools.partial(masked, redactor=redactor)


def describe_job(description: str, form: Form, find: Find | None) -> JobDescription:
    """The opening of conversations; without `find` they stay on this machine, and nothing is changed.

    Raises RedactionError where the description or a name cannot be made safe to send.
    """
    if find is None:
        return JobDescription(description, form)
    redactor = Redactor(find, forms=text_patterns.usual_spans)
    told = dict(form)
    if "kinds" in form:
        redactor.keep("text", "label")  # the names of the answer's own fields
    for name in ("labels", "kinds"):
        if name in form:
            told[name] = [redactor.name(label) for label in form[name]]
    if isinstance(form.get("unknown"), str):
        told["unknown"] = redactor.name(form["unknown"])
    if "schema" in form:
        told["schema"] = _redacted_schema(form["schema"], redactor)
    if isinstance(form.get("instruction"), str):
        told["instruction"] = redactor.mask(form["instruction"])
    return JobDescription(redactor.mask(description), told, redactor)


def _redacted_schema(node: Any, redactor: Redactor) -> Any:
    """A schema of the same form: its fields and choices by their names, its descriptions as texts, the rest as it is."""
    if isinstance(node, list):
        return [_redacted_schema(one, redactor) for one in node]
    if not isinstance(node, Mapping):
        return node
    made: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            made[key] = {redactor.name(field): _redacted_schema(inner, redactor) for field, inner in value.items()}
        elif key == "required":
            made[key] = [redactor.name(field) for field in value]
        elif key == "enum":
            made[key] = [changed(one, lambda choice: redactor.name(choice, value=True)) for one in value]
        elif key == "description":
            made[key] = redactor.mask(value)
        elif key != "pattern" or redactor.name(value) == value:  # a pattern with stand-ins in it would fit nothing
            made[key] = _redacted_schema(value, redactor)
    return made


def _unchanged(value: Any) -> Any:
    return value


_BYTES_PER_TOKEN = 2
_HEADROOM = 16
_WIDTH = 4096
_CHUNK = 512


@dataclass(frozen=True)
class TeacherPrompts:
    """Makes questions.

    Attributes:
        system: what the teacher is told, safe to be sent.
        rows: the user's own rows that may be shown with a question.
        answers: what the answer to each would look like: a text, or what JSON can hold.
        shown: how many are shown.
        max_tokens: of an answer.
        temperature: of sampling.
        opening: what conversations begin with, and whether personal data is redacted, because they leave this machine.
        embed: makes vectors of texts; without it, rows are near where their words are.
        schema: JSON of the schema that answers are to fit; empty for none.
    """

    system: str
    rows: Sequence[Row]
    answers: Sequence[Any]
    shown: int
    max_tokens: int
    temperature: float
    opening: JobDescription
    embed: Embed | None
    schema: str = ""

    def ask(self, rows: Sequence[Row], votes: int) -> list[tuple[list[TeacherQuestion], Redactor]]:
        """For each row its question, as often as there are votes, and what was redacted in it. A row is not shown to itself.

        A row whose text cannot be made safe has no question.
        """
        near_rows = self._near([joined(row.input) for row in rows])
        return [self._one(row, places, votes) for row, places in zip(rows, near_rows, strict=True)]

    def _one(self, row: Row, places: Sequence[int], votes: int) -> tuple[list[TeacherQuestion], Redactor]:
        redactor = self.opening.begun()
        try:
            turns = redactor.twice(functools.partial(self._turns, joined(row.input), places, self.opening.safe(redactor)))
        except RedactionError:
            return [], redactor
        asked = (("system", self.system), *turns)
        return [TeacherQuestion(asked, self.max_tokens, self.temperature, vote, self.schema) for vote in range(votes)], redactor

    def _turns(self, text: str, places: Sequence[int], safe: Callable[[Any], Any]) -> list[tuple[str, str]]:
        """The rows that are shown, the nearest one last, and the text. Raises RedactionError where that cannot be made safe."""
        last = safe(text)
        turns: list[tuple[str, str]] = []
        for place in places:
            shown = joined(self.rows[place].input)
            if shown == text or len(turns) >= 2 * self.shown:
                continue
            try:
                turns = [("user", safe(shown)), ("assistant", answer_text(safe(self.answers[place]))), *turns]
            except RedactionError:  # one row less is shown
                continue
        return [*turns, ("user", last)]

    def _near(self, texts: Sequence[str]) -> list[list[int]]:
        """For each text the places of the rows that are nearest to it, nearest first: a few more than are shown."""
        if not self.shown or not self.rows:
            return [[] for _ in texts]
        embed = self.embed or bag_of_words
        known = embed([joined(row.input) for row in self.rows])
        most = min(len(self.rows), self.shown + 4)
        found: list[list[int]] = []
        for start in range(0, len(texts), _CHUNK):
            scores = embed(texts[start : start + _CHUNK]) @ known.T
            found += np.argsort(-scores, axis=1, kind="stable")[:, :most].tolist()
        return found


def answer_text(answer: Any) -> str:
    """An answer as it is shown: a text as it is, anything else as JSON."""
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def bag_of_words(texts: Sequence[str]) -> NDArray[np.float32]:
    """(n, width) vectors of length one that are near where texts share words: each word counts in a place that its letters choose."""
    table = np.zeros((len(texts), _WIDTH), dtype=np.float32)
    for number, text in enumerate(texts):
        for word in near_duplicates.fold_text(text).split():
            place = 0
            for letter in word:
                place = (place * 31 + ord(letter)) % 2147483647
            table[number, place % _WIDTH] += 1.0
    return np.asarray(table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9))


def answer_tokens(answers: Sequence[str]) -> int:
    """Tokens that the longest of these answers may take, and somewhat more."""
    longest = max((len(answer.encode("utf-8", "replace")) for answer in answers), default=0)
    return math.ceil(longest / _BYTES_PER_TOKEN) + _HEADROOM
