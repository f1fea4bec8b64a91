"""Which requests the cache serves, in which scope, and under which key.

An answer may be reused only if the request alone determines it, and nothing but the answer is wanted. A request with an unknown field,
or without an owner, is not cached.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from smidgen.gateway.eligibility import CHAT, COMPLETIONS
from smidgen.gateway.headers import USER_HEADER, client_keys, upstream_headers

CACHED_PATHS = (CHAT, COMPLETIONS)
"""Paths whose answers are cached."""
SUITED = ""
UNSUITED = "unsuited"
DRAWN = "drawn"
"""Reasons why a request is not cached: `UNSUITED`, its kind; `DRAWN`, it asks for one of many possible answers."""

_DRAWING = frozenset(
    (
        *("model", "temperature", "top_p", "top_k", "min_p", "top_a", "typical_p", "seed", "stop", "stop_token_ids", "ignore_eos", "n"),
        *("max_tokens", "max_completion_tokens", "min_tokens", "presence_penalty", "frequency_penalty", "repetition_penalty"),
        *("length_penalty", "logit_bias", "logprobs", "top_logprobs", "prompt_logprobs", "best_of", "use_beam_search"),
    )
)
_FORM = frozenset(
    (
        *("response_format", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs", "grammar"),
        *("json_schema", "chat_template_kwargs", "add_generation_prompt", "enable_thinking", "thinking", "reasoning", "reasoning_effort"),
        *("verbosity", "tools", "tool_choice", "functions", "function_call", "parallel_tool_calls", "prediction", "service_tier"),
    )
)
TRANSPORT = frozenset(
    ("stream", "stream_options", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "cache_prompt")
)
"""Fields that say how an answer is sent, or who asks (which is part of the scope). The answer does not depend on them."""
_KNOWN = {
    CHAT: _DRAWING | _FORM | TRANSPORT | {"messages", "metadata", "store"},
    COMPLETIONS: _DRAWING | _FORM | TRANSPORT | {"prompt", "suffix", "echo", "metadata"},
}
_TEXT = ("text", "input_text")


def why_uncacheable(path: str, body: Mapping[str, Any], drawn: bool = False) -> str:
    """One word for why the answer to a request is not cached; empty if it is cached.

    Args:
        path: one of `CACHED_PATHS`.
        body: the request's body.
        drawn: whether sampled answers are cached too. A request without a temperature leaves it to the model; one with a seed wants the
            same answer each time.
    """
    strange = any(value is not None and name not in _KNOWN[path] for name, value in body.items())
    if strange or body.get("n") not in (None, 1) or body.get("best_of") not in (None, 1) or body.get("store"):
        return UNSUITED  # `store`: the upstream stores something, too
    if not all(_is_plain_tool(tool) for tool in _list(body.get("tools"))):
        return UNSUITED
    if not _is_text(path, body):
        return UNSUITED
    temperature = body.get("temperature")
    hot = not (temperature is None or (isinstance(temperature, int | float) and temperature <= 0))
    return DRAWN if hot and body.get("seed") is None and not drawn else SUITED


def _is_text(path: str, body: Mapping[str, Any]) -> bool:
    """Whether all content of the request is text. The content behind a URL may change tomorrow."""
    if path == COMPLETIONS:
        return isinstance(body.get("prompt"), str)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, Mapping) for message in messages):
        return False
    return all(_is_plain(message.get("content")) and not message.get("audio") for message in messages)


def _is_plain(content: Any) -> bool:
    if content is None or isinstance(content, str):
        return True
    return isinstance(content, list) and all(
        isinstance(part, Mapping) and part.get("type") in _TEXT and isinstance(part.get("text"), str) for part in content
    )


def _is_plain_tool(tool: Any) -> bool:
    """Whether a tool is the client's own. The upstream's own tools depend on changing data, such as web pages."""
    return isinstance(tool, Mapping) and tool.get("type") == "function"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value is not None else []


_DAYS = 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class CacheDirectives:
    """The `Cache-Control` of a request (RFC 9111).

    `store`: its answer may be stored, or a stored one given. `reuse`: a stored answer may be given. `fresh`: its greatest age in
    seconds."""

    store: bool = True
    reuse: bool = True
    fresh: float = _DAYS


def cache_directives(headers: Iterable[tuple[bytes, bytes]]) -> CacheDirectives:
    """Read `Cache-Control` (`no-store`, `no-cache`, `max-age=SECONDS`), or without it `Pragma: no-cache`. An age that is not a number
    counts as 0: nothing is fresh enough."""
    given = [(name.lower(), value.decode("latin-1").lower()) for name, value in headers]
    words = [word.strip() for name, value in given if name == b"cache-control" for word in value.split(",")]
    if not words:
        words = [word.strip() for name, value in given if name == b"pragma" for word in value.split(",")]
    fresh = _DAYS
    for word in words:
        name, _, value = word.partition("=")
        if name.strip() == "max-age":
            said = value.strip().strip('"')
            fresh = min(fresh, float(said[:9]) if said.isascii() and said.isdigit() else 0.0)
    return CacheDirectives("no-store" not in words, "no-cache" not in words and fresh > 0, fresh)


Sharing = Literal["user", "key", "all"]
"""Who shares answers: one user of one key, one key, or all."""
Scope = list[Any]
"""The owner of a request, as JSON values; requests of equal scope share answers."""

USER_FIELDS = ("user", "safety_identifier")
"""Fields of a request that name its user."""


def scope(sharing: Sharing, headers: Iterable[tuple[bytes, bytes]], body: Mapping[str, Any], apart: bool) -> Scope | None:
    """The scope of a request, from its headers and its body as the client sent them; None if it has none, and is not cached.

    A connection is no scope: a client's pool, or a proxy, sends many people's requests through one.

    Args:
        sharing: the server's setting.
        headers, body: before masking: `[PERSON_1]` is another person in each request.
        apart: whether clients' own keys go upstream. Then the keys always separate scopes: a client without access to the upstream must
            not read answers that another client paid for.
    """
    given = list(headers)
    keys = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in client_keys(given)]
    if sharing == "all":
        return ["all", keys if apart else []]
    if sharing == "key":
        return ["key", keys] if keys else None
    ids = _ids(given, body)
    return ["user", keys, ids] if ids else None


def _ids(headers: list[tuple[bytes, bytes]], body: Mapping[str, Any]) -> list[list[str]]:
    """Each user id in the request, with its field: the header `x-smidgen-user: 7` need not be the `user` 7. Empty if one is not a text."""
    named: list[tuple[str, Any]] = [(name, body.get(name)) for name in USER_FIELDS]
    named += [
        (USER_HEADER.decode("latin-1"), value.decode("utf-8", "backslashreplace")) for name, value in headers if name.lower() == USER_HEADER
    ]
    if not all(value is None or isinstance(value, str) for _, value in named):
        return []
    return [[name, value.strip()] for name, value in named if value is not None and value.strip()]


_LIKE = frozenset(
    (
        *(b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"pragma", b"content-type", b"content-length"),
        *(b"user-agent", b"cookie", b"idempotency-key", b"traceparent", b"tracestate", b"baggage", b"priority", b"dnt"),
        *(b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest", b"x-amzn-trace-id", b"x-cloud-trace-context", b"x-smidgen-via"),
        *(b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-proto", b"x-real-ip"),
        *(b"cdn-loop", b"cf-connecting-ip", b"cf-ipcountry", b"cf-ray", b"cf-visitor", b"true-client-ip"),
    )
)
"""Headers that go upstream and do not change an answer, besides the client's own `x-stainless-…`."""
_ITSELF = b"x-stainless-"


