"""The prompt of a decoder: the token ids around a text, from the base's own chat template.

The template is rendered once, with a mark in place of the text, and the parts before and after the mark are tokenised. Training, the
reference and the engine all put a text's own ids between these, so they cannot differ. All of them read a special token's name inside a
text as plain characters.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from smidgen.core.errors import BaseError
from smidgen.core.rows import Text, joined
from smidgen.text.infilling import MARKS, in_order, read_part, repeats, without_last

_MARK = "SMIDGENTEXTSTANDSHERE"
_LONGEST_TEMPLATE = 200_000
_COMMON = 6000


class _Refused(TemplateError):
    """A template refused the turns."""


@dataclass(frozen=True)
class DecoderPrompt:
    """Token ids before and after a text, and the ids that end an answer (the first is used in training).

    `between` and `reach`: of a prompt that is filled in, the ids between its two texts, and the most characters of the text ahead of the
    gap and of the text behind it; empty and None for any other. `behind_first`: whether the text behind the gap is read first.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    stop: tuple[int, ...]
    between: tuple[int, ...] = ()
    reach: tuple[int, int] | None = None
    behind_first: bool = False

    def json(self) -> dict[str, Any]:
        """The JSON form stored beside the trained weights."""
        plain = {"before": list(self.before), "after": list(self.after), "stop": list(self.stop)}
        if self.reach is None:
            return plain
        return {**plain, "between": list(self.between), "reach": list(self.reach), "behind_first": self.behind_first}

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> DecoderPrompt:
        """The prompt from its JSON form."""
        reach = stored.get("reach")
        parts = tuple(stored["before"]), tuple(stored["after"]), tuple(stored["stop"]), tuple(stored.get("between", ()))
        return cls(*parts, None if reach is None else (reach[0], reach[1]), bool(stored.get("behind_first", False)))

    def ids(self, tokenizer: Tokenizer, text: Text) -> list[int]:
        """The ids of a prompt after those that all begin with. Takes a tokenizer of `tokenizer_of`."""
        if self.reach is None or isinstance(text, str):
            return [*plain_ids(tokenizer, text), *self.after]
        first, second = in_order(read_part(*text, self.reach), self.behind_first)
        return [*plain_ids(tokenizer, first), *self.between, *plain_ids(tokenizer, second), *self.after]

    def split(self, tokenizer: Tokenizer, text: Text) -> tuple[list[int], str]:
        """The ids of a prompt, and the text with which the answer must begin because its token is left out of them; see `without_last`."""
        found = self.ids(tokenizer, text)
        return without_last(found, text[0], tokenizer.decode) if self.behind_first and not isinstance(text, str) else (found, "")

    def ends(self, text: Text) -> dict[str, int]:
        """Where a filling begins to repeat what stands behind its gap; see `repeats`. Empty for a text without a gap."""
        return {} if self.reach is None or isinstance(text, str) else repeats(*text)


def prompt_of(folder: Path, instruction: str = "", examples: Sequence[tuple[str, str]] = ()) -> DecoderPrompt:
    """The prompt of the base in `folder`.

    Args:
        folder: holds tokenizer.json and tokenizer_config.json; a base without a chat template gets a plain prompt.
        instruction: the system message; it goes before the text if the template has none.
        examples: earlier turns, (text, answer) each.

    Raises BaseError if the template cannot be rendered or loses the text.
    """
    config = _config(folder)
    template = chat_template(folder)
    tokenizer = tokenizer_of(folder)
    tokenizer.encode_special_tokens = False
    turns = [turn for text, answer in examples for turn in _turns(text, answer)]
    if template is None:
        return _plain(tokenizer, config, instruction, examples, folder)
    shown = render(template, config, instruction, [*turns, {"role": "user", "content": _MARK}], folder, answer=True)
    # The template puts the end token after an answer.
    whole = render(template, config, "", [{"role": "user", "content": "x"}, {"role": "assistant", "content": _MARK}], folder, answer=False)
    before, found, after = shown.rpartition(_MARK)
    ending = whole.rpartition(_MARK)[2]
    if not found or _MARK not in whole:
        raise BaseError("students.base_chat_template_loses_text", value=str(folder))
    specials = [number for number in _ids(tokenizer, ending) if _special(tokenizer, number)]
    end = _end(tokenizer, config)
    stop = dict.fromkeys([*specials[:1], *([end] if end is not None else [])])
    if not stop:
        raise BaseError("students.base_tokenizer_has_no_end_token", value=str(folder))
    return DecoderPrompt(tuple(_ids(tokenizer, before)), tuple(_ids(tokenizer, after)), tuple(stop))


_ENDS = ("<|endoftext|>", "<|end_of_text|>", "<EOT>")
_BESIDE = ("<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<|im_start|>", "<|im_end|>", "<file_sep>", "<repo_name>")
"""Tokens that no filling holds: where one would be written, the filling is over."""


