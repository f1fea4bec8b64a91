"""The header of a GGUF file: its keys and values, and the shapes and places of its tensors. Weights are not read.

The layout is that of ggml's docs/gguf.md, versions 2 and 3, little-endian. The file is not trusted: every count and length is checked
against a bound before anything is read or allocated for it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from smidgen.core.errors import BaseError

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_MOST_KEYS = 10_000
_MOST_TENSORS = 100_000
_MOST_ELEMENTS = 4_000_000  # of one list: the largest vocabularies have a quarter of a million tokens
_LONGEST_NAME = 65_535  # bytes of a key or a tensor's name, as in the format
_LONGEST_TEXT = 4_000_000  # bytes of a value: a token, a chat template
_DIMENSIONS = 4
_ALIGNMENT = "general.alignment"


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """One tensor. `shape`: rows first. `kind`: ggml's number of its type. `start`: bytes from the start of the file."""

    shape: tuple[int, ...]
    kind: int
    start: int


def read_metadata(file: Path) -> dict[str, Any]:
    """The file's metadata: values by key (`general.architecture`, `tokenizer.ggml.tokens`, ...), lists as lists.

    Raises:
        BaseError: the file cannot be read, is not a GGUF, or is malformed.
    """
    with _opened(file) as stream:
        return _HeaderReader(file, stream).facts()


def read_tensor_shapes(file: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor by its name, rows first as in numpy and torch. Raises BaseError as `read_metadata` does."""
    return {name: placed.shape for name, placed in read_header(file)[1].items()}


def read_header(file: Path) -> tuple[dict[str, Any], dict[str, GgufTensor]]:
    """The file's metadata, and its tensors by name. Does not check that the tensors' data exists. Raises BaseError as `read_metadata`
    does."""
    with _opened(file) as stream:
        reader = _HeaderReader(file, stream)
        facts = reader.facts()
        return facts, reader.tensors(facts.get(_ALIGNMENT, 32))


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise BaseError("gguf.gguf_file_cannot_be_opened", value=str(file), strerror=error.strerror) from error


class _HeaderReader:
    """Reads the head of a file from its start: first `facts`, then `tensors`."""

    def __init__(self, file: Path, stream: BinaryIO) -> None:
        self._file, self._stream = file, stream
        if stream.read(4) != b"GGUF":
            raise self._wrong("the file is not a GGUF")
        version = self._number("<I")
        if version not in (2, 3):
            raise self._wrong(f"the file is of GGUF version {version}, which cannot be read; 2 and 3 can")
        self._tensor_count = self._count("<Q", _MOST_TENSORS, "tensors")
        self._key_count = self._count("<Q", _MOST_KEYS, "keys")

    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in range(self._key_count):
            key = self._text(_LONGEST_NAME)
            if key in found:
                raise self._wrong(f"the key {key!r} is there twice")
            found[key] = self._value(self._number("<I"))
        return found

    def tensors(self, alignment: Any) -> dict[str, GgufTensor]:
        """The tensors in the header. `alignment`: their offsets are multiples of this many bytes."""
        if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
            raise self._wrong(f"{_ALIGNMENT} is {alignment!r}, which is no power of two")
        found: dict[str, GgufTensor] = {}
        for _ in range(self._tensor_count):
            name = self._text(_LONGEST_NAME)
            if name in found:
                raise self._wrong(f"the tensor {name!r} is there twice")
            shape = [self._number("<Q") for _ in range(self._count("<I", _DIMENSIONS, "dimensions"))]
            found[name] = GgufTensor(tuple(reversed(shape)), self._number("<I"), self._number("<Q"))
        start = -(-self._stream.tell() // alignment) * alignment
        return {name: replace(placed, start=start + placed.start) for name, placed in found.items()}

    def _value(self, kind: int) -> Any:
        if kind in _SCALARS:
            return self._number(_SCALARS[kind])
        if kind == _STRING:
            return self._text(_LONGEST_TEXT)
        if kind != _ARRAY:
            raise self._wrong(f"a value is of the unknown type {kind}")
        kind, count = self._number("<I"), self._count("<Q", _MOST_ELEMENTS, "elements in a list")
        if kind == _STRING:
            return [self._text(_LONGEST_TEXT) for _ in range(count)]
        if kind not in _SCALARS:
            raise self._wrong(f"a list is of the unknown type {kind}")
        one = _SCALARS[kind][1]
        return list(struct.unpack(f"<{count}{one}", self._bytes(count * struct.calcsize(f"<{one}"))))

    def _text(self, limit: int) -> str:
        length = self._count("<Q", limit, "bytes in a text")
        try:
            return self._bytes(length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._wrong("a text is not UTF-8") from error

    def _count(self, form: str, limit: int, what: str) -> int:
        count: int = self._number(form)
        if count > limit:
            raise self._wrong(f"the file announces {count} {what}; at most {limit} are read")
        return count

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._bytes(struct.calcsize(form)))[0]

    def _bytes(self, length: int) -> bytes:
        found = self._stream.read(length)
        if len(found) != length:
            raise self._wrong("the file ends in the middle of its metadata")
        return found

    def _wrong(self, what: str) -> BaseError:
        return BaseError(what, value=str(self._file), todo="Fetch the file anew, or name another.")
