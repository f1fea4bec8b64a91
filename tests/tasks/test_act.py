"""The task act: tools, rows, the plan of a tagger, calls from its output and from written text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.action_examples import TOOLS, call, examples, write

from smidgen.core.errors import DataError, RecipeError
from smidgen.core.rows import Row
from smidgen.tasks import action_plan, action_tools
from smidgen.tasks.act import Act, ActSettings, part
from smidgen.tasks.action_form import ActionForm
from smidgen.tasks.action_plan import SharedArguments, plan_for
from smidgen.tasks.field_parsing import stated_by_pattern, value_of

ROWS = [Row(text, output, number) for number, (text, output) in enumerate(examples(), start=1)]


@pytest.fixture
def settings(tmp_path: Path) -> ActSettings:
    write(tmp_path)
    return ActSettings(tools=str(tmp_path / "tools.json"))


@pytest.fixture
def form(settings: ActSettings) -> ActionForm:
    return part.form(ROWS, settings)


def task_of(form: ActionForm) -> Act:
    task = part.formed(form)
    assert isinstance(task, Act)
    return task


def raw(form: ActionForm, text: str, tool: int, spans: list[list[float]], reason: tuple[float, float] = (0.5, 0.5)) -> dict[str, Any]:
    """The output of a tagger for a text: the number of its tool among the choice's values, and spans."""
    assert form.tagged is not None
    values = form.tagged["choices"][0]["values"]
    chances = [0.9 if place == tool else 0.1 / (len(values) - 1) for place in range(len(values))]
    return {"spans": [spans], "choices": [[chances, list(reason)]], "inputs": [text]}


def test_calls_are_read_in_several_forms() -> None:
    wanted = call("a", x=1)
    cells: list[Any] = [
        wanted,
        json.dumps(wanted),
        {"name": "a", "arguments": {"x": 1}},
        {"function": {"name": "a", "arguments": '{"x": 1}'}},
    ]
    assert [part.parse(cell, ActSettings()) for cell in cells] == [wanted] * 4
    assert [part.parse(cell, ActSettings()) for cell in (None, "", "null", {}, " None ")] == [None] * 5
    for cell, reason in (("x", "JSON is expected"), ("[1]", "object with tool"), ({"arguments": {"x": 1}}, "names no tool")):
        with pytest.raises(ValueError, match=reason):
            part.parse(cell, ActSettings())
    with pytest.raises(ValueError, match="not 'id'"):
        part.parse({"tool": "a", "id": 1}, ActSettings())
    assert part.page.likely([json.dumps(wanted), "null", "hello"]) == pytest.approx(1 / 3)


def test_tools_are_read_and_all_mistakes_told(tmp_path: Path) -> None:
    tools, mistakes = action_tools.normal(TOOLS)
    assert mistakes == [] and action_tools.called(tools) == ("order_status", "return_order", "opening_hours")
    assert tools[2]["parameters"]["properties"] == {}
    other = {"name": "f", "parameters": {"type": "dict", "properties": {"x": {"type": "float", "default": 1}, "y": {"type": "tuple"}}}}
    ((tool,), mistakes) = action_tools.normal([other])
    assert mistakes == [] and tool["parameters"]["properties"]["x"] == {"type": "number"}
    assert tool["parameters"]["properties"]["y"] == {"type": "array", "items": {"type": "string"}}
    _, mistakes = action_tools.normal([TOOLS[0], TOOLS[0], {"description": "x"}, 3])
    assert len(mistakes) == 3 and "there twice" in mistakes[-1]
    with pytest.raises(RecipeError, match="no such file of tools"):
        action_tools.read(str(tmp_path / "gone.json"))
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(RecipeError, match="not JSON"):
        action_tools.read(str(tmp_path / "bad.json"))


def test_rows_that_cannot_teach_are_refused(settings: ActSettings) -> None:
    with pytest.raises(RecipeError, match="no tools are named"):
        part.form(ROWS, ActSettings())
    for rows, reason in (
        ([], "no rows"),
        ([Row("hello", None)] * 3, "no row has a call"),
        ([ROWS[0]] * 3, "same tool"),
        ([*ROWS, Row("x", call("fly"), 7)], "'fly' is none of the tools"),
        ([*ROWS, Row("x", call("order_status", order="12"), 7)], "does not fit its tool"),
        ([*ROWS, Row("x", call("order_status", colour="red"), 7)], "colour is not a field"),
    ):
        with pytest.raises(DataError, match=reason):
            part.form(rows, settings)


