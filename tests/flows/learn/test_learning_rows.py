"""Rows and their sides: no text on two of them, whose output counts, what captured answers become."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.forms import label_form, span_form, text_form

from smidgen.core.errors import BundleError
from smidgen.core.progress import Silent
from smidgen.core.replies import NOT_COMPARABLE, AnswerState
from smidgen.core.rows import Row
from smidgen.data.splits import SplitSide
from smidgen.flows.learn import learning_rows, line_data, traffic_rows
from smidgen.flows.learn.learning_rows import LearningRows, LineRow, Source, count_sources, split_rows
from smidgen.store.line import Line
from smidgen.store.traffic.records import TrafficPair
from smidgen.tasks.classify import Classify, ClassifySettings
from smidgen.tasks.extract import Extract, ExtractSettings
from smidgen.tasks.write import Write, WriteSettings

NOW = datetime(2026, 6, 1, tzinfo=UTC)
KEY = "ab" * 16
FORM = label_form(["billing", "shipping"])


def taken(text: str, output: object = "billing", source: Source = "data", days: int = 0, **more: object) -> LineRow:
    return replace(LineRow(Row(text, output), source, NOW + timedelta(days=days)), **more)  # type: ignore[arg-type]


def sort(*rows: tuple[SplitSide, LineRow], since: datetime | None = None, until: datetime | None = None) -> LearningRows:
    return split_rows(rows, ["big"], Counter(), since=since, until=until)


def test_a_person_counts_before_a_file_before_a_large_model_and_the_newer_before_the_older() -> None:
    said = [
        taken("a", "upstream", "upstream", 9),
        taken("a", "file", "original", 1),
        taken("a", "newer file", "data", 2),
        taken("a", "upstream again", "upstream", 10),
    ]
    learning = [(SplitSide.LEARNING, one) for one in said]
    assert [one.row.output for one in sort(*learning).learning] == ["newer file"]
    corrected = (SplitSide.LEARNING, taken("a", "person", "human", 0))
    assert [one.row.output for one in sort(corrected, *learning).learning] == ["person"]


def test_what_is_learnt_from_is_held_out_no_more() -> None:
    found = sort(
        (SplitSide.LEARNING, taken("Where is it?")),
        (SplitSide.CHOOSING, taken("where is  it", source="upstream")),
        (SplitSide.CERTIFYING, taken("another")),
        (SplitSide.CHOOSING, taken("a third")),
    )
    assert [one.row.input for one in found.choosing] == ["a third"]
    assert [one.row.input for one in found.certifying] == ["another"]
    assert dict(found.unusable) == {"held out, but learnt from before": 1}


def test_what_people_give_of_a_text_that_is_learnt_from_is_learnt_too_wherever_it_fell() -> None:
    found = sort(
        (SplitSide.LEARNING, taken("a", "the model's", "upstream", 5)),
        (SplitSide.CHOOSING, taken("a", "the file's", "data")),
        (SplitSide.LEARNING, taken("b", "old", "original")),
        (SplitSide.CERTIFYING, taken("b", "new", "data", 1)),
        (SplitSide.LEARNING, taken("c", "the file's", "data", 3)),
        (SplitSide.CERTIFYING, taken("c", "a person's", "human")),
        (SplitSide.CERTIFYING, taken("c", "the model's", "upstream", 9)),
        (SplitSide.CHOOSING, taken("a", "a word that nobody knows", "human", heard=False)),
        (SplitSide.CHOOSING, taken("d", "the file's", "data")),
    )
    assert [(one.row.input, one.row.output) for one in found.learning] == [("a", "the file's"), ("b", "new"), ("c", "a person's")]
    assert [one.row.input for one in (*found.choosing, *found.certifying)] == ["d"]
    assert dict(found.unusable) == {"held out, but learnt from before": 2}
    assert found.joined == ("a", "b")


def test_a_held_out_text_stands_once_as_it_came_last() -> None:
    """A thousand rows of ten texts are ten that tell of the traffic, and a test must not take them for a thousand."""
    said = [taken("Where is it?", "old", days=1), taken("where is  it", "new", days=3), taken("WHERE IS IT", "between", days=2)]
    found = sort(*((side, one) for side in (SplitSide.CHOOSING, SplitSide.CERTIFYING) for one in said))
    assert [(one.row.output, one.times) for one in (*found.choosing, *found.certifying)] == [("new", 3), ("new", 3)]
    assert dict(found.unusable) == {"held out, and another row has the same text": 4}


def test_a_person_and_the_large_model_each_certify_by_their_own_words() -> None:
    rows = [taken("a", "theirs", "human"), taken("a", "the model's", "upstream"), taken("b", "the model's", "upstream")]
    found = sort(*((SplitSide.CERTIFYING, one) for one in rows))
    assert sorted((one.row.input, one.source) for one in found.certifying) == [("a", "human"), ("a", "upstream"), ("b", "upstream")]
    assert found.json()["certifying"] == 2  # texts
    chosen = sort(*((SplitSide.CHOOSING, one) for one in rows)).choosing
    assert [(one.row.input, one.source) for one in chosen] == [("a", "human"), ("b", "upstream")]


def test_after_a_revocation_older_held_out_rows_say_nothing() -> None:
    rows = [(SplitSide.CERTIFYING, taken(str(day), days=day)) for day in range(4)]
    found = sort(*rows, since=NOW + timedelta(days=1))
    assert [one.row.input for one in found.certifying] == ["2", "3"]
    assert dict(found.unusable) == {"held out, but too old": 2}
    ahead = sort(*rows, since=NOW, until=NOW + timedelta(days=2))
    assert [one.row.input for one in ahead.certifying] == ["1", "2"], "what came by a clock that was ahead may be of before"
    assert dict(ahead.unusable) == {"held out, but too old": 1, "held out, but of a time to come": 1}
    assert len(sort(*rows, until=NOW).certifying) == 4


def pair(text: str, reference: str, held_out: bool = False, whose: str = "upstream", **more: object) -> TrafficPair:
    return TrafficPair("id", NOW, "support", "", text, reference, whose, held_out, "upstream", None, None, "big", **more)  # type: ignore[arg-type]


def heard(*pairs: TrafficPair, form: object = FORM) -> traffic_rows.CapturedRows:
    return traffic_rows.rows_of_pairs([(one, ()) for one in pairs], Classify(), form, ClassifySettings(), KEY)  # type: ignore[arg-type]


def test_a_captured_row_says_which_of_the_lines_jobs_it_is_of() -> None:
    said = [
        (pair("a", "billing", True), ("0123456789abcdef",)),
        (pair("b", "another", True), ("0123456789abcdef", "ffffffffffffffff")),
        (pair("c", "no", True), ()),
    ]
    found = traffic_rows.rows_of_pairs(said, Classify(), FORM, ClassifySettings(), KEY)
    assert [(one.row.input, one.jobs) for _, one in sorted(found.rows, key=lambda row: str(row[1].row.input))] == [
        ("a", ("0123456789abcdef",)),
        ("b", ("0123456789abcdef", "ffffffffffffffff")),
        ("c", ()),
    ]


def test_an_answer_is_heard_as_the_label_that_it_names() -> None:
    found = heard(pair("a", " Shipping. "), pair("b", "billing", whose="human"))
    assert [(side, one.row.output, one.source) for side, one in found.rows] == [
        (SplitSide.LEARNING, "shipping", "upstream"),
        (SplitSide.LEARNING, "billing", "human"),
    ]
    assert found.teachers == {"big"}


def test_a_label_that_comes_often_enough_is_a_new_one_and_a_slip_is_none() -> None:
    often = [pair(f"text {number}", "returns") for number in range(traffic_rows.LEAST_OF_A_NEW_LABEL)]
    found = heard(*often, pair("x", "retuns to sender"), pair("y", "Returns."))
    assert Counter(one.row.output for _, one in found.rows) == {"returns": 6}  # as it is spelt most often
    assert dict(found.unusable) == {"a label that is too rare to be learnt": 1}


def test_a_held_out_answer_that_is_no_label_stays_to_be_disagreed_with() -> None:
    """Left out, they would make the certificate's sample an easier one than the traffic is."""
    found = heard(
        pair("a", "I am sorry, but I cannot help with that.\n" * 9, True), pair("b", "refund", True), pair("c", "Nein.\nDoch.", False)
    )
    assert sorted((one.row.input, one.unread, one.row.output) for _, one in found.rows) == [("a", True, None), ("b", False, "refund")]
    assert all(side is not SplitSide.LEARNING and not one.heard for side, one in found.rows) and len(found.rows) == 2
    assert dict(found.unusable) == {"the answer is none of the task's": 1}


