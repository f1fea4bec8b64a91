"""What varies in a prompt is left out, and nothing else."""

from __future__ import annotations

import pytest

from smidgen.text.prompt_patterns import without_variables


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
