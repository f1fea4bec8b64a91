"""The settings of the tagger."""

from __future__ import annotations

from typing import Literal

from smidgen.core.settings import Settings, setting


class TaggerSettings(Settings):
    """How the tagger is trained. Settings left at their default of None follow the number of rows."""

    epochs: int | None = setting(None, "Passes over the training rows (default: by the number of rows).", flag="--epochs", ge=1, le=200)
    learning_rate: float = setting(2e-4, "Peak learning rate of the encoder.", gt=0, le=0.01)
    batch_rows: int | None = setting(None, "Rows of one optimiser step (default: by the number of rows).", ge=1, le=1024)
    max_length: int = setting(
        256, "Tokens of a window; longer texts are read in windows that share half with their neighbours.", ge=16, le=512
    )
    shapes: Literal["auto", "on", "off"] = setting(
        "auto", "Whether the model is told how words are written. auto: where its tokens have no case."
    )
    precision: Literal["auto", "bf16", "f32"] = setting(
        "auto", "auto: bf16 where the processor has it and is faster with it than with f32."
    )
    vocabulary: int | None = setting(
        None, "Tokens of the base to keep, for a smaller model; what is left out is read by shorter pieces (default: all).", ge=100
    )
