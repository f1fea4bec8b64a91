"""Which tokens of its base a decoder keeps for its job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from smidgen.core.parts import Training
from smidgen.core.progress import Progress
from smidgen.core.rows import joined
from smidgen.students.decoder_settings import DecoderSettings
from smidgen.students.merge_table import MergeTable
from smidgen.students.prompts import plain_ids, prompt_of, tokenizer_of
from smidgen.students.tokens import kept_as
from smidgen.students.trimming import trimmable

FREQUENT = (4096, 8192, 16384)
"""How many of the most frequent tokens may be kept though no example uses them: more are surer, fewer are quicker to write with."""
NEWCOMERS = 0.05
"""Tokens trimmed away that one new input may be expected to bring: one in twenty inputs."""


def kept_tokens(training: Training, settings: DecoderSettings, progress: Progress) -> list[int] | None:
    """The token ids to keep of the base's; None: all of them."""
    assert training.base is not None
    folder = training.base.folder
    if settings.adapter or settings.vocabulary == "whole" or (settings.vocabulary == "auto" and not trimmable(folder)):
        return None
    if training.guide is not None and (own := kept_as(folder, training.guide.folder)) is not None:
        progress.say(f"the {len(own):,} tokens of the guide are kept")
        return own
    table = MergeTable(folder)
    prompt, tokenizer = prompt_of(folder, str(training.form.get("instruction") or "")), tokenizer_of(folder)
    used = {*prompt.before, *prompt.after, *prompt.stop}
    inputs = {text: set(plain_ids(tokenizer, text)) for text in {joined(row.input) for row in training.rows}}
    choices = FREQUENT if settings.frequent_tokens is None else (settings.frequent_tokens,)
    frequent, new = frequent_for(table, inputs.values(), used, choices)
    if frequent is None and settings.vocabulary == "auto":
        progress.say(f"the whole vocabulary is kept: 100 new inputs would bring about {100 * new:.0f} tokens that no example has")
        return None
    used.update(*inputs.values())
    for row in training.rows:
        for answer in row.output if isinstance(row.output, list) else [row.output]:
            used.update(plain_ids(tokenizer, answer))
    kept = table.kept(used, choices[-1] if frequent is None else frequent)
    progress.say(f"{len(kept):,} of {tokenizer.get_vocab_size():,} tokens are kept")
    return kept


def newcomers(inputs: Iterable[set[int]], kept: set[int]) -> float:
    """Tokens outside of `kept`, and in none of the inputs, that one more input is expected to bring: the number of such tokens that stand
    in exactly one input, by the number of inputs (Good 1953, as Good-Turing). 0 where there are no inputs.

    What is trimmed away is read in pieces that the base hardly knows, so this says whether trimming is safe for texts to come.
    """
    seen, count = Counter[int](), 0
    for ids in inputs:
        seen.update(ids - kept)
        count += 1
    return sum(times == 1 for times in seen.values()) / count if count else 0.0


def frequent_for(
    table: MergeTable, inputs: Collection[set[int]], used: Collection[int], choices: Sequence[int] = FREQUENT
) -> tuple[int | None, float]:
    """The first of `choices`, ascending numbers of frequent tokens to keep, with which a new input may be expected to bring at most
    `NEWCOMERS` tokens that are not kept; and how many it would bring then. None, and how many with the last, where there is no such.

    Args:
        table: the base's tokens.
        inputs: token ids of each input that is known.
        used: ids that every prompt has.
        choices: not empty.
    """
    new = 0.0
    for frequent in choices:
        new = newcomers(inputs, set(table.kept(used, frequent)))
        if new <= NEWCOMERS:
            return frequent, new
    return None, new
