"""Read a captured request from its bytes, in the form that the store has.

Clients choose names of models and fields freely, and the redaction model does not read them. So only names that cannot be personal are
stored.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from smidgen.core.errors import RequestError
from smidgen.core.replies import Reply
from smidgen.gateway.answer_reading import ReadAnswer, decompressed, read_answer
from smidgen.gateway.eligibility import RESPONSES, SYSTEM_ROLES, system_messages, text_of, why_ineligible
from smidgen.gateway.route import requested_model
from smidgen.privacy.identifiers import identifier_spans
from smidgen.server.gateway.prices import UpstreamPrice, UpstreamPrices, texts_to_read
from smidgen.server.models import BundleIdentity
from smidgen.server.reply_json import token_count
from smidgen.server.request import json_object
from smidgen.server.traffic.captured_request import MOST_ANSWERED, CapturedRequest
from smidgen.store.traffic.records import MOST_TEXT, AnsweredBy, Exchange
from smidgen.text.prompt_patterns import prompt_kind

_MODEL = re.compile(r"[\w./:@+-]{1,200}", re.ASCII)
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
_OF_FIELDS = re.compile(r"(the field|the message's field) (.*)", re.DOTALL)
_DATE = re.compile(r"(?<!\d)20[2-9]\d-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])(?!\d)")
"""The date of a model's version: `2025-04-14`, `20250414`."""
_NUMBER = re.compile(r"\d(?:[^A-Za-z\d]*\d){6,}")
"""Seven or more digits, with any separators: possibly a personal number."""


def model_name(value: object) -> str:
    """Return a model's name as a client wrote it; empty if it is not a name, or could be a personal address or number."""
    return value if isinstance(value, str) and _MODEL.fullmatch(value) and _nobodys(value) else ""


def oddity(what: str | None) -> str:
    """Return why a request is not eligible, as `why_ineligible` says it. Of field names, only harmless ones are kept."""
    named = _OF_FIELDS.fullmatch(what or "")
    if named is None:
        return what or ""
    return named[0] if _FIELD.fullmatch(named[2]) and _nobodys(named[2]) else "a field"


def _nobodys(name: str) -> bool:
    return next(identifier_spans(name), None) is None and _NUMBER.search(_DATE.sub("-", name)) is None


_MOST_CHOICES, _LONGEST_CHOICE, _DEEPEST_SCHEMA = 10_000, 200, 64


def read_exchange(taken: CapturedRequest, saved_at: UpstreamPrice | None, prices: UpstreamPrices) -> Exchange | None:
    """Return the exchange to store; None if the body is not a request.

    `saved_at`: the price for the savings of local answers. `prices`: of upstreams' models.
    """
    models = taken.models
    body = json_object(taken.asked)
    if body is None:
        return None
    asked = _asked(body.get("model"), models)
    odd = oddity(why_ineligible(taken.path, body))
    input = text_of(taken.path, body) if not odd else None
    by = _answered_by(taken)
    # Without a gateway, a request need not name the only bundle. With one, a request that names none goes upstream.
    served = next(iter(models.values())) if by == "local" and not asked and len(models) == 1 else models.get(asked)
    # A line may take a request that names another model.
    taker = served if served is not None or by != "local" else models.get(taken.header(b"x-smidgen-model"))
    answer = _answer(taken) if by == "upstream" else ReadAnswer()
    read, written = texts_to_read(body), _content(taker, taken.replies) if by == "local" else answer.text or ""
    tokens_in = answer.tokens_in if answer.tokens_in is not None else token_count(read)
    tokens_out = answer.tokens_out if answer.tokens_out is not None else token_count(written)
    model = model_name(taken.header(b"x-smidgen-model")) if by in ("upstream", "cache") else ""
    price = prices.of(model) if by == "upstream" and model and taken.status == 200 else None
    texts = [input, answer.text if not odd else None]
    kept = [text if text is None or len(text) <= MOST_TEXT else None for text in texts]
    users = _users(taken, body)
    reply = taken.replies[0] if len(taken.replies) == 1 and not odd else None
    template = template_of(taken.path, body)
    return Exchange(
        id=taken.id,
        time=datetime.fromtimestamp(taken.time, UTC),
        asked=served.name if served is not None else asked,
        path=taken.path,
        input=kept[0],
        answered_by=by,
        why=taken.header(b"x-smidgen-escalated").partition(" (")[0],
        odd=odd,
        status=taken.status,
        bundle_id=taker.id if taker is not None else "",
        local_output=_output(reply),
        local_score=None if reply is None or "unscored" in reply.facts else float(reply.score),
        certificate=taken.header(b"x-smidgen-certificate"),
        model=model,
        answer=kept[1],
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        tokens_estimated=answer.tokens_in is None or answer.tokens_out is None,
        cost_usd=(tokens_in * price.given + tokens_out * price.got) / 1e6 if price is not None else None,
        saved_usd=_saved(taken, saved_at, read, written) if by == "local" else taken.saved_usd,
        local_ms=_ms(taken.local_seconds if by != "local" or taken.local_seconds is not None else taken.seconds),
        upstream_ms=_ms(taken.upstream_seconds),
        user=users[0] if users else None,
        also=tuple(users[1:]),
        system=_system(taken.path, body),
        template=template,
        kind=prompt_kind(template) if not odd else "",
        key=taken.key,
        truncated=taken.cut or kept != texts,
        choices=choices_of(taken.path, body) if not odd else (),
        answer_state="long" if answer.state == "whole" and texts[1] is not None and kept[1] is None else answer.state,
    )


