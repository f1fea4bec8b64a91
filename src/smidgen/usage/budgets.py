"""Budgets: limits of one run's teacher and of the upstreams' cost in a day (UTC), and the most tokens that a request can take.

Daily budgets are a TOML file:

```toml
day = 20.00                 # US dollars, all requests together

[key.shop]                  # a name of yours
sha256 = "9f86d081884c"     # the first digits of the SHA-256 of the client's key
day = 5.00

[model."gpt-6-sol"]         # the name that the upstream is asked for
day = 10.00

[others]                    # requests with any other key, or none, together
day = 1.00
```
"""

from __future__ import annotations

import hashlib
import itertools
import threading
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from smidgen.core.errors import InputError, RecipeError
from smidgen.core.settings import mistake_in


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """Dollars for a million tokens in, and out."""

    tokens_in: float = 0.0
    tokens_out: float = 0.0

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """Dollars."""
        return (tokens_in * self.tokens_in + tokens_out * self.tokens_out) / 1e6


@dataclass(frozen=True, slots=True)
class TokenCount:
    """A number of tokens in, and out."""

    given: int = 0
    got: int = 0

    def __add__(self, other: TokenCount) -> TokenCount:
        return TokenCount(self.given + other.given, self.got + other.got)

    def __sub__(self, other: TokenCount) -> TokenCount:
        return TokenCount(self.given - other.given, self.got - other.got)

    @property
    def total(self) -> int:
        """Tokens in and out together."""
        return self.given + self.got


class RunBudget:
    """A run's budget: its limits, the amount spent, and the amount reserved. Thread-safe.

    Args:
        usd, tokens: the limits; None for none.
        price: of tokens.
    """

    def __init__(self, usd: float | None = None, tokens: int | None = None, price: TokenPrice | None = None) -> None:
        self.usd, self.tokens, self.price = usd, tokens, price or TokenPrice()
        self._spent = self._aside = TokenCount()
        self._lock = threading.Condition()

    @property
    def spent(self) -> TokenCount:
        """The tokens of all answers, of this run and of earlier ones."""
        return self._spent

    @property
    def spent_usd(self) -> float:
        """The dollars of all answers, of this run and of earlier ones."""
        return self.price.of(self._spent.given, self._spent.got)

    def share_left(self, plan: TokenCount) -> float:
        """The share of a plan that fits into the budget: 1 if all of it does."""
        with self._lock:
            used = self._spent + self._aside
        shares = [1.0]
        if self.tokens is not None and plan.total:
            shares.append((self.tokens - used.total) / plan.total)
        cost = self.price.of(plan.given, plan.got)
        if self.usd is not None and cost:
            shares.append((self.usd - self.price.of(used.given, used.got)) / cost)
        return max(0.0, min(shares))

    def reserve(self, most: TokenCount) -> bool:
        """Reserve tokens for a request. Returns False, and reserves nothing, if the request could exceed the budget.

        If there would be room once requests under way take less than was reserved for them, it waits for them.
        """
        with self._lock:
            while not self._fits(self._spent + self._aside + most):
                if not self._aside.total or not self._fits(self._spent + most):
                    return False
                self._lock.wait()
            self._aside = self._aside + most
            return True

    def _fits(self, after: TokenCount) -> bool:
        if self.tokens is not None and after.total > self.tokens:
            return False
        return self.usd is None or self.price.of(after.given, after.got) <= self.usd

    def settle(self, reserved: TokenCount, took: TokenCount) -> None:
        """End a request: release its reservation, and count the tokens it took as spent."""
        with self._lock:
            self._aside = self._aside - reserved
            self._spent = self._spent + took
            self._lock.notify_all()

    def charge(self, took: TokenCount) -> None:
        """Count the cost of an earlier run, so that runs together stay within the budget."""
        self.settle(TokenCount(), took)


ALL = "all"
OTHERS = "key:others"
_MOST_BYTES = 1_000_000
_MOST_USD = 1e9
_UNBOUNDED = (
    "others: keys have budgets, and a request with any other key, or with none, has no limit; write [others] with day = 1.00 (or day = "
    f"{_MOST_USD:.0f} where no limit is meant), or a day for all"
)
Usd = Annotated[float, Field(ge=0, le=_MOST_USD, allow_inf_nan=False)]


class _BudgetPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _DailyLimit(_BudgetPart):
    day: Usd


class _KeyLimit(_DailyLimit):
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]


class _BudgetFile(_BudgetPart):
    day: Usd | None = None
    key: dict[str, _KeyLimit] = Field(default_factory=dict, max_length=10_000)
    model: dict[str, _DailyLimit] = Field(default_factory=dict, max_length=10_000)
    others: _DailyLimit | None = None


