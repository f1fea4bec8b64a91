"""A record that a line keeps beside its rows: lines of ASCII, each once, that only grow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from smidgen.core.errors import BundleError
from smidgen.store import atomic
from smidgen.store.line import Line


@dataclass(frozen=True)
class Record:
    """One of them.

    Attributes:
        name: of its file in `rows/`.
        what: what it holds, for messages: "what the line has learnt".
        without: what would happen without it, as a sentence.
        fine: whether a line can be an entry.
    """

    name: str
    what: str
    without: str
    fine: Callable[[str], bool]

    def read(self, line: Line) -> dict[str, None]:
        """The entries, in their order; none where nothing was written yet. Raises BundleError where they cannot be read."""
        file = self._place(line)
        try:
            found = dict.fromkeys(file.read_text(encoding="ascii").splitlines())
            strange = next((entry for entry in found if not self.fine(entry)), None)
            if strange is not None:
                raise ValueError(f"{strange[:40]!r} is no entry")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise BundleError(
                f"{self.what} cannot be read",
                value=f"{file}: {error}",
                todo=f"Put a copy of the file back. {self.without}",
                file=file.name,
            ) from error
        return found

    def add(self, line: Line, entries: Iterable[str]) -> None:
        """Write those down that do not stand there, behind the others. Call it under the line's lock for learning. Raises BundleError where
        that cannot be done."""
        known = self.read(line)
        new = dict.fromkeys(entry for entry in entries if entry not in known)
        if not new:
            return
        file = self._place(line)
        try:
            file.parent.mkdir(exist_ok=True)
            atomic.write(file, "".join(f"{entry}\n" for entry in (*known, *new)).encode("ascii"))
        except OSError as error:
            raise BundleError(
                f"{self.what} cannot be written down", value=f"{file}: {error.strerror}", todo="Make room on the disk."
            ) from error

    def _place(self, line: Line) -> Path:
        return line.folder / "rows" / self.name
