"""Plans: a dropped-in solver, taken through all that smidgen does with one."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from smidgen.cli.main import code
from smidgen.core.errors import DataError, EngineError, InputError, RecipeError, UnknownPart
from smidgen.plans.flows import problem as solve

LIST = "thing,price\nlamp,6\nrug,5\n=mug,1\n"


pytestmark = pytest.mark.usefixtures("dropped_solver")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe beside its table."""
    (tmp_path / "list.csv").write_text(LIST, encoding="utf-8")
    file = tmp_path / "shopping.toml"
    file.write_text('name = "saturday"\nsolver = "shopping"\n[shopping]\nthings = "list.csv"\n', encoding="utf-8")
    return file


def model(monkeypatch: pytest.MonkeyPatch, output: Any, score: float = 0.97) -> None:
    """Let every bundle answer this."""

    def predict(texts: Any) -> Any:
        return [SimpleNamespace(output=output(text) if callable(output) else output, score=score) for text in texts]

    monkeypatch.setattr(solve, "load", lambda folder: SimpleNamespace(predict=predict, close=lambda: None))


def test_a_source_that_is_no_recipe_says_what_to_write(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "smidgen.toml").write_text(recipe.read_text(encoding="utf-8"), encoding="utf-8")
    for source, said in (
        (tmp_path / "nowhere", "there is no such recipe or plan"),
        (tmp_path, f"Write: smidgen solve {tmp_path / 'smidgen.toml'} --out DIR"),
    ):
        assert code(["solve", str(source)]) == 2
        assert said in capsys.readouterr().err
    for source, said in ((tmp_path, f"Name the file: {tmp_path / 'smidgen.toml'}"), (tmp_path / "list.csv", "--set sales=")):
        assert code(["solve", str(source), "--out", str(tmp_path / "plan")]) == 2
        assert said in capsys.readouterr().err


def test_a_plan_is_written_with_its_tables_and_page(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(["solve", str(recipe), "--out", str(tmp_path / "plan")]) == 0
    said = capsys.readouterr().out
    assert "solved in part" in said and "Buy the lamp for 6." in said and "Prices are whole numbers." in said
    names = {file.name for file in (tmp_path / "plan").iterdir()}
    assert names == {"=mug.txt", "lamp.txt", "page.html", "plan.json", "purse.svg", "things.csv"}
    assert (tmp_path / "plan" / "things.csv").read_text(encoding="utf-8") == "thing,price\nlamp,6\n'=mug,1\n"
    page = (tmp_path / "plan" / "page.html").read_text(encoding="utf-8")
    assert "Solved in part" in page and "Things to buy" in page and "data:image/svg+xml;base64," in page and "<script" not in page
    plan = json.loads((tmp_path / "plan" / "plan.json").read_text(encoding="utf-8"))
    assert plan["result"] == {"bought": {"lamp": 6, "=mug": 1}, "left": 3, "again": False} and plan["changes"] == []


def test_a_table_says_how_its_letters_are_read(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(LIST.replace("lamp", "Fußmatte"), encoding="utf-8")
    assert code(["solve", str(recipe), "--out", str(tmp_path / "plan")]) == 0
    assert (tmp_path / "plan" / "things.csv").read_bytes().decode("utf-8") == "\ufeffthing,price\nFußmatte,6\n'=mug,1\n"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('{"price": 4', "the change is not JSON"),
        ('[{"thing": "lamp", "price": 4}]', "a change is one JSON object"),
        ('{"thing": "lamp", "prise": 4}', "Did you mean price?"),
        ("", "the sentence is empty"),
        ("The lamp costs 4. " * 200, "the sentence is too long: '3,600 letters'"),
    ],
)
def test_a_change_that_is_none_is_refused(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, said: str) -> None:
    assert code(["solve", str(recipe), "--out", str(tmp_path / "plan"), "--change", change, "--yes"]) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "plan").exists()


