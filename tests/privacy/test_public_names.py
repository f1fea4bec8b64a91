"""Names that are nobody's stay, unless the words around one show a private person; in doubt a name is masked."""

from __future__ import annotations

from pathlib import Path

import pytest

from smidgen.core.errors import InputError
from smidgen.privacy import public_names
from smidgen.privacy.public_names import PublicNames


def private(
    text: str, piece: str, kind: str = "person", known: tuple[str, ...] = (), places: bool = True, companies: bool = False
) -> list[str]:
    """The kinds by which a piece of a text is masked."""
    start = text.index(piece)
    found = PublicNames(known).private(text, [(kind, start, start + len(piece))], places=places, companies=companies)
    return [found_kind for found_kind, *_ in found]


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("how old is taylor swift", "taylor"),
        ("where is Wells Fargo's routing number", "Wells Fargo"),
        ("does jimmy john's deliver", "jimmy john"),
        ("does jimmy john’s deliver", "jimmy john"),
        ("ask alexa to stop", "alexa"),
        ("do you work for amazon, alexa", "amazon, alexa"),
        ("is barack obama's birthday in august", "barack obama"),
        ("show the way to the George Washington Bridge", "George Washington Bridge"),
        ("songs by unknown singer", "unknown singer"),
        ("can we change your name to clara", "clara"),
        ("can i start calling you fred", "fred"),
        ("your new name is joe", "joe"),
        ("the money hasn't arrived", "hasn"),
        ("is sammy's crab shack open", "sammy"),
        ("tell me about the zebras", "zebras"),
        ("who wrote a brief history of time, stephen king", "stephen king"),
    ],
)
def test_what_is_nobodys_stays(text: str, piece: str) -> None:
    assert private(text, piece) == []


@pytest.mark.parametrize(
    ("text", "piece"),
    [
        ("call anna tomorrow", "anna"),
        ("email mercedes about the lease", "mercedes"),
        ("is my neighbour jack daniels at home", "jack daniels"),
        ("tell elon musk, my brother, that I am home", "elon musk"),
        ("my name is Tesla", "Tesla"),
        ("ring wendy's mom", "wendy"),
        ("siri larsen sent me", "siri larsen"),
        ("call alexa now", "alexa"),
        ("transfer 200 to chase", "chase"),
        ("taylor swift called, ring back at 555 201 4477", "taylor swift"),
        ("is taylor coming", "taylor"),
        ("Mr. Ford signed", "Ford"),
        ("my name is Margit Bridge", "Margit Bridge"),
        ("call zebras now", "zebras"),
        ("mein mann otto hat das passwort vergessen", "otto"),
        ("george washington, he is our plumber", "george washington"),
    ],
)
def test_a_private_person_is_masked_whatever_the_name(text: str, piece: str) -> None:
    assert private(text, piece) == ["person"]


def test_the_users_own_names_stay_beside_the_listed_ones() -> None:
    assert private("ask margo to stop", "margo") == ["person"]
    assert private("ask margo to stop", "margo", known=("Margo",)) == []
    assert private("my sister margo is here", "margo", known=("Margo",)) == ["person"]
    assert private("bought at brightco", "brightco", "organisation", known=("Brightco",)) == []
    assert private("bought at brightco", "brightco", "organisation") == ["organisation"]


def test_a_street_without_a_number_is_a_place() -> None:
    assert private("which bus goes down oak street", "oak street", "address") == ["place"]
    assert private("which bus goes down oak street", "oak street", "address", places=False) == ["address"], "asked for by its kind"
    for piece in ("14 oak street", "twenty two oak street", "P.O. Box"):
        assert private(f"send it to {piece}", piece, "address") == ["address"]


def test_a_company_beside_a_person_and_a_number_are_masked_as_before() -> None:
    assert private("Anna works at Walmart", "Walmart", "organisation") == ["organisation"]
    assert private("is there traffic on i-95 north", "i-95 north", "id") == []
    assert private("my id is a123456", "a123456", "id") == ["id"]


@pytest.mark.parametrize("known", [("",), ("--",), ("a" * 101,), tuple(f"n{number}" for number in range(1_001))])
def test_known_names_are_bounded(known: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        PublicNames(known)


def test_the_list_has_many_names_and_no_common_given_name() -> None:
    names = public_names._shipped()
    assert len(names) > 1_000
    given = "anna michael michaels ralph ralphs taylor adele virginia paris austin jordan ross kelly emma james maria thomas dora homer"
    assert [name for name in given.split() if (name,) in names] == []


def test_a_place_or_a_company_that_was_taken_for_a_person_has_its_own_kind() -> None:
    assert private("is it safe in malawi", "malawi") == ["place"]
    assert private("is it safe in malawi", "malawi", places=False) == []
    assert private("anna is in malawi", "malawi", "place") == ["place"]
    assert private("is walmart open", "walmart") == []
    assert private("is walmart open", "walmart", companies=True) == ["organisation"]
    assert private("is citrix up", "citrix", "place", companies=True) == ["organisation"]


@pytest.mark.parametrize(
    ("text", "piece", "sign"),
    [
        ("call anna", "anna", True),
        ("my sister anna", "anna", True),
        ("anna's birthday", "anna", True),
        ("anna schmidt", "anna schmidt", True),
        ("anna, a@example.org", "anna", True),
        ("is anna good", "anna", False),
        ("tell me about anna", "anna", False),
    ],
)
def test_what_is_a_sign_of_a_private_person(text: str, piece: str, sign: bool) -> None:
    start = text.index(piece)
    assert public_names.has_sign(text, start, start + len(piece)) == sign


def test_a_name_may_go_over_two_lines_of_the_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("# a, b\n\n[brands]\nacme, big\nblue*\n\n[words]\ntofu\n", encoding="utf-8")
    monkeypatch.setattr(public_names, "_FILE", tmp_path / "names.txt")
    assert public_names._shipped.__wrapped__() == {("acme",): "brands", ("big", "blue"): "brands*", ("tofu",): "words"}