def test_the_plan_shares_arguments_and_chooses_what_texts_do_not_state(form: ActionForm) -> None:
    assert form.tagged is not None and form.tagging is not None
    assert form.tagging.kinds == ("order",) and form.tagged["left_out"] == {}
    assert [choice["path"] for choice in form.tagged["choices"]] == ["tool", "reason"]
    assert form.tagged["choices"][0]["values"] == ["order_status", "return_order", "opening_hours", None]
    marked = task_of(form).targets.spans(ROWS[:4], form)
    assert marked[0].output == {"spans": [{"start": 15, "end": 21, "label": "order"}], "choices": [0, -1]}
    assert [row.output["choices"] for row in marked[1:]] == [[1, 0], [1, 1], [2, -1]]


def test_general_messages_stand_in_for_missing_rows_without_a_call(settings: ActSettings, form: ActionForm) -> None:
    called = [row for row in ROWS if row.output is not None]
    alone = part.form(called, settings).tagged
    assert form.tagged is not None and alone is not None
    choice, with_rows = alone["choices"][0], form.tagged["choices"][0]
    most = max(sum(row.output["tool"] == tool for row in called) for tool in choice["values"][:-1])
    assert choice["values"][-1] is None and len(choice["texts"][-1]) == most > len(with_rows["texts"][-1])
    rows_without = len(ROWS) - len(called)
    assert len(with_rows["texts"][-1]) == max(0, most - rows_without)


def test_arguments_of_one_name_and_different_schemas_stay_apart() -> None:
    tools, mistakes = action_tools.normal(
        [
            {"name": "a", "parameters": {"type": "object", "properties": {"size": {"type": "integer"}, "tool": {"type": "string"}}}},
            {"name": "b", "parameters": {"type": "object", "properties": {"size": {"type": "string"}}}},
        ]
    )
    shared = SharedArguments(tools)
    assert mistakes == [] and shared.paths == {"a": {"size": "size", "a/tool": "tool"}, "b": {"b/size": "size"}}
    assert shared.flat(call("b", size="xl")) == {"tool": "b", "b/size": "xl"} and shared.flat(None) == {}


def test_an_argument_that_texts_seldom_state_is_left_out_and_said() -> None:
    tools, _ = action_tools.normal([{"name": "a", "parameters": {"type": "object", "properties": {"why": {"type": "string"}}}}])
    texts = [f"message {number}" for number in range(30)]
    plan = plan_for(texts, [call("a", why=f"reason of {number * 7}") for number in range(30)], tools)
    assert plan["kinds"] == [] and plan["left_out"] == {"why": "the texts state 0% of its values"}


def test_a_tagger_s_output_becomes_a_call(form: ActionForm) -> None:
    task = task_of(form)
    (reply,) = task.decode(raw(form, "where is FH-123", 0, [[9, 15, 0, 0.9]]), form)
    assert reply.output == call("order_status", order="FH-123") and reply.facts["spans"] == {"order": [[9, 15]]}
    assert "missing" not in reply.facts and 0 < reply.score < 1
    (reply,) = task.decode(raw(form, "it is FH-123", 1, [[6, 12, 0, 0.9]], (0.2, 0.8)), form)
    assert reply.output == call("return_order", order="FH-123", reason="unwanted")
    assert next(output for output, _ in reply.alternatives)["tool"] == "order_status"
    (reply,) = task.decode(raw(form, "hello", 3, []), form)
    assert reply.output is None and task.content(reply) == "null"


def test_what_is_missing_is_named_and_a_pattern_that_occurs_once_is_taken(form: ActionForm) -> None:
    task = task_of(form)
    (reply,) = task.decode(raw(form, "where is my order", 0, []), form)
    assert reply.output == call("order_status") and reply.facts["missing"] == ["order"]
    (reply,) = task.decode(raw(form, "where is fh-123, please", 0, []), form)
    assert reply.output == call("order_status", order="FH-123") and "missing" not in reply.facts
    (reply,) = task.decode(raw(form, "FH-123 or FH-124", 0, []), form)
    assert reply.output == call("order_status") and reply.facts["missing"] == ["order"], "two are no answer"
    (reply,) = task.decode(raw(form, "where is 9876", 0, [[9, 13, 0, 0.99]]), form)
    assert reply.output == call("order_status"), "what does not fit the pattern is not given"


