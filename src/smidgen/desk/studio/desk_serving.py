"""Serve a project's desk to customers: its channels as the Studio holds them, and the desk file that `smidgen serve --desk` reads.

What the page Channels holds lies in a file of the project's serving folder, without secrets. Those are kept apart, and reach the server as
environment variables. The conversations of each project's desk have a database of their own.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from smidgen.core.errors import InputError
from smidgen.core.settings import Settings, is_hidden
from smidgen.desk.channels.channel import ROOM, open_channel
from smidgen.desk.channels.standard_webhooks import checked_address, new_secret, secret_key
from smidgen.desk.flows.channel_trial import ChannelTrial, connect_channel, try_channel, try_webhook
from smidgen.desk.store.records import EventKind
from smidgen.desk.store.tables import FILE as CONVERSATIONS
from smidgen.desk.store.tables import URL_ENV as CONVERSATIONS_URL
from smidgen.parts import registry
from smidgen.parts.recipe import written
from smidgen.store import files
from smidgen.store.calls import URL_ENV as CALLS_URL
from smidgen.store.files import home
from smidgen.studio.flows.material import material_kinds, material_path
from smidgen.studio.flows.material_state import is_empty
from smidgen.studio.flows.serving.desk_secrets import keep_secrets, kept_secrets, secrets_file
from smidgen.studio.store.projects import StudioStore

_HELD, DESK_FILE, TOOL_SECRETS = "channels.json", "desk.toml", "tool_secrets.json"
_MOST_WEBHOOKS = 10
_MOST_SETTINGS = 40
_NAME = re.compile(r"[a-z][a-z0-9_]{0,29}")
_lock = threading.Lock()


class HeldChannel(BaseModel):
    """A channel as the page holds it. `tried`: how its last trial ended."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    on: bool = False
    settings: dict[str, Any] = {}
    tried: dict[str, Any] | None = None


class HeldWebhook(BaseModel):
    """A webhook that is told of events."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    on: bool = True
    url: str = ""
    events: tuple[EventKind, ...] = get_args(EventKind)
    tried: dict[str, Any] | None = None


class HeldDesk(BaseModel):
    """All that the page Channels holds of a desk, without its secrets."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    public: str = Field(default="", description="Address at which the internet reaches the desk: https, without a path; empty for none.")
    widget: dict[str, Any] = {}
    channels: dict[str, HeldChannel] = {}
    webhooks: dict[str, HeldWebhook] = {}
    hand_over: tuple[str, ...] = ()
    keep_days: int = Field(default=365, ge=1, le=36_500)


def _folder(project: str) -> Path:
    return home() / "studio" / "serving" / project


def held_desk(project: str) -> HeldDesk:
    """All that is held of a project's desk; nothing yet for a new one, or if the file is broken."""
    try:
        return HeldDesk.model_validate_json((_folder(project) / _HELD).read_bytes())
    except (OSError, ValidationError):
        return HeldDesk()


def _hold(project: str, **changes: Any) -> HeldDesk:
    held = held_desk(project).model_copy(update=changes)
    folder = _folder(project)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    files.write(folder / _HELD, held.model_dump_json().encode("utf-8"), 0o600)
    return held


def hold_site(project: str, public: str, widget: Mapping[str, Any], keep_days: int) -> HeldDesk:
    """Hold how the desk stands on sites. `widget`: checked by the caller, who knows its settings."""
    if public and not re.fullmatch(r"https://[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(?::[0-9]{1,5})?", public):
        raise InputError("desk.this_is_not_address_of_desk", value=public)
    with _lock:
        return _hold(project, public=public, widget=dict(widget), keep_days=keep_days)


def channel_kinds() -> list[str]:
    """The kinds of channels, by name."""
    return sorted(registry.names(ROOM))


def channel_settings(kind: str) -> type[Settings]:
    """The class of a kind's settings. Raises UnknownPart for an unknown kind."""
    found: type[Settings] = registry.find(ROOM, kind).settings
    return found


def hears(kind: str) -> bool:
    """Whether a kind's messages come by webhook."""
    return hasattr(registry.find(ROOM, kind), "receive")


def connects(kind: str) -> bool:
    """Whether a kind's vendor can be told where to send messages."""
    return hasattr(registry.find(ROOM, kind), "connect")


def secret_settings(kind: str) -> list[str]:
    """The settings of a kind of channel that name a variable with a secret."""
    fields = channel_settings(kind).model_fields
    return [name for name, field in fields.items() if is_hidden(field) and name.endswith("_env")]


def secret_variable(kind: str, setting: str) -> str:
    """The variable in which the served desk finds a secret of a channel."""
    return f"DESK_{kind}_{setting.removesuffix('_env')}".upper()


