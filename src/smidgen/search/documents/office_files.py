"""Read PDF and DOCX files as blocks."""

from __future__ import annotations

import functools
import io
import logging
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from smidgen.core.errors import MissingExtra, install_line
from smidgen.search.documents.document import TextBlock

MOST_PAGES = 2_000
MOST_UNPACKED = 200 << 20
"""Most bytes that an office file may unpack to."""
_MOST_CHARACTERS = 5_000_000
_LEAST_A_PAGE = 8
"""Characters per page under which a PDF counts as pictures of text."""
_MOST_PICTURES, _MOST_PIXELS = 20, 60_000_000
"""Pictures of a page, and the size of one, that are read."""
_LEAST_SURE = 0.5
_SENTENCE_END = re.compile(r"[.!?:;…][\"'”»)\]]*$")
_ITEM = re.compile(r"\s*(?:[-•*–▪·]\s|(?:\d{1,3}\.)+\d{0,3}\s|\d{1,3}[.)]\s|[a-z]\)\s)")
_PIXELS = re.compile(r"[^\S\n]+")
_HEADING_STYLE = re.compile(r"(?:heading|überschrift|titre|título) ?([1-6])")


def read_pdf(content: bytes) -> tuple[str, list[TextBlock]]:
    """Title and blocks of a PDF, each with its page. Pages that are pictures of text are read by OCR, where the extra `ocr` is installed.

    Raises MissingExtra without pypdf, ValueError, a clause, for a file that cannot be read, or holds no text.
    """
    try:
        import pypdf
        from pypdf.errors import PyPdfError
    except ImportError as error:
        raise MissingExtra("pypdf", "desk") from error
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it tells of each small fault of a file
    # A damaged file makes pypdf fail in any of these ways.
    failures = (PyPdfError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, OSError, zlib.error,
                AssertionError, NotImplementedError)  # fmt: skip
    blocks, characters = list[TextBlock](), 0
    try:
        reader = pypdf.PdfReader(io.BytesIO(content), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise ValueError("it is protected by a password")
        count = len(reader.pages)
        if count > MOST_PAGES:
            raise ValueError(f"it has {count:,} pages; {MOST_PAGES:,} are the most")
        for number, page in enumerate(reader.pages, start=1):
            text = page.extract_text()
            if len(text.strip()) < _LEAST_A_PAGE and (seen := _words_in_pictures(page)):
                text = seen
            characters += len(text)
            if characters > _MOST_CHARACTERS:
                raise ValueError(f"it has more than {_MOST_CHARACTERS:,} characters")
            blocks += [TextBlock(words, page=number) for words in _paragraphs(text)]
        title = str((reader.metadata or {}).get("/Title") or "").strip()
    except failures as error:
        said = " ".join(str(error).split())[:160] or type(error).__name__
        raise ValueError(
            said if isinstance(error, ValueError) and not isinstance(error, PyPdfError) else f"it is damaged ({said})"
        ) from None
    if characters < _LEAST_A_PAGE * max(1, count):
        todo = "no words were found in them" if _ocr() is not None else f"to read them by OCR, run: {install_line('ocr')}"
        raise ValueError(f"it holds pictures of text and no text; {todo}")
    return title, blocks


@functools.cache
def _ocr() -> Any:
    """The engine that reads pictures of text, with its models; None without the extra `ocr`."""
    try:
        from PIL import Image  # noqa: F401  pypdf needs it for pictures
        from rapidocr_onnxruntime import RapidOCR
    except ImportError:
        return None
    return RapidOCR()


def _words_in_pictures(page: Any) -> str:
    """The words in a page's pictures, a line for each line of text; empty without the extra `ocr`."""
    engine = _ocr()
    if engine is None:
        return ""
    lines = list[str]()
    for name in list(page.images.keys())[:_MOST_PICTURES]:
        picture = page.images[name].image
        if picture is None or not 0 < picture.width * picture.height <= _MOST_PIXELS:
            continue
        found, _ = engine(np.asarray(picture.convert("RGB")))
        lines += [str(text) for _, text, sure in found or () if float(sure) >= _LEAST_SURE]
    return "\n".join(lines)


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs of a page: lines joined until one ends a sentence and is short, or a blank line or a new item follows."""
    lines = [_PIXELS.sub(" ", line).strip() for line in text.replace("\xad\n", "").replace("\0", "").split("\n")]
    longest = max(map(len, lines), default=0)
    open_lines: list[str] = []
    for line in [*lines, ""]:
        ended = bool(open_lines) and bool(_SENTENCE_END.search(open_lines[-1])) and len(open_lines[-1]) < 0.75 * longest
        if open_lines and (not line or ended or _ITEM.match(line)):
            yield _joined_lines(open_lines)
            open_lines = []
        if line:
            open_lines.append(line)


def _joined_lines(lines: list[str]) -> str:
    text = lines[0]
    for line in lines[1:]:
        broken = len(text) > 1 and text[-1] == "-" and text[-2].isalpha() and line[:1].islower()
        text = text[:-1] + line if broken else f"{text} {line}"
    return text


def read_docx(content: bytes) -> tuple[str, list[TextBlock]]:
    """Title and blocks of a DOCX, without hidden text. Raises MissingExtra without python-docx, ValueError, a clause, for a file that is
    none."""
    bound_archive(content)
    try:
        import docx
        from docx.opc.exceptions import OpcError
        from lxml.etree import LxmlError
    except ImportError as error:
        raise MissingExtra("python-docx", "desk") from error
    try:
        document = docx.Document(io.BytesIO(content))
        title = str(document.core_properties.title or "").strip()
        blocks = list(_docx_blocks(document))
    except (OpcError, LxmlError, KeyError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"it is no Word document, or damaged ({' '.join(str(error).split())[:160]})") from None
    first = next((block.text for block in blocks if block.level == 1), "")
    return title or first, blocks


def _docx_blocks(document: Any) -> Iterator[TextBlock]:
    from docx.table import Table

    for item in document.iter_inner_content():
        if isinstance(item, Table):
            rows = [[" ".join(cell.text.split()) for cell in row.cells] for row in item.rows]
            names = rows[0] if len(rows) > 1 else []
            for cells in rows[1:] or rows:
                pairs = [(names[place] if place < len(names) else "", cell) for place, cell in enumerate(cells)]
                text = "; ".join(f"{name}: {cell}" if name and name != cell else cell for name, cell in pairs if cell)
                if text:
                    yield TextBlock(text)
            continue
        text = " ".join("".join(run.text for run in item.runs if not run.font.hidden).split()) or ("" if item.runs else item.text.strip())
        if text:
            style = (item.style.name or "").lower() if item.style is not None else ""
            numbered = _HEADING_STYLE.fullmatch(style)
            yield TextBlock(text, level=int(numbered[1]) if numbered else 1 if style == "title" else 0)


def bound_archive(content: bytes) -> None:
    """Unpack every member once, counting: an archive may state false sizes. Raises ValueError, a clause, past `MOST_UNPACKED`."""
    total = 0
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                if member.flag_bits & 1:
                    raise ValueError("it is protected by a password")
                with archive.open(member) as stream:
                    while chunk := stream.read(1 << 20):
                        total += len(chunk)
                        if total > MOST_UNPACKED:
                            raise ValueError(f"it unpacks to more than {MOST_UNPACKED >> 20:,} MiB")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise ValueError(f"it is damaged ({str(error)[:160]})") from None
