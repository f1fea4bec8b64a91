"""The lookup baseline: answers by someone who knows other examples by heart and does not read. A teacher must do better."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any


def lookup_spans(texts: Sequence[str], found: Sequence[Sequence[Mapping[str, Any]]]) -> list[list[dict[str, Any]]]:
    """For each text the spans whose words are a span in another text, wherever they stand in this one as words of their own; each of the
    kind that they mostly are there. Longer ones first; none overlap."""
    known: dict[str, Counter[str]] = defaultdict(Counter)
    own = [[(text[span["start"] : span["end"]], str(span["label"])) for span in mine] for text, mine in zip(texts, found, strict=True)]
    for entries in own:
        for words, kind in entries:
            known[words][kind] += 1
    answers = []
    for text, entries in zip(texts, own, strict=True):
        mine: dict[str, Counter[str]] = defaultdict(Counter)
        for words, kind in entries:
            mine[words][kind] += 1
        given: list[dict[str, Any]] = []
        for words in sorted((words for words in known if words in text), key=lambda words: (-len(words), words)):
            others = known[words] - mine[words]
            if not others:
                continue
            kind = min(others, key=lambda kind: (-others[kind], kind))
            for match in re.finditer(rf"(?<!\w){re.escape(words)}(?!\w)", text):
                if not any(match.start() < span["end"] and span["start"] < match.end() for span in given):
                    given.append({"start": match.start(), "end": match.end(), "label": kind})
        answers.append(sorted(given, key=lambda span: int(span["start"])))
    return answers


def lookup_fields(filled: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each object the value that each of its fields mostly has in the others; the earlier one where two are as frequent."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    values: dict[str, Any] = {}
    for one in filled:
        for name, value in one.items():
            values.setdefault(_key(value), value)
            counts[name][_key(value)] += 1
    answers = []
    for one in filled:
        made = {}
        for name, found in counts.items():
            others = found - Counter([_key(one[name])] if name in one else [])
            if others:
                made[name] = values[max(others, key=lambda key: others[key])]
        answers.append(made)
    return answers


def _key(value: Any) -> str:
    return repr(value)
