"""Headers: which of a request's and a reply's cross the gateway, and those that the gateway writes itself."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

from smidgen.gateway.routing_decision import RoutingDecision

Headers: TypeAlias = list[tuple[bytes, bytes]]

_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
USER_HEADER = b"x-smidgen-user"
"""Who asks, said to this server."""
_INSTEAD = frozenset(
    {
        *(b"x-http-method-override", b"x-http-method", b"x-method-override", b"x-original-method", b"x-forwarded-method"),
        *(b"x-original-url", b"x-rewrite-url", b"x-original-uri", b"x-forwarded-uri", b"x-forwarded-path", b"x-forwarded-prefix"),
        *(b"x-original-host", b"x-forwarded-host", b"x-host", b"forwarded"),
    }
)
"""By these some servers take another method, path or host than the request names."""
_NOT_UP = _INSTEAD | frozenset({b"host", b"expect", b"cookie", b"origin", b"referer", b"x-request-id", USER_HEADER})
"""Of this connection, of this host's pages, or our own."""
_NOT_DOWN = frozenset(
    {b"date", b"server", b"set-cookie", b"alt-svc", b"strict-transport-security", b"x-content-type-options", b"clear-site-data"}
)
"""Said by this server itself, or about another host. An upstream's `access-control-…` would open this server to web pages."""
_KEYS = (b"authorization", b"api-key", b"x-api-key", b"x-goog-api-key")
"""Where clients put their keys: OpenAI's, Azure's, and others'. The first, where this server looks for its own, counts before
the rest."""
_SECRETS = frozenset(_KEYS)
_HARMLESS = _SECRETS | frozenset(
    {
        *(b"accept", b"accept-encoding", b"content-type", b"content-encoding", b"content-length", b"user-agent"),
        *(b"openai-organization", b"openai-project", b"openai-beta", b"anthropic-version", b"anthropic-beta", b"api-version"),
        *(b"x-stainless-arch", b"x-stainless-async", b"x-stainless-lang", b"x-stainless-os", b"x-stainless-package-version"),
        *(b"x-stainless-read-timeout", b"x-stainless-retry-count", b"x-stainless-runtime", b"x-stainless-runtime-version"),
        *(b"x-stainless-timeout", b"x-stainless-raw-response", b"x-stainless-helper-method", b"x-smidgen-via"),
    }
)
"""What clients of the interface say of themselves and of the body: no one's name, address or number."""
_ACCOUNT = frozenset({b"openai-organization", b"openai-project"})
"""Whose account a key is of: the client's is not that of this server's key."""
_PLAIN = (_HARMLESS - _SECRETS - _ACCOUNT) | frozenset(
    {
        *(b"accept-language", b"cache-control", b"range", b"if-match", b"if-none-match", b"if-range", b"if-modified-since"),
        *(b"if-unmodified-since", b"idempotency-key", b"traceparent", b"tracestate"),
    }
)
"""Headers that are nobody's credential, and name nobody's account."""
_SECRET_FIELDS = (b"key", b"token", b"secret", b"sig", b"auth", b"cred", b"passw", b"pwd")
"""What the names of fields of a query have in them that hold a secret."""
_LONGEST = 200
_KEY = re.compile(rb"(?:[A-Za-z]{2,10} )?[A-Za-z0-9._~+/=-]{1,8192}")
_PRODUCT = re.compile(rb"[A-Za-z][A-Za-z0-9_.-]{0,40}(?:/[A-Za-z]{1,20})?[/ ][0-9][A-Za-z0-9_.+-]{0,20}")
_TYPE = rb"[a-z0-9*]{1,40}(?:/[a-z0-9.*+-]{1,80})?(?:; ?[a-z]{1,20}=[A-Za-z0-9.\"-]{1,80}){0,5}"
_TYPES = re.compile(rb"%s(?:, ?%s){0,9}" % (_TYPE, _TYPE))
_WORDS = re.compile(rb"[A-Za-z0-9_.:=+-]{1,40}(?:, ?[A-Za-z0-9_.:=+-]{1,40}){0,9}")
_VIA = b"x-smidgen-via"
_ID = re.compile(rb"[A-Za-z0-9_-]{1,64}")
_VALUES = {
    b"accept": _TYPES,
    b"accept-encoding": _TYPES,
    b"content-type": _TYPES,
    b"content-encoding": _TYPES,
    b"content-length": re.compile(rb"[0-9]{1,10}"),
    b"user-agent": _PRODUCT,
    b"openai-organization": _ID,
    b"openai-project": _ID,
    _VIA: re.compile(rb"[0-9a-f]{24}(?:,[0-9a-f]{24}){0,7}"),
}
_DAY = re.compile(rb"20[0-9]{2}-[0-9]{2}-[0-9]{2}")
_NUMBER = re.compile(rb"[0-9](?:[^A-Za-z0-9]?[0-9]){8}")
_CLIENTS = secrets.token_bytes(32)
"""Of this process: names of clients say nothing of their keys to anybody else."""


