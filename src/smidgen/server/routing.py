"""The gateway's door, the innermost: what a certificate lets a small model answer goes to the faces behind it, the rest goes upstream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smidgen.core.errors import RequestError
from smidgen.flows.vouching import Voucher, answered, stands
from smidgen.gateway import ruling as rulings
from smidgen.gateway.allowlist import Allowlist
from smidgen.gateway.cache.suitable import CACHED
from smidgen.gateway.crossing import Headers, marks
from smidgen.gateway.request_body import parsed, with_model
from smidgen.gateway.ruling import Ruling
from smidgen.gateway.standing import Standing, State
from smidgen.gateway.suited import FACES, text_of, unsuited
from smidgen.gateway.wanted import Wanted, wanted
from smidgen.server import judging, local_answer, model_list, observation, unstored
from smidgen.server import slip as slips
from smidgen.server.answers import tokens
from smidgen.server.aside import Aside
from smidgen.server.auditor import Auditor
from smidgen.server.caching import FROM_CACHE, Caching, Given
from smidgen.server.errors import refused, unrouted
from smidgen.server.escalation import Escalation, Unreachable
from smidgen.server.ids import OURS, asker, fresh
from smidgen.server.judging import Judge
from smidgen.server.last_event import text_of as text_of_stream
from smidgen.server.local_answer import GONE, LocalAnswer
from smidgen.server.measured_sizes import MeasuredSizes
from smidgen.server.metering import Metering
from smidgen.server.passing import relay
from smidgen.server.post import bind_anew
from smidgen.server.prices import Price
from smidgen.server.request_content import Flowing, content, header, while_there
from smidgen.server.saving import read_of, written_of
from smidgen.server.taking import Taking
from smidgen.server.upstream import Call
from smidgen.server.visitors import foreign

_UNDER = "/v1/"
_MODELS = "/v1/models"
_FEEDBACK = "/v1/feedback"
"""Of this server alone, with bundles or without."""
_SYSTEMONE = "/v1/systemone"
_ANY = (None, "auto")
"""What `model` may be where a bundle that fits is to be found for each typed question."""
_BY_MODEL = (*FACES, "/v1/embeddings", _SYSTEMONE)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_VIA = b"x-smidgen-via"
_LOOK_AGAIN_SECONDS = 1.0
_DIRECT = "asked directly"
_LONGEST_MODEL = 200
"""Characters of a model's name that tell it from others."""


@dataclass(frozen=True, slots=True)
class _Route:
    """What logs and counters call a path; one that is not ours has no name of its own, for a client could make up any number of them."""

    path: str = "/v1/*"


