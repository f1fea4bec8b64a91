"""Abilities that only some tasks have. Each is a small class; a task without it has `None` in its place."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from smidgen.core.forms import AnswerOutline
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text
from smidgen.core.settings import Settings
from smidgen.core.tool_calls import ToolAnswer, ToolsAsked


class Teaching(ABC):
    """How a larger model is asked to do the task, as a teacher or in place of the small model, and how its answers are read."""

    @abstractmethod
    def instruction(self, form: Any) -> str:
        """The instruction, given once before the texts: what to answer, and in which form."""

    @abstractmethod
    def read(self, answer: str, form: Any, text: Text = "") -> Any:
        """A larger model's answer to a text as the task's own value. Raises ValueError with the reason for an unusable one."""

    def write(self, output: Any, form: Any, text: Text) -> str:
        """The form in which a larger model should answer a text with this output."""
        return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)

    def convert(self, output: Any, form: Any, text: Text) -> Any:
        """Convert another model's output for a text to this form. Raises ValueError if it does not fit."""
        return self.read(self.write(output, form, text), form, text)


class TeacherSources(ABC):
    """The sources that a larger model needs beside a text, and makes examples from.

    Such a task believes no answer to a text with sources that is not in them.
    """

    @abstractmethod
    def attach(self, rows: Sequence[Row], settings: Any, replies: Sequence[Reply] = ()) -> Sequence[Row]:
        """The rows as a larger model is asked them: each text with the sources that it needs, those of a reply to it if there are replies.
        A row that has its sources stays."""

    @abstractmethod
    def texts(self, settings: Any) -> Sequence[str]:
        """The texts that a larger model makes examples from."""


class Grading(ABC):
    """Grades for replies that are more or less good, such as written texts. Grades are compared, not outputs."""

    @abstractmethod
    def grades(self, rows: Sequence[Row], replies: Sequence[Reply], form: Any) -> list[float]:
        """The quality of each reply, one value in 0..1 per row."""

    def merged(self, rows: Sequence[Row]) -> list[Row]:
        """Merge rows of one input into one row whose output is the list of all their references, in first-seen order."""
        return list(rows)


class Correctness(ABC):
    """Which replies are right, for a task where other replies than the reference are right, too."""

    @abstractmethod
    def right(self, rows: Sequence[Row], replies: Sequence[Reply], form: Any) -> list[bool]:
        """Whether each reply is right, one value per row."""


class PartialCredit(ABC):
    """Credit for the parts of an output, such as spans or fields. The headline metric counts parts.

    The reasons why such a task refuses a larger model's answer are few and contain nothing of the answer: they are counted and shown.

    Attributes:
        empty: the output without any part.
    """

    empty: Any = None

    @abstractmethod
    def overlap(self, one: Any, other: Any) -> float:
        """How much of two outputs is equal, 0..1."""

    @abstractmethod
    def by_heart(self, rows: Sequence[Row], form: Any) -> Sequence[Any]:
        """For each row the output of a baseline that only memorises the other rows: a teacher must do better."""


class Swap(Protocol):
    """A text that replaces another, with conversions between answers to the two."""

    @property
    def text(self) -> Text:
        """The text that the model gets."""
        ...

    def there(self, answer: str) -> str:
        """Convert an answer to the original text into an answer to the replacement."""
        ...

    def back(self, answer: str) -> str | None:
        """Convert an answer to the replacement into an answer to the original; None if that is impossible."""
        ...


class AnswerChecks(ABC):
    """Checks of an answer that need no reference. An answer with a fault is written again."""

    @abstractmethod
    def attempts(self, form: Any) -> int:
        """How often an answer with a fault is written again; 0 for never."""

    @abstractmethod
    def applies(self, text: Text, form: Any) -> bool:
        """Whether an answer to this text can be checked at all."""

    @abstractmethod
    def faults(self, raw: Mapping[str, Any], form: Any) -> list[int]:
        """The number of faults in each answer of a raw output, which has its `inputs`; 0 for none."""

    def substitute(self, text: Text, form: Any) -> Swap | None:
        """A replacement for this text that the model knows better; None if there is none."""
        return None

    @abstractmethod
    def measurable(self, form: Any) -> bool:
        """Whether `missed` can report anything."""

    @abstractmethod
    def missed(self, texts: Sequence[Text], outputs: Sequence[Any], form: Any) -> list[float | None]:
        """For each text the share of its content that its output leaves out or makes up, 0..1; None if unknown."""


class Dialogue(ABC):
    """How a task reads a conversation, not just its last message."""

    @abstractmethod
    def text(self, messages: Sequence[Mapping[str, Any]]) -> Text | None:
        """The chat messages, each with `role` and `content`, as one text; None if the last message is enough."""

    def sample(self, row: Row, reply: Reply) -> Mapping[str, Any]:
        """A test row and its reply in words for people: `text`, the message; `got`, the answer; `outcome` and `wanted`, a list. Empty where
        the texts of the row and the reply are such words."""
        return {}


