"""Writes the recording of the hybrid demo: `python -m tools.recording`. With `--check` it only says whether the file is current.

The recording is the sample's labels, as a large model would have given them, and some errors: each message has the same chance of one, and
gets the label of another intent of its group (`order/cancel` for `order/invoice`), or, where its group has no other, `contact/human`
(of that itself, `out_of_scope`). The draw is seeded, so that the file can be made again to the byte.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from smidgen.cli.hybrid_demo.recorded_model import FILE, MARK, sample
from smidgen.store.files import rows_hash

SHARE = 0.02
SEED = "smidgen's recording, first"
_PERSON, _NONE = "contact/human", "out_of_scope"
PLACE = Path(__file__).parent.parent / "src" / "smidgen" / "samples" / "homeware" / FILE


def made() -> str:
    """The file's text."""
    rows = sample()
    labels = sorted({label for _, label in rows})
    rng = random.Random(SEED)
    errors = {str(number): _mistaken(label, labels, rng) for number, (_, label) in enumerate(rows) if rng.random() < SHARE}
    about = (
        f"This is {MARK}. No large model was asked. Its answers are the labels of the homeware shop's sample, but for {len(errors)} of "
        f"{len(rows):,}, drawn at random with a chance of {SHARE:.0%} each, which have the label of another intent of the same group. They "
        "stand for a large model's own mistakes; how often, and which, a real one makes they do not say."
    )
    facts = {"about": about, "made_by": "python -m tools.recording", "sample_sha256": rows_hash(rows), "errors": errors}
    return json.dumps(facts, ensure_ascii=False, indent=1) + "\n"


def _mistaken(label: str, labels: list[str], rng: random.Random) -> str:
    group = label.partition("/")[0]
    others = [other for other in labels if other != label and other.partition("/")[0] == group]
    return rng.choice(others) if others else _NONE if label == _PERSON else _PERSON


def main() -> int:
    """Write it, or say whether it is current."""
    text = made()
    if "--check" in sys.argv[1:]:
        current = PLACE.is_file() and PLACE.read_text(encoding="utf-8") == text
        print("current" if current else f"{PLACE} is not current: run python -m tools.recording")
        return 0 if current else 1
    PLACE.write_text(text, encoding="utf-8", newline="\n")
    print(PLACE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
