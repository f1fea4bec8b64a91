"""Rows that were given to a line, kept with it under their hash, so that every later version can learn from them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

from smidgen.core.errors import BundleError, DataError
from smidgen.core.rows import Row, Text
from smidgen.store import atomic
from smidgen.store.hashing import file_hash
from smidgen.store.line import MOST_BATCHES, Batch, Line, Pointer

_AGAIN = "Put a copy of the file back, or give the rows again with --data."


def keep(line: Line, rows: Sequence[Row], source: Literal["original", "data"], *, learnt: bool, now: datetime) -> bool:
    """Keep rows with the line; whether they are new to it.

    Args:
        learnt: whether a version has learnt them all already, so that none of them can be held out; also of rows that were kept before
            that was known.

    Raises DataError where the line holds too many batches; BundleError where they cannot be written.
    """
    content = "".join(json.dumps([row.input, row.output], ensure_ascii=False) + "\n" for row in rows).encode("utf-8", "surrogatepass")
    if not rows:
        return False
    folder = line.folder / "rows"
    try:
        folder.mkdir(exist_ok=True)
        part = folder / ".new.jsonl"
        atomic.write(part, content)
        sha256 = file_hash(part)
        part.replace(line.rows(sha256))
    except OSError as error:
        raise BundleError(
            "rows cannot be kept with the line", value=f"{folder}: {error.strerror}", todo="Make room on the disk."
        ) from error
    batch = Batch(sha256=sha256, n=len(rows), source=source, at=now, learnt=learnt)
    new = True

    def added(found: Pointer) -> Pointer:
        nonlocal new
        known = next((known for known in found.rows if known.sha256 == sha256), None)
        if known is not None:
            new = False
            told = known.model_copy(update={"source": source, "learnt": True}) if learnt and not known.learnt else known
            return found.model_copy(update={"rows": tuple(told if one is known else one for one in found.rows)})
        if len(found.rows) >= MOST_BATCHES:
            raise DataError("the line holds too many batches of rows", value=len(found.rows), todo="Give more rows at a time.")
        return found.model_copy(update={"rows": (*found.rows, batch)})

    line.change(added)
    return new


def read(line: Line, batch: Batch) -> Iterator[tuple[Text, Any]]:
    """The inputs and outputs of a batch. Raises BundleError where its file is not the one that was kept."""
    file = line.rows(batch.sha256)
    if not file.is_file():
        raise BundleError("rows of the line are missing", value=str(file), todo=_AGAIN, file=file.name)
    if file_hash(file) != batch.sha256:
        raise BundleError("rows of the line are not the ones that were kept", value=str(file), todo=_AGAIN, file=file.name)
    with file.open(encoding="utf-8", errors="surrogatepass") as stream:
        for text in stream:
            given, output = json.loads(text)
            yield (given if isinstance(given, str) else (given[0], given[1])), output
