"""Make any text safe to show in a terminal or a log: a captured request, a label, the name of a file.

A terminal obeys control characters: it clears its screen, writes the clipboard, answers as if the user had typed. It also changes the
direction of writing, so that a name reads as another one. Shown texts lose these characters, and JSON escapes them. Files that
smidgen writes keep their texts unchanged.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from typing import Any

_TURNING = "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
"""Line separators, and the characters that change the direction of writing."""
_HALF = "\ud800-\udfff"
_CONTROLS = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_TURNING}]")
"""C0 and C1 control characters except tab and line feed, and direction characters."""
HALVES = re.compile(f"[{_HALF}]")
"""Lone surrogates: each stands for a byte that is not UTF-8, or for half of a JSON escape."""
_RAW_IN_JSON = re.compile(f"[\x7f-\x9f{_TURNING}{_HALF}]")
"""The characters that JSON does not escape by itself."""


def printable(text: str) -> str:
    """The text without control characters (except tab and line feed) and without direction characters; a lone surrogate becomes U+FFFD."""
    if text.isascii() and text.isprintable():
        return text
    return whole(_CONTROLS.sub("", text))


def whole(text: str) -> str:
    """The text with U+FFFD for each lone surrogate, so that it can be written as UTF-8."""
    return text if text.isascii() else HALVES.sub("\N{REPLACEMENT CHARACTER}", text)


def printable_json(value: Any, indent: int | None = None, default: Callable[[Any], Any] | None = None) -> str:
    """JSON of the value, with every raw control character and lone surrogate escaped. `default` is json.dumps's."""
    plain = json.dumps(value, ensure_ascii=False, indent=indent, default=default)
    return _RAW_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", plain)


class PrintableFormatter(logging.Formatter):
    """Formats log records as printable text: a client chooses the names and texts in them."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        return printable(super().format(record))
