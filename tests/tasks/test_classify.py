"""The task classify: parsing, the form, calibration, decisions, metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.forms import label_form

from smidgen.core.errors import DataError
from smidgen.core.rows import Row
from smidgen.stats.intervals import wilson
from smidgen.tasks.classify import ClassifySettings, part, strangeness

PLAIN = ClassifySettings()
MULTI = ClassifySettings(multi_label=True)


def rows(*outputs: Any) -> list[Row]:
    return [Row(f"text {number}", output, number + 1) for number, output in enumerate(outputs)]


def test_labels_are_parsed() -> None:
    assert part.parse("  billing ", PLAIN) == "billing"
    assert part.parse(3, PLAIN) == "3"
    assert part.parse('["b", "a", "b"]', MULTI) == ["a", "b"]
    assert part.parse("b | a", MULTI) == ["a", "b"]
    assert part.parse("", MULTI) == []


@pytest.mark.parametrize(("cell", "words"), [("", "empty"), (None, "empty"), (["a"], "single label"), ("x" * 201, "201 characters")])
def test_what_is_no_label_is_refused(cell: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        part.parse(cell, PLAIN)


def test_a_broken_list_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON list"):
        part.parse('["a"', MULTI)


def test_the_form_finds_the_out_of_scope_label() -> None:
    form = part.form(rows("b", "a", "oos", "b", "a", "oos"), PLAIN)
    assert form.labels == ("a", "b")
    assert form.unknown == "oos"
    assert form.unknown_examples == 2
    assert part.form(rows("b", "a", "oos", "b", "a", "oos"), ClassifySettings(unknown="none")).unknown is None
    named = part.form(rows("a", "a", "b", "b"), ClassifySettings(unknown="other"))
    assert (named.unknown, named.unknown_examples) == ("other", 0)


@pytest.mark.parametrize(
    ("outputs", "words"),
    [((), "no rows"), (("a", "a"), "one label only"), (("a", "a", "oos", "oos"), "one label only"), (("a", "a", "b"), "seen once")],
)
def test_data_that_cannot_teach_is_refused(outputs: tuple[str, ...], words: str) -> None:
    with pytest.raises(DataError, match=words):
        part.form(rows(*outputs), PLAIN)


def test_a_label_seen_once_names_its_row() -> None:
    with pytest.raises(DataError, match=r"row 3.*'b'"):
        part.form(rows("a", "a", "b"), PLAIN)


def test_calibration_undoes_too_sure_scores() -> None:
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 4, 4000)
    logits = rng.normal(size=(4000, 4))
    logits[np.arange(4000), gold] += 1.5
    data = [Row("x", "abcd"[g]) for g in gold]
    form = part.form(data, PLAIN)
    fitted = part.calibrate({"logits": logits * 5}, data, form, PLAIN)
    # The Bayes-optimal logits of unit normals shifted by 1.5 are 1.5 times these: 5 / 1.5 is the temperature.
    assert 3.0 < fitted.temperature < 3.7
    replies = part.decode({"logits": logits * 5}, fitted)
    right = np.mean([reply.output == row.output for reply, row in zip(replies, data, strict=True)])
    assert abs(np.mean([reply.score for reply in replies]) - right) < 0.02


def test_the_unknown_answer_keeps_in_scope_answers() -> None:
    rng = np.random.default_rng(1)
    inside = np.eye(3)[rng.integers(0, 3, 600)] * 6 + rng.normal(size=(600, 3))
    outside = rng.normal(size=(200, 3)) * 0.5
    logits = np.vstack([inside, outside])
    data = [Row("x", "abc"[int(np.argmax(row))]) for row in inside] + [Row("x", "oos")] * 200
    form = part.form(data, PLAIN).model_copy(update={"unknown_examples": 0})
    fitted = part.calibrate({"logits": logits}, data, form, ClassifySettings(max_in_scope_loss=0.02))
    replies = part.decode({"logits": logits}, fitted)
    metrics = part.measure(data, replies, fitted)
    assert metrics["in_scope_accuracy"].value >= 0.97
    assert metrics["oos_recall"].value > 0.9
    odd = strangeness({"logits": logits}, fitted)
    assert odd.shape == (800,)
    assert all(0.5 <= reply.score <= 1 for reply in replies if reply.output == "oos")


def test_the_unknown_answer_spends_less_than_it_may_lose_where_few_rows_were_held_out() -> None:
    rng = np.random.default_rng(2)
    form = label_form("ab", unknown="oos", unknown_examples=0)
    shares = []
    held = (100, 400, 20_000)
    for rows_held in held:
        gold = rng.integers(0, 2, rows_held)
        logits = np.eye(2)[gold] * 4 + rng.normal(size=(rows_held, 2))
        data = [Row("x", "ab"[int(np.argmax(row))]) for row in logits]
        fitted = part.calibrate({"logits": logits}, data, form, ClassifySettings(max_in_scope_loss=0.01))
        shares.append(float((strangeness({"logits": logits}, fitted) > fitted.unknown_threshold).mean()))
    assert shares[0] == 0  # one of a hundred would already be 1 %
    assert 0 < shares[1] < 0.01
    assert 0.008 < shares[2] <= 0.01
    for place in (1, 2):
        lost = round(shares[place] * held[place])
        assert wilson(lost, held[place], 0.8)[1] <= 0.01 < wilson(lost + 1, held[place], 0.8)[1], "as many as may be, and not one more"


def test_without_a_set_share_the_unknown_answer_costs_no_more_right_answers_than_it_gives() -> None:
    rng = np.random.default_rng(3)
    form = label_form("abc", unknown="oos", unknown_examples=100)
    inside = np.eye(3)[rng.integers(0, 3, 400)] * 2.5 + rng.normal(size=(400, 3))
    right = {}
    for outside in (0, 100):  # the same rows in scope, without and with others
        logits = np.vstack([inside, rng.normal(size=(outside, 3)) * 0.5])
        data = [Row("x", "abc"[int(np.argmax(row))]) for row in inside] + [Row("x", "oos")] * outside
        for most in (0.01, None):
            fitted = part.calibrate({"logits": logits}, data, form, ClassifySettings(max_in_scope_loss=most))
            replies = part.decode({"logits": logits}, fitted)
            right[outside, most] = sum(reply.output == row.output for reply, row in zip(replies, data, strict=True))
    assert right[0, 0.01] == right[0, None], "where nothing is out of scope, the set share holds"
    best = 0
    for threshold in np.linspace(0, 1, 201):
        tried = form.model_copy(update={"temperature": fitted.temperature, "unknown_threshold": threshold})
        replies = part.decode({"logits": logits}, tried)
        best = max(best, sum(reply.output == row.output for reply, row in zip(replies, data, strict=True)))
    assert right[100, 0.01] + 20 < best <= right[100, None]


def test_an_answer_is_less_sure_where_the_text_may_be_out_of_scope() -> None:
    form = label_form("ab", unknown="oos", unknown_threshold=0.99)
    alone, doubted = part.decode({"logits": np.array([[5.0, 0.0, -9.0], [5.0, 0.0, 5.0]])}, form)
    assert (alone.output, doubted.output) == ("a", "a")
    assert alone.score == pytest.approx(1 / (1 + np.exp(-5)), abs=1e-4)
    assert doubted.score == pytest.approx(np.exp(5) / (2 * np.exp(5) + 1), abs=1e-6)
    assert doubted.alternatives[0][1] == pytest.approx(1 / (2 * np.exp(5) + 1), abs=1e-6)


def test_an_unknown_answer_and_its_runners_up_share_one_whole() -> None:
    form = label_form("ab", unknown="oos", unknown_threshold=0.2)
    (reply,) = part.decode({"logits": np.array([[0.5, 0.0, 6.0]])}, form)
    assert reply.output == "oos"
    assert 0.5 < reply.score <= 1
    assert reply.score + sum(score for _, score in reply.alternatives) <= 1 + 1e-9


def test_replies_carry_runners_up_and_parents() -> None:
    form = label_form(["a/x", "a/y", "b/z"])
    reply = part.decode({"logits": np.array([[2.0, 1.0, -1.0]])}, form)[0]
    assert reply.output == "a/x"
    assert [label for label, _ in reply.alternatives] == ["a/y", "b/z"]
    assert reply.facts["parent"] == "a"
    assert reply.facts["parent_score"] == pytest.approx(reply.score + reply.alternatives[0][1])
    metrics = part.measure([Row("t", "a/y")], [reply], form)
    assert metrics["accuracy"].value == 0
    assert metrics["parent_accuracy"].value == 1
    plain = label_form(["n/a", "tv/radio", "z"])
    reply = part.decode({"logits": np.array([[2.0, 1.0, -1.0]])}, plain)[0]
    assert "parent_accuracy" not in part.measure([Row("t", "n/a")], [reply], plain), "a slash alone makes no hierarchy"


def test_several_labels_are_decided_one_by_one() -> None:
    data = rows(["a", "b"], ["a"], [], ["b"]) * 30
    form = part.form(data, MULTI)
    logits = np.array([[4.0, 3.0], [4.0, -3.0], [-4.0, -4.0], [-3.0, 4.0]] * 30)
    fitted = part.calibrate({"logits": logits}, data, form, MULTI)
    replies = part.decode({"logits": logits}, fitted)
    assert [reply.output for reply in replies[:4]] == [["a", "b"], ["a"], [], ["b"]]
    assert part.measure(data, replies, fitted)["micro_f1"].value == 1
    assert part.content(replies[0]) == '["a", "b"]'
