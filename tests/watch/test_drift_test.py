"""An alarm is raised for what moved, and hardly ever for nothing, however often one looks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import ValidationError

from smidgen.flows.drift import DriftSettings
from smidgen.stats.drift_statistics import find_presence
from smidgen.stats.risk_bounds import slow_level_of_look
from smidgen.watch import drift_test
from smidgen.watch.drift_test import DriftVerdict, TrafficSample, enough, judged, normalised, without_placeholders, words

LABELS = np.array([f"label {number}" for number in range(8)])
SUBJECTS = ("parcel", "refund", "invoice", "lamp", "voucher", "return", "address", "colour")
VERBS = ("lost", "late", "broken", "wanted", "found", "wrong", "paid", "sent", "new", "old")
CENTRES = np.random.default_rng(42).normal(size=(9, 6))


def letters(number: int) -> str:
    """A name for a text that no other has."""
    return "".join(chr(97 + number // 26**place % 26) for place in range(4))


def sample(
    seed: int, earlier: int = 300, later: int = 100, new: float = 0.0, shift: float = 0.0, look: int = 0, looks: int = 1
) -> TrafficSample:
    """Two stretches of texts about eight subjects; of the later one the share `new` is of a ninth, and texts moved by `shift`. Of several
    looks each has a part of the later stretch."""
    rng = np.random.default_rng(seed)
    about = rng.integers(0, 8, earlier + later)
    about[earlier:] = np.where(rng.random(later) < new, 8, about[earlier:])
    vectors = CENTRES[about] + rng.normal(size=(len(about), 6))
    vectors[earlier:, 0] += shift
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    words = [(SUBJECTS[one] if one < 8 else "klarna", VERBS[rng.integers(0, 10)]) for one in about]
    texts = [f"{subject} {verb} {letters(number)}" for number, (subject, verb) in enumerate(words)]
    scores = np.clip(rng.beta(8, 2, len(about)) - 0.3 * (about == 8), 0, 1)
    begin, end = earlier + later * look // looks, earlier + later * (look + 1) // looks
    where = find_presence(texts[:earlier], texts[begin:end])
    assert where is not None
    at = np.where(where.later_at >= 0, begin + where.later_at, where.earlier_at)
    labels = [str(LABELS[about[place] % 8]) for place in at]
    return TrafficSample(where, [texts[place] for place in at], vectors[at], labels, scores[at], ["en"] * where.n)


def moved(found: DriftVerdict) -> list[str]:
    return [test.what for test in found.tests if test.alarm]


def test_a_new_subject_is_seen_and_told_with_examples() -> None:
    given = sample(1, new=0.35)
    found = judged(given, 1)
    assert found.alarm and {"meaning", "words"} <= set(moved(found))
    by = {test.what: test for test in found.tests}
    assert set(by) == {"meaning", "subjects", "labels", "scores", "length", "language", "words"}
    assert by["words"].numbers["words"] == {"klarna": sum("klarna" in text for text in given.texts)}
    assert by["meaning"].examples and sum("klarna" in text for text in by["meaning"].examples) >= 4
    assert all("klarna" in text for text in by["words"].examples) and len(by["words"].examples) == 5
    assert "more label 0" in by["labels"].says and by["labels"].numbers["shares"]
    # The share that is new, at most: vectors of the new subject lie among the others.
    assert 0.1 < by["meaning"].size < 0.4 and 0.25 < by["words"].size < 0.45
    assert by["language"].p == 1.0 and not by["language"].sure


def test_what_is_kept_of_a_look_has_no_text_in_it() -> None:
    given = sample(1, new=0.35)
    kept = json.dumps(judged(given, 1).json(examples=False))
    assert "klarna" not in kept and "label 0" in kept
    assert [text for text in given.texts if text in kept] == [] and len(given.texts) == 400
    assert "klarna" in json.dumps(judged(given, 1).json())


def test_a_small_shift_of_many_texts_is_certain_and_no_alarm() -> None:
    found = judged(sample(2, earlier=4000, later=2000, shift=0.18), 1)
    (meaning,) = [test for test in found.tests if test.what == "meaning"]
    assert meaning.sure and 0.01 < meaning.size < 0.05 and not meaning.alarm and not found.alarm


def test_of_looks_at_the_same_traffic_hardly_any_series_ever_raises_an_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty series of three looks at one reference, at a level of 0.2 and with every size an alarm: in nine there may be one."""
    series, looks, level = 40, 3, 0.2
    # Fewer permutations than the smallest shares need make p-values larger, and no alarm more.
    monkeypatch.setattr(drift_test, "_FEWEST_DRAWN", 99)
    monkeypatch.setattr(drift_test, "_MOST_DRAWN", 400)
    alarms = 0
    for number in range(series):
        # All looks of a series compare with the same reference, as a line's do.
        parts = [sample(1000 + number, earlier=150, later=50 * looks, look=look, looks=looks) for look in range(looks)]
        alarms += any(judged(one, look, level, least=1e-9, seed=number).alarm for look, one in enumerate(parts, 1))
    assert alarms <= 9


def test_each_look_spends_its_share_and_a_late_one_says_that_it_is_blind() -> None:
    whole = sample(3, earlier=120, later=60)
    given = TrafficSample(whole.where, whole.texts, untested={"meaning": "why"})
    first, late = judged(given, 1), judged(given, 50_000)
    assert (first.spent, late.spent) == (slow_level_of_look(0.05, 1), slow_level_of_look(0.05, 50_000))
    assert not first.blind and late.blind and first.untested == {"meaning": "why"}
    assert [test.what for test in first.tests] == ["length", "words"]


def test_whose_score_is_known_may_go_with_where_it_stands() -> None:
    """Of texts that another version answered no score is known: nearly all of the recent ones have one, and few of the earlier."""
    raised = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        where = find_presence([f"earlier {number}" for number in range(600)], [f"later {number}" for number in range(200)])
        assert where is not None
        scores = np.where((where.later > 0) | (rng.random(where.n) < 0.1), rng.random(where.n), np.nan)
        given = TrafficSample(where, ["a text"] * where.n, None, None, scores, None)
        (found,) = (test for test in judged(given, 1).tests if test.what == "scores")
        raised += found.p <= 0.05
    assert raised <= 7  # 2 or 3 are expected; permuted among all texts it were about 15


def test_too_few_texts_are_no_look() -> None:
    assert not enough(sample(4, earlier=100, later=49).where) and enough(sample(4, earlier=100, later=50).where)


def test_a_level_or_a_size_that_cannot_be_is_refused() -> None:
    for wrong in ({"level": 0.0}, {"least": 1.0}):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            DriftSettings(**wrong)


def test_numbers_case_and_stand_ins_make_no_other_text() -> None:
    assert normalised("Where is order 4711?") == normalised("where is  order 42") == "where is order 0"
    assert normalised("[PERSON_1] wants a refund") == normalised("[PERSON_3] wants a REFUND!") == "person wants a refund"
    assert normalised("Where is my order?") != normalised("Where is my parcel?")
    assert normalised(("a question", "a passage")) == "a question a passage"


def test_words_are_folded_and_are_no_numbers_and_no_stand_ins() -> None:
    found = words("Don't charge [PERSON_1] 20 € for the Überweisung_x, I pay by e-mail")
    assert found == {"don't", "charge", "for", "the", "überweisung", "pay", "by", "mail"}
    assert without_placeholders("hello [EMAIL_2], bye") == "hello  , bye"