@pytest.mark.parametrize("state", sorted(NOT_COMPARABLE))
def test_a_held_out_answer_that_is_no_whole_text_stays_to_be_disagreed_with(state: AnswerState) -> None:
    (found,) = heard(pair("a", "", True, state=state)).rows
    assert found[1].unread and found[1].row.output is None and found[1].source == "upstream"


def test_what_no_large_model_could_have_meant_stays_of_other_tasks_too() -> None:
    spans = span_form(["name"], only=True)
    found = traffic_rows.rows_of_pairs(
        [(pair("I am Anna", "I see a name", True), ()), (pair("I am Anna too", "I see a name"), ())],
        Extract(),
        spans,
        ExtractSettings(),
        KEY,
    )
    assert [one.unread for _, one in found.rows] == [True]
    texts = text_form(max_words=5)
    wordy = "a red stool " * 40
    found = traffic_rows.rows_of_pairs(
        [(one, ()) for one in (pair("a", wordy, True), pair("b", wordy), pair("c", " ", True))], Write(), texts, WriteSettings(), KEY
    )
    # Too long to learn from. To be measured by it is what an audit would be measured by.
    assert [(one.row.output, one.unread) for _, one in found.rows] == [(wordy, False), (None, True)]
    assert dict(found.unusable) == {"the answer is none of the task's": 1}


