"""The server's own words to visitors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "yes": "Yes, do it",
        "no": "No",
        "handed_over": "I have passed this on to our team. A person will answer you here.",
        "handed_over_email": "I have passed this on to our team. A person will answer you here, or write to {email}.",
        "unclear": "I cannot tell whether that was done, so I will not try it a second time. A person will look at it.",
    },
    "de": {
        "yes": "Ja, bitte",
        "no": "Nein",
        "handed_over": "Ich habe das an unser Team weitergegeben. Ein Mensch antwortet Ihnen hier.",
        "handed_over_email": "Ich habe das an unser Team weitergegeben. Ein Mensch antwortet Ihnen hier oder schreibt an {email}.",
        "unclear": "Ich weiß nicht, ob das getan wurde, und versuche es deshalb kein zweites Mal. Ein Mensch sieht es sich an.",
    },
}


def words(language: str, name: str, **values: str) -> str:
    """A text in a language, English where there is none; `{name}` stands for a value."""
    text = _WORDS.get(language, _WORDS["en"])[name]
    for key, value in values.items():
        text = text.replace(f"{{{key}}}", value)
    return text
