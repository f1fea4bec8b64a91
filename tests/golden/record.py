"""`python -m tests.golden.record [GROUP...]`: record the golden transcripts anew, or those of some groups.

Do this only for a change of the wire that is meant, and read the diff: each line of it is one that a client or an upstream sees.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.golden.exchanges import GROUPS
from tests.golden.transcript import FOLDER, started, transcript


def main(names: list[str]) -> None:
    """Record."""
    known = {group.name: group for group in GROUPS}
    if unknown := set(names) - known.keys():
        raise SystemExit(f"there is no group {', '.join(sorted(unknown))}; the groups are {', '.join(known)}")
    for name in names or known:
        with tempfile.TemporaryDirectory() as folder, started(known[name], Path(folder)) as running:
            text = transcript(running)
        (FOLDER / f"{name}.txt").write_text(text, encoding="utf-8", newline="\n")
        sys.stdout.write(f"{name}: {len(known[name].exchanges)} exchanges\n")


if __name__ == "__main__":
    main(sys.argv[1:])
