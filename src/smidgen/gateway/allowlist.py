"""The allow-list of requests that may go upstream, by method and path.

Many clients may share one key of the operator's. With it they could read each other's files, delete models and make new keys. So only
paths that compute an answer and touch no stored objects go upstream, and those that the operator adds with `--pass`.

A path is compared as it was sent, byte for byte. A path that two servers might read differently matches nothing: one with a double slash,
a `.` or `..` step, an encoded slash, a semicolon, other capitals, or a slash at the end.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from smidgen.core.errors import InputError, RequestError, shown

_POSTS = ("chat/completions", "completions", "responses", "embeddings", "moderations", "systemone")
OPEN = (*(f"POST /v1/{path}" for path in _POSTS), "GET /v1/models", "GET /v1/models/*")
"""Requests that go upstream by default."""

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ROOT = "/v1/"
_PATTERN = re.compile(r"/v1(?:/[A-Za-z0-9._~:@$+,=*-]+)+/?")
_PATH = re.compile(r"/v1(?:/[A-Za-z0-9._~:@$+,=-]+)+")
_MODEL = re.compile(rb"/v1/models/[A-Za-z0-9@][A-Za-z0-9._:@~-]{0,255}(?:(?:/|%2[Ff])[A-Za-z0-9@][A-Za-z0-9._:@~-]{0,255}){0,3}")
"""A model's name may contain slashes: `meta-llama/Llama-3`."""
_READ_DIFFERENTLY = frozenset('/\\%;?#"<>')
"""Decoded characters that some servers read as the end of a step or of the path."""
_LONGEST = 2_000
_SHOWN = 120


class Allowlist:
    """The paths open by default, and those that patterns add.

    Args:
        patterns: `PATH` or `METHOD PATH`. In a path `*` is any text within one step; `**`, as the last step, is one step or more. GET
            includes HEAD. A pattern without a method allows every method.

    Raises:
        InputError: a pattern has another form.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._open = frozenset((method, path.encode()) for method, _, path in (entry.partition(" ") for entry in OPEN))
        self._added = [_rule(pattern) for pattern in patterns]

    def passes(self, method: str, path: bytes) -> bool:
        """Whether a request may go upstream. `path` is as the client sent it, without the query."""
        method = "GET" if method == "HEAD" else method
        if (method, path) in self._open or (method == "GET" and _MODEL.fullmatch(path)):
            return True
        named = any(only in ("", method) and form.fullmatch(path) for only, form in self._added)
        return named and _is_plain(path)

    def check(self, method: str, path: bytes) -> None:
        """Raise RequestError, 403, for a request that may not go upstream."""
        if self.passes(method, path):
            return
        plain = path.decode("latin-1")
        can_be_added = _PATH.fullmatch(plain) is not None
        raise RequestError(
            "gateway.this_path_is_not_passed_on" if can_be_added else "gateway.this_path_is_not_plain",
            value=shown(f"{method} {plain}", _SHOWN).strip("'"),
            pattern=shown(_pattern_for(method, plain), _SHOWN) if can_be_added else None,
            open=", ".join(OPEN),
            status=403,
            code="path_not_allowed",
        )


def describe_open_paths(patterns: Sequence[str], shared_key: bool) -> str:
    """The paths that go upstream, in one line, printed when the server starts."""
    key = " under this server's key" if shared_key else ""
    line = f"goes upstream{key}: {', '.join(OPEN)}"
    if not patterns:
        return f"{line}; any other path gets 403 (--pass)"
    warned = "; each client can reach what others have stored there" if shared_key else ""
    return f"{line}; by --pass {', '.join(patterns)}{warned}"


def _rule(pattern: str) -> tuple[str, re.Pattern[bytes]]:
    words = pattern.split()
    method, path = (words[0].upper(), words[1]) if len(words) == 2 else ("", pattern)
    steps = path.removeprefix(_ROOT).removesuffix("/").split("/")
    many = steps[-1] == "**"
    named = steps[:-1] if many else steps
    if method not in ("", *_METHODS) or not _PATTERN.fullmatch(path) or any("**" in step or set(step) == {"."} for step in named):
        raise InputError("gateway.this_is_not_path_pattern", value=pattern)
    form = "/".join([*(_form(step) for step in named), *(["[^/]+(?:/[^/]+)*"] if many else [])])
    return method, re.compile(f"{_ROOT}{form}{'/' if path.endswith('/') else ''}".encode("ascii"))


def _form(step: str) -> str:
    """One step of a pattern as a regular expression."""
    return "[^/]+" if step == "*" else "[^/]*".join(re.escape(part) for part in step.split("*"))


def _is_plain(path: bytes) -> bool:
    """Whether every server reads a path the same way."""
    if len(path) > _LONGEST:
        return False
    for step in path.removesuffix(b"/").split(b"/")[1:]:
        try:
            text = unicodedata.normalize("NFKC", unquote_to_bytes(step).decode("utf-8"))
        except UnicodeDecodeError:
            return False
        if not text.strip(". ") or not text.isprintable() or _READ_DIFFERENTLY.intersection(text):
            return False
    return True


def _pattern_for(method: str, path: str) -> str:
    """A pattern for this request and others like it: its first step, and any text in each later step."""
    first, *rest = path.removeprefix(_ROOT).split("/")
    return f"{'GET' if method == 'HEAD' else method} {_ROOT}{'/'.join([first, *('*' for _ in rest)])}"
