"""Rows that would leak: new texts that are, or nearly are, texts that a model will be judged on, or that are there already."""

from __future__ import annotations

from collections.abc import Sequence

from smidgen.data import near


def overlap(texts: Sequence[str], apart: Sequence[str]) -> set[int]:
    """Places of the texts that are near-duplicates of a text kept apart. Nearness has no direction, so this is a check both ways."""
    folded = [near.folded(text) for text in texts]
    known = {near.folded(text) for text in apart}
    found = {place for place, text in enumerate(folded) if text in known}
    first = len(texts)
    for one, other, _ in near.pairs([*texts, *apart]):
        if one < first <= other:
            found.add(one)
    return found


def repeats(texts: Sequence[str], known: Sequence[str] = ()) -> set[int]:
    """Places of the texts that are the same as an earlier one, or as a known one, but for case, punctuation and spacing."""
    seen = {near.folded(text) for text in known}
    found = set()
    for place, text in enumerate(texts):
        key = near.folded(text)
        if key in seen:
            found.add(place)
        seen.add(key)
    return found


def crowd(texts: Sequence[str], known: Sequence[str] = ()) -> set[int]:
    """Places of the texts that are near-duplicates of an earlier one, or of a known one."""
    found = overlap(texts, known) | repeats(texts)
    for one, other, _ in near.pairs(texts):
        if one not in found:
            found.add(other)
    return found
