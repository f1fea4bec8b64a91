"""Reads the weights of a decoder's base: out of a GGUF, or out of safetensors in one file or several."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch

from smidgen.core.errors import BaseError
from smidgen.store.weights import weight_files


class Weights(Mapping[str, torch.Tensor]):
    """Every weight of a decoder as float32 by its name in transformers, each read when it is asked for and not held."""

    def __init__(self, readers: Mapping[str, Callable[[], torch.Tensor]]) -> None:
        self._readers = readers

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._readers[name]()

    def __contains__(self, name: object) -> bool:
        return name in self._readers

    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    def __len__(self) -> int:
        return len(self._readers)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """Every weight as float32 by its name in transformers. Raises BaseError where there are none that can be read."""
    return dict(opened_weights(folder))


def opened_weights(folder: Path) -> Weights:
    """The same, read one by one: those of the files whose hash stands for the base, and of no other. Raises BaseError where there are none
    that can be read."""
    files = weight_files(folder)
    if not files:
        raise BaseError(
            "the base has no weights (model.safetensors, all files of its index, or a single GGUF)",
            value=str(folder),
            todo="Fetch it anew: smidgen pull smollm2",
        )
    if files[0].suffix == ".gguf":
        from smidgen.students.gguf_weights import readers

        return Weights(readers(files[0]))
    from safetensors import safe_open

    found: dict[str, Callable[[], torch.Tensor]] = {}
    for file in files:
        with safe_open(str(file), framework="pt") as opened:
            found |= {name: functools.partial(_read, file, name) for name in opened.keys()}  # noqa: SIM118
    return Weights(found)


def _read(file: Path, name: str) -> torch.Tensor:
    from safetensors import safe_open

    with safe_open(str(file), framework="pt") as opened:
        tensor: torch.Tensor = opened.get_tensor(name)
        return tensor.float()
