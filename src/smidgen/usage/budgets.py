"""Budgets: the limits of one run's teacher, and of the upstreams' cost in a day (UTC), in total, by key and by model.

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
from typing import Annotated

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
        raise RecipeError("the budget file has mistakes", value=str(file), todo="Correct:", mistakes=[_UNBOUNDED])
    usd = {ALL: min(totals)} if totals else {}
    usd |= {f"key:{name}": entry.day for name, entry in found.key.items()}
    usd |= {f"model:{name}": entry.day for name, entry in found.model.items()}
    if found.others is not None:
        usd[OTHERS] = found.others.day
    return DailyBudget(usd, {name: entry.sha256 for name, entry in found.key.items()})


def today(now: datetime | None = None) -> str:
    """The day that a request counts in, in UTC."""
    return (now or datetime.now(UTC)).astimezone(UTC).date().isoformat()


def until_tomorrow(now: datetime | None = None) -> float:
    """Seconds until the next day begins."""
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    return ((moment + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0) - moment).total_seconds()


def _read(file: Path) -> _BudgetFile:
    todo = "Name a TOML file with the budgets; docs/reference/formats.md shows one."
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise InputError("the budget file is too large", value=str(file), todo=todo)
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError("the file of budgets cannot be read", value=f"{file}: {error.strerror}", todo=todo) from None
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, or nested too deep
        raise InputError(f"the file of budgets is not TOML ({error})", value=str(file), todo=todo) from None
    try:
        found = _BudgetFile.model_validate(tree)
    except ValidationError as error:
        mistakes = [f"{'.'.join(map(str, fault['loc']))}: {mistake_in(fault)}" for fault in error.errors()]
        raise RecipeError("the budget file has mistakes", value=str(file), todo="Correct:", mistakes=mistakes) from None
    mistakes = list(_clashes(found))
    if mistakes:
        raise RecipeError("the budget file has mistakes", value=str(file), todo="Correct:", mistakes=mistakes)
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
