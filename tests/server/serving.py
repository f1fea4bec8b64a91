"""A server of words in a process of its own; the model answers when it is let, or at once where it is `open`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event

from tests import commands
from tests.server.conftest import WordModel

from smidgen.server.app import create_app
from smidgen.server.process import run, take_port, url_of
from smidgen.server.settings import ServeSettings


class Held(WordModel):
    """Says on stdout when it is asked, and waits to be let."""

    def predict(self, texts):
        print("asked", flush=True)
        return super().predict(texts)


class ServingProcess:
    """It at work: its URL, and `let`, which is set when the model may answer."""

    def __init__(self, process: commands.Running, let: Event) -> None:
        self.process, self.let, self.url = process, let, process.line()


@contextmanager
def serving(open: bool = False) -> Iterator[ServingProcess]:
    """Serve until the block ends."""
    let = commands.FORKED.Event()
    if open:
        let.set()
    with commands.forked(_serve, let) as process:
        yield ServingProcess(process, let)


def _serve(let: Event) -> None:
    settings = ServeSettings(port=0)
    model = Held()
    if not let.is_set():
        model.gate.clear()
        threading.Thread(target=lambda: (let.wait(), model.gate.set()), daemon=True).start()
    bound = take_port(settings.listen)
    url = url_of(bound)
    run(create_app([model], settings), bound, settings.limits.drain_seconds, lambda: print(url, flush=True))
    print("torch" in sys.modules or "transformers" in sys.modules, flush=True)