def upstream_headers(
    headers: Iterable[tuple[bytes, bytes]], key: str | None, *, own_authorization: bool, own_headers: bool = True
) -> Headers:
    """The headers that go upstream. `key` takes the place of the client's own keys, in whichever header, which go only with
    `own_authorization`, and of the account that they are of. Without `own_headers` none goes but those that surely bear no credential:
    gateways, proxies and clouds give theirs any name."""
    given = list(headers)
    dropped = _HOP | _NOT_UP | _connection_headers(given)
    if key is not None or not own_authorization:
        dropped |= _SECRETS
    if key is not None:
        dropped |= _ACCOUNT
    kept = [(name.lower(), value) for name, value in given if name.lower() not in dropped]
    if not own_headers:
        kept = [(name, value) for name, value in kept if name in _PLAIN]
    return [*kept, (b"authorization", b"Bearer " + key.encode("ascii"))] if key is not None else kept


def without_secrets(query: bytes) -> bytes:
    """A query without the fields whose names say that they hold a secret; what is left stays as it is."""
    return b"&".join(field for field in query.split(b"&") if not any(_is_secret(part) for part in field.split(b";")))


def _is_secret(field: bytes) -> bool:
    name = unquote_to_bytes(field.partition(b"=")[0]).lower()
    return any(word in name for word in _SECRET_FIELDS)


def client_key(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The key that a request bears; empty where it bears none."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        found.setdefault(name.lower(), value)
    value = next((found[name] for name in _KEYS if found.get(name)), b"")
    scheme, _, rest = value.partition(b" ")
    return rest.strip() if scheme.lower() == b"bearer" else value.strip()


def client_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """A name for the client of a request: a hash of its key, empty where it bears none."""
    key = client_key(headers)
    return hashlib.blake2b(key, digest_size=16, key=_CLIENTS).hexdigest() if key else ""


def client_keys(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Every key that a request bears, by its header, in one order."""
    return sorted((name.lower(), value.strip()) for name, value in headers if name.lower() in _SECRETS and value.strip())


def harmless_headers(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Those of a client's headers that may cross a border which lets no personal data out; any other, `x-user-name` or `x-forwarded-for`,
    may hold it, and stays. So does a known one whose value is not what such a header says. Of the client's kind only its name and version
    cross, and not what it says of the machine."""
    kept: Headers = []
    for name, value in headers:
        low = name.lower()
        product = _PRODUCT.match(value) if low == b"user-agent" else None
        said = product[0] if product is not None else value
        if low in _HARMLESS and _has_usual_form(low, said):
            kept.append((name, said))
    return kept


def _has_usual_form(name: bytes, value: bytes) -> bool:
    """Whether a value has the form of what a known header says: it is not read by the redaction model."""
    if name in _SECRETS:
        return _KEY.fullmatch(value) is not None
    is_numbered = name != _VIA and _NUMBER.search(_DAY.sub(b"", value)) is not None
    return _VALUES.get(name, _WORDS).fullmatch(value) is not None and not is_numbered


def reply_headers(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers that go back to the client; the upstream's request id by another name, for this server has its own."""
    given = list(headers)
    dropped = _HOP | _NOT_DOWN | _connection_headers(given)
    kept: Headers = []
    for name, value in given:
        low = name.lower()
        if low in dropped or low.startswith((b"access-control-", b"x-smidgen-")):
            continue
        kept.append((b"x-upstream-request-id" if low == b"x-request-id" else low, value))
    return kept


def answer_headers(
    answered_by: str,
    model: str,
    ruling: RoutingDecision | None = None,
    uncertified: str = "",
    *,
    cost: float | None = None,
    saved: float | None = None,
) -> Headers:
    """Who answered, with what score, under which certificate, or why it was not answered locally; what it cost and saved in US dollars,
    where that is known."""
    said = {"answered-by": answered_by, "model": model}
    if ruling is not None:
        said["score"] = "" if ruling.score is None else f"{ruling.score:.6f}"
        said["certificate"] = ruling.certificate if not uncertified else ""
        said["escalated"] = ruling.told
    said["uncertified"] = uncertified
    return [
        *((f"x-smidgen-{name}".encode("ascii"), header_text(value)) for name, value in said.items() if value),
        *cost_headers(cost, saved),
    ]


def cost_headers(cost: float | None = None, saved: float | None = None) -> Headers:
    """What a reply cost and saved, of which that is known."""
    return [(name, b"%.9f" % usd) for name, usd in ((b"x-smidgen-cost", cost), (b"x-smidgen-saved", saved)) if usd is not None]


def header_text(text: str) -> bytes:
    """A text as a header takes it: one line of printable ASCII, not too long."""
    shown = text[:_LONGEST].encode("ascii", "replace")
    if text.isascii() and text.isprintable():
        return shown.strip()
    return bytes(sign if 32 <= sign < 127 else 63 for sign in shown).strip()


def _connection_headers(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """The headers that `Connection` says are of this connection alone."""
    found = (value for name, value in headers if name.lower() == b"connection")
    return frozenset(word.strip().lower() for value in found for word in value.split(b",") if word.strip())
