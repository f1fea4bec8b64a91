"""The interface's own names, words and ids in the body, path and query of a request, which are not texts.

Everything else may be personal, and is read.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(r"[A-Za-z$#][A-Za-z0-9_.:/$#-]{0,255}")
"""Form of the interface's ids and names: without blanks or @, and not a number alone."""
_WORD = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_KEY = re.compile(r"(?:[A-Za-z]{2,10} )?[A-Za-z0-9._~+/=-]{1,8192}")
FIELD = re.compile(r"(?![^0-9]*(?:[0-9][^0-9]*){5})[A-Za-z_$][A-Za-z0-9_.$-]{0,99}|[0-9]{1,6}")
"""Form of a field name. With five or more digits it may identify a person, except for a token's number."""
INNER_FIELD = re.compile(rf"(?![A-Z])(?:{FIELD.pattern})")
"""Form of a field name in JSON of unknown shape: a capitalised one may be a person's name."""
_NAMES = frozenset(
    ("id", "$ref", "required", "call_id", "tool_call_id", "tool_choice", "server_label", "server_url", "format", "prompt_cache_retention")
)
_WORDS = frozenset(
    (
        *("role", "type", "object", "status", "service_tier", "reasoning_effort", "effort", "verbosity", "detail", "encoding_format"),
        *("truncation", "include", "modalities", "voice", "syntax", "search_context_size", "summary", "finish_reason"),
    )
)
"""Fields whose values are names, or words in small letters, of the interface, if they have that form."""
_SEALED = frozenset(("encrypted_content", "thought_signature"))
"""Fields that the upstream wrote for itself, about texts that were masked when it read them."""
_SPREAD = 5
"""Standard deviations by which the share of bytes over 127 may differ from a half. Texts in any usual encoding have far fewer."""
_PACKED = (
    b"\x1f\x8b",
    b"PK",
    b"BZh",
    b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd",
    b"\x78\x01",
    b"\x78\x9c",
    b"\x78\xda",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"%PDF",
    b"Rar!",
    b"7z\xbc\xaf",
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{40,}={0,2}")
_LONG_NUMBER = re.compile(r"[0-9]{12}")
"""In random base64, one in five billion runs of twelve characters is a number."""
_LIMIT, _DECIMALS, _ROUNDING = 10**8, 6, 1e-12
_LIMITS = frozenset({2**31 - 1, 2**31, 2**32 - 1, 2**53 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1, *(10**power for power in range(8, 19))})
"""Largest values of number types, as used in schemas."""
_TIMES = frozenset({"created", "created_at", "expires_at", "completed_at"})
_SINCE, _UNTIL = 1_400_000_000, 2_200_000_000
"""Seconds: 2014 to 2039."""

BODY = frozenset(
    (
        *("model", "messages", "prompt", "input", "suffix", "instructions", "tools", "tool_choice", "parallel_tool_calls", "functions"),
        *("function_call", "response_format", "text", "reasoning", "reasoning_effort", "verbosity", "modalities", "audio", "prediction"),
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "max_tool_calls", "n", "best_of", "echo", "logprobs", "top_logprobs"),
        *("logit_bias", "temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "seed", "stop", "stream"),
        *("stream_options", "store", "background", "include", "metadata", "user", "safety_identifier", "prompt_cache_key", "truncation"),
        *("prompt_cache_retention", "service_tier", "web_search_options", "dimensions", "encoding_format", "context_management"),
        *("previous_response_id", "conversation"),
    )
)
"""Fields of a body that the interface knows, on any route. In any other field, nothing is structure."""
MESSAGE = frozenset(
    (
        *("role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal", "audio", "annotations", "id", "type"),
        *("status", "reasoning", "reasoning_content", "reasoning_details", "summary"),
    )
)
"""Fields of a message that the interface knows."""
ITEMS = frozenset(
    (
        *("message", "reasoning", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output", "compaction"),
        *("web_search_call", "file_search_call", "tool_search_call", "tool_search_output", "code_interpreter_call", "computer_call"),
        *("computer_call_output", "image_generation_call", "local_shell_call", "local_shell_call_output", "shell_call", "mcp_call"),
        *("shell_call_output", "apply_patch_call", "apply_patch_call_output", "mcp_list_tools", "mcp_approval_request"),
        *("mcp_approval_response", "image_url"),
    )
)
"""Types of items directly in `input`, besides texts. Their fields show which parts are bytes."""
SCHEMAS = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
"""Objects whose field names the client chose, and whose values are schemas."""
VALUES = frozenset({"default", "examples", "const"})
"""Fields of a schema that hold values, which may be personal."""
COUNTED = frozenset(
    (
        *("seed", "created", "created_at", "expires_at", "n", "best_of", "logprobs", "top_logprobs", "top_k", "dimensions", "temperature"),
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "max_tool_calls", "max_num_results", "compact_threshold", "top_p"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems"),
        *("minProperties", "maxProperties", "minContains", "maxContains", "presence_penalty", "frequency_penalty", "score_threshold"),
        *("output_compression", "partial_images", "timeout_ms", "max_output_length"),
    )
)
"""Numbers of the interface and of schemas: a text in their place would be rejected."""

TEXT_PARTS = frozenset({"text", "input_text", "output_text", "refusal", "summary_text", "reasoning_text"})
_FILES = frozenset(
    (
        *("file_data", "file_id", "file_url", "file_ids", "image_url", "video_url", "audio_url", "document_url", "input_audio"),
        "vector_store_ids",
    )
)
_BYTES = frozenset({"url", "data"})
"""An object in a file field that has none of these describes a field of that name in a schema."""
_MEDIUM = re.compile(r"(?:(?:input|output)_)?(?:image|audio|video|file|document|media)(?:_url)?|computer_screenshot|input_(?!text\Z).*")
"""Types of parts that are not text, given by an address or by bytes."""


def is_structure(name: str, value: Any, above: str, around: str) -> bool:
    """Return True if a value is a name or a word of the interface, or a list of these.

    `above`: the tool or schema of the object. `around`: the field that it is in.
    """
    if name in _SEALED:
        return _is_sealed(value)
    if name.casefold() == "authorization" and around in ("tools", "headers"):
        return isinstance(value, str) and _KEY.fullmatch(value) is not None
    shape = _WORD if name in _WORDS else _TOKEN if name in _NAMES or (name == "name" and above) else None
    words = value if isinstance(value, list) else [value]
    return shape is not None and all(isinstance(word, str) and shape.fullmatch(word) for word in words)


def _is_sealed(value: Any) -> bool:
    """Return True if a value looks like encrypted bytes in base64: mixed, without a long number, and evenly spread when decoded."""
    if not isinstance(value, str) or not _BASE64.fullmatch(value) or _LONG_NUMBER.search(value):
        return False
    if not all(any(map(is_one, value)) for is_one in (str.isupper, str.islower, str.isdigit)):
        return False
    plain = value.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        content = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except ValueError:
        return False
    return _looks_encrypted(content)


def _looks_encrypted(content: bytes) -> bool:
    """Return True if bytes are as evenly spread as encrypted ones, and begin as no packed file does."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        return False
    high = sum(byte > 0x7F for byte in content)
    even = abs(high - len(content) / 2) <= _SPREAD * len(content) ** 0.5 / 2
    return even and not content.startswith(_PACKED)


def is_unread(name: str, value: Any) -> bool:
    """Return True if a field that the upstream wrote for itself holds base64 that is not what it wrote: it may hide anything."""
    return (
        name in _SEALED
        and isinstance(value, str)
        and _BASE64.fullmatch(value) is not None
        and all(any(map(is_one, value)) for is_one in (str.isupper, str.islower, str.isdigit))
        and not _is_sealed(value)
    )


def is_ordinary(name: str, value: float) -> bool:
    """Return True if a number of the interface has a usual size: up to eight digits, the limit of a number type, or a plausible time."""
    if isinstance(value, float) and not value.is_integer():
        return abs(value) < _LIMIT and abs(value - round(value, _DECIMALS)) < _ROUNDING
    return abs(value) < _LIMIT or abs(value) in _LIMITS or (name in _TIMES and _SINCE < value < _UNTIL)


def is_model(value: Any) -> bool:
    """Return True if a value looks like the name of a model."""
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def is_file(name: str, value: Any) -> bool:
    """Return True if a field holds a file, an image or a sound, or its address."""
    return name in _FILES and bool(value) and not (isinstance(value, dict) and not value.keys() & _BYTES)


def is_medium(value: Any) -> bool:
    """Return True if an object's type says that it is not text."""
    kind = value.get("type") if isinstance(value, dict) else None
    return isinstance(kind, str) and _MEDIUM.fullmatch(kind) is not None


_PATH_WORDS = frozenset(
    (
        *("chat", "completions", "responses", "embeddings", "moderations", "models", "files", "content", "uploads", "parts", "complete"),
        *("input_items", "input_tokens", "conversations", "items", "batches", "cancel", "assistants", "threads", "messages", "runs"),
        *("steps", "submit_tool_outputs", "vector_stores", "file_batches", "search", "images", "generations", "edits", "variations"),
        *("audio", "speech", "transcriptions", "translations", "fine_tuning", "jobs", "events", "checkpoints", "permissions", "pause"),
        *("resume", "containers", "evals", "videos", "realtime", "sessions", "usage", "limit", "order", "after", "before", "asc", "desc"),
        *("include", "purpose", "stream", "starting_after", "metadata", "filter", "model", "true", "false", "fine-tune"),
        *("assistants_output", "batch", "created_at", "user", "all", "in_progress", "completed", "failed", "cancelled", "api-version"),
        *("v1", "engines", "deployments"),
    )
)
"""Words in the paths and queries of OpenAI's interface."""
_ID = re.compile(
    r"(?:[a-z]{2,20}[_-])?"
    r"(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|(?=(?:[A-Za-z]*[0-9]+[A-Za-z]+){2})[A-Za-z0-9]{16,255})"
)
"""A UUID, or a long, well mixed row of letters and digits, alone or after a short word: ids made by servers, never a person's name."""
_LONGEST_ID = 300
_APART = re.compile(r"[^\W\d_][\W_]+[^\W\d_]")


@dataclass(frozen=True, slots=True)
class UnknownParts:
    """Parts of an address that are neither a word of the interface nor an id.

    Attributes:
        texts: parts that may be language.
        coded: parts with a digit and without two words: only a pattern can show that they are personal.
    """

    texts: tuple[str, ...]
    coded: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.texts or self.coded)


def unknown_parts(steps: Iterable[str], query: Iterable[tuple[str, str]]) -> UnknownParts:
    """Return the parts to read in the steps of a path and in the names and values of a query.

    A name may describe its value (`cvv=123`). The step after `models` is a model's name, which is not language, and which bodies send as
    well.
    """
    texts: dict[str, None] = {}
    coded: dict[str, None] = {}

    def take(text: str, language: bool = True) -> bool:
        if not text.strip() or text in _PATH_WORDS or (len(text) <= _LONGEST_ID and _ID.fullmatch(text)):
            return False
        plain = language and (_APART.search(text) or not any(map(str.isdigit, text)))
        (texts if plain else coded)[text] = None
        return True

    before = True
    for step in steps:
        take(step, before)
        before = before and step != "models"
    for name, value in query:
        take(name)
        if take(value):
            coded[f"{name}: {value}"] = None
    return UnknownParts(tuple(texts), tuple(coded))
