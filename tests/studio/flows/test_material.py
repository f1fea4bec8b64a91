"""The files of projects that consist of files, and how such projects begin."""

from __future__ import annotations

from pathlib import Path

import pytest

from smidgen.core.errors import InputError, SmidgenError
from smidgen.flows.sample_recipes import sample_recipe
from smidgen.parts import registry
from smidgen.store.files import home
from smidgen.studio.flows.deletion import delete_project
from smidgen.studio.flows.documents.project_documents import read_files
from smidgen.studio.flows.material import (
    delete_file,
    files_named_by_recipes,
    files_of,
    material_kinds,
    material_name,
    material_path,
    read_file,
    safe_name,
    write_file,
)
from smidgen.studio.flows.recipes.project_recipe import project_folder, recipe_mistakes, recipe_tree
from smidgen.studio.flows.samples import begin_project, create_from_sample
from smidgen.studio.flows.serving.servers import ModelServers
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.tables import StudioMissing

_KINDS = {
    "answer": ["documents", "questions"],
    "act": ["tools", "calls"],
    "recommend": ["orders", "catalogue"],
    "desk": ["documents", "questions", "intents", "tools", "calls", "policy", "conversations", "orders", "catalogue"],
}


@pytest.mark.parametrize("name", sorted(_KINDS))
def test_an_example_of_files_lies_in_the_projects_folder(store: StudioStore, name: str) -> None:
    project, sample = create_from_sample(store, name, "ann"), sample_recipe(name)
    assert material_kinds(project) == _KINDS[name] and recipe_mistakes(project, recipe_tree(project)) == []
    held = {file.name: read_file(project, file.name) for file in files_of(project)}
    assert held == sample.every_file() and len(held) > 1
    assert [kind for kind in _KINDS[name] if not material_path(project, kind).exists()] == []  # type: ignore[arg-type]


def test_the_places_come_from_the_recipe_and_its_members(store: StudioStore) -> None:
    desk = create_from_sample(store, "desk", "ann")
    assert material_name(desk, "documents") == "desk/documents" and material_name(desk, "policy") == "desk_policy.toml"
    assert material_path(desk, "orders") == project_folder(desk.id) / "orders.csv"
    assert files_of(desk, "desk/documents")[0].name == "desk/documents/business-customers.html"
    with pytest.raises(InputError, match="no such files"):
        material_path(create_from_sample(store, "answer", "ann"), "policy")
    assert material_kinds(store.create("Sort", "classify")) == []


@pytest.mark.parametrize("task", sorted(name for name in registry.names("tasks") if registry.find("tasks", name).files))
def test_a_project_begins_with_nothing_but_what_it_needs(store: StudioStore, task: str) -> None:
    project = begin_project(store, "Our own", task)
    assert recipe_mistakes(project, recipe_tree(project)) == [] and recipe_tree(project)["name"] == "our-own"
    assert set(material_kinds(project)) >= set(registry.find("tasks", task).files.kinds) - {"calls"}
    if "documents" in material_kinds(project):
        assert material_path(project, "documents").is_dir()


def test_a_file_is_replaced_whole_and_deleted(store: StudioStore) -> None:
    project = begin_project(store, "Ours", "answer")
    told = write_file(project, "documents/sub/a.md", b"# A")
    assert (told.name, told.size) == ("documents/sub/a.md", 3) and write_file(project, told.name, b"# B!").size == 4
    assert read_file(project, told.name) == b"# B!" and [file.name for file in files_of(project, "documents")] == [told.name]
    with pytest.raises(InputError, match="too large"):
        read_file(project, told.name, 3)
    for name in (f"{told.name}/b.md", "documents/sub"):
        with pytest.raises(InputError, match="cannot have one name"):
            write_file(project, name, b"x")
    delete_file(project, told.name)
    for missing in (read_file, delete_file):
        with pytest.raises(StudioMissing):
            missing(project, told.name)


_STRAY = ["", "/etc/passwd", "../x", "a/../../x", "a//b", ".hidden", "a/.git/x", "a\\b", "c:x", "con.md", "x\x00", "x\n"]
_STRAY += ["a.", "b ", "x" * 151, "a/" * 9]


@pytest.mark.parametrize("name", _STRAY)
def test_no_name_leads_out_of_the_folder(store: StudioStore, name: str) -> None:
    project = begin_project(store, "Ours", "answer")
    for do in (lambda: read_file(project, name), lambda: write_file(project, name, b"x"), lambda: delete_file(project, name)):
        with pytest.raises(SmidgenError):
            do()
    made = safe_name(name)
    assert not made or write_file(project, made, b"x").name == made


def test_links_that_lead_out_are_not_followed(store: StudioStore, tmp_path: Path) -> None:
    project = begin_project(store, "Ours", "answer")
    secret = tmp_path / "secret.md"
    secret.write_text("secret", encoding="utf-8")
    (project_folder(project.id) / "link.md").symlink_to(secret)
    assert "link.md" not in [file.name for file in files_of(project)]
    with pytest.raises(InputError, match="leads out"):
        read_file(project, "link.md")


def test_files_that_a_recipe_or_a_members_names_are_known(store: StudioStore) -> None:
    project = begin_project(store, "Ours", "desk")
    write_file(project, "notes.txt", b"ours")
    named = files_named_by_recipes(project)
    assert {"policy.toml", "tools.toml", "conversations.jsonl", "answer.toml", "documents"} <= named
    assert "notes.txt" not in named and "notes.txt" in [file.name for file in files_of(project)]


def test_a_new_desk_begins_in_the_time_zone_of_the_machine(store: StudioStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Madrid")
    assert b'timezone = "Europe/Madrid"' in read_file(begin_project(store, "Ours", "desk"), "policy.toml")
    monkeypatch.setenv("TZ", "CET-1CEST")
    assert b'timezone = "UTC"' in read_file(begin_project(store, "Others", "desk"), "policy.toml")


def test_a_desk_names_no_member_outside_its_folder(store: StudioStore) -> None:
    project = begin_project(store, "Ours", "desk")
    tree = recipe_tree(project)
    stray = {**tree, "desk": {**tree["desk"], "members": {"answer": "../other/answer.toml"}}}
    (mistake,) = recipe_mistakes(project, stray)
    assert mistake.place == "desk.members" and "own folder" in mistake.text


def test_no_file_written_in_the_studio_starts_a_program(store: StudioStore) -> None:
    project = create_from_sample(store, "act", "ann")
    before = read_file(project, "tools.toml")
    for text in ('[mcp.shop]\ncommand = ["sh", "-c", "id"]\n', '\ufeffmcp = { shop = { "c\\u006fmmand" = ["id"] } }\n'):
        with pytest.raises(InputError, match="starts a program"):
            write_file(project, "tools.toml", text.encode())
    assert read_file(project, "tools.toml") == before
    write_file(project, "tools.toml", b"[mcp.shop]\nurl = 'https://shop.example/mcp'\n# command\n")


def test_a_deleted_document_leaves_no_reading_behind(store: StudioStore) -> None:
    project, kept = begin_project(store, "Ours", "answer"), home() / "documents"
    for delete in (lambda: delete_file(project, "documents/a.md"), lambda: delete_project(store, project.id, ModelServers(store))):
        write_file(project, "documents/a.md", b"# A\n\nWe open at nine.\n")
        assert len(read_files(project)) == len(list(kept.glob("*.json"))) == 1
        delete()
        assert not list(kept.glob("*.json"))
