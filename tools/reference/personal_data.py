"""Personal data: its kinds, and what each policy does about them."""

from __future__ import annotations

from smidgen.privacy.policy import KINDS, PROFILES
from tools.reference.tables import table


def parts() -> dict[str, str]:
    """A row for each kind, with its action under each policy."""
    heads = ("kind", "what it is", *(f"`{name}`" for name in PROFILES))
    rows = [(f"`{kind}`", what, *(policy.of(kind).value for policy in PROFILES.values())) for kind, what in KINDS.items()]
    return {"kinds": table(heads, rows)}
