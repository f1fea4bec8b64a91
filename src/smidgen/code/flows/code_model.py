"""The model that fills gaps in code and writes tests: the starter `coder`, or a bundle of the task `complete`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.bases.starter import starters
from smidgen.core.errors import InputError
from smidgen.flows.local_model import load
from smidgen.machine.processor import threads as thread_count
from smidgen.parts import registry

STARTER = "coder"
_REACH = (4000, 300)
"""Characters ahead of a gap and behind it that the starter reads."""
_CONTEXT = 4096
_BLOCK_END = "\n```\n"


@dataclass(frozen=True, slots=True)
class LineFilling:
    """A text for a gap, up to the end of its line. `probability`: the geometric mean over its tokens."""

    text: str
    probability: float


class CodeModel:
    """A loaded model. Its runner is a decoder's."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner

    def fill(self, ahead: str, behind: str, *, temperature: float = 0.0, seed: int = 0, tokens: int = 48) -> LineFilling:
        """The rest of a line between two texts."""
        pieces = self._runner.write((ahead, behind), max_tokens=tokens, temperature=temperature, seed=seed, stop="\n")
        return _filling(pieces)

    def likelihood(self, ahead: str, behind: str, text: str) -> float:
        """How likely the model is to write just this text, without a line break, between two others: the geometric mean over the tokens."""
        bare = ahead.rstrip(" \t")  # a token may hold the indentation and the first word
        ahead, text = bare, ahead[len(bare) :] + text
        grammar = f"%llguidance {{}}\nstart: {json.dumps(text)}"
        return _filling(self._runner.write((ahead, behind), max_tokens=200, grammar=grammar)).probability

    def answer(self, instruction: str, asked: str, *, temperature: float = 0.0, seed: int = 0, tokens: int = 512) -> str:
        """An answer to a message, up to the end of its first block of code."""
        messages = [{"role": "system", "content": instruction}, {"role": "user", "content": asked}]
        body = {"messages": messages, "max_tokens": tokens, "temperature": temperature, "seed": seed, "stop": [_BLOCK_END]}
        with closing(self._runner.chat(body)) as pieces:
            return "".join(piece.text for piece in pieces)


def _filling(pieces: Any) -> LineFilling:
    text, chances = "", list[float]()
    with closing(pieces):
        for piece in pieces:
            text += piece.text
            chances += [token.probability for token in piece.tokens]
    mean = math.exp(sum(math.log(max(chance, 1e-6)) for chance in chances) / len(chances)) if chances else 0.0
    return LineFilling(text, mean)


@contextmanager
def open_code_model(bundle: Path | None = None, threads: int | None = None) -> Iterator[CodeModel]:
    """Load a bundle of the task `complete`, or the starter; it is closed at the end.

    Raises BaseError if the starter is not on this machine, InputError for a bundle of another task.
    """
    if bundle is not None:
        with closing(load(bundle, threads)) as model:
            if model.task.name != "complete":
                raise InputError("code.this_model_does_not_complete_code", value=f"{bundle} ({model.task.name})")
            yield CodeModel(model.runner)
        return
    from smidgen.students.decoder_training.prompts import gap_prompt

    starter = starters()[STARTER]
    folder = starter.verify().folder
    options = {
        "model": starter.weights,
        **gap_prompt(folder, _REACH).json(),
        "max_tokens": 64,
        "context": _CONTEXT,
        "slots": 1,
        "cache": "f16",
    }
    with closing(registry.find("engines", "llama").open(folder, options, thread_count(threads))) as runner:
        yield CodeModel(runner)


@contextmanager
def open_if_there(bundle: Path | None = None) -> Iterator[CodeModel | None]:
    """As `open_code_model`; None where neither a bundle is named nor the starter is on this machine."""
    if bundle is None and not starters()[STARTER].here():
        yield None
        return
    with open_code_model(bundle) as model:
        yield model


def around(lines: Sequence[str], line: int) -> tuple[str, str]:
    """The texts around a line without its indentation: what stands ahead ends with it."""
    text = lines[line - 1]
    indent = text[: len(text) - len(text.lstrip())]
    return "".join(f"{one}\n" for one in lines[: line - 1]) + indent, "".join(f"\n{one}" for one in lines[line:])
