"""Find the encoding of a text file, and open it as text."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from smidgen.core.errors import DataError
from smidgen.core.printable import whole
from smidgen.data.source import SourceFile

_CHUNK = 1 << 20
_SAMPLE = 64 << 10
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_HIGH = re.compile(rb"[\x80-\xff]")
_NOT_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_SYMBOL_IN_WORD = re.compile(r"(?<=[^\W\d_])[¹³¿£¥\x80-\x9f\ufffd](?=[^\W\d_])")
_WESTERN = {"cp1252", "latin_1", "iso8859_1", "iso8859_15", "cp1254", "iso8859_9", "cp850", "cp858", "mac_roman", "cp437", "ascii"}
_COMMON = frozenset("оеаинтсрвлкмдпуαοιετσνηυρπκάίόέήיוהלאתמרנשاليمنورتبةع")
"""The commonest letters of Russian, Greek, Hebrew and Arabic."""
_DOUBLE_BYTE = ("shift_jis", "euc_jp", "gb18030", "big5", "euc_kr")
_LEGACY = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "koi8_r", *_DOUBLE_BYTE]


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoding and how it was found: `given`, `mark` (byte order mark), `valid` (all bytes are UTF-8) or `guessed`.

    `mixed`: some lines are UTF-8 and some are not; reading such a file stops at the first line that is not.
    """

    name: str
    how: str
    mixed: bool = False


def find_encoding(origin: SourceFile) -> Encoding:
    """Find the encoding of a text file. Reads all of it once, because the first odd byte may be in its last row."""
    if origin.encoding:
        try:
            return Encoding(codecs.lookup(origin.encoding).name, "given")
        except LookupError as error:
            raise origin.error("data.unknown_text_encoding", value=origin.encoding) from error
    for mark, name in _MARKS:
        if origin.head.startswith(mark):
            return Encoding(name, "mark")
    wide = _utf16_without_mark(origin.head)
    if wide:
        return Encoding(wide, "guessed")
    if _is_utf8(origin.path):
        return Encoding("utf-8", "valid")
    good, bad, sample = _lines_by_validity(origin.path)
    legacy = _legacy(sample)
    # A few lines of a double-byte encoding are UTF-8 by accident; a line of a Western one hardly ever is.
    if good and (legacy in ("cp1252", "latin-1") or good * 20 >= bad):
        return Encoding("utf-8", "guessed", mixed=True)
    return Encoding(legacy, "guessed")


@contextmanager
def open_text(origin: SourceFile, encoding: Encoding) -> Iterator[TextIO]:
    """The file as text, line ends unchanged. Undecodable bytes become lone surrogates, so that an error can name their row."""
    wide = encoding.name.startswith(("utf-16", "utf-32", "utf_16", "utf_32"))
    errors = "surrogatepass" if wide else "surrogateescape"
    with origin.path.open("rb") as raw, io.TextIOWrapper(raw, encoding=encoding.name, errors=errors, newline="") as stream:
        yield stream


def undecodable(origin: SourceFile, encoding: Encoding, row: int, column: str | None, value: str) -> DataError:
    """The error for a row whose bytes are not in the file's encoding."""
    readable = whole(value)
    if encoding.mixed:
        return origin.error("data.row_is_not_utf_8", value=readable, row=row, column=column)
    return origin.error("data.bytes_are_not_of_encoding", value=readable, encoding=encoding.name, row=row, column=column)


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while chunk := file.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _utf16_without_mark(head: bytes) -> str | None:
    """Detect UTF-16 without a mark: in mostly Latin text, every second byte is zero."""
    half = len(head) // 2
    if half < 4:
        return None
    even, odd = head[0::2].count(0) / half, head[1::2].count(0) / half
    if odd > 0.4 and even < 0.05:
        return "utf-16-le"
    if even > 0.4 and odd < 0.05:
        return "utf-16-be"
    return None


def _lines_by_validity(path: Path) -> tuple[int, int, bytes]:
    """Count the lines with non-ASCII bytes that are UTF-8 and those that are not, and return a sample of the latter."""
    good = bad = 0
    sample = bytearray()
    with path.open("rb") as file:
        while line := file.readline(_CHUNK):
            if not _HIGH.search(line):
                continue
            try:
                line.decode("utf-8")
                good += 1
            except UnicodeDecodeError:
                bad += 1
                if len(sample) < _SAMPLE:
                    sample += line[:_SAMPLE]
    return good, bad, bytes(sample)


def _legacy(sample: bytes) -> str:
    """The likely pre-Unicode encoding of lines that are not UTF-8.

    In European text too few bytes are accented for statistics: it is taken for Windows Western, unless that would put symbols inside words
    where Windows Central European has letters. If most bytes are not ASCII (Cyrillic, Greek, Chinese, ...) statistics are reliable.
    """
    western = "latin-1" if _NOT_CP1252.search(sample) else "cp1252"
    if len(_HIGH.findall(sample)) < 0.25 * len(sample):
        odd, other = _symbols_in_words(sample, "cp1252"), _symbols_in_words(sample, "cp1250")
        return "cp1250" if odd >= 2 and other * 2 <= odd else western
    from charset_normalizer import from_bytes

    found = [str(match.encoding) for match in from_bytes(sample, cp_isolation=_LEGACY)]
    if not found or found[0] in _WESTERN:
        return western
    if found[0] in _DOUBLE_BYTE:
        return found[0]
    # Any Cyrillic text also decodes as Greek, or as the other Cyrillic in capitals: the right encoding gives common letters.
    return max((name for name in found if name not in _DOUBLE_BYTE), key=lambda name: _commonness(sample.decode(name, errors="replace")))


def _commonness(text: str) -> float:
    letters = [letter for letter in text if not letter.isascii()]
    return sum(letter in _COMMON for letter in letters) / max(1, len(letters))


def _symbols_in_words(sample: bytes, encoding: str) -> int:
    return len(_SYMBOL_IN_WORD.findall(sample.decode(encoding, errors="replace")))
