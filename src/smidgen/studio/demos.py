"""`smidgen demo --studio`: the Studio with its finished sample project."""

from __future__ import annotations

from smidgen.cli.screen import Screen
from smidgen.studio.cli import PORT, serve_page
from smidgen.studio.flows.samples import open_sample
from smidgen.studio.flows.supervisor import finish_runs
from smidgen.studio.store.projects import StudioStore


def open_studio_demo(port: int | None, no_open: bool, as_json: bool) -> None:
    """Open the Studio with the sample project, after its build."""
    store = StudioStore()
    try:
        project = open_sample(store)
        with Screen() as screen:
            finish_runs(store, project.id, screen)
        serve_page(
            store, PORT if port is None else port, as_json=as_json, opened=not (no_open or as_json), at=f"/projects/{project.id}/report"
        )
    finally:
        store.close()


part_studio = open_studio_demo
