"""`smidgen studio`: open the Studio in the browser."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from smidgen.cli.screen import errors, out, print_json
from smidgen.core.errors import InputError

if TYPE_CHECKING:
    from smidgen.studio.api.access import StudioAccess
    from smidgen.studio.store.projects import StudioStore

PORT = 8765
_DRAIN_SECONDS = 1.0
"""How long running requests may take after Ctrl-C. Pages that follow a run would hold the server open for good."""
_LEAST_PASSWORD = 10


def studio(
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port. 0 takes any free one.")] = PORT,
    no_open: Annotated[bool, typer.Option("--no-open", help="Print the link and open no browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object with the link when the Studio is ready.")] = False,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Any but this machine's own needs an account: see --add-owner.")
    ] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A host name that browsers use for the Studio, besides localhost. May be repeated.")
    ] = None,
    https: Annotated[bool, typer.Option("--https", help="A proxy before the Studio speaks HTTPS: cookies travel by HTTPS alone.")] = False,
    address_header: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Header in which your own proxy tells the address of who asks, such as x-real-ip: failed log-ins are counted by it. "
            "Only with a proxy that always sets it.",
        ),
    ] = "",
    add_owner: Annotated[
        str | None, typer.Option(metavar="NAME", help="Make an account that may do everything, ask for its password, and stop.")
    ] = None,
) -> None:
    """Open the Studio, from data to a model at work, in the browser.

    Data, models and accounts stay on this machine, in smidgen's home folder. Builds go on when the Studio is closed.

    Example: smidgen studio
    """
    from smidgen.studio.api.access import StudioAccess
    from smidgen.studio.store.projects import StudioStore

    store = StudioStore()
    try:
        if add_owner is not None:
            _add_owner(StudioAccess(store), add_owner)
        else:
            serve_page(store, port, host, allow_host or [], https, as_json, opened=not (no_open or as_json), address_header=address_header)
    finally:
        store.close()


def serve_page(
    store: StudioStore,
    port: int,
    host: str = "127.0.0.1",
    names: Sequence[str] = (),
    https: bool = False,
    as_json: bool = False,
    opened: bool = True,
    at: str = "/",
    address_header: str = "",
) -> None:
    """Serve the page and its API until Ctrl-C. `at`: the path that the link leads to. `opened`: whether to open a browser."""
    from smidgen.server.process import run, take_port, url_of
    from smidgen.server.settings import ListenSettings
    from smidgen.studio.api.access import StudioAccess
    from smidgen.studio.api.app import StudioSettings, create_studio
    from smidgen.studio.api.pages import assets_folder

    page = assets_folder()
    listen = ListenSettings(host=host, port=port)
    access = StudioAccess(store, accounts_needed=not listen.loopback)
    if access.accounts_needed and not access.accounts():
        raise InputError("studio.other_machines_could_reach_this_studio", host=host)
    with take_port(listen) as bound:
        url = url_of(bound)
        link = url if access.accounts_needed else f"{url}/?link={access.new_link()}" + (f"&to={at}" if at != "/" else "")
        app = create_studio(store, access, StudioSettings(host, names, access.accounts_needed, https, address_header), page)

        def ready() -> None:
            if as_json:
                print_json({"url": link, "pid": os.getpid()}, indent=None)
                return
            out.print(f"[green]✓[/] Studio at [bold]{link}[/]", soft_wrap=True)
            if not access.accounts_needed:
                errors.print("The link works once, within ten minutes. For another one, start the Studio again.")
            errors.print("Ctrl-C closes the Studio; builds that are going on are finished.")
            if opened and _has_browser():
                threading.Thread(target=webbrowser.open, args=(link,), daemon=True).start()

        run(app, bound, _DRAIN_SECONDS, ready)


def _has_browser() -> bool:
    """Return whether a browser with windows may be there. Without a display, Python would start one in this terminal."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _add_owner(access: StudioAccess, name: str) -> None:
    """Make an owner, or give an account this role and a new password. Raises InputError for a short password."""
    password = str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    if len(password) < _LEAST_PASSWORD:
        raise InputError("studio.password_is_too_short", password=len(password), least_password=_LEAST_PASSWORD)
    access.save_account(name, "owner", password)
    out.print(f"[green]✓[/] {name} may log in, and do everything.", markup=True)


part_studio = studio
