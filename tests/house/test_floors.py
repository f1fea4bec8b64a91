"""Floors only fall, rooms of one floor are blind to one another, nothing goes round in a circle.

`make lint` runs the import linter; what it cannot see is tested here.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import grimp
import pytest

WINGS = ("desk", "plans", "retail", "code")
ROOMS = (
    "core", "parts", "store", "machine", "gguf", "stats", "text", "tasks", "data", "bases", "students", "compress", "judge", "bundles",
    "engines", "gateway", "usage", "privacy", "search", "tools", "watch", "flows", "cli", "server", "studio", *WINGS,
)  # fmt: skip


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("smidgen", cache_dir=None)


def test_every_room_stands_on_a_floor(root: Path) -> None:
    """A new room that is on no floor would be free to import anything."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = settings["contracts"][0]["layers"]
    placed = sorted(name.strip().removeprefix("smidgen.") for layer in layers for name in layer.replace("|", ":").split(":"))
    there = sorted(folder.name for folder in (root / "src" / "smidgen").iterdir() if (folder / "__init__.py").is_file())
    assert placed == there == sorted(ROOMS)


def test_no_circle(graph: grimp.ImportGraph) -> None:
    """No module imports itself over others, however far the way."""
    seen = 0
    circles = []
    for module in sorted(graph.modules):
        seen += 1
        for imported in graph.find_modules_directly_imported_by(module):
            if graph.find_shortest_chain(importer=imported, imported=module):
                circles.append(f"{module} -> {imported} -> ... -> {module}")
    assert seen > 60
    assert circles == []


def test_nothing_imports_the_package_root(graph: grimp.ImportGraph) -> None:
    assert graph.find_modules_that_directly_import("smidgen") == set()


def test_wings_use_the_studio_only_for_their_pages_in_it(graph: grimp.ImportGraph) -> None:
    """Without the Studio, the rest of each wing works."""
    strangers = []
    seen = 0
    for module in sorted(graph.modules):
        room = module.removeprefix("smidgen.").split(".")
        if room[0] in WINGS and room[1:2] != ["studio"]:
            seen += 1
            strangers += [
                f"{module} -> {one}" for one in graph.find_modules_directly_imported_by(module) if one.startswith("smidgen.studio.")
            ]
    assert seen > 100
    assert strangers == []


def test_only_parts_imports_by_name(root: Path) -> None:
    """`importlib.import_module` anywhere else would be an import that the linter cannot see. The doctor loads packages, not smidgen."""
    users = sorted(
        file.relative_to(root / "src" / "smidgen").as_posix()
        for file in (root / "src" / "smidgen").rglob("*.py")
        if "import_module(" in file.read_text(encoding="utf-8")
    )
    assert [user for user in users if not user.startswith("parts/")] == ["cli/doctor.py"]
    assert len(users) >= 2
