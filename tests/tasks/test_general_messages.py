"""Messages that ask no business for a call: by language, and not those that the rows have."""

from __future__ import annotations

from smidgen.tasks.general_messages import general_messages


def test_they_are_in_the_language_of_most_texts_and_new() -> None:
    english, german = ["where is my parcel and when will it come", "ok"], ["wo ist mein Paket und wann kommt es an", "ok"]
    few = general_messages(english, 10, ["Hello"])
    assert len(set(few)) == 10 and "Hello" not in few
    assert {"Danke", "Wie lange dauert das?"} <= set(general_messages([*german, *german, *english], 1000))
    assert {"Thank you", "How long does it take?"} <= set(general_messages(english, 1000))


def test_there_are_none_where_none_are_wanted_or_the_language_has_none() -> None:
    assert general_messages(["where is my parcel and when will it come"], 0) == []
    assert general_messages(["où est mon colis et quand est-ce qu'il arrive chez moi"], 10) == []
    assert general_messages(["ok"], 10) == [], "the language does not show"
