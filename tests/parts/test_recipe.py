"""A recipe reports every mistake at once, with its place and what was likely meant."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from smidgen.core.errors import RecipeError, UnknownPart
from smidgen.judge.gate_settings import GateSettings
from smidgen.parts import recipe
from smidgen.students.settings import StudentSettings

GOOD = """
name = "support"
task = "classify"
seed = 3
[data]
train = "train.csv"
[student]
quality = "fast"
[train]
epochs = 2
[gate]
max_loss = 0.02
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "smidgen.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_sections_go_to_the_parts_that_own_them(tmp_path: Path) -> None:
    made = recipe.read(written(tmp_path, GOOD))
    assert (made.name, made.task, made.seed, made.folder) == ("support", "classify", 3, tmp_path)
    assert made.settings(GateSettings).max_loss == 0.02
    assert made.settings(StudentSettings).quality == "fast"
    assert made.sections["train"].epochs == 2


def test_overrides_win_and_are_read_as_toml(tmp_path: Path) -> None:
    made = recipe.read(written(tmp_path, GOOD), ["train.epochs=5", "gate.max_loss=0.5", "student.quality=best", "name=other", "seed=9"])
    assert made.sections["train"].epochs == 5
    assert made.settings(GateSettings).max_loss == 0.5
    assert made.settings(StudentSettings).quality == "best"
    assert (made.name, made.seed) == ("other", 9)


def test_every_mistake_is_reported_at_once(tmp_path: Path) -> None:
    text = 'task = "classify"\nseed = -1\n[gate]\nmax_los = 0.1\nmin_agreement = 7\n[train]\nepochs = "many"\n[sturdent]\nkind = "x"\n'
    with pytest.raises(RecipeError) as caught:
        recipe.read(written(tmp_path, text))
    mistakes = "\n".join(caught.value.mistakes)
    assert len(caught.value.mistakes) == 5
    for place in ("seed", "gate.max_los", "gate.min_agreement", "train.epochs", "sturdent"):
        assert place in mistakes
    assert "did you mean 'max_loss'" in mistakes
    assert "did you mean 'student'" in mistakes
    assert "7" in mistakes


def test_unknown_names_say_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(UnknownPart, match="Did you mean 'classify'"):
        recipe.read(written(tmp_path, 'task = "clasify"\n'))
    with pytest.raises(UnknownPart, match="encoder"):
        recipe.read(written(tmp_path, 'task = "classify"\n[student]\nkind = "encodr"\n'))


@pytest.mark.parametrize(
    ("text", "words"), [("task = ", "not TOML"), ("[data]\n", "names no task"), ("task = 'classify'\ntrain = 3\n", "mistake")]
)
def test_broken_recipes_are_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        recipe.read(written(tmp_path, text))


def test_a_missing_recipe_and_a_bad_override_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such recipe"):
        recipe.read(tmp_path / "none.toml")
    (tmp_path / "tickets.csv").write_text("text,team\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"a recipe was expected.*--data tickets\.csv"):
        recipe.read(tmp_path / "tickets.csv")
    with pytest.raises(RecipeError, match=r"section\.name=value"):
        recipe.read(written(tmp_path, GOOD), ["epochs"])
    with pytest.raises(RecipeError, match="not a section"):
        recipe.read(written(tmp_path, GOOD), ["name.x=1"])


def test_the_full_recipe_round_trips(tmp_path: Path) -> None:
    made = recipe.read(written(tmp_path, GOOD), ['data.licence="a \\"quoted\\" one"'])
    again = recipe.read(written(tmp_path, made.toml()))
    assert again.json() == made.json()
    assert tomllib.loads(made.toml())["data"]["licence"] == 'a "quoted" one'
