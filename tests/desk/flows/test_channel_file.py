"""A desk's channel file is read, and its mistakes are told together."""

from __future__ import annotations

from pathlib import Path

import pytest

from smidgen.core.errors import InputError, RecipeError, UnknownPart
from smidgen.desk.flows.channel_file import ChannelFile, open_desk_channels, read_channel_file
from smidgen.desk.store.conversation_store import ConversationStore

from .soak_worker import SoakDesk


def written(folder: Path, text: str) -> Path:
    file = folder / "channels.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_an_empty_file_has_no_channels(tmp_path: Path) -> None:
    found = read_channel_file(written(tmp_path, ""), ChannelFile)
    assert (found.channels, found.webhooks, found.keep_days) == ({}, {}, 365)


def test_mistakes_are_told_together(tmp_path: Path) -> None:
    text = 'keep_days = 0\ncolour = 1\n[webhooks.own]\nurl = "https://x.example"\nevents = ["born"]\n'
    with pytest.raises(RecipeError) as caught:
        read_channel_file(written(tmp_path, text), ChannelFile)
    assert sorted(mistake.split(":")[0] for mistake in caught.value.mistakes) == [
        "colour",
        "keep_days",
        "webhooks.own.events.0",
        "webhooks.own.secret_env",
    ]


def test_what_cannot_be_read_or_opened_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_channel_file(written(tmp_path, "= ="), ChannelFile)
    with pytest.raises(InputError, match="cannot be read"):
        read_channel_file(tmp_path / "none.toml", ChannelFile)
    with pytest.raises(InputError, match="too large"):
        read_channel_file(written(tmp_path, "#" * 200_001), ChannelFile)
    monkeypatch.delenv("SLACK_BOT_TOKEN", raising=False)
    monkeypatch.setenv("SLACK_SIGNING_SECRET", "x")
    with ConversationStore(f"sqlite:///{tmp_path}/c.db") as store:
        for text, error in (
            ('[channels.a]\nkind = "pigeon"\n', UnknownPart),
            ('[channels.a]\nkind = "slack"\n', InputError),
            ('[hand_over]\nmail = "post"\n', RecipeError),
            ('[hand_over]\nchatwoot = "inbox"\n', RecipeError),
        ):
            with pytest.raises(error):
                open_desk_channels(written(tmp_path, text), store, SoakDesk())
