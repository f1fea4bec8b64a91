"""smidgen's side of `lora_speed`: teaches for some seconds and prints how many examples a second that were, as one JSON object."""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import tempfile
import time
from pathlib import Path

from smidgen.bases.lookup import pull
from smidgen.core.rows import Row


class Enough(Exception):
    """The time is over."""


def main() -> None:
    """Teach the starter base as the student `decoder` does, for `--seconds`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", required=True, type=Path)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--references", type=int, required=True, help="answers of an input that are read together; 0: none")
    parser.add_argument("--threads", type=int, required=True)
    given = parser.parse_args()

    import torch

    from smidgen.gguf.architectures import shape_of
    from smidgen.parts import registry
    from smidgen.students.decoder_training.adapters import LoraAdapters, frozen_of, model_of
    from smidgen.students.decoder_training.examples import chosen, examples_of
    from smidgen.students.decoder_training.files import base_weights
    from smidgen.students.decoder_training.prompts import plain_ids, prompt_of, tokenizer_of
    from smidgen.students.decoder_training.training import DecoderProgress, DecoderTrainConfig, DecoderTrainer
    from smidgen.students.processor import Workers, best_dtype
    from smidgen.students.vocabulary import FREQUENT, MergeTable, frequent_for, trim_decoder
    from smidgen.tasks.write import WriteSettings

    folder = pull("smollm2").folder
    with given.train.open(encoding="utf-8", newline="") as file:
        rows = [Row(row["input"], row["output"], number, 1.0) for number, row in enumerate(csv.DictReader(file), start=1)]
    prompt, tokenizer, table = prompt_of(folder), tokenizer_of(folder), MergeTable(folder)
    used = {*prompt.before, *prompt.after, *prompt.stop}
    frequent, _ = frequent_for(table, [[set(plain_ids(tokenizer, text)) for text in {row.input for row in rows}]], used)
    for row in rows:
        used.update(plain_ids(tokenizer, row.input), plain_ids(tokenizer, row.output))
    kept = table.kept(used, frequent or FREQUENT[-1])
    home = Path(tempfile.mkdtemp(prefix="smidgen-lora-"))
    trim_decoder(folder, home, kept)
    prompt, tokenizer = prompt_of(home), tokenizer_of(home)
    form = registry.find("tasks", "write").form(rows, WriteSettings(attributes="off"))
    lessons = examples_of(chosen(rows, form, given.references) if given.references else rows, prompt, tokenizer, 1024).lessons
    shape, weights = shape_of(home), base_weights(folder, kept)
    frozen = frozen_of(weights, shape)
    model = model_of(weights, frozen, shape, list(prompt.before), best_dtype())
    change = LoraAdapters(shape, frozen, 16, 32.0, torch.Generator().manual_seed(0), best_dtype())
    course = DecoderTrainConfig(steps=10_000, batch=32, shared=bool(given.references))
    teacher = DecoderTrainer(model, change, lessons, (), course, Workers(given.threads))
    began, counted = time.perf_counter(), {"from": 0.0, "steps": 0}
    losses: list[float] = []

    def stepped(now: DecoderProgress) -> None:
        losses.append(now.loss)
        at = time.perf_counter()
        if counted["from"] == 0.0:
            counted["from"] = at
            return
        counted["steps"] = now.step - 1
        if at - began > given.seconds:
            raise Enough

    with contextlib.suppress(Enough):
        teacher.run(stepped)
    spent = time.perf_counter() - counted["from"]
    groups = [group for step in range(1, int(counted["steps"]) + 1) for group in teacher.batch(step)]
    examples = sum(len(group) for group in groups)
    tokens = sum(len(lesson.ids) + len(prompt.before) for group in groups for lesson in group)
    teacher.workers.close()
    print(
        json.dumps(
            {
                "examples_per_second": examples / spent,
                "tokens_per_second": tokens / spent,
                "steps": int(counted["steps"]),
                "first_loss": losses[0],
                "last_loss": losses[-1],
                "seconds": spent,
                "what": f"LoRA of rank 16, batches of 32, {len(kept):,} of 49,152 tokens kept",
            }
        )
    )


if __name__ == "__main__":
    main()
