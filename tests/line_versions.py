"""A line whose versions are known bundles: nothing is trained."""

from __future__ import annotations

from pathlib import Path

from tests.certified_bundle import LABELS, make

from smidgen.bundles.open import read_manifest
from smidgen.flows.learn.promotion import promote
from smidgen.store.line import Line


def line_of(folder: Path, count: int, name: str = "support") -> tuple[Line, list[str]]:
    """A line with so many versions, the last of which is its champion, and their ids in order. Every other one has the names of its labels
    the other way round, so that its answers tell which it is."""
    line = Line(folder)
    line.begin(name)
    ids: list[str] = []
    for number in range(count):
        ids.append(add(line, number, ids[-1] if ids else None))
    return line, ids


def add(line: Line, number: int, instead_of: str | None) -> str:
    """Make a version and promote it; its id."""
    made = version(line, number)
    return promote(line, made, by="learn", why=f"version {number}", instead_of=instead_of)


def version(line: Line, number: int) -> Path:
    """A bundle in a folder of its own within the line, not yet a version."""
    labels = LABELS if number % 2 == 0 else (LABELS[1], LABELS[0])
    return make(line.folder / f".work-{number}", "bundle", seed=number, labels=labels)


def id_of(folder: Path) -> str:
    """A bundle's id."""
    return read_manifest(folder).id
