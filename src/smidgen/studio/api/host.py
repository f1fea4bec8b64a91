"""The Studio as the pages of other wings see it."""

from __future__ import annotations

from dataclasses import dataclass

from smidgen.studio.flows.models.open_models import OpenModels
from smidgen.studio.flows.serving.servers import ModelServers
from smidgen.studio.store.projects import StudioStore


@dataclass(frozen=True)
class StudioHost:
    """The objects that the routes of a page work on.

    A wing adds pages by files with a `part` in its folder `studio/pages`: a function that takes the host and returns an `APIRouter`.

    Attributes:
        store: the Studio's projects.
        servers: the running servers of models.
        models: models that stay loaded between requests.
        here: whether the Studio's only user sits at this machine, so that its folders may be named.
    """

    store: StudioStore
    servers: ModelServers
    models: OpenModels
    here: bool
