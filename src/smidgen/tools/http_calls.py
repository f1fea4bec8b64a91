"""HTTP calls: a request made from a template, whose host no argument can change.

Arguments stand in the path, the query and the body. Each is encoded for its place; the finished address must have the scheme, host, port
and number of path segments of its template.
"""

from __future__ import annotations

import json
import string
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import httpx

from smidgen.core.conversations import Facts
from smidgen.core.errors import InputError, SmidgenError
from smidgen.machine.addresses import on_this_machine
from smidgen.tools.definition import HttpTarget, slots
from smidgen.tools.environment import VARIABLE, expanded, masked, secrets_in

MOST_BYTES = 256_000
MOST_SECONDS = 10.0
_CONNECT_SECONDS = 3.0
_MOST_REDIRECTS = 3
_LONGEST_URL = 8000
_REDIRECTS = (301, 302, 303, 307, 308)
_UNREACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.LocalProtocolError)
"""Failures before a request was sent."""


_LOOK = "Look at the server whether the call was carried out."


class OutcomeUnknown(SmidgenError):
    """A request that changes something was sent, and no answer came that could be read."""


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A request, ready to send. `secrets`: values that must not be shown."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None
    secrets: tuple[str, ...] = ()

    def shown(self) -> dict[str, Any]:
        """The request as people may see it: secrets masked, and of header lines only those without."""
        hidden = list(self.secrets)
        body = masked(self.body.decode("utf-8"), hidden) if self.body is not None else None
        return {
            "method": self.method,
            "url": masked(self.url, hidden),
            "headers": {name: masked(line, hidden) for name, line in self.headers.items()},
            "body": body,
        }


def prepared_request(target: HttpTarget, values: Facts, environment: Mapping[str, str], key: str = "") -> PreparedRequest:
    """The request of a call. `key`: equal at every attempt of one confirmed call, so that a server can drop a repeat.

    Raises InputError if a variable is not set, or an argument would change the address.
    """
    texts = [target.url, *target.headers.values(), *_texts(target.body)]
    secrets = [one for one in secrets_in(texts, environment) if not _is_address(one)]
    url = _address(target.url, values, environment)
    headers = {name: expanded(line, environment) for name, line in target.headers.items()}
    headers |= {"Accept": "application/json"}
    body = None
    if target.body is not None:
        body = json.dumps(_body(target.body, values, environment), ensure_ascii=False).encode("utf-8")
        headers["Content-Type"] = "application/json"
    if key:
        headers["Idempotency-Key"] = key
    forms = {form for one in secrets for form in (one, quote(one, safe=""), json.dumps(one, ensure_ascii=False)[1:-1])}
    return PreparedRequest(target.method, url, headers, body, tuple(sorted(forms, key=len, reverse=True)))


def _address(template: str, values: Facts, environment: Mapping[str, str]) -> str:
    """The template's address with each argument in its place."""
    base, rest = _base(template, environment)
    path, mark, query = rest.partition("?")
    pairs = [pair for pair in query.split("&") if _given(pair, values)] if query else []
    asked = "&".join(_encoded(pair, values, environment, in_path=False) for pair in pairs)
    made = base + _encoded(path, values, environment, in_path=True) + (mark + asked if asked else "")
    example = dict.fromkeys(slots(VARIABLE.sub("", path)), "x")
    _check_kept(base + _encoded(path, example, environment, in_path=True), made)
    if len(made) > _LONGEST_URL:
        raise InputError("tools.address_of_call_is_too_long", made=len(made))
    return made


def _given(pair: str, values: Facts) -> bool:
    """Whether a pair of the query is sent: one whose arguments were all left out is not."""
    names = list(slots(VARIABLE.sub("", pair)))
    return not names or any(values.get(name) is not None for name in names)


