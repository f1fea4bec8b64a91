"""What a teacher says, and what of it is believed: votes, marks, new rows, labels that other rows speak against."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from smidgen.core.errors import TeacherError
from smidgen.core.quantities import Metric
from smidgen.core.rows import Row
from smidgen.data import row_selection
from smidgen.data.label_errors import review_labels
from smidgen.data.teacher import evaluation, generation
from smidgen.data.teacher.evaluation import count_votes
from smidgen.data.teacher.generation import ExampleFilter, ExampleRequest
from smidgen.data.teacher.prompts import bag_of_words
from smidgen.data.teacher.questions import NoAnswerReason, TeacherAnswer
from smidgen.stats.kernel_ridge import class_probabilities, fit_classifier
from smidgen.text import near_duplicates
from smidgen.usage.budgets import TokenCount


def hear(text: str) -> str:
    if text not in ("a", "b", "c"):
        raise ValueError("none of them")
    return text


def votes(*texts: str) -> list[TeacherAnswer]:
    return [TeacherAnswer(text) for text in texts]


def test_votes_become_shares() -> None:
    found = count_votes(votes("a", "b", "a", "a"), hear, None, 0.5)
    assert (found.output, found.agreement, found.shares) == ("a", 0.75, (("a", 0.75), ("b", 0.25)))
    assert count_votes(votes("a", "a"), hear, None, 0.5).shares == ()


def test_votes_that_do_not_agree_or_cannot_be_used() -> None:
    assert count_votes(votes("a", "b", "c"), hear, None, 0.5).why_not == evaluation.SPLIT
    assert count_votes(votes("a", "?", "?"), hear, None, 0.5).why_not == evaluation.SPLIT, "a vote for nothing is a vote"
    assert count_votes(votes("a", "?", "a"), hear, None, 0.5).shares == ()
    assert count_votes(votes("?", "!"), hear, None, 0.0).why_not == evaluation.UNHEARD
    assert count_votes([TeacherAnswer("a", finished=False)], hear, None, 0.0).why_not == evaluation.CUT
    assert count_votes([TeacherAnswer("", why_not=NoAnswerReason.BUDGET)], hear, None, 0.0).why_not == NoAnswerReason.BUDGET
    assert count_votes([], hear, None, 0.0).why_not == NoAnswerReason.PRIVATE
    assert count_votes([TeacherAnswer("", why_not=NoAnswerReason.BUDGET), TeacherAnswer("a")], hear, None, 0.9).output == "a"


def test_of_written_answers_the_one_nearest_to_all_is_taken() -> None:
    alike = {("red lamp", "a red lamp"): 0.8, ("red lamp", "blue chair"): 0.0, ("a red lamp", "blue chair"): 0.1}

    def agree(outputs: list[str]) -> np.ndarray:
        return np.array([[1.0 if a == b else alike.get((a, b), alike.get((b, a), 0.0)) for b in outputs] for a in outputs])

    found = count_votes(votes("red lamp", "a red lamp", "blue chair"), str, agree, 0.3)
    assert (found.output, round(found.agreement, 2)) == ("a red lamp", 0.45)
    assert count_votes(votes("red lamp", "blue chair"), str, agree, 0.3).why_not == evaluation.SPLIT
    assert count_votes(votes("only"), str, agree, 0.3).output == "only"


@pytest.mark.parametrize(
    ("said", "mark"), [("7", 0.7), (" 10 ", 1.0), ("Mark: 8/10", 0.8), ("**6.5**", 0.65), ("0", 0.0), ("Score = 3.", 0.3)]
)
def test_marks(said: str, mark: float) -> None:
    assert evaluation.read_mark(said) == pytest.approx(mark)


@pytest.mark.parametrize("said", ["", "good", "11", "-", "7 because it is fine", "between 3 and 5"])
def test_what_is_no_mark(said: str) -> None:
    with pytest.raises(ValueError):
        evaluation.read_mark(said)


OWN = [Row("where is my parcel", "parcel"), Row("my parcel is late again", "parcel"), Row("i want my money back", "refund")]


def test_new_rows_are_read_strictly() -> None:
    wish = ExampleRequest("refund", tuple(OWN[2:]))
    answer = json.dumps(["give me a refund", "", 7, "x\0y", "money back please", "half \ud800 a letter"])
    rows, bad = generation.read_examples(answer, wish, _any)
    assert [(row.input, row.output) for row in rows] == [("give me a refund", "refund"), ("money back please", "refund")]
    assert bad == 4
    assert generation.read_examples(f"```json\n{answer}\n```", wish, _any)[1] == 4
    for broken in ("Here you go: [", "{}", "[" * 5000, ""):
        assert generation.read_examples(broken, wish, _any) == ([], 1)
    pair = ExampleRequest(None, tuple(OWN))
    rows, bad = generation.read_examples(
        '[{"input": "a", "output": "b"}, {"input": "a"}, "a", {"input": ["a"], "output": "b"}]', pair, _text
    )
    assert ([(row.input, row.output) for row in rows], bad) == ([("a", "b")], 3)


def _any(text: str, value: object) -> str:
    return str(value)


def _text(text: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("no text")
    return value


def test_wishes_go_where_rows_are_few_and_errors_many() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(4, 16))
    labels = ["easy"] * 40 + ["thin"] * 4 + ["mixed"] * 20 + ["taken"] * 20
    places = [{"easy": 0, "thin": 1, "mixed": 2, "taken": 2}[label] for label in labels]
    vectors = centres[places] + 0.3 * rng.normal(size=(84, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = [Row(f"text {n}", label) for n, label in enumerate(labels)]
    found = generation.plan_requests(rows, 400, vectors.astype(np.float32), True, 0)
    counts = {label: sum(wish.label == label for wish in found) for label in set(labels)}
    assert sum(counts.values()) == 50
    assert counts["mixed"] + counts["taken"] > 30 and counts["thin"] > counts["easy"]
    assert next(wish for wish in found if wish.label == "mixed").rivals == ("taken",)
    assert "None of them may fit taken" in generation.generation_question(next(wish for wish in found if wish.label == "mixed"), str)
    assert all(seed.output == wish.label for wish in found for seed in wish.seeds)


def test_wishes_without_labels_go_where_texts_are_thin() -> None:
    rng = np.random.default_rng(0)
    lies_in = np.repeat(np.arange(4), [150, 100, 40, 10])
    vectors = rng.normal(size=(4, 16))[lies_in] + 0.2 * rng.normal(size=(300, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    rows = [Row(f"text {number}", "a text", number) for number in range(300)]
    found = generation.plan_requests(rows, 480, vectors, False, 0)
    shown = [Counter(int(lies_in[row.number]) for row in wish.seeds).most_common(1)[0] for wish in found]
    assert len(found) == 60 and all(len(set(wish.seeds)) == 6 and wish.label is None for wish in found)
    assert sum(most == 6 for _, most in shown) > 50, "a wish is of one region"
    each = Counter(region for region, _ in shown)
    assert set(each) == {0, 1, 2, 3} and each[3] >= 5 > 60 * 10 / 300, "twice and more what chance would give the thinnest"
    assert found == generation.plan_requests(rows, 480, vectors, False, 0) != generation.plan_requests(rows, 480, vectors, False, 1)
    words = [Row(f"{word} {number}", "", number) for word, count in (("red lamp", 40), ("late parcel", 6)) for number in range(count)]
    by_words = generation.plan_requests(words, 48, None, False, 0)
    assert any(sum("parcel" in str(row.input) for row in wish.seeds) >= 5 for wish in by_words) and len(by_words) == 6
    assert [len(wish.seeds) for wish in generation.plan_requests(words[:3], 30, None, False, 0)] == [3] * 4


def test_the_sieve_says_what_it_dropped_and_why() -> None:
    apart = [Row("could you tell me where my refund is please", "refund")]
    sieve = ExampleFilter(OWN, apart, bag_of_words)
    new = [
        "Could you tell me where my refund is, please?",  # of the test set
        "where is my PARCEL!",  # the user's own
        "no",  # too short
        "word " * 80,  # too long
        "write to [E_MAIL_1] about my refund",
        "the shipment has not come yet",
        "The shipment has not come yet.",  # its twin
        "come not yet has shipment the",  # the same words
        "when do you open on sundays",
    ]
    assert [row.input for row in sieve.passed([Row(text, "parcel") for text in new])] == [new[5], new[8]]
    assert +sieve.dropped == {
        "nearly a row that is measured on": 1,
        "nearly a row that is there already": 2,
        "shorter or longer than any of yours": 2,
        "it holds a stand-in": 1,
        "says what another row says": 1,
    }


def test_an_output_of_the_teachers_making_holds_no_stand_in() -> None:
    text, other = "please write to the customer about her parcel", "when will the shop open on a sunday in may"
    masked = ["Dear [PERSON_1], it is on its way.", {"name": "[PERSON_1]", "town": None}, [{"to": {"name": "Ms [PERSON_12]"}}]]
    for output in masked:
        sieve = ExampleFilter(OWN, [], None)
        assert [row.input for row in sieve.passed([Row(text, output), Row(other, "Dear customer, [sic] it is.")])] == [other]
        assert +sieve.dropped == {"its output holds a stand-in": 1}
        assert sieve.masked(output) and sieve.dropped["its output holds a stand-in"] == 2
    assert len(masked) == 3
    own = ExampleFilter(OWN, [], None, labelled=True)
    assert [row.output for row in own.passed([Row(text, "[FORM_1]")])] == ["[FORM_1]"], "a label is the user's own word"


def test_leaks_are_found_whichever_text_is_longer() -> None:
    long = "please tell me where on earth my lovely green parcel has got to by now"
    assert near_duplicates.near_any_of([long, "something else"], [f"{long}!"]) == {0}
    assert near_duplicates.near_any_of([f"{long} ok", "something else"], [long]) == {0}
    assert near_duplicates.repeated_texts(["One two", "one, two", "three"], ["THREE"]) == {1, 2}
    assert near_duplicates.near_any_of([], ["a"]) == set()


def test_labels_that_the_other_rows_speak_against() -> None:
    rng = np.random.default_rng(1)
    marks = {"refund": ["refund", "money", "back"], "parcel": ["parcel", "late", "where"], "lamp": ["lamp", "bulb", "light"]}
    filler = [f"w{number}" for number in range(30)]

    def text(label: str) -> str:
        return " ".join(rng.permutation([*marks[label], *rng.choice(filler, 4)]))

    own = [Row(text(label), label) for label in marks for _ in range(8)]
    gold = [label for label in marks for _ in range(60)]
    said = [str(rng.choice([other for other in marks if other != label])) if n % 12 == 0 else label for n, label in enumerate(gold)]
    taught = [Row(text(label), given, number) for number, (label, given) in enumerate(zip(gold, said, strict=True))]
    judged, why = review_labels(own, taught, set(), None)
    assert why == "" and len(judged) == len(taught)
    left = [(row.output, gold[row.number]) for row in judged if row is not None]
    assert sum(a != b for a, b in left) <= 6 < sum(a != b for a, b in zip(said, gold, strict=True)) == 15
    assert len(left) >= 160
    kept, why = review_labels(own[:1], taught[:1], set(), None)
    assert kept == taught[:1] and "too few" in why
    assert review_labels(own, [Row("zz", "none")], {"none"}, None)[0] == [Row("zz", "none")], "what fits no label cannot be judged"


def test_a_teacher_is_refused_only_where_it_is_surely_too_weak() -> None:
    weak = evaluation.TeacherEvaluation(Metric(0.3, 0.2, 0.4, 60), 5, 0.8, "what a linear model learns from your rows without it", 0.8)
    with pytest.raises(TeacherError, match=r"60 of your own rows its accuracy is 30\.0% \(95 %: 20\.0% to 40\.0%\), and 80\.0% is.*; 5 of"):
        evaluation.require_able(weak, "m", "accuracy")
    evaluation.require_able(evaluation.TeacherEvaluation(Metric(0.7, 0.6, 0.81, 60), 0, 0.8, "", 0.8), "m", "accuracy")


def test_a_plan_follows_what_the_trial_took() -> None:
    assert evaluation.estimate_tokens([TokenCount(100, 4), TokenCount(200, 6)], 10) == TokenCount(1500, 50)
    assert evaluation.estimate_tokens([], 10) == TokenCount()
    rows = [Row(str(n), label) for n, label in enumerate(["a"] * 50 + ["b"] * 3 + ["c"] * 3)]
    drawn = evaluation.draw_by_stratum(rows, [str(row.output) for row in rows], 9, 0)
    assert sorted(str(rows[place].output) for place in drawn) == ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    assert len(evaluation.draw_by_stratum(rows, ["x"] * 56, 100, 0)) == 56


def clouds(count: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points around a centre for each class; a tenth of the classes hold most of them."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, 24))
    targets = np.minimum((rng.pareto(1.0, count) * 2).astype(int), classes - 1)
    points = centres[targets] + 0.4 * rng.normal(size=(count, 24))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), targets


def test_chosen_rows_teach_more_than_random_ones() -> None:
    vectors, targets = clouds(1500, 20, 3)
    pool, test = np.arange(1000), np.arange(1000, 1500)

    def accuracy(places: list[int]) -> float:
        head = fit_classifier(vectors[places], targets[places], 20)
        return float((head.scores(vectors[test]).argmax(axis=1) == targets[test]).mean())

    embed = lambda texts: vectors[[int(text) for text in texts]]  # noqa: E731
    rows = [Row(str(place), str(targets[place])) for place in pool]
    blind = [replace_output(row) for row in rows]
    rng = np.random.default_rng(0)
    for count in (20, 40, 80):
        random = float(np.mean([accuracy(rng.permutation(1000)[:count].tolist()) for _ in range(20)]))
        without = row_selection.select_unlabelled(blind, count, (), embed, 0)
        with_some = [*range(10), *(10 + place for place in row_selection.select_unlabelled(blind[10:], count - 10, rows[:10], embed, 0))]
        labelled = row_selection.select_labelled(vectors[:1000], [str(target) for target in targets[:1000]], count, 0)
        assert len(set(without)) == len(set(with_some)) == len(set(labelled)) == count
        # What is common counts for more in this test set, so equal parts are measured by the mean over classes in the bench.
        assert min(accuracy(without), accuracy(with_some)) > random
    assert without == row_selection.select_unlabelled(blind, 80, (), embed, 0), "the same seed, the same rows"
    assert len(row_selection.select_unlabelled(blind, 5, (), None, 0)) == 5
    assert row_selection.select_unlabelled(blind, 5000, (), embed, 0) == list(range(1000))


def replace_output(row: Row) -> Row:
    return Row(row.input, None, row.number)


def test_labels_get_equal_parts_as_far_as_they_have_rows() -> None:
    vectors, _ = clouds(100, 5, 1)
    labels = ["a"] * 80 + ["b"] * 15 + ["c"] * 5
    chosen = [labels[place] for place in row_selection.select_labelled(vectors, labels, 40, 0)]
    assert {label: chosen.count(label) for label in "abc"} == {"a": 20, "b": 15, "c": 5}
    assert len(row_selection.select_labelled(vectors, labels, 500, 0)) == 100


def test_what_a_head_says_of_rows_it_has_not_seen() -> None:
    vectors, targets = clouds(60, 4, 5)
    found = class_probabilities(fit_classifier(vectors, targets, 4).left_out)
    assert found.shape == (60, 4) and np.allclose(found.sum(axis=1), 1)
    assert 0.8 < (found.argmax(axis=1) == targets).mean() <= 1
