"""Every error that smidgen raises on purpose, in one tree.

SmidgenError                      something did not work                          exit 1
├── InputError                    the input cannot be used                        exit 2
│   ├── DataError                 a data file, a row, a column
│   ├── RecipeError               a recipe or a setting; carries every mistake
│   ├── UnknownPart               a name that no part has
│   ├── RedactionError            a text whose personal data cannot be removed
│   └── RequestError              a request to a served model; carries an HTTP status
├── MissingExtra                  an optional dependency is not installed         exit 1
├── BaseError                     pretrained weights are missing or untrusted     exit 1
├── BundleError                   a bundle that must not be opened                exit 1
├── EngineError                   an engine could not run its model               exit 1
├── TrainError                    training cannot continue                        exit 1
├── TeacherError                  a teacher cannot be asked, or not do the job    exit 1
├── NotStored                     a database does not hold what is asked for      exit 1
├── GateError                     a build that does not meet its gate             exit 1
├── CertificateError              a certificate that cannot be given or read      exit 1
└── MachineError                  the disk, memory or a limit of the machine      exit 1

Each is raised with what happened, the value it happened with, and what to do next; the message consists of the three, so none can
be left out.
"""

from __future__ import annotations

import difflib
import email.utils
import errno as _errno
import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar


class SmidgenError(Exception):
    """Base of all errors. `exit_code` is the command line's exit status.

    Args:
        what: what happened, a clause without a full stop ("column is not in the file").
        value: the value it happened with, as the user would recognise it.
        todo: what to do next, a sentence ("Name one of: text, label.").
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, value: object, todo: str) -> None:
        self.what = what
        self.value = value
        self.todo = todo
        super().__init__(f"{what}: {shown(value)}. {todo}")


class InputError(SmidgenError):
    """Input that cannot be used."""

    exit_code: ClassVar[int] = 2


class DataError(InputError):
    """A data file that cannot be read, or a row of it. `row` counts data rows from 1; `above` is how many rows of the file stand above
    them, so that the message counts as a spreadsheet does; `column` is a name; `fault` is `what` without the place."""

    def __init__(
        self,
        what: str,
        *,
        value: object,
        todo: str,
        file: str | None = None,
        row: int | None = None,
        column: str | None = None,
        above: int = 0,
    ) -> None:
        self.file, self.row, self.column, self.fault, self.above = file, row, column, what, above
        places = [file, f"row {row + above}" if row is not None else None, f"column {column!r}" if column is not None else None]
        where = ", ".join(place for place in places if place)
        super().__init__(f"{where}: {what}" if where else what, value=value, todo=todo)


class RecipeError(InputError):
    """A recipe with mistakes; all of them at once, each with its place (`gate.max_loss`)."""

    def __init__(self, what: str, *, value: object, todo: str, mistakes: Sequence[str] = ()) -> None:
        self.mistakes = tuple(mistakes)
        lines = "".join(f"\n  - {mistake}" for mistake in self.mistakes)
        super().__init__(what, value=value, todo=todo + lines)


class NotStored(SmidgenError):
    """A database does not hold what is asked for."""


class UnknownPart(InputError):
    """A name that no part of that kind has. The message suggests `likely`, else the nearest name, and lists all."""

    def __init__(self, kind: str, name: str, available: Iterable[str], likely: str | None = None) -> None:
        self.kind, self.name, self.available = kind, name, tuple(sorted(available))
        close = [likely] if likely in self.available else difflib.get_close_matches(name, self.available, n=1)
        meant = f"Did you mean {close[0]!r}? " if close else ""
        super().__init__(f"no {kind} has this name", value=name, todo=f"{meant}Available: {', '.join(self.available)}.")


class RedactionError(InputError):
    """A text whose personal data cannot be removed, so it must not be sent. `value` never shows the text."""


class RequestError(InputError):
    """A request that a served model refuses. `status`: the HTTP status. `code`: OpenAI's short name for the failure."""

    def __init__(
        self, what: str, *, value: object, todo: str, status: int = 422, code: str = "invalid_request", param: str | None = None
    ) -> None:
        self.status, self.code, self.param = status, code, param
        super().__init__(what, value=value, todo=todo)


