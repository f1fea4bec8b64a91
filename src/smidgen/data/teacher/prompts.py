"""Prompts for a teacher: first the job and the names of the answers, then the user's own rows as an earlier conversation, last the text.

The job is the system message, and the last message is the text alone, so that a server with a fine-tuned model can answer, too. Texts in
JSON values are redacted one by one, never in the JSON itself, where a line break is a backslash and a letter that sticks to the next
word.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import RedactionError
from smidgen.core.forms import Form, Renaming
from smidgen.core.rows import Row, joined
from smidgen.data.row_selection import Embed
from smidgen.data.teacher.questions import TeacherQuestion
from smidgen.privacy import text_patterns
from smidgen.privacy.redactor import Find, Redactor
from smidgen.text import near_duplicates, words


@dataclass(frozen=True)
class JobDescription:
    """The beginning of every conversation with a teacher: the job in the user's words, and the names that answers must use.

    Labels, kinds, fields and their choices are names, not running text: each is sent whole or replaced whole by one placeholder, which
    is restored in the answer.

    Attributes:
        description: the job.
        form: the task's form, redacted.
        redactor: the redactor of both, from which each conversation's redactor starts; None if nothing leaves this machine.
    """

    description: str
    form: Form
    redactor: Redactor | None = None

    def fork(self) -> Redactor:
        """A redactor for a new conversation."""
        return Redactor() if self.redactor is None else self.redactor.begun()

    def safe(self, redactor: Redactor) -> Callable[[Any], Any]:
        """A function that redacts a text, or the texts in a JSON value, for one conversation. It raises RedactionError."""
        return _unchanged if self.redactor is None else functools.partial(masked, redactor=redactor)


def describe_job(description: str, form: Form, find: Find | None) -> JobDescription:
    """Redact the job and its form; without `find` nothing leaves this machine, and nothing is changed.

    Raises RedactionError if the description or a name cannot be made safe to send.
    """
    if find is None:
        return JobDescription(description, form)
    redactor = Redactor(find, forms=text_patterns.usual_spans)
    if form.answer_keys:
        redactor.keep(*form.answer_keys)
    choice = functools.partial(redactor.name, value=True)
    told = form.renamed(Renaming(redactor.name, redactor.mask, lambda value: changed(value, choice)))
    return JobDescription(redactor.mask(description), told, redactor)


def _unchanged(value: Any) -> Any:
    return value


_BYTES_PER_TOKEN = 2
_HEADROOM = 16
_WIDTH = 4096
_CHUNK = 512


@dataclass(frozen=True)
class TeacherPrompts:
    """Makes the questions to a teacher.

    Attributes:
        system: the system message, redacted.
        rows: the user's own rows that may be shown with a question.
        answers: the answer to each, a text or a JSON value.
        shown: the number of rows shown.
        max_tokens: of an answer.
        temperature: of sampling.
        opening: the job, and whether personal data is redacted.
        embed: makes vectors of texts; without it, shared words make rows near.
        schema: JSON of the schema for answers; empty for none.
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
        """The questions of each row, one per vote, and its redactor. A row is not shown in its own question.

        A row whose text cannot be redacted has no question.
        """
        near_rows = self._near([joined(row.input) for row in rows])
        return [self._one(row, places, votes) for row, places in zip(rows, near_rows, strict=True)]

    def _one(self, row: Row, places: Sequence[int], votes: int) -> tuple[list[TeacherQuestion], Redactor]:
        redactor = self.opening.fork()
        try:
            turns = redactor.twice(functools.partial(self._turns, joined(row.input), places, self.opening.safe(redactor)))
        except RedactionError:
            return [], redactor
        asked = (("system", self.system), *turns)
        return [TeacherQuestion(asked, self.max_tokens, self.temperature, vote, self.schema) for vote in range(votes)], redactor

    def _turns(self, text: str, places: Sequence[int], safe: Callable[[Any], Any]) -> list[tuple[str, str]]:
        """The example rows, the nearest one last, and the text. Raises RedactionError if the text cannot be redacted."""
        last = safe(text)
        turns: list[tuple[str, str]] = []
        for place in places:
            shown = joined(self.rows[place].input)
            if shown == text or len(turns) >= 2 * self.shown:
                continue
            try:
                turns = [("user", safe(shown)), ("assistant", answer_text(safe(self.answers[place]))), *turns]
            except RedactionError:  # show one row less
                continue
        return [*turns, ("user", last)]

    def _near(self, texts: Sequence[str]) -> list[list[int]]:
        """The places of the nearest rows of each text, nearest first: a few more than are shown."""
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
    """The form in which an answer is shown: a text unchanged, anything else as JSON."""
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def bag_of_words(texts: Sequence[str]) -> NDArray[np.float32]:
    """(n, width) vectors of length one that are near if texts share words: word counts, hashed by letters."""
    table = np.zeros((len(texts), _WIDTH), dtype=np.float32)
    for number, text in enumerate(texts):
        for word in near_duplicates.fold_text(text).split():
            place = 0
            for letter in word:
                place = (place * 31 + ord(letter)) % 2147483647
            table[number, place % _WIDTH] += 1.0
    return np.asarray(table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9))


