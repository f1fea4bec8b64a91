"""How fast LoRA teaches a decoder: smidgen beside a plain loop of transformers and peft, on the same examples, in turns."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from bench import data, results
from bench.context import HERE, Context, last_json

NAME = "lora_speed"
PEER = "peft_loop"
ROUNDS, SECONDS = 3, 40.0
BATCHES = (8,)
"""Batches of 32 were 4 % slower in the plain loop when both were tried."""
COLUMNS = ("system", "rounds", "examples/s, median", "each round", "tokens/s", "peak MB", "what")


def run(context: Context) -> None:
    """Each side teaches for a minute, in turns, `ROUNDS` times; the page is written at the end."""
    rounds, seconds = (1, 10.0) if context.quick else (ROUNDS, SECONDS)
    rows = data.e2e(context.data, "devset")
    train = data.write(rows, context.out / "data" / f"{NAME}.csv", ("input", "output"))
    section = results.Section(
        NAME,
        "Teaching a decoder: examples a second",
        f"SmolLM2-135M, LoRA of rank 16 over all matrices, loss on the answers, E2E's {len(rows):,} pairs (devset). Both sides start from "
        f"the same weights in 16 bits and teach for {seconds:.0f} s a round, in turns; the first step of each is not counted. “one answer "
        "an input” gives each pair by itself, as the peer does; “as it is used” reads an input once for its three best answers. Tokens are "
        "those of the pairs with their chat template, padding not counted.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    sides: dict[str, list[dict[str, Any]]] = {}
    for number in range(rounds):
        turns = [*_ours(context, train, seconds, number), *_theirs(context, train, seconds, number)]
        for name, answer in turns if number % 2 == 0 else reversed(turns):
            sides.setdefault(name, []).append(answer())
    good = {name: [run for run in runs if not run.get("trouble")] for name, runs in sides.items()}
    section.notes = sorted({str(run["trouble"]) for runs in sides.values() for run in runs if run.get("trouble")})
    speeds = {name: results.median(runs, "examples_per_second") for name, runs in good.items()}
    section.rows = [
        [
            name,
            str(len(runs)),
            results.number(speeds[name], 2),
            ", ".join(f"{run['examples_per_second']:.2f}" for run in runs),
            results.number(results.median(runs, "tokens_per_second")),
            results.number(results.median(runs, "peak_mb")),
            str(runs[0].get("what", "")),
        ]
        for name, runs in good.items()
        if runs
    ]
    best = max((speed for name, speed in speeds.items() if name.startswith("transformers") and speed), default=None)
    section.goals = [
        results.times("one answer an input, against the plain loop", 3, speeds.get("smidgen, one answer an input"), best),
        results.times("as it is used, against the plain loop", 3, speeds.get("smidgen, as it is used"), best),
    ]
    versions = next((run["versions"] for name, runs in good.items() if name.startswith("transformers") for run in runs), {})
    section.versions = versions
    results.publish(context, section)


def _ours(context: Context, train: Path, seconds: float, number: int) -> list[tuple[str, Any]]:
    made = []
    for name, references in (("smidgen, one answer an input", 0), ("smidgen, as it is used", 3)):
        words = [sys.executable, "-m", "bench.lora_side", "--train", train, "--seconds", seconds, "--references", references]
        words += ["--threads", context.used_threads]
        made.append((name, _side(context, f"{NAME}-ours-{references}-{number}", words, seconds, name, peer=False)))
    return made


def _theirs(context: Context, train: Path, seconds: float, number: int) -> list[tuple[str, Any]]:
    interpreter = context.peer(PEER)
    if interpreter is None:
        return []
    base = hf_base(context)
    made = []
    for batch in BATCHES:
        name = f"transformers and peft, batches of {batch}"
        words = [interpreter, HERE / "peers" / "peft_loop.py", "--base", base, "--train", train, "--batch", batch, "--seconds", seconds]
        made.append((name, _side(context, f"{NAME}-peft-{batch}-{number}", words, seconds, name, peer=True)))
    return made


def _side(context: Context, key: str, words: list[Any], seconds: float, name: str, *, peer: bool) -> Any:
    def work() -> dict[str, Any]:
        ran = context.run([str(word) for word in words], key, 300 + 4 * seconds)
        if ran.trouble:
            return {"trouble": f"{name}: {ran.trouble}"}
        return {**last_json(ran.stdout), "peak_mb": ran.peak_mb}

    return lambda: context.measured(key, {"seconds": seconds, "what": name}, work, peer=peer)


def hf_base(context: Context) -> Path:
    """The starter base as transformers reads it: the same weights, in 16 bits."""
    import torch
    from safetensors.torch import save_file

    from smidgen.bases.lookup import pull
    from smidgen.students.decoder_training.files import weights_of

    folder, out = pull("smollm2").folder, context.out / "bases" / "smollm2-hf"
    if not (out / "model.safetensors").is_file():
        out.mkdir(parents=True, exist_ok=True)
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(folder / name, out / name)
        tensors = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in weights_of(folder).items()}
        save_file(tensors, out / "model.safetensors.part", metadata={"format": "pt"})
        (out / "model.safetensors.part").replace(out / "model.safetensors")
    return out
