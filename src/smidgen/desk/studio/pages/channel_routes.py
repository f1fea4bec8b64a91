"""`/api/v1/projects/{project}/channels`, `…/site`, `…/webhooks`, `…/hand-over` and `…/dead-letters`: where customers reach a desk."""

from __future__ import annotations

from typing import Any, Literal, get_args

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from smidgen.core.settings import is_hidden
from smidgen.desk.flows.channel_trial import ChannelTrial
from smidgen.desk.routes.widget_settings import WidgetSettings
from smidgen.desk.store.figures import DeliveryFigures
from smidgen.desk.store.records import EventKind
from smidgen.desk.studio.desk_conversations import DeadLetter, dead_letters, delivery_of, move_dead_letter
from smidgen.desk.studio.desk_serving import (
    HeldChannel,
    HeldDesk,
    HeldWebhook,
    callback,
    channel_kinds,
    channel_settings,
    connect_held_channel,
    connects,
    drop_webhook,
    has_secret,
    hears,
    held_desk,
    hold_channel,
    hold_hand_over,
    hold_site,
    hold_webhook,
    is_outdated,
    script_line,
    secret_settings,
    try_held_channel,
    try_held_webhook,
)
from smidgen.studio.api.access import Editor, Operator, Viewer
from smidgen.studio.api.host import StudioHost
from smidgen.studio.flows.serving.servers import ServerStatus, newest_name
from smidgen.studio.store.projects import StudioStore

_MOST_LETTERS = 200
_PLACE = r"^[a-z][a-z0-9_]{0,29}$"


class ChannelSecret(BaseModel):
    """A secret of a channel: whether one is kept, and never the secret."""

    name: str
    help: str
    kept: bool


class ShownChannel(BaseModel):
    """A channel. `fields`: the JSON Schema of its settings."""

    kind: str
    on: bool
    settings: dict[str, Any]
    fields: dict[str, Any]
    secrets: list[ChannelSecret]
    address: str = Field(description="Where the vendor sends messages to; empty if it sends none, or the address is not known yet.")
    connects: bool = Field(description="Whether the vendor can be told that address from here.")
    tried: ChannelTrial | None
    delivery: DeliveryFigures


class ShownWebhook(BaseModel):
    """A webhook that is told of events."""

    name: str
    on: bool
    url: str
    events: list[EventKind]
    tried: ChannelTrial | None
    delivery: DeliveryFigures


class CustomerChannels(BaseModel):
    """Where customers reach a desk."""

    desk: str = Field(description="The desk's name; empty before its first build.")
    running: bool
    outdated: bool = Field(description="Whether the desk that runs was started with other settings.")
    address: str = Field(description="Where the desk is reached: its public address, else that of this machine; empty if neither is known.")
    public: str
    keep_days: int
    widget: WidgetSettings
    script: str = Field(description="The line for a site's pages; empty if the address is not known yet.")
    channels: list[ShownChannel]
    webhooks: list[ShownWebhook]
    hand_over: list[str]
    hand_over_delivery: dict[str, DeliveryFigures]
    event_kinds: list[EventKind]
    widget_delivery: DeliveryFigures
    dead: int = Field(description="Messages and events that could not be delivered.")


class SiteChange(BaseModel):
    """How the desk stands on sites. `public`: the address at which the internet reaches it."""

    public: str = Field("", max_length=300)
    widget: WidgetSettings
    keep_days: int = Field(365, ge=1, le=36_500)


class ChannelChange(BaseModel):
    """A channel's settings. `secrets`: those to keep; an empty one is removed, and one that is left out stays."""

    on: bool
    settings: dict[str, Any] = Field(default={}, max_length=40)
    secrets: dict[str, str] = Field(default={}, max_length=20)


class WebhookChange(BaseModel):
    """A webhook. `secret`: one of your own (`whsec_…`); left out, the one that is known stays, or one is made."""

    on: bool = True
    url: str = Field(max_length=2_000)
    events: list[EventKind] = Field(min_length=1, max_length=len(get_args(EventKind)))
    secret: str | None = Field(None, max_length=200)


class SavedWebhook(BaseModel):
    """A webhook was saved. `secret`: the one that was made for it, shown this once."""

    secret: str | None


class HandOverChange(BaseModel):
    """How people get conversations."""

    ways: list[Literal["mail", "chatwoot"]] = Field(max_length=2)


