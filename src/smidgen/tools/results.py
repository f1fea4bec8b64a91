"""The result of a call, as data: JSON-ready, bounded, and without anything that a page, a mail program or a model could obey.

Whoever can write into a database or an API's answer could write there for a customer or for a model. So values lose control and
invisible characters, markup, and links to hosts that the tool does not name.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
import re
import unicodedata
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from smidgen.core.conversations import Card, Facts
from smidgen.core.printable import printable
from smidgen.tools.definition import Tool, filled
from smidgen.tools.shown_values import in_language, shown_row

ResultStatus: TypeAlias = Literal["ok", "nothing", "refused", "failed", "unknown"]
"""How a call ended:

- `ok`: it ran;
- `nothing`: it found nothing, or the proof of ownership does not match: nobody learns which;
- `refused`: it was not run: no consent, too many failures, arguments that do not fit;
- `failed`: it could not be run, and changed nothing;
- `unknown`: it was sent, and no answer came, so it may have changed something. A person must look.
"""

MOST_ROWS = 20
MOST_BYTES = 32_000
_MOST_TEXT = 2000
_MOST_COLUMNS = 50
_DEEPEST = 4
_LONGEST_NAME = 64
_COMMENT = re.compile(r"<!--.*?(?:-->|$)|<!\[CDATA\[.*?(?:\]\]>|$)|<[!?][^>]*>?", re.DOTALL)
_HIDDEN = re.compile(r"<\s*(script|style|iframe|object|template|noscript|svg)\b.*?(?:<\s*/\s*\1\s*>|$)", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<\s*/?\s*[a-z][^<>]*>?", re.IGNORECASE)
_MARKDOWN_LINK = re.compile(r"!?\[([^\[\]]*)\]\s?(?:\(([^()]*(?:\([^()]*\)[^()]*)*)\)|\[[^\[\]]*\])")
_REFERENCE = re.compile(r"^\s{0,3}\[[^\]]+\]:\s*\S+.*$", re.MULTILINE)
_URL = re.compile(r"(?:\b[a-z][a-z0-9+.-]{1,20}:(?:/{2}|\\{2})|\bwww\.|(?<![\w:/])//(?=\w))[^\s<>\"'`\\|{}^]*", re.IGNORECASE)
_SCRIPT_URL = re.compile(r"\b(?:(?:javascript|vbscript)\s*:|data:(?=\w+/)|(?:blob|file|mailto|tel):)(?=\S)[^\s<>\"']*", re.IGNORECASE)
_INVISIBLE_TAGS = re.compile("[\U000e0000-\U000e007f\ufe00-\ufe0f\U000e0100-\U000e01ef]")


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a call.

    Attributes:
        status: how it ended.
        rows: what it found, cleaned and bounded.
        cut: whether there was more.
        reason: why it ended so, for people of the business; never shown to a customer.
        seconds: how long it took.
        size: bytes of the rows as JSON.
        code: the HTTP status of a server's refusal; empty otherwise.
    """

    status: ResultStatus
    rows: tuple[Facts, ...] = ()
    cut: bool = False
    reason: str = ""
    seconds: float = 0.0
    size: int = 0
    code: str = ""


def clean_rows(found: Iterable[Any], links: Collection[str] = (), most: int = MOST_ROWS) -> tuple[tuple[Facts, ...], bool, int]:
    """Rows as data, whether there were more than fit, and their size in bytes."""
    rows: list[Facts] = []
    size = 0
    for number, row in enumerate(found):
        if number >= most:
            return tuple(rows), True, size
        named = row if isinstance(row, Mapping) else {"value": row}
        made = _value(named, links, 0)
        length = len(json.dumps(made, ensure_ascii=False).encode("utf-8", "replace"))
        if size + length > MOST_BYTES:
            return tuple(rows), True, size
        rows.append(made)
        size += length
    return tuple(rows), False, size


def _value(value: Any, links: Collection[str], depth: int) -> Any:
    if isinstance(value, str):
        return plain_text(value, links)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= 2**53 else str(value)[:_MOST_TEXT]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, decimal.Decimal):
        return format(value, "f")[:_MOST_TEXT] if value.is_finite() else None
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(bytes(value))} bytes]"
    if depth >= _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        pairs = list(value.items())[:_MOST_COLUMNS]
        return {plain_text(str(name))[:_LONGEST_NAME]: _value(part, links, depth + 1) for name, part in pairs}
    if isinstance(value, list | tuple):
        return [_value(part, links, depth + 1) for part in value[:_MOST_COLUMNS]]
    return plain_text(str(value), links)


def plain_text(text: str, links: Collection[str] = ()) -> str:
    """A text without control and invisible characters, markup, and links to hosts other than these; at most 2,000 characters."""
    kept = visible(text[: 4 * _MOST_TEXT])
    if not kept.isascii() and _URL.search(likely := unicodedata.normalize("NFKC", kept)) and not _URL.search(kept):
        kept = likely  # a link in look-alike letters
    for _ in range(3):  # what is left after a removal may be markup again
        before = kept
        kept = _TAG.sub("", _HIDDEN.sub("", _COMMENT.sub("", kept)))
        if kept == before:
            break
    else:
        kept = kept.replace("<", "")
    kept = _REFERENCE.sub("", kept)
    kept = _MARKDOWN_LINK.sub(lambda match: match[1], kept)
    kept = _SCRIPT_URL.sub("[link]", _URL.sub(lambda match: _allowed(match[0], links), kept))
    return kept.strip() if len(kept) <= _MOST_TEXT else kept[: _MOST_TEXT - 1].strip() + "…"


def visible(text: str) -> str:
    """A text without characters that nobody sees: controls, direction marks, zero-width and tag characters."""
    text = _INVISIBLE_TAGS.sub("", printable(text.replace("\r\n", "\n")))
    if text.isascii():
        return text
    return "".join(char for char in text if unicodedata.category(char) not in ("Cf", "Co", "Cn"))


def _allowed(url: str, links: Collection[str]) -> str:
    """The link if its host may stay, else a word for it."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        return "[link]"
    plain = parts.scheme.lower() == "https" and parts.username is None and not parts.fragment
    return url if plain and any(host == one or host.endswith(f".{one}") for one in links) else "[link]"


def as_markdown(text: str) -> str:
    """A plain text so that a Markdown renderer shows exactly its characters."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~&:@])", r"\\\1", text)


def answer_text(tool: Tool, arguments: Facts, result: ToolResult, language: str = "") -> str:
    """The result in the tool's own words; empty if it has none for it. `nothing` says the same whatever was wrong."""
    if result.status == "ok" and (result.rows or tool.changes):
        return filled(
            in_language(tool.answer, language), {**arguments, **(shown_row(result.rows[0], tool.columns, language) if result.rows else {})}
        )
    if result.status in ("ok", "nothing"):
        return in_language(tool.nothing, language)
    return filled(in_language(tool.refusals.get(result.code, {}), language), arguments)


def card_of(tool: Tool, result: ToolResult, title: str = "") -> Card | None:
    """The rows as a card; None if there are none."""
    return Card(tool.card, title, result.rows) if result.status == "ok" and result.rows else None