def answer_tokens(answers: Sequence[str]) -> int:
    """Tokens that the longest of these answers may take, with some headroom."""
    longest = max((len(answer.encode("utf-8", "replace")) for answer in answers), default=0)
    return math.ceil(longest / _BYTES_PER_TOKEN) + _HEADROOM


_NUMBER = re.compile(r"-?[0-9]{1,17}(?:\.[0-9]+)?")
_LONG = 8
"""Most digits of a number that its field's name may misdescribe: `tax` may be a tax number, or a sum."""


def leaves(value: Any) -> Iterator[str]:
    """Every text in a JSON value: itself, or those of a list or an object, with its field names. Whole numbers are read as texts, others
    are not. Raises RedactionError for bytes."""
    if isinstance(value, bytes):
        raise RedactionError("data.cell_has_binary_data", size=len(value))
    if isinstance(value, dict):
        for name, inner in value.items():
            yield str(name)
            yield from leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner)
    elif value is not None and not isinstance(value, bool):
        if not isinstance(value, float):
            yield str(value)
        elif value.is_integer():  # an account number, in a column where another row's cell is empty
            yield str(int(value))


def changed(value: Any, change: Callable[[str], str]) -> Any:
    """The value with `change` applied to each of its texts; a number keeps its type if its text stays. Raises as `leaves` does."""
    if isinstance(value, dict):
        return {change(str(name)): changed(inner, change) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [changed(inner, change) for inner in value]
    for text in leaves(value):
        other = change(text)
        return value if other == text else other
    return value


def masked(value: Any, redactor: Redactor, name: str = "", above: str = "") -> Any:
    """The value with personal data redacted in each of its texts and numbers. A field's name, with the name `above` it, may describe its
    value: `{"cvv": 737}`. Raises as `leaves` does, and RedactionError for a text that cannot be redacted."""
    if isinstance(value, dict):
        return {redactor.mask(str(key)): masked(inner, redactor, str(key), name) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(inner, redactor, name, above) for inner in value]
    said = words.field_words(above, name)
    if isinstance(value, float) and not value.is_integer():
        other = redactor.named(repr(value), said)
        return value if other == repr(value) else other
    return changed(value, lambda text: _redact_text(text, redactor, said))


def _redact_text(text: str, redactor: Redactor, said: str) -> str:
    """A text with its personal data redacted. A numeric text is treated as a number: a table's cells are texts."""
    short = _NUMBER.fullmatch(text) and ("." in text or sum(map(str.isdigit, text)) <= _LONG)
    if not short:
        return redactor.mask(text, said and f"{said}: ")
    other = redactor.named(text, said)
    return redactor.mask(text) if other == text else other
