"""Texts to token numbers, bounded in time and length."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from smidgen.core.errors import EngineError
from smidgen.core.rows import Text

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

CHARACTERS_A_TOKEN = 100
"""A text is cut to this many characters for each token that the model reads. A WordPiece word of over 100 characters is one unknown
token, so nothing that the model would have read is lost in text that people write; and a gigabyte costs no more than a page."""


class Tokens:
    """The tokenizer of a model, with the model's own truncation and no padding, whatever its file says."""

    def __init__(self, folder: Path, max_length: int, special: bool = True) -> None:
        self.max_length, self.special = max_length, special
        self._tokenizer = load_tokenizer(folder / "tokenizer.json")
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length, strategy="longest_first")
        self._longest = max_length * CHARACTERS_A_TOKEN
        self.pad = pad_of(self._tokenizer)

    def encode(self, texts: Sequence[Text]) -> list[Encoding]:
        """One encoding (`ids`, `type_ids`) a text, in their order; pairs get the tokenizer's own pair template."""
        cut: list[str | tuple[str, str]] = [
            text[: self._longest] if isinstance(text, str) else (text[0][: self._longest], text[1][: self._longest]) for text in texts
        ]
        if len(cut) == 1:  # a pool of threads costs more than one text
            return [self._tokenizer.encode(*_two(cut[0]), add_special_tokens=self.special)]
        return self._tokenizer.encode_batch_fast(cut, add_special_tokens=self.special)


def _two(text: str | tuple[str, str]) -> tuple[str, str | None]:
    return (text, None) if isinstance(text, str) else text


def pad_of(tokenizer: Tokenizer) -> int:
    """The number of the token that fills rows up; 0 where there is none."""
    known = (tokenizer.token_to_id(token) for token in ("[PAD]", "<pad>", "<|padding|>"))
    return next((number for number in known if number is not None), 0)


def load_tokenizer(file: Path) -> Tokenizer:
    """The tokenizer in a file. Raises EngineError where the file is missing or is none."""
    from tokenizers import Tokenizer

    try:
        content = file.read_text(encoding="utf-8")
        known = "model" in json.loads(content)
    except (OSError, ValueError) as error:
        raise EngineError("the tokenizer cannot be read", value=file.name, todo="Build or copy the bundle again.") from error
    if not known:
        raise EngineError("this is not a tokenizer", value=file.name, todo="Build or copy the bundle again.")
    return Tokenizer.from_str(content)
