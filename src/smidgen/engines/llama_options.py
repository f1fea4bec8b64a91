"""Options of the llama engine, read from the manifest, and the LoRA adapters that they name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from smidgen.core.errors import EngineError, RequestError
from smidgen.core.settings import Settings, setting
from smidgen.engines.model_files import AGAIN

TokenId = Annotated[int, Field(ge=0)]
HELD = ("cache", "draft", "draft_after", "draft_most")
"""The options of a process, equal for all models in it."""


class LlamaOptions(Settings):
    """The llama engine's options. An unknown name is refused, because the model would be served differently from how it was measured."""

    model: str = setting("model.gguf", "The weights, a file in the bundle's folder.")
    before: tuple[TokenId, ...] = setting((), "Token ids before the text.")
    after: tuple[TokenId, ...] = setting((), "Token ids after the text.")
    stop: tuple[TokenId, ...] = setting((), "Token ids that end what is written; the model file's own end tokens always do.")
    max_tokens: int = setting(256, "Tokens written at most, where the request does not say.", ge=1)
    context: int = setting(2048, "Tokens of one prompt and what is written after it, together.", ge=16, le=1_048_576)
    slots: int = setting(4, "Texts written side by side.", ge=1, le=64)
    cache: Literal["q8_0", "f16"] = setting("q8_0", "How the keys and values of tokens already read are kept.")
    draft: Literal["none", "lookup"] = setting("none", "`lookup` guesses the next tokens from repeats in the text, and checks the guesses.")
    draft_after: int = setting(6, "For `lookup`: how many tokens must stand earlier in the text just so.", ge=1, le=64)
    draft_most: int = setting(
        16, "For `lookup`: how many tokens are guessed at most; fewer than `draft_after` are not guessed.", ge=1, le=64
    )
    schema_of_answers: dict[str, Any] = setting({}, "JSON schema that all that is written must fit; empty for free text.")
    loop: int = setting(
        0, "Characters that a text may go round in circles before it is cut, as copies of one run of characters; 0: any number.", ge=0
    )
    adapters: dict[str, str] = setting({}, "LoRA adapters, by name: GGUF files in the bundle's folder.")
    adapter: str | None = setting(None, "The adapter that a request has where it names none; none: the model itself.")


def read(given: Mapping[str, Any]) -> LlamaOptions:
    """Check the options. Raises EngineError that names the first invalid one."""
    try:
        found = LlamaOptions.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        known = ", ".join(LlamaOptions.model_fields)
        raise EngineError(f"the engine's option {where!r} is invalid", value=first["msg"], todo=f"It knows: {known}. {AGAIN}") from error
    if found.adapter is not None and found.adapter not in found.adapters:
        raise EngineError("the engine's option 'adapter' names none of its adapters", value=found.adapter, todo=AGAIN)
    return found


def inside(folder: Path, name: str) -> Path:
    """A file that the options name. Raises EngineError if it is missing, or lies outside the folder."""
    file = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise EngineError("the engine's options name a file outside the bundle", value=name, todo=AGAIN)
    if not file.is_file():
        raise EngineError("a file of the model is missing", value=name, todo=AGAIN)
    return file


class LoadedAdapters:
    """The adapters of one model among those that its process holds.

    Args:
        files: the model's own, by name.
        usual: the default adapter of a request; None for the model itself.
        first: the number of other models' adapters before these.
        held: the number of adapters in the process.
    """

    def __init__(self, files: Mapping[str, Path], usual: str | None, first: int = 0, held: int | None = None) -> None:
        self.names = list(files)
        self._usual, self._first = usual, first
        self._held = len(files) if held is None else held

    def scales(self, name: str | None) -> list[dict[str, float]]:
        """The weight of each adapter of the process in a request: 1 for the chosen one, 0 for the others.

        Raises RequestError, with the available names, for an unknown name.
        """
        name = self._usual if name is None else name
        if name is not None and name not in self.names:
            close = difflib.get_close_matches(name, self.names, n=1)
            meant = f"Did you mean {close[0]!r}? " if close else ""
            there = f"Available: {', '.join(self.names)}." if self.names else "This model has none: leave it out."
            raise RequestError(
                "no adapter has this name", value=name, todo=meant + there, status=404, code="adapter_not_found", param="adapter"
            )
        chosen = self._first + self.names.index(name) if name is not None else None
        return [{"id": number, "scale": float(number == chosen)} for number in range(self._held)]


def files_of(folder: Path, named: Mapping[str, str]) -> dict[str, Path]:
    """The files of a model's adapters, by name. Raises EngineError if one is missing, or lies outside the folder."""
    return {name: inside(folder, file) for name, file in named.items()}
