"""The policy of the privacy border: mask each kind of personal data, mask it beside a person, block the request, or allow it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from smidgen.core.errors import InputError, UnknownPart

FILE = "file"
"""The kind of content that cannot be read and checked: images, sound, files, token numbers, bodies that are not JSON of a known route."""

KINDS: Mapping[str, str] = {
    "person": "names of people",
    "place": "towns, countries, regions",
    "address": "streets, boxes, postcodes",
    "organisation": "companies, offices, hospitals",
    "date": "days, and months of a year",
    "age": "ages of 90 and more",
    "phone": "telephone and fax numbers",
    "email": "e-mail addresses",
    "url": "web addresses",
    "ip": "IP addresses",
    "id": "social security, passport, licence, tax, insurance, patient and account numbers, vehicles",
    "device": "serial numbers and hardware addresses of devices",
    "iban": "bank accounts",
    "card": "payment card numbers",
    "expiry": "when a card runs out, near its number",
    "cvv": "card security codes",
    "track": "what a card's magnetic stripe holds",
    "number": "nine digits and more of no known form",
    FILE: "what cannot be read: images, sound, files, bodies that are no JSON of a known route",
}
"""The kinds that every border knows, with descriptions."""


class Action(StrEnum):
    """The action for a kind."""

    MASK = "mask"
    BESIDE = "beside"
    """Mask only if a text of the request identifies a person: a town or a company alone is not personal."""
    BLOCK = "block"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True)
class Policy:
    """The action for each kind.

    Attributes:
        name: name of the profile.
        others: action for kinds that `actions` does not name: those of the user's own redaction model.
        actions: actions for single kinds.
    """

    name: str
    others: Action
    actions: Mapping[str, Action] = field(default_factory=dict)

    def of(self, kind: str) -> Action:
        """Return the action for a kind."""
        return self.actions.get(kind, self.others)

    def beside_person(self, kinds: Iterable[str]) -> frozenset[str]:
        """Return the kinds that are masked only beside a person."""
        return frozenset(kind for kind in kinds if self.of(kind) is Action.BESIDE)

    def allowed(self, kinds: Iterable[str]) -> frozenset[str]:
        """Return the kinds that are allowed."""
        return frozenset(kind for kind in kinds if self.of(kind) is Action.ALLOW)


_BESIDE = dict.fromkeys(("place", "organisation", "date"), Action.BESIDE)
_CARD = {"card": Action.MASK, "expiry": Action.MASK, "cvv": Action.BLOCK, "track": Action.BLOCK, FILE: Action.BLOCK}
"""Codes and stripes, which PCI DSS forbids to keep after a payment, block a request. The rest of a card is masked."""

PROFILES: Mapping[str, Policy] = {
    "mask": Policy("mask", Action.MASK, {**_BESIDE, "age": Action.ALLOW, FILE: Action.BLOCK}),
    "block": Policy("block", Action.BLOCK, {**_BESIDE, "age": Action.ALLOW}),
    "health": Policy("health", Action.MASK, {FILE: Action.BLOCK}),
    "card": Policy("card", Action.ALLOW, _CARD),
}
"""Ready policies. Ages, and places, organisations and dates on their own, are personal only by the rule for health data."""


def policy_of(profile: str, given: Sequence[str] = (), kinds: Iterable[str] = ()) -> Policy:
    """Return a ready policy, changed for single kinds (`card=block`). `kinds`: those that a redaction model knows besides `KINDS`.

    Raises InputError for an unknown action, for a kind that is unknown or named twice, and for masked files.
    """
    ready = PROFILES[profile]
    known = [*KINDS, *(kind for kind in kinds if kind not in KINDS)]
    changes: dict[str, Action] = {}
    for word in given:
        kind, _, action = (part.strip() for part in word.partition("="))
        if kind not in known:
            raise UnknownPart("kind of personal data", kind, known)
        if action not in list(Action):
            close = difflib.get_close_matches(action, list(Action), n=1)
            raise InputError(
                "privacy.action_for_kind_may_be_misspelt" if close else "privacy.action_for_kind_is_unknown",
                value=word,
                kind=kind,
                close=close[0] if close else None,
            )
        if kind in changes:
            raise InputError("privacy.kind_is_named_twice", value=kind)
        if kind == FILE and action in (Action.MASK, Action.BESIDE):
            raise InputError("privacy.file_cannot_be_masked", value=word)
        changes[kind] = Action(action)
    return Policy(ready.name, ready.others, {**ready.actions, **changes})
