"""HumanEval-Infilling, single lines: how often the base of code completion writes the missing line, without having been taught."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from bench import results
from bench.context import Context
from bench.data import NoData
from smidgen.bases.starter import starters
from smidgen.engines.llama import part as engine
from smidgen.stats.intervals import wilson
from smidgen.students.decoder_training.prompts import gap_prompt
from smidgen.text.infilling import is_filled

NAME = "infilling"
COLUMNS = ("what", "lines", "right", "95 %", "right and ended there", "95 %", "prompt tokens read", "of them from the cache", "s")
FILE = "HumanEval-SingleLineInfilling.jsonl.gz"
REACH = (6_000, 3_000)
"""Characters around a gap that are read: all of every problem."""
_TASKS, _QUICK = 164, 4
_GOAL = 0.55


def run(context: Context) -> None:
    """Fill every line of the tasks that are asked for."""
    rows = problems(context.data / "humaneval-infilling", _QUICK if context.quick else _TASKS)
    section = results.Section(
        NAME,
        "HumanEval-Infilling, single lines",
        "The starter `coder` as it is published, at 4 bits, in the engine that serves it, greedily. Right: the first line that it writes "
        "is the missing one, blanks around it aside. Right and ended there: it wrote nothing else. Nothing was tuned on these problems.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    found = context.measured(NAME, {"quick": context.quick}, lambda: _measured(rows, context.used_threads), peer=False)
    n = found["n"]
    row = ["coder, untaught", str(n)]
    for what in ("right", "alone"):
        low, high = wilson(found[what], n)
        row += [f"{found[what] / n:.1%}", f"{low:.1%} to {high:.1%}"]
    section.rows.append([*row, f"{found['read']:,}", f"{found['cached']:,}", f"{found['s']:.0f}"])
    share = found["right"] / n
    section.goals.append(results.Goal("the missing line", f"at least {_GOAL:.0%}", f"{share:.1%}", share >= _GOAL))
    results.publish(context, section)


def problems(folder: Path, tasks: int) -> list[dict[str, Any]]:
    """The problems of the first tasks. Raises NoData if they are not here."""
    file = folder / FILE
    if not file.is_file():
        raise NoData(f"{file} is not here")
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [row for row in rows if int(row["task_id"].split("/")[2]) < tasks]


def _measured(rows: Sequence[dict[str, Any]], threads: int) -> dict[str, Any]:
    folder = starters()["coder"].verify().folder
    prompt = gap_prompt(folder, REACH)
    weights = starters()["coder"].weights
    options = {"model": weights, **prompt.json(), "max_tokens": 64, "context": 4096, "slots": 1, "cache": "f16"}
    right = alone = read = cached = 0
    with closing(engine.open(folder, options, threads)) as runner:
        began = time.perf_counter()
        for row in rows:
            written, wanted = "", row["canonical_solution"]
            with closing(runner.write((row["prompt"], row["suffix"]))) as pieces:
                for piece in pieces:
                    written += piece.text
                    if piece.usage is not None:
                        read, cached = read + piece.usage.prompt, cached + piece.usage.cached
            right += is_filled(written, wanted)
            alone += written.strip() == wanted.strip()
        seconds = time.perf_counter() - began
    return {"n": len(rows), "right": right, "alone": alone, "read": read, "cached": cached, "s": seconds}
