"""Times a bundle in process, the way a program that imports smidgen would use it. Prints one JSON object.

python -m bench.in_process DIR --texts texts.txt --seconds 3
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path


def main() -> None:
    """Median and 99th percentile of one text, and texts a second in batches; tokenisation and decision included."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--texts", type=Path, required=True, help="texts, one a line")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    import smidgen

    texts = given.texts.read_text(encoding="utf-8").splitlines()
    began = time.perf_counter()
    model = smidgen.load(given.bundle, given.threads)
    load_seconds = time.perf_counter() - began
    for text in texts[:10]:
        model.predict([text])
    took = []
    end = time.perf_counter() + given.seconds
    while time.perf_counter() < end or len(took) < 20:
        began = time.perf_counter()
        model.predict([texts[len(took) % len(texts)]])
        took.append((time.perf_counter() - began) * 1e3)
    took.sort()
    rates = {}
    for batch in sorted({given.batch, 256}):
        block = [texts[number % len(texts)] for number in range(max(batch * 8, 256))]
        model.predict(block[:batch])
        done, began = 0, time.perf_counter()
        while time.perf_counter() - began < given.seconds:
            for start in range(0, len(block), batch):
                model.predict(block[start : start + batch])
            done += len(block)
        rates[str(batch)] = done / (time.perf_counter() - began)
    print(
        json.dumps(
            {
                "p50": statistics.median(took),
                "p99": took[int(0.99 * (len(took) - 1))],
                "singles": len(took),
                "texts_per_second": rates[str(given.batch)],
                "texts_per_second_256": rates["256"],
                "batch": given.batch,
                "load_seconds": load_seconds,
                "torch_imported": "torch" in sys.modules,
            }
        )
    )


if __name__ == "__main__":
    main()
