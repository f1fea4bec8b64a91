"""A desk's tools at work: dry runs, calls that only read, and calls that wait for the customer's yes.

Nothing that changes anything runs without a yes: `propose` stores the call and returns it with an unguessable id, `decide` takes it once
and runs it as it was stored. Every call is logged.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx

from smidgen.core.conversations import Facts, ProposedCall
from smidgen.core.errors import InputError, SmidgenError, UnknownPart
from smidgen.store.calls import CallStore, LoggedCall, LookupLimit, WaitingCall
from smidgen.tools.arguments import CheckedArguments, check_arguments
from smidgen.tools.definition import HttpTarget, McpTarget, SqlTarget, Target, Tool, slots, to_json
from smidgen.tools.environment import masked, secrets_in
from smidgen.tools.http_calls import OutcomeUnknown, prepared_request, rows_at, send
from smidgen.tools.mcp_servers import call_tool
from smidgen.tools.mcp_sessions import McpSessions
from smidgen.tools.results import MOST_ROWS, ToolResult, clean_rows
from smidgen.tools.sql_calls import named_parameters, run_query, shown_database, shown_statement

WAITING_SECONDS = 15 * 60.0
"""How long a proposed call waits for a yes."""

MOST_FAILURES = 5
"""Failed look-ups in 15 minutes of a conversation, of a customer's address, and of an origin that asks for one thing (an order). After
them, look-ups are refused."""

MOST_FAILURES_OF_ORIGIN = 30
"""Failed look-ups of one origin in 15 minutes, whatever is asked for. Many may share it."""

MOST_FAILURES_FOR_ONE = 15
"""Failed look-ups of one thing in 15 minutes, whoever asks."""

FAILURE_SECONDS = 15 * 60.0
_LEAST_SECONDS = 0.03
"""A look-up that finds nothing takes at least this long, so that its time does not say why."""
_SHOWN_CODES = 500
UNCALLED = "it is not known how this tool is called"
_MASK = "•••"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool, as a model asks for it. Its arguments are not yet checked."""

    tool: str
    arguments: Facts


@dataclass(frozen=True, slots=True)
class ToolUser:
    """For whom a call is made.

    Attributes:
        conversation: the conversation's id.
        channel: the channel's name.
        address: the customer's address in the channel; empty if unknown.
        origin: the network address that the message came from, if the channel knows it.
    """

    conversation: str
    channel: str = ""
    address: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class DryRun:
    """The exact call that would be made, for people of the business. Secrets are masked.

    Attributes:
        words: the call in words, as a customer would see it.
        kind: `sql`, `http` or `mcp`; `none` if it is not known how the tool is called.
        call: a query with its values and its database; a request with method, url, headers and body; an MCP tool with its arguments.
        missing: arguments that must still be given.
        mistakes: why given arguments do not fit, by name.
        waits: whether it would wait for the customer's yes.
        fault: why the call cannot be made; empty if it can.
    """

    words: str
    kind: str
    call: Facts
    missing: tuple[str, ...]
    mistakes: Mapping[str, str]
    waits: bool
    fault: str = ""


@dataclass(frozen=True, slots=True)
class DecidedCall:
    """The result of a customer's yes or no. `tool` is None if no such call waits."""

    tool: Tool | None
    arguments: Facts
    result: ToolResult


