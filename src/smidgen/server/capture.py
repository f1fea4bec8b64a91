"""The door that lets traffic be stored, where the owner asked for it: it only looks, and what it sees goes to the recorder."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from smidgen.gateway.suited import FACES
from smidgen.server.collecting import Collector
from smidgen.server.post import at_hand
from smidgen.server.recorder import Recorder
from smidgen.server.served import Served
from smidgen.server.witness import witnessed


class Capture:
    """Around the gateway's door: it sees requests to chat, completions and responses as clients send them, and answers as they get them.

    Args:
        app: the doors behind it.
        recorder: stores what it sees.
        models: the bundles by their names, as they are at each moment. What is stored names those that the request had, which are not those
            of the moment when it is stored.
    """

    def __init__(self, app: ASGIApp, recorder: Recorder, models: Mapping[str, Served]) -> None:
        self._app, self._recorder, self._models = app, recorder, models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it through, and hand it on when it is done, however it ended."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in FACES:
            await self._app(scope, receive, send)
            return
        collector = Collector(scope, self._recorder.room)
        handed = False
        with witnessed() as replies:

            def hand_on() -> None:
                nonlocal handed
                if not handed:
                    handed = True
                    self._recorder.offer(collector.done(tuple(replies), at_hand(self._models)))

            try:
                await self._app(scope, collector.receiving(receive), collector.sending(send, hand_on))
            finally:
                hand_on()
