"""The kinds of message that a desk tells apart: each with a name and examples, in the table that its member of intents learns from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from smidgen.core.errors import InputError
from smidgen.flows.recipe_files import MaterialKind
from smidgen.flows.table_columns import delimiter_of, first_rows, written_table
from smidgen.studio.flows.material import material_path, member_trees
from smidgen.studio.flows.table_columns import project_columns
from smidgen.studio.flows.tool_files.text_files import TextFile, changing, read_text, write_text
from smidgen.studio.store.projects import Project
from smidgen.tasks.classify import UNKNOWN_NAMES

MOST_BYTES = 20_000_000
MOST_EXAMPLES = 2_000
LEAST_EXAMPLES = 2
"""Fewest examples of a kind: one to learn from, one to check with."""
LONGEST_NAME = 100
_KIND: MaterialKind = "intents"
_MOST_ROWS = 200_000


@dataclass(frozen=True, slots=True)
class MessageKind:
    """A kind of message, and examples of it. `outside`: it is the kind of those that are none of the others."""

    name: str
    examples: tuple[str, ...]
    outside: bool


def read_kinds(project: Project) -> tuple[TextFile, list[MessageKind]]:
    """Read the kinds of message of a project by name; that of messages outside all others comes last."""
    file = read_text(project, _KIND, MOST_BYTES)
    return file, _kinds(project)


def _kinds(project: Project) -> list[MessageKind]:
    text, label = columns_of(project)
    found: dict[str, list[str]] = {}
    for row in first_rows(material_path(project, _KIND), _MOST_ROWS)[1]:
        if row.get(text, "").strip() and row.get(label, "").strip():
            found.setdefault(row[label].strip(), []).append(row[text].strip())
    kinds = [MessageKind(name, tuple(dict.fromkeys(examples)), name.lower() in UNKNOWN_NAMES) for name, examples in found.items()]
    return sorted(kinds, key=lambda kind: (kind.outside, kind.name))


def columns_of(project: Project) -> tuple[str, str]:
    """The columns of the messages and of their kinds."""
    found = next((one.chosen for one in project_columns(project) if one.kind == _KIND), {})
    if found.get("input") and found.get("label"):
        return found["input"], found["label"]
    data = member_trees(project).get(_KIND, ("", {}))[1].get("data")
    named: Mapping[str, object] = data if isinstance(data, Mapping) else {}
    return str(named.get("input") or "text"), str(named.get("label") or "intent")


def save_kind(project: Project, before: str, name: str, examples: Sequence[str], stamp: str) -> tuple[TextFile, list[MessageKind]]:
    """Put a kind in place of the one named `before`, or add it where that is empty. Without examples, that one is removed.

    Raises InputError for a name that is taken or none, for too few or too many examples, and for one that shows another kind.
    """
    given = list(dict.fromkeys(words for one in examples if (words := " ".join(one.split()))))
    name = " ".join(name.split())
    with changing(project, _KIND, MOST_BYTES, stamp) as file:
        held = _kinds(project)
        if before and before not in [kind.name for kind in held]:
            raise InputError("desk.there_is_no_such_kind_of_message", value=before)
        if given:
            _check(held, before, name, given)
        return _written(project, file, before, name, given), _kinds(project)


def _check(held: Sequence[MessageKind], before: str, name: str, examples: Sequence[str]) -> None:
    others = [kind for kind in held if kind.name != before]
    if not name or len(name) > LONGEST_NAME or set(name) & set("*?[]"):
        raise InputError("desk.kind_of_message_has_invalid_name", value=name, most=LONGEST_NAME)
    if name.lower() in [kind.name.lower() for kind in others]:
        raise InputError("desk.kind_of_message_exists_already", value=name)
    if not LEAST_EXAMPLES <= len(examples) <= MOST_EXAMPLES:
        count = len(examples)
        raise InputError("desk.kind_of_message_has_wrong_number_of_examples", count=count, least=LEAST_EXAMPLES, most=MOST_EXAMPLES)
    taken = {example.lower(): kind.name for kind in others for example in kind.examples}
    both = next((example for example in examples if example.lower() in taken), None)
    if both is not None:
        raise InputError("desk.example_shows_another_kind_already", value=f"{both}: {taken[both.lower()]}")


def _written(project: Project, file: TextFile, before: str, name: str, examples: Sequence[str]) -> TextFile:
    """Write the table anew: the rows of other kinds as they are, those of this one in their place."""
    columns, rows = first_rows(material_path(project, _KIND), _MOST_ROWS)
    text, label = columns_of(project)
    own = {row[text].strip(): row for row in rows if before and row.get(label, "").strip() == before}
    kept = [row for row in rows if row.get(label, "").strip() != (before or None)]
    at = next((place for place, row in enumerate(rows) if before and row.get(label, "").strip() == before), len(kept))
    made = [{**own.get(example, {}), text: example, label: name} for example in examples]
    rows = [*kept[:at], *made, *kept[at:]]
    columns = columns or (text, label)
    if PurePosixPath(file.name).suffix.lower() in (".jsonl", ".ndjson"):
        content = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    else:
        content = written_table(columns, rows, delimiter_of(file.text.partition("\n")[0])).decode("utf-8")
    return write_text(project, file.name, content, MOST_BYTES)
