"""Prompt-lookup drafting, counted: in how many steps a text is written whose next tokens are guessed from what stands before them.

The rule is llama.cpp's (`common_ngram_simple_draft`), and the engine's sizes are here, so that what is counted is what is run: the last
`LOOKED_UP` tokens are looked for earlier in the text, prompt and answer alike, newest first, and the tokens that followed there are
guessed to follow again. One step checks all guesses, keeps those up to the first wrong one, and writes a token after them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LOOKED_UP, DRAFTED = 6, 16
"""Where the last so many tokens stand earlier in the text, up to so many tokens after them are guessed to follow again. Of shorter repeats
most guesses were wrong, which cost a fifth of the speed; this costs none where nothing repeats."""


@dataclass(frozen=True, slots=True)
class Course:
    """How answers are written: their `tokens`, the `steps` that takes, and of the tokens `guessed` on the way those that were `right`."""

    tokens: int = 0
    steps: int = 0
    guessed: int = 0
    right: int = 0

    def __add__(self, other: Course) -> Course:
        return Course(self.tokens + other.tokens, self.steps + other.steps, self.guessed + other.guessed, self.right + other.right)

    @property
    def a_step(self) -> float:
        """Tokens written a step; 1 without a single right guess, and for nothing."""
        return self.tokens / self.steps if self.steps else 1.0


def course(prompt: Sequence[int], answer: Sequence[int], looked_up: int = LOOKED_UP, drafted: int = DRAFTED) -> Course:
    """The course of writing `answer` after `prompt`, token ids each; the end token counts where it is among them."""
    ids = [*prompt, *answer]
    places: dict[tuple[int, ...], int] = {}  # where a run of `looked_up` tokens began last; the first token of all begins none
    begun, written = 1, len(prompt)
    steps = guessed = right = 0
    while written < len(ids):
        written, steps = written + 1, steps + 1
        # The newest token is not in llama.cpp's memory yet, and what is found ends before the newest but one.
        known = written - 1
        while begun < known - looked_up:
            places[tuple(ids[begun : begun + looked_up])] = begun
            begun += 1
        found = places.get(tuple(ids[written - looked_up : written])) if known > looked_up + drafted + 1 else None
        if found is None:
            continue
        follows = ids[found + looked_up : min(known, found + looked_up + drafted)]
        if len(follows) < looked_up:
            continue
        guesses = follows[: max(0, len(ids) - written - 1)]
        same = next((at for at, (guess, true) in enumerate(zip(guesses, ids[written:], strict=False)) if guess != true), len(guesses))
        guessed, right, written = guessed + len(guesses), right + same, written + same
    return Course(len(answer), steps, guessed, right)
