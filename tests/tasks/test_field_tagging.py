"""Fields by a tagger: which stand in the texts, how words become values, what a tagger cannot do, and objects out of what it finds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.forms import field_form

from smidgen.core.rows import Row
from smidgen.tasks import field_parsing, field_schema, field_tagging
from smidgen.tasks.extract import ExtractSettings, part
from smidgen.tasks.field_filling import FieldFiller
from smidgen.tasks.field_values import FieldValues

ANY = ExtractSettings()


def schema_of(required: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    made, mistakes = field_schema.normal({"type": "object", "properties": fields, "required": list(required)})
    assert not mistakes
    return made


def plan_of(schema: dict[str, Any], *rows: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    values = FieldValues(schema)
    return field_tagging.plan_for([text for text, _ in rows], [values.settled(output) for _, output in rows], schema)


def marks(schema: dict[str, Any], plan: dict[str, Any], *rows: tuple[str, dict[str, Any]]) -> list[list[tuple[str, str]]]:
    """The words that are marked, with their fields."""
    form = field_form(schema, tagged=plan)
    task = part.formed(form)
    found = task.targets.spans([Row(text, output) for text, output in rows], form)
    return [[(span["label"], row.input[span["start"] : span["end"]]) for span in row.output["spans"]] for row in found]  # type: ignore[misc]


def raw(text: str, plan: Mapping[str, Any], *found: tuple[str, str, float], choices: Any = None) -> dict[str, Any]:
    """What a tagger may say of a text: fields, their words, and chances."""
    spans = [[text.index(words), text.index(words) + len(words), plan["kinds"].index(path), chance] for path, words, chance in found]
    return {"spans": [spans], "inputs": [text], **({"choices": [choices]} if choices else {})}


def test_the_sample_of_the_shop_can_be_tagged() -> None:
    folder = files("smidgen") / "samples" / "homeware"
    schema, _ = field_schema.normal(json.loads((folder / "fields_schema.json").read_text(encoding="utf-8")))
    rows = [json.loads(line) for line in (folder / "fields_train.jsonl").read_text(encoding="utf-8").splitlines()]
    plan = plan_of(schema, *((row["text"], row["fields"]) for row in rows))
    assert plan["kinds"] == ["order_number", "product", "quantity", "date"]
    assert [choice["path"] for choice in plan["choices"]] == ["problem", "wanted", "photo"]
    assert plan["choices"][1]["values"] == ["replacement", "refund", "exchange", "spare_part", None]
    order, _, _, date = plan["ways"]
    assert date["day_first"] is True and date["year"] == 2026
    fits = field_tagging.fitting(schema)
    for words in ("FH-20417", "20417", "fh 20417", "FH20417"):
        assert field_parsing.value_of(words, order, fits["order_number"]) == "FH-20417"
    assert field_parsing.value_of("2041", order, fits["order_number"]) is None
    text = rows[0]["text"]
    assert marks(schema, plan, (text, rows[0]["fields"])) == [
        [("quantity", "two"), ("product", "Kelp Mug"), ("order_number", "FH-20417"), ("date", "3 March")]
    ]
    assert json.loads(json.dumps(plan)) == plan


@pytest.mark.parametrize(
    ("node", "rows", "words", "value"),
    [
        ({"type": "number"}, [("it is 1.250 €", 1250), ("2.500 €", 2500), ("3,5 €", 3.5)], "4.750", 4750),
        ({"type": "number"}, [("it is 1.250", 1.25), ("2.5", 2.5)], "4.750 kg", 4.75),
        ({"type": "string", "format": "date"}, [("on 04/13/2026", "2026-04-13"), ("03/04/2026", "2026-03-04")], "05/06/2026", "2026-05-06"),
        ({"type": "string"}, [("3 March 2026", "2026-03-03"), ("on 4 March", "2025-03-04")], "5 March", "2025-03-05"),
        ({"type": "string"}, [("3/14/26", "2026-03-14"), ("4/15/26", "2026-04-15")], "3/4/26", "2026-03-04"),
        ({"type": "string"}, [("on 12/05/17", "1917-05-12"), ("14/05/11", "1911-05-14")], "3/4/18", "1918-04-03"),
        ({"type": "string"}, [("on 12/05/71", "2071-05-12"), ("14/05/21", "2021-05-14")], "3/4/70", "2070-04-03"),
        ({"type": "string"}, [("3 March 12 mugs", "2026-03-03"), ("4 March 10:30", "2026-03-04")], "5 March", "2026-03-05"),
        ({"type": "number"}, [("it is 12,50", 12.5), ("1.250,75 €", 1250.75), ("99,90", 99.9)], "1.250", 1250),
        ({"type": "number"}, [("it is 12.50", 12.5), ("1,250.75", 1250.75), ("99.90", 99.9)], "1,250", 1250),
        ({"enum": ["wrong_item", "late"]}, [("Wrong item!", "wrong_item"), ("it is LATE", "late")], "the wrong-item", "wrong_item"),
        ({"enum": [1, 2]}, [("two of them", 2), ("1 of them", 1)], "2", 2),
        ({"type": "boolean"}, [("photo: yes", True), ("photo: no", False)], "No", False),
        ({"type": "string"}, [("to berlin", "Berlin"), ("to paris", "Paris")], "rome", "Rome"),
        ({"type": "string"}, [("Kelp\n Mug", "Kelp Mug"), ("a Jug", "Jug")], "Oak\tStool", "Oak Stool"),
        ({"type": "string"}, [("1 High St\nKiel", "1 High St\nKiel"), ("2 Low St", "2 Low St")], " 3 Mid St\nBonn", "3 Mid St\nBonn"),
        ({"type": "string"}, [("AB 12 34", "AB1234"), ("cd-56-78", "CD5678"), ("EF 90 12", "EF9012")], "gh 34 56", "GH3456"),
    ],
)
def test_words_become_values_as_the_rows_show(node: dict[str, Any], rows: list[tuple[str, Any]], words: str, value: Any) -> None:
    schema = schema_of(field=node)
    plan = plan_of(schema, *((text, {"field": wanted}) for text, wanted in rows))
    assert plan["kinds"] == ["field"]
    found = field_parsing.value_of(words, plan["ways"][0], field_tagging.fitting(schema)["field"])
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("values", "words", "value"),
    [
        (["A+", "A-"], "A-", "A-"),
        (["A+", "A-"], "a-", "A-"),
        (["A+", "A-"], "A", None),
        (["A+", "A-", "B"], "group A - or so", None),
        (["C", "C++"], "C++", "C++"),
        (["C", "C++"], "C", "C"),
        (["us", "US"], "US", "US"),
        (["us", "US"], "Us", None),
        (["wrong_item", "late"], "a Wrong-Item!", "wrong_item"),
    ],
)
def test_a_choice_keeps_the_signs_and_the_case_that_tell_it_from_another(values: list[str], words: str, value: str | None) -> None:
    assert field_parsing.value_of(words, {"kind": "words", "values": values}, lambda _: True) == value


def test_the_signs_of_a_choice_are_marked_with_it() -> None:
    schema = schema_of(blood={"enum": ["A+", "A-", "B+"]})
    rows = [(f"Group {group}, {n} units", {"blood": group}) for n in range(4) for group in ("A+", "B+", "A-")]
    plan = plan_of(schema, *rows)
    assert marks(schema, plan, *rows[:3]) == [[("blood", "A+")], [("blood", "B+")], [("blood", "A-")]]
    text = "Group A-, 5 units"
    (reply,) = FieldFiller(FieldValues(schema), field_form(schema, tagged=plan)).decode(raw(text, plan, ("blood", "A-", 0.9)))
    assert reply.output == {"blood": "A-"}


def test_of_overlapping_spans_the_likeliest_is_given() -> None:
    schema = schema_of(products={"type": "array", "items": {"type": "string"}}, other={"type": ["string", "null"]})
    plan = plan_of(schema, *((f"n{n} or m{n}", {"products": [f"n{n}"], "other": f"m{n}"}) for n in range(9)))
    filler = FieldFiller(FieldValues(schema), field_form(schema, tagged=plan | {"threshold": 0.4}))
    found = (("products", "Kelp Mug", 0.52), ("products", "Mug", 0.45), ("other", "Kelp Mug", 0.44))
    (reply,) = filler.decode(raw("Kelp Mug", plan, *found))
    assert reply.output == {"products": ["Kelp Mug"], "other": None} and reply.score == pytest.approx(0.52, abs=1e-6)


def test_many_unlikely_places_are_no_likely_value() -> None:
    schema = schema_of(count={"type": "integer"})
    plan = plan_of(schema, *((f"{n} of", {"count": n}) for n in range(2, 9)))
    filler = FieldFiller(FieldValues(schema), field_form(schema, tagged=plan))
    spans = [[2 * n, 2 * n + 1, 0, 0.06] for n in range(60)]
    (reply,) = filler.decode({"spans": [[*spans, [120, 121, 0, 0.95]]], "inputs": ["2 " * 60 + "7"]})
    assert reply.output == {"count": 7}
    many = 5_000
    (long,) = filler.decode({"spans": [[[2 * n, 2 * n + 1, 0, 0.9] for n in range(many)]], "inputs": ["2 " * many]})
    assert long.output == {"count": 2} and long.facts == {"scores": {"count": 0.9}, "spans": {"count": [[0, 1]]}}


def test_a_word_in_another_case_comes_before_a_piece_of_a_word() -> None:
    assert [(place.start, place.end) for place in field_parsing.places("Smuggled in: one Mug", "mug", "text")] == [(17, 20)]
    assert [(place.start, place.end) for place in field_parsing.places("ein Teekrug", "krug", "text")] == [(7, 11)]


def test_a_choice_among_numbers_is_taught() -> None:
    schema = schema_of(name={"type": "string"}, size={"type": "number", "enum": [1.0, 2.0, 2.5]})
    rows = [(f"n{n} said so", {"name": f"n{n}", "size": (1, 2, 2.5)[n % 3]}) for n in range(9)]
    plan = plan_of(schema, *rows)
    form = field_form(schema, tagged=plan)
    task = part.formed(form)
    assert [choice["path"] for choice in plan["choices"]] == ["size"]
    found = task.targets.spans([Row(text, FieldValues(schema).settled(output)) for text, output in rows], form)
    assert [row.output["choices"] for row in found[:3]] == [[0], [1], [2]]


def test_a_value_that_the_schema_bars_is_none() -> None:
    schema = schema_of(count={"type": "integer", "minimum": 1, "maximum": 9})
    plan = plan_of(schema, ("2 of", {"count": 2}), ("3 of", {"count": 3}))
    fits = field_tagging.fitting(schema)["count"]
    found = [field_parsing.value_of(words, plan["ways"][0], fits) for words in ("4", "12", "0", "2.5", "none")]
    assert found == [4, None, None, None, None]


def test_what_a_tagger_cannot_fill_in_is_told_with_its_field() -> None:
    lines = {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}}
    assert plan_of(schema_of(lines=lines), ("x", {"lines": [{"sku": "x"}]})) == {"against": ["lines is a list of objects"]}
    grid = {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}
    assert plan_of(schema_of(grid=grid), ("x", {"grid": [["x"]]})) == {"against": ["grid is a list of lists"]}
    title = schema_of(title={"type": "string"}, name={"type": "string"})
    rows = [(f"from n{n}", {"title": "An order", "name": f"n{n}"}) for n in range(10)]
    assert plan_of(title, *rows) == {"against": ["title: the texts state 0% of its values, 95% are needed"]}
    mood = schema_of(mood={"enum": ["good", "bad"]})
    assert plan_of(mood, ("hurray", {"mood": "good"}), ("ouch", {"mood": "bad"})) == {
        "against": ["no field has values that the texts state"]
    }
    # The same words cannot be marked for two fields.
    twice = schema_of(buyer={"type": "string"}, payer={"type": "string"})
    (reason,) = plan_of(twice, *((f"from n{n}", {"buyer": f"n{n}", "payer": f"n{n}"}) for n in range(9)))["against"]
    assert "0% of its values" in reason


def test_nineteen_of_twenty_are_enough() -> None:
    schema = schema_of(name={"type": "string"})
    rows = [(f"from n{n}", {"name": f"n{n}"}) for n in range(20)]
    assert plan_of(schema, *rows[:19], ("from you", {"name": "n20"}))["kinds"] == ["name"]
    assert "90%" in plan_of(schema, *rows[:18], *[("from you", {"name": "n20"})] * 2)["against"][0]


def test_of_several_places_the_one_that_is_meant_is_marked() -> None:
    schema = schema_of(count={"type": ["integer", "null"]}, date={"type": ["string", "null"], "format": "date"}, name={"type": "string"})
    rows: list[tuple[str, dict[str, Any]]] = [(f"room {n}: {n + 3} guests, Ann", {"count": n + 3, "name": "Ann"}) for n in range(12, 30)]
    unclear = ("room 3: 3 guests on 3 March, Ann and Ann", {"count": 3, "date": "2026-03-03", "name": "Ann"})
    plan = plan_of(schema, *rows, unclear)
    found = marks(schema, plan, *rows, unclear)[-1]
    assert found == [("count", "3"), ("date", "3 March"), ("name", "Ann"), ("name", "Ann")]
    form = field_form(schema, tagged=plan)
    task = part.formed(form)
    (place,) = [s for s in task.targets.spans([Row(t, o) for t, o in (*rows, unclear)], form)[-1].output["spans"] if s["label"] == "count"]
    assert place["start"] == unclear[0].index("3 guests")


def test_objects_and_lists() -> None:
    buyer = {
        "type": ["object", "null"],
        "properties": {"name": {"type": "string"}, "town": {"type": ["string", "null"]}},
        "required": ["name"],
    }
    schema = schema_of(("tags",), buyer=buyer, tags={"type": "array", "items": {"type": "string"}})
    rows = [
        ("Ann of Kiel: red, blue", {"buyer": {"name": "Ann", "town": "Kiel"}, "tags": ["red", "blue"]}),
        ("green", {"buyer": None, "tags": ["green"]}),
    ]
    plan = plan_of(schema, *rows)
    assert plan["kinds"] == ["buyer.name", "buyer.town", "tags"]
    assert marks(schema, plan, rows[0]) == [[("buyer.name", "Ann"), ("buyer.town", "Kiel"), ("tags", "red"), ("tags", "blue")]]
    filler = FieldFiller(FieldValues(schema), field_form(schema, tagged=plan))
    text = "blue and red for Bob, not Tom"
    found = (("tags", "red", 0.9), ("tags", "blue", 0.8), ("buyer.name", "Bob", 0.7), ("buyer.name", "Tom", 0.2), ("tags", "and", 0.1))
    (reply,) = filler.decode(raw(text, plan, *found))
    assert reply.output == {"buyer": {"name": "Bob", "town": None}, "tags": ["blue", "red"]}
    assert reply.score == pytest.approx(0.9 * 0.8 * 0.7 * 0.9, abs=1e-6)
    assert reply.facts["spans"]["tags"] == [[0, 4], [9, 12]] and reply.facts["scores"]["buyer.name"] == 0.7
    (nothing,) = filler.decode(raw("hm", plan))
    assert nothing.output == {"buyer": None, "tags": []} and nothing.score > 0.99


def test_a_required_field_that_is_not_found_is_a_refusal() -> None:
    schema = schema_of(
        ("name", "kind"), name={"type": "string", "maxLength": 5}, kind={"enum": ["a", "b"]}, count={"type": ["integer", "null"]}
    )
    rows = [(f"n{n} wants {n}", {"name": f"n{n}", "kind": "ab"[n % 2], "count": n}) for n in range(8)]
    form = field_form(schema, tagged=plan_of(schema, *rows))
    task, valid = part.formed(form), Draft202012Validator(schema)
    choices = [[0.3, 0.7]]
    (reply,) = task.decode(raw("n9 wants 3", form.tagged, ("name", "n9", 0.9), ("count", "3", 0.3), choices=choices), form)
    assert reply.output == {"name": "n9", "kind": "b", "count": None} and valid.is_valid(reply.output)
    assert reply.score == pytest.approx(0.9 * 0.7 * 0.7, abs=1e-6) and json.loads(task.content(reply)) == reply.output
    # Not found; too unlikely; longer than the schema lets a name be.
    unlike = [(), (("name", "n9", 0.3),), (("name", "n9 wants", 0.9),)]
    refused = [task.decode(raw("n9 wants 3", form.tagged, *found, choices=choices), form)[0] for found in unlike]
    assert [(one.output, one.score) for one in refused] == [(None, 0.0)] * 3
    assert all("name has no value" in one.facts["refused"] for one in refused) and task.content(refused[0]) == ""


def test_a_value_that_does_not_fit_is_left_out_and_the_others_are_given() -> None:
    tags = {"type": "array", "items": {"type": "string"}, "maxItems": 2}
    schema = schema_of(("tags",), price={"type": ["number", "null"]}, name={"type": ["string", "null"]}, tags=tags)
    plan = plan_of(schema, *((f"{n} euros, n{n}: a{n}", {"price": n, "name": f"n{n}", "tags": [f"a{n}"]}) for n in range(9)))
    filler = FieldFiller(FieldValues(schema), field_form(schema, tagged=plan))
    for words, good in (("9" * 400, "12"), ("9" * 5000, "12")):
        (reply,) = filler.decode(raw(f"{words} or {good}", plan, ("price", words, 0.9), ("price", good, 0.6)))
        assert reply.output == {"price": 12, "name": None, "tags": []}
    found = (("name", "a\0b", 0.9), ("tags", "red", 0.7), ("tags", "blue", 0.8), ("tags", "green", 0.9))
    (reply,) = filler.decode(raw("a\0b: red, blue, green", plan, *found))
    assert reply.output == {"price": None, "name": None, "tags": ["blue", "green"]}
    assert reply.score == pytest.approx(0.9 * 0.8 * 0.3, abs=1e-6), "red is not given, however likely it is"


def test_the_threshold_is_the_best_of_the_answers_that_are_served() -> None:
    other = {"type": ["string", "null"]}
    schema = schema_of(("name",), name={"type": "string"}, town=other, street=other, land=other)
    plan = plan_of(
        schema, ("n of t", {"name": "n", "town": "t"}), ("s, l", {"name": "s", "street": "l"}), ("s, l", {"name": "s", "land": "l"})
    )
    # From 0.43 on there would be a right town and no wrong street and land, but no name: every answer is refused.
    row = Row("n of t in s in l", {"name": "n", "town": "t"})
    found = raw("n of t in s in l", plan, ("name", "n", 0.42), ("town", "t", 0.9), ("street", "s", 0.5), ("land", "l", 0.5))
    both = {"spans": found["spans"] * 9, "inputs": [row.input] * 9}
    assert FieldFiller(FieldValues(schema), field_form(schema, tagged=plan)).threshold(both, [row] * 9) <= 0.42


def test_the_decision_is_fitted_on_held_rows() -> None:
    rows = [Row(f"from n{n} now", {"name": f"n{n}"}, n) for n in range(40)]
    form = part.form(rows, ANY)
    task = part.formed(form)
    assert task.students == ("tagger", "decoder") and form.tagged["threshold"] == 0.5
    # Right at 0.35, wrong at 0.25: each row has one of the two.
    found = [raw(row.input, form.tagged, *([("name", f"n{n}", 0.35)] if n % 2 else [("name", "now", 0.25)])) for n, row in enumerate(rows)]
    all_of = {"spans": [one["spans"][0] for one in found], "inputs": [row.input for row in rows]}
    fitted = task.calibrate(all_of, rows, form, ANY)
    assert 0.25 < fitted.tagged["threshold"] <= 0.35 and fitted.temperature > 0
    replies = task.decode(all_of, fitted)
    assert [reply.output for reply in replies[:2]] == [{"name": None}, {"name": "n1"}], "no row lacks it, and a text may all the same"
    assert sum(reply.output["name"] is not None for reply in replies) == 20
    written = {"texts": [], "likelihood": [], "tokens": [], "finished": []}
    assert "tagged" not in task.calibrate(written, [], form, ANY), "a decoder's bundle has no use for it"


def test_a_stretch_of_time_counts_in_the_unit_that_the_rows_show() -> None:
    schema = field_schema.normal({"type": "object", "properties": {"late": {"type": "integer"}}})[0]
    texts = ["20 minutes late", "half an hour late", "we lose a quarter of an hour", "+15", "an hour and a half behind"]
    plan = field_tagging.plan_for(texts, [{"late": minutes} for minutes in (20, 30, 15, 15, 90)], schema)
    (way,) = plan["ways"]
    assert way["kind"] == "minutes" and field_tagging.fault(plan, schema) == ""
    fits = field_tagging.fitting(schema)["late"]
    said = {"two hours": 120, "three quarters of an hour": 45, "25": 25, "12 min": 12, "soon": None, "30 seconds": None}
    assert {words: field_parsing.value_of(words, way, fits) for words in said} == said


def test_a_plain_number_beside_a_unit_stays_a_number() -> None:
    schema = field_schema.normal({"type": "object", "properties": {"hours": {"type": "integer"}}})[0]
    plan = field_tagging.plan_for(["2 hours", "three hours", "4 of them"], [{"hours": count} for count in (2, 3, 4)], schema)
    assert plan["ways"][0]["kind"] == "number"