class MissingExtra(SmidgenError):
    """A heavy dependency is not installed. The message contains the command that installs it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__("a package that this needs is not installed", value=package, todo=f"Run: {install_line(extra)}")


def install_line(extra: str) -> str:
    """The command that installs an extra. No package index has smidgen yet: it comes from a clone, or from a kit (`smidgen kit`)."""
    clone = Path(__file__).resolve().parents[3]
    if (clone / "pyproject.toml").is_file():
        return f"pip install -e '{clone}[{extra}]'"
    return (
        f"pip install '.[{extra}]' in a clone of smidgen, or from a kit: pip install --no-index --find-links KIT/wheels 'smidgen[{extra}]'"
    )


class BaseError(SmidgenError):
    """Pretrained weights that cannot be fetched, or whose hash is not the published one."""


class BundleError(SmidgenError):
    """A bundle that must not be opened: altered, incomplete, foreign. `file`: the file at fault."""

    def __init__(self, what: str, *, value: object, todo: str, file: str | None = None) -> None:
        self.file = file
        super().__init__(what, value=value, todo=todo)


class EngineError(SmidgenError):
    """An engine could not load or run a model."""


class TrainError(SmidgenError):
    """Training cannot continue: the loss is not a number, or there is not enough memory."""


class TeacherError(SmidgenError):
    """A teacher that cannot be asked, or that cannot do the job. Answers that were paid for stay stored."""


class GateError(SmidgenError):
    """A build that does not meet its gate; nothing was shipped. `changed` lists texts that show why, ready to print."""

    def __init__(self, what: str, *, value: object, todo: str, changed: Sequence[str] = ()) -> None:
        self.changed = tuple(changed)
        lines = "".join(f"\n  - {line}" for line in self.changed)
        super().__init__(what, value=value, todo=todo + lines)


class CertificateError(SmidgenError):
    """A certificate that cannot be given, is missing (`missing`) or cannot be read. Without a valid one, everything escalates. `facts`:
    the measurements, JSON-ready."""

    def __init__(self, what: str, *, value: object, todo: str, missing: bool = False, facts: Mapping[str, object] | None = None) -> None:
        self.missing, self.facts = missing, dict(facts or {})
        super().__init__(what, value=value, todo=todo)


class MachineError(SmidgenError, OSError):
    """A limit of the machine or its system: a full disk, a folder without write permission, too many open files. `told_by` converts an
    error of the system. Code that catches OSError also catches this error."""

    def __init__(self, what: str, *, value: object, todo: str, errno: int | None = None) -> None:
        super().__init__(what, value=value, todo=todo)
        self.errno = errno

    @classmethod
    def told_by(cls, error: OSError | MemoryError, doing: str = "") -> MachineError:
        """Convert the system's error to plain words, with its file and advice. `doing`: the action that failed, a clause."""
        if isinstance(error, cls):
            return error
        code = _errno.ENOMEM if isinstance(error, MemoryError) else error.errno
        file = str(getattr(error, "filename", None) or getattr(error, "filename2", None) or "")
        said = str(getattr(error, "strerror", None) or error or type(error).__name__)
        plain = (said, "Check the disk and its permissions, then run the same command again.")
        what, todo = _FAULTS.get(code or 0, plain)
        return cls(f"{doing}: {what}" if doing else what, value=file or said, todo=todo, errno=code)


_ROOM = "Make room, then run the same command again."
_FAULTS: dict[int, tuple[str, str]] = {
    _errno.ENOSPC: ("the disk is full", _ROOM),
    _errno.EDQUOT: ("the disk quota is used up", _ROOM),
    _errno.EFBIG: ("the file would pass the size limit of this machine", "Raise the limit (ulimit -f), or write to another disk."),
    _errno.EROFS: ("the disk is read-only", "Name a folder on another disk; for smidgen's home set SMIDGEN_HOME."),
    _errno.EACCES: ("permission is denied", "Correct the permissions, or name another place; for smidgen's home set SMIDGEN_HOME."),
    _errno.EPERM: ("permission is denied", "Correct the permissions, or name another place; for smidgen's home set SMIDGEN_HOME."),
    _errno.EMFILE: ("this process has too many files open", "Raise the limit (ulimit -n), then run the same command again."),
    _errno.ENFILE: ("this machine has too many files open", "Close other programs, then run the same command again."),
    _errno.ENOMEM: ("there is not enough memory", "Close other programs, or give less data at once."),
    _errno.ENOENT: ("there is no such file or folder", "Check the path."),
    _errno.ENOTDIR: ("a part of the path is a file, not a folder", "Check the path."),
    _errno.EISDIR: ("this is a folder, not a file", "Name a file."),
    _errno.ELOOP: ("symbolic links lead in a circle", "Correct the link, or name the file itself."),
    _errno.ENAMETOOLONG: ("the name is too long for this machine", "Choose a shorter one."),
    _errno.EIO: ("the disk cannot be read or written", "Check the disk; it may be failing."),
}
"""Message and advice for each of the system's error numbers."""


def shown(value: object, limit: int = 200) -> str:
    """A value as messages show it: strings quoted, everything cut at `limit` characters."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


_SHOWN = 200


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds to wait by `Retry-After`: a number, or a date (RFC 9110); None if the header is missing or invalid."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - (time.time() if now is None else now)
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def failure_reason(body: bytes, key: str | None) -> str:
    """The reason in an error body, in OpenAI's shape or near it, as `one_line`; empty if there is none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    error = found.get("error", found) if isinstance(found, dict) else None
    text = error.get("message") if isinstance(error, dict) else error
    return one_line(text, key) if isinstance(text, str) else ""


def one_line(text: str, key: str | None) -> str:
    """A server's text in the form of a message: one line, at most 200 characters, and without the key in case the server repeats it."""
    line = " ".join(text.split())
    return (line.replace(key, "…") if key else line)[:_SHOWN]
