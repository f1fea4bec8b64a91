"""Tests of the choice of the encoder's base by the language of texts and people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from smidgen.bases.lookup import AUTO
from smidgen.bases.starter import Starter, starters
from smidgen.core.rows import Row
from smidgen.flows.build.base_choice import encoder_choice, foreign_languages
from smidgen.flows.build.work import Work
from smidgen.parts import recipe

ENGLISH = ["Where is my parcel, please?", "I would like to send the lamp back.", "Can I pay by card in the showroom?", "My order is late."]
GERMAN = ["Wo ist denn mein Paket geblieben?", "Ich möchte die Lampe zurückgeben.", "Kann ich im Laden mit Karte zahlen?"]


def work(texts: list[str], settings: dict[str, dict[str, str]] | None = None, languages: tuple[str, ...] = ()) -> Work:
    made = recipe.make({"name": "x", "task": "classify", **(settings or {})})
    return Work(made, train=[Row(text, "a") for text in texts], languages=languages)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Starter, "here", lambda self: True)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("texts", "languages", "base", "said"),
    [
        (ENGLISH, (), AUTO, ""),
        (ENGLISH, ("en",), AUTO, ""),
        (GERMAN, (), "e5", "your texts are in German"),
        (ENGLISH + GERMAN, (), "e5", "your texts are in German"),
    ],
)
def test_other_languages_get_the_base_that_reads_them(texts: list[str], languages: tuple[str, ...], base: str, said: str) -> None:
    chosen, told = encoder_choice(work(texts, languages=languages), ["encoder"])
    assert chosen == base and told.startswith(said) and bool(told) == bool(said)


def test_a_base_that_is_not_here_is_only_recommended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Starter, "here", lambda self: False)
    chosen, told = encoder_choice(work(GERMAN), ["encoder"])
    assert chosen == AUTO and "smidgen pull e5" in told


@pytest.mark.usefixtures("here")
def test_a_named_base_and_decoders_are_left_alone() -> None:
    assert encoder_choice(work(GERMAN, {"base": {"name": "minilm"}}), ["encoder"]) == (AUTO, "")
    assert encoder_choice(work(GERMAN), ["decoder"]) == (AUTO, "")


@pytest.mark.usefixtures("here")
def test_languages_that_only_people_use_count_where_the_base_is_left_as_it_is(tmp_path: Path) -> None:
    spoken = work(ENGLISH, languages=("en", "de"))
    assert encoder_choice(spoken, ["encoder"]) == (AUTO, "people will write in German: give examples in that language, too")
    (tmp_path / "shop.md").write_text("\n\n".join(ENGLISH), encoding="utf-8")
    answer = recipe.make({"name": "x", "task": "answer", "answer": {"documents": str(tmp_path)}})
    rows = [replace(row, output=None) for row in spoken.train]
    asked = replace(spoken, recipe=answer, train=rows, languages=("de",))
    both = replace(asked, languages=("en", "de"))
    told = "people will write in German, too: give them a model of their own, or name the base e5"
    assert encoder_choice(both, ["encoder"]) == (AUTO, told)
    assert encoder_choice(asked, ["encoder"]) == ("e5", f"people will write in German, so the base is e5: {starters()['e5'].title}")


def test_few_foreign_texts_do_not_count() -> None:
    assert foreign_languages([*ENGLISH * 10, GERMAN[0]]) == []
    assert foreign_languages([*ENGLISH, *GERMAN]) == ["de"]
    assert foreign_languages([]) == []


def test_one_starter_reads_many_languages() -> None:
    assert [name for name, one in starters().items() if one.multilingual] == ["e5"]
    assert starters()["e5"].cosines == (0.8, 0.925) and starters()["minilm"].cosines == (0.0, 1.0)
