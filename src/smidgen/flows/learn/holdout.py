"""Which texts of a line are held out, what its versions have seen of them, and since when held-out rows count."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from smidgen.bundles.open import read_manifest
from smidgen.core.errors import BundleError, CertificateError
from smidgen.core.rows import Text, joined
from smidgen.data.splits import SplitSide, assign_side
from smidgen.flows.learn.learning_rows import LearningRows
from smidgen.gateway import certificate as papers
from smidgen.gateway import certificate_audit, revocation
from smidgen.gateway.revocation import Revocation
from smidgen.store import atomic_file
from smidgen.store.line import MOST_COUNTED, Line, LinePointer, RowBatch
from smidgen.text.near_duplicates import fold_text

# A record that a line keeps beside its rows: lines of ASCII, each once, that only grow.


@dataclass(frozen=True)
class TextRecord:
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
            atomic_file.write(file, "".join(f"{entry}\n" for entry in (*known, *new)).encode("ascii"))
        except OSError as error:
            raise BundleError(
                f"{self.what} cannot be written down", value=f"{file}: {error.strerror}", todo="Free some disk space."
            ) from error

    def _place(self, line: Line) -> Path:
        return line.folder / "rows" / self.name


# Sides of the texts that are given to a line: by the line's key, but for those that a version has learnt.
#
# A given row whose text is learnt from anyway, because it was captured or given before, is learnt from wherever it fell. What made its
# text known may go: captured requests are deleted. So the line remembers such texts, by a keyed hash of each: were one held out again,
# the champion would be compared on what it knows by heart.

_LEARNT = TextRecord(
    "learnt.txt",
    what="what the line has learnt of held-out texts",
    without="Without it, texts that a version knows by heart would be held out again.",
    fine=lambda entry: " " not in entry,
)


class LineSides:
    """On which side a text falls, as the line's file has it now. `learnt` are the names of the texts that it remembers to have learnt.

    Raises BundleError where the file cannot be read."""

    def __init__(self, line: Line, pointer: LinePointer) -> None:
        self._key, self._held_out = pointer.key, pointer.held_out
        self.learnt = frozenset(_LEARNT.read(line))

    def of(self, text: Text, batch: RowBatch | None = None) -> SplitSide:
        """Of a text; of one in a batch that the first version learnt, that of the rows to learn from."""
        if (batch is not None and batch.learnt) or (self.learnt and text_name(text, self._key) in self.learnt):
            return SplitSide.LEARNING
        return assign_side(text, self._key, self._held_out)


def release_texts(line: Line, texts: Iterable[Text]) -> None:
    """Texts that were held out are learnt from, from now on for ever. Call it under the line's lock for learning. Raises BundleError where
    that cannot be written."""
    key = line.read().key
    _LEARNT.add(line, (text_name(text, key) for text in texts))


def text_name(text: Text, key: str) -> str:
    """A text, however it is spaced or capitalised, as the line alone can name it, whose key this is: 24 hex digits."""
    said = fold_text(joined(text)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(said, key=key.encode(), person=b"learnt", digest_size=12).hexdigest()


# What the versions of a line have seen: the texts that they learnt from, that chose between them, and that tested them.
#
# A version is built of files that go with the learning, and captured requests are deleted. Whoever certifies a version later on a file
# must still know which of its texts say nothing of it. So each learning writes down all its texts, by a keyed hash of each, and which
# version it was.

_SIGNS: Mapping[str, SplitSide] = {"l": SplitSide.LEARNING, "c": SplitSide.CHOOSING, "t": SplitSide.CERTIFYING}
_VERSION = "v"
_SEEN = TextRecord(
    "seen.txt",
    what="what the versions of the line have seen",
    without="Without it, a version would be certified on texts that it knows by heart.",
    fine=lambda entry: entry[:2] in {f"{sign} " for sign in (*_SIGNS, _VERSION)},
)


@dataclass(frozen=True)
class SeenTexts:
    """What was written down: (the name of a text, the side that it was on at a learning), and the ids of the versions whose texts are all
    among them. The versions of an older smidgen are not."""

    texts: frozenset[tuple[str, SplitSide]] = field(default_factory=frozenset)
    versions: frozenset[str] = field(default_factory=frozenset)


def record_seen(line: Line, version: str, material: LearningRows) -> None:
    """Write down the texts of a learning, before the version that it made (by its id) is compared, tested or promoted. Call it under the
    line's lock for learning. Raises BundleError where that cannot be done."""
    key = line.read().key
    sides = (("l", material.learning), ("c", material.choosing), ("t", material.certifying))
    texts = (f"{sign} {text_name(taken.row.input, key)}" for sign, rows in sides for taken in rows)
    # The version last: it says that all its texts stand there.
    _SEEN.add(line, (*texts, f"{_VERSION} {version}"))


