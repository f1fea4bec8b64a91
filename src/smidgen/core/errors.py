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

Each is raised with the code of its message and the values that fill it in. A catalogue (`core.messages`) says for every code what
happened and what to do next, one catalogue a language. So a sentence can be improved, or translated, without a change in the code.
"""

from __future__ import annotations

import difflib
import email.utils
import errno as _errno
import json
import math
import numbers
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from smidgen.core import messages


class SmidgenError(Exception):
    """Base of all errors. `exit_code` is the command line's exit status.

    Args:
        message: the code of its message in the catalogue (`data.column_not_in_file`). With a `todo`, it is the text itself: what happened,
            a clause without a full stop ("column is not in the file"). Parts of other packages, which have no catalogue, raise so.
        value: the value it happened with, as the user would recognise it. A message whose value is a phrase has it in the catalogue.
        todo: what to do next, a sentence ("Name one of: text, label.").
        values: what fills in the message of a code, by name.

    Attributes:
        message_code: the code; empty without one.
        values: what fills it in, by name.
        what, value, todo: the three pieces of the message, in English.
    """

    exit_code: ClassVar[int] = 1
    listed: Sequence[str] = ()
    """Lines that follow the advice, one for each mistake or example."""

    def __init__(self, message: str, /, *, value: object = None, todo: str | None = None, **values: Any) -> None:
        self.message_code, self.values = "" if todo is not None else message, values
        self.what, self.value, self.todo = (message, value, todo) if todo is not None else self._pieces("en", value)
        super().__init__(message)

    def __str__(self) -> str:
        return f"{self.what}: {shown(self.value)}. {self.todo}"

    def in_language(self, language: str) -> str:
        """The whole message in a language; in English if it has no code."""
        if language == "en" or not self.message_code:
            return str(self)
        what, value, todo = self._pieces(language, self.value)
        return f"{self.place(language)}{what}: {shown(value)}. {todo}{_lines(self.listed)}"

    def place(self, language: str) -> str:
        """Where it happened, as the message begins with it; empty if it has no place."""
        return ""

    def coded(self) -> dict[str, Any]:
        """The code and its values, ready for JSON; empty without a code."""
        if not self.message_code:
            return {}
        used = set().union(*map(messages.places, messages.entry(self.message_code).values()))
        return {"message_code": self.message_code, "values": {name: _plain(self.values[name]) for name in sorted(used)}}

    def _pieces(self, language: str, value: object) -> tuple[str, object, str]:
        entry = messages.entry(self.message_code, language)
        texts = {piece: messages.filled(text, self.values, language) for piece, text in entry.items()}
        return texts["what"], texts.get("value", value), texts["todo"]


def _plain(value: object) -> int | float | str:
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) and math.isfinite(value) else str(value)


def _lines(listed: Sequence[str]) -> str:
    return "".join(f"\n  - {line}" for line in listed)


class InputError(SmidgenError):
    """Input that cannot be used."""

    exit_code: ClassVar[int] = 2


class DataError(InputError):
    """A data file that cannot be read, or a row of it. `row` counts data rows from 1; `above` is how many rows of the file stand above
    them, so that the message counts as a spreadsheet does; `column` is a name; `fault` is `what` without the place."""

    def __init__(
        self,
        message: str,
        /,
        *,
        file: str | None = None,
        row: int | None = None,
        column: str | None = None,
        above: int = 0,
        **pieces: Any,
    ) -> None:
        super().__init__(message, **pieces)
        self.file, self.row, self.column, self.fault, self.above = file, row, column, self.what, above
        self.what = self.place("en") + self.what

    def place(self, language: str) -> str:
        """The file, the row and the column."""
        words = messages.entry("core.words", language)
        row = "" if self.row is None else messages.filled(words["row"], {"row": self.row + self.above})
        column = "" if self.column is None else messages.filled(words["column"], {"column": self.column})
        where = ", ".join(filter(None, (self.file, row, column)))
        return f"{where}: " if where else ""


class RecipeError(InputError):
    """A recipe with mistakes; all of them at once, each with its place (`gate.max_loss`)."""

    def __init__(self, message: str, /, *, mistakes: Sequence[str] = (), **pieces: Any) -> None:
        super().__init__(message, **pieces)
        self.mistakes = self.listed = tuple(mistakes)
        self.todo += _lines(self.listed)


class NotStored(SmidgenError):
    """A database does not hold what is asked for."""


class UnknownPart(InputError):
    """A name that no part of that kind has. The message suggests `likely`, else the nearest name, and lists all."""

    def __init__(self, kind: str, name: str, available: Iterable[str], likely: str | None = None) -> None:
        self.kind, self.name, self.available = kind, name, tuple(sorted(available))
        close = [likely] if likely in self.available else difflib.get_close_matches(name, self.available, n=1)
        super().__init__(
            "core.no_part_has_this_name_but_one_is_near" if close else "core.no_part_has_this_name",
            value=name,
            kind=kind,
            near=close[0] if close else None,
            available=", ".join(self.available),
        )


class RedactionError(InputError):
    """A text whose personal data cannot be removed, so it must not be sent. `value` never shows the text."""


class RequestError(InputError):
    """A request that a served model refuses. `status`: the HTTP status. `code`: OpenAI's short name for the failure."""

    def __init__(
        self,
        message: str,
        /,
        *,
        status: int = 422,
        code: str = "invalid_request",
        param: str | None = None,
        **pieces: Any,
    ) -> None:
        self.status, self.code, self.param = status, code, param
        super().__init__(message, **pieces)