@dataclass(frozen=True)
class DailyBudget:
    """The limits of daily spending.

    Attributes:
        usd: dollars a day, by scope: `all`, `key:NAME`, `key:others`, `model:NAME`.
        keys: names of keys, each with the first digits of the key's SHA-256.
    """

    usd: Mapping[str, float]
    keys: Mapping[str, str] = field(default_factory=dict)

    def key_scope(self, secret: bytes) -> str:
        """The scope of requests with this key; `key:others` if it is not named."""
        digest = hashlib.sha256(secret).hexdigest() if secret else ""
        return next((f"key:{name}" for name, prefix in self.keys.items() if digest.startswith(prefix)), OTHERS)


def daily_budget(day: float | None, file: Path | None) -> DailyBudget | None:
    """Combine `--budget-day` and a file of budgets; None if there is neither. If both limit the total, the smaller one counts.

    Raises InputError for a file that cannot be read, RecipeError with every mistake in it; one mistake is to limit some keys, and nothing
    else."""
    if day is None and file is None:
        return None
    found = _read(file) if file is not None else _BudgetFile()
    totals = [amount for amount in (day, found.day) if amount is not None]
    if found.key and found.others is None and not totals:
        raise RecipeError("usage.budget_file_has_mistakes", value=str(file), mistakes=[_UNBOUNDED])
    usd = {ALL: min(totals)} if totals else {}
    usd |= {f"key:{name}": entry.day for name, entry in found.key.items()}
    usd |= {f"model:{name}": entry.day for name, entry in found.model.items()}
    if found.others is not None:
        usd[OTHERS] = found.others.day
    return DailyBudget(usd, {name: entry.sha256 for name, entry in found.key.items()})


def until_tomorrow(now: datetime | None = None) -> float:
    """Seconds until the next day begins."""
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    return ((moment + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0) - moment).total_seconds()


