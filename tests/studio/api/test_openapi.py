"""The description that the page's types are made from is that of the server."""

from __future__ import annotations

from tools import studio_api


def test_the_description_is_current() -> None:
    assert studio_api.FILE.read_text(encoding="utf-8") == studio_api.described(), "run `python -m tools.studio_api`, then `npm run types`"