def _asked(name: object, models: Mapping[str, BundleIdentity]) -> str:
    """Return the bundle that a request names, without its quality suffix; else the name as written."""
    try:
        found = requested_model(name, models)
    except RequestError:
        found = None
    return found.bundle if found is not None else model_name(name)


def _saved(taken: CapturedRequest, price: UpstreamPrice | None, read: str, written: str) -> float | None:
    """Return the savings of a local answer: from the reply's header, else from its texts."""
    told = taken.header(b"x-smidgen-saved")
    with contextlib.suppress(ValueError):
        return float(told)
    return float(price.saved(read, written)["usd"]) if price is not None else None


def _answered_by(taken: CapturedRequest) -> AnsweredBy:
    marked = taken.header(b"x-smidgen-answered-by")
    if marked == "cache":  # not an upstream answer to this request: neither a pair nor a measurement
        return "cache"
    if marked == "upstream":
        return "upstream"
    return "local" if taken.status == 200 and taken.replies and marked in ("", "local") else "none"


def _answer(taken: CapturedRequest) -> ReadAnswer:
    """Return the upstream's answer. An incomplete one, or a failure, has no text."""
    if taken.status != 200:
        return ReadAnswer()
    if not taken.complete:
        return ReadAnswer(state="broken")
    if taken.cut:
        return ReadAnswer(state="long")
    body = decompressed(b"".join(taken.answered), taken.header(b"content-encoding"), MOST_ANSWERED)
    return read_answer(taken.header(b"content-type"), body) if body is not None else ReadAnswer(state="broken")


def _content(served: BundleIdentity | None, replies: tuple[Reply, ...]) -> str:
    """Return a local answer as the content of a message."""
    return "".join(served.task.content(reply) for reply in replies) if served is not None else ""


def _output(reply: Reply | None) -> str | None:
    return None if reply is None else json.dumps(reply.output, ensure_ascii=False, default=str)


def _users(taken: CapturedRequest, body: Mapping[str, Any]) -> list[str]:
    """Return the ids of the user that the client gives: OpenAI's `user` field, its successor, and this server's header."""
    given = [body.get("user"), body.get("safety_identifier"), taken.user]
    names = [value.strip() for value in given if isinstance(value, str)]
    return list(dict.fromkeys(name for name in names if name))


def _system(path: str, body: Mapping[str, Any]) -> str:
    """Return the system prompt, as written."""
    messages = body.get("messages")
    given = messages if isinstance(messages, list) else []
    found = [one.get("content") for one in given if isinstance(one, Mapping) and one.get("role") in SYSTEM_ROLES]
    if path == RESPONSES:
        found = system_messages(body, SYSTEM_ROLES)
    return json.dumps(found, ensure_ascii=False) if found else ""


def template_of(path: str, body: Mapping[str, Any]) -> str:
    """Return the part that requests of one kind share exactly: path, system prompt, tools and answer format.

    It is JSON: the path, the system prompt as JSON, the rest.
    """
    same = {name: body.get(name) for name in (("tools", "text") if path == RESPONSES else ("tools", "functions", "response_format"))}
    return json.dumps([path, _system(path, body), same], ensure_ascii=False, sort_keys=True)


def choices_of(path: str, body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the values and field names in the schema of a request's answer; at most 10,000."""
    form = body.get("text") if path == RESPONSES else body.get("response_format")
    found: dict[str, None] = {}
    left: list[tuple[Any, int]] = [(form, 0)]
    while left and len(found) < _MOST_CHOICES:
        value, depth = left.pop()
        if isinstance(value, Mapping) and depth < _DEEPEST_SCHEMA:
            given, fields = value.get("enum"), value.get("properties")
            texts = [*(given if isinstance(given, list) else ()), value.get("const"), *(fields if isinstance(fields, Mapping) else ())]
            found.update((text, None) for text in texts if isinstance(text, str) and 0 < len(text) <= _LONGEST_CHOICE)
            left += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, list) and depth < _DEEPEST_SCHEMA:
            left += [(inner, depth + 1) for inner in value]
    return tuple(found)[:_MOST_CHOICES]


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
