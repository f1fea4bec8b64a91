"""A line: the versions of one model, and the pointer to the one that serves, its champion.

```text
support/
  line.json                            the pointer, and its history
  rows/<sha256>.jsonl                  rows to learn from that were given to the line
  rows/learnt.txt                      hashes of texts of these that fell on a held-out side, but were trained on
  rows/seen.txt                        hashes of all texts that versions were trained, chosen or tested on
  versions/<id>/                       a bundle; its certificate and revocations lie beside it
```

The pointer is written atomically and under a lock: at every moment it is the old one or the new one. A pointer that cannot be read names
no version: reading it fails with an error, and nothing else is served in its place.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import filelock
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from smidgen.core.errors import BundleError, InputError, SmidgenError
from smidgen.core.placeholders import PromptFrame
from smidgen.store import files
from smidgen.store.files import content_hash

POINTER = "line.json"
FORMAT_VERSION = 1
MOST_TURNS = 1000
"""Most champion changes that the pointer stores; the oldest are dropped first."""
MOST_BATCHES = 10_000
MOST_JOBS = 50
"""Most recurring jobs whose captured requests one line uses."""
MOST_SOURCES = 50
"""Most names, besides its own, that a line's requests asked for."""
MOST_COUNTED = 10_000
"""Most counted revocations that the pointer stores; the oldest are dropped first, and counted again."""
HELD_OUT = 0.3
"""Default share of a line's texts that are held out; fixed when the line begins."""
_MOST_BYTES = 8 * 1024 * 1024
_LOCK_SECONDS = 10
_LONGEST_WHY = 2000
_LINE_LOCK, _LEARN_LOCK = _LOCKS = (".line.lock", ".learn.lock")

Id = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
Who = Literal["learn", "rollback", "hand"]


class _PointerPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ChampionChange(_PointerPart):
    """A change of the champion: time, old and new version, author, and reason. `before` is None for the first one."""

    at: AwareDatetime
    by: Who
    champion: Id
    before: Id | None = None
    why: str = Field(max_length=_LONGEST_WHY)


