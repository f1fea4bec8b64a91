"""Build the members of a model that consists of other models: each recipe once, and again only if it or its files change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smidgen.bases.starter import starters
from smidgen.bundles.open import open_bundle
from smidgen.core.errors import RecipeError
from smidgen.core.settings import Settings, is_file, section_of
from smidgen.data.source import DataSettings
from smidgen.flows.build.work import BuildContext, Work
from smidgen.parts import recipe, registry
from smidgen.parts.recipe import Recipe
from smidgen.search.documents.folder import check_packages
from smidgen.store.files import code_hash, file_hash

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_FILES = 10_000


def build_members(work: Work, context: BuildContext) -> Work:
    """The work with a bundle for each member; unchanged for a model of its own.

    Raises RecipeError for a member that consists of members itself, or is neither a recipe nor a bundle; and as `build` does.
    """
    members, asked = work.task.members, work.recipe.asked
    if members is None:
        return work
    named = members.places(asked)
    members.check(asked)
    for place in named.values():
        if Path(place).suffix.lower() == ".toml":
            wanted = recipe.read(Path(place)).asked
            if documents := getattr(wanted, "documents", None):
                check_packages(Path(documents))
    folders = {}
    for number, (role, place) in enumerate(named.items(), start=1):
        path = Path(place)
        if path.suffix.lower() != ".toml":
            open_bundle(path)
            folders[role] = str(path)
            continue
        folders[role] = str(_built(recipe.read(path), role, f"{number} of {len(named)}", tuple(members.languages(asked, role)), context))
    context.progress.say("the members are built")
    return replace(work, members=folders)


def _built(made: Recipe, role: str, part: str, languages: Sequence[str], context: BuildContext) -> Path:
    if registry.find("tasks", made.task).members is not None:
        raise RecipeError("flows.member_consists_of_members_itself", value=f"{role}: {made.name}")
    inputs: dict[str, Any] = {"code": code_hash(), "recipe": made.json(), "files": _hashes(made), "threads": context.threads}
    inputs |= {"languages": list(languages), "starters": [name for name, one in starters().items() if one.here()]}

    def step(folder: Path) -> None:
        context.progress.say(f"build the member {role} ({part}): {made.name}")
        assert context.build is not None
        context.build(made, folder / "bundle", languages)

    return context.steps.run(f"member-{role}", inputs, step) / "bundle"


def _hashes(made: Recipe) -> dict[str, str]:
    """The hash of every file that a recipe names, and of every file in a folder that it names."""
    found = {}
    for place in _named(made):
        files = sorted(file for file in place.rglob("*") if file.is_file()) if place.is_dir() else [place]
        for file in files[:_MOST_FILES]:
            if file.is_file():
                found[str(file)] = file_hash(file)
    return found


def _named(made: Recipe) -> Iterator[Path]:
    data = made.settings(DataSettings)
    for name in (data.train, data.test, data.unlabelled):
        if name and name != "-":
            yield made.folder / Path(name).expanduser()
    yield from _files_of(made.asked)


def _files_of(settings: Settings) -> Iterator[Path]:
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if section_of(field) is not None:
            yield from _files_of(value)
        elif is_file(field) and isinstance(value, str | Path) and value:
            yield Path(value)
        elif is_file(field) and isinstance(value, Mapping):
            yield from (Path(one) for one in value.values())
