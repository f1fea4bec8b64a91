"""A desk shown to customers, by a file: how it stands on sites, its channels, and which tools it may call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from smidgen.core.errors import InputError
from smidgen.flows.desk.channel_file import ChannelFile, DeskChannels, read_channel_file
from smidgen.flows.desk.opening import desk_of, live_desk
from smidgen.flows.local_model import Model
from smidgen.server.desk.served_desk import ServedDesk
from smidgen.server.desk.widget_settings import WidgetSettings
from smidgen.store.calls import CallStore
from smidgen.store.conversations.store import ConversationStore
from smidgen.store.files import home

CALLS = "calls.db"


class DeskFile(ChannelFile):
    """A desk file: the widget beside the channels."""

    widget: WidgetSettings = WidgetSettings()


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
        todo = "Serve exactly one bundle that was built with the task desk."
        raise InputError("a desk file is for one desk", value=f"{len(found)} desks", todo=todo)
    with ConversationStore() as store, closing(CallStore(home() / CALLS)) as calls:
        desk = live_desk(found[0], calls)
        channels = DeskChannels(store, desk, settings)
        channels.start()
        try:
            yield [ServedDesk(desk, store, settings.widget, channels)]
        finally:
            channels.stop()
