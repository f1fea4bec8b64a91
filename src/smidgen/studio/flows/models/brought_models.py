"""Open a model that was built elsewhere: its bundle, as a ZIP file or a folder, becomes a project with that model as a finished build.

What was unpacked is opened like any bundle: no file but those of the manifest, every hash right, nothing that can execute.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from smidgen.bundles.manifest import MANIFEST
from smidgen.bundles.open import Bundle, folder_of, open_bundle
from smidgen.core.errors import InputError, SmidgenError
from smidgen.flows.local_model import load
from smidgen.judge import report as reports
from smidgen.parts.recipe import parsed
from smidgen.studio.flows.models.built_models import BUILD
from smidgen.studio.flows.models.model_report import report_summary
from smidgen.studio.flows.models.model_zip import check_room, unpack_apart
from smidgen.studio.flows.recipes.project_recipe import recipe_mistakes, save_recipe
from smidgen.studio.flows.run_process import run_folder
from smidgen.studio.store.projects import Project, StudioStore
from smidgen.studio.store.runs import RunStore, new_run_id

BROUGHT = "brought"
"""The project's setting that holds the id of the bundle which it began with."""


def open_zip(store: StudioStore, archive: Path, author: str, name: str | None = None) -> Project:
    """Make a project from a bundle in a ZIP file. Raises InputError and BundleError for one that is none, or must not be opened."""
    return _brought(store, lambda folder: unpack_apart(archive, folder), author, name)


def open_folder(store: StudioStore, path: Path, author: str, name: str | None = None) -> Project:
    """Make a project from a copy of the bundle in a folder, or of a line's champion. Raises as `open_bundle` does."""
    place = path.expanduser()
    if not place.is_absolute():
        raise InputError("studio.path_is_incomplete", value=str(path))
    bundle = open_bundle(folder_of(place))
    check_room(bundle.size)

    def copy(folder: Path) -> None:
        for file in (MANIFEST, *bundle.manifest.files):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.folder / file, folder / file, follow_symlinks=False)

    return _brought(store, copy, author, name)


def _brought(store: StudioStore, fill: Callable[[Path], None], author: str, name: str | None) -> Project:
    """Fill a folder, open it as a bundle, and make the project. Where anything fails, nothing is left."""
    id = new_run_id()
    place = run_folder(id)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix="opening-") as scratch:
        folder = Path(scratch) / "model"
        folder.mkdir()
        fill(folder)
        bundle = open_bundle(folder)
        with closing(load(folder, 1)):  # it can answer here, or the error says why not
            pass
        report = _report(bundle)
        place.mkdir(mode=0o700)
        folder.rename(place / "model")
    project = store.create(name or bundle.manifest.name, bundle.manifest.task, {BROUGHT: bundle.id})
    _take_recipe(store, project, place / "model")
    result = {"model": str(place / "model"), "version": 0, "seconds": None, "report": report}
    RunStore(store.database).add_done(id, project.id, BUILD, {BROUGHT: bundle.id}, author, result)
    return store.project(project.id)


def _report(bundle: Bundle) -> Mapping[str, Any]:
    """The summary of the bundle's report; empty for a bundle without one."""
    file = "report.json"
    return report_summary(reports.read(bundle.folder / file)) if file in bundle.manifest.files else {}


def _take_recipe(store: StudioStore, project: Project, folder: Path) -> None:
    """Give the project the bundle's recipe, without the data that stayed elsewhere; where it cannot be used here, the usual one stands."""
    file = folder / "recipe.toml"
    if not file.is_file():
        return
    try:
        tree = dict(parsed(file.read_text(encoding="utf-8"), file.name))
        tree.pop("data", None)
        if not recipe_mistakes(project, tree):
            save_recipe(store, project, tree)
    except (SmidgenError, UnicodeDecodeError):
        return
