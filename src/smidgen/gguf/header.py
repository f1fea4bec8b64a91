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
        self._name, self._stream = str(file), stream
        if stream.read(4) != b"GGUF":
            raise BaseError("gguf.file_is_not_gguf", value=self._name)
        version = self._number("<I")
        if version not in (2, 3):
            raise BaseError("gguf.gguf_version_cannot_be_read", value=self._name, version=version)
        self._tensor_count = self._count("<Q", _MOST_TENSORS, "tensors")
        self._key_count = self._count("<Q", _MOST_KEYS, "keys")

    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in range(self._key_count):
            key = self._text(_LONGEST_NAME)
            if key in found:
                raise BaseError("gguf.key_is_there_twice", value=self._name, key=key)
            found[key] = self._value(self._number("<I"))
        return found

    def tensors(self, alignment: Any) -> dict[str, GgufTensor]:
        """The tensors in the header. `alignment`: their offsets are multiples of this many bytes."""
        if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
            raise BaseError("gguf.alignment_is_no_power_of_two", value=self._name, name=_ALIGNMENT, alignment=alignment)
        found: dict[str, GgufTensor] = {}
        for _ in range(self._tensor_count):
            name = self._text(_LONGEST_NAME)
            if name in found:
                raise BaseError("gguf.tensor_is_there_twice", value=self._name, name=name)
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
            raise BaseError("gguf.value_is_of_unknown_type", value=self._name, kind=kind)
        kind, count = self._number("<I"), self._count("<Q", _MOST_ELEMENTS, "elements in a list")
        if kind == _STRING:
            return [self._text(_LONGEST_TEXT) for _ in range(count)]
        if kind not in _SCALARS:
            raise BaseError("gguf.list_is_of_unknown_type", value=self._name, kind=kind)
        one = _SCALARS[kind][1]
        return list(struct.unpack(f"<{count}{one}", self._bytes(count * struct.calcsize(f"<{one}"))))

    def _text(self, limit: int) -> str:
        length = self._count("<Q", limit, "bytes in a text")
        try:
            return self._bytes(length).decode("utf-8")
        except UnicodeDecodeError as error:
            raise BaseError("gguf.text_is_not_utf_8", value=self._name) from error

    def _count(self, form: str, limit: int, things: str) -> int:
        count: int = self._number(form)
        if count > limit:
            raise BaseError("gguf.file_announces_too_many", value=self._name, count=count, things=things, most=limit)
        return count

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._bytes(struct.calcsize(form)))[0]

    def _bytes(self, length: int) -> bytes:
        found = self._stream.read(length)
        if len(found) != length:
            raise BaseError("gguf.file_ends_in_its_metadata", value=self._name)
        return found
