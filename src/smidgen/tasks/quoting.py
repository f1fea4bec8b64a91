"""Spans as a larger model gives them: their words and their kind, found again in the text letter for letter.

A larger model cannot be trusted to count characters, and can be trusted to copy. So it is asked for words, in the order of the text, and
where they stand is found here, by the same rule every time: words are taken where they stand first behind the span before them; if not
there, where they stand first at all; and as words of their own before a part of a longer word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from smidgen.tasks import dictation

Span = dict[str, Any]
_FENCE = re.compile(r"^```[a-zA-Z]*\n(.*?)\n?```$", re.DOTALL)
_MOST = 1000
_NO_LIST = "it is no list of spans with text and label"


def lesson(kinds: Sequence[str]) -> str:
    """The kinds, and how to answer with their spans."""
    listed = "\n".join(kinds)
    return (
        "Find in the text you are shown every span of the kinds below. Answer with a JSON list and nothing else: for each span an object "
        'with "text", its words copied letter for letter from the text, and "label", its kind, copied letter for letter from below. Give '
        f"the spans in the order of the text, one that stands there twice twice; [] where there are none.\n\nKinds:\n{listed}"
    )


def quoted(spans: Sequence[Mapping[str, Any]], text: str) -> str:
    """Spans as an answer to that."""
    entries = [{"text": text[span["start"] : span["end"]], "label": span["label"]} for span in spans]
    return json.dumps(entries, ensure_ascii=False)


def heard(answer: str, kinds: Sequence[str], text: str) -> list[Span]:
    """The spans that an answer names, with their places. Raises ValueError for one that is no such list, or names what is not there: one
    span that is made up makes the whole answer doubtful, and one left out would teach to leave out."""
    spans: list[Span] = []
    for entry in _entries(answer):
        words, label = (entry.get(name) if isinstance(entry, Mapping) else None for name in ("text", "label"))
        if not (isinstance(words, str) and words.strip() and isinstance(label, str)):
            raise ValueError(_NO_LIST)
        try:
            kind = dictation.label(label, kinds)
        except ValueError:
            raise ValueError("a span has a label that is none of yours") from None
        start = _place(words.strip(), text, spans)
        spans.append({"start": start, "end": start + len(words.strip()), "label": kind})
    return sorted(spans, key=lambda span: (span["start"], span["end"]))


def value(answer: str) -> Any:
    """An answer as the JSON value that it is, without the fence that models like to put around one. Raises ValueError where it is none."""
    text = answer.strip()
    fenced = _FENCE.match(text)
    try:
        return json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None


def _entries(answer: str) -> list[Any]:
    found = value(answer)
    if not isinstance(found, list) or len(found) > _MOST:
        raise ValueError(_NO_LIST)
    return found


def _place(words: str, text: str, taken: Sequence[Span]) -> int:
    """Where the words stand, outside of what is taken. Raises ValueError where they do not."""
    behind = taken[-1]["end"] if taken else 0
    places = list(_places(words, text))
    free = [start for start in places if not any(start < span["end"] and span["start"] < start + len(words) for span in taken)]
    if not free:
        raise ValueError(
            "spans overlap, or one is given more often than it stands" if places else "a span is not in the text letter for letter"
        )
    return min(free, key=lambda start: (not _whole(start, words, text), start < behind, start))


def _places(words: str, text: str) -> Iterator[int]:
    start = text.find(words)
    while start >= 0:
        yield start
        start = text.find(words, start + 1)


def _whole(start: int, words: str, text: str) -> bool:
    """Whether words stand by themselves, not as a part of a longer word."""
    end = start + len(words)
    left = start == 0 or not (text[start - 1].isalnum() and words[0].isalnum())
    return left and (end == len(text) or not (text[end].isalnum() and words[-1].isalnum()))
