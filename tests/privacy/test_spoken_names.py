"""Names that a conversation gives away itself: found, and masked wherever they stand in it."""

from __future__ import annotations

import pytest

from smidgen.privacy.spoken_names import names_said, without_names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Hello, my name is Nia Thorne and my parcel is late", {"nia", "thorne"}),
        ("Guten Tag, ich heiße Jürgen Groß. Wo ist mein Paket?", {"jürgen", "groß"}),
        ("Please tell Mrs. O'Brien that it has come", {"o'brien"}),
        ("It never came.\n\nBest regards,\nAda Lovelace", {"ada", "lovelace"}),
        ("Viele Grüße\nSvenja", {"svenja"}),
        ("my mail is nia.thorne@example.com", {"nia", "thorne"}),
        ("I am not sure whether this is right. Thanks a lot", set()),
        ("do you have the Pedlar Cushion in blue", set()),
    ],
)
def test_names_show_by_what_stands_before_them(text: str, names: set[str]) -> None:
    assert names_said([text]) == names


def test_a_name_is_hidden_wherever_it_stands() -> None:
    names = names_said(["I'm Nia Thorne"])
    assert without_names("Is NIA there? Thorne's order, not Niagara's.", names, "•••") == "Is ••• there? ••• order, not Niagara's."
    assert without_names("nobody", (), "•••") == "nobody"
