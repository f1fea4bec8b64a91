"""Run the commands of several golden builds in one process, which loads what they need once, each as if it had the process to itself.

`python together.py FOLDER...`: each holds `orders.json`, as `seeded.py` takes it, and gets `orders.done.json`. Its commands run in `work`,
with `home` and `traffic.db` beside it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.golden import seeded


def main(folders: list[Path]) -> int:
    """Run them all, whichever fail; how many did."""
    failed = 0
    for folder in folders:
        os.environ["SMIDGEN_HOME"] = str(folder / "home")
        os.environ["SMIDGEN_TRAFFIC_URL"] = f"sqlite:///{(folder / 'traffic.db').as_posix()}"
        os.chdir(folder / "work")
        failed += seeded.main(folder / "orders.json") > 0
    return failed


if __name__ == "__main__":
    sys.exit(main([Path(folder) for folder in sys.argv[1:]]))
