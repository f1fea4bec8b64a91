"""One chat completion over HTTP: sent with a deadline and a bound on its answer, and told apart where it fails.

Certificates are verified, redirects are not followed, and no message repeats the key.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from smidgen.core.errors import TeacherError
from smidgen.core.http_failures import reason, retry_after
from smidgen.data.teacher import thinking
from smidgen.data.teacher.dialect import Dialect, refused
from smidgen.data.teacher.exchange import Answer, Question

_LIMIT_BYTES = 2_000_000
_PASSING = {408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529}
_UNKNOWN_END = {408, 502, 504, 520, 524}
"""What a gateway says that gave up waiting, or lost what it waited for: the model behind it may have answered, and that is billed."""
_OF_THIS_QUESTION = {400, 413, 422}


@dataclass(frozen=True, slots=True)
class Busy:
    """A request that failed for a reason that may pass.

    Attributes:
        why: in a few words.
        after: seconds to wait, where the server said so.
        paid: whether it may have been paid for: it was sent, and what became of it is not known.
    """

    why: str
    after: float | None = None
    paid: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A question that the server does not take; another one it may.

    Attributes:
        why: in a few words.
        of: settings of the request that it names, and that a request can do without.
    """

    why: str
    of: frozenset[str] = frozenset()


class Wire:
    """A connection to an OpenAI-compatible server. Safe to use from several threads.

    Args:
        url: its base (`https://api.example.com/v1`).
        model: the model's name.
        key: sent as a bearer token; None for none.
        local: on this machine, so that no proxy is used.
        timeout: seconds until a request is given up, answer and all.
        concurrency: connections kept.
        again: waits until one more request may be sent; False where none may.
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
        self.dialect = Dialect()  # what it takes of a request, as far as it has shown
        self._lock = threading.Lock()
        self.holds = True  # to a schema, until it shows that it does not
        self._held = False  # it took one
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        self._client = httpx.Client(headers=headers, timeout=timeout, limits=limits, follow_redirects=False, trust_env=not local)

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()

    def send(self, question: Question) -> Answer | Busy | Refused:
        """The teacher's answer, or why there is none. Raises TeacherError where the server takes no question of ours.

        A question with a schema that is refused is sent once more without it: the server may not hold answers to schemas, or not to this
        one. Where it takes it then, and never took one with a schema, no other is sent with one.
        """
        if not (question.schema and self.holds):
            return self._sent(question, "")
        found = self._sent(question, question.schema)
        self._held = self._held or isinstance(found, Answer)
        if not isinstance(found, Refused) or not self._again():
            return found
        plain = self._sent(question, "")
        if isinstance(plain, Answer) and not self._held:
            self.holds = False
        return plain

    def _sent(self, question: Question, schema: str) -> Answer | Busy | Refused:
        """Sent as the server takes it. Where it refuses a setting by its name, it is asked once more without that; what helped is kept."""
        dialect = self.dialect
        found = self._posted(question, schema, dialect)
        while isinstance(found, Refused) and found.of - dialect.refused and self._again():
            dialect = dialect.without(found.of)
            found = self._posted(question, schema, dialect)
        if isinstance(found, Answer):
            with self._lock:
                self.dialect = self.dialect.without(dialect.refused)
        return found

    def _posted(self, question: Question, schema: str, dialect: Dialect) -> Answer | Busy | Refused:
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
            return Busy(f"no connection ({_plain(error)})")
        except httpx.RequestError as error:
            return Busy(f"the connection broke ({_plain(error)})", paid=True)
        if isinstance(read, Busy):
            return read
        return _answer(read) if status == 200 else self._failure(status, headers, read)

    def _read(self, response: httpx.Response, deadline: float) -> bytes | Busy:
        """The body, as far as its bounds of size and time allow."""
        pieces, size = [], 0
        for piece in response.iter_bytes():
            size += len(piece)
            if size > _LIMIT_BYTES:
                return Busy(f"the answer is larger than {_LIMIT_BYTES:,} bytes", paid=True)
            if time.monotonic() > deadline:
                return Busy(f"no whole answer in {self._timeout:g} s", paid=True)
            pieces.append(piece)
        return b"".join(pieces)

    def _failure(self, status: int, headers: httpx.Headers, read: bytes) -> Busy | Refused:
        why = reason(read, self._key)
        said = f": {why}" if why else ""
        if status in _PASSING:
            return Busy(f"HTTP {status}{said}", retry_after(headers), paid=status in _UNKNOWN_END)
        if status in _OF_THIS_QUESTION:
            return Refused(f"HTTP {status}{said}", refused(read))
        todo = "Check the URL, and the model's name."
        if status in (401, 403):
            todo = "Put a valid key into the environment variable that data.teacher.key_env names."
        elif 300 <= status < 400:
            todo = "Redirects are not followed, for the key would go with them: give the URL that it leads to, if you trust it."
        raise TeacherError(f"the teacher's server answered with HTTP {status}{said}", value=self._url, todo=todo)


def _strict(schema: Any) -> bool:
    """Whether every field of every object is required: what the strict way of providers asks for."""
    fields = schema.get("properties", {})
    return set(fields) == set(schema.get("required", ())) and all(
        _strict(node.get("items", node)) for node in fields.values() if isinstance(node.get("items", node), dict)
    )


def _answer(read: bytes) -> Answer | Busy:
    """The first choice of a completion. What is none was paid for, and another try may do better."""
    try:
        found: Any = json.loads(read)
        choice = found["choices"][0]
        message, cut = choice["message"], choice.get("finish_reason") == "length"
        # One that was cut while it thought may have no content at all.
        content = message.get("content") if cut else message["content"]
        usage = found.get("usage")
        thought = thinking.shows(message, usage)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return Busy("the answer is not a chat completion", paid=True)
    if isinstance(content, list):
        content = "".join(part.get("text") or "" for part in content if isinstance(part, dict) and isinstance(part.get("text"), str | None))
    text = content if isinstance(content, str) else ""
    return thinking.spoken(Answer(text, *_taken(usage), finished=not cut, thought=thought))


def _taken(usage: Any) -> tuple[int, int]:
    """Tokens in and out. A server that does not say is taken to have charged all that was set aside: -1 stands for that."""
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    numbers = [usage.get(name) if isinstance(usage, dict) else None for name in names]
    given, got, total = (number if isinstance(number, int) and not isinstance(number, bool) and number >= 0 else -1 for number in numbers)
    # Some count what was thought in the total alone.
    return given, max(got, total - given) if given >= 0 and got >= 0 else got


def _plain(error: Exception) -> str:
    return str(error).strip() or type(error).__name__
