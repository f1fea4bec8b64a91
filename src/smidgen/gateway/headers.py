"""Headers that pass through the gateway, to the upstream and back, and those that the gateway writes itself."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

from smidgen.gateway.route import RoutingDecision

Headers: TypeAlias = list[tuple[bytes, bytes]]

_HOP = frozenset(
    {
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
        *(b"te", b"trailer", b"transfer-encoding", b"upgrade"),
    }
)
USER_HEADER = b"x-smidgen-user"
"""The user who asks; read by this server only."""
_OVERRIDES = frozenset(
    {
        *(b"x-http-method-override", b"x-http-method", b"x-method-override", b"x-original-method", b"x-forwarded-method"),
        *(b"x-original-url", b"x-rewrite-url", b"x-original-uri", b"x-forwarded-uri", b"x-forwarded-path", b"x-forwarded-prefix"),
        *(b"x-original-host", b"x-forwarded-host", b"x-host", b"forwarded"),
    }
)
"""Headers that make some servers use another method, path or host than the request names."""
_NEVER_UP = _OVERRIDES | frozenset({b"host", b"expect", b"cookie", b"origin", b"referer", b"x-request-id", USER_HEADER})
"""Headers of this connection, of this host's pages, or of this server itself."""
_NEVER_DOWN = frozenset(
    {b"date", b"server", b"set-cookie", b"alt-svc", b"strict-transport-security", b"x-content-type-options", b"clear-site-data"}
)
"""Headers that this server writes itself, or that concern another host. An upstream's `access-control-…` is dropped too: it would open
this server to web pages."""
_KEYS = (b"authorization", b"api-key", b"x-api-key", b"x-goog-api-key")
"""Headers that carry clients' keys: OpenAI's, Azure's, and others'. If several are set, the first in this order counts."""
_SECRETS = frozenset(_KEYS)
_IMPERSONAL = _SECRETS | frozenset(
    {
        *(b"accept", b"accept-encoding", b"content-type", b"content-encoding", b"content-length", b"user-agent"),
        *(b"openai-organization", b"openai-project", b"openai-beta", b"anthropic-version", b"anthropic-beta", b"api-version"),
        *(b"x-stainless-arch", b"x-stainless-async", b"x-stainless-lang", b"x-stainless-os", b"x-stainless-package-version"),
        *(b"x-stainless-read-timeout", b"x-stainless-retry-count", b"x-stainless-runtime", b"x-stainless-runtime-version"),
        *(b"x-stainless-timeout", b"x-stainless-raw-response", b"x-stainless-helper-method", b"x-smidgen-via"),
    }
)
"""Headers about the client's software and the body: no person's name, address or number."""
_ACCOUNT = frozenset({b"openai-organization", b"openai-project"})
"""Headers that name the account of the client's key. This server's key has another account."""
_PLAIN = (_IMPERSONAL - _SECRETS - _ACCOUNT) | frozenset(
    {
        *(b"accept-language", b"cache-control", b"range", b"if-match", b"if-none-match", b"if-range", b"if-modified-since"),
        *(b"if-unmodified-since", b"idempotency-key", b"traceparent", b"tracestate"),
    }
)
"""Headers that hold no credential and name no account."""
_SECRET_FIELDS = (b"key", b"token", b"secret", b"sig", b"auth", b"cred", b"passw", b"pwd")
"""Words that mark a query field as a secret, anywhere in its name."""
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
"""This process's key for hashing clients' keys, so that a client's id reveals nothing of its key."""


def upstream_headers(
    headers: Iterable[tuple[bytes, bytes]], key: str | None, *, own_authorization: bool, own_headers: bool = True
) -> Headers:
    """The headers that go upstream.

    Args:
        key: replaces the client's own keys, in whichever header, and their account.
        own_authorization: whether the client's own keys go upstream if there is no `key`.
        own_headers: False passes only headers that surely hold no credential: gateways, proxies and clouds use any name for theirs.
    """
    given = list(headers)
    dropped = _HOP | _NEVER_UP | _connection_headers(given)
    if key is not None or not own_authorization:
        dropped |= _SECRETS
    if key is not None:
        dropped |= _ACCOUNT
    kept = [(name.lower(), value) for name, value in given if name.lower() not in dropped]
    if not own_headers:
        kept = [(name, value) for name, value in kept if name in _PLAIN]
    return [*kept, (b"authorization", b"Bearer " + key.encode("ascii"))] if key is not None else kept


