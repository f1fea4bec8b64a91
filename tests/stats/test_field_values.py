"""What counts as the same value of a field, and the metrics that are made of it."""

from __future__ import annotations

from typing import Any

import pytest

from smidgen.stats import classification_metrics, extraction_metrics, field_values


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": " x "}, {"a": "x"}),
        ({"a": 2}, {"a": 2.0}),
        ({"a": None, "b": ""}, {}),
        ({"a": []}, {"a": None}),
        ({"a": ["x", "y"]}, {"a": ["y", "x"]}),
        ({"a": [{"p": 1, "q": "z"}, {"p": 2}]}, {"a": [{"p": 2, "q": None}, {"q": "z", "p": 1}]}),
        ({"o": {"i": 1, "j": None}}, {"o": {"i": 1}}),
    ],
)
def test_what_counts_as_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert field_values.equal_fields(one, other) and field_values.equal_fields(other, one) and field_values.fields_f1(one, other) == 1.0
    assert classification_metrics.same_labels([one], [other]).tolist() == [True]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": "X"}, {"a": "x"}),
        ({"a": "2"}, {"a": 2}),
        ({"a": True}, {"a": 1}),
        ({"a": False}, {}),
        ({"a": 0}, {}),
        ({"a": ["x", "x"]}, {"a": ["x"]}),
        ({"a": 1}, {"b": 1}),
        ({"o": {"i": 1}}, {"i": 1}),
        ({"a": [{"p": 1}, {"q": 2}]}, {"a": [{"p": 1, "q": 2}]}),
    ],
)
def test_what_does_not(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert not field_values.equal_fields(one, other) and field_values.fields_f1(one, other) < 1.0
    assert classification_metrics.same_labels([one], [other]).tolist() == [False]


def test_no_answer_is_not_an_answer_without_values() -> None:
    assert (
        not field_values.equal_fields({}, None)
        and not field_values.equal_fields({"a": None}, None)
        and field_values.equal_fields(None, None)
    )
    assert field_values.fields_f1({}, None) == 0.0 and field_values.fields_f1({}, {"a": None}) == 1.0
    assert classification_metrics.same_labels([{}], [None]).tolist() == [False]


def test_metrics_by_hand() -> None:
    gold = [{"a": "x", "b": 1, "c": None}, {"a": "y", "b": 2, "c": ["p", "q"]}, {"a": None, "b": None, "c": None}]
    got: list[Any] = [{"a": "x", "b": 3, "c": None}, {"a": "y", "b": 2, "c": ["q"]}, None]
    found = extraction_metrics.measure_fields(gold, got)
    # Wanted: 2 + 4 + 0; given: 2 + 3; right: 1 + 3.
    assert found["precision"].value == pytest.approx(4 / 5) and found["recall"].value == pytest.approx(4 / 6)
    assert found["f1"].value == pytest.approx(8 / 11) and found["f1"].low <= found["f1"].value <= found["f1"].high
    assert found["exact_match"].value == 0.0 and {metric.n for metric in found.values()} == {3}
    by_field = {score.label: score for score in extraction_metrics.per_field(gold, got, ["a", "b", "c"])}
    assert (by_field["a"].support, by_field["b"].support, by_field["c"].support) == (2, 2, 2)
    assert (by_field["a"].recall.value, by_field["b"].precision.value, by_field["c"].recall.value) == (1.0, 0.5, 0.5)
    change = extraction_metrics.field_change(gold, got, gold)
    assert change.value == pytest.approx(1 - 8 / 11) and change.low < change.value <= change.high
    with pytest.raises(ValueError, match="3 gold objects and 1"):
        extraction_metrics.measure_fields(gold, got[:1])


def test_paths_of_a_schema() -> None:
    inner = {"type": "object", "properties": {"i": {"type": "integer"}}}
    schema = {"properties": {"a": {"type": "string"}, "o": inner, "l": {"type": "array", "items": inner}}}
    assert [path for path, _ in field_values.schema_paths(schema)] == ["a", "o.i", "l"]
    assert field_values.values_by_path({"o": {"i": 1}, "l": [{"i": 2}, {"i": 3}], "a": " "}) == {"o.i": [1], "l": [{"i": 2}, {"i": 3}]}
