"""HumanEval-Infilling, single lines: how often the base of code completion writes the missing line untaught, and how soon."""

from __future__ import annotations

import gzip
import json
import statistics
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
COLUMNS = ("what", "lines", "right", "95 %", "right and ended there", "95 %", "prompt tokens", "of them from the cache", "s")
FILE = "HumanEval-SingleLineInfilling.jsonl.gz"
REACH = (6_000, 3_000)
"""Characters around a gap that are read: all of every problem."""
_STEP, _FIRST, _QUICK = 8, 4, 64
"""Every eighth problem from the fifth on: the order of the prompt was chosen on every sixteenth from the first on. A quick run takes every
64th."""
_GOAL = 0.55
_WRITTEN, _WARM, _MOST_SECONDS = 20, 16, 0.7
"""Tokens of a timed completion, how many are timed, and the goal."""


def run(context: Context) -> None:
    """Fill the lines, and time completions as they are asked for while somebody types."""
    rows = problems(context.data / "humaneval-infilling", _QUICK if context.quick else _STEP)
    section = results.Section(
        NAME,
        "HumanEval-Infilling, single lines",
        "The starter `coder` as it is published, at 4 bits, in the engine that serves it, greedily. Right: the first line that it writes "
        "is the missing one, blanks around it aside. Right and ended there: it wrote nothing else. Nothing was chosen on these problems.",
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
    took = found["warm"]
    middle = statistics.median(took)
    told = f"{middle:.2f} s at the median of {len(took)}, {max(took):.2f} s at most"
    what = f"{_WRITTEN} tokens, three characters after what was read before"
    section.goals.append(results.Goal(what, f"under {_MOST_SECONDS} s", told, middle < _MOST_SECONDS))
    results.publish(context, section)


def problems(folder: Path, step: int) -> list[dict[str, Any]]:
    """One problem of so many. Raises NoData if they are not here."""
    file = folder / FILE
    if not file.is_file():
        raise NoData(f"{file} is not here")
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return rows[_FIRST::step]


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
        warm = [took for row in rows[: 3 * _WARM] if (took := _typed(runner, row)) is not None][:_WARM]
    return {"n": len(rows), "right": right, "alone": alone, "read": read, "cached": cached, "s": seconds, "warm": warm}


def _typed(runner: Any, row: dict[str, Any]) -> float | None:
    """Seconds of a completion after three more characters of the line; None if it ends before its last token."""
    began = row["prompt"] + row["canonical_solution"][: len(row["canonical_solution"]) - len(row["canonical_solution"].lstrip())]
    list(runner.write((began, row["suffix"]), max_tokens=1))
    start = time.perf_counter()
    pieces = list(runner.write((began + row["canonical_solution"].lstrip()[:3], row["suffix"]), max_tokens=_WRITTEN))
    return time.perf_counter() - start if sum(piece.count for piece in pieces) == _WRITTEN else None
