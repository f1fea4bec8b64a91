"""Measures bundles of one base held together, in a process of its own. Prints one JSON object.

python -m bench.adapters_in_process DIR DIR ... --threads 1
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import threading
import time
from collections.abc import Sequence
from pathlib import Path

TEXTS = ("Where is my parcel?", "Write a line about an oak stool.", "The lamp came broken. What now?")
ROUNDS = 12
RESTED = 5.0
"""Seconds after which an engine has given back what it keeps while it works."""


def main() -> None:
    """Memory of one and of all, the time of a change, and whether each writes as it does alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    from smidgen.flows.local_model import load, load_all

    alone, one_mb = {}, 0.0
    for bundle in given.bundles:
        model = load(bundle, given.threads)
        alone[model.name] = [reply.output for reply in model.predict(TEXTS)]
        if not one_mb:
            touch(model)
            time.sleep(RESTED)
            one_mb = resident_mb(model.runner.pid)
        model.close()
    models = load_all(given.bundles, given.threads)
    together = {model.name: [reply.output for reply in model.predict(TEXTS)] for model in models}
    at_once = ask_all(models)
    touch(models[0])
    busy_mb = resident_mb(models[0].runner.pid)
    time.sleep(RESTED)
    all_mb = resident_mb(models[0].runner.pid)
    slots = models[0].runner.options.slots
    found = [pair for name, wanted in alone.items() for got in (together, at_once) for pair in zip(got[name], wanted, strict=True)]
    print(
        json.dumps(
            {
                "count": len(models),
                "slots": slots,
                "adapter_mb": (given.bundles[0] / "adapter.gguf").stat().st_size / 1e6,
                "one_mb": one_mb,
                "all_mb": all_mb,
                "busy_mb": busy_mb,
                "each_mb": (all_mb - one_mb) / max(1, len(models) - 1),
                "same_ms": median_ms([models[0]] * len(models)),
                "turn_ms": median_ms(models[: min(slots, len(models))]),
                "all_ms": median_ms(models),
                "prompt_tokens": models[0].runner.count(TEXTS[0]),
                "shared_tokens": len(models[0].runner.options.before),
                "different": len({tuple(texts) for texts in alone.values()}),
                "compared": len(found),
                "equal": sum(mine == wanted for mine, wanted in found),
                "processes": len({model.runner.pid for model in models}),
            }
        )
    )
    for model in models:
        model.close()


def touch(model) -> None:
    """Use every slot, so that the memory of their caches is counted with one model as with many."""
    model.predict(TEXTS * (2 * model.runner.options.slots))


def ask_all(models: Sequence) -> dict[str, list[str]]:
    """What all write when every one of them is asked at the same time."""
    found: dict[str, list[str]] = {}

    def ask(model) -> None:
        found[model.name] = [reply.output for reply in model.predict(TEXTS)]

    threads = [threading.Thread(target=ask, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def median_ms(models: Sequence) -> float:
    """The median time of an answer of one token, one after the other from these models in turn, the first round left out."""
    took = []
    for number, model in enumerate(itertools.chain.from_iterable([models] * ROUNDS)):
        before = time.perf_counter()
        for _ in model.write(TEXTS[0], max_tokens=1):
            pass
        if number >= len(models):
            took.append((time.perf_counter() - before) * 1e3)
    return statistics.median(took)


def resident_mb(pid: int) -> float:
    """Resident memory of a process now."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(f"the system does not say what process {pid} holds")


if __name__ == "__main__":
    main()