class Gateway:
    """See above. Everything that is not under `/v1/` goes through.

    Args:
        app: the faces.
        routes: theirs.
        vouchers: of each bundle, by its name.
        escalation: the upstreams.
        metering: counts who answered.
        price: of the first upstream's model; None where nobody said it.
        local_at_last: whether a bundle answers what it may not, marked so, where no upstream answers.
        origins: whose pages may call, as `--cors` has it.
        auditor: asks the upstream about some of the answers given here; None for nobody.
        quality: the least that certificates must say, whatever a request asks for; None for what it asks for.
        taking: which bundle takes a request that names none, if any; None where none is to.
        cache: gives upstreams' answers again; None where each is asked for.
        aside: says of a text whether it always escalates, for it is held out; None where none does.
        allowed: what may go upstream.
        sizes: what requests to a bundle take where the large model answers them; None where that is not measured.
    """

    def __init__(
        self,
        app: ASGIApp,
        routes: Sequence[BaseRoute],
        vouchers: Mapping[str, Voucher],
        escalation: Escalation,
        metering: Metering,
        price: Price | None,
        local_at_last: bool,
        origins: Sequence[str],
        auditor: Auditor | None = None,
        quality: float | None = None,
        taking: Taking | None = None,
        cache: Caching | None = None,
        aside: Aside | None = None,
        allowed: Allowlist | None = None,
        sizes: MeasuredSizes | None = None,
    ) -> None:
        self._app, self._routes, self._vouchers, self._escalation = app, routes, vouchers, escalation
        self._metering, self._price, self._local_at_last, self._origins = metering, price, local_at_last, origins
        self._auditor, self._quality, self._taking, self._cache = auditor, quality, taking, cache
        self._aside, self._allowed, self._sizes = aside, allowed or Allowlist(), sizes
        self._name = fresh().encode("ascii")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer it, or have it answered."""
        if scope["type"] != "http" or not scope["path"].startswith(_UNDER) or scope["method"] not in _METHODS or scope["path"] == _FEEDBACK:
            await self._app(scope, receive, send)
            return
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._through(scope, receive, noted)
        except (RequestError, HTTPException) as error:
            if begun and isinstance(error, RequestError) and error.status == GONE:
                return  # nobody listens any more
            if begun:
                raise
            if isinstance(error, Unreachable):
                self._metering.routed.labels(*error.counted).inc()
                response = error.response()
            else:
                response = refused(error) if isinstance(error, RequestError) else unrouted(scope, error)
            await response(scope, receive, send)

    async def _through(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        if foreign(scope, self._origins):
            todo = "If you trust that page, start the server with its origin: --cors ORIGIN."
            raise RequestError("a page of another web origin sent this", value="origin", todo=todo, status=403, code="origin_not_allowed")
        if any(step in (".", "..") for step in path.replace("\\", "/").split("/")):
            raise RequestError(
                "the path has dots for steps", value="the request", todo="Send it as it is meant.", status=400, code="bad_path"
            )
        face = bool(self._vouchers) and any(route.matches(scope)[0] is Match.FULL for route in self._routes)
        unstored.check(path, None)
        if path == _MODELS or not (face and self._is_ours(path, None)):
            self._allowed.check(method, _sent_path(scope))
        if self._name in header(scope, _VIA).split(b","):
            todo = "Start it with a --fallback that is another server."
            raise RequestError("this server is its own fallback", value=path, todo=todo, status=508, code="fallback_loop")
        body = await content(scope, receive, hold=face or path in _BY_MODEL)
        scope["route"] = _Route(path) if path in FACES or path == _MODELS else _Route()
        read = parsed(body) if isinstance(body, bytes) and method == "POST" else None
        unstored.check(path, read)
        asked = wanted(read.get("model"), self._vouchers) if read is not None else None
        if asked is None and read is not None and self._taking is not None:
            asked = self._taking(path, read)
        slips.meant(asked.bundle if asked is not None else "", (read or {}).get("model"))
        if self._sizes is not None and asked is not None and read is not None and isinstance(read.get("messages", []), list):
            slips.asks(tokens(read_of(read)))
        if isinstance(body, bytes) and path in FACES and asked is not None and read is not None:
            await self._decided(asked.at_least(self._quality), read, body, scope, receive, send)
        elif isinstance(body, bytes) and face and path == _MODELS:
            local = await local_answer.ask(self._app, scope, b"", receive)
            call = Call("GET", b"/models", scope["query_string"], self._headers(scope), b"")
            leaving = await self._escalation.guard.leaving(call)
            await model_list.send_all(local, self._escalation.upstreams, leaving.call.headers, leaving.call.query, send)
        elif isinstance(body, bytes) and face and path == _SYSTEMONE and (asked is not None or (read or {}).get("model") in _ANY):
            least = asked.at_least(self._quality).quality if asked is not None else self._quality
            judging.lend(scope, Judge(self._vouchers, least))
            named = with_model(body, asked.bundle) if asked is not None else body
            await self._app(scope, local_answer.replayed(named, receive), send)
        elif isinstance(body, bytes) and face and self._is_ours(path, asked):
            await self._app(scope, local_answer.replayed(body, receive), _marked(send, self._direct(method, read)))
        else:
            no_face = Ruling(why=rulings.SUITED, detail="no bundle answers at this path") if asked is not None else None
            await while_there(receive, body, self._pass(asked, no_face, read, body, scope, send))

    def _is_ours(self, path: str, asked: Wanted | None) -> bool:
        """Whether a face answers at its own path; one that is shared with the upstream does so to a bundle's name."""
        if path.startswith(f"{_MODELS}/"):
            return path.removeprefix(f"{_MODELS}/") in self._vouchers
        return path not in _BY_MODEL or (asked is not None and asked.quality is None)

    def _direct(self, method: str, read: Mapping[str, Any] | None) -> Headers:
        """What the answer of a face that was asked directly says of itself: by which bundle, and that nobody else was asked for it."""
        named = (read or {}).get("model")
        alone = next(iter(self._vouchers)) if len(self._vouchers) == 1 and named is None else ""
        bundle = named if isinstance(named, str) and named in self._vouchers else alone
        return marks("local", bundle, uncertified=_DIRECT, cost=0.0 if method == "POST" else None)

    def _headers(self, scope: Scope) -> Headers:
        """The client's headers, with this server's name among those that the request came through: a fallback that leads back here must
        not go round for ever."""
        others = [(name, value) for name, value in scope["headers"] if name != _VIA]
        return [*others, (_VIA, b",".join(filter(None, (header(scope, _VIA), self._name))))]

    async def _decided(self, asked: Wanted, read: dict[str, Any], body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """A request to a bundle: its answer where its certificate lets it, else the upstream's."""
        vouch = self._vouchers[asked.bundle]
        standing = await stands(vouch)
        ruling = rulings.before(standing, asked)
        odd = unsuited(scope["path"], read)
        if ruling.local and odd is not None:
            ruling = Ruling(why=rulings.SUITED, detail=odd)
        if ruling.local and self._aside is not None and self._aside(text_of(scope["path"], read)):
            ruling = rulings.aside(ruling)
        local: LocalAnswer | None = None
        if ruling.local:
            clock = asyncio.get_running_loop().time
            began = clock()
            local = await self._local(asked, body, scope, receive)
            if clock() - began > _LOOK_AGAIN_SECONDS:
                standing = await stands(vouch)
            if local.good:
                ruling = rulings.after(standing, asked, local.replies, read)
            else:
                ruling = Ruling(why=rulings.UNANSWERED, detail=f"HTTP {local.status}", certificate=ruling.certificate)
        if ruling.local and local is not None:
            answered(vouch, standing)
            self._metering.routed.labels(asked.bundle, "local", "").inc()
            await self._send(local, asked, ruling, read, send)
            if self._auditor is not None:
                said = text_of(scope["path"], read)
                named = asker(scope).id
                own = named if named.startswith(OURS) else ""  # a client may choose one twice
                self._auditor.consider(
                    asked.bundle, standing.certificate, local.replies, self._call(asked, body, scope, read.get("model")), said, own
                )
            return
        unaudited = ruling.why == State.UNAUDITED.value and odd is None
        call = self._call(asked, body, scope, read.get("model")) if unaudited else None
        probe = call is not None and self._draws(asked, standing, call, text_of(scope["path"], read))
        if probe:
            local = await self._local(asked, body, scope, receive)
            probe = local.good and rulings.after(replace(standing, state=State.VALID), asked, local.replies, read).local
        replaceable = self._local_at_last and odd is None and asked.named and (local is None or local.good)
        try:
            await while_there(receive, body, self._pass(asked, ruling, read, body, scope, send, replaceable))
            if probe and call is not None and local is not None and self._auditor is not None:
                # What would have been answered here is audited all the same: once an audit is answered, the certificate holds again.
                said = text_of(scope["path"], read)
                self._auditor.consider(asked.bundle, standing.certificate, local.replies, call, said, drawn=True)
        except Unreachable as error:
            if not replaceable:
                raise
            if local is None:
                bind_anew()  # the model that it held may have been replaced, and ended, while the upstream was waited for
                local = await self._local(asked, body, scope, receive)
                if not local.good:
                    raise
            self._metering.routed.labels(asked.bundle, "local", error.uncertified).inc()
            await self._send(local, asked, ruling, read, send, uncertified=error.uncertified)

    def _draws(self, asked: Wanted, standing: Standing, call: Call, said: str) -> bool:
        """Whether an answer that is not given here, for no audit has come for too long, is audited all the same."""
        if self._auditor is None or (self._aside is not None and self._aside(said)):
            return False
        return self._auditor.draws(asked.bundle, standing.certificate, call)

    async def _local(self, asked: Wanted, body: bytes, scope: Scope, receive: Receive) -> LocalAnswer:
        clock = asyncio.get_running_loop().time
        began, seen = clock(), observation.of(scope)
        local = await local_answer.ask(self._app, scope, with_model(body, asked.bundle), receive)
        seen.replies, seen.local_seconds = local.replies, clock() - began
        if local.status == GONE:
            raise RequestError("the client has gone", value="a request", todo="Nothing is sent.", status=GONE, code="client_gone")
        return local

    async def _send(
        self, local: LocalAnswer, asked: Wanted, ruling: Ruling, read: Mapping[str, Any], send: Send, uncertified: str = ""
    ) -> None:
        """The small model's answer, with who it is from."""
        found = json.loads(local.body) if local.is_json else None
        asks, price = read_of(read), self._price
        says = written_of(found) if found is not None else text_of_stream(local.body) if price is not None else None
        measured = self._sizes.of(asked.bundle, tokens(asks)) if self._sizes is not None else None
        if measured is not None:
            slips.instead(measured[0], measured[1])
        else:
            slips.instead(tokens(asks), tokens(says) if says is not None else None)
        facts: dict[str, Any] = {"answered_by": "local", "certificate": None if uncertified else ruling.certificate}
        if uncertified:
            facts |= {"uncertified": uncertified, "escalated": ruling.why}
        else:
            facts["cost"] = {"usd": 0.0}  # no upstream was asked
        if price is not None and measured is not None:
            facts["saved"] = price.measured(*measured)
        elif price is not None and says is not None:
            facts["saved"] = price.saved(asks, says)
        cost, saved = (facts.get(name, {}).get("usd") for name in ("cost", "saved"))
        await local.within(facts, found).send(send, marks("local", asked.bundle, ruling, uncertified, cost=cost, saved=saved))

    def _call(self, asked: Wanted | None, body: bytes | Flowing, scope: Scope, named: object = None, replaceable: bool = False) -> Call:
        """A request as it goes upstream. `named` is the model that it names; `replaceable`: a bundle answers where no upstream does."""
        return Call(
            scope["method"],
            _sent_path(scope).removeprefix(b"/v1"),
            scope["query_string"],
            self._headers(scope),
            body,
            _renamed(asked),
            replaceable,
            named[:_LONGEST_MODEL] if isinstance(named, str) else "",
        )

    async def _pass(
        self,
        asked: Wanted | None,
        ruling: Ruling | None,
        read: Mapping[str, Any] | None,
        body: bytes | Flowing,
        scope: Scope,
        send: Send,
        replaceable: bool = False,
    ) -> None:
        """The upstream's answer: to a request to a bundle by the upstream's own model, to any other as it is."""
        call = self._call(asked, body, scope, (read or {}).get("model"), replaceable)
        bundle, why = (asked.bundle if asked else ""), (ruling.why if ruling else "passed")
        clock = asyncio.get_running_loop().time
        began, seen = clock(), observation.of(scope)
        try:
            given = await self._given(call, scope)
        except Unreachable as error:
            error.counted, error.marks = (bundle, "none", why), marks("none", "", ruling)
            raise
        by = "cache" if given.cached else "upstream"
        self._metering.routed.labels(bundle, by, why).inc()
        named = given.upstream.model if _renamed(asked) else (read or {}).get("model")
        cost = 0.0 if given.cached else None
        said = marks(by, named if isinstance(named, str) else "", ruling, FROM_CACHE if given.cached else "", cost=cost)
        if given.took is not None and named == given.upstream.model:  # the account knows the price of that model alone
            slips.instead(given.took.given, given.took.got)
        seen.saved_usd = given.saved_usd

        async def timed(message: Message) -> None:
            if not given.cached:
                seen.upstream_seconds = clock() - began
            await send(message)

        await relay(given.response, timed, [*said, *given.said], given.upstream.waits)

    async def _given(self, call: Call, scope: Scope) -> Given:
        """The upstream's answer, or one that it gave before. Raises Unreachable."""
        if self._cache is not None and scope["method"] == "POST" and scope["path"] in CACHED:
            return await self._cache.ask(call, asker(scope))
        return Given(*await self._escalation.ask(call))


def _sent_path(scope: Scope) -> bytes:
    """The path as the client sent it, without the query."""
    return bytes(scope["raw_path"].partition(b"?")[0])


def _renamed(asked: Wanted | None) -> bool:
    """Whether a request goes upstream under the name of the upstream's own model: the name that it has is no model's there."""
    return asked is not None and asked.named


def _marked(send: Send, said: Headers) -> Send:
    """A send that adds these headers."""

    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *said]}
        await send(message)

    return marked
