"""A changed copy of a data file: written in the format that was read, never over an original."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from smidgen.core.errors import DataError
from smidgen.data.read import Table, sources


def may_write(table: Table, out: Path, originals: Iterable[Path], what: str) -> None:
    """Raise DataError where `out` is one of the `originals`, or its name is that of another format than the table's. `what` names the copy
    in the message: "cleaned file"."""
    if any(original.exists() and out.exists() and original.samefile(out) for original in originals):
        raise DataError(f"the {what} would replace the original", value=str(out), todo="Name another file.", file=table.name)
    owner = next((source for source in sources().values() if out.suffix.lower() in source.suffixes), None)
    if out.is_dir() or (owner is not None and owner.name != table.source.name):
        wanted = table.source.suffixes[0]
        raise DataError(
            f"the {what} has the format of the original", value=str(out), todo=f"Name a file that ends in {wanted}.", file=table.name
        )