def test_a_held_out_correction_stands_beside_what_the_large_model_said() -> None:
    found = heard(pair("a", "shipping", True, corrected="billing", altered=True), pair("b", "billing", True, "human"))
    assert [(one.row.input, one.source, one.row.output, one.altered) for _, one in found.rows] == [
        ("a", "upstream", "shipping", True),
        ("a", "human", "billing", True),
        ("b", "human", "billing", False),
    ]
    assert [one.volunteered for _, one in found.rows] == [False, False, True]


def test_what_somebody_put_right_by_themselves_certifies_and_does_not_choose() -> None:
    """It is there because the champion was wrong: any challenger would win by it."""
    rows = [taken("a", source="human", volunteered=True), taken("b", "shipping", "upstream"), taken("b", source="human", days=1)]
    found = sort(*((side, one) for side in (SplitSide.CHOOSING, SplitSide.CERTIFYING) for one in rows))
    assert [one.row.input for one in found.choosing] == ["b"]
    assert sorted(one.row.input for one in found.certifying) == ["a", "b", "b"]
    assert dict(found.unusable)["held out to choose, but there only because somebody put the answer right"] == 1


def test_an_answer_held_to_a_schema_is_read_as_an_audit_reads_it() -> None:
    found = heard(pair("a", '{"category": "shipping"}', True), pair("b", '{"category": "shipping"}'))
    assert [(one.row.output, one.heard) for _, one in found.rows] == [("shipping", True), ("shipping", True)]


@pytest.mark.parametrize("form", [None, FORM, FORM.model_copy(update={"labels": ("[PLACE_1]", "billing")})])
def test_an_answer_that_was_masked_is_no_label(form: object) -> None:
    """Germany, France and Spain are all stored as `[PLACE_1]`: as a label they would be one."""
    said = [pair(f"to [PLACE_1] {number}", "[PLACE_1]", bool(number % 2)) for number in range(40)]
    found = heard(*said, pair("c", '{"country": "[PLACE_1]."}'), pair("d", "ask [PERSON_1]", whose="human"), form=form)
    assert [side for side, _ in found.rows] == [SplitSide.CERTIFYING] * len(found.rows) and 2 < len(found.rows) < 20
    # Left out, a certificate would hold for requests that are answered so, and say nothing of them.
    assert all(one.unread and one.masked and one.row.output is None for _, one in found.rows)
    assert dict(found.unusable) == {traffic_rows.MASKED: 42 - len(found.rows)}
    assert split_rows(found.rows, (), found.unusable).json()["certifying_masked"] == len(found.rows)
    assert (
        traffic_rows.label_of("[PLACE_1]") is traffic_rows.label_of("to [PLACE_12]") is None
        and traffic_rows.label_of("[place 1]") == "[place 1]"
    )