def hold_channel(project: str, kind: str, on: bool, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> HeldDesk:
    """Hold a channel's settings, and keep the secrets that are given: an empty one removes it, and those that are not given stay.

    A channel that is on must be able to open. Raises InputError, RecipeError or UnknownPart with what is wrong.
    """
    known = secret_settings(kind)
    fields = channel_settings(kind).model_fields
    strange = [name for name in settings if name not in fields or name in known]
    if strange or len(settings) > _MOST_SETTINGS:
        raise InputError("desk.channel_has_no_such_setting", value=", ".join(strange)[:100])
    unknown = [name for name in secrets if name not in known]
    if unknown:
        raise InputError("desk.channel_has_no_such_secret", value=", ".join(unknown)[:100], known=", ".join(known))
    given = {secret_variable(kind, name): value.strip() for name, value in secrets.items()}
    plain = {name: value for name, value in settings.items() if value not in (None, "")}
    if on:
        _check_opens(kind, plain, {**kept_secrets(project), **given})
    with _lock:
        keep_secrets(project, given)
        channels = held_desk(project).channels
        tried = channels[kind].tried if kind in channels and channels[kind].settings == plain and not given else None
        return _hold(project, channels={**channels, kind: HeldChannel(on=on, settings=plain, tried=tried)})


def _check_opens(kind: str, settings: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
    missing = [name.removesuffix("_env") for name in secret_settings(kind) if not secrets.get(secret_variable(kind, name))]
    if missing:
        raise InputError("desk.channel_that_is_on_needs_all_its_keys", value=f"{kind}: {', '.join(missing)}")
    open_channel(kind, _told(kind, settings), secrets).close()


def hold_webhook(project: str, name: str, webhook: HeldWebhook, secret: str | None = None) -> str | None:
    """Hold a webhook; returns its secret if a new one was made, to be shown this once.

    secret: one of your own; None keeps the one that is kept, or makes one.
    """
    if not _NAME.fullmatch(name):
        raise InputError("desk.this_is_no_name_for_webhook", value=name)
    checked_address(webhook.url)
    variable = _webhook_variable(name)
    made = None
    if secret is None and not kept_secrets(project).get(variable):
        secret = made = new_secret()
    if secret is not None:
        secret_key(secret)
    with _lock:
        webhooks = held_desk(project).webhooks
        if name not in webhooks and len(webhooks) >= _MOST_WEBHOOKS:
            raise InputError("desk.there_are_too_many_webhooks", value=len(webhooks), most_webhooks=_MOST_WEBHOOKS)
        if secret is not None:
            keep_secrets(project, {variable: secret})
        _hold(project, webhooks={**webhooks, name: webhook})
    return made


def drop_webhook(project: str, name: str) -> None:
    """Forget a webhook and its secret."""
    with _lock:
        keep_secrets(project, {_webhook_variable(name): ""} if _NAME.fullmatch(name) else {})
        _hold(project, webhooks={key: one for key, one in held_desk(project).webhooks.items() if key != name})


def hold_hand_over(project: str, ways: tuple[str, ...]) -> HeldDesk:
    """Hold which ways people get conversations: `mail` and `chatwoot`, by the channels of these kinds."""
    held = held_desk(project)
    for way, kind in _WAYS.items():
        if way in ways and not (kind in held.channels and held.channels[kind].on):
            raise InputError("desk.this_way_to_hand_over_needs_its_channel", value=kind)
    if "mail" in ways and not held.channels["email"].settings.get("people"):
        raise InputError("desk.hand_over_by_e_mail_needs_addresses", value="none")
    with _lock:
        return _hold(project, hand_over=tuple(way for way in _WAYS if way in ways))


_WAYS = {"mail": "email", "chatwoot": "chatwoot"}


def try_held_channel(project: str, kind: str) -> ChannelTrial:
    """Try the held settings and secrets of a channel, and hold how it ended."""
    held = held_desk(project).channels.get(kind, HeldChannel())
    found = try_channel(kind, _told(kind, held.settings), kept_secrets(project))
    with _lock:
        channels = held_desk(project).channels
        now = channels.get(kind, held)
        if now.settings == held.settings:
            _hold(project, channels={**channels, kind: now.model_copy(update={"tried": asdict(found)})})
    return found


def connect_held_channel(project: str, kind: str, address: str) -> ChannelTrial:
    """Tell the vendor of a held channel the address that messages go to. Raises InputError unless the internet reaches it."""
    if not address.startswith("https://"):
        raise InputError("desk.vendor_cannot_reach_this_address", value=address or "none")
    held = held_desk(project).channels.get(kind, HeldChannel())
    return connect_channel(kind, _told(kind, held.settings), kept_secrets(project), address)


def try_held_webhook(project: str, name: str, desk: str) -> ChannelTrial:
    """Send a test event to a held webhook, and hold how it ended. Raises InputError for an unknown one."""
    held = held_desk(project).webhooks.get(name)
    if held is None:
        raise InputError("desk.there_is_no_such_webhook", value=name)
    found = try_webhook(held.url, kept_secrets(project).get(_webhook_variable(name), ""), desk)
    with _lock:
        webhooks = held_desk(project).webhooks
        if name in webhooks:
            _hold(project, webhooks={**webhooks, name: webhooks[name].model_copy(update={"tried": asdict(found)})})
    return found


def has_secret(project: str, kind: str, setting: str) -> bool:
    """Whether a secret of a channel is kept."""
    return bool(kept_secrets(project).get(secret_variable(kind, setting)))


def _webhook_variable(name: str) -> str:
    return f"DESK_WEBHOOK_{name}".upper()


def _told(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A channel's settings with the variables of its secrets."""
    return {**settings, **{name: secret_variable(kind, name) for name in secret_settings(kind)}}


def desk_text(store: StudioStore, project: str) -> str:
    """The desk file of a project, as TOML: what is on, the tools of its recipe, and no secret."""
    held = held_desk(project)
    channels = {kind: {"kind": kind, **_told(kind, one.settings)} for kind, one in sorted(held.channels.items()) if one.on}
    webhooks = {
        name: {"url": one.url, "secret_env": _webhook_variable(name), "events": list(one.events)}
        for name, one in sorted(held.webhooks.items())
        if one.on
    }
    ways = {way: kind for way, kind in _WAYS.items() if way in held.hand_over and kind in channels}
    tools = tool_file(store, project)
    # A tool sees the secrets of tools alone: whoever may write one could else have a channel's key sent somewhere.
    tree: dict[str, Any] = {"keep_days": held.keep_days, "tool_secrets": TOOL_SECRETS}
    tree |= {"tools": str(tools)} if tools is not None else {}
    sections = {"widget": held.widget, "channels": channels, "webhooks": webhooks, "hand_over": ways}
    reached = f"# Reached at {held.public or 'this machine alone'}\n"
    return reached + written({**tree, **{name: section for name, section in sections.items() if section}})


def tool_file(store: StudioStore, project: str) -> Path | None:
    """The tool file that the recipe of a project names; None if it names none of the project's own, or no tool is in it yet."""
    found = store.project(project)
    try:
        file = material_path(found, "tools") if "tools" in material_kinds(found) else None
    except InputError:  # a path out of the project's folder: no file of the project's own
        return None
    return file if file is not None and not is_empty("tools", file) else None


def write_desk_file(store: StudioStore, project: str) -> Path:
    """Write the desk file of a project. Raises the error of a channel that is on and cannot open."""
    held = held_desk(project)
    secrets = kept_secrets(project)
    for kind, one in held.channels.items():
        if one.on:
            _check_opens(kind, one.settings, secrets)
    hold_hand_over(project, held.hand_over)
    file = _folder(project) / DESK_FILE
    files.write(file, desk_text(store, project).encode("utf-8"), 0o600)
    return file


def is_outdated(store: StudioStore, project: str, started: float) -> bool:
    """Whether the desk that runs since a time was started with other channels, secrets or tools than there are now."""
    folder = _folder(project)
    tools = tool_file(store, project)
    read = [secrets_file(project), folder / TOOL_SECRETS, *([tools] if tools is not None else [])]
    try:
        written_then = (folder / DESK_FILE).read_text(encoding="utf-8")
        return written_then != desk_text(store, project) or any(file.exists() and file.stat().st_mtime > started for file in read)
    except OSError:
        return True


def conversations_url(project: str) -> str:
    """The URL of the database of a project's conversations."""
    return f"sqlite:///{_folder(project) / CONVERSATIONS}"


def calls_file(project: str) -> Path:
    """The file of the calls that a project's desk made."""
    return _folder(project) / "calls.db"


def desk_environment(project: str) -> dict[str, str]:
    """The variables that the server of a desk gets: its databases and its secrets."""
    own = {CONVERSATIONS_URL: conversations_url(project), CALLS_URL: f"sqlite:///{calls_file(project)}"}
    return {**kept_secrets(project), **own}


def script_line(url: str, desk: str, colour: str = "") -> str:
    """The line that a site's pages need to show the chat."""
    look = f' data-colour="{colour}"' if colour else ""
    return f'<script src="{url}/desk/widget.js" data-desk="{desk}"{look} async></script>'


def callback(url: str, desk: str, kind: str) -> str:
    """The address that a vendor sends a channel's messages to."""
    return f"{url}/desk/{desk}/channels/{kind}"
