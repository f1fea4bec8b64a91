"""The fallback's answer to a request: passed on to the large model, and passed back."""

from __future__ import annotations

import asyncio

from starlette.types import Message, Send

from smidgen.gateway.headers import Headers, answer_headers
from smidgen.gateway.routing_decision import RequestedModel, RoutingDecision
from smidgen.server.gateway.escalation import Unreachable
from smidgen.server.gateway.response_stream import relay
from smidgen.server.gateway.upstream import FROM_CACHE, UpstreamAnswerer, UpstreamCall
from smidgen.server.http_request import HttpRequest, fresh_id, while_there
from smidgen.server.ops.prometheus import ServerMetrics

_VIA = b"x-smidgen-via"
_LONGEST_MODEL = 200
"""Characters of a model's name that tell it from others."""


class FallbackAnswerer:
    """Answers a request by the large model. A request to a bundle goes to the upstream's own model, any other goes unchanged.

    Args:
        answer: asks the large model.
        metering: counts who answered.
    """

    def __init__(self, answer: UpstreamAnswerer, metering: ServerMetrics) -> None:
        self._answer, self._metering = answer, metering
        self._name = fresh_id().encode("ascii")

    def has_seen(self, request: HttpRequest) -> bool:
        """Whether it sent this request itself: its fallback leads back here."""
        return self._name in request.header(_VIA).split(b",")

    def headers(self, request: HttpRequest) -> Headers:
        """The client's headers, with this server added to those that the request passed, so that it cannot go round for ever."""
        others = [(name, value) for name, value in request.headers if name != _VIA]
        return [*others, (_VIA, b",".join(filter(None, (request.header(_VIA), self._name))))]

    def call(self, request: HttpRequest, asked: RequestedModel | None, replaceable: bool = False) -> UpstreamCall:
        """A request as it goes upstream. `replaceable`: a bundle answers if no upstream does."""
        assert request.body is not None, "it was read"
        named = request.model
        return UpstreamCall(
            request.method,
            request.sent_path.removeprefix(b"/v1"),
            request.query,
            self.headers(request),
            request.body,
            _renamed(asked),
            replaceable,
            named[:_LONGEST_MODEL] if isinstance(named, str) else "",
            request.identity,
            request.usage,
        )

    async def __call__(
        self,
        request: HttpRequest,
        send: Send,
        asked: RequestedModel | None = None,
        decision: RoutingDecision | None = None,
        replaceable: bool = False,
    ) -> None:
        """Send the answer. Raises Unreachable where no upstream answers; RequestError, 499, where the client has gone."""
        assert request.receive is not None, "its body was read"
        await while_there(request.receive, request.body, self._pass(request, send, asked, decision, replaceable))

    async def _pass(
        self, request: HttpRequest, send: Send, asked: RequestedModel | None, decision: RoutingDecision | None, replaceable: bool
    ) -> None:
        bundle, why = (asked.bundle if asked else ""), (decision.why if decision else "passed")
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            given = await self._answer(self.call(request, asked, replaceable))
        except Unreachable as error:
            error.counted, error.marks = (bundle, "none", why), answer_headers("none", "", decision)
            raise
        by = "cache" if given.cached else "upstream"
        self._metering.routed.labels(bundle, by, why).inc()
        named = given.upstream.model if _renamed(asked) else request.model
        cost = 0.0 if given.cached else None
        said = answer_headers(by, named if isinstance(named, str) else "", decision, FROM_CACHE if given.cached else "", cost=cost)
        # The account knows the price of the upstream's own model alone.
        if given.took is not None and named == given.upstream.model and request.usage is not None:
            request.usage.avoided_tokens = given.took.given, given.took.got
        request.saved_usd = given.saved_usd

        async def timed(message: Message) -> None:
            if not given.cached:
                request.upstream_seconds = clock() - began
            await send(message)

        await relay(given.response, timed, [*said, *given.said], given.upstream.waits)


def _renamed(asked: RequestedModel | None) -> bool:
    """Whether a request goes upstream under the name of the upstream's own model, because its own name is unknown there."""
    return asked is not None and asked.named
