"""Chat completions over HTTP: the settings that a server accepts, reasoning before an answer, and each kind of failure."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import httpx

from smidgen.core.errors import TeacherError, failure_reason, retry_after
from smidgen.data.teacher.questions import TeacherAnswer, TeacherQuestion

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
        why = failure_reason(read, self._key)
        said = f": {why}" if why else ""
        if status in _PASSING:
            return ServerBusy(f"HTTP {status}{said}", retry_after(headers), paid=status in _UNKNOWN_END)
        if status in _OF_THIS_QUESTION:
            return QuestionRefused(f"HTTP {status}{said}", refused(read))
        todo = "Check the URL, and the model's name."
        if status in (401, 403):
            todo = "Put a valid key into the environment variable that data.teacher.key_env names."
        elif 300 <= status < 400:
            todo = "Redirects are not followed, for the key would go with them: give the URL that it leads to, if you trust it."
        raise TeacherError(f"the teacher's server answered with HTTP {status}{said}", value=self._url, todo=todo)


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