def channel_routes(host: StudioHost) -> APIRouter:
    """The routes of channels."""
    store, servers = host.store, host.servers
    router = APIRouter(prefix="/api/v1/projects/{project}", tags=["desk"])

    def view(project: str) -> CustomerChannels:
        return _view(store, project, held_desk(project), servers.status(project))

    @router.get("/channels")
    def read_channels(person: Viewer, project: str) -> CustomerChannels:
        """Read where customers reach the desk. No secret is in it; viewers do not see the addresses of people."""
        shown = view(store.project(project).id)
        if not person.may("edit"):
            for channel in shown.channels:
                channel.settings.pop("people", None)
        return shown

    @router.put("/site")
    def change_site(person: Operator, project: str, body: SiteChange) -> CustomerChannels:
        """Change how the desk stands on sites. It holds from the desk's next start."""
        hold_site(store.project(project).id, body.public.strip().rstrip("/"), body.widget.given(), body.keep_days)
        return view(project)

    @router.put("/channels/{kind}")
    def change_channel(person: Operator, project: str, kind: str, body: ChannelChange) -> CustomerChannels:
        """Change a channel. It holds from the desk's next start."""
        hold_channel(store.project(project).id, kind, body.on, body.settings, body.secrets)
        return view(project)

    @router.post("/channels/{kind}/try")
    def try_channel(person: Operator, project: str, kind: str) -> ChannelTrial:
        """Log in at the vendor with the channel's keys. Nothing is sent to customers."""
        return try_held_channel(store.project(project).id, kind)

    @router.post("/channels/{kind}/connect")
    def connect_channel(person: Operator, project: str, kind: str) -> ChannelTrial:
        """Tell the vendor the channel's public address. The desk must have one."""
        desk, public = newest_name(store, store.project(project).id), held_desk(project).public
        return connect_held_channel(project, kind, callback(public, desk, kind) if desk and public else "")

    @router.put("/webhooks/{name}")
    def change_webhook(person: Operator, project: str, name: str, body: WebhookChange) -> SavedWebhook:
        """Change a webhook, or add one. It holds from the desk's next start."""
        held = HeldWebhook(on=body.on, url=body.url.strip(), events=tuple(body.events))
        return SavedWebhook(secret=hold_webhook(store.project(project).id, name, held, body.secret))

    @router.post("/webhooks/{name}/try")
    def try_webhook(person: Operator, project: str, name: str) -> ChannelTrial:
        """Send a signed test event (`desk.test`) to a webhook."""
        desk = newest_name(store, store.project(project).id) or "desk"
        return try_held_webhook(project, name, desk)

    @router.delete("/webhooks/{name}", status_code=204)
    def delete_webhook(person: Operator, project: str, name: str) -> None:
        """Forget a webhook and its secret."""
        drop_webhook(store.project(project).id, name)

    @router.put("/hand-over")
    def change_hand_over(person: Operator, project: str, body: HandOverChange) -> CustomerChannels:
        """Choose how people get conversations. It holds from the desk's next start."""
        hold_hand_over(store.project(project).id, tuple(body.ways))
        return view(project)

    @router.get("/dead-letters")
    def list_dead_letters(person: Viewer, project: str, limit: int = Query(50, ge=1, le=_MOST_LETTERS)) -> list[DeadLetter]:
        """List messages and events that could not be delivered, the newest first. Viewers see no personal data."""
        return dead_letters(store.project(project).id, not person.may("edit"), limit)

    @router.post("/dead-letters/{letter}/retry", status_code=204)
    def retry_dead_letter(person: Editor, project: str, letter: str) -> None:
        """Send a dead letter again. The running desk does so within seconds."""
        move_dead_letter(store.project(project).id, letter, "retry")

    @router.delete("/dead-letters/{letter}", status_code=204)
    def drop_dead_letter(person: Editor, project: str, letter: str) -> None:
        """Drop a dead letter for good."""
        move_dead_letter(store.project(project).id, letter, "drop")

    return router


def _view(store: StudioStore, project: str, held: HeldDesk, status: ServerStatus) -> CustomerChannels:
    desk = status.name if status.desk else newest_name(store, project)
    running = status.desk and status.state in ("running", "starting", "silent")
    address = held.public or (status.url if running else "")
    widget = WidgetSettings.model_validate(held.widget)
    channels, listeners = delivery_of(project)
    known = bool(desk and address)
    return CustomerChannels(
        desk=desk,
        running=running,
        outdated=running and is_outdated(store, project, status.started or 0.0),
        address=address,
        public=held.public,
        keep_days=held.keep_days,
        widget=widget,
        script=script_line(address, desk, str(held.widget.get("colour", ""))) if known else "",
        channels=[
            _channel(project, kind, held.channels.get(kind, HeldChannel()), channels, callback(address, desk, kind) if known else "")
            for kind in channel_kinds()
        ],
        webhooks=[
            ShownWebhook(
                name=name,
                on=one.on,
                url=one.url,
                events=list(one.events),
                tried=_trial(one.tried),
                delivery=_delivery(listeners.get(f"webhook:{name}")),
            )
            for name, one in sorted(held.webhooks.items())
        ],
        hand_over=list(held.hand_over),
        hand_over_delivery={name.partition(":")[2]: _delivery(one) for name, one in listeners.items() if name.startswith("hand_over:")},
        event_kinds=list(get_args(EventKind)),
        widget_delivery=_delivery(channels.get("widget")),
        dead=sum(one.dead for one in (*channels.values(), *listeners.values())),
    )


def _channel(project: str, kind: str, held: HeldChannel, figures: dict[str, DeliveryFigures], address: str) -> ShownChannel:
    settings = channel_settings(kind)
    secrets = secret_settings(kind)
    helps = {name: settings.model_fields[name].description or "" for name in secrets}
    schema = settings.model_json_schema()
    shown = {name: one for name, one in schema.get("properties", {}).items() if not is_hidden(settings.model_fields[name])}
    return ShownChannel(
        kind=kind,
        on=held.on,
        settings=held.settings,
        fields={**schema, "properties": shown},
        secrets=[ChannelSecret(name=name, help=helps[name], kept=has_secret(project, kind, name)) for name in secrets],
        address=address if hears(kind) else "",
        connects=connects(kind),
        tried=_trial(held.tried),
        delivery=_delivery(figures.get(kind)),
    )


def _trial(told: dict[str, Any] | None) -> ChannelTrial | None:
    return None if told is None else ChannelTrial(**told)


def _delivery(found: DeliveryFigures | None) -> DeliveryFigures:
    return found or DeliveryFigures()


part = channel_routes
