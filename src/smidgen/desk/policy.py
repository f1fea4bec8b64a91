"""The policy of a desk: which intent goes where, what is said in fixed words, when people are there, when to hand over.

It is a TOML file that the owner of a shop can read and change:

    languages = ["en", "de"]

    [intents]
    "order/status" = "act order_status"
    "order/cancel" = ["act cancel_order", "answer"]
    "product/recommendation" = "recommend"
    "feedback/praise" = "say thanks"
    "contact/human" = "person"
    "*" = "answer"

    [texts.thanks]
    en = "Thank you!"

Several steps for an intent are tried in order; the first that can answer does. `*` stands for any characters.
"""

from __future__ import annotations

import fnmatch
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from smidgen.core.errors import RecipeError
from smidgen.text.opening_hours import WEEKDAYS, read_exact_day

_LIMIT_BYTES = 200_000
_MOST_STEPS = 5
_STEP = re.compile(r"(answer|act|recommend|person)|act ([A-Za-z_][\w.-]{0,63})|say ([a-z][a-z0-9_]{0,40})")
REDACTION = "redaction"
"""The role of the member that answers nothing: it finds what must not be kept or passed on."""

Words = Mapping[str, str]
"""A text in several languages, by language: `en`, `de`."""


def _steps(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


def _known_step(step: str) -> str:
    if not _STEP.fullmatch(step):
        raise ValueError(f"must be answer, act, act TOOL, recommend, person or say TEXT, not {step!r}")
    return step


def _open_hours(given: str) -> str:
    if read_exact_day(given) is None:
        raise ValueError(f'must be hours such as "09:00-17:30", several joined by commas, or empty for a closed day, not {given!r}')
    return given


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f'must be a time zone such as "Europe/London", not {name!r}') from None
    return name


Steps = Annotated[
    tuple[Annotated[str, AfterValidator(_known_step)], ...], BeforeValidator(_steps), Field(min_length=1, max_length=_MOST_STEPS)
]
OpenHours = Annotated[str, AfterValidator(_open_hours)]


class _PolicyPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Hours(_PolicyPart):
    """When people of the business are there: for each day hours such as `09:00-17:30`, several joined by commas, empty for a closed day.

    `timezone`: of these hours. `closed`: dates on which nobody is there, such as `2026-12-25`.
    """

    timezone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    monday: OpenHours = ""
    tuesday: OpenHours = ""
    wednesday: OpenHours = ""
    thursday: OpenHours = ""
    friday: OpenHours = ""
    saturday: OpenHours = ""
    sunday: OpenHours = ""
    closed: tuple[Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")], ...] = ()

    def open_at(self, moment: datetime) -> bool:
        """Whether people are there at a moment, which must have a time zone."""
        here = moment.astimezone(ZoneInfo(self.timezone))
        if here.date().isoformat() in self.closed:
            return False
        now = 3600 * here.hour + 60 * here.minute
        return any(opens <= now < closes for opens, closes in read_exact_day(getattr(self, WEEKDAYS[here.weekday()])) or ())


class HandOver(_PolicyPart):
    """When the desk passes a conversation to a person by itself: after so many messages in a row that it could not answer (0: never)."""

    after_unanswered: int = Field(default=2, ge=0, le=20)


class CustomerPrivacy(_PolicyPart):
    """Rules for the personal data of customers.

    Attributes:
        policy: `mask`, `health` or `card`, as at the gateway; `off` for nothing.
        kinds: the action for single kinds, such as `place=allow`.
        stored: whether it is replaced in what is kept of conversations.
        handed_over: whether it is replaced in what people and webhooks are told.
        fallback: whether it is replaced in requests to the large model behind the desk.
    """

    policy: Literal["off", "mask", "health", "card"] = "off"
    kinds: tuple[str, ...] = ()
    stored: bool = True
    handed_over: bool = True
    fallback: bool = True


class DeskPolicy(_PolicyPart):
    """A desk's policy.

    Attributes:
        languages: those that it speaks, the first where a customer's is unknown.
        intents: the steps for each intent, by name or pattern; the first pattern that fits counts.
        unknown: the steps for a message without a recognised intent.
        least_intent: the probability from which an intent counts as recognised.
        least_act, least_recommend: the probability from which a call, and a list of suggestions, counts as understood.
        hours: when people are there.
        hand_over: when the desk hands over by itself.
        privacy: what happens to the personal data of customers.
        texts: fixed texts by name and language; a name of `texts.py` replaces that text, others are said by `say NAME`.
    """

    languages: tuple[Literal["en", "de"], ...] = Field(default=("en",), min_length=1)
    intents: dict[str, Steps] = Field(default_factory=dict)
    unknown: Steps = ("answer",)
    least_intent: float = Field(default=0.5, ge=0, le=1)
    least_act: float = Field(default=0.5, ge=0, le=1)
    least_recommend: float = Field(default=0.0, ge=0, le=1)
    hours: Hours = Hours()
    hand_over: HandOver = HandOver()
    privacy: CustomerPrivacy = CustomerPrivacy()
    texts: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")], dict[str, str]] = Field(default_factory=dict)

    def steps(self, intent: str) -> Sequence[str]:
        """The steps for an intent; those of unknown ones where it is empty, or no pattern fits."""
        found = next((steps for pattern, steps in self.intents.items() if fnmatch.fnmatchcase(intent, pattern)), None) if intent else None
        return found if found is not None else self.unknown

    def is_known(self, intent: str) -> bool:
        """Whether a pattern names an intent, other than the one that fits any."""
        return any(pattern != "*" and fnmatch.fnmatchcase(intent, pattern) for pattern in self.intents)

    def said_by_name(self) -> set[str]:
        """The names of all texts that a step says."""
        every = [*self.unknown, *(step for steps in self.intents.values() for step in steps)]
        return {found[3] for step in every if (found := _STEP.fullmatch(step)) and found[3]}

    def tools(self) -> set[str]:
        """The names of all tools that a step names."""
        every = [*self.unknown, *(step for steps in self.intents.values() for step in steps)]
        return {found[2] for step in every if (found := _STEP.fullmatch(step)) and found[2]}


def read_policy(file: Path) -> DeskPolicy:
    """Read a policy file. Raises RecipeError with every mistake in it."""
    if not file.is_file():
        raise RecipeError("desk.there_is_no_such_policy_file", value=str(file))
    if file.stat().st_size > _LIMIT_BYTES:
        raise RecipeError("desk.policy_file_is_too_large", st_size=file.stat().st_size)
    try:
        return parse_policy(file.read_text(encoding="utf-8"), file.name)
    except UnicodeDecodeError:
        raise RecipeError("desk.policy_file_is_not_utf_8", value=file.name) from None


def parse_policy(text: str, source: str) -> DeskPolicy:
    """The policy in a TOML text. Raises RecipeError with every mistake in it."""
    try:
        return DeskPolicy.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError("desk.policy_is_not_toml", value=source, error=error) from None
    except RecursionError:
        raise RecipeError("desk.policy_is_nested_too_deep", value=source) from None
    except ValidationError as error:
        mistakes = [_mistake(entry["loc"], entry["msg"]) for entry in error.errors()]
        raise RecipeError("desk.policy_has_mistakes", value=source, mistakes=mistakes) from None


def _mistake(place: Sequence[Any], message: str) -> str:
    return f"{'.'.join(str(step) for step in place)}: {message.removeprefix('Value error, ')}"