def _read(file: Path) -> _BudgetFile:
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise InputError("usage.budget_file_is_too_large", value=str(file))
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError("usage.budget_file_cannot_be_read", value=f"{file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, or nested too deep
        raise InputError("usage.budget_file_is_not_toml", value=str(file), error=error) from None
    try:
        found = _BudgetFile.model_validate(tree)
    except ValidationError as error:
        mistakes = [f"{'.'.join(map(str, fault['loc']))}: {mistake_in(fault)}" for fault in error.errors()]
        raise RecipeError("usage.budget_file_has_mistakes", value=str(file), mistakes=mistakes) from None
    mistakes = list(_clashes(found))
    if mistakes:
        raise RecipeError("usage.budget_file_has_mistakes", value=str(file), mistakes=mistakes)
    return found


def _clashes(found: _BudgetFile) -> Iterator[str]:
    if not (found.key or found.model or found.others or found.day is not None):
        yield "the file: there is no amount in it"
    if "others" in found.key:
        yield "key.others: this name stands for all keys that are not listed; write [others]"
    ordered = sorted((entry.sha256, name) for name, entry in found.key.items())
    for (one, name), (other, second) in itertools.pairwise(ordered):
        if other.startswith(one):
            yield f"key.{second}: its hash begins as that of key.{name}: which one is meant is not clear"


WRITING_PATHS = frozenset({b"/chat/completions", b"/completions", b"/responses"})
READING_PATHS = frozenset({b"/embeddings"})
_FREE = frozenset({"GET", "HEAD", "DELETE"})
"""Methods whose requests make no model write."""
_FRAME = 1024
"""Tokens that a provider adds before all messages, including its instructions for tools. Around each message it adds fewer tokens than
JSON has signs there."""
_LIMITS = {
    b"/chat/completions": ("max_tokens", "max_completion_tokens"),
    b"/completions": ("max_tokens",),
    b"/responses": ("max_output_tokens",),
}
"""The fields that limit an answer, by path. A field that a path does not know limits nothing there."""
_ELSEWHERE = frozenset(
    {"previous_response_id", "conversation", "file_id", "file_url", "image_url", "input_audio", "image_file", "file_data"}
)
_PARTS = frozenset({"image_url", "input_image", "input_audio", "input_file", "file", "image_file", "image", "audio", "video_url"})
_FORMS = frozenset({"tools", "functions", "response_format", "text", "metadata", "logit_bias"})
"""Fields whose inner names are the client's own."""
_OWN_TOOLS = frozenset({"function", "custom"})
_PRICED: dict[str, tuple[Any, ...]] = {
    "web_search_options": (None,),
    "prediction": (None,),
    "modalities": (None, ["text"]),
    "audio": (None,),
    "service_tier": (None, "auto", "default", "flex"),
}
"""Fields that change the price, with the values that do not."""
_MOST_CHOICES, _SHOWN = 128, 60
_MOST_TOKENS = 10**12
"""More tokens than any budget pays for, that can still be counted."""
_SHARED = frozenset(
    (
        *("model", "stream", "stream_options", "user", "metadata", "store", "safety_identifier", "service_tier", "seed", "background"),
        *("prompt_cache_key", "prompt_cache_retention", "temperature", "top_p", "top_k", "min_p", "typical_p", "top_logprobs", "logprobs"),
        *("presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias", "stop", "stop_token_ids", "ignore_eos", "n"),
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "min_tokens", "best_of", "reasoning_effort", "verbosity"),
        *("parallel_tool_calls", "add_generation_prompt", "cache_prompt", "enable_thinking", "skip_special_tokens", *_PRICED),
        *("chat_template_kwargs", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs", "grammar"),
    )
)
_KNOWN = {
    b"/chat/completions": _SHARED | {"messages", "tools", "tool_choice", "functions", "function_call", "response_format"},
    b"/completions": _SHARED | {"prompt", "suffix", "echo"},
    b"/responses": _SHARED
    | _ELSEWHERE
    | {"input", "instructions", "tools", "tool_choice", "text", "reasoning", "include", "truncation", "prompt", "max_tool_calls"},
    b"/embeddings": frozenset({"model", "input", "dimensions", "encoding_format", "user", "truncate_prompt_tokens"}),
}
"""Fields that say how an answer is sampled, and those that `token_bound` takes into account. The cost of any other field is unknown."""


@dataclass(frozen=True, slots=True)
class TokenBound:
    """The most tokens that are read, and that are written."""

    given: int
    got: int


def is_free(method: str, tail: bytes) -> bool:
    """Whether a request costs nothing by the token, whatever its body."""
    return method in _FREE or tail in (b"/moderations", b"/models")


def token_bound(tail: bytes, body: Mapping[str, Any], size: int, unsaid: int) -> TokenBound | str:
    """The most tokens that a request can take, or the reason why that is unknown, a clause.

    A token of today's tokenizers is at least one byte; JSON writes a text in no fewer bytes than it has.

    Args:
        tail: the path after `/v1`.
        body: the request.
        size: its bytes.
        unsaid: the most tokens of an answer if the request sets no limit.
    """
    if tail not in WRITING_PATHS | READING_PATHS:
        return "what this path costs is not known"
    reason = next(_unseen(body), None)
    if reason is not None:
        return reason
    strange = next((name for name, value in body.items() if value is not None and name not in _KNOWN[tail]), None)
    if strange is not None:
        return f"what the field {strange[:_SHOWN]} costs is not known"
    given = size + _FRAME
    if tail in READING_PATHS:
        return TokenBound(given, 0)
    limits = [body[name] for name in _LIMITS[tail] if body.get(name) is not None]
    if not all(isinstance(limit, int) and not isinstance(limit, bool) and limit > 0 for limit in limits):
        limits = []  # the upstream may refuse it or not: nothing is known
    prompt = body.get("prompt")
    texts = len(prompt) if tail == b"/completions" and isinstance(prompt, list) and not all(isinstance(p, int) for p in prompt) else 1
    counts = [body[name] for name in ("n", "best_of") if body.get(name) is not None]
    if not all(isinstance(count, int) and not isinstance(count, bool) and 1 <= count <= _MOST_CHOICES for count in counts):
        return "the number of its choices is none"
    copies = max(1, texts) * max([1, *counts])
    got = (max(limits) if limits else unsaid) * copies
    return TokenBound(given, got) if got <= _MOST_TOKENS else "it asks for more tokens than can be counted"


def _unseen(value: Any, depth: int = 0) -> Iterator[str]:
    """Reasons why the request's cost is unbounded: it refers to content that is not text in it, or asks for more than writing."""
    if depth > 40:
        yield "it is nested too deeply"
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if name in _ELSEWHERE and inner not in (None, "", [], {}):
                yield f"the field {name} brings in what does not stand in it as text"
            elif name == "background" and inner:
                yield "what runs in the background is not seen to its end"
            elif depth == 0 and name == "prompt" and isinstance(inner, Mapping):
                yield "a stored prompt does not stand in it"
            elif depth == 0 and name == "tools" and isinstance(inner, list):
                for tool in inner:
                    kind = tool.get("type", "function") if isinstance(tool, Mapping) else None
                    if kind not in _OWN_TOOLS:
                        yield "a tool of the upstream's own has a price of its own"
            elif depth == 0 and name in _PRICED and inner not in _PRICED[name]:
                yield f"the field {name} has a price of its own"
            elif name == "type" and isinstance(inner, str) and inner in _PARTS:
                yield f"a part of the type {inner} is not text"
            if not (depth == 0 and name in _FORMS):
                yield from _unseen(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, Mapping | list):
                yield from _unseen(inner, depth + 1)
