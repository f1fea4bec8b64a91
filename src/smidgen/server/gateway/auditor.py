"""The auditor: ask the large model about a random share of the bundles' answers, after the client has its answer.

It is asked a canonical request: the client's text without the client's sampling and limits, which the bundle ignores, too
(`smidgen/gateway/eligibility.py`). A request that the large model refuses (any 4xx but 408 and 429) is no evidence either way. Each audit
names its client, so that one client alone revokes nothing (`stats/sequential_audit.py`).

If the request itself is the certificate's reference, nobody is asked: the answer is checked against it.

Requests are drawn before anything is known of their outcome. Losses enter the test in the order in which the requests were drawn, not in
that of the upstream's answers, which would favour quick ones. An audit that waits for its turn does not keep others from being sent;
otherwise one slow call would leave out everything drawn meanwhile.

A drawn audit is recorded before it is sent. One that stays unanswered after several tries counts as lost, in its turn. Nothing is drawn
while too many audits are under way, or while the upstream's breaker is open: both are known before the request, so they do not depend on
it.
"""

from __future__ import annotations

import asyncio
import functools
import json
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
from smidgen.flows.certify import losses
from smidgen.gateway import certificate_audit
from smidgen.gateway.answer_reading import MOST_BYTES, AnswerReader
from smidgen.gateway.certificate import Certificate
from smidgen.gateway.certificate_audit import Contradiction
from smidgen.gateway.eligibility import canonical_request, eligibility_of
from smidgen.gateway.route import segment_of
from smidgen.gateway.upstreams import PASSING_STATUSES
from smidgen.server.gateway.escalation import Unreachable
from smidgen.server.gateway.upstream import Upstream, UpstreamAnswerer, UpstreamCall
from smidgen.server.models import ServedBundle
from smidgen.server.ops.prometheus import ServerMetrics
from smidgen.server.ops.usage_account import AccountWriter
from smidgen.server.request import RequestBody, StreamedBody, UsageRecord
from smidgen.store import usage_records
from smidgen.store.traffic.records import AuditAnswer
from smidgen.store.usage_records import UsageKey, UsageTotals

MOST_IN_FLIGHT = 8
"""Most audits being asked at a time."""
MOST_WAITING = 256
"""Most answered audits that wait for an earlier one."""
LONGEST_SECONDS = 60.0
"""Longest time for an audit, after which it is lost. Only audits drawn after it wait for it."""
WAITS = (1.0, 10.0)
"""Seconds before the second and the third try."""
_AGAINST = ("model", "request")
_EACH_SECONDS = 60.0
_DROPPED, _UNANSWERED, _WITHHELD, _STOPPED, _REFUSED = "dropped", "unanswered", "withheld", "stopped", "refused"
_BARRED = frozenset({_DROPPED, _WITHHELD, _REFUSED})
"""Outcomes of audits that say nothing, by a rule that depends on the request alone: the privacy policy, a budget, or a request that the
large model refuses."""
_Found: TypeAlias = tuple[float, str, str]
"""The loss; the outcome of an audit without one, else empty; and the large model's answer."""
_log = logging.getLogger("smidgen.audit")


