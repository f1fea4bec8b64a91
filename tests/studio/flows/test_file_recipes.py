"""The recipe of a build of a project of files, and a build of one."""

from __future__ import annotations

import pytest

from smidgen.core.errors import InputError, RecipeError
from smidgen.parts.recipe import parsed
from smidgen.studio.flows.file_recipes import recipe_of_files
from smidgen.studio.flows.material import material_name, read_file, write_file
from smidgen.studio.flows.material_state import material_state
from smidgen.studio.flows.recipes.project_recipe import project_folder
from smidgen.studio.flows.samples import begin_project, create_from_sample
from smidgen.studio.store.projects import StudioStore


def test_a_member_without_files_is_left_out_and_told(store: StudioStore) -> None:
    desk, told = begin_project(store, "Ours", "desk"), list[str]()
    assert material_state(store, desk).fill == "documents"
    with pytest.raises(InputError, match="none of the members"):
        recipe_of_files(desk, {})
    write_file(desk, "documents/a.md", b"# A\n\nWe open at nine.\n")
    recipe = recipe_of_files(desk, {"student": {"quality": "fast"}}, told.append)
    assert list(recipe.asked.members) == ["answer"] and recipe.asked.tools is None  # type: ignore[attr-defined]
    assert told == [f"the desk is built without {kind}: there are none yet" for kind in ("intents", "tools", "orders")]
    member = parsed((project_folder(desk.id) / ".answer.toml").read_text(encoding="utf-8"), "answer")
    assert "data" not in member and member["student"]["quality"] == "fast" and material_state(store, desk).next == "build"


def test_all_members_of_the_example_are_built_by_its_files(store: StudioStore) -> None:
    desk, told = create_from_sample(store, "desk", "ann"), list[str]()
    recipe = recipe_of_files(desk, {"student": {"quality": "fast"}}, told.append)
    assert sorted(recipe.asked.members) == ["act", "answer", "intents", "recommend"] and told == []  # type: ignore[attr-defined]
    members = {name: parsed((project_folder(desk.id) / f".{name}.toml").read_text(encoding="utf-8"), name) for name in ("support", "act")}
    assert members["support"]["student"]["kind"] == "kernel" and members["act"]["student"]["kind"] == "kernel-tagger"
    assert parsed(read_file(desk, "support.toml").decode(), "support")["student"] == {"quality": "balanced"}


def test_few_questions_are_not_learnt_from(store: StudioStore) -> None:
    project, told = create_from_sample(store, "answer", "ann"), list[str]()
    assert recipe_of_files(project, {}, told.append).given()["data"]["train"] == "desk/questions.jsonl" and told == []
    write_file(project, material_name(project, "questions"), b'{"input": "open?", "output": null}\n')
    assert "train" not in recipe_of_files(project, {}, told.append).given().get("data", {}) and len(told) == 1


@pytest.mark.parametrize(
    "member",
    [
        'task = "answer"\n[answer]\ndocuments = "/etc"\n',
        'task = "answer"\n[data]\ntrain = "/etc/passwd"\n[answer]\ndocuments = "documents"\n',
    ],
)
def test_no_member_reads_the_servers_files(store: StudioStore, member: str) -> None:
    desk = begin_project(store, "Ours", "desk")
    write_file(desk, "documents/a.md", b"# A\n\nWe open at nine.\n")
    write_file(desk, "answer.toml", member.encode())
    with pytest.raises((RecipeError, InputError), match=r"outside this project|leads out|no name"):
        recipe_of_files(desk, {})
