"""Simulate prompt-lookup drafting: count the steps to write a text when its next tokens are guessed from the text before.

The rule is llama.cpp's (its `ngram-simple`), so the count matches the engine. The last few tokens are looked up earlier in the text, prompt
and answer alike, newest first. The tokens that followed there are the guess. One step checks all guesses, keeps those before the first
wrong one, and writes one more token. Prompt-lookup decoding: Saxena 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CHECKED = 0.38
"""Default cost of checking a guess, in steps that write one token. The starter model wrote 125 tokens a second and read 330 (Q4_1, two
threads, the prebuilt engine); checking a guess means reading it."""


@dataclass(frozen=True, slots=True)
class DraftSizes:
    """Sizes of drafting: if the last `after` tokens occur earlier, up to `most` tokens after that place are guessed."""

    after: int
    most: int


@dataclass(frozen=True, slots=True)
class DraftedSteps:
    """Counts of the steps that write answers.

    Attributes:
        tokens: tokens of the answers.
        steps: steps that the model takes to write them.
        guessed: tokens guessed on the way.
        right: guesses that were right.
        seen: places in the answer, from 0, of tokens written by steps without a guess. The engine reports no probability for others.
    """

    tokens: int = 0
    steps: int = 0
    guessed: int = 0
    right: int = 0
    seen: tuple[int, ...] = ()

    def __add__(self, other: DraftedSteps) -> DraftedSteps:
        """Sum the counts. `seen` belongs to a single answer and is dropped."""
        return DraftedSteps(self.tokens + other.tokens, self.steps + other.steps, self.guessed + other.guessed, self.right + other.right)

    @property
    def a_step(self) -> float:
        """Tokens written per step; 1 if no guess was right."""
        return self.tokens / self.steps if self.steps else 1.0

    def gain(self, checked: float = CHECKED) -> float:
        """Return the expected speed-up over writing token by token if checking a guess costs `checked` steps; below 1 it is slower."""
        return self.tokens / (self.steps + checked * self.guessed) if self.steps else 1.0


def simulate_drafting(prompt: Sequence[int], answer: Sequence[int], sizes: DraftSizes, room: int | None = None) -> DraftedSteps:
    """Count the steps of writing `answer` after `prompt`, both token ids. An end token counts if it is included.

    `room`: most tokens that may be written; guesses stop there. None: no limit. Guesses beyond the end are checked like the others.
    """
    ids, after = [*prompt, *answer], sizes.after
    last: dict[tuple[int, ...], int] = {}  # last start of each run of `after` tokens; the very first token starts none
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
        known = written - 1  # the newest token is part of the key, not of the searched text
        while begun < known - after:
            last[tuple(ids[begun : begun + after])] = begun
            begun += 1
        guesses = []
        if known > after + sizes.most + 1 and (found := last.get(tuple(ids[written - after : written]))) is not None:
            follows = ids[found + after : min(known, found + after + sizes.most)]
            left = len(follows) if room is None else max(0, len(prompt) + room - written - 1)
            guesses = follows[:left] if len(follows) >= after else []  # too few to guess
    return DraftedSteps(len(answer), steps, guessed, right, tuple(seen))
