"""Desks in the Studio's server of models: see `ShownKind`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smidgen.core.rows import Text
from smidgen.desk.engines import DeskEngine, packed_tools
from smidgen.desk.studio import desk_serving
from smidgen.desk.studio.desk_trial import desk_answers
from smidgen.flows.local_model import Model
from smidgen.studio.flows.models.answering import TriedAnswer
from smidgen.studio.flows.serving.shown import ShownPage
from smidgen.studio.store.projects import Project, StudioStore


class ShownDesk:
    """Desks, shown to customers with the widget and the channels that the page Channels holds."""

    engine = DeskEngine.name

    def public(self, project: str) -> str:
        """Return the address at which the internet reaches the desk; empty for none."""
        return desk_serving.held_desk(project).public

    def write_file(self, store: StudioStore, project: str) -> Path:
        """Write the desk file."""
        return desk_serving.write_desk_file(store, project)

    def environment(self, project: str) -> dict[str, str]:
        """Return the desk's databases and secrets."""
        return desk_serving.desk_environment(project)

    def uncalled(self, store: StudioStore, project: str, folder: Path) -> list[str]:
        """Return the tools without a target."""
        return [tool.name for tool in packed_tools(folder, desk_serving.tool_file(store, project)) if tool.target is None]

    def page(self, store: StudioStore, project: str, url: str, name: str, started: float) -> ShownPage:
        """Return the line for a site, the preview, and whether the desk runs with former channels or tools."""
        held = desk_serving.held_desk(project)
        return ShownPage(
            script=desk_serving.script_line(held.public or url, name, str(held.widget.get("colour", ""))),
            preview=f"{url}/desk/{name}/preview",
            public=held.public,
            outdated=desk_serving.is_outdated(store, project, started),
        )

    def answers(self, project: Project, model: Model, texts: Sequence[Text]) -> list[TriedAnswer] | None:
        """Return a desk's answers with the project's tools as they are now."""
        return desk_answers(project, model, texts)


part_desk = ShownDesk()
