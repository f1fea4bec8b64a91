"""The `[data.teacher]` section: where it stands, what it refuses, and that a key in the wrong place is not repeated."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from smidgen.core.errors import RecipeError
from smidgen.data.source import DataSettings
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.parts import recipe

TOML = """
task = "classify"
[data]
train = "train.csv"
[data.teacher]
source = "https://api.example.com/v1/"
model = "large"
votes = 3
"""


def of(**teacher: object) -> TeacherSettings:
    return recipe.make({"task": "classify", "data": {"teacher": teacher}}).settings(TeacherSettings)


def test_the_section_is_a_table_inside_data(tmp_path: Path) -> None:
    file = tmp_path / "smidgen.toml"
    file.write_text(TOML, encoding="utf-8")
    made = recipe.read(file, ["data.teacher.budget_usd=2.5", "data.max_rows=9"])
    found = made.settings(TeacherSettings)
    assert (found.source, found.model, found.votes, found.budget_usd) == ("https://api.example.com/v1", "large", 3, 2.5)
    assert made.settings(DataSettings).max_rows == 9
    file.write_text(made.toml(), encoding="utf-8")
    assert "[data.teacher]" in made.toml() and "teacher" in tomllib.loads(made.toml())["data"]
    assert recipe.read(file).json() == made.json()
    assert recipe.make(made.given()).json() == made.json(), "flags are laid over what was given"


def test_every_mistake_in_it_has_its_place() -> None:
    with pytest.raises(RecipeError) as caught:
        recipe.make({"task": "classify", "data": {"teacher": {"vots": 3, "uses": ["lable"]}}})
    mistakes = "\n".join(caught.value.mistakes)
    assert "data.teacher.vots: no such setting; did you mean 'votes'?" in mistakes and "data.teacher.uses.0" in mistakes
    with pytest.raises(RecipeError, match=r"a section \[data.teacher\] is expected"):
        recipe.make({"task": "classify", "data": {"teacher": "gpt"}})
    with pytest.raises(RecipeError, match="not of the form"):
        recipe.make({"task": "classify"}, ["train.deep.er=1"])


def test_a_key_in_the_recipe_is_refused_and_not_repeated() -> None:
    for secret in ("sk-proj-0123456789abcdef", "a secret", "sk_live"):
        with pytest.raises(RecipeError, match=r"data\.teacher\.key_env") as caught:
            of(key_env=secret)
        assert secret not in str(caught.value)
    with pytest.raises(RecipeError, match=r"key: no such setting.*did you mean"):
        of(key="K")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("http://api.example.com/v1", "unencrypted"),
        ("http://192.168.1.20:11434/v1", "unencrypted"),
        ("http://127.0.0.1.example.com/v1", "unencrypted"),
        ("http://localhost.example.com/v1", "unencrypted"),
        ("https://me:secret@api.example.com/v1", "no password"),
        ("https://api.example.com/v1?key=1", "no query"),
        ("ftp://api.example.com", "begins with https"),
        ("https:///v1", "begins with https"),
        ("https://api.example.com:99999/v1", "not a URL"),
    ],
)
def test_urls_that_are_not_trusted(source: str, why: str) -> None:
    with pytest.raises(RecipeError, match=why):
        of(source=source)


def test_what_is_on_this_machine() -> None:
    local = ["http://127.0.0.1:8080/v1", "http://localhost:11434/v1", "http://[::1]:8080/v1", "https://127.8.0.1/v1", "models/large"]
    assert all(of(source=source).local for source in local) and len(local) == 5
    assert not of(source="https://api.example.com/v1").local and not of().local
    assert of(votes=1).heat == 0.0 and of(votes=3).heat == 0.7 and of(votes=3, temperature=0.2).heat == 0.2
