"""The task write: parsing, the form, calibration, scores, facts, metrics."""

from __future__ import annotations

import csv
import importlib.resources
import json
from typing import Any

import numpy as np
import pytest

from smidgen.core.errors import DataError
from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.tasks.write import WriteSettings, part, references
from smidgen.text.rouge_chrf import rouge_l

PLAIN = WriteSettings()
COLOURS = ("red", "blue", "green", "black")


def rows(*outputs: Any) -> list[Row]:
    return [Row(f"text {number}", output, number + 1) for number, output in enumerate(outputs)]


def products(count: int = 64) -> list[Row]:
    """Lamps with a colour and a plug or none, each described in one of a few ways."""
    made = []
    for number in range(count):
        colour, plug = COLOURS[number % 4], number // 4 % 2
        ways = (f"A {colour} lamp, {('without', 'with')[plug]} a plug.", f"This lamp is {colour}. It has {('no', 'a')[plug]} plug.")
        made.append(
            Row(
                f"name: Lamp {number}; colour: {colour}; plug: {('no', 'yes')[plug]}", f"Lamp {number}: {ways[number // 8 % 2]}", number + 1
            )
        )
    return made


def raw(texts: list[str], probability: float | list[float] = 0.9, finished: float | list[float] = 1.0) -> dict[str, Any]:
    """What an engine returns for these texts."""
    return {
        "texts": texts,
        "probability": np.broadcast_to(np.array(probability, dtype=np.float32), len(texts)),
        "tokens": np.array([len(text.split()) for text in texts], dtype=np.float32),
        "finished": np.broadcast_to(np.array(finished, dtype=np.float32), len(texts)),
    }


