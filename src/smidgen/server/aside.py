"""Held-out texts set aside: they always go to the large model, so that the rows which compare and certify are like all of the traffic."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from smidgen.core.errors import InputError
from smidgen.server.settings import ServeSettings
from smidgen.store.traffic.shapes import MOST_TEXT

if TYPE_CHECKING:
    from smidgen.server.service import Service

Aside = Callable[[str], bool]
"""Whether a text is set aside."""


def check(settings: ServeSettings) -> None:
    """Raise InputError where held-out texts are to be set aside and none are held out."""
    if not settings.held_out_aside:
        return
    if settings.capture == "off" or not settings.fallback:
        missing = "--fallback URL" if not settings.fallback else "--capture answers"
        raise InputError(
            "held-out texts are set aside for what is captured of them, and nothing is",
            value="--held-out-aside",
            todo=f"Add {missing}, or leave it out.",
        )
    if settings.capture_held_out == 0:
        raise InputError(
            "held-out texts are to be set aside, and no text is held out",
            value="--capture-held-out 0",
            todo="Give a share over 0, such as 0.08, or leave --held-out-aside out.",
        )


def aside_of(service: Service) -> Aside | None:
    """What says so at a server; None where nothing is set aside. The side is drawn by the text as it came, as the recorder has it stored.
    Raises as `check` does."""
    check(service.settings)
    recorder = service.recorder
    if not service.settings.held_out_aside or recorder is None:
        return None
    return lambda text: len(text) <= MOST_TEXT and recorder.holds_out(text)