class ToolCalls(ABC):
    """How a task whose answers are calls of tools answers a request that brings its own tools."""

    @abstractmethod
    def texts(self, asked: ToolsAsked, form: Any) -> Sequence[str]:
        """Texts whose vectors `answer` needs for these tools, besides that of the message; empty if it needs none. Raises RequestError for
        tools or a choice that cannot be."""

    @abstractmethod
    def answer(self, text: Text, reply: Reply, asked: ToolsAsked, form: Any, vectors: Sequence[Sequence[float]] = ()) -> ToolAnswer:
        """The answer to a message in a request with tools. `vectors`: the unit vectors of the message and of `texts`, if there are any."""

    @abstractmethod
    def words(self, reply: Reply, form: Any) -> str:
        """The reply in words, for a person in a terminal."""


class Members(ABC):
    """The models that a model consists of, each built or opened before it."""

    @abstractmethod
    def places(self, settings: Any) -> Mapping[str, str]:
        """The recipe or the bundle of each member, by role. Raises RecipeError for an unknown role."""

    @abstractmethod
    def with_folders(self, settings: Any, folders: Mapping[str, str]) -> Settings:
        """The settings with the bundle of each member."""

    @abstractmethod
    def check(self, settings: Any) -> None:
        """Read the files that the settings name, so that a mistake in one costs no training of a member. Raises as reading does."""

    def languages(self, settings: Any, role: str) -> Sequence[str]:
        """The languages (ISO 639-1) in which people will write to this member, as far as the settings say."""
        return ()


class ProjectFiles:
    """The files and folders that a task's projects consist of, such as documents, tools or a repository.

    Attributes:
        kinds: the setting that names each kind of file (`answer.documents`, `data.train`). A project cannot do without the first kind.
    """

    kinds: Mapping[str, str]

    def rows(self, settings: Any) -> Sequence[Row]:
        """Rows from the files, for a build without a table. Empty if it needs a table."""
        return ()

    def rows_in(self, file: Path, settings: Any) -> Sequence[Row] | None:
        """The rows of a file in the task's own format; None for a table."""
        return None

    def texts(self, settings: Any) -> Sequence[str]:
        """The texts of the files, for a task whose `rows` are made from them and have the number 0."""
        return ()

    def remarks(self, settings: Any) -> Sequence[str]:
        """Sentences that a build says about the files, such as which ones could not be read."""
        return ()

    def for_students(self, rows: Sequence[Row], settings: Any, names: Mapping[str, str] = MappingProxyType({})) -> Mapping[str, bytes]:
        """Files, by name, that students need beside `rows`, which are all rows of the build: passages, a catalogue. Equal input gives equal
        bytes. Raises DataError if rows name what is not there. `names`: those of `ExampleTable.names`."""
        return {}


class ExampleTable:
    """How the rows of a table become examples, for a task whose model reads other texts than the table's cells. `Task.split` makes them."""

    def columns(self, settings: Any) -> tuple[str | None, str | None]:
        """The input column (two joined by a comma for pairs) and the output column, if the task's own settings name them."""
        return None, None

    def names(self, table: Callable[[], Any] | None, column: str, settings: Any) -> tuple[Mapping[str, str], tuple[str, ...]]:
        """Names for people of the outputs, from a further column of the training table, and notes for the report.

        Args:
            table: opens the table; None if the rows come from elsewhere.
            column: the column of the outputs.
        """
        return {}, ()


class TaskPage(ABC):
    """How the answers of a task look, for pages on which a person reads and gives them."""

    @abstractmethod
    def outline(self, outputs: Sequence[Any], settings: Any) -> AnswerOutline:
        """How these outputs look. There may be none, and they need teach nothing."""

    @abstractmethod
    def likely(self, cells: Sequence[Any]) -> float:
        """How much non-empty cells of a column look like outputs of this task, for guessing it: 0 not at all, 1 surely."""


class FieldAnswers(ABC):
    """Answers that may be objects with fields, each field a column of a table."""

    @abstractmethod
    def typed(self, outputs: Sequence[Any], settings: Any) -> Sequence[Any]:
        """Parsed outputs of a whole file with the types that its cells show together: a column of numbers holds numbers. None stays."""

    @abstractmethod
    def options(self, form: Any) -> Mapping[str, Sequence[str]] | None:
        """The values of each field with a fixed set, by path; `Reply.chances` has the probability of each. None if answers of this form are
        not objects."""


class StudentTargets(ABC):
    """Outputs as students of each kind learn them, where that is not as they are."""

    @abstractmethod
    def spans(self, rows: Sequence[Row], form: Any) -> Sequence[Row]:
        """The rows with outputs for a tagger: `{"spans": [...], "choices": [...]}`, spans with `start`, `end` and `label`, and for each
        choice the number of its value, -1 if it is none of its values."""

    @abstractmethod
    def text(self, output: Any, form: Any) -> Any:
        """An output as the text that a writer learns."""

    @abstractmethod
    def replanned(self, rows: Sequence[Row], form: Any) -> Any:
        """The form with everything that these rows, more than it was made of, show a student. The kind of answers stays."""