class MissingExtra(SmidgenError):
    """A heavy dependency is not installed. The message contains the command that installs it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__("core.package_is_not_installed", value=package, line=install_line(extra))


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

    def __init__(self, message: str, /, *, file: str | None = None, **pieces: Any) -> None:
        self.file = file
        super().__init__(message, **pieces)


class EngineError(SmidgenError):
    """An engine could not load or run a model."""


class TrainError(SmidgenError):
    """Training cannot continue: the loss is not a number, or there is not enough memory."""


class TeacherError(SmidgenError):
    """A teacher that cannot be asked, or that cannot do the job. Answers that were paid for stay stored."""


class GateError(SmidgenError):
    """A build that does not meet its gate; nothing was shipped. `changed` lists texts that show why, ready to print."""

    def __init__(self, message: str, /, *, changed: Sequence[str] = (), **pieces: Any) -> None:
        super().__init__(message, **pieces)
        self.changed = self.listed = tuple(changed)
        self.todo += _lines(self.listed)


class CertificateError(SmidgenError):
    """A certificate that cannot be given, is missing (`missing`) or cannot be read. Without a valid one, everything escalates. `facts`:
    the measurements, JSON-ready."""

    def __init__(
        self,
        message: str,
        /,
        *,
        missing: bool = False,
        facts: Mapping[str, object] | None = None,
        **pieces: Any,
    ) -> None:
        self.missing, self.facts = missing, dict(facts or {})
        super().__init__(message, **pieces)


class MachineError(SmidgenError, OSError):
    """A limit of the machine or its system: a full disk, a folder without write permission, too many open files. `told_by` converts an
    error of the system. Code that catches OSError also catches this error."""

    def __init__(self, message: str, /, *, errno: int | None = None, **pieces: Any) -> None:
        super().__init__(message, **pieces)
        self.errno = errno

    @classmethod
    def told_by(cls, error: OSError | MemoryError, doing: str = "") -> MachineError:
        """Convert the system's error to plain words, with its file and advice. `doing`: the action that failed, a clause."""
        if isinstance(error, cls):
            return error
        code = _errno.ENOMEM if isinstance(error, MemoryError) else error.errno
        file = str(getattr(error, "filename", None) or getattr(error, "filename2", None) or "")
        said = str(getattr(error, "strerror", None) or error or type(error).__name__)
        plain = cls(_FAULTS.get(code or 0, "core.system_error"), value=file or said, errno=code, said=said)
        plain.what = f"{doing}: {plain.what}" if doing else plain.what
        return plain


_FAULTS = {
    _errno.ENOSPC: "core.disk_is_full",
    _errno.EDQUOT: "core.disk_quota_is_used_up",
    _errno.EFBIG: "core.file_is_too_large_for_machine",
    _errno.EROFS: "core.disk_is_read_only",
    _errno.EACCES: "core.permission_is_denied",
    _errno.EPERM: "core.permission_is_denied",
    _errno.EMFILE: "core.process_has_too_many_files_open",
    _errno.ENFILE: "core.machine_has_too_many_files_open",
    _errno.ENOMEM: "core.there_is_not_enough_memory",
    _errno.ENOENT: "core.there_is_no_such_file_or_folder",
    _errno.ENOTDIR: "core.part_of_path_is_file",
    _errno.EISDIR: "core.this_is_folder_not_file",
    _errno.ELOOP: "core.symbolic_links_form_loop",
    _errno.ENAMETOOLONG: "core.name_is_too_long",
    _errno.EIO: "core.disk_cannot_be_read_or_written",
}
"""The message of each of the system's error numbers."""


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
