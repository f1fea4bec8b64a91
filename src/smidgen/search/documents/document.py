"""Documents and passages: plain text that knows its place, and how both are stored as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from smidgen.search.documents.sentences import leans

HEADING_JOINT = " > "
"""Stands between the headings above a passage, the outermost first."""
MOST_PASSAGES = 50_000
MOST_TEXT = 20_000_000
"""Most characters of all passages together."""
_LONGEST_PASSAGE = 20_000
_LONGEST_NAME = 2_000


@dataclass(frozen=True, slots=True)
class TextBlock:
    """A paragraph, list item, table row, heading or FAQ answer, as a reader found it.

    Attributes:
        text: its words, without markup.
        level: 1 to 6 for a heading, 0 for other text.
        page: its page, counted from 1; None without pages.
        question: the question that it answers, of a FAQ entry.
        url: its own address, if it has one.
        topic: the heading of a FAQ entry that lies in a table.
    """

    text: str
    level: int = 0
    page: int | None = None
    question: str = ""
    url: str = ""
    topic: str = ""


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """A document as it was read. `id`: its path in the folder; of a file of documents, the id that stands there."""

    id: str
    title: str
    blocks: tuple[TextBlock, ...]
    url: str = ""

    @property
    def text(self) -> str:
        """All of its text: what passages give their places in."""
        return "\n\n".join(_shown(block) for block in self.blocks)

    def places(self) -> list[tuple[int, int]]:
        """Start and end of each block's own words in `text`; of a FAQ entry, those of its answer."""
        found, place = [], 0
        for block in self.blocks:
            end = place + len(_shown(block))
            found.append((end - len(block.text), end))
            place = end + 2
        return found


def _shown(block: TextBlock) -> str:
    return f"{block.question}\n{block.text}" if block.question else block.text


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document that can answer a question.

    Attributes:
        document: the document's id.
        number: its number in the document, from 1.
        title: the document's title.
        heading: the headings above it, joined by " > "; empty without one.
        text: its words: `start` to `end` of the document's text.
        start, end: characters, the end exclusive.
        page: the page on which it begins, from 1; None without pages.
        url: where it can be read; empty if unknown.
        question: of a FAQ entry, its question.
        sentences: start and end of each sentence in `text`. Numbers of clauses before a sentence are no part of it.
    """

    document: str
    number: int
    title: str
    heading: str
    text: str
    start: int
    end: int
    page: int | None = None
    url: str = ""
    question: str = ""
    sentences: tuple[tuple[int, int], ...] = ()

    @property
    def id(self) -> str:
        """Unique among all passages."""
        return f"{self.document}#{self.number}"

    @property
    def described(self) -> str:
        """The passage with its headings and its question, for a model that makes vectors."""
        above = self.heading or self.title
        return "\n".join(part for part in (above, self.question, self.text) if part)

    def said(self) -> list[str]:
        """The words of each sentence."""
        return [self.text[start:end] for start, end in self.sentences]

    def leans(self, number: int) -> bool:
        """Whether a sentence, counted from 0, needs the one before it, which stands in the same paragraph."""
        start, end = self.sentences[number]
        return number > 0 and "\n" not in self.text[self.sentences[number - 1][1] : start] and leans(self.text[start:end])

    def said_in_place(self) -> list[str]:
        """Each sentence with what it belongs to, for a model that makes vectors: the headings, the question of a FAQ entry, and the
        sentence before if it needs that."""
        said, above = self.said(), self.heading or self.title
        asked = f"{self.question} " if self.question else ""
        before = [f"{said[number - 1]} " if self.leans(number) else "" for number in range(len(said))]
        return [f"{above}\n{asked}{one}{own}" if above else f"{asked}{one}{own}" for one, own in zip(before, said, strict=True)]


def passage_json(passage: Passage) -> dict[str, Any]:
    """A passage as JSON, without what is empty."""
    return {name: value for name, value in asdict(passage).items() if value not in (None, "", ())}


def read_passages(told: Any) -> list[Passage]:
    """Passages from JSON that may come from anyone. Raises ValueError, a clause, for anything out of bounds."""
    if not isinstance(told, list) or not 1 <= len(told) <= MOST_PASSAGES:
        raise ValueError(f"the passages are no list of 1 to {MOST_PASSAGES:,}")
    found = [_passage(entry) for entry in told]
    if len({passage.id for passage in found}) < len(found):
        raise ValueError("two passages have one id")
    if sum(len(passage.text) for passage in found) > MOST_TEXT:
        raise ValueError(f"the passages have more than {MOST_TEXT:,} characters")
    return found


def _passage(entry: Any) -> Passage:
    if not isinstance(entry, Mapping):
        raise ValueError("a passage is no object")
    texts: dict[str, Any] = {name: entry.get(name, "") for name in ("document", "title", "heading", "text", "url", "question")}
    numbers: dict[str, Any] = {name: entry.get(name) for name in ("number", "start", "end")}
    page = entry.get("page")
    for name, value in texts.items():
        if not isinstance(value, str) or len(value) > (_LONGEST_PASSAGE if name in ("text", "question") else _LONGEST_NAME):
            raise ValueError(f"the {name} of a passage is no text, or too long")
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"the {name} of a passage is no whole number")
    if not texts["text"] or not texts["document"] or numbers["end"] - numbers["start"] != len(texts["text"]):
        raise ValueError("a passage has no text or document, or its place does not fit its text")
    if page is not None and (isinstance(page, bool) or not isinstance(page, int) or page < 1):
        raise ValueError("the page of a passage is no number from 1")
    spans = _spans(entry.get("sentences", ()), len(texts["text"]))
    return Passage(**texts, **numbers, page=page, sentences=spans)


def _spans(told: Sequence[Any], length: int) -> tuple[tuple[int, int], ...]:
    found, before = [], 0
    for span in told if isinstance(told, list | tuple) else (None,):
        whole = isinstance(span, list | tuple) and len(span) == 2 and all(isinstance(edge, int) for edge in span)
        if not whole or not before <= span[0] < span[1] <= length:
            raise ValueError("the sentences of a passage do not fit its text")
        found.append((int(span[0]), int(span[1])))
        before = span[1]
    return tuple(found) or ((0, length),)
