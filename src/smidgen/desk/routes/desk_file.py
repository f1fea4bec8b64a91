"""A desk shown to customers, by a file: how it stands on sites, its channels, and which tools it may call."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from smidgen.core.errors import InputError
from smidgen.core.settings import setting
from smidgen.desk.flows.channel_file import ChannelFile, DeskChannels, read_channel_file
from smidgen.desk.flows.customer_privacy import customer_masking
from smidgen.desk.flows.live_desk import desk_of, live_desk
from smidgen.desk.flows.model_watch import WatchedModel
from smidgen.desk.routes.served_desk import ServedDesk
from smidgen.desk.routes.widget_settings import WidgetSettings
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.flows.local_model import Model
from smidgen.store.calls import URL_ENV, CallStore
from smidgen.store.files import home

CALLS = "calls.db"


class DeskFile(ChannelFile):
    """A desk file: the widget and the tools beside the channels."""

    widget: WidgetSettings = WidgetSettings()
    tools: str = setting("", "The tool file; by default the one that the desk was built with.")
    tool_secrets: str = setting(
        "", "A JSON file with the values of the variables that tools name. By default they are those of the environment.", hidden=True
    )

    def tool_environment(self, folder: Path) -> Mapping[str, str] | None:
        """The values of variables in tools; None for those of the process's environment. Raises InputError for a file that is broken."""
        if not self.tool_secrets:
            return None
        file = folder / self.tool_secrets
        try:
            told = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
            return {str(name): str(value) for name, value in told.items()}
        except (OSError, ValueError, AttributeError):
            raise InputError("desk.tool_secrets_cannot_be_read", value=str(file)) from None


@contextmanager
def shown_desks(file: Path | None, models: Sequence[Model]) -> Iterator[list[ServedDesk]]:
    """The desk among the loaded models, with its store and its channels at work until the block ends; none without a file.

    Raises InputError unless exactly one of the models is a desk.
    """
    if file is None:
        yield []
        return
    settings = read_channel_file(file, DeskFile)
    found = [model for model in models if desk_of(model) is not None]
    if len(found) != 1:
        raise InputError("desk.desk_file_is_for_one_desk", found=len(found))
    tools = file.parent / settings.tools if settings.tools else None
    masking = customer_masking(found[0])
    kept = masking if masking is not None and masking.privacy.stored else None
    with ConversationStore(masking=kept) as store, closing(CallStore(os.environ.get(URL_ENV, "").strip() or home() / CALLS)) as calls:
        desk = live_desk(found[0], calls, tools, settings.tool_environment(file.parent))
        watched = [WatchedModel(one.name, one.folder, one.line.folder if one.line is not None else None) for one in models]
        channels = DeskChannels(store, desk, settings, models=watched, masking=masking)
        channels.start()
        try:
            yield [ServedDesk(desk, store, settings.widget, channels)]
        finally:
            channels.stop()
            if desk.toolbox is not None:
                desk.toolbox.close()