def gap_prompt(folder: Path, reach: tuple[int, int]) -> DecoderPrompt:
    """The prompt of the base in `folder` for a text with a gap: the text behind it, then a filling that begins with the text ahead.

    Nothing stands ahead of the gap, as the base sees it (suffix, prefix, middle; Bavarian et al. 2022, section 3). What is read for one key
    is then read for the next one, too, and a base that was made for conversations reads the text behind: of 65 lines of HumanEval-
    Infilling Qwen2.5-Coder-0.5B-Instruct fills 43 so, and 26 with the text ahead first.

    Raises BaseError if the base has no such marks: it was never shown texts with gaps.
    """
    tokenizer, config = tokenizer_of(folder), _config(folder)
    for marks in MARKS:
        first, second, third = (tokenizer.token_to_id(mark) for mark in marks)
        if first is not None and second is not None and third is not None:
            break
    else:
        raise BaseError("students.base_cannot_fill_in_the_middle", value=str(folder))
    ends = [number for name in _ENDS if (number := tokenizer.token_to_id(name)) is not None]
    ends += [end] if (end := _end(tokenizer, config)) is not None else []
    if not ends:
        raise BaseError("students.base_tokenizer_has_no_end_token", value=str(folder))
    beside = [number for name in _BESIDE if (number := tokenizer.token_to_id(name)) is not None]
    stop = tuple(dict.fromkeys([*ends, *beside, first, second, third]))
    return DecoderPrompt((first, second), (), stop, (third,), reach, True)


def plain_ids(tokenizer: Tokenizer, text: Text) -> list[int]:
    """A text's own ids, without special tokens. Takes a tokenizer of `tokenizer_of`."""
    tokenizer.encode_special_tokens = True
    found: list[int] = tokenizer.encode(joined(text), add_special_tokens=False).ids
    return found


def tokenizer_of(folder: Path) -> Tokenizer:
    """The tokenizer in a folder, without padding or truncation."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def chat_template(folder: Path) -> str | None:
    """The base's chat template, or None. Raises BaseError for one that is too long."""
    file = folder / "chat_template.jinja"
    found = file.read_text(encoding="utf-8") if file.is_file() else _config(folder).get("chat_template")
    if isinstance(found, list):  # several by name, as transformers allows
        found = next((entry["template"] for entry in found if entry.get("name") == "default"), None)
    if found is not None and len(found) > _LONGEST_TEMPLATE:
        raise BaseError("students.base_chat_template_is_too_long", found=len(found))
    return found


def _turns(text: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]


def render(template: str, config: dict[str, Any], instruction: str, turns: list[dict[str, str]], folder: Path, answer: bool) -> str:
    """Render a conversation to the text that the model reads.

    Args:
        template: the chat template.
        config: names the special tokens (`bos_token`, ...), like tokenizer_config.json.
        instruction: the system message; empty for none. It goes before the first text if the template has none.
        turns: alternating user and assistant turns, `role` and `content` each.
        folder: the base's, for the error.
        answer: whether to add the start of an answer.

    Raises BaseError if the template cannot be rendered.
    """
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)

    def refuse(message: str) -> None:
        raise _Refused(message)

    # A prompt with the current date would differ from the prompt in training.
    environment.globals |= {"raise_exception": refuse, "strftime_now": lambda _: "1 January 2025"}
    names = {name: _token(config.get(name)) for name in ("bos_token", "eos_token", "unk_token", "pad_token")}

    def rendered(messages: list[dict[str, str]]) -> str:
        return environment.from_string(template).render(messages=messages, add_generation_prompt=answer, **names)

    messages = [{"role": "system", "content": instruction}, *turns] if instruction else turns
    try:
        try:
            shown = rendered(messages)
        except TemplateError:
            if not instruction:
                raise
            shown = ""
        if instruction and instruction.strip() not in shown:
            # The template has no system message: the instruction goes before the first text.
            shown = rendered([{"role": "user", "content": f"{instruction}\n\n{turns[0]['content']}"}, *turns[1:]])
    except TemplateError as error:
        raise BaseError("students.base_chat_template_cannot_be_used", value=str(folder), error=error) from error
    return shown


def _plain(
    tokenizer: Tokenizer, config: dict[str, Any], instruction: str, examples: Sequence[tuple[str, str]], folder: Path
) -> DecoderPrompt:
    """A plain prompt, for a base without a chat template."""
    end = _end(tokenizer, config)
    if end is None:
        raise BaseError("students.base_tokenizer_has_no_end_token", value=str(folder))
    shown = "".join(f"Input: {text}\nOutput: {answer}\n\n" for text, answer in examples)
    head = f"{instruction}\n\n" if instruction else ""
    return DecoderPrompt(tuple(_ids(tokenizer, f"{head}{shown}Input: ")), tuple(_ids(tokenizer, "\nOutput:")), (end,))


def _ids(tokenizer: Tokenizer, text: str) -> list[int]:
    tokenizer.encode_special_tokens = False
    found: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return found


def _special(tokenizer: Tokenizer, number: int) -> bool:
    token = tokenizer.get_added_tokens_decoder().get(number)
    return token is not None and token.special


def _end(tokenizer: Tokenizer, config: dict[str, Any]) -> int | None:
    name = _token(config.get("eos_token"))
    found: int | None = tokenizer.token_to_id(name) if name else None
    return found


def _token(value: Any) -> str:
    """A token's text, given in configs as a string or an object."""
    return str(value.get("content", "")) if isinstance(value, dict) else str(value or "")


def _config(folder: Path) -> dict[str, Any]:
    file = folder / "tokenizer_config.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


def common_words(tokenizer: Tokenizer) -> list[str]:
    """The first 6,000 lower-case words of four to nine letters that are one token each, by id: frequent words have low ids."""
    found = (token[1:] for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1]) if token[:1] in "Ġ▁")
    return [word for word in found if 4 <= len(word) <= 9 and word.isascii() and word.isalpha() and word.islower()][:_COMMON]
