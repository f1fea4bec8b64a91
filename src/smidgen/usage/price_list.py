"""The dated price list of large models: `prices.json`, or a user's file of the same form. All mistakes are reported at once."""

from __future__ import annotations

import datetime
import difflib
import json
import math
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from smidgen.core.errors import InputError, RecipeError

_NEEDED = ("name", "input", "output", "date")
_TEXTS = ("provider", "source", "note")
_KNOWN = (*_NEEDED, *_TEXTS)
_LIMIT_BYTES = 5_000_000
_APART = re.compile(r"[^a-z0-9.]+")
OLD_DAYS = 120
"""Age in days from which prices should be checked again."""


def packaged() -> Path:
    """The price list that comes with smidgen, to copy and edit."""
    return Path(str(resources.files("smidgen.usage").joinpath("prices.json")))


def read(file: Path | None = None) -> dict[str, Any]:
    """Read the price list in a file, else the one that comes with smidgen.

    Returns `as_of`, `note` and `models`, each with `name`, `input` and `output` in US dollars per million tokens, `date`, and `provider`,
    `source` and `note`, which may be empty. Raises InputError for a file that cannot be read, RecipeError with every mistake, each with its
    entry.
    """
    place = file or packaged()
    try:
        if place.stat().st_size > _LIMIT_BYTES:
            raise InputError("usage.file_is_too_large_for_price_list", value=str(place))
        table = json.loads(place.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError("usage.price_list_cannot_be_read", value=f"{place}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError("usage.price_list_is_not_text_in_utf_8", value=str(place)) from None
    except (ValueError, RecursionError) as error:
        raise InputError("usage.price_list_is_not_json", value=str(place), error=error, packaged=packaged()) from None
    mistakes = list(_mistakes(table))
    if mistakes:
        raise RecipeError("usage.price_list_has_mistakes", value=str(place), packaged=packaged(), mistakes=mistakes)
    return {**table, "models": [{**dict.fromkeys(_TEXTS, ""), **entry} for entry in table["models"]]}


def age(date: str, today: datetime.date | None = None) -> int:
    """Days since a date of the list (`2026-11-25`). Raises ValueError if it is not a date."""
    return ((today or datetime.date.today()) - datetime.date.fromisoformat(date)).days


def spelt(name: str) -> str:
    """Normalise a model's name for comparison: without a provider, in one spelling (`openai/gpt-6-luna` is `GPT-6 Luna`)."""
    return _APART.sub("-", name.rpartition("/")[2].casefold()).strip("-")


def _mistakes(table: Any) -> Iterator[str]:
    if not isinstance(table, dict):
        yield "the file: an object with as_of and models is expected"
        return
    if not _is_date(table.get("as_of")):
        yield f"as_of: a date such as 2026-11-25 is expected, not {table.get('as_of')!r}"
    models = table.get("models")
    if not isinstance(models, list) or not models:
        yield "models: a list with one entry or more is expected"
        return
    names: dict[str, int] = {}
    for number, entry in enumerate(models, 1):
        place = f"entry {number}"
        if not isinstance(entry, dict):
            yield f"{place}: an object is expected, not {str(entry)[:40]!r}"
            continue
        name = entry.get("name")
        if isinstance(name, str) and name.strip():
            place = f"entry {number} ({name})"
            if name.casefold() in names:
                yield f"{place}: entry {names[name.casefold()]} has this name, too"
            names.setdefault(name.casefold(), number)
        yield from (f"{place}: {fault}" for fault in _faults(entry))


def _faults(entry: dict[str, Any]) -> Iterator[str]:
    for field in _NEEDED:
        if field not in entry:
            yield f"{field} is missing"
    for field, value in entry.items():
        if field not in _KNOWN:
            close = difflib.get_close_matches(field, _KNOWN, n=1)
            yield f"there is no field {field!r}" + (f"; did you mean {close[0]!r}?" if close else "")
        elif field in ("input", "output"):
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
                yield f"{field}: dollars per million tokens are expected, 0 or more, not {value!r}"
        elif field == "date":
            if not _is_date(value):
                yield f"date: a date such as 2026-11-25 is expected, not {value!r}"
        elif not isinstance(value, str) or (field == "name" and not value.strip()):
            yield f"{field}: a text is expected, not {value!r}"


def _is_date(value: Any) -> bool:
    try:
        datetime.date.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True
