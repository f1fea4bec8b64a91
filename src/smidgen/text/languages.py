"""The language of a text, as py3langid's model tells it."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from smidgen.core.errors import MissingExtra

READ = 2000
"""Characters of a text that are read."""
_SHORTEST = 15
"""Characters; under this a language can hardly be told."""
_SURE = 0.5


def languages(texts: Iterable[str]) -> list[str | None]:
    """The language of each text, as its ISO 639-1 code; None for one that is too short to tell, or where the identifier is less sure than
    not.

    Raises MissingExtra where the identifier is not installed.
    """
    identifier = _identifier()
    found: list[str | None] = []
    for text in texts:
        read = text[:READ]
        language, sure = identifier.classify(read) if len(read) >= _SHORTEST or not read.isascii() else ("", 0.0)
        found.append(str(language) if sure >= _SURE else None)
    return found


@functools.cache
def _identifier() -> Any:
    """The identifier with its model, 5 MB, loaded once."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise MissingExtra("py3langid", "train") from error
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
