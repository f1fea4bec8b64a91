"""Findings about the languages and scripts of the texts."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict

from smidgen.data.inspection import EXAMPLES, DataFinding, Survey
from smidgen.text.words import READ
from smidgen.text.words import languages as identified

LOOKED_AT = 20_000
_SHARE = 0.005


def look(survey: Survey) -> list[DataFinding]:
    """Report the languages of a sample of the texts. Short texts, and texts with an unsure result, are left out.

    Raises MissingExtra if the identifier is not installed.
    """
    if not survey.rows:
        return []
    places = survey.sample(LOOKED_AT)
    languages: dict[str, list[int]] = defaultdict(list)
    scripts: Counter[str] = Counter()
    told = 0
    for place, language in zip(places, identified([survey.texts[place] for place in places]), strict=True):
        scripts[_script(survey.texts[place][:READ])] += 1
        if language is not None:
            languages[language].append(survey.rows[place].number)
            told += 1
    common = {language: rows for language, rows in languages.items() if len(rows) >= max(2, _SHARE * told)}
    if not common:
        return [DataFinding("language", "note", 0, "the texts are too short to tell their language", details={"scripts": dict(scripts)})]
    ordered = sorted(common, key=lambda language: -len(common[language]))
    shares = {language: round(len(common[language]) / told, 4) for language in ordered}
    details = {"languages": shares, "scripts": dict(scripts.most_common()), "texts": told}
    main = ordered[0]
    if len(ordered) == 1:
        return [DataFinding("language", "note", len(common[main]), f"the texts are in one language: {main}", details=details)]
    others = [row for language in ordered[1:] for row in common[language]]
    listed = ", ".join(f"{language} {shares[language]:.1%}" for language in ordered[:6])
    return [
        DataFinding(
            "language",
            "warning" if main != "en" or len(others) > 0.05 * told else "note",
            len(others),
            f"the texts are in several languages: {listed}",
            "The starter base reads English best: for others take a multilingual base, or keep one language.",
            tuple(others[:EXAMPLES]),
            details,
        )
    ]


def _script(text: str) -> str:
    """The script of a text's first letter outside ASCII, or LATIN."""
    for character in text:
        if not character.isascii() and character.isalpha():
            return unicodedata.name(character, "UNKNOWN").split()[0]
    return "LATIN"


part = look
