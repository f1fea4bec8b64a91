"""The decoder of a bundle for exports: its GGUF's metadata, its prompt as text, its chat template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from smidgen.bundles.open import Bundle
from smidgen.core.errors import BaseError, InputError
from smidgen.flows.export.chat_template import Message, Render
from smidgen.flows.export.exporter import instruction_of
from smidgen.gguf.header import read_metadata
from smidgen.gguf.tokenizer import pre_of
from smidgen.students.decoder_training.prompts import DecoderPrompt, plain_ids, render, tokenizer_of

_BEGIN = ("llama-bpe",)
"""Splits whose tokenizers put a token before a text unless the file says otherwise."""
_TEXTS = ("Hello", "name: Oak stool; colour: red", "Two\nlines of text.", "naïve “café” 12345", "{}", "a")


@dataclass(frozen=True)
class DecoderBundle:
    """The decoder of a bundle. `model`: its GGUF. `facts`: the GGUF's metadata."""

    bundle: Bundle
    model: Path
    facts: dict[str, Any]

    @classmethod
    def of(cls, bundle: Bundle) -> DecoderBundle:
        """Read the metadata of the bundle's GGUF. Raises BaseError if it is malformed."""
        model = bundle.folder / str(bundle.manifest.engine.options.get("model", "model.gguf"))
        return cls(bundle, model, read_metadata(model))

    @property
    def options(self) -> dict[str, Any]:
        """The engine's options."""
        return self.bundle.manifest.engine.options

    @property
    def adapter(self) -> Path | None:
        """The adapter that every request uses; None if the model is one file."""
        name = self.options.get("adapter")
        return self.bundle.folder / str(self.options["adapters"][name]) if name is not None else None

    @cached_property
    def tokenizer(self) -> Any:
        """The engine's tokenizer for texts."""
        return tokenizer_of(self.bundle.folder)

    @property
    def template(self) -> str | None:
        """The chat template; None if the model has none."""
        return self.facts.get("tokenizer.chat_template") or None

    @property
    def prompt(self) -> DecoderPrompt:
        """The token ids around a text."""
        return DecoderPrompt.of({name: list(self.options.get(name, ())) for name in ("before", "after", "stop")})

    @property
    def begins(self) -> str:
        """The token that llama.cpp puts before every prompt by itself; empty for none."""
        adds = self.facts.get("tokenizer.ggml.add_bos_token", pre_of(self.facts) in _BEGIN)
        return self.token("bos") if adds else ""

    def token(self, which: str) -> str:
        """The text of a special token (`bos`, `eos`, `unknown`, `padding`); empty if the model has none."""
        number, tokens = self.facts.get(f"tokenizer.ggml.{which}_token_id"), self.facts.get("tokenizer.ggml.tokens") or []
        return str(tokens[number]) if isinstance(number, int) and number < len(tokens) else ""

    def text(self, ids: Sequence[int]) -> str:
        """The text of token ids, including special tokens."""
        found: str = self.tokenizer.decode(list(ids), skip_special_tokens=False)
        return found

    def render(self) -> Render:
        """Its chat template as a function. Raises InputError if it has none."""
        template = self.template
        if template is None:
            raise InputError("flows.model_has_no_chat_template", value=self.model.name)
        names = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}
        config = {name: self.token(which) for name, which in names.items()}

        def shown(messages: Sequence[Message], opened: bool) -> str:
            system = messages[0]["content"] if messages[0]["role"] == "system" else ""
            turns = [dict(message) for message in (messages[1:] if system else messages)]
            try:
                return render(template, config, system, turns, self.model, answer=opened)
            except BaseError as error:
                raise ValueError(error.what) from error

        return shown

    def asked(self, text: str) -> str:
        """The bundle's prompt for a text, as text."""
        return f"{self.text(self.prompt.before)}{text}{self.text(self.prompt.after)}"

    def shown(self) -> list[Message]:
        """The conversation before the text in the bundle's own prompt: its instruction as a system message, if it has one."""
        told = instruction_of(self.bundle.manifest)
        return [{"role": "system", "content": told}] if told else []

    def split_alike(self) -> str | None:
        """A text whose prompt, joined as text and tokenised as a whole, gives other ids than the bundle's; None if no tested text does."""
        for text in _TEXTS:
            wanted = [*self.prompt.before, *plain_ids(self.tokenizer, text), *self.prompt.after]
            self.tokenizer.encode_special_tokens = False
            if self.tokenizer.encode(self.asked(text), add_special_tokens=False).ids != wanted:
                return text
        return None
