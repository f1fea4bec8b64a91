"""Label names that look like the same thing: spelling variants, one letter apart, singular and plural, close in meaning."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from smidgen.data.finding import EXAMPLES, Finding, counted
from smidgen.data.survey import Survey

CLOSE = 0.9
"""Cosine of two names' vectors from which they are reported."""
_MOST = 1_000
"""Labels that are compared by meaning."""
_LEAST = 5
"""Letters under which one letter makes another word."""
_SEPARATORS = re.compile(r"[\W_]+")


def look(survey: Survey) -> list[Finding]:
    """Variants that --fix merges, and pairs that a person should look at."""
    found = []
    variants = spelling_variants(survey)
    if variants:
        shown = [" = ".join(repr(name) for name in names) for names in variants]
        found.append(
            Finding(
                "label_names",
                "warning",
                sum(len(names) - 1 for names in variants),
                f"{counted(len(variants), 'label')} spelt in more than one way: {'; '.join(shown[:3])}",
                "Let --fix merge them into the commonest spelling.",
                details={"variants": [{name: survey.counts[name] for name in names} for names in variants[:EXAMPLES]]},
            )
        )
    settled = {frozenset((one, other)) for names in variants for one in names for other in names}
    alike = [pair for pair in _alike(survey) if frozenset(pair[:2]) not in settled]
    if alike:
        shown = [f"{one!r} and {other!r} ({why})" for one, other, why in alike]
        found.append(
            Finding(
                "label_names.alike",
                "note",
                len(alike),
                f"{counted(len(alike), 'pair')} of label names look alike: {'; '.join(shown[:3])}",
                "Merge those that mean the same; keep the others.",
                details={"pairs": [[one, other, why] for one, other, why in alike[:EXAMPLES]]},
            )
        )
    return found


def spelling_variants(survey: Survey) -> list[list[str]]:
    """Groups of labels that differ in case, spacing and punctuation only, the commonest spelling first."""
    same: dict[str, list[str]] = defaultdict(list)
    for name in survey.counts:
        same[_plain(name)].append(name)
    groups = [sorted(names, key=lambda name: (-survey.counts[name], name)) for names in same.values() if len(names) > 1]
    return sorted(groups)


def _alike(survey: Survey) -> list[tuple[str, str, str]]:
    """(name, name, why) of labels that may be the same."""
    found: dict[frozenset[str], tuple[str, str, str]] = {}
    for one, other, why in (*_plurals(survey), *_one_letter(survey), *_meanings(survey)):
        found.setdefault(frozenset((one, other)), (one, other, why))
    return list(found.values())


def _plurals(survey: Survey) -> Iterator[tuple[str, str, str]]:
    stems: dict[str, list[str]] = defaultdict(list)
    for name in sorted(survey.counts):
        stems[" ".join(_stem(word) for word in _words(name))].append(name)
    for names in stems.values():
        yield from ((names[0], other, "singular and plural") for other in names[1:])


def _one_letter(survey: Survey) -> Iterator[tuple[str, str, str]]:
    """Names one insertion, deletion or replacement apart, by the neighbourhood of deletions (as in SymSpell): linear in their length."""
    cut: dict[str, list[str]] = defaultdict(list)
    for name in sorted(survey.counts):
        plain = _plain(name)
        if len(plain) < _LEAST:
            continue
        for key in {plain, *(plain[:place] + "_" + plain[place + 1 :] for place in range(len(plain)))}:
            cut[key].append(name)
        for key in {plain[:place] + plain[place + 1 :] for place in range(len(plain))}:
            cut[key].append(name)
    seen: set[tuple[str, str]] = set()
    for names in cut.values():
        for place, one in enumerate(names):
            for other in names[place + 1 :]:
                if one != other and (one, other) not in seen and _within_one(_plain(one), _plain(other)):
                    seen.add((one, other))
                    yield one, other, "one letter apart"


def _within_one(one: str, other: str) -> bool:
    """Whether one edit makes them equal, and it is not of a digit: `tier 1` and `tier 2` are two things."""
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    end = 0
    while end < min(len(one), len(other)) - start and one[-1 - end] == other[-1 - end]:
        end += 1
    a, b = one[start : len(one) - end], other[start : len(other) - end]
    return max(len(a), len(b)) == 1 and not any(character.isdigit() for character in a + b)


def _meanings(survey: Survey) -> Iterator[tuple[str, str, str]]:
    names = sorted(survey.counts)
    if survey.embed is None or not 2 <= len(names) <= _MOST:
        return
    vectors = survey.embed([" ".join(_words(name)) or name for name in names])
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    alike = np.triu(vectors @ vectors.T, k=1)
    order = np.argsort(-alike, axis=None)[: int((alike >= CLOSE).sum())]
    for place in order.tolist():
        one, other = divmod(place, len(names))
        if re.findall(r"\d+", names[one]) == re.findall(r"\d+", names[other]):
            yield names[one], names[other], f"close in meaning, {alike[one, other]:.2f}"


def _words(name: str) -> list[str]:
    return _SEPARATORS.sub(" ", name.casefold()).split()


def _plain(name: str) -> str:
    return "".join(_words(name)) or name


def _stem(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


part = look
