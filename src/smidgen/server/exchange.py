"""What is stored of a request: its bytes, read as the store has them."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from smidgen.core.errors import RequestError
from smidgen.core.replies import Reply
from smidgen.gateway.answer_text import Said, decoded, said
from smidgen.gateway.request_body import parsed
from smidgen.gateway.suited import CHAT, unsuited
from smidgen.gateway.wanted import wanted
from smidgen.server import saving
from smidgen.server.answers import tokens
from smidgen.server.collecting import MOST_ANSWERED, Taken
from smidgen.server.saving import ListPrice
from smidgen.server.served import Served
from smidgen.store.traffic.shapes import MOST_TEXT, Exchange

_SYSTEM = ("system", "developer")
_PRICES = 256
_NAME = re.compile(r"[\w./:@+-]{1,200}", re.ASCII)
_ODD = re.compile(r"[\w '/]{1,80}", re.ASCII)
_listed = functools.lru_cache(_PRICES)(saving.listed)


def exchange(taken: Taken, models: Mapping[str, Served], saved_at: ListPrice | None) -> Exchange | None:
    """What is stored of it; None where its body is no request. `saved_at` is the price that local answers are compared to."""
    body = parsed(b"".join(taken.asked))
    if body is None:
        return None
    asked = _asked(body.get("model"), models)
    odd = _odd(unsuited(taken.path, body))
    input = _input(taken.path, body) if not odd else None
    by = _by(taken)
    # Without a gateway a request need not name the only bundle; with one, that which names none goes upstream.
    served = next(iter(models.values())) if by == "local" and not asked and len(models) == 1 else models.get(asked)
    answer = _answer(taken) if by == "upstream" else Said()
    read, written = saving.read_of(body), _content(served, taken.replies) if by == "local" else answer.text or ""
    tokens_in = answer.tokens_in if answer.tokens_in is not None else tokens(read)
    tokens_out = answer.tokens_out if answer.tokens_out is not None else tokens(written)
    model = _name(taken.header(b"x-smidgen-model")) if by == "upstream" else ""
    price = _listed(model) if model and taken.status == 200 else None
    texts = [input, answer.text if not odd else None]
    kept = [text if text is None or len(text) <= MOST_TEXT else None for text in texts]
    reply = taken.replies[0] if len(taken.replies) == 1 and not odd else None
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
        bundle_id=served.id if served is not None else "",
        local_output=_output(reply),
        local_score=None if reply is None or "unscored" in reply.facts else float(reply.score),
        certificate=taken.header(b"x-smidgen-certificate"),
        model=model,
        answer=kept[1],
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        tokens_estimated=answer.tokens_in is None or answer.tokens_out is None,
        cost_usd=(tokens_in * price.input + tokens_out * price.output) / 1e6 if price is not None else None,
        saved_usd=saved_at.saved(read, written)["usd"] if saved_at is not None and by == "local" else None,
        local_ms=_ms(taken.local_seconds if by != "local" or taken.local_seconds is not None else taken.seconds),
        upstream_ms=_ms(taken.upstream_seconds),
        user=_user(body) or taken.user,
        system=_system(body),
        template=_template(taken.path, body),
        key=taken.key,
        truncated=taken.cut or kept != texts,
    )


def _asked(name: object, models: Mapping[str, Served]) -> str:
    """The bundle that a request names, without a quality behind it; else the name as it stands there."""
    try:
        found = wanted(name, models)
    except RequestError:
        found = None
    return found.bundle if found is not None else _name(name)


def _name(value: object) -> str:
    """A model's name as a client wrote it; empty where it is none: it could be any text, and is not read for personal data."""
    return value if isinstance(value, str) and _NAME.fullmatch(value) else ""


def _odd(what: str | None) -> str:
    """Why a request does not suit. A field may have any text for its name: only a plain one is kept."""
    return "" if what is None else what if _ODD.fullmatch(what) else "a field"


def _by(taken: Taken) -> Literal["local", "upstream", "none"]:
    marked = taken.header(b"x-smidgen-answered-by")
    if marked == "upstream":
        return "upstream"
    return "local" if taken.status == 200 and taken.replies and marked in ("", "local") else "none"


def _answer(taken: Taken) -> Said:
    """What the upstream said. An answer that was not sent to its end, or was refused, says nothing."""
    if not taken.complete or taken.cut or taken.status != 200:
        return Said()
    body = decoded(b"".join(taken.answered), taken.header(b"content-encoding"), MOST_ANSWERED)
    return said(taken.header(b"content-type"), body) if body is not None else Said()


def _input(path: str, body: Mapping[str, Any]) -> str | None:
    """The text as the small model reads it, of a request that suits it."""
    if path != CHAT:
        prompt = body.get("prompt")
        return prompt if isinstance(prompt, str) else None
    content = body["messages"][-1].get("content")
    return content if isinstance(content, str) else "\n".join(piece["text"] for piece in content if piece["text"])


def _content(served: Served | None, replies: tuple[Reply, ...]) -> str:
    """What a local answer says, as a message has it."""
    return "".join(served.task.content(reply) for reply in replies) if served is not None else ""


def _output(reply: Reply | None) -> str | None:
    return None if reply is None else json.dumps(reply.output, ensure_ascii=False, default=str)


def _user(body: Mapping[str, Any]) -> str | None:
    """Who asks, by OpenAI's field, or by the one that takes its place."""
    for name in ("user", "safety_identifier"):
        value = body.get(name)
        if isinstance(value, str) and value.strip():
            return value
    return None


def _system(body: Mapping[str, Any]) -> str:
    """The words to the system, as they stand there."""
    messages = body.get("messages")
    given = messages if isinstance(messages, list) else []
    found = [one.get("content") for one in given if isinstance(one, Mapping) and one.get("role") in _SYSTEM]
    return json.dumps(found, ensure_ascii=False) if found else ""


def _template(path: str, body: Mapping[str, Any]) -> str:
    """What requests of one kind have in common: the face, the words to the system, the tools, the form of the answer."""
    same = {name: body.get(name) for name in ("tools", "functions", "response_format")}
    return json.dumps([path, _system(body), same], ensure_ascii=False, sort_keys=True)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
