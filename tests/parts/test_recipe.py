"""A recipe reports every mistake at once, with its place and what was likely meant."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from smidgen.core.errors import RecipeError, UnknownPart
from smidgen.judge.quality_gate import GateSettings
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
    with pytest.raises(RecipeError, match="needs a section"):
        recipe.read(written(tmp_path, GOOD), ["name.x=1"])


def test_the_full_recipe_round_trips(tmp_path: Path) -> None:
    made = recipe.read(written(tmp_path, GOOD), ['data.licence="a \\"quoted\\" one"'])
    again = recipe.read(written(tmp_path, made.toml()))
    assert again.json() == made.json()
    assert tomllib.loads(made.toml())["data"]["licence"] == 'a "quoted" one'


ROUTE = """
[route]
fallback = "http://10.0.0.7:8000/v1"
fallback_model = ["qwen3"]
quality = 0.95
privacy_bundle = "finder"
budgets = "budgets.toml"
"""


def test_the_route_is_read_from_the_named_file_and_is_no_part_of_what_is_built(tmp_path: Path) -> None:
    whole = written(tmp_path, GOOD + ROUTE)
    found: Any = recipe.route(whole)
    assert (found.fallback.urls, found.fallback.models, found.local.quality) == (("http://10.0.0.7:8000/v1",), ("qwen3",), 0.95)
    assert found.given().keys() == {"fallback", "fallback_model", "quality", "privacy_bundle", "budgets"}
    assert (found.privacy.bundle, found.budget.file) == (tmp_path / "finder", str(tmp_path / "budgets.toml"))
    made = recipe.read(whole)
    assert "10.0.0.7" not in made.toml() and "route" not in made.json() and "route" not in made.given() and "route" not in made.sections
    alone: Any = recipe.route(written(tmp_path, 'name = "front"' + ROUTE))
    assert alone.fallback == found.fallback


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD, "no section [route]"),
        (GOOD + "[route]\nfallbak = 'x'", "route.fallbak: no such setting; did you mean 'fallback'?"),
        (GOOD + "[route]\nprivacy = 'some'\n[sturdent]", "route.privacy: must be 'off'"),
        (GOOD + "[route]\nprivacy = 'some'\n[sturdent]", "sturdent: no such section"),
        ("[route]\nquality = 2\n[gate]\nmax_loss = 0.1", "gate: a recipe without a task may have only [route]"),
        ("[route]\nquality = 2\n[gate]\nmax_loss = 0.1", "route.quality"),
        ("route = 3", "route: a section [route] is expected, not 3"),
        ("[route]\nsecrets = 'keys.toml'", "route.secrets: no such setting"),
        ("[route", "not TOML"),
    ],
)
def test_what_is_wrong_with_a_route_is_said_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe.route(written(tmp_path, text))
    assert said in str(caught.value) and "smidgen.toml" in str(caught.value)


def test_what_may_be_a_secret_in_the_wrong_place_is_not_shown(tmp_path: Path) -> None:
    for line in (
        "fallback_key_env = 'sk-secret-1'",
        "fallback_key_env = ['A_KEY', 'sk-secret-1']",
        "fallback = ['https://x:sk-secret-1@y', 3]",
    ):
        with pytest.raises(RecipeError) as caught:
            recipe.route(written(tmp_path, f"[route]\n{line}"))
        assert "sk-secret-1" not in str(caught.value) and "route.fallback" in str(caught.value)


def test_a_date_and_a_time_need_no_quotes() -> None:
    over = ["trips.date=2026-12-05", "stock.days=[2026-12-05]", "routes.now=09:40:00"]
    tree = recipe.laid_over(recipe.parsed("[stock]\ntoday = 2026-12-04\n", "a recipe"), over)
    assert tree["stock"] == {"today": "2026-12-04", "days": ["2026-12-05"]}
    assert (tree["trips"], tree["routes"]) == ({"date": "2026-12-05"}, {"now": "09:40:00"})
