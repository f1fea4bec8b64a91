"""Explain a traceback: the user's own lines that it went through, and what message and source show of the cause. No model has a part in it:
see the explanation of its limits in the docs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.code.error_causes import CauseContext, causes
from smidgen.code.own_code import OwnCode, OwnPlace
from smidgen.code.repository import read_repository
from smidgen.code.tracebacks import RaisedError, read_tracebacks
from smidgen.core.errors import DataError, InputError

_AROUND = 2
"""Lines that are shown before and after a line."""
_MOST_PLACES = 6
_AFTER = {"": "", "cause": "this led to", "context": "while this was handled, there came"}


@dataclass(frozen=True, slots=True)
class ExplainedError:
    """An error with its own lines and its causes.

    Attributes:
        error: as the traceback has it.
        places: the user's own lines that it went through, the innermost last.
        causes: sentences that message and source show to be true.
        remarks: what stands in the way of knowing more.
    """

    error: RaisedError
    places: tuple[OwnPlace, ...]
    causes: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def link(self) -> str:
        """How it came of the error before it, in words; empty for the first."""
        return _AFTER[self.error.after]

    @property
    def shown_places(self) -> tuple[OwnPlace, ...]:
        """Its own lines, each once, the innermost first; of many, those that are nearest."""
        return tuple({place.shown: place for place in reversed(self.places)}.values())[:_MOST_PLACES]

    def json(self) -> dict[str, Any]:
        """The error, JSON-ready."""
        return {
            "error": self.error.kind,
            "message": self.error.message,
            "after": self.error.after,
            "places": [
                {
                    "file": place.file.path,
                    "line": place.line,
                    "function": place.frame.function,
                    "source": place.source,
                    "changed": place.changed,
                }
                for place in self.shown_places
            ],
            "causes": list(self.causes),
            "remarks": list(self.remarks),
        }


def explained(text: str, repository: Path) -> list[ExplainedError]:
    """Explain the last traceback in a text, with the files of a repository: its errors, in the order in which they were raised.

    Raises InputError if there is no traceback of Python in the text.
    """
    errors = read_tracebacks(text)
    if not errors:
        raise InputError("code.text_has_no_python_traceback", value=text.strip()[:80])
    try:
        whole = repository.resolve() in (Path.home(), Path(repository.resolve().anchor))  # all of a person's files are no repository
        code = OwnCode(() if whole else read_repository(repository, untracked=True).files)
    except DataError:  # no source code: the message alone may tell something
        code = OwnCode(())
    return [_explained(error, code) for error in errors]


def _explained(error: RaisedError, code: OwnCode) -> ExplainedError:
    places = tuple(place for frame in error.frames if (place := code.place(frame)) is not None)
    remarks = []
    if not places:
        remarks.append("No line of the traceback is in your code: its files are of another folder, or have other names.")
    elif places[-1].changed:
        remarks.append(f"{places[-1].shown} has another text than the traceback: the file was changed since, or is another. Run it again.")
    elif places[-1].frame is not error.frames[-1]:
        last = error.frames[-1]
        remarks.append(f"It was raised in code of others ({_shortened(last.path)}:{last.line}), which {places[-1].shown} calls.")
    return ExplainedError(error, places, tuple(causes(CauseContext(error, places, code))), tuple(remarks))


def _shortened(path: str) -> str:
    parts = path.replace("\\", "/").split("/")
    return "/".join(parts[-2:])


def excerpt(place: OwnPlace, around: int = _AROUND) -> Sequence[tuple[int, str]]:
    """The lines around a place with their numbers."""
    first, last = max(1, place.line - around), min(len(place.file.lines), place.line + around)
    return [(number, place.file.lines[number - 1]) for number in range(first, last + 1)]
