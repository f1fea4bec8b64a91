"""Rows to learn from: a template or several, filled, and then written as people write."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tools.redaction.sources import Source
from tools.redaction.templates import Slot, Template, spelled, templates
from tools.redaction.values import Piece, fill
from tools.redaction.words import listed

_LINES = re.compile(r",?[ \n]{1,2}")
_GOES_ON = {("address", "address"): _LINES, ("address", "place"): _LINES, ("person", "person"): re.compile(" ")}
"""What stands between two pieces that are one: the lines of an address, a first and a last name."""
_BEGINS = re.compile(r"(?<![\w'’@./-])[^\W\d_]")
_ARTICLE = "the "
"""No part of a name, where it is written small."""
_WEIGHTS = {"languages": 2.0, "short": 0.7, "famous": 0.3, "real": 6.0}
"""How often the templates of a register are taken, where not once."""
_NOBODY = ("negatives", "everyday", "services", "identifiers", "structured", "famous", "abroad", "real")
"""Registers of texts about nobody."""
_ABOUT_NOBODY = 0.45
"""Share of rows of these registers alone. Most texts that a gateway sees name nobody; a model taught few such texts finds names in them."""
_ABOUT_ANYBODY = 0.4
"""Share of the other parts of a row about somebody that may name somebody, too."""
_BESIDE = {"real": 0.15}
"""What the weight of a register about nobody becomes in a row about somebody, where it is not the usual 0.4."""
_LOWER = 0.4
"""Share of those rows that are in small letters without punctuation, as people type to assistants; of the others it is a third as often."""


@dataclass(frozen=True, slots=True)
class Row:
    """A text and its spans: `start`, `end` (exclusive), `label`."""

    text: str
    spans: list[dict[str, Any]]


def rows(count: int, seed: int, texts: Mapping[str, Sequence[str]], dev: bool = False) -> list[Row]:
    """So many rows, no text twice. `texts` are real ones that name nobody, by language (`real_texts.read`). `dev` takes the
    templates, names, places and texts that are kept apart from the others."""
    rng = random.Random(f"{seed} {dev}")
    source, among = Source(rng, dev, texts), templates(dev)
    registers = [template.register for template in among]
    each = [_WEIGHTS.get(register, 1.0) for register in registers]
    nobody = [weight * (register in _NOBODY) for weight, register in zip(each, registers, strict=True)]
    anybody = [
        weight * _BESIDE.get(register, 0.4 if register in _NOBODY else 1.0) for weight, register in zip(each, registers, strict=True)
    ]
    made: dict[str, Row] = {}
    while len(made) < count:
        alone, parts = rng.random() < _ABOUT_NOBODY, _several(rng)
        # Somebody in the middle of much that is about nobody: how long a text is must not tell whether somebody is in it.
        somewhere = rng.randrange(parts)
        mixed = [anybody if part == somewhere or rng.random() < _ABOUT_ANYBODY else nobody for part in range(parts)]
        chosen = [rng.choices(among, weights)[0] for weights in ([nobody] * parts if alone else mixed)]
        row = _row(source, rng, chosen, _LOWER if alone else _LOWER / 3)
        if row.text.strip():
            made.setdefault(row.text, row)
    return list(made.values())


def _several(rng: random.Random) -> int:
    """How many templates a row has: mostly one; some rows are as long as documents, whoever they are about."""
    way = rng.random()
    if way < 0.64:
        return 1
    return rng.choice((2, 2, 2, 3, 3, 4)) if way < 0.9 else rng.randint(5, 12)


def _row(source: Source, rng: random.Random, chosen: Sequence[Template], lower: float) -> Row:
    between = rng.choice((" ", " ", "\n", "\n\n", ". ", " - "))
    pieces: list[Piece] = []
    for number, template in enumerate(chosen):
        if number:
            pieces.append(Piece(between))
        source.begin()
        pieces += _filled(template, source, rng)
    if rng.random() < 0.15:
        filler = Piece(rng.choice(listed("filler")))
        pieces = [filler, Piece(" "), *pieces] if rng.random() < 0.5 else [*pieces, Piece(rng.choice((" ", "\n"))), filler]
    return _placed(_typed(pieces, rng) if rng.random() < lower else _written(pieces, rng))


def _filled(template: Template, source: Source, rng: random.Random) -> list[Piece]:
    nodes = spelled(template.nodes, rng)
    pieces: list[Piece] = []
    for node in nodes:
        piece = fill(source, node.name, node.language, node.bound) if isinstance(node, Slot) else Piece(node)
        if piece.kind in ("place", "organisation") and piece.text.startswith(_ARTICLE):
            pieces.append(Piece(_ARTICLE))
            piece = Piece(piece.text.removeprefix(_ARTICLE), piece.kind)
        pieces.append(piece)
    if pieces and pieces[0].kind is None and rng.random() < 0.5:
        pieces[0] = Piece(pieces[0].text[:1].upper() + pieces[0].text[1:])
    return pieces


def _typed(pieces: list[Piece], rng: random.Random) -> list[Piece]:
    """The pieces in small letters, mostly without the punctuation between them."""
    if rng.random() < 0.7:
        pieces = [piece if piece.kind else Piece(re.sub(r"[.,!?;:](?=\s|$)", "", piece.text)) for piece in pieces]
    return _each(pieces, str.lower, lambda piece: True)


def _written(pieces: list[Piece], rng: random.Random) -> list[Piece]:
    """The pieces with what happens to texts: other capitals, lost accents, slips, odd spaces, no full stop."""
    way = rng.random()
    if way < 0.13:
        pieces = _each(pieces, str.lower, lambda piece: True)
    elif way < 0.17:
        pieces = _each(pieces, str.upper, lambda piece: True)
    elif way < 0.23:
        pieces = _each(pieces, str.lower, lambda piece: piece.kind in ("person", "place", "organisation", "address"))
    elif way < 0.28:
        pieces = _each(pieces, str.upper, lambda piece: piece.kind in ("person", "organisation"))
    elif way < 0.32:
        pieces = _each(pieces, _titled, lambda piece: True)
    if rng.random() < 0.15:
        pieces = _each(pieces, _bare, lambda piece: True)
    if rng.random() < 0.07:
        pieces = [piece if piece.kind else Piece(_slipped(piece.text, rng)) for piece in pieces]
    if rng.random() < 0.05:
        wide = rng.choice(("  ", "   ", "\t", "\n", "\u00a0"))
        pieces = [piece if piece.kind or rng.random() < 0.5 else Piece(piece.text.replace(" ", wide)) for piece in pieces]
    if pieces and pieces[-1].kind is None and rng.random() < 0.15:
        pieces[-1] = Piece(pieces[-1].text.rstrip(".!?"))
    elif pieces and rng.random() < 0.1:
        pieces.append(Piece(rng.choice((".", "!", "?", " ", "\n", ";"))))
    return pieces


def _each(pieces: list[Piece], change: Callable[[str], str], where: Callable[[Piece], bool]) -> list[Piece]:
    return [Piece(change(piece.text), piece.kind) if where(piece) else piece for piece in pieces]


def _titled(text: str) -> str:
    """Each word with a capital, as in headlines and names of buttons."""
    return _BEGINS.sub(lambda found: found.group().upper(), text)


def _bare(text: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFKD", text) if not unicodedata.combining(sign))


def _slipped(text: str, rng: random.Random) -> str:
    """Two letters swapped, one doubled or one left out."""
    letters = [place for place in range(1, len(text) - 1) if text[place].isalpha() and text[place + 1].isalpha()]
    if not letters:
        return text
    at = rng.choice(letters)
    return rng.choice((text[:at] + text[at + 1] + text[at] + text[at + 2 :], text[:at] + text[at] + text[at:], text[:at] + text[at + 1 :]))


def _placed(pieces: list[Piece]) -> Row:
    """The text, and where its pieces of personal data stand; what goes on is one span."""
    text, spans = "", []
    for piece in pieces:
        start = len(text) + len(piece.text) - len(piece.text.lstrip())
        text += piece.text
        end = start + len(piece.text.strip())
        if piece.kind is None or start == end:
            continue
        between = _GOES_ON.get((spans[-1]["label"], piece.kind)) if spans else None
        if between is not None and between.fullmatch(text, spans[-1]["end"], start):
            spans[-1]["end"] = end
        else:
            spans.append({"start": start, "end": end, "label": piece.kind})
    return Row(text, spans)