def test_an_unsure_tool_is_not_called(form: ActionForm) -> None:
    unsure = {"spans": [[]], "choices": [[[0.4, 0.3, 0.2, 0.1], [0.5, 0.5]]], "inputs": ["hm"]}
    (reply,) = task_of(form).decode(unsure, form)
    assert reply.output is None and reply.score < 0.7
    bold = form.model_copy(update={"tagged": {**form.tagged, "abstain": 0.2}})
    likelier: dict[str, Any] = {"spans": [[]], "choices": [[[0.3, 0.1, 0.05, 0.55], [0.5, 0.5]]], "inputs": ["hm"]}
    assert [reply.output for reply in task_of(bold).decode(likelier, bold)] == [None], "no call is likelier than any"
    likelier["choices"][0][0] = [0.4, 0.2, 0.1, 0.3]
    assert [reply.output for reply in task_of(bold).decode(likelier, bold)] == [call("order_status")]


def test_written_calls_are_checked(form: ActionForm) -> None:
    task = task_of(form)
    texts = ['{"tool":"order_status","arguments":{"order":"FH-123"}}', "null", '{"tool":"fly","arguments":{}}', '{"tool":"order_sta']
    ones = np.ones(4, dtype=np.float32)
    written = {"texts": texts, "likelihood": 0.9 * ones, "tokens": ones, "finished": ones}
    replies = task.decode(written, form.model_copy(update={"tagged": None}))
    assert [reply.output for reply in replies] == [call("order_status", order="FH-123"), None, None, None]
    assert ["refused" in reply.facts for reply in replies] == [False, False, True, True] and replies[1].score > 0
    assert [task.targets.text(row.output, form) for row in ROWS[:1]] == ['{"tool":"order_status","arguments":{"order":"FH-100"}}']
    assert task.targets.text(None, form) == "null"


def test_a_larger_model_s_answer_is_held_to_the_tools(form: ActionForm) -> None:
    task = task_of(form)
    assert task.teaching.read('```json\n{"tool": "order_status", "arguments": {"order": "FH-123"}}\n```', form) == call(
        "order_status", order="FH-123"
    )
    assert task.teaching.read("null", form) is None and "order_status" in task.teaching.instruction(form)
    for answer, reason in (("I cannot", "no call"), ('{"tool": "fly", "arguments": {}}', "does not fit the tools")):
        with pytest.raises(ValueError, match=reason):
            task.teaching.read(answer, form)
    assert task.partial_credit.by_heart(ROWS[:3], form)[0] is not None and task.partial_credit.overlap(None, None) == 1


def test_a_form_from_elsewhere_is_checked(form: ActionForm) -> None:
    assert part.form_fault(form) == "" and ActionForm.read(form.facts()) == form
    assert form.tagged is not None
    for changes, reason in (
        ({"tagged": {**form.tagged, "choices": []}}, "first choice"),
        ({"tagged": {**form.tagged, "abstain": 2}}, "abstain is 2"),
        ({"tagged": {**form.tagged, "kinds": ["colour"]}}, "not a field"),
        ({"tools": ({"name": "x", "parameters": {"type": "string"}},)}, "tagged"),
        ({"tools": ({"description": "x"},)}, "tools cannot be used"),
    ):
        assert reason in part.form_fault(form.model_copy(update=changes))
    assert "other choices" in part.form_fault(form, {"spans": [[]], "choices": [[[1.0]]], "inputs": [""]})
    assert form.cells(call("return_order", order="FH-1", reason="broken"), {}) == ["return_order", "FH-1", "broken"]
    assert form.columns == ("tool", "order", "reason") and form.cells(None, {}) == [None] * 3


def test_the_only_date_or_number_of_a_text_is_taken_where_the_tool_needs_it() -> None:
    schema = {"day": {"type": "string", "format": "date"}, "count": {"type": "integer"}, "mail": {"type": "string", "format": "email"}}
    parameters = {"type": "object", "properties": schema, "required": ["day", "count", "mail"]}
    tools, mistakes = action_tools.normal([{"name": "book", "parameters": parameters}, {"name": "other"}])
    texts = [f"book {number} March for {number + 20} people" for number in range(1, 9)]
    taught = [call("book", day=f"2027-03-0{number}", count=number + 20) for number in range(1, 9)]
    form = ActionForm(
        tools=tuple(tools), instruction="", temperature=1.0, shift=0.0, tagged=plan_for([*texts, "hi"], [*taught, call("other")], tools)
    )
    text = "please book 5 June for twelve people, a@b.example"
    task, choices = task_of(form), [[[0.9, 0.1]]]
    (reply,) = task.decode({"spans": [[]], "choices": choices, "inputs": [text]}, form)
    assert mistakes == [] and reply.output == call("book", day="2027-06-05", count=12, mail="a@b.example")
    (reply,) = task.decode({"spans": [[]], "choices": choices, "inputs": ["5 June or 6 June, 3 or 4 people"]}, form)
    assert reply.output == call("book") and reply.facts["missing"] == ["day", "count", "mail"]


