"""From a text to the token ids that the model reads: those before, the text's own, those after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smidgen.core.errors import RequestError
from smidgen.core.rows import Text, joined
from smidgen.engines.tokens import load_tokenizer

CHARACTERS_A_TOKEN = 100
"""A text of more characters than this for each token of the context is not even tokenised: it cannot fit."""


class Prompt:
    """Token ids, the same in training and in serving. What looks like a special token in a text is plain characters."""

    def __init__(self, folder: Path, before: Sequence[int], after: Sequence[int], context: int) -> None:
        self._tokenizer = load_tokenizer(folder / "tokenizer.json")
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = True
        self._before, self._after, self._context = list(before), list(after), context

    @property
    def specials(self) -> list[str]:
        """The special tokens, as they are written."""
        return [token.content for token in self._tokenizer.get_added_tokens_decoder().values() if token.special]

    def begun(self, answer: str) -> list[int]:
        """The ids of the beginning of an answer, which follow those of the prompt."""
        return [int(number) for number in self._tokenizer.encode(answer, add_special_tokens=False).ids]

    def ids(self, text: Text) -> list[int]:
        """The prompt. Raises RequestError where it leaves no room to write even one token, or has no token at all."""
        plain = joined(text)
        if len(plain) > self._context * CHARACTERS_A_TOKEN:
            raise self._too_long(f"{len(plain)} characters")
        found = [*self._before, *self._tokenizer.encode(plain, add_special_tokens=False).ids, *self._after]
        if not found:
            raise RequestError(
                "there is nothing to write from", value=plain, todo="Send a text.", status=400, code="empty_prompt", param="prompt"
            )
        if len(found) >= self._context:
            raise self._too_long(f"{len(found)} tokens")
        return found

    def _too_long(self, length: str) -> RequestError:
        return RequestError(
            "the text is too long for the model",
            value=f"{length}; the model's context is {self._context} tokens, and what is written must fit too",
            todo="Send a shorter text, or several.",
            status=400,
            code="context_length_exceeded",
            param="prompt",
        )
