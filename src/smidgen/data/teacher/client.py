"""A client that asks a teacher many questions: each once, within the budget and the rate limit, with retries."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from smidgen.core.errors import TeacherError, failure_reason, retry_after
from smidgen.core.progress import Progress
from smidgen.data.teacher.questions import AnswerStore, NoAnswerReason, TeacherAnswer, TeacherQuestion
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.store.files import content_hash
from smidgen.usage.budgets import RunBudget, TokenCount

_MAX_TOKENS, _TEMPERATURE, _SEED = "max_tokens", "temperature", "seed"
_CHANGEABLE = frozenset((_MAX_TOKENS, _TEMPERATURE, _SEED))
_NAMED = re.compile(rf"\b(?:{'|'.join(sorted(_CHANGEABLE))})\b")


@dataclass(frozen=True, slots=True)
class ServerParameters:
    """The settings that a server accepts in a request.

    Newer models know `max_tokens` by another name, and reasoning models accept no temperature. A server that refuses a setting names it,
    and is then asked without it.

    Attributes:
        refused: settings that it does not accept. The token limit is always sent, under its newer name if need be.
    """

    refused: frozenset[str] = frozenset()

    @property
    def heated(self) -> bool:
        """Whether it accepts a temperature; a server that does not uses its own."""
        return _TEMPERATURE not in self.refused

    def without(self, names: frozenset[str]) -> ServerParameters:
        """A copy that leaves out these settings too."""
        return ServerParameters(self.refused | names)

    def settings(self, question: TeacherQuestion) -> dict[str, Any]:
        """The fields of a request that say how to answer a question."""
        bound = "max_completion_tokens" if _MAX_TOKENS in self.refused else _MAX_TOKENS
        wanted: dict[str, Any] = {bound: question.max_tokens, _TEMPERATURE: question.temperature}
        if question.temperature > 0:
            wanted[_SEED] = question.vote
        return {name: value for name, value in wanted.items() if name not in self.refused}


def refused(body: bytes) -> frozenset[str]:
    """The optional settings that the body of a refusal names, in its `param` or its message."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return frozenset()
    error = found.get("error", found) if isinstance(found, dict) else None
    if isinstance(error, str):
        return frozenset(_NAMED.findall(error))
    if not isinstance(error, dict):
        return frozenset()
    if isinstance(error.get("param"), str) and error["param"]:
        return _CHANGEABLE & {error["param"]}
    message = error.get("message")
    return frozenset(_NAMED.findall(message)) if isinstance(message, str) else frozenset()


_OPEN, _CLOSE = "<think>", "</think>"
_FIELDS = ("reasoning_content", "reasoning")


def shows_reasoning(message: dict[str, Any], usage: Any) -> bool:
    """Whether a message of a completion, or its usage, shows that the model reasoned first."""
    details = usage.get("completion_tokens_details") if isinstance(usage, dict) else None
    tokens = details.get("reasoning_tokens") if isinstance(details, dict) else None
    if isinstance(tokens, int) and tokens > 0:
        return True
    return any(isinstance(message.get(field), str) and message[field].strip() for field in _FIELDS)


def without_reasoning(answer: TeacherAnswer) -> TeacherAnswer:
    """The answer without the reasoning before it, which may stand between `<think>` and `</think>`.

    Some servers put the first mark into the prompt, so that only the second one appears. If the reasoning does not end, the answer was cut
    off, and its text becomes empty.
    """
    text = answer.text.lstrip()
    opened = text.startswith(_OPEN)
    thought, closed, said = text.removeprefix(_OPEN).partition(_CLOSE)
    if not opened and (not closed or _OPEN in thought):
        return answer
    if not closed:
        return replace(answer, text="", finished=False, thought=True)
    return replace(answer, text=said.lstrip(), thought=answer.thought or bool(thought.strip()))


_LIMIT_BYTES = 2_000_000
_PASSING = {408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529}
_UNKNOWN_END = {408, 502, 504, 520, 524}
"""Statuses of a gateway that gave up waiting: the model behind it may have answered, and that is billed."""
_OF_THIS_QUESTION = {400, 413, 422}


