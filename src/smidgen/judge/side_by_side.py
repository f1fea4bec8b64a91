"""Samples of a writer as the page shows them: what was given, what was written, what was wanted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from smidgen.judge.sections import Sample, Stated
from smidgen.stats.attributes import attributes


@dataclass(frozen=True, slots=True)
class Given:
    """An attribute of an input; `missed` says that the text does not state it."""

    key: str
    value: str
    missed: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A sample. `given` are the input's attributes, empty where it has none or they were not checked; `written` has what is made up
    marked; `elsewhere` is what is made up and does not stand in the text in these words."""

    sample: Sample
    given: tuple[Given, ...]
    written: Markup
    elsewhere: tuple[Stated, ...]


def shown(sample: Sample, checked: bool) -> Shown:
    """A sample to be shown; `checked` says that inputs are attributes and texts were checked against them."""
    missed = {(fact.key, fact.value) for fact in sample.missing}
    given = attributes(sample.text) if checked else []
    written, found = marked(sample.got, [fact.value for fact in sample.unsupported])
    return Shown(
        sample,
        tuple(Given(key, value, (key, value) in missed) for key, value in given),
        written,
        tuple(fact for fact in sample.unsupported if fact.value not in found),
    )


def usual(samples: Sequence[Sample]) -> list[Sample]:
    """Those that show what is usual, so that the first few span it: from the best, every third, then the ones between."""
    ranked = sorted((sample for sample in samples if not sample.weak), key=lambda sample: -sample.grade)
    return [sample for start in range(3) for sample in ranked[start::3]]


def weakest(samples: Sequence[Sample]) -> list[Sample]:
    """Those that were chosen for being bad, worst first; of few texts, only what falls short of the best."""
    best = max((sample.grade for sample in samples), default=0.0)
    return sorted((sample for sample in samples if sample.weak and sample.grade < best), key=lambda sample: sample.grade)


def marked(text: str, values: Iterable[str]) -> tuple[Markup, set[str]]:
    """A text with the values marked that stand in it as whole words, whatever their case; and which these are."""
    wanted = sorted({value for value in values if value.strip()}, key=len, reverse=True)
    if not wanted:
        return escape(text), set()
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(value)}(?!\w)" for value in wanted), re.IGNORECASE)
    parts: list[Markup] = []
    found: set[str] = set()
    at = 0
    for match in pattern.finditer(text):
        parts += [escape(text[at : match.start()]), Markup("<mark>{}</mark>").format(match[0])]
        found.add(match[0].casefold())
        at = match.end()
    parts.append(escape(text[at:]))
    return Markup("").join(parts), {value for value in wanted if value.casefold() in found}
