"""`python -m tools.redaction`: writes `train.jsonl` and `dev.jsonl`, whose templates, names and places are apart."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from tools.redaction import real_texts
from tools.redaction.rows import Row, rows


def main() -> None:
    """Write both files and say what is in them."""
    parser = argparse.ArgumentParser(prog="python -m tools.redaction", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/redaction"), help="folder to write to (default: out/redaction)")
    parser.add_argument(
        "--texts",
        type=Path,
        default=Path("out/texts"),
        help="folder of the packages with real texts; what is missing is downloaded (default: out/texts)",
    )
    parser.add_argument("--rows", type=int, default=16_000, help="rows to learn from (default: 16000)")
    parser.add_argument("--dev-rows", type=int, default=2_000, help="rows that choices are made on (default: 2000)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same rows (default: 0)")
    given = parser.parse_args()
    try:
        real_texts.fetch(given.texts)
    except real_texts.NoTexts as missing:
        parser.error(str(missing))
    texts = real_texts.read(given.texts)
    given.out.mkdir(parents=True, exist_ok=True)
    for name, count, dev in (("train", given.rows, False), ("dev", given.dev_rows, True)):
        made = rows(count, given.seed, texts, dev)
        _write(given.out / f"{name}.jsonl", made)
        kinds = Counter(span["label"] for row in made for span in row.spans)
        print(f"{name}: {len(made)} rows, {sum(kinds.values())} spans ({', '.join(f'{kind} {n}' for kind, n in kinds.most_common())})")


def _write(file: Path, made: list[Row]) -> None:
    lines = [json.dumps({"text": row.text, "spans": row.spans}, ensure_ascii=False) + "\n" for row in made]
    file.write_text("".join(lines), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
