"""Findings about single rows: unusable rows, texts too long or too short, personal data, and languages."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator

from smidgen.data.inspection import DataFinding, Survey, counted, verb
from smidgen.privacy.identifiers import identifier_spans
from smidgen.text.words import READ
from smidgen.text.words import languages as identified

LONG = 1_200
"""Characters: about 256 tokens of English, the reading limit of the starter encoder."""
SHORT = 3
_CHARACTERS = 20_000
"""Most characters of one text that are searched for personal data."""
LOOKED_AT = 20_000
_SHARE = 0.005
_MIXED = 0.05
"""Share of the texts in other languages from which the data counts as mixed."""
_MULTILINGUAL = (
    "Run `smidgen pull e5` once: a build then takes this base, which reads many languages, by itself. The starter reads English best."
)


def look(survey: Survey) -> Iterator[DataFinding]:
    """Unusable rows (an error if no other row is left), lengths, personal data."""
    if survey.unusable:
        reasons = Counter(error.fault for error in survey.unusable)
        why = "; ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common(4))
        yield DataFinding(
            "unusable",
            "warning" if survey.rows else "error",
            len(survey.unusable),
            f"{counted(len(survey.unusable), 'row')} cannot be used: {why}",
            "Fill them in, or let --fix drop them.",
            tuple(error.row for error in survey.unusable[: survey.examples] if error.row is not None),
            {"reasons": dict(reasons)},
        )
    if survey.rows:
        yield from _lengths(survey)
    yield from _personal(survey)


def _lengths(survey: Survey) -> Iterator[DataFinding]:
    lengths = [len(text) for text in survey.texts]
    ordered = sorted(lengths)
    median, high = ordered[len(ordered) // 2], ordered[int(0.99 * (len(ordered) - 1))]
    text = f"texts have {median:,} characters at the median, {high:,} at the 99th percentile, {ordered[-1]:,} at most"
    yield DataFinding("lengths", "note", len(lengths), text, details={"median": median, "p99": high, "longest": ordered[-1]})
    long = sorted((place for place, length in enumerate(lengths) if length > LONG), key=lambda place: -lengths[place])
    if long:
        yield DataFinding(
            "lengths.long",
            "warning" if len(long) > 0.05 * len(lengths) else "note",
            len(long),
            f"{counted(len(long), 'text')} of more than {LONG:,} characters: an encoder reads about that much and no more",
            "Put what decides the label first, or shorten them.",
            tuple(survey.rows[place].number for place in long[: survey.examples]),
        )
    short = [survey.rows[place].number for place, length in enumerate(lengths) if length < SHORT]
    if short:
        text = f"{counted(len(short), 'text')} of fewer than {SHORT} characters"
        todo = "Check whether such short texts can be labelled."
        yield DataFinding("lengths.short", "note", len(short), text, todo, tuple(short[: survey.examples]))


def _personal(survey: Survey) -> Iterator[DataFinding]:
    """The amount of personal data of each kind, and the rows that hold it; never the data itself."""
    kinds: Counter[str] = Counter()
    rows = []
    for row, text in zip(survey.rows, survey.texts, strict=True):
        # A cheap test first: every kind has an @, a colon or a digit.
        if "@" not in text and ":" not in text and not any(character in text for character in "0123456789"):
            continue
        found = Counter(kind for kind, _, _ in identifier_spans(text[:_CHARACTERS]))
        if found:
            kinds.update(found)
            rows.append(row.number)
    if rows:
        listed = ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common())
        yield DataFinding(
            "personal",
            "warning",
            len(rows),
            f"{counted(len(rows), 'row')} {verb(len(rows), 'hold')} personal data: {listed}",
            "Replace it by placeholders before you train, or make sure that you may use it: a model can repeat what it was taught.",
            tuple(rows[: survey.examples]),
            {"kinds": dict(kinds.most_common())},
        )


def look_at_languages(survey: Survey) -> list[DataFinding]:
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
        text = f"the texts are in one language: {main}"
        if main == "en":
            return [DataFinding("language", "note", len(common[main]), text, details=details)]
        return [DataFinding("language", "note", len(common[main]), text, _MULTILINGUAL, details={**details, "base": "e5"})]
    others = [row for language in ordered[1:] for row in common[language]]
    listed = ", ".join(f"{language} {shares[language]:.1%}" for language in ordered[:6])
    text = f"the texts are in several languages: {listed}"
    if main != "en" or len(others) > _MIXED * told:
        # The rows are as they should be; what does not fit them is a base that reads English. So none is named.
        return [DataFinding("language", "warning", len(others), text, _MULTILINGUAL, details={**details, "base": "e5"})]
    rows = tuple(others[: survey.examples])
    return [DataFinding("language", "note", len(others), text, f"Keep them if customers write so. {_MULTILINGUAL}", rows, details)]


def _script(text: str) -> str:
    """The script of a text's first letter outside ASCII, or LATIN."""
    for character in text:
        if not character.isascii() and character.isalpha():
            return unicodedata.name(character, "UNKNOWN").split()[0]
    return "LATIN"


part = look
part_language = look_at_languages
