"""Prompt-lookup drafting, simulated: the steps to write a text when its next tokens are guessed from the text before them.

The rule is llama.cpp's (its `ngram-simple`), so that what is counted is what is run. The last few tokens are looked for earlier in the
text, prompt and answer alike, newest first; the tokens that followed there are guessed to follow again. One step checks all guesses,
keeps those up to the first wrong one, and writes a token after them. Prompt-lookup decoding: Saxena 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CHECKED = 0.38
"""The cost of checking a guess, in steps that write one token, where it was not measured: where the starter model wrote 125 tokens a second
it read 330 (Q4_1, two threads, the prebuilt engine), and a guess is checked by reading it."""


@dataclass(frozen=True, slots=True)
class DraftSizes:
    """How far drafting looks back and ahead: where the last `after` tokens stand earlier, up to `most` tokens after them are guessed."""

    after: int
    most: int


@dataclass(frozen=True, slots=True)
class DraftedSteps:
    """How answers are written.

    Attributes:
        tokens: how many tokens they have.
        steps: in how many steps the model writes them.
        guessed: tokens that were guessed on the way.
        right: how many of them were right.
        seen: places in the answer, from 0, of the tokens that steps without a guess wrote: the engine tells the probability of no others.
    """

    tokens: int = 0
    steps: int = 0
    guessed: int = 0
    right: int = 0
    seen: tuple[int, ...] = ()

    def __add__(self, other: DraftedSteps) -> DraftedSteps:
        """Both, as one. `seen` is of single answers: it is dropped."""
        return DraftedSteps(self.tokens + other.tokens, self.steps + other.steps, self.guessed + other.guessed, self.right + other.right)

    @property
    def a_step(self) -> float:
        """Tokens written a step; 1 where no guess was right."""
        return self.tokens / self.steps if self.steps else 1.0

    def gain(self, checked: float = CHECKED) -> float:
        """How many times as fast as token by token it should be, where checking a guess costs so much of a step; below 1 it is slower."""
        return self.tokens / (self.steps + checked * self.guessed) if self.steps else 1.0


def simulate_drafting(prompt: Sequence[int], answer: Sequence[int], sizes: DraftSizes, room: int | None = None) -> DraftedSteps:
    """The course of writing `answer` after `prompt`, token ids each; the end token counts where it is among them. `room` is how many tokens
    may be written at most, beyond which none is guessed; None: more than matters. Guesses beyond the end are checked like the others."""
    ids, after = [*prompt, *answer], sizes.after
    last: dict[tuple[int, ...], int] = {}  # where a run of `after` tokens began last; the first token of all begins none
    begun, written, guesses = 1, len(prompt), list[int]()
    steps = guessed = right = 0
    seen: list[int] = []
    while written < len(ids):
        true = ids[written : written + len(guesses)]
        same = next((place for place, number in enumerate(true) if guesses[place] != number), len(true))
        if not guesses:
            seen.append(written - len(prompt))
        steps, guessed, right = steps + 1, guessed + len(guesses), right + same
        written += same + 1
        known = written - 1  # the newest token is looked for, but not looked at
        while begun < known - after:
            last[tuple(ids[begun : begun + after])] = begun
            begun += 1
        guesses = []
        if known > after + sizes.most + 1 and (found := last.get(tuple(ids[written - after : written]))) is not None:
            follows = ids[found + after : min(known, found + after + sizes.most)]
            left = len(follows) if room is None else max(0, len(prompt) + room - written - 1)
            guesses = follows[:left] if len(follows) >= after else []  # so few are not guessed
    return DraftedSteps(len(answer), steps, guessed, right, tuple(seen))