BOOKING = [
    {
        "name": "book",
        "parameters": {
            "type": "object",
            "properties": {
                "date": {"type": "string", "format": "date"},
                "time": {"type": "string", "format": "time"},
                "code": {"type": "string", "pattern": "^T-[0-9]{5}$"},
                "email": {"type": "string", "format": "email"},
            },
            "required": [],
        },
    }
]


def test_days_without_a_year_are_to_come_and_times_are_when_people_are_there() -> None:
    tools, _ = action_tools.normal(BOOKING)
    said = [
        ("book 3 December at half past two", call("book", date="2026-12-03", time="14:30")),
        ("am 5. Januar um 10 Uhr", call("book", date="2027-01-05", time="10:00")),
        ("20 January, halb zwölf", call("book", date="2027-01-20", time="11:30")),
    ]
    shared = SharedArguments(tools)
    plan = plan_for([text for text, _ in said], [one for _, one in said], tools, "2026-11-30")
    assert plan["kinds"] == ["date", "time"] and [choice["path"] for choice in plan["choices"]] == ["tool"]
    ways = dict(zip(plan["kinds"], plan["ways"], strict=True))
    days = {
        "9 December": "2026-12-09",
        "29 November": "2027-11-29",
        "30.11.": "2026-11-30",
        "29. Februar": "2028-02-29",
        "4.1.2025": "2025-01-04",
    }
    assert {told: value_of(told, ways["date"], shared.fits["date"]) for told in days} == days
    times = {"halb vier": "15:30", "9 Uhr": "09:00", "half past three": "15:30", "8 am": "08:00", "4 am": "04:00"}
    assert {told: value_of(told, ways["time"], shared.fits["time"]) for told in times} == times
    assert action_plan.fault({**plan, "abstain": 0.5, "threshold": 0.5}, shared) == ""


def test_rows_of_the_past_keep_their_year() -> None:
    tools, _ = action_tools.normal(BOOKING)
    calls = [call("book", date=f"2019-0{month}-05") for month in range(1, 5)]
    plan = plan_for(["5 January", "5 February", "5 March", "5 April"], calls, tools, "2026-11-30")
    assert plan["ways"][0]["year"] == 2019


def test_codes_and_addresses_are_read_by_their_form_whatever_the_tagger_finds() -> None:
    tools, _ = action_tools.normal(BOOKING)
    said = [("T-10442, a@b.example", call("book", code="T-10442", email="a@b.example")), ("T-20981 c@d.example", None)]
    plan = {**plan_for([text for text, _ in said], [one for _, one in said], tools), "abstain": 0.2, "threshold": 0.5}
    form = ActionForm(tools=tuple(tools), instruction="", temperature=1.0, shift=0.0, tagged=plan)
    values = plan["choices"][0]["values"]
    text = "is t 80931 still mine? mail me, jo@briefe.example"
    wrong = [[text.index("mail"), len(text), plan["kinds"].index("email"), 0.9]]
    raw = {"spans": [wrong], "choices": [[[0.9 if one == "book" else 0.1 for one in values]]], "inputs": [text]}
    (reply,) = task_of(form).decode(raw, form)
    assert reply.output == call("book", code="T-80931", email="jo@briefe.example")


def test_a_part_of_one_argument_s_code_is_no_value_of_another() -> None:
    contact = {"type": "string", "pattern": r"[\w.]+@[\w.]+|[0-9]{2}-?[0-9]{3}"}
    order = {"type": "string", "pattern": "FH-[0-9]{5}"}
    properties = {"order": order, "contact": contact}
    given = [{"name": "cancel", "parameters": {"type": "object", "properties": properties, "required": ["order", "contact"]}}]
    tools, _ = action_tools.normal(given)
    said = [("cancel FH-20411, a@b.example", call("cancel", order="FH-20411", contact="a@b.example")), ("hello", None)]
    plan = {**plan_for([text for text, _ in said], [one for _, one in said], tools), "abstain": 0.2, "threshold": 0.5}
    form = ActionForm(tools=tuple(tools), instruction="", temperature=1.0, shift=0.0, tagged=plan)
    values = plan["choices"][0]["values"]
    texts = ["please cancel FH-20104", "please cancel FH-20104, 30-201"]
    raw = {"spans": [[], []], "choices": [[[0.9 if one == "cancel" else 0.1 for one in values]]] * 2, "inputs": texts}
    alone, both = task_of(form).decode(raw, form)
    assert alone.output == call("cancel", order="FH-20104") and alone.facts["missing"] == ["contact"]
    assert both.output == call("cancel", order="FH-20104", contact="30-201")


