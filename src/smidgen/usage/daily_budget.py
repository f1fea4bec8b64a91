"""Budgets: how much may be spent on upstreams in a day (UTC): in all, by each key, by each model.

```toml
day = 20.00                 # US dollars, all requests together

[key.shop]                  # a name of yours
sha256 = "9f86d081884c"     # how the SHA-256 of the client's key begins
day = 5.00

[model."gpt-6-sol"]         # as the upstream is asked for it
day = 10.00

[others]                    # requests with any other key, or none, together
day = 1.00
```
"""

from __future__ import annotations

import hashlib
import itertools
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from smidgen.core.errors import InputError, RecipeError

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
    """The limits.

    Attributes:
        usd: dollars a day, by scope: `all`, `key:NAME`, `key:others`, `model:NAME`.
        keys: names of keys, each with how the SHA-256 of the key begins.
    """

    usd: Mapping[str, float]
    keys: Mapping[str, str] = field(default_factory=dict)

    def key_scope(self, secret: bytes) -> str:
        """The scope of requests with this key; empty for none."""
        digest = hashlib.sha256(secret).hexdigest() if secret else ""
        return next((f"key:{name}" for name, prefix in self.keys.items() if digest.startswith(prefix)), OTHERS)


def daily_budget(day: float | None, file: Path | None) -> DailyBudget | None:
    """The budget of `--budget-day` and of a file of budgets; None where there is neither. Where both name an amount for all, the smaller
    one counts. Raises InputError for a file that cannot be read, RecipeError with every mistake in it; one is to bound some keys, and
    nothing else."""
    if day is None and file is None:
        return None
    found = _read(file) if file is not None else _BudgetFile()
    totals = [amount for amount in (day, found.day) if amount is not None]
    if found.key and found.others is None and not totals:
        raise RecipeError("the file of budgets has mistakes", value=str(file), todo="Mend:", mistakes=[_UNBOUNDED])
    usd = {ALL: min(totals)} if totals else {}
    usd |= {f"key:{name}": entry.day for name, entry in found.key.items()}
    usd |= {f"model:{name}": entry.day for name, entry in found.model.items()}
    if found.others is not None:
        usd[OTHERS] = found.others.day
    return DailyBudget(usd, {name: entry.sha256 for name, entry in found.key.items()})


def today(now: datetime | None = None) -> str:
    """The day that a request counts in: UTC."""
    return (now or datetime.now(UTC)).astimezone(UTC).date().isoformat()


def until_tomorrow(now: datetime | None = None) -> float:
    """Seconds until the next day begins."""
    moment = (now or datetime.now(UTC)).astimezone(UTC)
    return ((moment + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0) - moment).total_seconds()


def _read(file: Path) -> _BudgetFile:
    todo = "Name a TOML file with the budgets; docs/reference/formats.md shows one."
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise InputError("the file of budgets is too large", value=str(file), todo=todo)
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError("the file of budgets cannot be read", value=f"{file}: {error.strerror}", todo=todo) from None
    except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, or nested too deep
        raise InputError(f"the file of budgets is not TOML ({error})", value=str(file), todo=todo) from None
    try:
        found = _BudgetFile.model_validate(tree)
    except ValidationError as error:
        mistakes = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise RecipeError("the file of budgets has mistakes", value=str(file), todo="Mend:", mistakes=mistakes) from None
    mistakes = list(_clashes(found))
    if mistakes:
        raise RecipeError("the file of budgets has mistakes", value=str(file), todo="Mend:", mistakes=mistakes)
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
