"""A request as the cache knows it: keyed hashes of all that decides its answer, with its scope among it; and the text that it is about."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from smidgen.gateway.cache.rules import TRANSPORT, Scope
from smidgen.gateway.eligibility import COMPLETIONS
from smidgen.gateway.headers import upstream_headers

_LIKE = frozenset(
    (
        *(b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"pragma", b"content-type", b"content-length"),
        *(b"user-agent", b"cookie", b"idempotency-key", b"traceparent", b"tracestate", b"baggage", b"priority", b"dnt"),
        *(b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest", b"x-amzn-trace-id", b"x-cloud-trace-context", b"x-smidgen-via"),
        *(b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-proto", b"x-real-ip"),
        *(b"cdn-loop", b"cf-connecting-ip", b"cf-ipcountry", b"cf-ray", b"cf-visitor", b"true-client-ip"),
    )
)
"""Headers that go upstream and say nothing of what is asked, but of how it came, besides those that a client writes of itself
(`x-stainless-…`). Who asks, the scope has: an address is nobody's name."""
_ITSELF = b"x-stainless-"


@dataclass(frozen=True, slots=True)
class CacheKey:
    """The key of a cached answer.

    Attributes:
        key: of the whole request; two requests have one key only where the same body, but for how it is sent, goes to the same model
            under the same scope.
        template: of all of it but the text; None where it is about no single one.
        text: what the user said last, or the prompt; empty where there is no template.
    """

    key: bytes
    template: bytes | None
    text: str


class CacheKeys:
    """Makes questions. The key of the hashes is this process's own: whoever sees one cannot try what it may stand for."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def question(
        self,
        scope: Scope,
        path: str,
        query: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        body: Mapping[str, Any],
        model: str,
    ) -> CacheKey:
        """The question of a request.

        Args:
            scope: whose it is.
            path: of one of the two faces; `query` behind it.
            headers: of the client. Those that could change the answer count.
            body: as it leaves: what was masked is masked in it.
            model: what the upstream is asked for.
        """
        asked = {name: value for name, value in body.items() if name not in TRANSPORT} | {"model": model}
        around = [scope, path, query.decode("latin-1"), _telling(headers)]
        key = self._hash(["whole", *around, asked])
        found = _parted(path, asked)
        if found is None:
            return CacheKey(key, None, "")
        template, text = found
        return CacheKey(key, self._hash(["template", *around, template]), text)

    def _hash(self, value: list[Any]) -> bytes:
        written = json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")
        return hashlib.blake2b(written, digest_size=32, key=self._secret).digest()


def _telling(headers: Iterable[tuple[bytes, bytes]]) -> list[list[str]]:
    """The headers that go upstream and could change an answer: an organisation, a version, and any that is not known."""
    sent = upstream_headers(headers, None, own_authorization=False)
    return sorted(
        [name.decode("latin-1"), value.decode("latin-1")] for name, value in sent if name not in _LIKE and not name.startswith(_ITSELF)
    )


def _parted(path: str, asked: Mapping[str, Any]) -> tuple[dict[str, Any], str] | None:
    """A request without its last text, and that text; None where there is not one."""
    if path == COMPLETIONS:
        return {name: value for name, value in asked.items() if name != "prompt"}, str(asked["prompt"])
    *before, last = asked["messages"]
    content = last.get("content")
    if last.get("role") != "user" or not isinstance(content, str):
        return None
    said = {name: value for name, value in last.items() if name != "content"}
    return {**{name: value for name, value in asked.items() if name != "messages"}, "messages": [before, said]}, content