def _base(template: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """Scheme, host and port of a template, and the rest of it. It must be https, or http on this machine."""
    if lead := VARIABLE.match(template):
        base, rest = expanded(lead[0], environment).rstrip("/"), template[lead.end() :]
    else:
        begin = template.find("://") + 3
        end = min((place for mark in "/?#{$" if (place := template.find(mark, begin)) >= 0), default=len(template))
        base, rest = template[:end], template[end:]
    parts = _split(base)
    if not parts.hostname or parts.query or parts.fragment or set(base) & set("@{}\\ "):
        raise InputError("tools.address_of_tool_has_no_host", value="…")
    if parts.scheme != "https" and not (parts.scheme == "http" and on_this_machine(parts.hostname)):
        raise InputError("tools.tool_address_must_be_https", value=parts.scheme)
    if rest[:1] not in ("", "/", "?"):
        raise InputError("tools.argument_may_not_stand_in_host", value="…")
    return base, rest


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise InputError("tools.address_of_tool_cannot_be_read", value="…") from None
    return parts


def _encoded(template: str, values: Facts, environment: Mapping[str, str], in_path: bool) -> str:
    pieces: list[str] = []
    for part in _parted(template):
        if VARIABLE.fullmatch(part):
            pieces.append(quote(expanded(part, environment), safe=""))
            continue
        for text, name, _, _ in string.Formatter().parse(part):
            pieces.append(text)
            if name is not None:
                value = _as_text(values.get(name))
                # a slash or a dot segment would lead to another place at a server that decodes it
                if in_path and (value.strip() in ("", ".", "..") or set(value) & set("/\\")):
                    raise InputError("tools.argument_cannot_be_part_of_address", value=name)
                pieces.append(quote(value, safe=""))
    return "".join(pieces)


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _check_kept(plain: str, made: str) -> None:
    """Raise InputError if the made address leads to another place than its template."""
    one, two = _split(plain), _split(made)
    kept = (one.scheme, one.hostname, one.port, one.path.count("/")) == (two.scheme, two.hostname, two.port, two.path.count("/"))
    if not kept or two.username is not None or two.fragment:
        raise InputError("tools.argument_would_change_address_of_call", value=two.hostname or "…")


def _body(template: Any, values: Facts, environment: Mapping[str, str]) -> Any:
    """The body with each argument in its place. A member whose only text is an argument that was not given is left out."""
    if isinstance(template, str):
        names = list(slots(VARIABLE.sub("", template)))
        if len(names) == 1 and template == f"{{{names[0]}}}":
            return values.get(names[0])
        pieces = []
        for part in _parted(template):
            pieces.append(expanded(part, environment) if VARIABLE.fullmatch(part) else _filled(part, values))
        return "".join(pieces)
    if isinstance(template, Mapping):
        made = {name: _body(part, values, environment) for name, part in template.items()}
        return {name: part for name, part in made.items() if part is not None}
    if isinstance(template, list):
        return [_body(part, values, environment) for part in template]
    return template


def _parted(template: str) -> list[str]:
    """A template cut at its variables, so that no value is read as a template."""
    pieces, start = [], 0
    for match in VARIABLE.finditer(template):
        pieces += [template[start : match.start()], match[0]]
        start = match.end()
    return [*pieces, template[start:]]


def _filled(template: str, values: Facts) -> str:
    return "".join(
        text + (_as_text(values.get(name)) if name is not None else "") for text, name, _, _ in string.Formatter().parse(template)
    )


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list) else []
    return [text for part in parts for text in _texts(part)]


def _is_address(value: str) -> bool:
    """Whether a variable's value is a plain address, which may be shown."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.username is None and not parts.query


def send(request: PreparedRequest, changes: bool, transport: httpx.BaseTransport | None = None) -> tuple[int, Any]:
    """Send a request; returns the status and the JSON of the answer (None for an empty one).

    Raises InputError if it failed and changed nothing, OutcomeUnknown if it may have changed something.
    """
    timeout = httpx.Timeout(MOST_SECONDS, connect=_CONNECT_SECONDS)
    end = time.monotonic() + MOST_SECONDS
    with httpx.Client(timeout=timeout, follow_redirects=False, trust_env=False, transport=transport) as client:
        url, method, body = request.url, request.method, request.body
        for _ in range(_MOST_REDIRECTS + 1):
            try:
                status, headers, data = _exchanged(client, method, url, request.headers, body, end)
            except _UNREACHED as error:
                raise InputError("tools.server_cannot_be_reached", value=_host(url), name=type(error).__name__) from None
            except httpx.HTTPError as error:
                if changes:
                    raise OutcomeUnknown("tools.no_answer_came", value=_host(url), name=type(error).__name__) from None
                raise InputError("tools.server_gave_no_answer", value=_host(url), name=type(error).__name__) from None
            if status not in _REDIRECTS:
                return status, _json(status, data, changes)
            url = _redirected(url, headers.get("location", ""), changes)
    raise InputError("tools.server_redirects_without_end", value=_host(url))


def _exchanged(
    client: httpx.Client, method: str, url: str, headers: Mapping[str, str], body: bytes | None, end: float
) -> tuple[int, Mapping[str, str], bytes]:
    """One request and its answer, at most 256 kB of it. Raises httpx.ReadError for a longer or a slower one."""
    with client.stream(method, url, headers=dict(headers), content=body) as response:
        data = bytearray()
        for chunk in response.iter_bytes():
            data += chunk
            if len(data) > MOST_BYTES:
                raise httpx.ReadError(f"the answer is longer than {MOST_BYTES} bytes")
            if time.monotonic() > end:
                raise httpx.ReadTimeout("the answer takes too long")
        return response.status_code, response.headers, bytes(data)


def _redirected(url: str, location: str, changes: bool) -> str:
    """The address that a redirect leads to: the host of before, and only for what changes nothing."""
    to = urljoin(url, location)
    one, two = _split(url), _split(to)
    if (one.scheme, one.hostname, one.port) != (two.scheme, two.hostname, two.port) or two.username is not None:
        raise InputError("tools.server_redirects_to_another_host", value=two.hostname or "…")
    if changes:
        raise OutcomeUnknown("tools.server_answered_with_redirect", value=two.hostname or "…")
    return to


def _json(status: int, data: bytes, changes: bool) -> Any:
    if not data.strip():
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        if changes and 200 <= status < 300:
            return None  # it was done; only its words cannot be read
        if 200 <= status < 300:
            raise InputError("tools.server_answer_is_not_json", http_status=status) from None
        return None


def _host(url: str) -> str:
    return _split(url).hostname or "…"


def rows_at(answer: Any, path: str) -> list[Any]:
    """The rows in an answer: at the end of a path of names, a list or one thing."""
    for name in path.split(".") if path else ():
        answer = answer.get(name) if isinstance(answer, Mapping) else None
    if answer is None:
        return []
    return answer if isinstance(answer, list) else [answer]
