"""The arrays of a model, checked before anything is computed with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from smidgen.core.errors import EngineError

_AGAIN = "Build or copy the bundle again."


class Tensors:
    """The tensors of a safetensors file. Asking for one that is not there, or not of the shape it must have, raises EngineError."""

    def __init__(self, file: Path) -> None:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        self._file = file.name
        try:
            self._tensors: dict[str, NDArray[Any]] = load_file(file)
        except (OSError, SafetensorError, KeyError) as error:
            raise EngineError("the weights cannot be loaded", value=f"{file.name}: {error}", todo=_AGAIN) from error

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def get(self, name: str, *shape: int | None) -> NDArray[Any]:
        """The tensor; each dimension as given, None for any size."""
        if name not in self._tensors:
            raise EngineError("the weights lack a tensor", value=f"{self._file}: {name}", todo=_AGAIN)
        tensor = self._tensors[name]
        fits = tensor.ndim == len(shape) and all(want is None or want == have for want, have in zip(shape, tensor.shape, strict=True))
        if not fits:
            value = f"{self._file}: {name} is {tensor.shape}, not {shape}"
            raise EngineError("a tensor does not fit the others", value=value, todo=_AGAIN)
        return tensor
