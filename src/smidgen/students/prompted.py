"""The baseline of decoders: the untrained base, with a few examples in its prompt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from smidgen.core.errors import TrainError
from smidgen.core.parts import EngineSpec, Raw, Student, Training, Workspace
from smidgen.core.rows import Row, Text, joined
from smidgen.core.settings import Settings, setting
from smidgen.students.decoder import DecoderStudent, need_torch, written
from smidgen.text.repetition import LEAST_REPETITION

_ROOM = 1.5
_MOST_PROMPT = 1500
"""Most tokens of the examples; also at most half the base's context."""


class PromptedSettings(Settings):
    """Settings of the prompt."""

    shots: int = setting(5, "Examples shown in the prompt.", ge=0, le=50)


class PromptedStudent(Student):
    """The student `prompted`."""

    name = "prompted"
    summary = "The base as it is, with a few examples in its prompt: what teaching is measured against."
    settings = PromptedSettings
    untaught = "the base asked with examples"
    unaided = PromptedSettings(shots=0)
    base_family = "decoder"
    engine = "llama"
    learns = "texts"

    def fit(self, training: Training, space: Workspace) -> None:
        """Choose the examples and store the prompt. Raises MissingExtra if torch is not installed."""
        need_torch()
        from smidgen.gguf.architectures import shape_of
        from smidgen.students.decoder_training.examples import examples_of
        from smidgen.students.decoder_training.files import describe_base, save_taught
        from smidgen.students.decoder_training.prompts import gap_prompt, prompt_of, tokenizer_of

        settings = training.settings if isinstance(training.settings, PromptedSettings) else PromptedSettings()
        if training.base is None:
            raise TrainError("students.prompted_model_needs_base", value="none")
        folder = training.base.folder
        context = shape_of(folder).context
        instruction = training.form.writing.instruction
        reach = training.form.writing.reach
        # A text with a gap shows by itself what is wanted.
        shots = _spread(training.rows, settings.shots) if reach is None else []
        prompt = prompt_of(folder, instruction, shots) if reach is None else gap_prompt(folder, reach)
        while shots and len(prompt.before) > min(_MOST_PROMPT, context // 2):
            shots = shots[:-1]
            prompt = prompt_of(folder, instruction, shots)
        lessons = examples_of(training.rows, prompt, tokenizer_of(folder), context)
        most = int(training.form.writing.max_tokens or math.ceil(_ROOM * lessons.longest_answer) + 8)
        longest = len(prompt.before) + lessons.longest + most
        schema = training.form.writing.schema
        facts = {
            **prompt.json(),
            "schema": schema,
            "max_tokens": most,
            "loop": LEAST_REPETITION,
            "context": min(context, max(sum(reach or ()) + most, 256 * math.ceil(1.5 * longest / 256) + 512)),
        }
        describe_base(space.folder, folder)
        save_taught(space.folder, folder, None, facts, {})

    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """Texts written by torch, like the decoder's."""
        return written(folder, texts, threads)

    def export(self, folder: Path, out: Path) -> EngineSpec:
        """The base as the decoder's files."""
        return DecoderStudent().export(folder, out)


def _spread(rows: Sequence[Row], count: int) -> list[tuple[str, str]]:
    """Examples of different inputs, evenly spread from the shortest to the longest."""
    first: dict[str, str] = {}
    for row in rows:
        answer = row.output[0] if isinstance(row.output, list) else row.output
        first.setdefault(joined(row.input), str(answer))
    ordered = sorted(first.items(), key=lambda pair: (len(pair[0]) + len(pair[1]), pair))
    if not ordered or not count:
        return []
    places = sorted({round((at + 0.5) * len(ordered) / count - 0.5) for at in range(count)})
    return [ordered[min(place, len(ordered) - 1)] for place in places]


part = PromptedStudent()