def without_secrets(query: bytes) -> bytes:
    """A query without the fields whose names suggest a secret; every other byte is unchanged."""
    return b"&".join(field for field in query.split(b"&") if not any(_is_secret(part) for part in field.split(b";")))


def _is_secret(field: bytes) -> bool:
    name = unquote_to_bytes(field.partition(b"=")[0]).lower()
    return any(word in name for word in _SECRET_FIELDS)


def client_key(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The key of a request; empty if it has none."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        found.setdefault(name.lower(), value)
    value = next((found[name] for name in _KEYS if found.get(name)), b"")
    scheme, _, rest = value.partition(b" ")
    return rest.strip() if scheme.lower() == b"bearer" else value.strip()


def client_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """A name for a request's client: a hash of its key; empty if it has none."""
    key = client_key(headers)
    return hashlib.blake2b(key, digest_size=16, key=_CLIENTS).hexdigest() if key else ""


def client_keys(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Every key of a request with its header, sorted."""
    return sorted((name.lower(), value.strip()) for name, value in headers if name.lower() in _SECRETS and value.strip())


def impersonal_headers(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers of a client that may cross the privacy border. Any other, such as `x-user-name` or `x-forwarded-for`, may hold personal
    data and is dropped. So is a known one with a value of an unusual form. Of `user-agent` only the product and its version cross."""
    kept: Headers = []
    for name, value in headers:
        low = name.lower()
        product = _PRODUCT.match(value) if low == b"user-agent" else None
        said = product[0] if product is not None else value
        if low in _IMPERSONAL and _has_usual_form(low, said):
            kept.append((name, said))
    return kept


def _has_usual_form(name: bytes, value: bytes) -> bool:
    """Whether a known header's value has the usual form; the redaction model does not read headers."""
    if name in _SECRETS:
        return _KEY.fullmatch(value) is not None
    is_numbered = name != _VIA and _NUMBER.search(_DAY.sub(b"", value)) is not None
    return _VALUES.get(name, _WORDS).fullmatch(value) is not None and not is_numbered


def reply_headers(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """The headers that go back to the client. The upstream's request id is renamed, because this server sends its own."""
    given = list(headers)
    dropped = _HOP | _NEVER_DOWN | _connection_headers(given)
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
    error: float | None = None,
) -> Headers:
    """The `x-smidgen-…` headers of a reply: who answered; the score and the certificate, or the reason for escalation; the cost and the
    saving in US dollars, if known; the measured `error` of answers that no certificate covers."""
    said = {"answered-by": answered_by, "model": model}
    if ruling is not None:
        said["score"] = "" if ruling.score is None else f"{ruling.score:.6f}"
        said["certificate"] = ruling.certificate if not uncertified else ""
        said["escalated"] = ruling.explanation
    said["uncertified"] = uncertified
    said["measured-error"] = "" if error is None else f"{error:.4f}"
    return [
        *((f"x-smidgen-{name}".encode("ascii"), header_text(value)) for name, value in said.items() if value),
        *cost_headers(cost, saved),
    ]


def cost_headers(cost: float | None = None, saved: float | None = None) -> Headers:
    """Headers of a reply's cost and saving in US dollars, as far as each is known."""
    return [(name, b"%.9f" % usd) for name, usd in ((b"x-smidgen-cost", cost), (b"x-smidgen-saved", saved)) if usd is not None]


def header_text(text: str) -> bytes:
    """A text as a header value: one line of printable ASCII, at most 200 characters."""
    shown = text[:_LONGEST].encode("ascii", "replace")
    if text.isascii() and text.isprintable():
        return shown.strip()
    return bytes(sign if 32 <= sign < 127 else 63 for sign in shown).strip()


def _connection_headers(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """The headers that `Connection` names."""
    found = (value for name, value in headers if name.lower() == b"connection")
    return frozenset(word.strip().lower() for value in found for word in value.split(b",") if word.strip())