@dataclass(frozen=True, slots=True)
class ServerBusy:
    """A request that failed for a temporary reason.

    Attributes:
        why: in a few words.
        after: seconds to wait, if the server said so.
        paid: whether it may have been billed: it was sent, and its result is unknown.
    """

    why: str
    after: float | None = None
    paid: bool = False


@dataclass(frozen=True, slots=True)
class QuestionRefused:
    """A question that the server refuses; it may accept another one.

    Attributes:
        why: in a few words.
        of: optional settings of the request that the refusal names.
    """

    why: str
    of: frozenset[str] = frozenset()


class ChatCompletions:
    """A connection to an OpenAI-compatible server. Thread-safe.

    Each request has a deadline and a bound on its answer. Certificates are verified, redirects are not followed, and no error repeats
    the key.

    Args:
        url: its base (`https://api.example.com/v1`).
        model: the model's name.
        key: sent as a bearer token; None for none.
        local: on this machine, so that no proxy is used.
        timeout: seconds until a request is given up, including its answer.
        concurrency: most connections kept.
        again: waits until one more request may be sent; False if none may.
    """

    def __init__(
        self,
        url: str,
        model: str,
        key: str | None,
        *,
        local: bool,
        timeout: float,
        concurrency: int,
        again: Callable[[], bool] = lambda: True,
    ) -> None:
        self._again = again
        self._url = f"{url}/chat/completions"
        self._model, self._key, self._timeout = model, key, timeout
        self.dialect = ServerParameters()  # as far as the server has shown it
        self._lock = threading.Lock()
        self.holds = True  # whether it accepts a schema, as far as it has shown
        self._held = False  # whether it has answered with a schema before
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        self._client = httpx.Client(headers=headers, timeout=timeout, limits=limits, follow_redirects=False, trust_env=not local)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def send(self, question: TeacherQuestion) -> TeacherAnswer | ServerBusy | QuestionRefused:
        """The teacher's answer, or why there is none. Raises TeacherError if the server accepts no question of ours.

        A question with a schema that is refused is sent once more without it: the server may support no schemas, or not this one. If it
        accepts the question then, and never accepted one with a schema, no other is sent with one.
        """
        if not (question.schema and self.holds):
            return self._sent(question, "")
        found = self._sent(question, question.schema)
        self._held = self._held or isinstance(found, TeacherAnswer)
        if not isinstance(found, QuestionRefused) or not self._again():
            return found
        plain = self._sent(question, "")
        if isinstance(plain, TeacherAnswer) and not self._held:
            self.holds = False
        return plain

    def _sent(self, question: TeacherQuestion, schema: str) -> TeacherAnswer | ServerBusy | QuestionRefused:
        """Send a question with the settings that the server accepts. If it refuses a setting by name, ask again without it and remember
        that."""
        dialect = self.dialect
        found = self._posted(question, schema, dialect)
        while isinstance(found, QuestionRefused) and found.of - dialect.refused and self._again():
            dialect = dialect.without(found.of)
            found = self._posted(question, schema, dialect)
        if isinstance(found, TeacherAnswer):
            with self._lock:
                self.dialect = self.dialect.without(dialect.refused)
        return found

    def _posted(self, question: TeacherQuestion, schema: str, dialect: ServerParameters) -> TeacherAnswer | ServerBusy | QuestionRefused:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [{"role": role, "content": content} for role, content in question.messages],
            **dialect.settings(question),
        }
        if schema:
            told = json.loads(schema)
            held = {"name": "answer", "schema": told, "strict": _strict(told)}
            body["response_format"] = {"type": "json_schema", "json_schema": held}
        deadline = time.monotonic() + self._timeout
        try:
            with self._client.stream("POST", self._url, json=body) as response:
                status, headers = response.status_code, response.headers
                read = self._read(response, deadline)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return ServerBusy(f"no connection ({_plain(error)})")
        except httpx.RequestError as error:
            return ServerBusy(f"the connection broke ({_plain(error)})", paid=True)
        if isinstance(read, ServerBusy):
            return read
        return _answer(read) if status == 200 else self._failure(status, headers, read)

    def _read(self, response: httpx.Response, deadline: float) -> bytes | ServerBusy:
        """The body, within its bounds of size and time."""
        pieces, size = [], 0
        for piece in response.iter_bytes():
            size += len(piece)
            if size > _LIMIT_BYTES:
                return ServerBusy(f"the answer is larger than {_LIMIT_BYTES:,} bytes", paid=True)
            if time.monotonic() > deadline:
                return ServerBusy(f"no whole answer in {self._timeout:g} s", paid=True)
            pieces.append(piece)
        return b"".join(pieces)

    def _failure(self, status: int, headers: httpx.Headers, read: bytes) -> ServerBusy | QuestionRefused:
        reason = failure_reason(read, self._key)
        why = f"HTTP {status}: {reason}" if reason else f"HTTP {status}"
        if status in _PASSING:
            return ServerBusy(why, retry_after(headers), paid=status in _UNKNOWN_END)
        if status in _OF_THIS_QUESTION:
            return QuestionRefused(why, refused(read))
        if status in (401, 403):
            raise TeacherError("data.teacher_server_refuses_key", value=self._url, why=why)
        if 300 <= status < 400:
            raise TeacherError("data.teacher_server_redirects", value=self._url, why=why)
        raise TeacherError("data.teacher_server_refuses_request", value=self._url, why=why)


