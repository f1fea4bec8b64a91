"""The auditor: it also asks the large model about a random share of the bundles' answers, after the client has its answer. Where the
request itself is the certificate's reference, it compares the answer with the request and asks nobody.

Requests are drawn before anything is known of their answers. Losses are taken in the order of the draws, not of the upstream's answers:
otherwise the quick ones would count first. An audit that waits for its turn does not keep others from being asked: otherwise one slow call
would leave out all requests drawn meanwhile.

Each draw is recorded before the large model is asked. An audit that gets no answer after several tries counts as lost, in its turn. While
too many audits are under way, or the breaker is open, none is drawn: this is known before the request, so it hides no bad answer.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import httpx

from smidgen.core.errors import RequestError
from smidgen.core.replies import NOT_COMPARABLE, Reply
from smidgen.flows.certify import certificate_status, losses
from smidgen.gateway.answer_reading import MOST_BYTES, AnswerReader
from smidgen.gateway.certificate import Certificate
from smidgen.gateway.request_body import RequestBody
from smidgen.gateway.routing_decision import segment_of
from smidgen.gateway.upstreams import PASSING_STATUSES
from smidgen.server.gateway.escalation import Unreachable
from smidgen.server.gateway.upstream import Upstream, UpstreamAnswerer, UpstreamCall
from smidgen.server.http_request import UsageRecord
from smidgen.server.ops.prometheus import ServerMetrics
from smidgen.server.ops.usage_account import AccountWriter
from smidgen.server.served_bundle import ServedBundle
from smidgen.store.traffic.records import AuditAnswer
from smidgen.store.usage_records import UsageKey, UsageTotals
from smidgen.usage import budgets as budgets

MOST_IN_FLIGHT = 8
"""Audits whose upstream is being asked."""
MOST_WAITING = 256
"""Audits that have their answer, and wait for the one drawn before them."""
LONGEST_SECONDS = 60.0
"""Nobody waits for an audit but those that were drawn after it: one that takes longer is lost."""
WAITS = (1.0, 10.0)
"""Seconds before the second try and before the third."""
_AGAINST = ("model", "request")
_EACH_SECONDS = 60.0
_DROPPED, _UNANSWERED, _WITHHELD, _STOPPED = "dropped", "unanswered", "withheld", "stopped"
_BARRED = frozenset({_DROPPED, _WITHHELD})
"""What never leaves by a rule that knows the request alone: the privacy policy, or a budget."""
_Found: TypeAlias = tuple[float, str]
_log = logging.getLogger("smidgen.audit")


class Auditor:
    """Draws and runs audits of local answers.

    Args:
        answer: asks the reference.
        reference: the upstream that it asks: the first one, because another's model is not the reference.
        metering: counts audits by their outcome.
        share: the share of the answers under a certificate against the large model that is audited, 0..1.
        seconds: the longest time of a request to an upstream; an audit takes at most `LONGEST_SECONDS`.
        chance: draws.
        account_writer: adds up the usage of audits; None without an account.
        keep: stores the large model's answer, to learn from; None where nothing is stored.
    """

    def __init__(
        self,
        answer: UpstreamAnswerer,
        reference: Upstream,
        metering: ServerMetrics,
        share: float,
        seconds: float,
        chance: random.Random | None = None,
        account_writer: AccountWriter | None = None,
        keep: Callable[[AuditAnswer], None] | None = None,
    ) -> None:
        self._answer, self._reference, self._metering, self._share = answer, reference, metering, share
        self._seconds = min(seconds, LONGEST_SECONDS)
        self._chance = chance or random.SystemRandom()
        self._account_writer, self._keep = account_writer, keep
        self._asking: set[asyncio.Task[_Found]] = set()
        self._turns: set[asyncio.Task[None]] = set()
        self._last: asyncio.Task[None] | None = None
        self._declared: set[str] = set()
        self._said = -_EACH_SECONDS
        self._owner = uuid.uuid4().hex

    def draws(self, bundle: str, paper: Certificate | None, call: UpstreamCall) -> bool:
        """Draw: whether this bundle's answer is audited, to a request that would escalate as `call`."""
        if paper is None or paper.reference.kind not in _AGAINST or self._chance.random() >= self._share:
            return False
        if len(self._asking) >= MOST_IN_FLIGHT or len(self._turns) - len(self._asking) >= MOST_WAITING or self._left_alone(paper, call):
            self._count(bundle, _DROPPED)
            return False
        return True

    def _left_alone(self, paper: Certificate, call: UpstreamCall) -> bool:
        """Whether the breaker of the upstream is open."""
        return paper.reference.kind == "model" and self._reference.breakers.seconds_left(call.requester) > 0

    def consider(
        self,
        model: ServedBundle,
        paper: Certificate | None,
        replies: Sequence[Reply],
        call: UpstreamCall,
        asked: str,
        id: str = "",
        drawn: bool = False,
    ) -> None:
        """Draw, and audit this answer if it is drawn. Returns at once.

        Args:
            model: the bundle that answered. It may have been replaced by the time that the audit has its answer.
            paper: the certificate of the answer; None without one.
            replies: the answer.
            call: the request as it would have escalated.
            asked: the text of the request.
            id: the request's id, if it is unique; else empty, and the large model's answer is not kept.
            drawn: whether it is drawn, by `draws`.
        """
        if len(replies) != 1 or paper is None or not (drawn or self.draws(model.name, paper, call)):
            return
        folder = getattr(model, "folder", None)
        if folder is None:
            return
        record = UsageRecord(budgets.today())  # of its own: the client's request is counted by now
        loop = asyncio.get_running_loop()
        alone = paper.reference.kind == "request"
        asking = loop.create_task(
            self._asked(
                folder,
                paper,
                lambda: _alone(model, replies[0], asked) if alone else self._loss(model, replies[0], call, asked, record, id),
            )
        )
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        read = call.body.json if paper.by and isinstance(call.body, RequestBody) else None
        segment = segment_of(paper.by, replies[0], read or {})
        self._last = loop.create_task(self._taken_in(model.name, folder, paper, segment, asking, record, self._last))
        self._turns.add(self._last)
        self._last.add_done_callback(self._turns.discard)

    async def close(self) -> None:
        """End the audits that are under way. They are dropped."""
        waiting = [*self._turns, *self._asking]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _asked(self, folder: Path, paper: Certificate, loss: Callable[[], Coroutine[Any, Any, _Found]]) -> _Found:
        """Compute the loss, after recording that the answer was drawn for an audit."""
        await asyncio.to_thread(certificate_status.drawn, folder, paper, self._owner)
        return await loss()

    async def _loss(self, model: ServedBundle, reply: Reply, call: UpstreamCall, asked: str, record: UsageRecord, id: str) -> _Found:
        """Ask the large model: the loss, or how the audit counts. The request is released afterwards: many may wait."""
        named: object = self._reference.model
        if not call.renamed and isinstance(call.body, RequestBody):  # taken from another model, which is asked under its own name
            named = call.body.model
            record.meant(model.name, named)
        said, without = await self._said_of(replace(call, usage=record))
        if without:
            return 0.0, without
        if said is not None and id and self._keep is not None and isinstance(named, str):
            self._keep(AuditAnswer(id, said, named))
        return 1.0 if said is None else await asyncio.to_thread(losses.disagreement, model.task, model.form, asked, reply, said), ""

    async def _taken_in(
        self,
        bundle: str,
        folder: Path,
        paper: Certificate,
        segment: str | None,
        asking: asyncio.Task[_Found],
        record: UsageRecord,
        before: asyncio.Task[None] | None,
    ) -> None:
        """Take it in when it is its turn: after the one drawn before it, however that ended."""
        try:
            await asyncio.wait({asking})
            if before is not None and not before.done():
                await asyncio.wait({before})
            loss, without = asking.result()
            if without:
                settle = self._barred if without in _BARRED else self._lost
                await asyncio.to_thread(settle, folder, paper, segment)
                self._count(bundle, without, record)
                return
            await asyncio.to_thread(self._take_in, folder, paper, loss, segment)
            self._count(bundle, "agreed" if loss == 0 else "disagreed" if loss == 1 else "graded", record)
        except asyncio.CancelledError:
            self._account(bundle, _STOPPED, record)
            raise
        except Exception as error:  # noqa: BLE001 nobody waits for it: what fails here is counted and told, or it would be lost
            self._declared.discard(paper.id)
            self._count(bundle, "failed", record)
            if time.monotonic() - self._said >= _EACH_SECONDS:
                self._said = time.monotonic()
                _log.error("an audit of %s failed, and its loss is not known: %s", bundle, type(error).__name__)

    def _barred(self, folder: Path, paper: Certificate, segment: str | None) -> None:
        certificate_status.barred(folder, paper, self._owner)

    def _lost(self, folder: Path, paper: Certificate, segment: str | None) -> None:
        self._take_in(folder, paper, None, segment)

    def _take_in(self, folder: Path, paper: Certificate, loss: float | None, segment: str | None) -> None:
        """Take a loss in. The share was chosen before any request came, so it is declared with the first loss. If another server has
        declared another share since, this loss fails, and the next one declares this server's own."""
        if paper.id not in self._declared:
            certificate_status.declare(paper, self._share, anew=True)
            self._declared.add(paper.id)
        certificate_status.take_in(folder, paper, loss, self._share, segment, self._owner)

    async def _said_of(self, call: UpstreamCall) -> tuple[str | None, str]:
        """The large model's text, or None for anything but one whole text; or how the audit counts, if nothing is known about the local
        answer. It is asked up to three times."""
        for wait in (*WAITS, None):
            said, without, again = await self._tried(call)
            if not again or wait is None:
                break
            await asyncio.sleep(wait)
        return said, without

    async def _tried(self, call: UpstreamCall) -> tuple[str | None, str, bool]:
        """One try of it, and whether another may go better."""
        plain = [(name, value) for name, value in call.headers if name.lower() != b"accept-encoding"]  # it may name one unknown here
        try:
            async with asyncio.timeout(self._seconds):
                response = (await self._answer(replace(call, headers=plain))).response
                try:
                    if response.status_code != 200:
                        return "", _UNANSWERED, response.status_code in PASSING_STATUSES
                    reading, size = AnswerReader(response.headers.get("content-type", "")), 0
                    async for piece in response.aiter_bytes():
                        reading.feed(piece)
                        size += len(piece)
                        if size > MOST_BYTES:
                            return "", _UNANSWERED, False
                    reading.end()
                    if reading.failed:
                        return "", _UNANSWERED, True
                finally:
                    await response.aclose()
        except Unreachable as error:
            without = _WITHHELD if error.withheld else _DROPPED if error.short else _UNANSWERED
            return "", without, without == _UNANSWERED
        except (RequestError, TimeoutError):
            return "", _UNANSWERED, False
        except (httpx.RequestError, httpx.StreamError):
            return "", _UNANSWERED, True
        if reading.state in NOT_COMPARABLE:
            return None, "", False
        return (reading.text, "", False) if reading.state == "whole" else ("", _UNANSWERED, True)

    def _count(self, bundle: str, outcome: str, record: UsageRecord | None = None) -> None:
        self._metering.audits.labels(bundle, outcome).inc()
        self._account(bundle, outcome, record)

    def _account(self, bundle: str, outcome: str, record: UsageRecord | None) -> None:
        """Add an audit to the account, with the upstream's usage. `record`: the audit's; None for one that was not begun."""
        if self._account_writer is None:
            return
        key, entry = UsageKey(record.day if record is not None else budgets.today(), bundle, "audit", outcome), UsageTotals(requests=1)
        if record is not None:
            entry.add(record.paid)
        self._account_writer.take(key, entry)


async def _alone(model: ServedBundle, reply: Reply, asked: str) -> _Found:
    """The loss by the request itself."""
    return await asyncio.to_thread(losses.missed_attributes, model.task, model.form, asked, reply), ""
