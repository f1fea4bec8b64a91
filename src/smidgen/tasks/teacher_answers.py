"""Labels and spans from a larger model: the instructions to it, and the strict reading of its answers.

A larger model miscounts characters but copies reliably. So the instruction asks for the words of spans, in the order of the text, and
this module finds their positions, always by one rule: the first occurrence after the previous span, else the first occurrence at all;
whole words before parts of longer words.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_CLOSE = 0.85
_LONGEST = 500  # characters of an answer that could name a label


def label_instructions(labels: Sequence[str], several: bool, unknown: str | None) -> str:
    """The labels, and the form of the answer."""
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


def label_in(answer: str, allowed: Sequence[str]) -> str:
    """The label that an answer names, exactly or with another case, other spaces or one wrong letter. Raises ValueError if there is none.

    A sentence that mentions a label is not accepted: it may say "not card_arrival".
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
        # A letter may be wrong; one word more or less may reverse the meaning ("not card_arrival").
        alike = [name for name in folded if name.count(" ") == key.count(" ")]
        near = difflib.get_close_matches(key, alike, n=2, cutoff=_CLOSE) if key else []
        # Two equally near labels are no answer.
        tied = len(near) == 2 and _near(key, near[0]) == _near(key, near[1])
        found = folded[near[0]] if near and not tied else None
    if found is None or len(found) > 1:
        raise ValueError(f"{text[:60]!r} is not one of the labels")
    return found[0]


def label_list_in(answer: str) -> list[str]:
    """The labels of an answer that may name several: a JSON list, or labels separated by commas, bars or line breaks."""
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
    """The answer without the usual decoration of models: quotes, stars, a full stop, "Label:"."""
    text = answer.strip()[:_LONGEST]
    text = re.sub(r"^(?:label|answer|category)\s*:\s*", "", text, flags=re.IGNORECASE)
    return text.strip().strip("`*\"'“”‘’").strip().rstrip(".").strip()


def _folded(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().casefold()


def _near(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, other, one).ratio()


Span = dict[str, Any]
_FENCE = re.compile(r"^```[a-zA-Z]*\n(.*?)\n?```$", re.DOTALL)
_MOST = 1000
_NO_LIST = "it is no list of spans with text and label"


def span_instructions(kinds: Sequence[str]) -> str:
    """The kinds, and the form of the answer."""
    listed = "\n".join(kinds)
    return (
        "Find in the text you are shown every span of the kinds below. Answer with a JSON list and nothing else: for each span an object "
        'with "text", its words copied letter for letter from the text, and "label", its kind, copied letter for letter from below. Give '
        f"the spans in the order of the text, one that stands there twice twice; [] where there are none.\n\nKinds:\n{listed}"
    )


def spans_as_answer(spans: Sequence[Mapping[str, Any]], text: str) -> str:
    """Spans as an answer to that instruction."""
    entries = [{"text": text[span["start"] : span["end"]], "label": span["label"]} for span in spans]
    return json.dumps(entries, ensure_ascii=False)


def spans_in(answer: str, kinds: Sequence[str], text: str) -> list[Span]:
    """The spans that an answer names, with their positions. Raises ValueError if it is not a list of spans, or if a span is not in the
    text: one invented span makes the whole answer doubtful, and dropping it would teach the student to miss spans."""
    spans: list[Span] = []
    for entry in _entries(answer):
        words, label = (entry.get(name) if isinstance(entry, Mapping) else None for name in ("text", "label"))
        if not (isinstance(words, str) and words.strip() and isinstance(label, str)):
            raise ValueError(_NO_LIST)
        try:
            kind = label_in(label, kinds)
        except ValueError:
            raise ValueError("a span has a label that is not one of yours") from None
        start = _place(words.strip(), text, spans)
        spans.append({"start": start, "end": start + len(words.strip()), "label": kind})
    return sorted(spans, key=lambda span: (span["start"], span["end"]))


def json_in(answer: str) -> Any:
    """Parse an answer as JSON, without the code fence that models often add. Raises ValueError."""
    text = answer.strip()
    fenced = _FENCE.match(text)
    try:
        return json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None


def _entries(answer: str) -> list[Any]:
    found = json_in(answer)
    if not isinstance(found, list) or len(found) > _MOST:
        raise ValueError(_NO_LIST)
    return found


def _place(words: str, text: str, taken: Sequence[Span]) -> int:
    """The position of the words, outside of the taken spans. Raises ValueError if they do not occur."""
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
    """Whether the words are not part of a longer word."""
    end = start + len(words)
    left = start == 0 or not (text[start - 1].isalnum() and words[0].isalnum())
    return left and (end == len(text) or not (text[end].isalnum() and words[-1].isalnum()))
