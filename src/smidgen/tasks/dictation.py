"""Labels from a larger model: what it is told, and how strictly it is heard."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence

_CLOSE = 0.85
_LONGEST = 500  # characters of an answer that could name a label


def lesson(labels: Sequence[str], several: bool, unknown: str | None) -> str:
    """The labels, and how to answer with them."""
    listed = "\n".join(labels)
    if several:
        return (
            "Give the text you are shown its labels: any number of the ones below. Answer with a JSON list of labels, copied letter for "
            f"letter, and nothing else; with [] where none fits.\n\nLabels:\n{listed}"
        )
    none = f"\n\nWhere none of them fits, answer: {unknown}" if unknown is not None else ""
    return (
        "Give the text you are shown one label. Answer with exactly one of the labels below, copied letter for letter, and nothing else."
        f"\n\nLabels:\n{listed}{none}"
    )


def label(answer: str, allowed: Sequence[str]) -> str:
    """The label that an answer names: itself, or spelt otherwise in case, spaces or a letter. Raises ValueError where there is no such one.

    A sentence that mentions a label is not heard: it may say "not card_arrival".
    """
    text = _bare(answer)
    if text in allowed:
        return text
    folded: dict[str, list[str]] = {}
    for name in allowed:
        folded.setdefault(_folded(name), []).append(name)
    key = _folded(text)
    found = folded.get(key)
    if found is None:
        # A letter may be wrong; a word more, or less, may turn the meaning round ("not card_arrival").
        alike = [name for name in folded if name.count(" ") == key.count(" ")]
        near = difflib.get_close_matches(key, alike, n=2, cutoff=_CLOSE) if key else []
        # Two that are as near as each other are no answer.
        tied = len(near) == 2 and _near(key, near[0]) == _near(key, near[1])
        found = folded[near[0]] if near and not tied else None
    if found is None or len(found) > 1:
        raise ValueError(f"{text[:60]!r} is none of the labels")
    return found[0]


def pieces(answer: str) -> list[str]:
    """The labels of an answer that may name several: a JSON list, or labels with commas, bars or line breaks between."""
    text = answer.strip()
    if text.startswith("["):
        try:
            read = json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError(f"{text[:60]!r} is not a JSON list") from None
        if not isinstance(read, list) or not all(isinstance(piece, str) for piece in read):
            raise ValueError(f"{text[:60]!r} is not a list of labels")
        return read
    return [piece for piece in re.split(r"[,|\n]", text) if piece.strip()]


def _bare(answer: str) -> str:
    """The answer without what models put around one: quotes, stars, a full stop, "Label:"."""
    text = answer.strip()[:_LONGEST]
    text = re.sub(r"^(?:label|answer|category)\s*:\s*", "", text, flags=re.IGNORECASE)
    return text.strip().strip("`*\"'“”‘’").strip().rstrip(".").strip()


def _folded(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().casefold()


def _near(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, other, one).ratio()
