"""The name of a field as words: `cardCode`, `card_code`, `card-code` and `CARDCode` say what `card code` does."""

from __future__ import annotations

import re

_APART = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\W_]+")
"""Where a name has its next word."""
_LONGEST = 30
"""Characters of a name that are read, its last ones."""


def words(*names: str) -> str:
    """The words of names, the outermost field's first, with blanks between them."""
    return " ".join(filter(None, (_APART.sub(" ", name[-_LONGEST:]).strip() for name in names)))
