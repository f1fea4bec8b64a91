"""Export stored pairs as a data file that `smidgen build` and `smidgen certify` read."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from smidgen.core.errors import DataError
from smidgen.core.placeholders import is_masked
from smidgen.store.traffic.store import TrafficStore


@dataclass(frozen=True)
class TrafficExport:
    """Number of pairs written, and number of answers left out because they were masked as personal data."""

    pairs: int
    masked: int


def export_traffic(store: TrafficStore, file: Path, asked: str | None = None, held_out: bool = False) -> TrafficExport:
    """Write one JSON object per line: `input`, `output` (the reference; null if it is incomplete), `whose` output it is, and its origin.

    A masked answer is not written: the label `[PLACE_1]` would stand for many. A pair to learn from is then left out; a held-out one gets
    the output null.

    The file appears when it is complete, and only its owner may read it. Raises DataError if it cannot be written.
    """
    draft = file.with_name(f".{file.name}.{os.getpid()}.part")
    count = masked = 0
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", newline="\n") as stream:
            for pair in store.pairs(asked, held_out=held_out):
                facts = pair.json()
                said = facts.pop("reference") or None
                if is_masked(pair.reference, pair.input):
                    masked += 1
                    if not held_out:
                        continue
                    said = None
                row = {"input": facts.pop("input"), "output": said, **facts}
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += 1
        draft.replace(file)
    except OSError as error:
        raise DataError(
            "the file cannot be written",
            value=error.strerror or type(error).__name__,
            todo="Name a file in a writable folder.",
            file=str(file),
        ) from None
    finally:
        draft.unlink(missing_ok=True)
    return TrafficExport(count, masked)