class Auditor:
    """Draws and runs audits of local answers.

    Args:
        answer: asks the reference.
        reference: the first upstream. The others' models are not the reference.
        metering: counts audits by outcome.
        share: share of the answers under a certificate to audit, 0..1.
        seconds: longest time for a request to an upstream; for an audit, at most `LONGEST_SECONDS`.
        chance: source of the draws.
        account_writer: records what audits use; None without an account.
        keep: receives the large model's answer, to learn from; None if nothing is stored.
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
        """Draw whether this bundle's answer is audited. `call`: the request as it would escalate."""
        if paper is None or paper.reference.kind not in _AGAINST or self._chance.random() >= self._share:
            return False
        if len(self._asking) >= MOST_IN_FLIGHT or len(self._turns) - len(self._asking) >= MOST_WAITING or self._left_alone(paper, call):
            self._count(bundle, _DROPPED)
            return False
        return True

    def _left_alone(self, paper: Certificate, call: UpstreamCall) -> bool:
        """Return True if the upstream's breaker is open after repeated failures."""
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
            model: the bundle that answered. It may be replaced before the audit ends.
            paper: the certificate that it was answered under; None if there was none.
            replies: the bundle's answer.
            call: the request as it would have escalated.
            asked: the request's text.
            id: of the request, if it is unique; empty if a client could reuse it: the answer is then not kept.
            drawn: whether `draws` has drawn it already.
        """
        if len(replies) != 1 or paper is None or not (drawn or self.draws(model.name, paper, call)):
            return
        folder = getattr(model, "folder", None)
        if folder is None:
            return
        record = UsageRecord(usage_records.today())  # a separate record: the client's request is counted already
        loop = asyncio.get_running_loop()
        grading = functools.partial(self._graded, model, paper, replies[0], call, asked, record, id)
        asking = loop.create_task(self._asked(folder, paper, grading))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        read = call.body.json if paper.by and isinstance(call.body, RequestBody) else None
        segment = segment_of(paper.by, replies[0], read or {})
        found = Contradiction(time.time(), call.requester.client if isinstance(call, UpstreamCall) else "")
        if self._keep is not None:  # only what is stored anyway is kept as evidence
            found = replace(found, request=id, asked=asked, answered=json.dumps(replies[0].output, ensure_ascii=False))
        self._last = loop.create_task(self._taken_in(model.name, folder, paper, segment, asking, record, self._last, found))
        self._turns.add(self._last)
        self._last.add_done_callback(self._turns.discard)

    def check(
        self,
        model: ServedBundle,
        paper: Certificate | None,
        replies: Sequence[Reply],
        call: UpstreamCall,
        asked: str,
        settle: Callable[[str, bool], None],
    ) -> None:
        """Ask the reference about one text because it is a large share of the traffic. Returns at once.

        It was not drawn at random, so it does not enter the test. `settle` is told whether the answer is right, if that is found out.
        """
        if len(replies) != 1 or paper is None or paper.reference.kind not in _AGAINST or len(self._asking) >= MOST_IN_FLIGHT:
            return
        if self._left_alone(paper, call):
            return
        record = UsageRecord(usage_records.today())
        checking = asyncio.get_running_loop().create_task(self._graded(model, paper, replies[0], call, asked, record, ""))
        self._asking.add(checking)

        def ended(task: asyncio.Task[_Found]) -> None:
            self._asking.discard(task)
            if task.cancelled() or task.exception() is not None:
                self._count(model.name, _STOPPED if task.cancelled() else "failed", record)
                return
            found, without, _ = task.result()
            self._count(model.name, without or "checked", record)
            if not without:
                settle(asked, found <= paper.alpha)

        checking.add_done_callback(ended)

    async def close(self) -> None:
        """Cancel running audits. They are dropped, whatever their result would be."""
        waiting = [*self._turns, *self._asking]
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _asked(self, folder: Path, paper: Certificate, loss: Callable[[], Coroutine[Any, Any, _Found]]) -> _Found:
        """Record that the audit was drawn, then get its loss."""
        await asyncio.to_thread(certificate_audit.note_drawn, folder, paper, self._owner)
        return await loss()

    async def _graded(
        self, model: ServedBundle, paper: Certificate, reply: Reply, call: UpstreamCall, asked: str, record: UsageRecord, id: str
    ) -> _Found:
        """Get the loss of an answer against the certificate's reference: the request itself, or the large model."""
        if paper.reference.kind == "request":
            return await _alone(model, reply, asked)
        return await self._loss(model, reply, call, asked, record, id)

    async def _loss(self, model: ServedBundle, reply: Reply, call: UpstreamCall, asked: str, record: UsageRecord, id: str) -> _Found:
        """Ask the large model. Returns the loss, or the outcome of an audit without one.

        The request is not kept afterwards, because many audits may wait for their turn.
        """
        named: object = self._reference.model
        if not call.renamed and isinstance(call.body, RequestBody):  # taken from another model, which is asked under its own name
            named = call.body.model
            record.meant(model.name, named)
        said, without = await self._said_of(replace(call, body=_canonical(model, call), usage=record))
        if without:
            return 0.0, without, ""
        if said is not None and id and self._keep is not None and isinstance(named, str):
            self._keep(AuditAnswer(id, said, named))
        if said is None:
            return 1.0, "", ""
        return await asyncio.to_thread(losses.disagreement, model.task, model.form, asked, reply, said), "", said

    async def _taken_in(
        self,
        bundle: str,
        folder: Path,
        paper: Certificate,
        segment: str | None,
        asking: asyncio.Task[_Found],
        record: UsageRecord,
        before: asyncio.Task[None] | None,
        found: Contradiction,
    ) -> None:
        """Add the audit to the test in its turn: after the one drawn before it, however that ended."""
        try:
            await asyncio.wait({asking})
            if before is not None and not before.done():
                await asyncio.wait({before})
            loss, without, said = asking.result()
            if without in _BARRED:
                await asyncio.to_thread(certificate_audit.note_blocked, folder, paper, self._owner)
                self._count(bundle, without, record)
                return
            found = replace(found, reference=said) if self._keep is not None else found
            await asyncio.to_thread(self._take_in, folder, paper, None if without else loss, segment, found)
            if without:
                self._count(bundle, without, record)
                return
            self._count(bundle, "agreed" if loss == 0 else "disagreed" if loss == 1 else "graded", record)
        except asyncio.CancelledError:
            self._account(bundle, _STOPPED, record)
            raise
        except Exception as error:  # noqa: BLE001 nobody awaits this task: count and log the failure, or it would be lost
            self._declared.discard(paper.id)
            self._count(bundle, "failed", record)
            if time.monotonic() - self._said >= _EACH_SECONDS:
                self._said = time.monotonic()
                _log.error("an audit of %s failed, and its loss is not known: %s", bundle, type(error).__name__)

    def _take_in(self, folder: Path, paper: Certificate, loss: float | None, segment: str | None, found: Contradiction) -> None:
        """Add a loss to the test. The share was fixed before any request came, so it can be declared with the first loss.

        If another server has since declared another share, this audit fails, and the next one declares this server's share.
        """
        if paper.id not in self._declared:
            certificate_audit.declare(paper, self._share, anew=True)
            self._declared.add(paper.id)
        certificate_audit.observe(folder, paper, loss, self._share, segment=segment, owner=self._owner, found=found)

    async def _said_of(self, call: UpstreamCall) -> tuple[str | None, str]:
        """Ask up to three times. Returns the large model's text, or the outcome of an audit without a loss.

        The text is None if the answer is not one complete text.
        """
        for wait in (*WAITS, None):
            said, without, again = await self._tried(call)
            if not again or wait is None:
                break
            await asyncio.sleep(wait)
        return said, without

    async def _tried(self, call: UpstreamCall) -> tuple[str | None, str, bool]:
        """Ask once. Also returns True if a retry may succeed."""
        plain = [(name, value) for name, value in call.headers if name.lower() != b"accept-encoding"]  # may be unknown here
        try:
            async with asyncio.timeout(self._seconds):
                response = (await self._answer(replace(call, headers=plain))).response
                try:
                    if response.status_code != 200:
                        passing = response.status_code in PASSING_STATUSES
                        return "", _REFUSED if 400 <= response.status_code < 500 and not passing else _UNANSWERED, passing
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
        """Add the audit to the account, with the upstream's usage. `record`: the audit's; None for one that did not start."""
        if self._account_writer is None:
            return
        day = record.day if record is not None else usage_records.today()
        key, entry = UsageKey(day, bundle, "audit", outcome), UsageTotals(requests=1)
        if record is not None:
            entry.add(record.paid)
        self._account_writer.take(key, entry)


async def _alone(model: ServedBundle, reply: Reply, asked: str) -> _Found:
    """Return the loss of an answer against the request itself."""
    return await asyncio.to_thread(losses.missed_attributes, model.task, model.form, asked, reply), "", ""


def _canonical(model: ServedBundle, call: UpstreamCall) -> RequestBody | StreamedBody:
    """Return the body of a call as an audit asks it."""
    read = call.body.json if isinstance(call.body, RequestBody) else None
    if read is None:
        return call.body
    asked = canonical_request(call.path, read, eligibility_of(model.task))
    return RequestBody(json.dumps(asked).encode("ascii"))
