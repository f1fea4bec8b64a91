"""The interface of a solver: a part that turns tables into a typed problem, lets a library compute, and states the result in words.

A sentence of a person may change the problem. A small model that extracts fields types the change, a person confirms it, and the solver
computes again from its last result. Every number in a sentence that a person reads must occur in the result.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from pydantic.fields import FieldInfo

from smidgen.core.errors import InputError
from smidgen.core.settings import Settings, is_file, settings_of

Cell: TypeAlias = str | int | float | None
Change: TypeAlias = Mapping[str, Any]
"""A change of a problem: an object that fits the solver's `changes`."""
Status: TypeAlias = Literal["solved", "partly", "infeasible"]
"""`partly`: something had to be left out, and the statements say what. `infeasible`: there is no result, and they say why."""


@dataclass(frozen=True, slots=True)
class ProblemTable:
    """A table that a problem is read from.

    Attributes:
        file: its file's name, for messages.
        columns: its columns, in the file's order.
        rows: number of each row (from 1, without the header) and its cells by column; texts where it is a CSV file.
    """

    file: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[int, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence about a result.

    Attributes:
        text: the sentence. Every number in it must occur in the solution's result.
        facts: what it states, by name. A small model may write the sentence anew from them.
    """

    text: str
    facts: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SolutionTable:
    """A table of a solution: a CSV file for spreadsheets, shown on the page."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Solution:
    """A solver's answer.

    Attributes:
        status: whether the whole problem is solved.
        result: the numbers and names of the answer, JSON-ready. The next solution may begin from it.
        statements: the answer in sentences, the most important first.
        remarks: what was left out, corrected or assumed while the problem was read, in sentences.
        tables: tables by file name without `.csv`.
        pictures: SVG drawings by file name without `.svg`. They hold no scripts and load nothing.
        files: further files by name: GPX tracks, sheets to print.
    """

    status: Status
    result: Mapping[str, Any]
    statements: Sequence[Statement]
    remarks: Sequence[str] = ()
    tables: Mapping[str, SolutionTable] = field(default_factory=dict)
    pictures: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


class Telling(NamedTuple):
    """The words that tell a change, as patterns without regard to case.

    Attributes:
        verbs: of which one must stand in the sentence, such as `is closed`.
        beside: that may stand beside them, such as `until`.
    """

    verbs: str
    beside: str = ""


class Solver(ABC):
    """A kind of problem that a library solves.

    Attributes:
        name: its name in recipes: that of its file.
        title: its name for people, two or three words.
        summary: one line for help pages.
        settings: its settings class. Every setting declared with `file=True` is a table; `read` gets it under the setting's name.
        changes: the JSON schema of one change; empty if a sentence cannot change such a problem.
        examples: sentences that change such a problem, for help and screens.
        usual: usual names of each kind of `names`, which models know well: they stand in for a problem's own names while a model reads.
        telling: the words that tell a change, by its `kind`: a sentence in yet other words is never carried out without a person.
    """

    name: str
    title: str
    summary: str
    settings: type[Settings]
    changes: Mapping[str, Any] = MappingProxyType({})
    examples: Sequence[str] = ()
    usual: Mapping[str, Sequence[str]] = MappingProxyType({})
    telling: Mapping[str, Telling] = MappingProxyType({})

    def table_settings(self) -> dict[str, FieldInfo]:
        """Its settings that name a table, in their order."""
        return {name: field for name, field in settings_of(self.settings).items() if is_file(field)}

    @abstractmethod
    def read(self, settings: Any, tables: Mapping[str, ProblemTable]) -> Any:
        """The problem. Raises DataError with file, row, column and value for a cell that cannot be used."""

    def changed(self, problem: Any, change: Change) -> Any:
        """The problem after a change that fits `changes`. Raises InputError for something that the problem lacks; nothing is guessed."""
        raise InputError("plans.sentence_cannot_change_this_plan", value=self.name)

    def shown_change(self, problem: Any, change: Change) -> str:
        """The change as one sentence, for a person to confirm before it counts. Raises as `changed` does."""
        return str(self.changed(problem, change))

    def about(self, result: Mapping[str, Any], name: str) -> Sequence[Statement]:
        """A result's statements about one thing that it names, such as an item, a van, a stop or a place.

        Every number in them occurs in the result. Raises InputError for a name that the result lacks, or that fits several things.
        """
        raise InputError("plans.this_kind_of_plan_cannot_be_asked", value=self.name)

    def names(self, problem: Any) -> Mapping[str, Iterable[str]]:
        """Names that a sentence may mean, by their kind: a change that leaves out one that the sentence says was not read in full."""
        return {}

    def settled(self, change: Change, sentence: str, named: Mapping[str, Sequence[str]]) -> Change:
        """A change that a model read in a sentence, corrected where the sentence leaves no doubt. `named`: the known names in the sentence,
        in its words, by kind."""
        return change

    @abstractmethod
    def solve(self, problem: Any, seconds: float, before: Mapping[str, Any] | None = None) -> Solution:
        """The solution.

        Args:
            problem: of `read` or `changed`.
            seconds: the longest time to search. A solver that does not search ignores it.
            before: the result of the last solution, to begin from and to stay close to.
        """
