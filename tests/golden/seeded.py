"""Run smidgen commands in one process in which nothing is left to chance.

`python seeded.py ORDERS.json`: the file holds a list of command lines without `smidgen`. Writes `ORDERS.done.json`: of each its exit code
and what it printed. Stops after the first one that fails.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import random
import runpy
import secrets
import sys
import time
from pathlib import Path

TICK = 0.05
"""Seconds that seem to pass whenever the stopwatch is read: what a build does only where it takes no more than so long is then done, or
not, on every machine alike; and models are timed in a moment, for how fast one is here is not compared."""


def settle() -> None:
    """Draw secrets from a seed, and let the stopwatch tick by its readings. Before smidgen is imported."""
    seeded = random.Random(20260101)
    readings = itertools.count()
    # Request ids must differ; the keys of lines and of stores, which draw what is held out, are the same whoever drew before them.
    secrets.token_bytes = lambda nbytes=None: seeded.randbytes(nbytes or 32)  # type: ignore[assignment]
    secrets.token_hex = lambda nbytes=None: "5a" * (nbytes or 32)  # type: ignore[assignment]
    time.perf_counter = lambda: next(readings) * TICK


def run(command: list[str]) -> int:
    """Run `smidgen` with these arguments as its own process would; its exit code."""
    sys.argv = ["smidgen", *command]
    try:
        runpy.run_module("smidgen", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def main(orders: Path) -> int:
    """Run all commands of a file; 0 where none failed."""
    settle()
    done = []
    for number, command in enumerate(json.loads(orders.read_text(encoding="utf-8")), 1):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            code = run(command)
        done.append({"command": command, "code": code, "said": said.getvalue()})
        orders.with_suffix(".done.json").write_text(json.dumps(done), encoding="utf-8")
        if code:
            return number
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