class RowBatch(_PointerPart):
    """Rows given to the line: the hash of their file, their number, the source of their outputs, and the time. The first version trained on
    every row of a `learnt` batch, so none of them can be held out any more."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    n: int = Field(ge=1)
    source: Literal["original", "data"]
    at: AwareDatetime
    learnt: bool = False


class LastLearning(_PointerPart):
    """The last learning cycle: when it began to read rows, its outcome, the reason, and hashes.

    `rows_sha256` and `asked_sha256` are of its rows and of its request; empty if any match. `compared_sha256` is of everything that its
    comparison with the champion depended on, including the challenger. `tested_sha256` is likewise of its test for a certificate, with the
    terms used; empty if there was none. Repeating an equal comparison or test is no further look."""

    at: AwareDatetime
    outcome: Literal["promoted", "kept"]
    why: str = Field(max_length=_LONGEST_WHY)
    rows_sha256: str = ""
    asked_sha256: str = ""
    compared_sha256: str = ""
    tested_sha256: str = ""


class LineJob(_PointerPart):
    """A recurring job in captured traffic, whose requests the line learns from, and no others.

    Attributes:
        template: the hash of its kind, which is its template without variable words.
        exact: the hash of its exact template, if its requests share one that differs from the kind.
        varies: whether its requests have different templates.
        system: whether there are system messages.
        begins, ends: the beginning and end of its texts.
        asked: the model name in its requests.
    """

    id: str = Field(pattern=r"^[0-9a-f]{8}$")
    template: str = Field(min_length=1, max_length=64)
    exact: str = Field(default="", max_length=64)
    varies: bool = False
    system: bool
    begins: str = Field(default="", max_length=40_000)
    ends: str = Field(default="", max_length=40_000)
    task: str = Field(min_length=1, max_length=100)
    asked: str = Field(default="", max_length=200)

    @property
    def frame(self) -> PromptFrame:
        """The common beginning and end of its texts."""
        return PromptFrame(self.begins, self.ends)

    @property
    def scope(self) -> str:
        """An id, 16 hex digits, of the requests that it covers: another template or frame is another scope. Found again among more traffic,
        a job may have the same id and a wider frame, and results for the narrower one say nothing about it."""
        return content_hash([self.template, self.begins, self.ends, *([self.exact] if self.exact else [])])[:16]

    @property
    def letter(self) -> str:
        """The hash of the exact template of requests that belong to this job and no other."""
        return self.exact or self.template

    @property
    def told(self) -> bool:
        """Whether a request shows by itself that it belongs to this job: by an exact match, and not by missing parts."""
        return not self.varies and (self.system or bool(self.frame))


class TrafficSource(_PointerPart):
    """Captured requests that the line learnt from and continues to read: those that asked for `asked`, of the group `template` if one is
    set."""

    asked: str = Field(min_length=1, max_length=200)
    template: str | None = Field(default=None, min_length=1, max_length=64)


class LinePointer(_PointerPart):
    """The content of `line.json`.

    Attributes:
        key: the line's own key, which assigns each text for ever to the training side or to the held-out share `held_out`.
        fresh_since: held-out rows from before do not reflect the traffic any more, because a certificate was revoked then. It only grows,
            unless it lies in the future, written by a clock that was ahead.
        counted: the certificates whose revocations are counted already: they change `fresh_since` no more, whatever time their records say.
        looks: the number of certificate tests since then; each makes the next one stricter.
        contests: the number of challenger comparisons since then, likewise.
        jobs: the recurring jobs that it learns from, under any requested name; empty for requests that named the line.
        sources: further captured requests that it learnt from, by the requested name. Each learning reads them again.
    """

    format_version: Literal[1] = 1
    name: str = Field(min_length=1, max_length=200)
    key: str = Field(pattern=r"^[0-9a-f]{32}$")
    held_out: float = Field(default=HELD_OUT, ge=0, lt=1)
    champion: Id | None = None
    history: tuple[ChampionChange, ...] = Field(default=(), max_length=MOST_TURNS)
    rows: tuple[RowBatch, ...] = Field(default=(), max_length=MOST_BATCHES)
    last: LastLearning | None = None
    fresh_since: AwareDatetime | None = None
    counted: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")], ...] = Field(default=(), max_length=MOST_COUNTED)
    looks: int = Field(default=0, ge=0)
    contests: int = Field(default=0, ge=0)
    jobs: tuple[LineJob, ...] = Field(default=(), max_length=MOST_JOBS)
    sources: tuple[TrafficSource, ...] = Field(default=(), max_length=MOST_SOURCES)

    def fresh(self, since: datetime) -> LinePointer:
        """A copy in which held-out rows count from this moment on; unchanged if they do already. Looks are counted anew unless the line has
        learnt since then, and so may have looked at rows that still count."""
        if self.fresh_since is not None and self.fresh_since >= since:
            return self
        anew = {"looks": 0, "contests": 0} if self.last is None or self.last.at <= since else {}
        return self.model_copy(update={"fresh_since": since, **anew})


class LineBusy(SmidgenError):
    """Another process is at work on the same line."""


class Line:
    """The line in a folder. Every call reads the pointer anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def file(self) -> Path:
        """The file of the pointer."""
        return self.folder / POINTER

    def version(self, id: str) -> Path:
        """The folder of a version, which may not exist."""
        return self.folder / "versions" / id

    def versions(self) -> list[str]:
        """The ids of all versions in the line, the latest first."""
        place = self.folder / "versions"
        found = [entry for entry in place.iterdir() if entry.is_dir() and _is_id(entry.name)] if place.is_dir() else []
        return [entry.name for entry in sorted(found, key=lambda entry: entry.stat().st_mtime, reverse=True)]

    def rows(self, sha256: str) -> Path:
        """The file of a batch of rows."""
        return self.folder / "rows" / f"{sha256}.jsonl"

    def read(self) -> LinePointer:
        """Read the pointer. Raises InputError if there is no line, BundleError if its pointer cannot be read."""
        try:
            with self.file.open("rb") as stream:
                content = stream.read(_MOST_BYTES + 1)
        except FileNotFoundError:
            raise InputError("store.this_is_not_line_it_has_no_pointer", value=str(self.file)) from None
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from error
        if len(content) > _MOST_BYTES:
            raise self._unreadable(f"it is over {_MOST_BYTES} bytes")
        try:
            facts = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self._unreadable(f"it is not JSON: {error}") from error
        version = facts.get("format_version") if isinstance(facts, dict) else None
        if version != FORMAT_VERSION or isinstance(version, bool):
            raise self._unreadable(f"its format version is {version!r}, and this smidgen reads {FORMAT_VERSION}")
        try:
            return LinePointer.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(step) for step in first["loc"])
            raise self._unreadable(f"{where or 'the whole'}: {first['msg']}") from error

    def begin(self, name: str, held_out: float | None = None) -> LinePointer:
        """The pointer, created if there is none. Raises as `read` does, and InputError if the folder holds something else, or the line
        holds out another share."""
        if not self.file.exists():
            if self.folder.exists() and (not self.folder.is_dir() or _strangers(self.folder)):
                raise InputError("store.folder_for_line_holds_something_else", value=str(self.folder))
            self.folder.mkdir(parents=True, exist_ok=True)
            with self.locked():
                if not self.file.exists():
                    share = HELD_OUT if held_out is None else held_out
                    self._write(LinePointer(name=name[:100] or "model", key=secrets.token_hex(16), held_out=share))
        found = self.read()
        if held_out is not None and held_out != found.held_out:
            raise InputError("store.line_holds_out_another_share", its=f"{found.held_out:g}", asked=f"{held_out:g}")
        return found

    def undo(self) -> None:
        """Remove a new line without a champion, with all its files: building its first version failed. Call it under the learning lock, and
        `leave` after that. Files that cannot be removed stay."""
        with contextlib.suppress(OSError, SmidgenError):
            if self.read().champion is None:
                self.file.unlink()
                for place in ("rows", "versions"):
                    shutil.rmtree(self.folder / place, ignore_errors=True)

    def leave(self, *, folder: bool) -> None:
        """Remove the locks of a removed line, and on request its folder, unless anything else is in it."""
        with contextlib.suppress(OSError):
            if not self.file.exists() and not _strangers(self.folder):
                for name in _LOCKS:
                    (self.folder / name).unlink(missing_ok=True)
                if folder:
                    self.folder.rmdir()

    def change(self, how: Callable[[LinePointer], LinePointer]) -> LinePointer:
        """Read, change and write the pointer under the lock; returns the new one. Raises as `read` does; LineBusy if another process holds
        the lock too long; BundleError if it cannot be written, and then the old one stays."""
        with self.locked():
            changed = how(self.read())
            self._write(changed)
            return changed

    def point(self, id: str, *, by: Who, why: str, instead_of: str | None, now: datetime | None = None) -> LinePointer:
        """Make a version the champion, whose bundle the caller has opened. Atomic: readers see the old champion or the new one.

        Raises LineBusy if the champion is not `instead_of` any more, because the new one was compared with that one; InputError if the
        version is gone.
        """

        def turned(found: LinePointer) -> LinePointer:
            if found.champion != instead_of:
                raise LineBusy("store.champion_was_changed_by_someone_else", champion=found.champion, instead_of=instead_of or "none")
            if not self.version(id).is_dir():
                raise InputError("store.line_has_no_such_version", name=id, folder=self.folder)
            turn = ChampionChange(at=now or datetime.now(UTC), by=by, champion=id, before=found.champion, why=why[:_LONGEST_WHY])
            return found.model_copy(update={"champion": id, "history": (*found.history, turn)[-MOST_TURNS:]})

        return self.change(turned)

    def learning(self) -> AbstractContextManager[Any]:
        """Hold the lock for learning until the block ends. The system releases it when the process ends. Raises LineBusy."""
        return self._held(_LEARN_LOCK, 0)

    def locked(self) -> AbstractContextManager[Any]:
        """Hold the lock for changing the pointer or removing versions until the block ends. Raises LineBusy."""
        return self._held(_LINE_LOCK, _LOCK_SECONDS)

    def _held(self, name: str, seconds: float) -> AbstractContextManager[Any]:
        try:
            return filelock.FileLock(self.folder / name, timeout=seconds).acquire()
        except filelock.Timeout:
            raise LineBusy(
                "store.another_process_learns_on_line" if name == _LEARN_LOCK else "store.another_process_holds_line_lock",
                value=str(self.folder),
            ) from None

    def _write(self, pointer: LinePointer) -> None:
        facts = pointer.model_dump(mode="json")
        for name in ("counted", "sources"):
            if not facts[name]:
                del facts[name]  # an older smidgen does not know these fields
        for job in facts["jobs"]:
            for name in ("exact", "varies"):  # nor these
                if not job[name]:
                    del job[name]
        content = json.dumps(facts, ensure_ascii=False, indent=1) + "\n"
        try:
            files.write(self.file, content.encode("utf-8"))
        except OSError as error:
            raise BundleError("store.line_pointer_cannot_be_written", value=f"{self.file}: {error.strerror}", file=POINTER) from error

    def _unreadable(self, why: str) -> BundleError:
        known = ", ".join(self.versions()[:5]) or "none"
        return BundleError("store.line_pointer_cannot_be_read", value=str(self.file), why=why, known=known, file=POINTER)


