"""The bench of the recipes: it builds those that come with data, and a gate that is not met is seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bench import recipes
from bench.context import Context
from bench.process import Ran
from tests.bench_context import quick_context

RECIPE = """# A test.
name = "NAME"
task = "classify"
[data]
train = "TRAIN"
[gate]
min_headline = 0.9
"""
REPORT = (
    '{"headline": "accuracy", "metrics": {"accuracy": {"value": 0.95, "low": 0.9, "high": 0.98, "n": 40}, "macro_f1": {"value": 0.9}}, '
    '"data": {"test": 40}, "student": {"kind": "linear", "method": "fp32"}, "training": {"seconds": 2.0}}'
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "recipes"
    home.mkdir()
    (home / "rows.csv").write_text("input,output\na,b\n", encoding="utf-8")
    for name, train in (("good", "rows.csv"), ("bad", "rows.csv"), ("theirs", "not_here.csv")):
        (home / f"{name}.toml").write_text(RECIPE.replace("NAME", name).replace("TRAIN", train), encoding="utf-8")
    monkeypatch.setattr(recipes, "FOLDER", home)
    return home


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    made = replace(quick_context(tmp_path), seeds=(0, 1), quick=False, peers=False, command="python -m bench recipes")

    def build(self: Context, command: list[str], name: str, limit: float) -> Ran:
        if "bad" in name:
            return Ran((), 1, 1.0, 1.0, 1.0, False, "", "accuracy is 0.5; gate.min_headline asks for 0.9")
        out = Path(command[command.index("--out") + 1])
        out.mkdir(parents=True)
        (out / "report.json").write_text(REPORT, encoding="utf-8")
        return Ran((), 0, 1.0, 1.0, 1.0, False, "", "")

    monkeypatch.setattr(Context, "run", build)
    return made


def test_a_gate_that_is_not_met_is_in_the_table_and_breaks_the_run(folder: Path, context: Context) -> None:
    with pytest.raises(recipes.GateNotMet, match=r"bad \(seed 0\), bad \(seed 1\)"):
        recipes.run(context)
    page = context.results.read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| good |") or line.startswith("| bad |")]
    assert len(lines) == 4
    assert all("| yes |" in line and "0.950" in line and "macro_f1 0.900" in line for line in lines if "good" in line)
    assert all("**no**" in line and "min_headline" in line for line in lines if "bad" in line)
    assert "| good, worst of 2 | 0.9 | 0.950 | yes |" in page
    assert "| bad, worst of 2 | 0.9 | 2 of 2 builds failed | **no** |" in page
    assert "not built here: theirs." in page


def test_all_good_is_no_error(folder: Path, context: Context) -> None:
    (folder / "bad.toml").unlink()
    recipes.run(context)
    assert "**no**" not in context.results.read_text(encoding="utf-8")


def test_data_that_is_not_kept_is_made_first(folder: Path, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "bad.toml").unlink()
    monkeypatch.setattr(recipes, "MADE", {"theirs": ("tools.theirs", ("--rows", "9"), ("--rows", "1"))})
    build, asked = Context.run, []

    def run(self: Context, command: list[str], name: str, limit: float) -> Ran:
        asked.append(name)
        if "tools.theirs" not in command:
            return build(self, command, name, limit)
        assert command[3:] == ["--rows", "9", "--out", str(folder.resolve())]
        (folder / "not_here.csv").write_text("input,output\na,b\n", encoding="utf-8")
        return Ran((), 0, 1.0, 1.0, 1.0, False, "", "")

    monkeypatch.setattr(Context, "run", run)
    recipes.run(context)
    page = context.results.read_text(encoding="utf-8")
    assert "not built here" not in page and page.count("| theirs |") == 2
    assert asked == [
        "recipes-good-0-build",
        "recipes-good-1-build",
        "recipes-theirs-data",
        "recipes-theirs-0-build",
        "recipes-theirs-1-build",
    ]


def test_data_that_cannot_be_made_is_a_recipe_that_fails(folder: Path, context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "bad.toml").unlink()
    monkeypatch.setattr(recipes, "MADE", {"theirs": ("tools.theirs", (), ())})
    build = Context.run

    def run(self: Context, command: list[str], name: str, limit: float) -> Ran:
        if "tools.theirs" in command:
            return Ran((), 1, 1.0, 1.0, 1.0, False, "", "No module named faker")
        return build(self, command, name, limit)

    monkeypatch.setattr(Context, "run", run)
    with pytest.raises(recipes.GateNotMet, match=r"theirs \(seed 0\), theirs \(seed 1\)"):
        recipes.run(context)
    assert "No module named faker" in context.results.read_text(encoding="utf-8")


def test_the_shipped_recipes_are_found() -> None:
    found = sorted(recipes.FOLDER.glob("*.toml"))
    complete = {file.stem for file in found if recipes.complete(file)}
    assert len(found) >= 8
    assert complete >= {"field-extraction", "grammar-correction", "product-descriptions", "summaries", "support"}
    assert {*recipes.MADE} == {"redaction"} and {*recipes.MADE} <= {file.stem for file in found}
