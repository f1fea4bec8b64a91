"""Twenty small models on one base: what each takes in memory, what a change from one to another takes, and whether each writes as it
does when it is served alone."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from bench import results
from bench.context import Context, last_json

NAME = "adapters"
COUNT, QUICK_COUNT = 20, 3
RANK, ALPHA = 16, 32.0
STRENGTH = 0.02
"""Of the random adapters: enough that no two write the same, little enough that they write words."""
LIMIT = 3600.0
COLUMNS = (
    "models",
    "adapter on disk MB",
    "engine's resident MB, one",
    "all",
    "each more MB",
    "the same ms",
    "in turn, a slot each ms",
    "in turn, all ms",
)


def run(context: Context) -> None:
    """Make the bundles, measure them in a process of their own, throw them away."""
    count = QUICK_COUNT if context.quick else COUNT
    section = results.Section(
        NAME,
        f"{count} models on one base",
        f"The starter decoder as it comes (Q4_1, 98 MB), with {count} LoRA adapters over all its matrices (rank {RANK}, 16 bits, "
        "random numbers: what they cost does not depend on what was taught), each in a bundle of its own, served together as "
        "`smidgen serve` does. Memory is the resident memory of the engine's process after each has answered and it has "
        "rested for some seconds; “at work”, right after the last answer. A change is the "
        "time of an answer of one token: from the same model again and again (its prompt is known), from as many models in turn "
        "as there are slots, and from all in turn. Equal: the likeliest texts of every "
        "model alone in a process, against all together, one model after the other, and all models at once.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    found = context.measured(f"{NAME}-{count}", {"count": count, "rank": RANK}, lambda: _measured(context, count), peer=False)
    if found.get("trouble"):
        section.notes.append(f"It could not be measured: {found['trouble']}")
    else:
        section.rows = [_row(found)]
        section.facts |= {
            "prompt": f"{found['prompt_tokens']} tokens, of them {found['shared_tokens']} before the text",
            "slots": str(found["slots"]),
            "resident at work, all": f"{found['busy_mb']:.1f} MB",
            "equal": f"{found['equal']} of {found['compared']} texts as from the model alone",
        }
        section.goals = [
            results.at_most("each model more", 15, found["each_mb"], "MB", ".1f"),
            results.at_most("a change, a slot each", 10, found["turn_ms"] - found["same_ms"], "ms", ".1f"),
            results.at_most("a change, all in turn", 10, found["all_ms"] - found["same_ms"], "ms", ".1f"),
            results.at_least("texts as from the model alone", 1.0, found["equal"] / found["compared"], ".1%"),
        ]
    results.publish(context, section)


def _row(found: dict[str, Any]) -> list[str]:
    names = ("adapter_mb", "one_mb", "all_mb", "each_mb", "same_ms", "turn_ms", "all_ms")
    return [str(found["count"]), *(results.number(found[name], 1) for name in names)]


def _measured(context: Context, count: int) -> dict[str, Any]:
    folder = context.out / "bundles" / NAME
    shutil.rmtree(folder, ignore_errors=True)
    bundles = [bundle(folder / f"model-{number:02}", number) for number in range(count)]
    threads = ["--threads", str(context.used_threads)]
    ran = context.run([sys.executable, "-m", "bench.adapters_in_process", *bundles, *threads], NAME, LIMIT)
    shutil.rmtree(folder)  # two gigabytes
    return {**ran.costs(), **(last_json(ran.stdout) if not ran.trouble else {})}


def bundle(out: Path, seed: int) -> Path:
    """A bundle of the starter decoder's own file with an adapter of random numbers."""
    from smidgen.bases import lookup
    from smidgen.bundles.manifest import EngineEntry, Manifest
    from smidgen.bundles.pack import pack
    from smidgen.core.rows import Row
    from smidgen.students.decoder_training.prompts import prompt_of
    from smidgen.tasks.write import WriteSettings, part

    base, told = lookup.pull("smollm2").folder, f"Answer in the manner of shop number {seed}."
    files = out.with_name(f"{out.name}-files")
    files.mkdir(parents=True)
    shutil.copyfile(next(base.glob("*.gguf")), files / "model.gguf")
    shutil.copyfile(base / "tokenizer.json", files / "tokenizer.json")
    random_adapter(base, files / "adapter.gguf", seed)
    options = {"model": "model.gguf", "max_tokens": 16, "context": 512, "slots": 8, **prompt_of(base, told).json()}
    options |= {"adapters": {"taught": "adapter.gguf"}, "adapter": "taught"}
    manifest = Manifest(
        name=out.name,
        created="2026-01-01T00:00:00+00:00",
        smidgen_version="0.1.0",
        task="write",
        form=part.form([Row("a", "b c"), Row("d", "e f")], WriteSettings(instruction=told)),
        engine=EngineEntry(engine="llama", files=("model.gguf", "tokenizer.json", "adapter.gguf"), options=options, method="q4_1"),
    )
    pack(files, manifest, out)
    shutil.rmtree(files)
    return out


def random_adapter(base: Path, file: Path, seed: int) -> None:
    """A LoRA adapter over every matrix of a decoder's layers, as one that was taught is written."""
    import torch

    from smidgen.gguf.architectures import config_of, transformers_name
    from smidgen.gguf.header import read_tensor_shapes
    from smidgen.gguf.weights import write_adapter

    random = torch.Generator().manual_seed(seed)
    factors = {}
    for name, shape in read_tensor_shapes(next(base.glob("*.gguf"))).items():
        if name.startswith("blk.") and len(shape) == 2:
            outputs, inputs = shape
            down = torch.randn(RANK, inputs, generator=random) * inputs**-0.5
            factors[transformers_name(name)] = down, torch.randn(outputs, RANK, generator=random) * STRENGTH
    write_adapter(file, factors, config_of(base), alpha=ALPHA, name=f"random {seed}", kind="f16")