def test_a_text_or_a_field_may_have_the_stand_ins_of_its_input_and_no_others() -> None:
    texts = text_form(max_words=50)
    said = [
        *(pair("from [PERSON_1]", "Dear [PERSON_1]"), pair("a", "Dear [PERSON_1]"), pair("b [PERSON_1]", "[PERSON_1] and [PERSON_2]")),
        pair("c", "Dear all"),
    ]
    found = traffic_rows.rows_of_pairs([(one, ()) for one in said], Write(), texts, WriteSettings(), KEY)
    assert [one.row.output for _, one in found.rows] == ["Dear [PERSON_1]", "Dear all"]
    assert dict(found.unusable) == {traffic_rows.MASKED: 2}


def test_from_zero_labels_are_what_comes_again() -> None:
    pairs = [pair(f"text {number}", ("billing", "shipping", "slip of the pen")[min(2, number % 7)]) for number in range(14)]
    found = heard(*pairs, form=None)
    counts = Counter(one.row.output for _, one in found.rows)
    assert counts == {"slip of the pen": 10}  # of the others there are too few to be labels
    assert found.unusable["a label that is too rare to be learnt"] == 4


@pytest.fixture
def line(tmp_path: Path) -> Line:
    made = Line(tmp_path / "line")
    made.begin("support")
    return made


def test_rows_are_kept_once_under_their_hash_and_verified_when_read(line: Line) -> None:
    rows = [Row("a", "x"), Row(("first", "second"), ["y", "z"]), Row("c", {"field": 1})]
    assert line_data.keep_batch(line, rows, "data", learnt=False, now=NOW)
    assert not line_data.keep_batch(line, rows, "data", learnt=False, now=NOW)
    (batch,) = line.read().rows
    assert (batch.n, batch.source, batch.learnt) == (3, "data", False)
    assert list(line_data.read_batch(line, batch)) == [(row.input, row.output) for row in rows]
    file = line.rows(batch.sha256)
    file.write_bytes(file.read_bytes().replace(b'"x"', b'"w"'))
    with pytest.raises(BundleError, match="have changed on disk"):
        list(line_data.read_batch(line, batch))
    file.unlink()
    with pytest.raises(BundleError, match="missing"):
        list(line_data.read_batch(line, batch))


def embed(texts: object) -> np.ndarray:
    """Vectors on a circle, by the number at the end of a text; those of doubtful texts on another one, above it."""
    found = []
    for text in texts:  # type: ignore[attr-defined]
        word, number = text.split()
        angle, height = int(number) * 2 * math.pi / 97, 0.8 * (word == "doubtful")
        wide = math.sqrt(1 - height**2)
        found.append([wide * math.cos(angle), wide * math.sin(angle), height])
    return np.array(found, dtype=np.float32)


def pool() -> Iterator[LineRow]:
    for number in range(60):
        yield taken(f"own {number}", ("billing", "shipping")[number % 2], "original")
    for number in range(200):
        yield taken(f"sure {number}", "billing", "upstream", score=0.99, said='"billing"')
    for number in range(20):
        yield taken(f"doubtful {number}", "billing", "upstream", score=0.2, said='"shipping"')
    for number in range(10):
        yield taken(f"person {number}", "billing", "human")


@pytest.mark.parametrize("with_vectors", [True, False])
def test_of_many_rows_those_that_teach_most_are_picked(with_vectors: bool) -> None:
    material = sort(*((SplitSide.LEARNING, one) for one in pool()))
    found = learning_rows.pick_rows(material, 90, embed if with_vectors else None, 0, Silent())
    assert count_sources(found.learning) == {"human": 10, "original": 40, "upstream": 40}
    doubtful = sum(one.row.input.startswith("doubtful") for one in found.learning)
    by_chance = 40 * 20 / 220
    assert doubtful > 2 * by_chance
    if not with_vectors:
        assert doubtful == 20
    assert [one for one in found.learning if one in material.learning] == list(found.learning)  # in their order
    assert learning_rows.pick_rows(material, 1000, None, 0, Silent()) is material


def test_what_neither_needs_the_other_has() -> None:
    few = sort(*((SplitSide.LEARNING, one) for one in pool() if one.source != "original"))
    assert count_sources(learning_rows.pick_rows(few, 100, None, 0, Silent()).learning) == {"human": 10, "upstream": 90}
    own = sort(*((SplitSide.LEARNING, one) for one in pool() if one.source == "original"))
    assert count_sources(learning_rows.pick_rows(own, 20, embed, 0, Silent()).learning) == {"original": 20}