class Toolbox:
    """Tools, their store, and where secrets are read. Safe for several threads.

    Args:
        tools: the tools, with their targets.
        store: of calls.
        environment: where `${NAME}` is looked up; the process's own by default.
        transport: of HTTP, for tests.
        now: the time.
    """

    def __init__(
        self,
        tools: Sequence[Tool],
        store: CallStore,
        environment: Mapping[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.tools = tuple(tools)
        self._by_name = {tool.name: tool for tool in self.tools}
        if len(self._by_name) != len(self.tools):
            doubled = sorted({tool.name for tool in tools if sum(other.name == tool.name for other in tools) > 1})
            raise InputError("tools.two_tools_have_one_name", value=", ".join(doubled))
        self._store, self._transport, self._now = store, transport, now
        self._environment = os.environ if environment is None else environment
        self._sessions = McpSessions()

    def close(self) -> None:
        """Close the kept connections to MCP servers."""
        self._sessions.close()

    def tool(self, name: str) -> Tool:
        """The tool with a name. Raises UnknownPart if there is none."""
        if name not in self._by_name:
            raise UnknownPart("tool", name, self._by_name)
        return self._by_name[name]

    def check(self, call: ToolCall) -> CheckedArguments:
        """The arguments of a call, cleaned and held to the tool's schema."""
        return check_arguments(self.tool(call.tool), call.arguments)

    def dry_run(self, call: ToolCall, language: str = "") -> DryRun:
        """Show the exact call, and make none."""
        tool = self.tool(call.tool)
        checked = check_arguments(tool, call.arguments)
        words = tool.wording(checked.values, language)
        kind, shown, fault = "none", dict[str, Any](), ""
        try:
            kind, shown = _shown_call(tool.target, checked.values, self._environment)
            if tool.guard is not None:
                guard = tool.guard
                shown["guard"] = guard.tool if isinstance(guard, McpTarget) else shown_statement(guard.sql, checked.values)
        except SmidgenError as error:
            fault = str(error)
        return DryRun(words, kind, shown, checked.missing, dict(checked.mistakes), tool.waits, fault)

    def run(self, call: ToolCall, who: ToolUser) -> ToolResult:
        """Run a call that may run at once; every other one is refused."""
        tool = self.tool(call.tool)
        checked = check_arguments(tool, call.arguments)
        if tool.waits:
            result = ToolResult("refused", reason="it waits for the customer's yes")
        elif not checked.valid:
            result = ToolResult("refused", reason=_unfit(checked))
        else:
            result = self._looked_up(tool, checked.values, who)
        self._log(tool, checked.values, who, "not needed", result)
        return result

    def propose(self, call: ToolCall, who: ToolUser, language: str = "") -> ProposedCall | ToolResult:
        """Store a call that waits for the customer's yes. Returns the result instead if it must not even be proposed."""
        tool = self.tool(call.tool)
        checked = check_arguments(tool, call.arguments)
        refusal = None if checked.valid else ToolResult("refused", reason=_unfit(checked))
        if tool.target is None:  # nor is its guard known
            refusal = ToolResult("failed", reason=UNCALLED)
        told: Facts = {}
        if refusal is None and tool.guard is not None:
            found = self._guarded(tool, checked.values, who)
            refusal = None if found.status == "ok" else found
            told = _told(tool, found)
        if refusal is not None:
            self._log(tool, checked.values, who, "not asked", refusal)
            return refusal
        words = tool.wording(checked.values, language, told)
        waiting = WaitingCall(tool.name, f"{_fingerprint(tool)}:{_fingerprint_of_told(tool, told)}", checked.values, words)
        made = self._store.propose(who.conversation, waiting, WAITING_SECONDS, self._now())
        return ProposedCall(made, tool.name, checked.values, words)

    def decide(self, proposed: str, who: ToolUser, yes: bool, of: str = "") -> DecidedCall:
        """Run the waiting call of this conversation with this id, or drop it. It is used once, whatever comes of it.

        `of`: the tool that it must be a call of.
        """
        state, waiting = self._store.take(who.conversation, proposed, self._now())
        if waiting is None:
            return DecidedCall(None, {}, ToolResult("refused", reason="it has expired" if state == "expired" else "no such call waits"))
        tool = self._by_name.get(waiting.tool)
        if tool is None:
            return DecidedCall(None, {}, ToolResult("refused", reason="the desk has this tool no more"))
        if of and tool.name != of:
            return DecidedCall(None, {}, ToolResult("refused", reason="the yes was for a call of another tool"))
        if not yes:
            result = ToolResult("refused", reason="the customer said no")
        elif _fingerprint(tool) != waiting.fingerprint.partition(":")[0]:
            result = ToolResult("refused", reason="the tool was changed after the call was proposed")
        else:
            result = self._confirmed(tool, waiting, who, hashlib.sha256(proposed.encode()).hexdigest()[:32])
        self._log(tool, waiting.arguments, who, "yes" if yes else "no", result)
        return DecidedCall(tool, waiting.arguments, result)

    def _confirmed(self, tool: Tool, waiting: WaitingCall, who: ToolUser, key: str) -> ToolResult:
        """Make a call that the customer confirmed, if its guard still tells what the words of the call said of it."""
        values = waiting.arguments
        if tool.guard is not None:
            found = self._guarded(tool, values, who)
            if found.status != "ok":
                return found
            if _fingerprint_of_told(tool, _told(tool, found)) != waiting.fingerprint.partition(":")[2]:
                return ToolResult("failed", reason="the call would now do something else than was confirmed")
            return self._made(tool, values, key)
        return self._looked_up(tool, values, who) if tool.owner else self._made(tool, values, key)

    def _guarded(self, tool: Tool, values: Facts, who: ToolUser) -> ToolResult:
        """Whether the guard finds a row: `ok`, or the result to return instead."""
        guard = replace(tool, target=tool.guard, guard=None, changes=False)
        return self._looked_up(guard, values, who)

    def _looked_up(self, tool: Tool, values: Facts, who: ToolUser) -> ToolResult:
        """Run a tool that reads. If it has an owner, failures are counted, and nothing found takes as long as a wrong proof."""
        if not tool.owner:
            return self._made(tool, values, "")
        begun = time.monotonic()
        made = self._store.begin_lookup(self._limits(tool, values, who), self._now())
        if made is None:
            return ToolResult("refused", reason="too many failed look-ups", seconds=time.monotonic() - begun)
        result = self._made(tool, values, "")
        found = result.status == "ok" and bool(result.rows)
        self._store.end_lookup(made, found or result.status == "failed")
        if not found and result.status == "ok":
            result = replace(result, status="nothing")
        if result.status == "nothing":
            time.sleep(max(0.0, _LEAST_SECONDS - (time.monotonic() - begun)))
        return result

    def _limits(self, tool: Tool, values: Facts, who: ToolUser) -> list[LookupLimit]:
        """The counts of a look-up: who asks, where from and for what, and these together.

        Of an origin that many share, and of a thing that a stranger guesses at, those who have guessed nothing yet have one look-up left,
        so that nobody can lock out the others. Without a customer's address anybody could be new, and there is none left.
        """
        thing = json.dumps([str(values.get(tool.owner[0], "")).casefold()])

        def limit(kind: str, value: str, most: int, unless: tuple[str, ...] = ()) -> LookupLimit:
            return LookupLimit(self._store.pseudonym(kind, value), most, FAILURE_SECONDS, unless)

        mine: tuple[str, ...] = (self._store.pseudonym("address", who.address),) if who.address else ()
        limits = [
            limit(kind, value, MOST_FAILURES) for kind, value in (("conversation", who.conversation), ("address", who.address)) if value
        ]
        if who.origin:
            here = limit("origin and thing", json.dumps([who.origin, thing]), MOST_FAILURES)
            limits += [here, limit("origin", who.origin, MOST_FAILURES_OF_ORIGIN if mine else MOST_FAILURES, mine)]
            mine = (*mine, here.who) if mine else ()
        return [*limits, limit("thing", thing, MOST_FAILURES_FOR_ONE, mine)]

    def _made(self, tool: Tool, values: Facts, key: str) -> ToolResult:
        """Make a call, and measure it."""
        begun = time.monotonic()
        try:
            result = self._answered(tool, values, key)
        except OutcomeUnknown as error:
            result = ToolResult("unknown", reason=str(error))
        except SmidgenError as error:
            result = ToolResult("failed", reason=str(error))
        secrets = secrets_in(_secret_texts(tool.target), self._environment)
        return replace(result, reason=masked(result.reason, secrets), seconds=time.monotonic() - begun)

    def _answered(self, tool: Tool, values: Facts, key: str) -> ToolResult:
        target = tool.target
        if isinstance(target, SqlTarget):
            found = run_query(target, values, self._environment)
        elif isinstance(target, HttpTarget):
            request = prepared_request(target, values, self._environment, key if tool.changes else "")
            status, answer = send(request, tool.changes, self._transport)
            if not 200 <= status < 300:
                return _refused(tool, status)
            found = rows_at(answer, target.result)
        elif isinstance(target, McpTarget):
            found = call_tool(target, values, self._environment, tool.changes, self._sessions)
        else:
            raise InputError("tools.it_is_not_known_how_this_tool_is_called", value=tool.name)
        rows, cut, size = clean_rows(found, tool.links, MOST_ROWS)
        return ToolResult("ok" if rows or tool.changes else "nothing", rows, cut, size=size)

    def _log(self, tool: Tool, values: Facts, who: ToolUser, consent: str, result: ToolResult) -> None:
        hidden = {name for name, node in tool.properties.items() if node.get("writeOnly")} | set(tool.owner[1:])
        shown = {name: _MASK if name in hidden else value for name, value in values.items()}
        entry = LoggedCall(
            time=self._now(),
            conversation=self._store.pseudonym("conversation", who.conversation),
            channel=who.channel,
            address=self._store.pseudonym("address", who.address),
            tool=tool.name,
            arguments=shown,
            consent=consent,
            status=result.status,
            size=result.size,
            seconds=round(result.seconds, 4),
            reason=result.reason[:_SHOWN_CODES],
            origin=self._store.pseudonym("origin", who.origin),
        )
        self._store.add(entry)


def _refused(tool: Tool, status: int) -> ToolResult:
    """The result of a server's answer that is no success."""
    reason = f"the server answered with status {status}"
    if status in (404, 410):
        return ToolResult("nothing", reason=reason)
    if tool.changes and status >= 500 and status not in (501, 503):
        return ToolResult("unknown", reason=reason)
    return ToolResult("failed", reason=reason, code=str(status))


def _shown_call(target: Target | None, values: Facts, environment: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    if isinstance(target, SqlTarget):
        bound = {name: values.get(name) for name in named_parameters(target.sql)}
        shown = {"statement": target.sql, "values": bound, "shown": shown_statement(target.sql, values)}
        return "sql", {**shown, "database": shown_database(target)}
    if isinstance(target, HttpTarget):
        return "http", prepared_request(target, values, environment).shown()
    if isinstance(target, McpTarget):
        arguments = {target.names.get(name, name): value for name, value in values.items()}
        return "mcp", {"server": target.shown, "tool": target.tool, "arguments": arguments}
    return "none", {}


def _secret_texts(target: Target | None) -> list[str]:
    """The texts of a target that may name secrets."""
    if isinstance(target, SqlTarget):
        return [target.database]
    if isinstance(target, HttpTarget):
        return [
            *target.headers.values(),
            json.dumps(target.body),
            target.url.partition("}")[2] if target.url.startswith("${") else target.url,
        ]
    if isinstance(target, McpTarget):
        return [*target.headers.values(), *target.env.values(), *target.command, target.plan, target.url]
    return []


def _unfit(checked: CheckedArguments) -> str:
    missing = f"missing: {', '.join(checked.missing)}" if checked.missing else ""
    wrong = "; ".join(f"{name}: {reason}" for name, reason in checked.mistakes.items())
    return "; ".join(part for part in (missing, wrong) if part)


def _fingerprint(tool: Tool) -> str:
    """A hash of a tool and how it is called."""
    told = {**to_json(tool), "target": asdict(tool.target) if tool.target else None, "guard": asdict(tool.guard) if tool.guard else None}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode("utf-8")).hexdigest()


def _told(tool: Tool, found: ToolResult) -> Facts:
    """The row in which a guard says what a call would do; empty for a query, which only permits."""
    return found.rows[0] if found.rows and isinstance(tool.guard, McpTarget) else {}


def _fingerprint_of_told(tool: Tool, told: Facts) -> str:
    """A hash of what the words of a call, in any language, name of its guard's row."""
    named = {name for template in tool.words.values() for name in slots(template)} - set(tool.properties)
    return hashlib.sha256(json.dumps({name: told.get(name) for name in named}, sort_keys=True, default=str).encode("utf-8")).hexdigest()
