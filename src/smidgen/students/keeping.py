"""Which tokens of its base a decoder keeps for its job."""

from __future__ import annotations

from smidgen.core.parts import Training
from smidgen.core.progress import Progress
from smidgen.core.rows import joined
from smidgen.students.decoder_settings import DecoderSettings
from smidgen.students.prompts import plain_ids, prompt_of, tokenizer_of
from smidgen.students.tokens import kept_as
from smidgen.students.trimming import FREQUENT, frequent_for, kept_ids, trimmable


def kept_tokens(training: Training, settings: DecoderSettings, progress: Progress) -> list[int] | None:
    """The token ids to keep of the base's; None: all of them."""
    assert training.base is not None
    folder = training.base.folder
    if settings.adapter or settings.vocabulary == "whole" or (settings.vocabulary == "auto" and not trimmable(folder)):
        return None
    if training.guide is not None and (own := kept_as(folder, training.guide.folder)) is not None:
        progress.say(f"the {len(own):,} tokens of the guide are kept")
        return own
    prompt, tokenizer = prompt_of(folder, str(training.form.get("instruction") or "")), tokenizer_of(folder)
    used = {*prompt.before, *prompt.after, *prompt.stop}
    inputs = {text: set(plain_ids(tokenizer, text)) for text in {joined(row.input) for row in training.rows}}
    choices = FREQUENT if settings.frequent_tokens is None else (settings.frequent_tokens,)
    frequent, new = frequent_for(folder, inputs.values(), used, choices)
    if frequent is None and settings.vocabulary == "auto":
        progress.say(f"the whole vocabulary is kept: 100 new inputs would bring about {100 * new:.0f} tokens that no example has")
        return None
    used.update(*inputs.values())
    for row in training.rows:
        for answer in row.output if isinstance(row.output, list) else [row.output]:
            used.update(plain_ids(tokenizer, answer))
    kept = kept_ids(folder, used, choices[-1] if frequent is None else frequent)
    progress.say(f"{len(kept):,} of {tokenizer.get_vocab_size():,} tokens are kept")
    return kept