def test_doubt_and_disagreement_weigh() -> None:
    weights = [
        learning_rows.row_weight(taken("a", "billing", score=0.99, said='"billing"')),
        learning_rows.row_weight(taken("a", "billing", score=None)),
        learning_rows.row_weight(taken("a", "billing", score=0.1, said='"billing"')),
        learning_rows.row_weight(taken("a", "billing", score=0.99, said='"shipping"')),
    ]
    assert weights == sorted(weights) and len(set(weights)) == 4 and weights[0] > 0


@pytest.mark.parametrize("with_vectors", [False, True])
def test_a_label_that_the_champion_is_sure_of_keeps_its_rows(with_vectors: bool) -> None:
    """Each of its rows weighs least: of many others none of them would be picked."""
    sure = [taken(f"sure {number}", "billing", "upstream", score=1.0, said='"billing"') for number in range(60)]
    unsure = [taken(f"unsure {number}", "returns", "upstream", score=0.0, said='"billing"') for number in range(400)]
    found = learning_rows.pick_rows(LearningRows((*sure, *unsure), (), ()), 100, embed if with_vectors else None, 0, Silent())
    assert len(found.learning) == 100 and sum(one.row.output == "billing" for one in found.learning) >= 20


REVOKED = datetime(2026, 6, 1, tzinfo=UTC)
LABELS = ("billing", "shipping", "returns", "other")


def embed_outdated(texts: Sequence[Any]) -> Any:
    """A text begins with the number of its cloud."""
    rng = np.random.default_rng(0)
    found = np.eye(16)[[int(text.split()[0]) for text in texts]] + rng.normal(scale=0.1, size=(len(texts), 16))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def rows(days: int, source: Source, shift: int = 0, count: int = 120) -> list[LineRow]:
    """Of each label as many; with `shift` the first two have changed names."""
    at = REVOKED + timedelta(days=days)
    names = (LABELS[1], LABELS[0], *LABELS[2:]) if shift else LABELS
    return [LineRow(Row(f"{number % 4} {source} {days} {number}", names[number % 4]), source, at) for number in range(count)]


def left(*parts: list[LineRow], revoked: datetime | None = REVOKED) -> LearningRows:
    material = LearningRows(tuple(one for part in parts for one in part), (), (), unusable=(("another reason", 3),))
    return learning_rows.drop_outdated(material, revoked, lambda: embed_outdated, Silent())


def test_what_newer_rows_contradict_is_left_out_and_counted() -> None:
    old, new = rows(-1, "upstream"), rows(1, "upstream", shift=1)
    found = left(old, new)
    assert found.learning == (*(one for one in old if one.row.output in LABELS[2:]), *new)
    assert dict(found.unusable) == {"another reason": 3, learning_rows.OUTDATED: 60}


def test_without_a_revocation_or_a_change_all_is_learnt_from() -> None:
    old, new = rows(-1, "upstream"), rows(1, "upstream", shift=1)
    assert left(old, new, revoked=None).learning == (*old, *new)
    assert left(old, rows(1, "upstream")).learning == (*old, *rows(1, "upstream"))
    assert left(old, new[:19]).learning == (*old, *new[:19]), "too few"


def test_a_large_model_does_not_contradict_a_file_and_people_contradict_both() -> None:
    given, captured, new = rows(-2, "data"), rows(-1, "upstream"), rows(1, "upstream", shift=1)
    found = left(given, captured, new)
    assert found.learning[: len(given)] == tuple(given) and dict(found.unusable)[learning_rows.OUTDATED] == 60
    corrected = left(given, captured, rows(1, "human", shift=1))
    assert dict(corrected.unusable)[learning_rows.OUTDATED] == 120


def test_without_an_encoder_nothing_is_left_out_and_it_is_said() -> None:
    said: list[str] = []

    class Told(Silent):
        def say(self, text: str) -> None:
            said.append(text)

    material = LearningRows((*rows(-1, "upstream"), *rows(1, "upstream", shift=1)), (), ())
    assert learning_rows.drop_outdated(material, REVOKED, lambda: None, Told()) is material
    assert len(said) == 1 and "smidgen pull minilm" in said[0]
