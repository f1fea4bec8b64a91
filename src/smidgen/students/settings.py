"""Settings of students: the `[student]` section of a recipe, and the training of decoders and taggers."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import ValidationInfo, field_validator

from smidgen.core.errors import TrainError
from smidgen.core.settings import Settings, setting
from smidgen.parts import registry


class StudentSettings(Settings):
    """The student, or its requirements; `build` chooses among those that fit and says why."""

    kind: str = setting(
        "auto",
        "Student by name (encoder, static, blend, kernel, linear; tagger, kernel-tagger, lexical; decoder, prompted). "
        "prompted learns nothing and takes seconds for each text. auto: chosen by --quality and the limits.",
        flag="--student",
    )
    among: tuple[str, ...] = setting(
        (),
        "With auto: the students that are tried side by side, by name (default: all that the task has). The baseline is trained anyway.",
    )
    baseline: Literal["auto", "full", "none"] = setting(
        "auto",
        "Simple model to compare with. auto: a baseline that writes answers as many texts as a tenth of the training time allows. "
        "full: it answers all. none: no baseline.",
        flag="--baseline",
    )
    quality: Literal["best", "balanced", "fast"] = setting(
        "balanced",
        "Quality or speed. best: the best metric, whatever the size. balanced: the fastest within a point of the best. fast: the fastest "
        "that is at least as good as the baseline.",
        flag="--quality",
    )
    max_latency_ms: float | None = setting(
        None, "Longest median time for one text, in milliseconds on this machine.", flag="--max-latency-ms", gt=0
    )
    max_size_mb: float | None = setting(
        None,
        "Largest size of the model's files, in MB of 10^6 bytes. A model that writes loses neurons until it fits.",
        flag="--max-size-mb",
        gt=0,
    )

    min_tokens_per_second: float | None = setting(
        None,
        "Fewest tokens a second that a model that writes must reach on this machine, one text at a time.",
        flag="--min-tokens-per-second",
        gt=0,
    )

    @field_validator("among")
    @classmethod
    def _known(cls, among: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        known = registry.names("students")
        if strange := [name for name in among if name not in known]:
            raise ValueError(f"there is no student {strange[0]!r}; choose among {', '.join(known)}")
        if among and info.data.get("kind", "auto") != "auto":
            raise ValueError("several are tried only where kind is auto; leave out one of the two")
        return tuple(dict.fromkeys(among))

    @property
    def named(self) -> tuple[str, ...]:
        """The students that may be shipped; empty for all that the task has."""
        return self.among if self.kind == "auto" else (self.kind,)


SETTINGS = StudentSettings


class DecoderSettings(Settings):
    """Training of the decoder. Settings left at their default of None follow the number of examples."""

    method: Literal["lora", "full"] = setting(
        "lora", "lora: low-rank adapters, quick and frugal. full: every matrix of every layer, for many examples.", flag="--method"
    )
    epochs: float | None = setting(None, "Passes over the examples (default: by their number).", flag="--epochs", gt=0, le=100)
    time_budget: str | None = setting(
        None,
        "Training time limit, such as 10m or 90s; excludes loading the base and evaluation.",
        flag="--time-budget",
    )
    learning_rate: float | None = setting(None, "Peak learning rate (default: 2e-3 for lora, 5e-5 for full).", gt=0, le=0.1)
    batch_rows: int | None = setting(
        None, "Examples of one optimiser step (default: 32, fewer where a time budget has room for few steps).", ge=1, le=1024
    )
    rank: int = setting(16, "Rank of the adapters.", ge=1, le=256)
    alpha: float = setting(32.0, "Scale of the adapters, before it is divided by the rank.", gt=0, le=1024)
    references: int = setting(
        3, "Where an input has several answers: how many of them are taught, the best first.", flag="--references", ge=1, le=100
    )
    vary: bool = setting(
        True,
        "Where inputs are attributes: teach each example a second time with other words for its values, so that new values are "
        "copied, too.",
        flag="--vary",
    )
    max_length: int = setting(
        1024, "Tokens of an example with its prompt; longer ones are left out, for an answer is never cut.", ge=32, le=32768
    )
    block_tokens: int = setting(512, "Tokens that a core computes at once: less takes less memory.", ge=64, le=65536)
    vocabulary: Literal["auto", "whole", "trimmed"] = setting(
        "auto",
        "trimmed: keep only the tokens of the examples and the most frequent others. The model gets smaller and faster; other "
        "words take more tokens. auto: trimmed where new inputs hardly need other tokens.",
        flag="--vocabulary",
    )
    frequent_tokens: int | None = setting(
        None,
        "How many frequent tokens are kept that no example uses (default: the fewest of 4096, 8192 and 16384 with which new "
        "inputs hardly need another token).",
        ge=0,
    )
    drop_layers: int = setting(
        0,
        "Layers to remove after training: those that change least. The rest is then taught again, for half as long.",
        flag="--drop-layers",
        ge=0,
    )
    drop_neurons: float = setting(
        0.0,
        "Share of the feed-forward neurons to remove after training: the least active ones. The rest is then taught again.",
        flag="--drop-neurons",
        ge=0,
        le=0.75,
    )
    qat: Literal["auto", "none", "q4-0"] = setting(
        "auto",
        "q4-0: round the weights to 4 bits in the last third of training, so that packing loses little. auto: where 4 or 5 bits "
        "may be shipped, but not for an adapter, nor with the method full.",
        flag="--qat",
    )
    precision: Literal["auto", "bf16", "f32"] = setting(
        "auto", "auto: bf16 where the processor has it and is faster with it than with f32."
    )
    draft: Literal["auto", "none", "lookup"] = setting(
        "auto",
        "lookup: guess the next tokens from the text so far, and check several in one step. auto: where the examples copy enough "
        "from their inputs, and never for fields or adapters.",
        flag="--draft",
    )
    guess_cost: float | None = setting(
        None,
        "Cost of checking a guess, as a share of the step that writes a token (default: measured on this machine where the base "
        "is a GGUF, else 0.38).",
        gt=0,
        le=10,
    )
    adapter: bool = setting(
        False,
        "Keep what is learnt as a small file beside the base's weights. Bundles of one base that are served together hold the "
        "base once. Needs the base's whole vocabulary and the method lora.",
        flag="--adapter",
    )

    guide: str | None = setting(
        None,
        "A larger decoder of the same tokens, whose probabilities are learnt beside the answers: a bundle that writes, "
        "hf:owner/name, or a folder with weights.",
        flag="--guide",
        min_length=1,
    )
    guide_share: float = setting(0.5, "With a guide: its share in what is learnt of each token.", gt=0, le=1)
    guide_temperature: float = setting(
        1.0,
        "With a guide: divides the logits of both before they are compared. Over 1, unlikely tokens count more.",
        gt=0,
        le=20,
    )
    guide_beta: float = setting(
        0.0,
        "With a guide. 0: KL of guide and student. 1: the reverse. Between: generalised Jensen-Shannon divergence.",
        ge=0,
        le=1,
    )
    on_policy: float = setting(
        0.0,
        "With a guide: share of inputs whose answer the student writes itself while it learns, for the guide to correct. Slow.",
        flag="--on-policy",
        ge=0,
        le=1,
    )

    @field_validator("on_policy")
    @classmethod
    def _guided(cls, share: float, info: ValidationInfo) -> float:
        if share and not info.data.get("guide"):
            raise ValueError("answers that the student samples itself need a guide: name one with train.guide (--guide)")
        return share

    @field_validator("adapter")
    @classmethod
    def _fits(cls, wanted: bool, info: ValidationInfo) -> bool:
        if wanted and info.data.get("method") == "full":
            raise ValueError("an adapter needs the method lora")
        if wanted and info.data.get("vocabulary") == "trimmed":
            raise ValueError("an adapter needs the base's whole vocabulary, which all adapters of a base share")
        if wanted and info.data.get("qat") == "q4-0":
            raise ValueError("qat rounds the base's matrices together with the adapter, which is kept apart from them")
        if wanted and (info.data.get("drop_layers") or info.data.get("drop_neurons")):
            raise ValueError("an adapter needs the whole base: with drop_layers or drop_neurons it would fit no other model")
        return wanted

    @property
    def pruned(self) -> bool:
        """Whether layers or neurons of the trained decoder are removed, and the rest trained again."""
        return bool(self.drop_layers or self.drop_neurons)


class TaggerSettings(Settings):
    """Training of the tagger. Settings left at their default of None follow the number of rows."""

    epochs: int | None = setting(None, "Passes over the training rows (default: by the number of rows).", flag="--epochs", ge=1, le=200)
    learning_rate: float = setting(2e-4, "Peak learning rate of the encoder.", gt=0, le=0.01)
    batch_rows: int | None = setting(None, "Rows of one optimiser step (default: by the number of rows).", ge=1, le=1024)
    max_length: int = setting(
        256, "Tokens of a window; longer texts are read in windows that share half with their neighbours.", ge=16, le=512
    )
    base_share: float = setting(
        0.0,
        "How much of the base's own weights is mixed into the trained ones. Where rows are made from phrases, a fifth reads other wordings "
        "better.",
        ge=0,
        lt=1,
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


FACTS = "smidgen_student.json"
HEAD = "head.safetensors"
"""The head of a student whose encoder is frozen, apart from the encoder: step results hold one copy of that."""


def seconds_of(text: str, zero: bool = False) -> float:
    """Seconds of `90s`, `10m`, `1.5h` or a number; nothing at all only if `zero`. Raises TrainError for any other text."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], text[-1]) if text and text[-1] in units else (text, "s")
    try:
        seconds = float(number) * units[unit]
    except ValueError:
        seconds = -1.0
    if seconds < 0 or not math.isfinite(seconds) or not (seconds or zero):
        raise TrainError("students.time_budget_cannot_be_read", value=text)
    return seconds
