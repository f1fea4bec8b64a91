"""The part of JSON Schema that is supported: what is read, what is refused and why, and that the engine can hold a text to all of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from smidgen.core.errors import RecipeError
from smidgen.tasks import field_schema
from smidgen.tasks.field_values import FieldValues


def of(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields)}


def made(given: Any) -> dict[str, Any]:
    schema, mistakes = field_schema.normal(given)
    assert mistakes == []
    return schema


def test_one_form_of_many_spellings() -> None:
    null = {"type": "null"}
    spellings = [
        {"type": ["string", "null"]},
        {"anyOf": [{"type": "string"}, null], "title": "A", "default": None},
        {"oneOf": [null, {"$ref": "#/$defs/name"}]},
    ]
    found = [made({**of(a=spelling), "$defs": {"name": {"type": "string", "title": "Name"}}}) for spelling in spellings]
    assert len(found) == 3 and all(one == found[0] for one in found)
    assert found[0]["properties"]["a"] == {"type": ["string", "null"]} and found[0]["additionalProperties"] is False
    assert made(of(a={"enum": ["x", "y", None]})) == made(of(a={"anyOf": [{"enum": ["x", "y"]}, null]}))
    assert made(of(a={"const": 3}))["properties"]["a"] == {"type": "integer", "enum": [3]}
    assert made(of(a={"enum": [1, 2.5]}))["properties"]["a"]["type"] == "number"
    assert made(of(a={"type": ["string", "null"], "enum": ["x"]}))["properties"]["a"] == {"type": "string", "enum": ["x"]}


def test_what_pydantic_writes_is_read() -> None:
    class Kind(StrEnum):
        late = "late"
        lost = "lost"

    class Item(BaseModel):
        name: str
        count: int | None = None

    class Order(BaseModel):
        """An order."""

        number: str = Field(pattern="^A[0-9]+$", description="as printed")
        kind: Kind
        maybe: Kind | None = None
        items: list[Item] = Field(default=[], max_length=3)
        paid: bool

    schema = made(Order.model_json_schema())
    assert list(schema["properties"]) == ["number", "kind", "maybe", "items", "paid"] and schema["required"] == ["number", "kind", "paid"]
    assert schema["properties"]["maybe"] == {"type": ["string", "null"], "enum": ["late", "lost", None]} | {
        key: value for key, value in schema["properties"]["maybe"].items() if key == "description"
    }
    assert schema["properties"]["items"]["items"]["properties"]["count"] == {"type": ["integer", "null"]}
    assert "as printed" in field_schema.told(schema) and "description" not in json.dumps(field_schema.bare(schema))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ([], "an object with properties"),
        ({"type": "array", "items": {"type": "string"}}, "an object is expected, not array"),
        ({"type": "object"}, "no properties"),
        (of(a={"type": "strong"}), "strong"),
        (of(a={}), "a: it has no type"),
        (of(a={"type": ["string", "integer"]}), "string or integer"),
        (of(a={"anyOf": [{"type": "string"}, {"type": "integer"}]}), "several types"),
        (of(a={"type": "string", "contentEncoding": "base64"}), "'contentEncoding' is not supported"),
        (of(a={"type": "string", "minimum": 3}), "'minimum' goes with integer, not string"),
        (of(a={"type": "integer", "multipleOf": 3}), "'multipleOf' is not supported"),
        (of(a={"type": "string", "format": "hostname"}), "date, email, uuid"),
        (of(a={"type": "string", "pattern": "(?=x)y"}), "looks around"),
        (of(a={"type": "string", "pattern": r"(a)\1"}), "looks around or back"),
        (of(a={"type": "string", "pattern": "["}), "'['"),
        (of(a={"enum": ["x", 1]}), "string or integer"),
        (of(a={"type": "integer", "enum": ["x"]}), "its enum has values that are no integer"),
        (of(a={"type": "array"}), "a: no items"),
        (of(a={"$ref": "#/$defs/gone"}), "refers to nothing"),
        (of(a={"$ref": "https://example.com/x"}), "another document"),
        ({**of(a={"$ref": "#/$defs/loop"}), "$defs": {"loop": of(b={"$ref": "#/$defs/loop"})}}, "nested more than 6 deep"),
        ({**of(a={"type": "string"}), "additionalProperties": True}, "additionalProperties must be false"),
        ({**of(a={"type": "string"}), "required": ["b"]}, "required names 'b'"),
        ({**of(a={"type": "string"}), "if": {}}, "'if' is not supported"),
        (of(**{"a.b": {"type": "string"}}), "no dot"),
        (of(**{f"f{n}": {"type": "string"} for n in range(201)}), "more than 200 fields"),
    ],
)
def test_what_is_refused_is_told(given: Any, reason: str) -> None:
    _, mistakes = field_schema.normal(given)
    assert mistakes and reason in " ".join(mistakes)


def test_only_what_is_a_step_down_counts_as_one() -> None:
    class Place(BaseModel):
        name: str

    class Line(BaseModel):
        place: Place | None = None

    class Order(BaseModel):
        lines: list[Line] | None = None

    class Letter(BaseModel):
        order: Order | None = None

    inner = made(Letter.model_json_schema())["properties"]["order"]["properties"]["lines"]["items"]["properties"]["place"]
    assert inner["properties"] == {"name": {"type": "string"}} and inner["type"] == ["object", "null"]
    round_about = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}
    _, mistakes = field_schema.normal(of(a=round_about["$defs"]["a"]) | {"$defs": round_about["$defs"]})
    assert mistakes and "refers to itself" in mistakes[0]
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(9):
        deep = {"anyOf": [deep, {"type": "null"}]}
    _, mistakes = field_schema.normal(of(a=deep))
    assert mistakes and "nested more than" in mistakes[0]


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(of(a={"type": "string", "format": "ipv4"}, b={"type": "null"})), encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        field_schema.read(str(file))
    assert len(caught.value.mistakes) == 2 and "schema.json" in str(caught.value)
    file.write_text("{", encoding="utf-8")
    with pytest.raises(RecipeError, match="not JSON"):
        field_schema.read(str(file))
    with pytest.raises(RecipeError, match="no such schema"):
        field_schema.read(str(tmp_path / "gone.json"))


EVERYTHING = of(
    short={"type": "string", "minLength": 1, "maxLength": 5},
    number={"type": "string", "pattern": "^FH-[0-9]{5}$"},
    inside={"type": "string", "pattern": "x[0-9]", "maxLength": 6},
    day={"type": ["string", "null"], "format": "date"},
    id={"type": "string", "format": "uuid"},
    count={"type": "integer", "minimum": 1, "exclusiveMaximum": 50},
    price={"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 9.5},
    latitude={"type": "number", "minimum": 52.5200066, "maximum": 52.5200067},
    choice={"enum": ["a b", "c", None]},
    size={"enum": [1, 2.5]},
    yes={"type": "boolean"},
    tags={"type": "array", "items": {"type": "string", "maxLength": 3}, "minItems": 1, "maxItems": 2},
    lines={
        "type": "array",
        "items": of(p={"type": "string", "maxLength": 3}, q={"type": ["integer", "null"], "maximum": 9, "minimum": 0}),
        "maxItems": 2,
    },
    inner=of(deep={"type": "boolean"}),
)


@pytest.fixture(scope="module")
def held() -> Iterator[Any]:
    """A small model that knows nothing of any schema, held to one that uses every keyword there is."""
    import tempfile

    from tests.engines.llama_model import options, write_tokenizer

    from smidgen.bases import lookup
    from smidgen.engines.llama import part

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = lookup.find("smollm2").folder / "SmolLM2-135M-Instruct.Q4_1.gguf"
        (folder / "model.gguf").symlink_to(base)
        write_tokenizer(base, folder / "tokenizer.json")
        schema = field_schema.bare(made(EVERYTHING))
        runner = part.open(folder, options(schema_of_answers=schema, max_tokens=400), 1)
        yield runner
        runner.close()


def test_the_engine_holds_answers_to_every_keyword(held: Any) -> None:
    used = {word for node in _nodes(made(EVERYTHING)) for word in node}
    known = {word for words in field_schema._OF.values() for word in words} | {"type", "enum"}
    assert used - {"description"} == known - (set() if "exclusiveMinimum" in used else {"exclusiveMinimum"})
    raw = held.run(["Write me a poem about {}.", "]]]"])
    assert len(raw["texts"]) == 2
    for text, finished in zip(raw["texts"], raw["finished"], strict=True):
        assert finished == 1
        read = json.loads(text)
        # Compact: no blank but in texts. (A number may have more zeros than it needs.)
        assert not re.search(r"\s", re.sub(r'"(?:\\.|[^"\\])*"', '""', text))
        assert len(text) < 400
        checker = Draft202012Validator.FORMAT_CHECKER
        faults = [error.message for error in Draft202012Validator(EVERYTHING).iter_errors(read)]
        assert faults == []
        assert list(read) == list(EVERYTHING["properties"]) and checker is not None


def _nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for node in schema.get("properties", {}).values():
        yield from _nodes(node)
    if "items" in schema:
        yield from _nodes(schema["items"])


def test_values_are_brought_into_their_types() -> None:
    values = FieldValues(made(of(n={"type": ["integer", "null"]}, x={"type": "number"}, t={"type": "string"}, b={"type": "boolean"})))
    settled = values.settled({"b": "Yes", "t": " a ", "x": "2.50", "n": ""})
    assert settled == {"n": None, "x": 2.5, "t": "a", "b": True} and list(settled) == ["n", "x", "t", "b"]
    assert values.settled({"n": 2.0, "x": 45.0, "t": "", "b": False}) == {"n": 2, "x": 45, "t": "", "b": False}
    assert isinstance(values.settled({"n": 2.0, "x": 45.0, "t": "a", "b": False})["n"], int)
    for wrong, reason in (
        ({"x": 1, "t": "a", "b": True, "z": 1}, "z is not a field"),
        ({"n": 1.5, "x": 1, "t": "a", "b": True}, "n is a whole number, not 1.5"),
        ({"x": "much", "t": "a", "b": True}, "x is a number"),
        ({"x": True, "t": "a", "b": True}, "x is a number"),
        ({"x": "nan", "t": "a", "b": True}, "x is a number"),
        ({"x": 1, "t": 5, "b": True}, "t is a text, not 5"),
        ({"x": 1, "t": "a", "b": "perhaps"}, "b is true or false"),
        ({"x": 1, "t": "a\0", "b": True}, "t holds a NUL"),
        ({"t": "a", "b": True}, "x has no value"),
    ):
        with pytest.raises(ValueError, match=reason):
            values.settled(wrong)
    assert FieldValues(made(of(d={"type": "string", "format": "date"}))).fault({"d": "2026-02-30"}).startswith("d: ")


def test_a_schema_is_derived_from_rows() -> None:
    rows = [
        {"kind": ("late", "lost")[n % 2], "name": f"n{n}", "n": n, "price": n / 2, "day": f"2026-01-{n + 1:02}", "tags": ["a"] * (n % 3)}
        | ({"note": "x"} if n else {})
        | {"who": None if n == 4 else {"first": "A", "age": n}, "empty": None}
        for n in range(24)
    ]
    schema = made(field_schema.derived(rows))
    fields = schema["properties"]
    assert fields["kind"] == {"type": ["string", "null"], "enum": ["late", "lost", None]}
    assert [fields[name]["type"] for name in ("name", "n", "price")] == [["string", "null"], ["integer", "null"], ["number", "null"]]
    assert fields["day"] == {"type": ["string", "null"], "format": "date"} and fields["tags"]["items"]["type"] == "string"
    assert fields["who"]["type"] == ["object", "null"] and list(fields["who"]["properties"]) == ["first", "age"]
    assert fields["note"]["type"] == "string", "it may be left out"
    assert "empty" not in fields and "note" not in schema["required"] and "kind" in schema["required"]
    values = FieldValues(schema)
    assert [values.fault(values.settled(row)) for row in rows] == [""] * 24
    bare = values.settled({"tags": []})
    assert values.fault(bare) == "" and bare["kind"] is None, "a text may state none of what every row had"


def test_values_of_several_types_cannot_be_derived() -> None:
    with pytest.raises(ValueError, match="'a' is mostly integer, and string in 1 rows, such as \"x\""):
        field_schema.derived([{"a": 1}, {"a": 2}, {"a": "x"}])
