"""Run as a process by the tests: serves a bundle of words; the model answers when a line comes on stdin, or at once with `open`."""

from __future__ import annotations

import sys
import threading

from tests.server.conftest import WordModel

from smidgen.server.app import create_app
from smidgen.server.process import run, take_port, url_of
from smidgen.server.settings import ServeSettings


class Held(WordModel):
    """Says on stdout when it is asked, and waits for stdin."""

    def predict(self, texts):
        print("asked", flush=True)
        return super().predict(texts)


def main() -> None:
    settings = ServeSettings(port=0)
    model = Held()
    if sys.argv[1:] != ["open"]:
        model.gate.clear()
        threading.Thread(target=lambda: (sys.stdin.readline(), model.gate.set()), daemon=True).start()
    bound = take_port(settings.listen)
    url = url_of(bound)
    run(create_app([model], settings), bound, settings, lambda: print(url, flush=True))
    print("torch" in sys.modules or "transformers" in sys.modules, flush=True)


main()
