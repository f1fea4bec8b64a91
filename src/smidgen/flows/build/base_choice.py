"""The starter that `auto` takes for encoders: the English one, or the one of many languages where the texts or the people need it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from smidgen.bases.lookup import AUTO, BaseSettings, multilingual_starter
from smidgen.core.rows import evenly, joined
from smidgen.flows.build.work import Work
from smidgen.parts import registry
from smidgen.text.words import languages

_ENGLISH = "en"
_LOOKED_AT = 300
_LEAST_SHARE = 0.08
"""Share of the texts whose language shows, from which another language than English counts. Of English data sets at most 1 % are taken for
another language."""
_NAMES = {
    "de": "German", "fr": "French", "es": "Spanish", "it": "Italian", "nl": "Dutch", "pt": "Portuguese", "pl": "Polish", "sv": "Swedish",
    "da": "Danish", "cs": "Czech", "tr": "Turkish", "ru": "Russian", "uk": "Ukrainian", "ar": "Arabic", "zh": "Chinese", "ja": "Japanese",
}  # fmt: skip


def _texts_read(work: Work) -> list[str]:
    """The texts whose languages decide; none where the starter is the English one in any case."""
    if not work.task.multilingual:
        return []
    given = work.task.files.texts(work.recipe.asked) if work.task.files is not None else ()
    return [*given, *(joined(row.input) for row in (*work.train, *work.held) if row.number or not given)]


def encoder_choice(work: Work, families: Sequence[str]) -> tuple[str, str]:
    """The name of the base for encoders, `auto` for the English starter; and a sentence about it, empty if there is nothing to say."""
    if work.recipe.settings(BaseSettings).name != AUTO or "encoder" not in families:
        return AUTO, ""
    texts = _texts_read(work)
    starter = multilingual_starter("encoder")
    if not texts or starter is None:
        return AUTO, ""
    written, spoken = foreign_languages(texts), [one for one in work.languages if one != _ENGLISH]
    if not written and not spoken:
        return AUTO, ""
    first = registry.find("students", work.task.students[0])
    if not written and not (first.frozen and first.learns == "outputs"):
        # A model that is taught by English examples would lose more of English than it wins.
        return AUTO, f"people will write in {_listed(spoken)}: give examples in that language, too"
    if not written and _ENGLISH in work.languages:
        # The base of many languages reads English less well than the English one.
        return AUTO, f"people will write in {_listed(spoken)}, too: give them a model of their own, or name the base {starter.name}"
    why = f"your texts are in {_listed(written)}" if written else f"people will write in {_listed(spoken)}"
    if starter.here():
        return starter.name, f"{why}, so the base is {starter.name}: {starter.title}"
    return AUTO, f"{why}, and the base reads English: run `smidgen pull {starter.name}` and build again for better answers"


def foreign_languages(texts: Sequence[str]) -> list[str]:
    """The languages other than English of enough of the texts, the most frequent first. Raises MissingExtra if they cannot be told."""
    found = [one for one in languages(evenly(texts, _LOOKED_AT)) if one in _NAMES or one == _ENGLISH]
    counts = Counter(one for one in found if one != _ENGLISH)
    return [one for one, _ in counts.most_common()] if counts.total() >= max(2, _LEAST_SHARE * len(found)) else []


def _listed(codes: Sequence[str]) -> str:
    names = [_NAMES.get(code, code) for code in codes[:3]]
    return " and ".join(names) if len(names) < 3 else f"{names[0]}, {names[1]} and {names[2]}"
