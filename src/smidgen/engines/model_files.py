"""The tokenizer and the tensors of a model, checked before use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol

from numpy.typing import NDArray

from smidgen.core.errors import EngineError
from smidgen.core.rows import Text
from smidgen.store import tokenizer_checks
from smidgen.text import unigram
from smidgen.text.tagging import TagChain
from smidgen.text.unigram import UnigramTokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class Tensors:
    """The tensors of a safetensors file. A request for a missing tensor, or one of another shape, raises EngineError."""

    def __init__(self, file: Path) -> None:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        self._file = file.name
        try:
            self._tensors: dict[str, NDArray[Any]] = load_file(file)
        except (OSError, SafetensorError, KeyError) as error:
            raise EngineError("engines.weights_cannot_be_loaded", value=f"{file.name}: {error}") from error

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def get(self, name: str, *shape: int | None) -> NDArray[Any]:
        """The tensor; each dimension as given, None for any size."""
        if name not in self._tensors:
            raise EngineError("engines.weights_lack_tensor", value=f"{self._file}: {name}")
        tensor = self._tensors[name]
        fits = tensor.ndim == len(shape) and all(want is None or want == have for want, have in zip(shape, tensor.shape, strict=True))
        if not fits:
            value = f"{self._file}: {name} is {tensor.shape}, not {shape}"
            raise EngineError("engines.shape_of_tensor_does_not_fit", value=value)
        return tensor


AGAIN = "Build or copy the bundle again."
LONGEST = 1_000_000
"""Most tokens that a model may claim to read of a text."""
CHARACTERS_A_TOKEN = 100
"""A text is cut to this many characters for each token that the model reads. A WordPiece word of over 100 characters is one unknown
token, so nothing is lost that the model would have read in real text; and a gigabyte costs no more than a page."""


def chain_of(tensors: Tensors) -> TagChain:
    """The chain of a tagger by its tensor `transitions` (tags, tags). Raises EngineError if it is invalid."""
    try:
        return TagChain(tensors.get("transitions", None, None))
    except ValueError as error:
        raise EngineError("engines.transition_matrix_is_invalid", value=str(error)) from error


class TokenizedText(Protocol):
    """A text as tokens: `tokenizers.Encoding`, or `CutText` of a large Unigram vocabulary."""

    @property
    def ids(self) -> list[int]:
        """The number of each token."""
        ...

    @property
    def type_ids(self) -> list[int]:
        """The number of the text that each token is from, if the model tells them apart."""
        ...

    @property
    def tokens(self) -> list[str]:
        """Each token."""
        ...

    @property
    def offsets(self) -> list[tuple[int, int]]:
        """The characters that each token covers."""
        ...

    @property
    def special_tokens_mask(self) -> list[int]:
        """1 for each token that was added around the text, else 0."""
        ...


LARGE = 60_000
"""Pieces from which a Unigram vocabulary is read in little memory, a little slower."""


class ModelTokenizer:
    """The tokenizer of a model, with the model's own truncation and no padding, whatever its file says."""

    def __init__(self, folder: Path, max_length: int, special: bool = True) -> None:
        self.max_length, self.special = length_of(max_length), special
        self._longest = self.max_length * CHARACTERS_A_TOKEN
        content, told = _read_tokenizer(folder / "tokenizer.json")
        self._unigram = _large_unigram(told, self.max_length)
        if self._unigram is not None:
            self.pad = pad_of(self._unigram)
            return
        self._tokenizer = _made(content, "tokenizer.json")
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self.max_length, strategy="longest_first")
        self.pad = pad_of(self._tokenizer)

    def encode(self, texts: Sequence[Text]) -> Sequence[TokenizedText]:
        """One encoding (`ids`, `type_ids`) for each text, in order; pairs get the tokenizer's own pair template."""
        cut: list[str | tuple[str, str]] = [
            text[: self._longest] if isinstance(text, str) else (text[0][: self._longest], text[1][: self._longest]) for text in texts
        ]
        if self._unigram is not None:
            return [self._unigram.encode(*_two(text), special=self.special) for text in cut]
        if len(cut) == 1:  # a pool of threads costs more than one text
            return [self._tokenizer.encode(*_two(cut[0]), add_special_tokens=self.special)]
        return self._tokenizer.encode_batch_fast(cut, add_special_tokens=self.special)


def length_of(given: Any) -> int:
    """Check the option `max_length`. Raises EngineError if it is out of range."""
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= LONGEST:
        raise EngineError("engines.engine_option_max_length_is_invalid", value=given, longest=LONGEST)
    return given


def _two(text: str | tuple[str, str]) -> tuple[str, str | None]:
    return (text, None) if isinstance(text, str) else text


def _large_unigram(told: dict[str, Any], most: int) -> UnigramTokenizer | None:
    """The tokenizer of a large Unigram vocabulary of the shape that is read in little memory; None for any other."""
    if not unigram.is_readable(told) or len(told["model"]["vocab"]) < LARGE:
        return None
    try:
        return UnigramTokenizer(told, most)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EngineError("engines.tokenizer_cannot_be_read", error=error) from error


def pad_of(tokenizer: Tokenizer | UnigramTokenizer) -> int:
    """The number of the padding token; 0 if there is none."""
    known = (tokenizer.token_to_id(token) for token in ("[PAD]", "<pad>", "<|padding|>"))
    return next((number for number in known if number is not None), 0)


def load_tokenizer(file: Path) -> Tokenizer:
    """The tokenizer in a file. Raises EngineError if the file is missing, invalid, or must not be used; see `store.tokenizer_checks`."""
    content, _ = _read_tokenizer(file)
    return _made(content, file.name)


def _made(content: str, name: str) -> Tokenizer:
    from tokenizers import Tokenizer

    with _Failures(name):
        return Tokenizer.from_str(content)


def _read_tokenizer(file: Path) -> tuple[str, dict[str, Any]]:
    """The content of a tokenizer.json that may be used, as text and parsed."""
    try:
        if file.stat().st_size > tokenizer_checks.MOST_BYTES:
            raise EngineError("engines.tokenizer_is_too_large", value=file.name)
        content = file.read_text(encoding="utf-8")
        told = json.loads(content)
        fault = tokenizer_checks.tokenizer_fault(told)
    except (OSError, ValueError, RecursionError) as error:
        raise EngineError("engines.tokenizer_file_cannot_be_read", value=file.name) from error
    if fault:
        raise EngineError("engines.tokenizer_cannot_be_used", value=file.name, cause=fault)
    return content, told


class _Failures:
    """Converts the tokenizer library's own failures to EngineError. It raises plain `Exception`, or Rust panics without a class of their
    own."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> Literal[False]:
        if kind is not None and (kind is Exception or kind.__name__ == "PanicException"):
            raise EngineError("engines.tokenizer_cannot_be_read_because", value=self._name, error=str(error)[:200]) from error
        return False
