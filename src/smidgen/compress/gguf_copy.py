"""Reads where things lie in a GGUF, and writes a copy with other tensors: its metadata goes over byte for byte.

The layout is that of ggml's docs/gguf.md, version 3, little-endian.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import EngineError

F32, F16, BF16 = 0, 1, 30
WIDTHS = {F32: 4, F16: 2, BF16: 2}
"""The types that weights come in before they are packed, by ggml's numbers, and their bytes a number."""

_SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # of scalars, by type
_UINT32, _STRING, _ARRAY = 4, 8, 9
_FILE_TYPE, _QUANTIZATION, _ALIGNMENT = "general.file_type", "general.quantization_version", "general.alignment"
_VERSION = 2  # of the layouts of blocks


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor's place: `shape` has rows first; `start` counts from the start of the file, in bytes."""

    name: str
    shape: tuple[int, ...]
    kind: int
    start: int


class Source:
    """A GGUF whose weights are floats, opened to be copied. Raises EngineError where it is malformed or already quantised."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            with file.open("rb") as stream:
                self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            self._read()
        except (OSError, ValueError, KeyError, struct.error) as error:
            raise EngineError(f"the GGUF cannot be read ({error})", value=str(file), todo="Export the model anew.") from error

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._map.close()

    def numbers(self, tensor: Tensor) -> NDArray[np.floating]:
        """The tensor as numbers; 16-bit ones stay 16-bit where numpy has their type."""
        found = self.raw(tensor).view({F32: "<f4", F16: "<f2", BF16: "<u2"}[tensor.kind]).reshape(tensor.shape)
        return (found.astype(np.uint32) << 16).view(np.float32) if tensor.kind == BF16 else found

    def raw(self, tensor: Tensor) -> NDArray[np.uint8]:
        """The tensor's bytes as they lie in the file."""
        return np.frombuffer(self._map[tensor.start : tensor.start + int(np.prod(tensor.shape)) * WIDTHS[tensor.kind]], np.uint8)

    def copy(self, out: Path, kinds: Mapping[str, tuple[int, int]], data: Iterator[NDArray[Any]], file_type: int) -> None:
        """Write the file anew.

        Args:
            kinds: ggml's number of the type and the size in bytes that each tensor will have, by its name.
            data: what each tensor will hold, in the order of `tensors`.
            file_type: llama.cpp's number for a file of this kind (`general.file_type`).
        """
        keys, count = self._keys_with({_FILE_TYPE: file_type, _QUANTIZATION: _VERSION})
        infos, offset = bytearray(), 0
        for tensor in self.tensors:
            kind, size = kinds[tensor.name]
            name = tensor.name.encode("utf-8")
            infos += struct.pack("<Q", len(name)) + name + struct.pack("<I", len(tensor.shape))
            infos += struct.pack(f"<{len(tensor.shape)}QIQ", *reversed(tensor.shape), kind, offset)
            offset += -(-size // self._align) * self._align
        with out.open("wb") as stream:
            stream.write(b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), count))
            stream.write(keys)
            stream.write(infos)
            self._pad(stream)
            for tensor, array in zip(self.tensors, data, strict=True):
                if array.nbytes != kinds[tensor.name][1]:
                    raise EngineError("a packed tensor is not of the announced size", value=tensor.name, todo="Report this to smidgen.")
                stream.write(array.tobytes())
                self._pad(stream)

    def _pad(self, stream: BinaryIO) -> None:
        stream.write(b"\0" * (-stream.tell() % self._align))

    def _keys_with(self, values: Mapping[str, int]) -> tuple[bytes, int]:
        """The keys and values as they lie in the file, but for some 32-bit numbers, which are changed or added; and how many keys."""
        keys = bytearray(self._map[self._keys_start : self._keys_end])
        count = self._key_count
        for key, value in values.items():
            place = self._places.get(key)
            if place is not None and place[0] == _UINT32:
                struct.pack_into("<I", keys, place[1] - self._keys_start, value)
            elif place is None:
                keys += struct.pack("<Q", len(key)) + key.encode("ascii") + struct.pack("<II", _UINT32, value)
                count += 1
            else:
                raise EngineError("a number in the GGUF's metadata is of an unusual type", value=key, todo="Export the model anew.")
        return bytes(keys), count

    def _read(self) -> None:
        magic, version, tensors, self._key_count = struct.unpack_from("<4sIQQ", self._map, 0)
        if magic != b"GGUF" or version != 3:
            raise ValueError("it is no GGUF of version 3")
        self._keys_start = at = 24
        self._places: dict[str, tuple[int, int]] = {}
        for _ in range(self._key_count):
            name, at = self._text(at)
            (kind,) = struct.unpack_from("<I", self._map, at)
            self._places[name] = kind, at + 4
            at = self._after(kind, at + 4)
        self._keys_end = at
        self._align = struct.unpack_from("<I", self._map, self._places[_ALIGNMENT][1])[0] if _ALIGNMENT in self._places else 32
        entries = []
        for _ in range(tensors):
            name, at = self._text(at)
            (dimensions,) = struct.unpack_from("<I", self._map, at)
            *shape, kind, offset = struct.unpack_from(f"<{dimensions}QIQ", self._map, at + 4)
            entries.append((name, tuple(reversed(shape)), kind, offset))
            at += 4 + 8 * dimensions + 12
        start = -(-at // self._align) * self._align
        self.tensors = [Tensor(name, shape, kind, start + offset) for name, shape, kind, offset in entries]
        for tensor in self.tensors:
            if tensor.kind not in WIDTHS:
                raise ValueError(f"{tensor.name} is quantised already")
            if tensor.start + int(np.prod(tensor.shape)) * WIDTHS[tensor.kind] > len(self._map):
                raise ValueError(f"{tensor.name} lies beyond its end")

    def _text(self, at: int) -> tuple[str, int]:
        (length,) = struct.unpack_from("<Q", self._map, at)
        if length > len(self._map):
            raise ValueError("a text is longer than the file")
        return self._map[at + 8 : at + 8 + length].decode("utf-8"), at + 8 + length

    def _after(self, kind: int, at: int) -> int:
        """Where a value ends."""
        if kind == _STRING:
            return at + 8 + int(struct.unpack_from("<Q", self._map, at)[0])
        if kind != _ARRAY:
            return at + _SCALARS[kind]
        kind, count = struct.unpack_from("<IQ", self._map, at)
        at += 12
        if kind in _SCALARS:
            return at + int(count) * _SCALARS[kind]
        for _ in range(count):
            at = self._after(kind, at)
        return at
