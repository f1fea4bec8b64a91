"""Check a `tokenizer.json` before use: that it cannot make a text grow without bound or run for ever.

A tokenizer file is a small program: it replaces, splits by regular expressions, and adds tokens. One from elsewhere can turn a page
into gigabytes, or take hours over it. These checks bound the growth of a text and refuse expressions that can take exponential time.
Tokenizers of published models pass.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Iterator
from typing import Any

MOST_BYTES = 64 * 1024 * 1024
"""A larger tokenizer is refused unread. The largest published ones have some 35 MB."""

_MOST_TOKENS = 2_000_000
_MOST_GROWTH = 64
"""The most that all replacements together may lengthen a text, as a factor."""
_LONGEST_ADDED = 64  # most characters put before a text
_LONGEST_MAPPED = 256  # most bytes that one character may become; the longest of Unicode's has 33
_LONGEST_PATTERN = 4096
_MOST_AROUND = 64  # most special tokens around a text
_LONGEST_WORD = 1000  # most characters of a word that WordPiece looks up; BERT's limit is 100
_MOST_STEPS = 200


def tokenizer_fault(told: Any) -> str:
    """Why a tokenizer, parsed from JSON, must not be used, a clause; empty if nothing is wrong."""
    if not isinstance(told, dict) or not isinstance(told.get("model"), dict):
        return "it has no model"
    model = told["model"]
    vocabulary = model.get("vocab")
    if not isinstance(vocabulary, dict | list) or len(vocabulary) > _MOST_TOKENS:
        return f"its vocabulary is missing, or has over {_MOST_TOKENS:,} tokens"
    longest = model.get("max_input_chars_per_word", 0)
    if isinstance(longest, bool) or not isinstance(longest, int) or not 0 <= longest <= _LONGEST_WORD:
        return f"it looks up words of {longest!r} characters; {_LONGEST_WORD} are the most"
    try:
        growth = 1
        for step in _steps(told):
            growth *= _growth(step)
            if growth > _MOST_GROWTH:
                return f"its replacements make a text more than {_MOST_GROWTH} times as long"
    except ValueError as error:
        return str(error)
    return ""


def _steps(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Normalizers, pre-tokenizers and post-processors, including those in sequences."""
    pending: list[Any] = [told.get(part) for part in ("normalizer", "pre_tokenizer", "post_processor")]
    seen = 0
    while pending:
        step = pending.pop()
        if step is None:
            continue
        seen += 1
        if seen > _MOST_STEPS:
            raise ValueError(f"it has more than {_MOST_STEPS} steps")
        if not isinstance(step, dict):
            raise ValueError("one of its steps is not an object")
        yield step
        for name in ("normalizers", "pretokenizers", "processors"):
            inner = step.get(name, [])
            if not isinstance(inner, list):
                raise ValueError(f"{name} is not a list")
            pending += inner


def _growth(step: dict[str, Any]) -> int:
    """The factor by which a step may lengthen a text. Raises ValueError for a forbidden step."""
    kind = step.get("type")
    pattern = step.get("pattern")
    if isinstance(pattern, dict) and isinstance(pattern.get("Regex"), str):
        _check_pattern(pattern["Regex"])
    if kind == "Replace":
        content = step.get("content")
        return max(1, len(content.encode("utf-8", "surrogatepass"))) if isinstance(content, str) else 1
    if kind in ("Prepend", "Metaspace"):
        added = step.get("prepend") or step.get("replacement") or ""
        if not isinstance(added, str) or len(added) > _LONGEST_ADDED:
            raise ValueError(f"it puts more than {_LONGEST_ADDED} characters before a text")
    if kind == "Precompiled":
        _check_map(step.get("precompiled_charsmap"))
    if kind == "TemplateProcessing" and _around(step) > _MOST_AROUND:
        raise ValueError(f"it puts more than {_MOST_AROUND} tokens around a text")
    return 1


def _around(step: dict[str, Any]) -> int:
    """The number of tokens that a template puts around a text or a pair."""
    special = step.get("special_tokens") or {}
    ids = {name: len(token.get("ids") or ()) for name, token in special.items() if isinstance(token, dict)}
    most = 0
    for template in (step.get("single") or (), step.get("pair") or ()):
        pieces = [piece for piece in template if isinstance(piece, dict)]
        sequences = sum("Sequence" in piece for piece in pieces)
        if sequences > 2:
            raise ValueError("its template repeats the text")
        most = max(most, sum(ids.get(str((piece.get("SpecialToken") or {}).get("id")), 1) for piece in pieces))
    return most


def _check_pattern(pattern: str) -> None:
    """Refuse an expression that repeats a group: its time can double with each character. No published tokenizer has one; `(?:...)?` is not
    a repetition."""
    if len(pattern) > _LONGEST_PATTERN:
        raise ValueError(f"an expression has more than {_LONGEST_PATTERN} characters")
    bracket, place = 0, 0
    while place < len(pattern):
        letter = pattern[place]
        if letter == "\\":
            place += 2
            continue
        if letter == "[":
            bracket += 1
        elif letter == "]" and bracket:
            bracket -= 1
        elif letter == ")" and not bracket and pattern[place + 1 : place + 2] in ("*", "+", "{"):
            raise ValueError(f"an expression repeats a group, which can take hours: {pattern[:80]!r}")
        place += 1


def _check_map(coded: Any) -> None:
    """Refuse a table of characters that turns one into a long text. It is a trie, then the texts, each ended by a zero."""
    if coded is None:
        return
    try:
        content = base64.b64decode(coded if isinstance(coded, str) else bytes(coded), validate=True)
        (size,) = struct.unpack_from("<I", content)
    except (binascii.Error, struct.error, TypeError, ValueError):
        raise ValueError("its table of characters cannot be read") from None
    if size > len(content) - 4:
        raise ValueError("its table of characters is cut off")
    if max(map(len, content[4 + size :].split(b"\0"))) > _LONGEST_MAPPED:
        raise ValueError(f"its table turns a character into more than {_LONGEST_MAPPED} bytes")