def line_of(version: Path) -> Line | None:
    """The line that contains the version in this folder; None for a bundle outside lines."""
    line = Line(version.resolve().parent.parent)
    return line if is_version(version) and (line.file.exists() or line.file.is_symlink()) else None


def is_version(folder: Path) -> bool:
    """Whether a path has the form of a line's version, `versions/<id>`, even if there is no line."""
    place = folder.resolve()
    return place.parent.name == "versions" and _is_id(place.name)


def is_line(folder: Path) -> bool:
    """Whether a folder is a line."""
    return (folder / POINTER).exists()


def earlier(history: Sequence[ChampionChange]) -> list[str]:
    """The champions before the present one, the nearest last. Versions that were rolled back are left out: two rollbacks go back two steps,
    not back and forth."""
    stack: list[str] = []
    for turn in history:
        if turn.by == "rollback" and turn.champion in stack:
            del stack[stack.index(turn.champion) + 1 :]
        else:
            stack.append(turn.champion)
    return stack[:-1]


def _is_id(name: str) -> bool:
    return len(name) == 12 and set(name) <= set("0123456789abcdef")


def _strangers(folder: Path) -> bool:
    """Whether the folder holds anything that a line does not leave there itself."""
    return any(entry.name not in ("rows", "versions", *_LOCKS) for entry in folder.iterdir())