def test_answers_are_parsed() -> None:
    assert part.parse("  A lamp. ", PLAIN) == "A lamp."
    assert part.parse(["A lamp.", " A lamp.", "A light."], PLAIN) == ["A lamp.", "A light."]
    assert part.parse('["A lamp.", "A light."]', PLAIN) == ["A lamp.", "A light."]
    assert part.parse("[sic] A lamp.", PLAIN) == "[sic] A lamp."
    assert part.parse("[1, 2]", PLAIN) == "[1, 2]"
    assert part.parse(42, PLAIN) == "42"
    assert references(Row("x", "a")) == ["a"] and references(Row("x", ["a", "b"])) == ["a", "b"]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        *(("", "empty"), (None, "empty"), ([], "empty list"), ("[]", "empty list"), (["a", ""], "empty")),
        *(({"a": 1}, "not a text"), ([["a"]], "not a text"), ("a\0b", "NUL"), ("x" * 100_001, "100,001 characters")),
    ],
)
def test_what_is_no_answer_is_refused(cell: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        part.parse(cell, PLAIN)


def test_the_form_of_prose() -> None:
    form = part.form(rows("one two three", ["one", "two"]), WriteSettings(instruction=" Be brief. ", max_tokens=40))
    assert form.facts() == {"instruction": "Be brief.", "max_tokens": 40, "max_words": 3, "attributes": False, "score": None}


def test_the_form_of_attributes() -> None:
    form = part.read_form(json.loads(json.dumps(part.form(products(), PLAIN).facts())))
    assert form.attributes and set(form.lexicon["keys"]) == {"name", "colour", "plug"}
    off = part.form(products(), WriteSettings(attributes="off"))
    assert not off.attributes and off.lexicon is None


@pytest.mark.parametrize(("outputs", "words"), [((), "too few rows"), (("a",), "too few rows"), (("a", "a", ["a"]), "same answer")])
def test_data_that_cannot_teach_is_refused(outputs: tuple[Any, ...], words: str) -> None:
    with pytest.raises(DataError, match=words):
        part.form(rows(*outputs), PLAIN)


def test_attributes_that_are_asked_for_must_be_there() -> None:
    asked = WriteSettings(attributes="on")
    with pytest.raises(DataError, match=r"row 65.*not made of attributes.*A sentence"):
        part.form([*products(), *(Row("A sentence.", "Another one.", 65 + n) for n in range(20))], asked)
    with pytest.raises(DataError, match="do not state"):
        part.form([Row(f"name: stool{n}; size: {n}", "Hello there." if n else "Hello.") for n in range(30)], asked)


def test_rows_of_one_input_are_gathered() -> None:
    given = [Row("a", "one", 1), Row("b", ["two", "three"], 2), Row("a", "four", 3), Row("a", "one", 4), Row(("a", "b"), "five", 5)]
    assert part.grading.merged(given) == [Row("a", ["one", "four"], 1), Row("b", ["two", "three"], 2), Row(("a", "b"), ["five"], 5)]
    assert part.strata(given) == [""] * 5


def test_grades_are_rouge_l_with_the_best_reference() -> None:
    given = rows("a red lamp", ["a red lamp", "a blue light"])
    replies = [Reply("a blue light", 0.5), Reply("a blue light", 0.5)]
    grades = part.grading.grades(given, replies, part.form(given, PLAIN))
    assert grades == [rouge_l("a blue light", ["a red lamp"]), 1.0]
    metrics = part.measure(given, replies, part.form(given, PLAIN))
    assert set(metrics) == {"rouge1", "rouge2", "rougeL", "rougeLsum", "chrf"}
    assert metrics["rougeL"].value == pytest.approx(np.mean(grades))
    assert all(0 <= metric.low <= metric.value <= metric.high <= 1 and metric.n == 2 for metric in metrics.values())


def test_a_score_is_the_grade_to_expect() -> None:
    """Texts that keep a share of their reference's words, with a probability that says how many."""
    rng = np.random.default_rng(0)
    words = [f"w{n}" for n in range(40)]
    given = [Row(f"t{n}", " ".join(rng.permutation(words)[:20])) for n in range(400)]
    kept = rng.uniform(0.2, 1.0, 400)
    texts = [" ".join(word if rng.random() < share else "x" for word in row.output.split()) for row, share in zip(given, kept, strict=True)]
    likely = np.clip(0.5 + kept / 2 + rng.normal(0, 0.02, 400), 0, 1)
    form = part.form(given, PLAIN)
    before = part.decode(raw(texts, list(likely)), form)
    assert [reply.score for reply in before] == pytest.approx(list(likely), abs=1e-6)
    first, second = slice(0, 200), slice(200, 400)
    fitted = part.calibrate(raw(texts[first], list(likely[first])), given[first], form, PLAIN)
    assert "facts" not in fitted.score and form.score is None
    replies = part.decode(raw(texts[second], list(likely[second])), part.read_form(json.loads(json.dumps(fitted.facts()))))
    grades = part.grading.grades(given[second], replies, fitted)
    assert np.mean([reply.score for reply in replies]) == pytest.approx(np.mean(grades), abs=0.03)
    assert np.corrcoef([reply.score for reply in replies], grades)[0, 1] > 0.85


def test_what_is_cut_off_or_empty_has_no_score() -> None:
    replies = part.decode(raw(["A lamp.", "A", " "], [0.9, 0.9, 0.0], [1.0, 0.0, 1.0]), part.form(rows("a", "b"), PLAIN))
    assert [round(reply.score, 3) for reply in replies] == [0.9, 0.0, 0.0]
    assert [reply.facts for reply in replies] == [
        {"tokens": 2, "finished": True},
        {"tokens": 1, "finished": False},
        {"tokens": 0, "finished": True},
    ]
    assert part.content(replies[0]) == "A lamp."


def test_facts_are_told_where_the_inputs_are_known() -> None:
    form = part.form(products(), PLAIN)
    inputs = ["name: Lamp 3; colour: red; plug: no", "name: Lamp 3; colour: red; plug: no", "Just a question."]
    texts = ["Lamp 3: A red lamp, without a plug.", "Lamp 3: A blue lamp.", "Lamp 3: A blue lamp."]
    told = part.decode({**raw(texts), "inputs": inputs}, form)
    assert told[0].facts["missing"] == told[0].facts["unsupported"] == []
    assert told[1].facts["missing"] == [{"key": "colour", "value": "red"}, {"key": "plug", "value": "no"}]
    assert told[1].facts["unsupported"] == [{"key": "colour", "value": "blue"}]
    assert "missing" not in told[2].facts
    assert all("missing" not in reply.facts for reply in part.decode(raw(texts), form))


def test_unfaithful_texts_score_lower_where_rows_show_that_they_are_worse() -> None:
    given = products(200)
    form = part.form(given, PLAIN)
    rng = np.random.default_rng(0)
    wrong = [number % 3 == 0 for number in range(200)]
    texts = [row.output for row in given]
    for number in np.flatnonzero(wrong):
        texts[number] = texts[number].replace("lamp", "thing").replace(COLOURS[number % 4], COLOURS[(number + 1) % 4])
    seen = raw(texts, list(rng.uniform(0.7, 1.0, 200)))
    fitted = part.calibrate(seen, given, form, PLAIN)
    replies = part.decode({**seen, "inputs": [row.input for row in given]}, fitted)
    scores = np.array([reply.score for reply in replies])
    assert scores[wrong].max() < scores[~np.array(wrong)].min()
    metrics = part.measure(given, replies, fitted)
    assert metrics["unsupported"].value == pytest.approx(np.mean(wrong), abs=0.01)
    assert metrics["coverage"].value == pytest.approx(1 - np.mean(wrong) / 3, abs=0.02)
    assert metrics["coverage"].low < metrics["coverage"].value < metrics["coverage"].high
    blind = part.decode(seen, fitted)
    assert np.ptp([reply.score for reply in blind]) < np.ptp(scores)


def test_too_few_rows_leave_the_score_as_it_is() -> None:
    given = rows("a lamp", "a light", "a bulb")
    form = part.form(given, PLAIN)
    assert part.calibrate(raw(["a lamp", "a", "a bulb"]), given, form, PLAIN) == form


def test_the_example_has_attributes_and_states_them() -> None:
    file = importlib.resources.files("smidgen") / "samples" / "init" / "write.csv"
    with file.open(encoding="utf-8", newline="") as stream:
        given = [Row(row["input"], part.parse(row["output"], PLAIN), n + 1) for n, row in enumerate(csv.DictReader(stream))]
    assert len(given) == 60 and len({row.output for row in given}) == 60
    form = part.form(given, PLAIN)
    metrics = part.measure(given, [Reply(row.output, 1.0) for row in given], form)
    assert metrics["coverage"].value > 0.9 and metrics["unsupported"].value < 0.1
    assert metrics["rougeL"].value == 1.0
    swapped = [*given[1:], given[0]]
    wrong = part.measure(given, [Reply(row.output, 1.0) for row in swapped], form)
    assert wrong["coverage"].value < 0.3
