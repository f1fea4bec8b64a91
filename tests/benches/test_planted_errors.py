"""The number that is shown beside likely wrong labels is the one that was measured."""

from __future__ import annotations

import json
import re
from pathlib import Path

from smidgen.data.findings.mislabels import MEASURED

ROOT = Path(__file__).parent.parent.parent


def test_the_shown_precision_is_the_measured_one() -> None:
    table = (ROOT / "bench" / "RESULTS.md").read_text(encoding="utf-8")
    measured = re.search(r"^\| all \| all \| 3% \| [\d,]+ \| (\d+)% ", table, re.MULTILINE)
    assert measured is not None
    told = [MEASURED]
    for language in ("en", "de"):
        texts = json.loads((ROOT / "studio" / "src" / "i18n" / language / "findings.json").read_text(encoding="utf-8"))
        told.append(json.dumps(texts, ensure_ascii=False))
    for text in told:
        assert re.search(rf"(?<!\d){measured[1]}(?: of 100| were wrong| von 100)", text), text[:200]