def _strict(schema: Any) -> bool:
    """Whether every field of every object is required, as the strict mode of providers demands."""
    fields = schema.get("properties", {})
    return set(fields) == set(schema.get("required", ())) and all(
        _strict(node.get("items", node)) for node in fields.values() if isinstance(node.get("items", node), dict)
    )


def _answer(read: bytes) -> TeacherAnswer | ServerBusy:
    """The first choice of a completion. A malformed answer was paid for, and another try may do better."""
    try:
        found: Any = json.loads(read)
        choice = found["choices"][0]
        message, cut = choice["message"], choice.get("finish_reason") == "length"
        # An answer that was cut during the reasoning may have no content at all.
        content = message.get("content") if cut else message["content"]
        usage = found.get("usage")
        thought = shows_reasoning(message, usage)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return ServerBusy("the answer is not a chat completion", paid=True)
    if isinstance(content, list):
        content = "".join(part.get("text") or "" for part in content if isinstance(part, dict) and isinstance(part.get("text"), str | None))
    text = content if isinstance(content, str) else ""
    return without_reasoning(TeacherAnswer(text, *_usage_tokens(usage), finished=not cut, thought=thought))


def _usage_tokens(usage: Any) -> tuple[int, int]:
    """Tokens in and out; -1 if the server does not say: then the whole reserved amount counts as spent."""
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    numbers = [usage.get(name) if isinstance(usage, dict) else None for name in names]
    given, got, total = (number if isinstance(number, int) and not isinstance(number, bool) and number >= 0 else -1 for number in numbers)
    # Some servers count reasoning in the total alone.
    return given, max(got, total - given) if given >= 0 and got >= 0 else got


def _plain(error: Exception) -> str:
    return str(error).strip() or type(error).__name__


class RateLimiter:
    """Space requests evenly, and send none while the server asks for a pause. Thread-safe.

    Args:
        per_minute: the most requests in a minute; None for any number.
        stop: ends every wait when it is set.
    """

    def __init__(self, per_minute: int | None, stop: threading.Event) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._next = self._held = 0.0
        self._stop = stop
        self._lock = threading.Lock()

    def wait(self) -> bool:
        """Wait for a turn. False if the work was stopped meanwhile."""
        with self._lock:
            turn = max(self._next, time.monotonic())
            self._next = turn + self._gap
        while (left := turn - time.monotonic()) > 0:
            if self._stop.wait(min(left, 1.0)):
                return False
            with self._lock:
                # A pause that the server asks of one request applies to all.
                turn = max(turn, self._held)
        return not self._stop.is_set()

    def hold(self, seconds: float) -> None:
        """Send nothing for this many seconds."""
        with self._lock:
            self._held = max(self._held, time.monotonic() + seconds)
            self._next = max(self._next, self._held)


FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds before the second try, doubled at each try up to the longest."""
LONGEST_AFTER = 600.0
"""Seconds of a `Retry-After` above which the run ends."""
_REFUSALS = 8
"""Refusals before any answer after which the server, not the question, is at fault."""


class TeacherClient:
    """Ask a teacher over HTTP: each question once, from the store if it was answered before, within the budget and the rate limit.

    Args:
        settings: of the teacher; `source` is a URL.
        key: the secret; None for none.
        folder: the folder of stored answers.
        budget: the budget of the run.
        fresh: whether to ignore answers of earlier runs.
    """

    def __init__(self, settings: TeacherSettings, key: str | None, folder: Path, budget: RunBudget, fresh: bool = False) -> None:
        assert settings.source is not None
        self.budget = budget
        self.stored = self.sent = self.retried = 0
        self._settings = settings
        self._cache = AnswerStore(folder)
        self._fresh = fresh
        self._asked: set[str] = set()
        self._stop = threading.Event()
        self._pace = RateLimiter(settings.requests_per_minute, self._stop)
        self._wire = ChatCompletions(
            settings.source,
            settings.model,
            key,
            local=settings.local,
            timeout=settings.timeout,
            concurrency=settings.concurrency,
            again=self._pace.wait,
        )
        self._lock = threading.Lock()
        self._refused = self._taken = 0
        self._told: set[str] = set()

    def close(self) -> None:
        """Close the connections, and remove the oldest answers if there are too many."""
        self._wire.close()
        self._cache.prune()

    def ask(self, questions: Sequence[TeacherQuestion], title: str, progress: Progress) -> list[TeacherAnswer]:
        """One answer for each question, in order. Equal questions are asked once.

        Raises TeacherError if the server cannot be asked; earlier answers stay stored.
        """
        keys = [self._key(question) for question in questions]
        distinct = dict(zip(keys, questions, strict=True))
        known = self._stored_answers(distinct)
        found: dict[str, TeacherAnswer] = {}
        progress.start(title, len(distinct))
        with ThreadPoolExecutor(self._settings.concurrency, thread_name_prefix="teacher") as pool:
            running = {pool.submit(self._answer_or_stop, key, question, known[key]): key for key, question in distinct.items()}
            try:
                for done in as_completed(running):
                    found[running[done]] = done.result()
                    progress.advance(1, dollars=round(self.budget.spent_usd, 4))
            finally:
                if len(found) < len(distinct):  # one failed, or the user stopped it: start no other
                    self._stop.set()
                    pool.shutdown(wait=True, cancel_futures=True)
        self._say_limits(progress)
        progress.finish(f"{sum(answer.why_not is None for answer in found.values())} answers")
        return [found[key] for key in keys]

    def _say_limits(self, progress: Progress) -> None:
        """Report once each setting that the server does not accept."""
        lines = {
            "the teacher's server takes no schema: its answers are held to it by words alone": not self._wire.holds,
            "the teacher's server takes no temperature: it samples as it always does": not self._wire.dialect.heated,
        }
        for line in [line for line, holds in lines.items() if holds and line not in self._told]:
            self._told.add(line)
            progress.say(line)

    def _key(self, question: TeacherQuestion) -> str:
        """The hash of all that an answer depends on."""
        asked = [
            question.messages,
            question.max_tokens,
            question.temperature,
            question.vote,
            *([question.schema] if question.schema else []),
        ]
        return content_hash({"url": self._settings.source, "model": self._settings.model, "asked": asked})

    def _stored_answers(self, keys: Iterable[str]) -> dict[str, TeacherAnswer | None]:
        """The stored answer to each question, or None. Charges the cost of earlier runs for all of them before the first new one is sent,
        so that all runs together stay within the budget."""
        known: dict[str, TeacherAnswer | None] = {}
        for key in keys:
            again = key in self._asked
            self._asked.add(key)
            stored = self._cache.get(key) if again or not self._fresh else None
            known[key] = stored[0] if stored is not None else None
            if not again:
                self.budget.charge(stored[1] if stored is not None else self._cache.marked(key))
        return known

    def _answer_or_stop(self, key: str, question: TeacherQuestion, known: TeacherAnswer | None) -> TeacherAnswer:
        """Answer one question; if the server cannot be asked, start no other."""
        try:
            return self._one(key, question, known)
        except TeacherError:
            self._stop.set()
            raise

    def _one(self, key: str, question: TeacherQuestion, known: TeacherAnswer | None) -> TeacherAnswer:
        if known is not None:
            with self._lock:
                self.stored += 1
            return without_reasoning(known)  # an older smidgen stored answers with their reasoning
        most = TokenCount(question.most_tokens_in, question.max_tokens)
        lost = self._cache.marked(key)
        why = ""
        for attempt in range(self._settings.attempts):
            if not self._pace.wait():
                return TeacherAnswer("", why_not=NoAnswerReason.BUDGET)
            if not self.budget.reserve(most):
                return TeacherAnswer("", why_not=NoAnswerReason.BUDGET)
            try:
                self._cache.mark(key, lost + most)
            except OSError as error:  # nothing was sent: release the reserved amount for other requests
                self.budget.settle(most, TokenCount())
                raise _store_error(error) from error
            try:
                found = self._send(question, most)
            except TeacherError:
                self._fail(key, most, TokenCount(), lost)
                raise
            if isinstance(found, TeacherAnswer):
                self.budget.settle(most, TokenCount(found.tokens_in, found.tokens_out))
                try:
                    self._cache.put(key, found, lost)
                except OSError as error:
                    raise _store_error(error) from error
                return found
            if isinstance(found, QuestionRefused):
                self._fail(key, most, TokenCount(), lost)
                return self._refusal(found)
            took = most if found.paid else TokenCount()
            lost = lost + took
            self._fail(key, most, took, lost)
            why = found.why
            self._back_off(found, attempt)
        raise TeacherError("data.teacher_server_keeps_failing", why=why, source=self._settings.source, attempts=self._settings.attempts)

    def _send(self, question: TeacherQuestion, most: TokenCount) -> TeacherAnswer | ServerBusy | QuestionRefused:
        with self._lock:
            self.sent += 1
        began = time.monotonic()
        answer = self._wire.send(question)
        if not isinstance(answer, TeacherAnswer):
            return answer
        seconds = time.monotonic() - began
        with self._lock:
            self._taken += 1
        given = answer.tokens_in if answer.tokens_in >= 0 else most.given
        got = answer.tokens_out if answer.tokens_out >= 0 else most.got
        return replace(answer, tokens_in=given, tokens_out=got, seconds=seconds)

    def _fail(self, key: str, most: TokenCount, took: TokenCount, lost: TokenCount) -> None:
        """End a try without an answer: charge its possible cost, and keep that marked."""
        self.budget.settle(most, took)
        self._cache.mark(key, lost)

    def _back_off(self, busy: ServerBusy, attempt: int) -> None:
        """Wait as long as the server asks, or twice as long at every try, with jitter so that not all requests come back at once."""
        if busy.after is not None and busy.after > LONGEST_AFTER:
            raise TeacherError(
                "data.teacher_server_asks_for_long_wait", value=self._settings.source, after=f"{busy.after / 60:.0f}", why=busy.why
            )
        with self._lock:
            self.retried += 1
        if busy.after is not None:
            self._pace.hold(busy.after)
        if attempt + 1 < self._settings.attempts:
            wait = busy.after if busy.after is not None else min(LONGEST_WAIT, FIRST_WAIT * 2**attempt) * random.uniform(0.5, 1.0)
            self._stop.wait(wait)

    def _refusal(self, refused: QuestionRefused) -> TeacherAnswer:
        with self._lock:
            self._refused += 1
            hopeless = not self._taken and self._refused >= _REFUSALS
        if hopeless:
            raise TeacherError("data.teacher_server_refuses_every_question", value=self._settings.source, why=refused.why)
        return TeacherAnswer("", why_not=NoAnswerReason.REFUSED)


def _store_error(error: OSError) -> TeacherError:
    return TeacherError("data.teacher_answers_cannot_be_stored", value=str(error))
