"""How answers stand in a file: one JSON object a line, or, in a CSV or TSV file, the file's own columns with the answer beside them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any, Protocol

from smidgen.core.errors import InputError
from smidgen.core.replies import Reply
from smidgen.data.source import Record

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_LINES = (".jsonl", ".ndjson", ".json", ".txt", "")


class Answers(Protocol):
    """One kind of output file."""

    head: str
    """What stands before the first row."""

    def row(self, number: int, record: Record, answer: Reply | str) -> str:
        """The text of one row: answered, or with the error that kept it from being."""
        ...


class Lines:
    """`{"output", "score", "alternatives"}` a line; `{"output": null, "error", "row"}` for a row that could not be used."""

    head = ""

    def row(self, number: int, record: Record, answer: Reply | str) -> str:
        """See `Answers`."""
        entry = {"output": None, "score": 0.0, "error": answer, "row": number} if isinstance(answer, str) else line(answer)
        return json.dumps(entry, ensure_ascii=False) + "\n"


class Cells:
    """The columns of the source, then `output`, `score` and `error` (also where no answer could be given); `smidgen output` where the
    source has an `output` of its own."""

    def __init__(self, columns: Sequence[str], delimiter: str) -> None:
        self._columns = tuple(columns)
        self._delimiter = delimiter
        self.head = self._text([*columns, *(f"smidgen {name}" if name in columns else name for name in ("output", "score", "error"))])

    def row(self, number: int, record: Record, answer: Reply | str) -> str:
        """See `Answers`."""
        own = [_cell(record.get(name)) for name in self._columns]
        if isinstance(answer, str):
            return self._text([*own, "", "0", answer])
        return self._text([*own, _cell(answer.output), f"{answer.score:.6f}", str(answer.facts.get("refused", ""))])

    def _text(self, cells: list[str]) -> str:
        to = io.StringIO()
        csv.writer(to, delimiter=self._delimiter, lineterminator="\n").writerow(cells)
        return to.getvalue()


def answers_for(out: str, columns: Sequence[str]) -> Answers:
    """The kind of file that the name `out` asks for; "-" is lines. Raises InputError for a name of another kind."""
    suffix = "" if out == "-" else PurePath(out).suffix.lower()
    if suffix in _DELIMITERS:
        return Cells(columns, _DELIMITERS[suffix])
    if suffix in _LINES:
        return Lines()
    raise InputError("answers are not written in this format", value=out, todo="Name a file that ends in .jsonl, .csv or .tsv.")


def line(reply: Reply) -> dict[str, Any]:
    """A reply as it stands in a line."""
    return {
        "output": reply.output,
        "score": round(reply.score, 6),
        "alternatives": [{"output": output, "score": round(score, 6)} for output, score in reply.alternatives],
        **({"facts": dict(reply.facts)} if reply.facts else {}),
    }


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