def read_seen(line: Line) -> SeenTexts:
    """What is written down; nothing where no learning has written yet. Raises BundleError where it cannot be read."""
    texts, versions = set[tuple[str, SplitSide]](), set[str]()
    for entry in _SEEN.read(line):
        sign, _, name = entry.partition(" ")
        if sign == _VERSION:
            versions.add(name)
        else:
            texts.add((name, _SIGNS[sign]))
    return SeenTexts(frozenset(texts), frozenset(versions))


# Since when held-out rows say something of the traffic: since the line's latest revocation.
#
# A revocation says that what was held out until then is not like the traffic any more. Certificates come and go with their versions,
# and a version may be gone back from; so it is the line that remembers, and the moment only grows.
#
# A clock that was ahead for a while may have dated a revocation, or the moment itself. What is to come cannot have been: it is now,
# once, and is not moved again when its day has come.

_PATIENCE = timedelta(days=1)
"""So far ahead a remembered moment is waited for: it may be the clock of now that is behind, by a time zone."""
_ID = re.compile("[0-9a-f]{32}")


def known_revocations(line: Line) -> frozenset[Revocation]:
    """Every revocation that is known of any version of the line, also of one that was swept up. Where the audits of a version's certificate
    say that it is revoked, and nobody has written that down yet, it is written first."""
    folder = line.folder / "versions"
    ids = {entry.name.partition(".")[0] for entry in folder.iterdir()} if folder.is_dir() else set()
    return frozenset(found for id in ids if id for found in _of(line.version(id)))


def _of(version: Path) -> frozenset[Revocation]:
    try:
        paper = papers.read(papers.place(version))
    except CertificateError:
        return revocation.list_revocations(version)
    with contextlib.suppress(OSError):  # neither place can be written: then the line cannot be either
        certificate_audit.revoke_if_due(version, paper)
    return revocation.list_revocations(version, paper.id)


def remember_revocations(line: Line, found: frozenset[Revocation], now: datetime) -> LinePointer:
    """The pointer, which knows of these revocations from now on. Each counts once, at its own time, or now where that is to come. One at a
    time that is not known was as late as can be: now, each time.

    Where the moment grows, rows are fresh, and looks at them are counted anew. Raises as `Line.change` does.
    """
    told = not _behind(line, now)
    pointer = line.read()
    if _counted(pointer, found, now, told) == pointer:
        return pointer
    return line.change(lambda before: _counted(before, found, now, told))


def was_revoked_since(line: Line, known: frozenset[Revocation], now: datetime) -> bool:
    """Whether a certificate of the line was revoked since these revocations were all that were known, while a version was put in its place.
    Then its own certificate, which was given before that, is made stale. Raises as `Line.change` does."""
    found = known_revocations(line)
    if found == known:
        return False
    remember_revocations(line, found, now)
    # Certificates know whole seconds, and it may be of this one.
    line.change(lambda before: before.fresh(now + timedelta(seconds=1)))
    return True


def _counted(pointer: LinePointer, found: frozenset[Revocation], now: datetime, told: bool) -> LinePointer:
    """What the pointer says then. Where the clock does not tell the time (`told`), every moment stands as it is written, and none is done
    with."""
    if told and pointer.fresh_since is not None and pointer.fresh_since - now > _PATIENCE:
        pointer = pointer.model_copy(update={"fresh_since": now})
    new = [one for one in found if one.at is None or one.certificate not in pointer.counted]
    latest = max((min(one.at or now, now) if told else one.at or now for one in new), default=None)
    if latest is not None:
        pointer = pointer.fresh(latest)
    done = sorted({one.certificate for one in new if told and one.at is not None and _ID.fullmatch(one.certificate)})
    return pointer.model_copy(update={"counted": (*pointer.counted, *done)[-MOST_COUNTED:]})


def _behind(line: Line, now: datetime) -> bool:
    """Whether the clock says a time at which none of the line's versions was made yet. A machine that has lost its time begins long ago; it
    must not take all that was found out since for what is to come."""
    made: list[datetime] = []
    for id in line.versions():
        with contextlib.suppress(BundleError, ValueError):
            moment = datetime.fromisoformat(read_manifest(line.version(id)).created)
            made.append(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))
    return bool(made) and now < min(made)
