"""Cut documents into passages: 60 to 160 words, never across headings or pages, at the ends of sentences. A FAQ entry is one passage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from smidgen.search.documents.document import HEADING_JOINT, Passage, SourceDocument
from smidgen.search.documents.sentences import sentence_spans

LEAST_WORDS, MOST_WORDS = 60, 160
_LONGEST_SENTENCE = 2_000
"""Characters after which a text without an end of a sentence is cut at a blank."""


@dataclass(slots=True)
class _Piece:
    """A run of text under one heading: `spans` are its sentences, in characters of the document."""

    heading: str
    page: int | None
    spans: list[tuple[int, int]] = field(default_factory=list)
    words: int = 0


def passages_of(document: SourceDocument) -> list[Passage]:
    """The passages of a document, in order."""
    text, found = document.text, list[Passage]()
    for piece, question, url in _pieces(document, text):
        start, end = piece.spans[0][0], piece.spans[-1][1]
        found.append(
            Passage(
                document=document.id,
                number=len(found) + 1,
                title=document.title,
                heading=piece.heading,
                text=text[start:end],
                start=start,
                end=end,
                page=piece.page,
                url=url or document.url,
                question=question,
                sentences=tuple((first - start, last - start) for first, last in piece.spans),
            )
        )
    return found


def _pieces(document: SourceDocument, text: str) -> Iterator[tuple[_Piece, str, str]]:
    """Each piece with its question and its own address."""
    headings: list[tuple[int, str]] = []
    run: list[_Piece] = []
    for block, (start, end) in zip(document.blocks, document.places(), strict=True):
        if block.level:
            yield from ((piece, "", "") for piece in _balanced(run))
            run = []
            headings = [*((level, name) for level, name in headings if level < block.level), (block.level, block.text)]
            continue
        spans = _within(text, start, end)
        if not spans:
            continue
        if run and run[-1].page != block.page:  # a passage names one page
            yield from ((piece, "", "") for piece in _balanced(run))
            run = []
        heading = _path(headings, document.title)
        if block.question:
            yield from ((piece, "", "") for piece in _balanced(run))
            run = []
            yield _Piece(block.topic or heading, block.page, spans, 0), block.question, block.url
            continue
        for span in spans:
            run.append(_Piece(heading, block.page, [span], len(text[span[0] : span[1]].split())))
    yield from ((piece, "", "") for piece in _balanced(run))


def _path(headings: Sequence[tuple[int, str]], title: str) -> str:
    """The headings, without a first one that is the document's title."""
    names = [name for _, name in headings]
    return HEADING_JOINT.join(names[1:] if names and names[0] == title else names)


def _balanced(sentences: Sequence[_Piece]) -> list[_Piece]:
    """The sentences under one heading in about equal pieces, each of at most `MOST_WORDS` words, unless one sentence has more."""
    total = sum(sentence.words for sentence in sentences)
    if not sentences:
        return []
    count = max(1, -(-total // MOST_WORDS))
    aim = max(LEAST_WORDS, total / count)
    made: list[_Piece] = []
    for sentence in sentences:
        last = made[-1] if made else None
        if (
            last is not None
            and (last.words + sentence.words / 2 <= aim or last.words < LEAST_WORDS)
            and last.words + sentence.words <= MOST_WORDS
        ):
            last.spans += sentence.spans
            last.words += sentence.words
        else:
            made.append(_Piece(sentence.heading, sentence.page, list(sentence.spans), sentence.words))
    if len(made) > 1 and made[-1].words < LEAST_WORDS and made[-2].words + made[-1].words <= MOST_WORDS:
        last = made.pop()
        made[-1].spans += last.spans
        made[-1].words += last.words
    return made


def _within(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The sentences of a block, in characters of the document; one without an end is cut."""
    found = []
    for first, last in sentence_spans(text[start:end]):
        first, last = first + start, last + start
        while last - first > _LONGEST_SENTENCE:
            cut = text.rfind(" ", first + 1, first + _LONGEST_SENTENCE)
            cut = cut if cut > first else first + _LONGEST_SENTENCE
            found.append((first, cut))
            first = cut + (text[cut : cut + 1] == " ")
        if last > first:
            found.append((first, last))
    return found
