"""Projects whose answers are no single labels: fields in columns, marked words, several labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.flower_orders import as_csv, orders

from smidgen.core.errors import InputError
from smidgen.studio.flows.data.answer_form import ProjectAnswerForm, answer_form
from smidgen.studio.flows.data.imports import import_file, parse_output, preview_file, take_several
from smidgen.studio.flows.recipes.able_students import able_students, check_build, formed_task
from smidgen.studio.flows.recipes.project_recipe import presets_of, project_folder, save_recipe
from smidgen.studio.store.data_rows import DataRow, RowFilter
from smidgen.studio.store.projects import Project, StudioStore

FIELDS = ["customer", "flower", "amount", "day"]


def write(file: Path, content: str) -> Path:
    file.write_text(content, encoding="utf-8")
    return file


def brought(store: StudioStore, file: Path, task: str = "extract", **more: Any) -> Project:
    """A project with the rows of a file, columns as guessed."""
    project = store.create("Orders", task)
    seen = preview_file(file, task)
    import_file(store, project, file, file.name, {"input": ",".join(seen.input), "label": ",".join(seen.label)}, "ann", **more)
    return store.project(project.id)


# What is guessed of a file.


def test_every_other_column_is_a_field_but_one_that_numbers_the_rows(tmp_path: Path) -> None:
    seen = preview_file(write(tmp_path / "orders.csv", as_csv(orders(20))), "extract")
    assert (seen.input, list(seen.label)) == (("message",), FIELDS)


def test_a_column_of_whole_answers_stands_alone(tmp_path: Path) -> None:
    lines = [{"id": place, "message": f"call Ann at {place}", "order": {"who": "Ann", "when": place}} for place in range(9)]
    seen = preview_file(write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, lines))), "extract")
    assert seen.label == ("order",)
    spans = [{**line, "order": [{"start": 5, "end": 8, "label": "who"}]} for line in lines]
    assert preview_file(write(tmp_path / "b.jsonl", "\n".join(map(json.dumps, spans))), "extract").label == ("order",)


def test_a_file_of_texts_has_no_answers(tmp_path: Path) -> None:
    assert preview_file(write(tmp_path / "a.csv", "message\nhello there\ngood evening\n"), "extract").label == ()


@pytest.mark.parametrize(
    ("cells", "several", "separator"),
    [
        (["garden, gift", "gift", "kitchen, garden", "garden"], True, ","),
        (["garden|gift", "gift", "kitchen|garden", "garden"], True, "|"),
        (["garden", "gift", "kitchen", "garden", "gift"], False, ""),
    ],
)
def test_several_labels_in_a_cell_are_seen(tmp_path: Path, cells: list[str], several: bool, separator: str) -> None:
    lines = [f'the text number {place},"{cells[place % len(cells)]}"' for place in range(20)]
    seen = preview_file(write(tmp_path / "a.csv", "\n".join(["text,tags", *lines])), "classify")
    assert (seen.label, seen.several, seen.separator) == (("tags",), several, separator)


# What is stored.


def test_columns_become_fields_with_the_types_of_their_cells(store: StudioStore, tmp_path: Path) -> None:
    rows = orders(20)
    rows[1] |= dict.fromkeys(FIELDS, "")
    project = brought(store, write(tmp_path / "orders.csv", as_csv(rows)))
    first, second, third, fourth = store.rows(project.id).page(0, 4)
    assert first.output == {"customer": "Anna Weber", "flower": "tulips", "amount": 3, "day": "Monday"}
    assert list(first.output) == FIELDS, "in the order of the columns"
    assert second.output is None, "a row of empty cells is not answered yet"
    assert isinstance(third.output["amount"], int) and fourth.output["day"] is None


def test_several_labels_are_lists_from_then_on(store: StudioStore, tmp_path: Path) -> None:
    project = take_several(store, store.create("Goods", "classify"))
    file = write(tmp_path / "a.csv", 'text,tags\na spade,"garden, gift"\na pan,kitchen\na pot,kitchen\n')
    import_file(store, project, file, file.name, {"input": "text", "label": "tags"}, "ann", separator=",")
    assert [row.output for row in store.rows(project.id).page(0, 9)] == [["garden", "gift"], ["kitchen"], ["kitchen"]]
    assert parse_output(project, ["gift", "garden"]) == ["garden", "gift"]
    form = answer_form(store, project.id)
    assert (form.shape, [(one.name, one.rows) for one in form.names]) == ("labels", [("kitchen", 2), ("garden", 1), ("gift", 1)])
    with pytest.raises(InputError, match="several labels"):
        take_several(store, store.create("Orders", "extract"))


def test_marked_words_are_placed_in_their_text(store: StudioStore) -> None:
    project = store.create("Notes", "extract")
    assert parse_output(project, [{"text": "Ann", "label": "who"}], "call Ann now") == [{"start": 5, "end": 8, "label": "who"}]
    with pytest.raises(InputError, match="not in the text"):
        parse_output(project, [{"text": "Ben", "label": "who"}], "call Ann now")


# The form in which people give answers.


def fields_of(form: ProjectAnswerForm) -> dict[str, tuple[str, int]]:
    return {field.path: (field.kind, field.rows) for field in form.fields}


def test_the_form_tells_the_fields_of_the_rows(store: StudioStore, tmp_path: Path) -> None:
    project = brought(store, write(tmp_path / "orders.csv", as_csv(orders(40))))
    form = answer_form(store, project.id)
    assert (form.shape, form.fixed, form.pairs, form.read) == ("fields", False, False, 40)
    assert fields_of(form) == {"customer": ("text", 40), "flower": ("text", 40), "amount": ("integer", 40), "day": ("text", 30)}
    assert {one.value for one in form.fields[1].values} == {"tulips", "roses", "peonies", "lilies", "daisies"}
    assert answer_form(store, store.create("Empty", "extract").id).fields == ()


def test_a_schema_fixes_the_form(store: StudioStore) -> None:
    project = store.create("Orders", "extract")
    folder = project_folder(project.id)
    folder.mkdir(parents=True)
    schema = {"type": "object", "properties": {"size": {"enum": ["S", "M", None]}, "gift": {"type": "boolean", "description": "wrapped"}}}
    write(folder / "schema.json", json.dumps(schema))
    save_recipe(store, project, {"name": "orders", "task": "extract", "extract": {"schema_file": "schema.json"}})
    size, gift = answer_form(store, project.id).fields
    assert answer_form(store, project.id).fixed
    assert (size.kind, size.options, gift.kind, gift.about) == ("choice", ("S", "M"), "truth", "wrapped")
    with pytest.raises(InputError, match="does not fit"):
        parse_output(store.project(project.id), {"size": "XL"})


def test_values_of_several_types_do_not_break_the_form(store: StudioStore) -> None:
    project = store.create("Orders", "extract")
    store.rows(project.id).add([DataRow("a", output={"n": 1}), DataRow("b", output={"n": "two"})], "ann", "add", {})
    assert fields_of(answer_form(store, project.id)) == {"n": ("text", 2)}


def test_rows_are_found_by_what_their_answers_hold(store: StudioStore) -> None:
    rows = store.rows(store.create("Orders", "extract").id)
    rows.add([DataRow("a", output={"n": 4, "who": "Ann"}), DataRow("b", output={"n": 41, "who": "4"}), DataRow("c")], "ann", "add", {})
    rows.add([DataRow("d", output=[{"start": 0, "end": 1, "label": "50%_a"}])], "ann", "add", {})

    def found(**where: str) -> list[str]:
        return [row.input for row in rows.page(0, 9, RowFilter(**where))]

    assert found(holds="4", field="n") == ["a"] and found(holds='"Ann"', field="who") == ["a"] and found(holds='"4"', field="n") == []
    assert found(holds='"50%_a"') == ["d"] and found(holds='"50__a"') == []


# Which students can learn them.


def test_the_baseline_of_taggers_is_offered_where_a_tagger_can_learn_the_fields(store: StudioStore, tmp_path: Path) -> None:
    lexical: Any = {"student": {"kind": "lexical"}}
    project = brought(store, write(tmp_path / "orders.csv", as_csv(orders(40))))
    assert able_students(store, project)["lexical"] == "" and check_build(store, project, lexical) == []
    rows = [DataRow(f"the lamp of {name} is {word}", output={"name": name, "bad": bad})
            for name in ("Ann", "Ben", "Cleo", "Dan", "Eve", "Fay") for word, bad in (("dark", True), ("fine", False))]  # fmt: skip
    other = store.create("Lamps", "extract")
    store.rows(other.id).add(rows, "ann", "add", {})
    assert able_students(store, other)["lexical"] == "" and check_build(store, other, lexical) == []
    moods = store.create("Moods of lamps", "extract")
    store.rows(moods.id).add([DataRow(f"message {n}", output={"mood": f"m{n}"}) for n in range(9)], "ann", "add", {})
    assert "lexical" not in able_students(store, moods)
    (mistake,) = check_build(store, moods, lexical)
    assert mistake.place == "student.kind"


def test_a_quick_build_of_fields_trains_no_decoder_where_a_tagger_can_do_it(store: StudioStore, tmp_path: Path) -> None:
    project = brought(store, write(tmp_path / "orders.csv", as_csv(orders(40))))
    assert presets_of(formed_task(store, project)[0])["fast"] == {"student": {"quality": "fast", "kind": "tagger"}}
    other = store.create("Moods", "extract")
    store.rows(other.id).add([DataRow(f"message {n}", output={"mood": f"m{n}"}) for n in range(9)], "ann", "add", {})
    quick = presets_of(formed_task(store, other)[0])["fast"]
    assert quick == {"student": {"quality": "fast", "kind": "decoder"}, "train": {"time_budget": "5m"}}
    assert check_build(store, other, quick) == check_build(store, project, {"student": {"kind": "tagger"}}) == []
    (mistake,) = check_build(store, project, {"student": {"kind": "kernel"}})
    assert (mistake.place, mistake.node) == ("student.kind", "student") and "does not learn the task extract" in mistake.text
