"""The form in which people read and give the answers of a project: its labels, its kinds of span, or its fields with their values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from smidgen.core.forms import AnswerOutline, AnswerShape
from smidgen.core.parts import Task
from smidgen.core.rows import evenly
from smidgen.parts import registry
from smidgen.stats.field_values import schema_paths, values_by_path
from smidgen.studio.flows.recipes.project_recipe import asked_of
from smidgen.studio.store.projects import StudioStore
from smidgen.tasks.field_schema import Schema, kind_of

MOST_READ = 5_000
"""Different answers that are looked at; of more, an even part."""
_MOST_VALUES = 50
_LONGEST_VALUE = 60

FieldKind = Literal["text", "integer", "number", "truth", "date", "choice", "json"]
"""How a person gives a value. `json`: a list of objects, or of lists."""
_KINDS: Mapping[str, FieldKind] = {"string": "text", "integer": "integer", "number": "number", "boolean": "truth"}


@dataclass(frozen=True, slots=True)
class AnswerName:
    """A label or a kind of span, and how many answers have it."""

    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class FieldValue:
    """A value of a field, and how many answers have it."""

    value: Any
    rows: int


@dataclass(frozen=True, slots=True)
class AnswerField:
    """A field of the answers.

    Attributes:
        path: its name; names of nested fields are joined by dots.
        options: the values to choose from; empty where any value may be given.
        many: whether it holds a list of values.
        about: its description in the schema.
        rows: answers in which it has a value.
        values: the commonest short values.
    """

    path: str
    kind: FieldKind
    options: tuple[Any, ...]
    many: bool
    about: str
    rows: int
    values: tuple[FieldValue, ...]


@dataclass(frozen=True, slots=True)
class ProjectAnswerForm:
    """How a project's answers look.

    Attributes:
        shape: how pages show them.
        names: labels, or kinds of span.
        fields: in the order of the schema.
        fixed: whether the fields are given by a schema, so that no other can be added.
        pairs: whether rows have two texts.
        read: answers that were looked at.
    """

    shape: AnswerShape
    names: tuple[AnswerName, ...]
    fields: tuple[AnswerField, ...]
    fixed: bool
    pairs: bool
    read: int


def answer_form(store: StudioStore, project: str) -> ProjectAnswerForm:
    """Read the form of a project's answers from its recipe, and from the answers that it has."""
    found, rows = store.project(project), store.rows(project)
    part: Task = registry.find("tasks", found.task)
    asked = asked_of(found)
    known = [(output, number) for output, number in evenly(rows.outputs(), MOST_READ) if output is not None]
    outputs = [output for output, _ in known]
    outline = part.page.outline(outputs, asked) if part.page is not None else AnswerOutline("value")
    seen: Counter[str] = Counter()
    for output, number in known:
        for name in _names(output):
            seen[name] += number
    names = tuple(AnswerName(name, seen[name]) for name in sorted(outline.names, key=lambda name: -seen[name]))
    fixed = part.page is not None and outline.schema is not None and part.page.outline((), asked).schema is not None
    fields = tuple(_fields(outline.schema, known, fixed)) if outline.schema is not None else ()
    first = rows.page(0, 1)
    pairs = bool(first) and first[0].second is not None
    return ProjectAnswerForm(outline.shape, names, fields, fixed, pairs, sum(number for _, number in known))


def _names(output: Any) -> set[str]:
    """The labels of an answer, or the kinds of its spans."""
    entries = output if isinstance(output, list) else [output]
    told = [entry.get("label") if isinstance(entry, Mapping) else entry for entry in entries]
    return {name for name in told if isinstance(name, str)}


def _fields(schema: Schema, known: Sequence[tuple[Any, int]], fixed: bool) -> Iterator[AnswerField]:
    """The fields of a schema. Values that merely occur often in the rows are suggestions: only a given schema makes them a choice."""
    values: dict[str, Counter[Any]] = {}
    rows: Counter[str] = Counter()
    for output, number in known:
        for path, own in values_by_path(output if isinstance(output, Mapping) else {}).items():
            rows[path] += number
            told = values.setdefault(path, Counter())
            for value in own:
                if isinstance(value, str | int | float) and len(str(value)) <= _LONGEST_VALUE:
                    told[value] += number
    for path, node in schema_paths(schema):
        one = node.get("items", node)
        options = tuple(value for value in one.get("enum", ()) if value is not None) if fixed else ()
        common = tuple(FieldValue(value, number) for value, number in values.get(path, Counter()).most_common(_MOST_VALUES) if number > 1)
        yield AnswerField(path, _kind(one, bool(options)), options, "items" in node, str(node.get("description", "")), rows[path], common)


def _kind(node: Schema, chosen: bool) -> FieldKind:
    kind, _ = kind_of(node)
    if chosen:
        return "choice"
    if kind in ("object", "array"):
        return "json"
    return "date" if node.get("format") == "date" else _KINDS[kind]
