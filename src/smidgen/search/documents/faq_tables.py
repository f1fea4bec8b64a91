"""Read FAQ tables, CSV or XLSX, as blocks: a row with a question and its answer is one entry."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from smidgen.core.errors import MissingExtra
from smidgen.search.documents.document import TextBlock
from smidgen.search.documents.office_files import bound_archive

QUESTION_NAMES = ("question", "questions", "q", "frage", "fragen", "pregunta", "faq", "title", "titel")
ANSWER_NAMES = ("answer", "answers", "a", "antwort", "antworten", "respuesta", "response", "reply", "text")
TOPIC_NAMES = ("topic", "category", "section", "heading", "thema", "kategorie", "bereich", "tema")
URL_NAMES = ("url", "link", "address")
MOST_ROWS = 20_000
_LONGEST_CELL = 20_000


def read_faq_csv(content: bytes) -> list[TextBlock]:
    """The entries of a CSV file. Raises ValueError, a clause, for a file that is no FAQ table."""
    text = _decoded(content)
    try:
        dialect: Any = csv.Sniffer().sniff(text[:20_000], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    dialect.doublequote = True
    try:
        rows: list[list[str]] = []
        for row in csv.reader(io.StringIO(text), dialect):
            if len(rows) > MOST_ROWS:
                raise ValueError(f"it has more than {MOST_ROWS:,} rows")
            rows.append(row)
    except csv.Error as error:
        raise ValueError(f"it cannot be read as CSV ({error})") from None
    return entries_of(rows)


def read_faq_workbook(content: bytes) -> list[TextBlock]:
    """The entries of all worksheets of a workbook that are FAQ tables. Raises MissingExtra without fastexcel, ValueError, a clause, if
    none is one."""
    bound_archive(content)
    try:
        import fastexcel
    except ImportError as error:
        raise MissingExtra("fastexcel", "train") from error
    found, faults = list[TextBlock](), list[str]()
    try:
        book = fastexcel.read_excel(content)
        for name in book.sheet_names:
            sheet = book.load_sheet(name, header_row=None, n_rows=MOST_ROWS, dtypes="string")
            if sheet.width > 200:
                raise ValueError(f"the worksheet {name!r} has {sheet.width:,} columns")
            rows = [[cell or "" for cell in row] for row in sheet.to_polars().iter_rows()]
            try:
                found += entries_of(rows)
            except ValueError as error:
                faults.append(f"{name}: {error}")
    except fastexcel.FastExcelError as error:
        raise ValueError(f"it is no workbook, or damaged ({str(error).splitlines()[0][:160]})") from None
    if not found:
        raise ValueError("; ".join(faults) or "it holds no rows")
    return found


def entries_of(rows: Sequence[Sequence[str]]) -> list[TextBlock]:
    """The entries of a table whose first row names its columns. Raises ValueError, a clause, without columns for questions and answers."""
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    names = [cell.strip().lower() for cell in rows[0]] if rows else []
    asked, answered = _place(names, QUESTION_NAMES), _place(names, ANSWER_NAMES)
    if asked is None or answered is None:
        raise ValueError(f"it has no columns named question and answer, only {', '.join(names)[:120] or 'empty ones'}")
    topic, url = _place(names, TOPIC_NAMES), _place(names, URL_NAMES)

    def cell(row: Sequence[str], place: int | None) -> str:
        return " ".join(row[place].split())[:_LONGEST_CELL] if place is not None and place < len(row) else ""

    found = []
    for row in rows[1:]:
        question, answer, address = cell(row, asked), cell(row, answered), cell(row, url)
        if question and answer:
            address = address if address.startswith(("https://", "http://")) else ""
            found.append(TextBlock(answer, question=question, url=address, topic=cell(row, topic)))
    if not found:
        raise ValueError("it has no row with both a question and an answer")
    return found


def _place(names: Sequence[str], known: Sequence[str]) -> int | None:
    return next((names.index(name) for name in known if name in names), None)


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")
