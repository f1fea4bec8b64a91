"""Frames are found in texts that programs wrap, and none in what people write."""

from __future__ import annotations

import random
from pathlib import Path

import polars
import pytest

from smidgen.core.placeholders import UNFRAMED, PromptFrame
from smidgen.text.prompt_patterns import find_frames, without_variables

SORT = "You sort messages of a shop. Say one of these labels: a, b, c.\n\nMessage: "
REVIEW = "You sort messages of a shop. Say one of these labels: a, b, c.\n\nReview: "
UNDER = "\n\n---\nTranslate all that stands above into French, nothing else."


@pytest.fixture(scope="module")
def said() -> list[str]:
    """What people wrote to a shop: 1,000 messages that differ."""
    file = Path(__file__).parents[2] / "src/smidgen/samples/homeware/support_train.csv"
    return list(dict.fromkeys(polars.read_csv(file)["text"].to_list()))[:1000]


def test_people_use_no_frames(said: list[str]) -> None:
    assert len(said) == 1000 and find_frames(said) == []


def test_frames_are_told_apart_where_they_differ(said: list[str]) -> None:
    wrapped = [
        *(f"{SORT}{text}\n\nLabel:" for text in said[:100]),
        *(f"{REVIEW}{text}\n\nLabel:" for text in said[100:180]),
        *(text + UNDER for text in said[180:240]),
        *said[240:600],
    ]
    random.Random(0).shuffle(wrapped)
    found = find_frames(wrapped)
    assert [group.frame for group in found] == [PromptFrame(SORT, "\n\nLabel:"), PromptFrame(REVIEW, "\n\nLabel:"), PromptFrame("", UNDER)]
    assert [len(group.places) for group in found] == [100, 80, 60]
    held = [[group.frame.bare(wrapped[place]) for place in group.places] for group in found]
    assert [set(texts) for texts in held] == [set(said[:100]), set(said[100:180]), set(said[180:240])]


def test_one_beginning_with_two_ends_is_two_frames(said: list[str]) -> None:
    begins = "Here is a message that a customer of ours has written:\n"
    wrapped = [*(f"{begins}{text}\n\nSort it." for text in said[:40]), *(f"{begins}{text}\n\nAnswer it." for text in said[40:80])]
    assert {group.frame for group in find_frames(wrapped)} == {PromptFrame(begins, "\n\nSort it."), PromptFrame(begins, "\n\nAnswer it.")}


def test_a_mark_stays_when_texts_come_that_share_less(said: list[str]) -> None:
    before = find_frames([f"{SORT}Please: {text}" for text in said[:50]])
    after = find_frames([f"{SORT}Please: {text}" for text in said[:50]] + [SORT + said[60]])
    assert before[0].frame.begins == f"{SORT}Please: " and len(after) == 1
    assert (before[0].mark, len(after[0].mark) > 0) == (find_frames([f"{SORT}Please: {text}" for text in said[50:120]])[0].mark, True)


def test_too_few_texts_have_no_frame(said: list[str]) -> None:
    assert find_frames([SORT + text for text in said[:19]]) == [] and len(find_frames([SORT + text for text in said[:20]])) == 1
    assert find_frames([]) == []


def test_a_frame_holds_no_text_in_which_its_two_ends_overlap() -> None:
    frame = PromptFrame("abc ", "c d")
    assert not frame.holds("abc d") and frame.bare("abc d") == "abc d"
    assert frame.holds("abc xc d") and frame.bare("abc xc d") == "x"
    assert UNFRAMED.holds("") and not UNFRAMED and frame


def test_for_a_stand_in_there_may_be_anything() -> None:
    frame = PromptFrame("You work for [ORGANISATION_1] in [PLACE_1]. Sort this: ", " Label:")
    assert frame.bare("You work for [ORGANISATION_1] in [PLACE_1]. Sort this: a lamp Label:") == "a lamp"
    assert frame.bare("You work for Fern & Hill in Bath in Bath. Sort this: a lamp Label:") == "a lamp"
    assert frame.bare("You work for Fern & Hill in Bath. Sort this: a lamp Label:") == "a lamp"
    assert not frame.holds("You work for  in Bath. Sort this: a lamp Label:")
    assert not frame.holds(f"You work for {'x' * 300} in Bath. Sort this: a lamp Label:")
    assert not frame.holds("You work for Fernhill in Bath. Sort that: a lamp Label:")
    assert frame.fixed == len("You work for  in . Sort this:  Label:")


@pytest.mark.parametrize(
    "alike",
    [
        ("Today is Tuesday, 5 May 2026, 10:30 AM. Sort it.", "Today is Friday, 27 November 2026, 9:05 pm. Sort it."),
        ("It is 2026-11-27T08:00:00Z.", "It is 2027-01-02T23:59:59+01:00."),
        ("It is 3/3/2026 9:00 CET", "It is 12/10/2026 17:45 CEST"),
        ("Heute ist Montag, der 5. März 2026.", "Heute ist Freitag, der 17. Juli 2026."),
        ("Nous sommes le 5 mai 2026.", "Nous sommes le 12 décembre 2027."),
        ("order ORD-7731-XK by 550e8400-e29b-41d4-a716-446655440000", "order ORD-1-AB by 650e8400-abcd-41d4-a716-446655440abc"),
        ("You talk to [PERSON_1].", "You talk to [PERSON_12]."),
        ("in at most 5 words", "in at most 1,250 words"),
        ("It is May.", "It is August."),
    ],
)
def test_days_times_numbers_ids_and_stand_ins_vary(alike: tuple[str, str]) -> None:
    assert without_variables(alike[0]) == without_variables(alike[1])


@pytest.mark.parametrize(
    "other",
    [
        ("Sort the mail.", "Sort the post."),
        ("You may answer.", "You must answer."),
        ("in 5 words", "in 5 lines"),
        ("is [PERSON_1]", "are [PERSON_1]"),
    ],
)
def test_all_else_stays(other: tuple[str, str]) -> None:
    assert without_variables(other[0]) != without_variables(other[1])
    assert without_variables("Sort the mail.") == "Sort the mail."
