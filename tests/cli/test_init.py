"""`smidgen init`: builds as it stands, explains every setting, overwrites nothing."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from smidgen.cli.main import code
from smidgen.data.source import DataSettings
from smidgen.flows.sample_recipes import sample_names
from smidgen.parts import recipe


def test_what_it_writes_names_its_own_data(tmp_path: Path) -> None:
    assert code(["init", str(tmp_path / "my shop")]) == 0
    made = recipe.read(tmp_path / "my shop" / "smidgen.toml")
    data = made.settings(DataSettings)
    assert made.name == "my-shop"
    with (tmp_path / "my shop" / str(data.train)).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    counts = Counter(row[str(data.label)] for row in rows)
    assert len(counts) >= 5 and min(counts.values()) >= 20
    assert len({row[str(data.input)] for row in rows}) == len(rows)


def test_every_setting_that_is_commented_out_stands_at_its_default(tmp_path: Path) -> None:
    """Taking the # away from a line changes nothing until its value is changed."""
    assert code(["init", str(tmp_path)]) == 0
    file = tmp_path / "smidgen.toml"
    before = recipe.read(file).json()
    lines, freed = [], 0
    for line in file.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.removeprefix("# ").partition(" = ")
        if line.startswith("# ") and equals and name.isidentifier() and not value.endswith("(not set)"):
            lines.append(line.removeprefix("# "))
            freed += 1
        else:
            lines.append(line)
    file.write_text("\n".join(lines), encoding="utf-8")
    assert freed >= 12
    assert recipe.read(file).json() == before


def test_it_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "examples.csv").write_text("mine", encoding="utf-8")
    assert code(["init", str(tmp_path)]) == 2
    assert (tmp_path / "data" / "examples.csv").read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "smidgen.toml").exists()
    assert "examples.csv" in capsys.readouterr().err


def test_it_goes_into_no_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "smidgen.json").write_text("{}", encoding="utf-8")
    assert code(["init", str(tmp_path)]) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["smidgen.json"]
    assert "holds a bundle" in capsys.readouterr().err


def test_a_task_that_does_not_exist_is_bad_input(tmp_path: Path) -> None:
    assert code(["init", str(tmp_path), "--task", "clasify"]) == 2
    assert list(tmp_path.iterdir()) == []


def test_what_it_writes_can_be_built(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(["init", str(tmp_path)]) == 0
    recipe_file = str(tmp_path / "smidgen.toml")
    assert code(["build", recipe_file, "--student", "linear", "--quiet", "--out", str(tmp_path / "model")]) == 0
    assert (tmp_path / "model" / "report.html").is_file()
    assert "accuracy" in capsys.readouterr().out


SHIPPED = ("grammar-correction", "product-descriptions", "summaries", "support")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_comes_with_its_data_and_resolves(name: str, tmp_path: Path) -> None:
    """An installed user has no clone: the recipe and what it was measured on come out of the package."""
    assert code(["init", str(tmp_path / "mine"), "--recipe", name]) == 0
    made = recipe.read(tmp_path / "mine" / "smidgen.toml")
    data = made.settings(DataSettings)
    assert made.name == name
    for file in (data.train, data.test):
        place = tmp_path / "mine" / str(file)
        assert place.parent.name == "data"
        with place.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert len(rows) >= 30 and all(row[str(data.input)] and row[str(data.label)] for row in rows)
    readme = (tmp_path / "mine" / "data" / "README.md").read_text(encoding="utf-8")
    assert f"--task {made.task} --input {data.input} --label {data.label}" in readme


def test_a_recipe_that_makes_its_examples_comes_with_its_tables(tmp_path: Path) -> None:
    assert code(["init", str(tmp_path / "mine"), "--recipe", "recommend"]) == 0
    made = recipe.read(tmp_path / "mine" / "smidgen.toml")
    assert made.task == "recommend" and sorted(file.name for file in (tmp_path / "mine").iterdir()) == [
        "orders.csv",
        "products.csv",
        "smidgen.toml",
    ]


def test_a_recipe_of_a_repository_comes_with_all_of_its_files(tmp_path: Path) -> None:
    assert code(["init", str(tmp_path / "mine"), "--recipe", "code"]) == 0
    made = recipe.read(tmp_path / "mine" / "smidgen.toml")
    found = sorted(file.name for file in Path(made.asked.repo).iterdir())  # type: ignore[attr-defined]
    assert len(found) == 17 and "orders.py" in found and made.task == "complete"


def test_a_recipe_that_does_not_exist_says_which_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(["init", str(tmp_path), "--recipe", "product-description"]) == 2
    assert "Did you mean 'product-descriptions'?" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_recipes_of_plans_are_listed_with_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(["init", str(tmp_path), "--recipe", "route"]) == 2
    assert code(["init", "--help"]) == 0
    written = capsys.readouterr()
    for said in (written.err, written.out):
        assert {"recommend", "routes", "stock", "trips"} <= {word.strip(".,") for word in said.split()}


def test_a_recipe_and_a_task_are_not_both_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(["init", str(tmp_path), "--recipe", "summaries", "--task", "write"]) == 2
    assert "names its own task" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_shipped_recipe_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "support_test.csv").write_text("mine", encoding="utf-8")
    assert code(["init", str(tmp_path), "--recipe", "support"]) == 2
    assert (tmp_path / "data" / "support_test.csv").read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "smidgen.toml").exists()


@pytest.mark.parametrize("name", sample_names())
def test_every_recipe_comes_with_the_files_that_it_names(name: str, tmp_path: Path) -> None:
    assert code(["init", str(tmp_path / "mine"), "--recipe", name]) == 0
    text = (tmp_path / "mine" / "smidgen.toml").read_text(encoding="utf-8")
    named = re.findall(r'^(?:train|test|unlabelled|documents|items|orders|repo|policy|tools) = "(.+)"$', text, re.MULTILINE)
    assert named and all((tmp_path / "mine" / file).exists() for file in named)
