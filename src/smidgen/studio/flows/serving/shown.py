"""Models that are shown to customers when they are served, such as desks: what their wing does for the Studio's server of models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pydantic.dataclasses import dataclass

from smidgen.core.rows import Text
from smidgen.flows.local_model import Model
from smidgen.parts import registry
from smidgen.studio.flows.models.answering import TriedAnswer
from smidgen.studio.store.projects import Project, StudioStore

ROOM = "shown"


@dataclass(frozen=True)
class ShownPage:
    """The desk that a running server shows to customers, for the page.

    Attributes:
        script: the line for a site's pages.
        preview: address of a page of this machine with the chat on it.
        public: the address at which the internet reaches it; empty for none.
        outdated: whether channels, secrets or tools have changed since it was started.
    """

    script: str
    preview: str
    public: str
    outdated: bool


class ShownKind(Protocol):
    """A kind of model that is shown to customers: the `part` of a wing's module `shown`."""

    engine: str
    """The engine of its bundles."""

    def public(self, project: str) -> str:
        """Return the address at which the internet reaches the model; empty for none."""

    def write_file(self, store: StudioStore, project: str) -> Path:
        """Write the file for `smidgen serve --desk`. Raises the error of a channel that is on and cannot open."""

    def environment(self, project: str) -> dict[str, str]:
        """Return the variables that the server gets: its databases and its secrets."""

    def uncalled(self, store: StudioStore, project: str, folder: Path) -> list[str]:
        """Return the tools of the bundle in a folder that it cannot call, because no tool file is known."""

    def page(self, store: StudioStore, project: str, url: str, name: str, started: float) -> ShownPage:
        """Return what the Studio's page says of a running server."""

    def answers(self, project: Project, model: Model, texts: Sequence[Text]) -> list[TriedAnswer] | None:
        """Return a model's answers with the project's tools as they are now; None for one without such tools."""


def shown_kinds() -> list[ShownKind]:
    """The kinds that the installed wings bring."""
    return [registry.find(ROOM, name) for name in registry.names(ROOM)]


def shown_kind(engine: str) -> ShownKind | None:
    """The kind of models with this engine; None for models that are not shown to customers."""
    return next((kind for kind in shown_kinds() if kind.engine == engine), None)


def public_address(project: str) -> str:
    """The address at which the internet reaches a project's model; empty for none."""
    return next((address for kind in shown_kinds() if (address := kind.public(project))), "")
