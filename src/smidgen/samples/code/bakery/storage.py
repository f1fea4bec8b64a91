"""Entries in files: one JSON object a line, each with its number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .faults import BakeryFault, UnknownEntry


class LineStore:
    """The entries of one kind, kept in one file.

    Attributes:
        kind: what an entry is called in messages.
        file: the file; it need not exist yet.
    """

    def __init__(self, file: Path, kind: str) -> None:
        self.file, self.kind = file, kind
        self._rows: dict[str, dict[str, Any]] = {}
        if file.is_file():
            self._read()

    def _read(self) -> None:
        for line in self.file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            self._rows[row["number"]] = row

    def _write(self) -> None:
        lines = [json.dumps(row, ensure_ascii=False) for row in self._rows.values()]
        self.file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def add(self, row: dict[str, Any]) -> None:
        """Add an entry. Raises BakeryFault if its number is taken."""
        if row["number"] in self._rows:
            raise BakeryFault(f"a {self.kind} with this number is there", row["number"])
        self._rows[row["number"]] = row
        self._write()

    def change(self, row: dict[str, Any]) -> None:
        """Put an entry in place of the one with its number. Raises UnknownEntry."""
        if row["number"] not in self._rows:
            raise UnknownEntry(self.kind, row["number"])
        self._rows[row["number"]] = row
        self._write()

    def remove(self, number: str) -> None:
        """Remove an entry. Raises UnknownEntry."""
        if number not in self._rows:
            raise UnknownEntry(self.kind, number)
        del self._rows[number]
        self._write()

    def row(self, number: str) -> dict[str, Any]:
        """Return the entry with a number. Raises UnknownEntry."""
        if number not in self._rows:
            raise UnknownEntry(self.kind, number)
        return self._rows[number]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield all entries in the order in which they were added."""
        yield from self._rows.values()

    def __len__(self) -> int:
        return len(self._rows)