def test_a_sentence_changes_a_plan_after_a_yes(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "plan"
    assert code(["solve", str(recipe), "--out", str(place)]) == 0
    model(monkeypatch, {"thing": "lamp", "price": 11, "note": None})
    monkeypatch.chdir(tmp_path.parent)  # the plan keeps the way to its table
    monkeypatch.setattr("typer.confirm", lambda question: False)
    assert code(["solve", str(place), "--change", "the lamp is 11 now", "--model", "any"]) == 1
    assert json.loads((place / "plan.json").read_text(encoding="utf-8"))["changes"] == []
    monkeypatch.setattr("typer.confirm", lambda question: True)
    assert code(["solve", str(place), "--change", "the lamp is 11 now", "--model", "any"]) == 0
    plan = json.loads((place / "plan.json").read_text(encoding="utf-8"))
    assert plan["result"] == {"bought": {"rug": 5, "=mug": 1}, "left": 4, "again": True}
    assert [(one["words"], one["sentence"]) for one in plan["changes"]] == [("lamp: price 11, was 6", "the lamp is 11 now")]
    assert not (place / "lamp.txt").exists() and (place / "rug.txt").exists(), "a file of the plan before is left"
    # A further change counts beside the first.
    assert code(["solve", str(place), "--change", '{"thing": "rug", "price": 10}', "--yes"]) == 0
    assert json.loads((place / "plan.json").read_text(encoding="utf-8"))["result"]["bought"] == {"rug": 10}


def test_yes_makes_what_leaves_no_doubt_and_keeps_the_rest(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "plan"
    model(monkeypatch, {"thing": "lamp", "price": 1}, 0.97)
    asked = ["solve", str(recipe), "--out", str(place), "--model", "any", "--yes"]
    assert code([*asked, "--change", "the lamp costs 1 now", "--change", "be nice about the lamp, 1 smile"]) == 1
    told = capsys.readouterr()
    assert "not accounted for: be, nice, about, smile" in " ".join(told.err.split())
    assert "- Buy the lamp for 6." in told.out and "+ Buy the lamp for 1." in told.out, "before and after"
    plan = json.loads((place / "plan.json").read_text(encoding="utf-8"))
    assert [one["sentence"] for one in plan["changes"]] == ["the lamp costs 1 now"]
    waiting = [json.loads(line) for line in (place / "waiting.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [one["sentence"] for one in waiting] == ["be nice about the lamp, 1 smile"] and waiting[0]["change"]["price"] == 1
    # Nothing passes: the plan stays as it is, byte for byte.
    kept = (place / "plan.json").read_bytes()
    assert code(["solve", str(place), "--model", "any", "--yes", "--change", "is it true that the lamp costs 1"]) == 1
    assert (place / "plan.json").read_bytes() == kept and len((place / "waiting.jsonl").read_text(encoding="utf-8").splitlines()) == 2


def test_yes_needs_a_sure_model(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    model(monkeypatch, {"thing": "lamp", "price": 1}, 0.7)
    asked = ["solve", str(recipe), "--out", str(tmp_path / "plan"), "--change", "lamp costs 1", "--model", "any", "--yes"]
    assert code(asked) == 1 and "70% sure" in " ".join(capsys.readouterr().err.split())
    assert json.loads((tmp_path / "plan" / "plan.json").read_text(encoding="utf-8"))["changes"] == []
    assert code([*asked, "--set", "solve.sure=0.6"]) == 0


def test_a_sentence_of_two_changes_is_confirmed_in_two_steps(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {"the lamp is 11": {"thing": "lamp", "price": 11}, "the rug is 4": {"thing": "rug", "price": 4}}
    model(monkeypatch, lambda text: known.get(text, {}))
    asked: list[str] = []
    monkeypatch.setattr("typer.confirm", lambda question: not asked.append(question))
    sentence = "the lamp is 11 and the rug is 4"
    assert code(["solve", str(recipe), "--out", str(tmp_path / "plan"), "--change", sentence, "--model", "any"]) == 0
    made = json.loads((tmp_path / "plan" / "plan.json").read_text(encoding="utf-8"))["changes"]
    assert [(one["words"], one["sentence"]) for one in made] == [
        ("lamp: price 11, was 6", "the lamp is 11"),
        ("rug: price 4, was 5", "the rug is 4"),
    ]
    assert len(asked) == 2 and "not read" not in capsys.readouterr().out


def test_what_a_reading_leaves_out_is_said_and_needs_a_person(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model(monkeypatch, {"thing": "lamp", "price": 11})
    asked = ["solve", str(recipe), "--out", str(tmp_path / "plan"), "--change", "lamp 11 from tomorrow", "--model", "any"]
    assert code([*asked, "--yes"]) == 1 and "not in this change" in " ".join(capsys.readouterr().err.split())
    monkeypatch.setattr("typer.confirm", lambda question: True)
    assert code(asked) == 0 and "not read: tomorrow" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"thing": "sofa", "price": 3}, "no such thing"),
        ({"thing": "lamp", "price": None}, "lacks its field price"),
        ({"thing": "lamp", "price": 3, "colour": "red"}, "colour"),
        ({}, "no change was found"),
    ],
)
def test_a_change_that_does_not_fit_is_refused(recipe: Path, monkeypatch: pytest.MonkeyPatch, output: Any, said: str) -> None:
    model(monkeypatch, output)
    with pytest.raises(InputError, match=said):
        solve.open_problem(recipe).proposed("the lamp", Path("any"))


def test_a_sentence_needs_a_model(recipe: Path) -> None:
    with pytest.raises(InputError, match="needs a model"):
        solve.open_problem(recipe).proposed("the lamp is 11 now")


def test_a_made_up_number_is_an_error(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="100"):
        solve.open_problem(recipe, ["shopping.purse=13"]).solve()


def test_texts_of_a_model_stand_only_if_they_state_the_facts(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"thing: lamp; price: 6": "The lamp is yours for 6.", "thing: =mug; price: 1": "A =mug for 2, or 1."}
    model(monkeypatch, lambda text: texts[text])
    plan = solve.open_problem(recipe, ["solve.texts=any"]).solve()
    assert [one.text for one in plan.solution.statements] == ["The lamp is yours for 6.", "Buy the =mug for 1.", "3 are left."]
    assert plan.texts is not None and (plan.texts.written, plan.texts.refused) == (1, 1)


def test_what_is_wrong_is_said(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownPart, match="Did you mean 'shopping'"):
        solve.open_problem("shoping")
    with pytest.raises(RecipeError) as mistakes:
        solve.open_problem(recipe, ["shopping.purse=-1", "solve.seconds=0", "shoping.purse=1"])
    assert len(mistakes.value.mistakes) == 3
    (tmp_path / "list.csv").write_text("thing,price\nlamp,dear\n", encoding="utf-8")
    with pytest.raises(DataError, match="dear"):
        solve.open_problem(recipe).solve()


def test_a_stranger_s_file_is_not_overwritten(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "things.csv").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="already there"):
        solve.write_plan(solve.open_problem(recipe).solve(), tmp_path / "plan")
    assert (tmp_path / "plan" / "things.csv").read_text(encoding="utf-8") == "mine"


def test_a_broken_plan_is_refused(recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"format": 1, "solver": "shopping"}', encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read"):
        solve.open_problem(tmp_path)
