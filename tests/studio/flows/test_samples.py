"""Projects from the examples that come with smidgen, and the sample project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from smidgen.core.errors import DataError, RecipeError, UnknownPart
from smidgen.flows.sample_recipes import sample_names, sample_recipe
from smidgen.studio.flows import samples
from smidgen.studio.flows.build import recipe_of, tables_of
from smidgen.studio.flows.recipes.project_recipe import recipe_mistakes, recipe_text, recipe_tree
from smidgen.studio.flows.samples import create_from_sample, open_sample
from smidgen.studio.store.data_rows import RowFilter
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import RunStore


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StudioStore]:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    opened = StudioStore(f"sqlite:///{tmp_path}/studio.db")
    yield opened
    opened.close()


@pytest.mark.parametrize("name", [name for name in sample_names() if sample_recipe(name).is_table])
def test_an_example_is_a_project_that_can_be_built(store: StudioStore, name: str) -> None:
    project = create_from_sample(store, name, "ann")
    rows, sample = store.rows(project.id), sample_recipe(name)
    assert (
        rows.count(RowFilter(part="train")) > 50 and rows.count(RowFilter(part="test")) > 10 and rows.count(RowFilter(unlabelled=True)) == 0
    )
    assert project.task == sample.tree["task"] and recipe_tree(project) == sample.tree and recipe_text(project) == sample.text
    assert recipe_mistakes(project, recipe_tree(project)) == [] and sample.summary.endswith((".", "!"))
    recipe = recipe_of(project, {}, tables_of(store, project, project.version))
    assert recipe.name == name
    assert [setting for setting in sample.task_files if not Path(getattr(recipe.asked, setting)).is_file()] == []


def test_there_are_examples_of_every_task() -> None:
    assert {sample_recipe(name).tree["task"] for name in sample_names()} >= {"classify", "extract", "write"}


def test_an_unknown_example_is_told_and_a_broken_one_leaves_nothing(store: StudioStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownPart):
        create_from_sample(store, "nothing", "ann")

    def broken(*_: object) -> None:
        raise DataError("unreadable", value="x", todo="Mend it.")

    monkeypatch.setattr(samples, "import_file", broken)
    with pytest.raises(DataError):
        create_from_sample(store, "support", "ann")
    assert store.projects() == []


def test_the_sample_project_is_there_once_and_its_build_starts_by_itself(store: StudioStore) -> None:
    project, runs = open_sample(store), RunStore(store.database)
    assert sorted(run.kind for run in runs.of_project(project.id)) == ["build", "look"]
    assert open_sample(store).id == project.id and len(runs.of_project(project.id)) == 2
    runs.ask_to_stop(next(run.id for run in runs.of_project(project.id) if run.kind == "build"))
    open_sample(store)
    assert len(runs.of_project(project.id)) == 3


@pytest.mark.parametrize("file", ["/etc/passwd", "../../studio.db", "~/keys.json"])
def test_a_recipe_reads_no_file_of_the_server(store: StudioStore, file: str) -> None:
    project = create_from_sample(store, "field-extraction", "ann")
    tree = recipe_tree(project)
    assert recipe_mistakes(project, tree) == []
    stray = {**tree, "extract": {**tree["extract"], "schema_file": file}}
    (mistake,) = recipe_mistakes(project, stray)
    assert mistake.place == "extract.schema_file" and "the project's own folder" in mistake.text
    with pytest.raises(RecipeError, match=r"extract\.schema_file: must be a file of the project's own folder"):
        recipe_of(project, {"extract": {"schema_file": file}}, tables_of(store, project, project.version))