@dataclass(frozen=True, slots=True)
class CacheKey:
    """The key of a cached answer.

    Attributes:
        key: hash of the whole request: the body without its `TRANSPORT` fields, the model, the headers that can change an answer, and the
            scope.
        template: hash of all that without the last text; None if there is no single last text.
        text: the user's last message, or the prompt; empty without a template.
    """

    key: bytes
    template: bytes | None
    text: str


class CacheKeys:
    """Makes the keys of requests. The hashes are keyed by a secret of this process, so that nobody can test a guessed request."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def question(
        self,
        scope: Scope,
        path: str,
        query: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        body: Mapping[str, Any],
        model: str,
    ) -> CacheKey:
        """The key of a request.

        Args:
            scope: the request's.
            path: one of `CACHED_PATHS`; `query` follows it.
            headers: the client's. Only those that could change the answer enter the key.
            body: as it is sent, masked.
            model: the name that the upstream is asked for.
        """
        asked = {name: value for name, value in body.items() if name not in TRANSPORT} | {"model": model}
        around = [scope, path, query.decode("latin-1"), _headers_that_count(headers)]
        key = self._hash(["whole", *around, asked])
        found = _split_text(path, asked)
        if found is None:
            return CacheKey(key, None, "")
        template, text = found
        return CacheKey(key, self._hash(["template", *around, template]), text)

    def _hash(self, value: list[Any]) -> bytes:
        written = json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")
        return hashlib.blake2b(written, digest_size=32, key=self._secret).digest()


def _headers_that_count(headers: Iterable[tuple[bytes, bytes]]) -> list[list[str]]:
    """The headers that go upstream and could change an answer: an organisation, a version, and every unknown one."""
    sent = upstream_headers(headers, None, own_authorization=False)
    return sorted(
        [name.decode("latin-1"), value.decode("latin-1")] for name, value in sent if name not in _LIKE and not name.startswith(_ITSELF)
    )


def _split_text(path: str, asked: Mapping[str, Any]) -> tuple[dict[str, Any], str] | None:
    """A request without its last text, and that text; None if there is none."""
    if path == COMPLETIONS:
        return {name: value for name, value in asked.items() if name != "prompt"}, str(asked["prompt"])
    *before, last = asked["messages"]
    content = last.get("content")
    if last.get("role") != "user" or not isinstance(content, str):
        return None
    said = {name: value for name, value in last.items() if name != "content"}
    return {**{name: value for name, value in asked.items() if name != "messages"}, "messages": [before, said]}, content


_PIECE = re.compile(
    r"\[[A-Z_]+_\d+\]"  # a placeholder of the privacy border
    r"|(?<!\w)[-+−]?[$€£¥]?\d[\w.,:/'’%°-]*"  # a number, date, time or sum, with its signs and units
    r"|[^\W_]+(?:['’][^\W_]+)*"
    r"|[^\w\s]|_+"
)
_EMPTY = frozenset(
    (
        *("a", "an", "the", "please", "pls", "plz", "kindly", "thanks", "thank", "hi", "hello", "hey", "dear", "ok", "okay", "just"),
        *("can", "could", "would", "will", "shall", "do", "does", "is", "are", "am", "be", "i", "me", "my", "there"),
        *("tell", "help", "know", "some", "any", "of"),
    )
)
"""Courtesy, articles, present auxiliaries, and the first person."""
_WISHING = frozenset(("want", "need", "like", "wish"))
_WISHED = frozenset(("i", "would"))
_ASKED = frozenset(("can", "could", "would", "will"))
"""After these, `you` carries no meaning (`can you …`); elsewhere it is a person."""
_ASKING = frozenset(
    (
        *("who", "whom", "whose", "what", "which", "when", "where", "why", "how", "can", "could", "would", "will", "shall", "do", "does"),
        *("did", "is", "are", "am", "was", "were", "has", "have", "had", "should", "may", "might", "must"),
    )
)
"""A sentence that begins with one of these is a question, with or without a question mark."""
_INVERTED = frozenset(("do", "does", "did", "is", "are", "am", "was", "were", "has", "have", "had"))
"""In a statement these words follow the subject."""
_MODAL, _SPEAKERS = _ASKED | {"shall"}, frozenset(("i", "we"))
_OTHERWISE = frozenset(("us", "it", "am", "or", "in", "as", "at", "so", "no", "on", "who", "id", "all", "aid", "and"))
"""Words that mean something else in capitals: a country, a trade, an organisation."""
_SILENT = frozenset(".,;:!?\"'’“”„‘()")
_CONTRACTED = re.compile(
    r"\b(ca|wo|do|does|did|is|are|was|were|have|has|had|could|should|would|must|need|might|ai)(?:n['’]t|nt)\b|\bcannot\b", re.IGNORECASE
)
"""`can't`, and `cant` as people type it."""
_WHOLE = {"ca": "can", "": "can", "wo": "will", "ai": "is"}
_DOING = ("do", "does")
_SHORT = re.compile(r"['’](?:s|m|re|ve|d|ll)\Z")
_LONG = 3
"""Words of at most this many letters have no plural."""


def differ(one: str, other: str) -> bool:
    """Whether two texts may need different answers; True also if neither has a word that counts.

    An embedding shows the topic of a text: "order 123" and "order 124" are as near as two texts can be, and so are "it works" and "it does
    not work". A list of differences that matter (numbers, dates, negations, names, opposites) has no end. So the lists here are of
    differences that do not matter: courtesy, articles, plurals. All other words and signs of two texts must be equal, in the same order.
    In other languages nearly all words count, so texts must be nearly identical.
    """
    told = meaningful_words(one)
    return not told or told != meaningful_words(other)


def meaningful_words(text: str) -> tuple[str, ...]:
    """The words and signs of a text that must be equal in another text for both to get one answer."""
    plain = _CONTRACTED.sub(_spelt_out, unicodedata.normalize("NFC", text))
    loud = plain.upper() == plain
    told: list[str] = []
    before, opener, begins, question = "", "", True, False
    for match in _PIECE.finditer(plain):
        piece = match[0]
        if piece in _SILENT:
            # With a question mark, a statement is a question.
            if piece == "?" and not question:
                told.append("?")
            begins = begins or piece in ".!?"
            question = question and piece not in ".!?"
            continue
        word = _SHORT.sub("", piece.lower())
        if _empty(word, before):
            # `Will`, `US` and `IT` inside a sentence are names.
            named = piece != piece.lower() and not begins and word != "i" and not loud
            if named:
                told.append(piece)
        elif word in _OTHERWISE and piece.isupper() and not loud:
            told.append(piece)
        elif piece[0].isalpha():
            told.append(f"not {before}" if word == "not" else _singular(word))  # "cannot" and "will not" differ
        else:
            told.append(piece.rstrip(".,:") or piece)  # drop the full stop after a number; keep a lone sign
        if question and word in _SPEAKERS and before in _MODAL and before == opener:
            told.append("asks")  # "may I" and "I may" differ
        if begins and word in _ASKING:
            question, opener = True, word
            if word in _INVERTED:
                told.append("asks")
        begins = begins and word in _EMPTY and word not in _ASKING and word not in ("i", "me", "my")
        before = word
    if before in _DOING:  # a "does" at the end is not an auxiliary
        told.append(before)
    return tuple(told)


def _spelt_out(match: re.Match[str]) -> str:
    begun = (match[1] or "").lower()
    return f"{_WHOLE.get(begun, begun)} not"


def _empty(word: str, before: str) -> bool:
    return word in _EMPTY or (word in _WISHING and before in _WISHED) or (word == "you" and before in _ASKED)


def _singular(word: str) -> str:
    return word[:-1] if len(word) > _LONG and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
