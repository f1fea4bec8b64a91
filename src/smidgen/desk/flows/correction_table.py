"""Corrections as a table for a spreadsheet: the owner writes yes, no or unanswerable beside each, and edits its words."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from smidgen.core.errors import DataError, InputError
from smidgen.desk.flows import corrections
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.desk.store.corrections import MOST_LISTED
from smidgen.store import files

COLUMNS = ("approve", "question", "answer", "intent", "said", "outcome", "comment", "document", "quote", "channel", "time", "id")
_ANSWERS: Mapping[str, str] = {"yes": "yes", "y": "yes", "ja": "yes", "no": "no", "n": "no", "nein": "no", "unanswerable": "unanswerable"}
_MOST_FILE = 50 << 20
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_MOST_MISTAKES = 20


@dataclass(frozen=True, slots=True)
class ReviewCounts:
    """How many corrections of a table were approved and rejected, and how many still wait."""

    approved: int
    rejected: int
    waiting: int


def write_table(store: ConversationStore, file: Path, desk: str = "") -> int:
    """Write the corrections that wait into a CSV file; returns how many. At most a thousand are written, the newest."""
    page = corrections.list_corrections(store, "waiting", desk, 0, MOST_LISTED)
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for one in page.corrections:
        known = {name: getattr(one, name) for name in COLUMNS if name not in ("approve", "time")}
        row = {**known, "approve": "", "time": datetime.fromtimestamp(one.time, UTC).isoformat(timespec="seconds")}
        writer.writerow({name: _safe(str(value)) for name, value in row.items()})
    files.write(file, out.getvalue().encode("utf-8-sig"), 0o600)
    return len(page.corrections)


def read_table(store: ConversationStore, file: Path, by: str) -> ReviewCounts:
    """Store what the owner wrote in a table. A row whose `approve` is empty goes on waiting.

    An intent counts as a correction only if it differs from the recognised one. Raises InputError for a file that is no such table, and
    DataError with every row that cannot be taken; the others are stored.
    """
    counts, mistakes = {"approved": 0, "rejected": 0, "waiting": 0}, list[str]()
    for number, row in enumerate(_rows(file), 2):
        said = (row.get("approve") or "").strip().casefold()
        try:
            counts[_decide(store, row, said, by)] += 1
        except InputError as error:
            mistakes.append(f"row {number}: {error.what}: {error.value}")
    if mistakes:
        raise DataError("desk.some_rows_cannot_be_taken", value="; ".join(mistakes[:_MOST_MISTAKES]))
    return ReviewCounts(**counts)


def _decide(store: ConversationStore, row: Mapping[str, str], said: str, by: str) -> str:
    if not said:
        return "waiting"
    answer = _ANSWERS.get(said)
    if answer is None:
        raise InputError("desk.approval_is_unreadable", value=said[:40])
    id = (row.get("id") or "").strip()
    if answer == "no":
        corrections.reject(store, id, by)
        return "rejected"
    words = {name: _plain(row.get(name) or "") for name in ("question", "answer", "intent", "document", "quote")}
    known = store.corrections.correction(id)
    intent = words["intent"] if words["intent"] != known.intent else None
    corrections.approve(
        store,
        id,
        by,
        question=words["question"],
        answer=words["answer"],
        intent=intent,
        document=words["document"],
        quote=words["quote"],
        unanswerable=answer == "unanswerable",
    )
    return "approved"


def _rows(file: Path) -> list[dict[str, str]]:
    try:
        if file.stat().st_size > _MOST_FILE:
            raise InputError("desk.table_of_corrections_is_too_large", value=file.name)
        text = file.read_text(encoding="utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=";" if ";" in text.partition("\n")[0] else ",")
        rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError("desk.table_of_corrections_cannot_be_read", value=f"{file}: {error}") from None
    if missing := {"approve", "question", "answer", "id"} - set(reader.fieldnames or ()):
        raise InputError("desk.table_of_corrections_lacks_column", value=sorted(missing)[0])
    return rows


def _safe(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: customers wrote it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _plain(text: str) -> str:
    return text[1:] if text[:1] == "'" and text[1:].startswith(_FORMULA) else text
