"""Label errors that were planted: how many of the rows that `check` shows are among them.

python -m bench.planted_errors /path/to/data
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from bench.data import Rows, banking77, clinc150
from bench.noisy_teacher import nearest_labels
from smidgen.core.rows import Row
from smidgen.data.findings.mislabels import propose_labels
from smidgen.data.inspection import Survey
from smidgen.flows.embedding import embedder

SHARES = (0.03, 0.10)
SEEDS = (0, 1, 2)
SAMPLES = ((3_000, 0), (700, 64), (600, 12))
"""Rows, and of how many labels; 0: of all."""


def main() -> None:
    """Print a row of the table for each data set, sample and share, over all seeds and both kinds of errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder that holds banking77 and clinc150")
    folder = parser.parse_args().data
    embed = embedder()
    assert embed is not None, "fetch the starter base first: smidgen pull minilm"
    print("| rows | labels | wrong | shown | of them planted | of the planted, shown | right suggestion |\n|---|---|---|---|---|---|---|")
    total = {share: [0, 0, 0, 0] for share in SHARES}
    for name, rows in (("BANKING77", banking77(folder)[0]), ("CLINC150", clinc150(folder, False)[0])):
        for most, labels in SAMPLES:
            for share in SHARES:
                counts = [0, 0, 0, 0]
                for seed in SEEDS:
                    for kind in ("any", "near"):
                        counts = [
                            one + more
                            for one, more in zip(counts, _judged(_sample(rows, most, labels, seed), share, kind, embed), strict=True)
                        ]
                total[share] = [one + more for one, more in zip(total[share], counts, strict=True)]
                print(_line(f"{name}, {most:,}", labels, share, counts), flush=True)
    for share in SHARES:
        print(_line("all", 0, share, total[share]))


def _sample(rows: Rows, most: int, labels: int, seed: int) -> Rows:
    chance = random.Random(seed)
    if labels:
        kept = set(chance.sample(sorted({label for _, label in rows}), labels))
        rows = [row for row in rows if row[1] in kept]
    return chance.sample(rows, most)


def _judged(rows: Rows, share: float, kind: str, embed: object) -> tuple[int, int, int, int]:
    """The rows shown, those of them that were planted, those planted, and the shown ones whose suggestion is the right label."""
    chance = random.Random(f"{kind}-{share}-{rows[0][0]}")
    names = sorted({label for _, label in rows})
    near = nearest_labels(rows, names)
    planted = {
        place: chance.choice(near[place] if kind == "near" else [name for name in names if name != rows[place][1]])
        for place in chance.sample(range(len(rows)), round(share * len(rows)))
    }
    labelled = [Row(text, planted.get(place, label), place + 1) for place, (text, label) in enumerate(rows)]
    shown = propose_labels(Survey(labelled, embed=embed))  # type: ignore[arg-type]
    right = sum(one.place in planted and one.proposed == rows[one.place][1] for one in shown)
    return len(shown), sum(one.place in planted for one in shown), len(planted), right


def _line(title: str, labels: int, share: float, counts: list[int]) -> str:
    shown, hits, planted, right = counts
    shares = f"{hits / max(1, shown):.0%} | {hits / planted:.0%} | {right / max(1, shown):.0%}"
    return f"| {title} | {labels or 'all'} | {share:.0%} | {shown:,} | {shares} |"


if __name__ == "__main__":
    main()
