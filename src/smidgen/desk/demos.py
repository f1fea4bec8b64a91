"""`smidgen demo --desk`: the sample shop's site with its support desk."""

from __future__ import annotations

import os
import webbrowser
from contextlib import ExitStack, closing
from pathlib import Path

from smidgen.cli.screen import Screen, print_json, print_line
from smidgen.desk.demo_shop import demo_shop
from smidgen.desk.flows.live_desk import live_desk
from smidgen.desk.routes.sample_site import sample_site
from smidgen.desk.routes.served_desk import ServedDesk
from smidgen.desk.routes.widget_settings import WidgetSettings
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.flows.build.pipeline import build
from smidgen.flows.local_model import load
from smidgen.flows.sample_recipes import sample_recipe
from smidgen.parts import recipe
from smidgen.server.app import create_app
from smidgen.server.process import run, take_port, url_of
from smidgen.server.settings import ListenSettings, ServeSettings
from smidgen.store.calls import CallStore

_PORT = 8090


def open_desk_demo(folder: Path, port: int | None, no_open: bool, threads: int | None, as_json: bool) -> None:
    """Build the sample shop's desk, and open its site with the desk on it. Its shop system and its orders are a copy in the folder."""

    sample, folder = sample_recipe("desk"), folder.resolve()
    for name, content in {"desk.toml": sample.text.encode("utf-8"), **sample.every_file()}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    with ExitStack() as stack:
        shop = stack.enter_context(demo_shop(folder))
        os.environ.update(shop.environment)
        with Screen(quiet=as_json) as screen:
            build(recipe.read(folder / "desk.toml"), folder / "model", threads=threads, progress=screen)
        listen = ListenSettings(port=port if port is not None else _PORT)
        bound = stack.enter_context(take_port(listen))
        model = load(folder / "model", threads)
        stack.callback(model.close)
        store = stack.enter_context(ConversationStore(f"sqlite:///{folder / 'conversations.db'}"))
        calls = stack.enter_context(closing(CallStore(folder / "calls.db")))
        shown = ServedDesk(live_desk(model, calls), store, WidgetSettings(name="Fern & Hearth", colour="#2f5d46"))
        app = create_app([model], ServeSettings(listen=listen), shown=[shown])
        app.mount("/shop", sample_site("/desk/widget.js", model.name))
        link = f"{url_of(bound)}/shop/index.html"

        def ready() -> None:
            if as_json:
                print_json({"url": link, "pid": os.getpid()}, indent=None)
            else:
                print_line(f"The shop's site: {link}")
                print_line("Ask it something, such as: how much is delivery to Ireland? where is my order?   Ctrl-C ends.")
            if not no_open:
                webbrowser.open(link)

        run(app, bound, 1.0, ready)


part_desk = open_desk_demo