def test_a_fixed_form_is_found_with_other_signs_and_no_other_form_is() -> None:
    found = {
        ("^FH-[0-9]{5}$", "fh 20417 and FH30218"): ["FH-20417", "FH-30218"],
        ("^[A-Z]{2}[0-9]{2} [A-Z]{3}$", "my ab12cde"): ["AB12 CDE"],
        (r"^INV/\d{4}-\d{2}$", "inv 2024 11"): ["INV/2024-11"],
        ("^[0-9]{8}$", "123 45678, 12345678, 123456789"): ["12345678"],
        ("^(A|B)-[0-9]+$", "a-12, b 13"): ["A-12"],
    }
    for (pattern, text), wanted in found.items():
        fits = re.compile(pattern).search
        assert [value for value, _ in stated_by_pattern(pattern, text, lambda value, fits=fits: fits(value) is not None)] == wanted
    assert len(found) == 5


def test_a_part_of_an_e_mail_address_stands_for_all_of_it() -> None:
    schema = {"type": "object", "properties": {"contact": {"type": "string"}}, "required": ["contact"]}
    tools, _ = action_tools.normal([{"name": "find", "parameters": schema}, {"name": "other"}])
    said = [(f"it is {name}@example.com", call("find", contact=f"{name}@example.com")) for name in ("ada", "bob", "eve")]
    plan = plan_for([text for text, _ in said] + ["hello"], [one for _, one in said] + [None], tools)
    form = ActionForm(tools=tuple(tools), instruction="", temperature=1.0, shift=0.0, tagged=plan)
    text = "I used ann-lee.hall@example.com. Regards, Ann"
    (reply,) = task_of(form).decode(
        {
            "spans": [[[15, 19, 0, 0.9, 0]]],
            "choices": [[[0.9 if one == "find" else 0.1 for one in plan["choices"][0]["values"]]]],
            "inputs": [text],
        },
        form,
    )
    assert reply.output == call("find", contact="ann-lee.hall@example.com")


def test_values_of_a_fixed_set_are_read_with_endings_and_umlauts_and_words_beside_names_are_left_out() -> None:
    node = {"type": "string", "enum": ["faerben", "kurz", "straehnen"]}
    schema = {"type": "object", "properties": {"work": node, "part": {"type": "string"}}, "required": ["part"]}
    tools, _ = action_tools.normal([{"name": "do", "parameters": schema}, {"name": "other"}])
    said = [
        ("bitte Färben und Seife", "faerben", "Seife"),
        ("kurze Haare, Creme", "kurz", "Creme"),
        ("Strähnen, die Kur", "straehnen", "die Kur"),
    ]
    rows = [(text, call("do", work=work, part=thing)) for text, work, thing in said]
    plan = plan_for([text for text, _ in rows] + ["hallo"], [one for _, one in rows] + [None], tools)
    assert plan["kinds"] == ["work", "part"] and plan["choices"][0]["kinds"] == [[0, 1], []]
    assert plan["choices"][1]["texts"] == ["faerben", "kurz", "straehnen"]
    assert action_plan.fault({**plan, "abstain": 0.5, "threshold": 0.5}, SharedArguments(tools)) == ""
    form = ActionForm(tools=tuple(tools), instruction="", temperature=1.0, shift=0.0, tagged=plan)
    text = "kurzes Haar mit Wachs, bitte"
    chances = [[[0.9, 0.1], [0.4, 0.3, 0.3]]]
    spans = [[[0, 6, 0, 0.9, 0], [12, 28, 1, 0.9, 0], [16, 21, 1, 0.3, 1]]]
    (reply,) = task_of(form).decode({"spans": spans, "choices": chances, "inputs": [text]}, form)
    assert reply.output == call("do", work="kurz", part="Wachs")
