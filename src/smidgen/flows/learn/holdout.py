"""Keep track of a line's held-out texts: which texts are held out, which ones its versions have seen, and from when rows count."""

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
from smidgen.store import files
from smidgen.store.line import MOST_COUNTED, Line, LinePointer, RowBatch
from smidgen.text.near_duplicates import fold_text

# A record that a line keeps beside its rows: unique lines of ASCII. It only grows.


@dataclass(frozen=True)
class TextRecord:
    """An append-only text file of a line.

    Attributes:
        name: file name in `rows/`.
        what: noun phrase for its contents, for messages: "what the line has learnt".
        without: a sentence that says what would happen without it.
        fine: True if a line of the file is a valid entry.
    """

    name: str
    what: str
    without: str
    fine: Callable[[str], bool]

    def read(self, line: Line) -> dict[str, None]:
        """Return the entries in order. Empty if nothing was written yet. Raises BundleError if they cannot be read."""
        file = self._place(line)
        try:
            found = dict.fromkeys(file.read_text(encoding="ascii").splitlines())
            strange = next((entry for entry in found if not self.fine(entry)), None)
            if strange is not None:
                raise ValueError(f"{strange[:40]!r} is not a valid entry")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise BundleError(
                "flows.held_out_record_cannot_be_read", value=f"{file}: {error}", record=self.what, without=self.without, file=file.name
            ) from error
        return found

    def add(self, line: Line, entries: Iterable[str]) -> None:
        """Append the entries that are not in the file yet. Call it under the line's lock for learning.

        Raises BundleError if the file cannot be written.
        """
        known = self.read(line)
        new = dict.fromkeys(entry for entry in entries if entry not in known)
        if not new:
            return
        file = self._place(line)
        try:
            file.parent.mkdir(exist_ok=True)
            files.write(file, "".join(f"{entry}\n" for entry in (*known, *new)).encode("ascii"))
        except OSError as error:
            raise BundleError("flows.held_out_record_cannot_be_written", value=f"{file}: {error.strerror}", record=self.what) from error

    def _place(self, line: Line) -> Path:
        return line.folder / "rows" / self.name


# Sides of the texts that are given to a line. The line's key decides, except for texts that a version has learnt.
#
# A given text on a held-out side may be one that the line learns from anyway, because it was captured or given before. It is then learnt
# from on either side. The captured request that made it known may be deleted later. So the line remembers such texts by a keyed hash: if
# one were held out again, the champion would be compared on a text that it was trained on.

_LEARNT = TextRecord(
    "learnt.txt",
    what="what the line has learnt of held-out texts",
    without="Without it, texts that a version knows by heart would be held out again.",
    fine=lambda entry: " " not in entry,
)


class LineSides:
    """Assign texts to sides, as the line's files say now. `learnt`: the names of held-out texts that the line remembers as learnt.

    Raises BundleError if the record cannot be read.
    """

    def __init__(self, line: Line, pointer: LinePointer) -> None:
        self._key, self._held_out = pointer.key, pointer.held_out
        self.learnt = frozenset(_LEARNT.read(line))

    def of(self, text: Text, batch: RowBatch | None = None) -> SplitSide:
        """Return the side of a text. In a batch that the first version learnt, every text is on the learning side."""
        if (batch is not None and batch.learnt) or (self.learnt and text_name(text, self._key) in self.learnt):
            return SplitSide.LEARNING
        return assign_side(text, self._key, self._held_out)


def record_learnt_texts(line: Line, texts: Iterable[Text]) -> None:
    """Record that these held-out texts are learnt from, from now on and for ever. Call it under the line's lock for learning.

    Raises BundleError if the record cannot be written.
    """
    key = line.read().key
    _LEARNT.add(line, (text_name(text, key) for text in texts))


def text_name(text: Text, key: str) -> str:
    """Return the keyed hash of a text as 24 hex digits.

    Case and spacing do not matter. `key` is the line's, so no other line gets the same name.
    """
    said = fold_text(joined(text)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(said, key=key.encode(), person=b"learnt", digest_size=12).hexdigest()


# Texts that the versions of a line have seen: those that they learnt from, that chose between them, and that tested them.
#
# A version is built from files that are deleted after learning, and captured requests are deleted, too. A later certification on a file
# must still know which texts the version has seen. So each learning records the keyed hash of all its texts, and the version's id.

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
    """The recorded texts and versions.

    Attributes:
        texts: the name of a text, and the side that it was on at a learning.
        versions: ids of the versions whose texts are all recorded. Versions built by an older smidgen are missing.
    """

    texts: frozenset[tuple[str, SplitSide]] = field(default_factory=frozenset)
    versions: frozenset[str] = field(default_factory=frozenset)


def record_seen(line: Line, version: str, material: LearningRows) -> None:
    """Record the texts of a learning, before the version that it made is compared, tested or promoted. `version` is its id.

    Call it under the line's lock for learning. Raises BundleError if the record cannot be written.
    """
    key = line.read().key
    sides = (("l", material.learning), ("c", material.choosing), ("t", material.certifying))
    texts = (f"{sign} {text_name(taken.row.input, key)}" for sign, rows in sides for taken in rows)
    # The version comes last: it says that all its texts are recorded.
    _SEEN.add(line, (*texts, f"{_VERSION} {version}"))


def read_seen(line: Line) -> SeenTexts:
    """Read the record. Empty if no learning has written yet. Raises BundleError if it cannot be read."""
    texts, versions = set[tuple[str, SplitSide]](), set[str]()
    for entry in _SEEN.read(line):
        sign, _, name = entry.partition(" ")
        if sign == _VERSION:
            versions.add(name)
        else:
            texts.add((name, _SIGNS[sign]))
    return SeenTexts(frozenset(texts), frozenset(versions))


# The moment from which held-out rows count: the line's latest revocation.
#
# A revocation says that the rows held out until then are no longer like the traffic. Certificates come and go with their versions, and the
# line may roll back. So the line remembers the moment, which only grows.
#
# A clock that ran ahead may have dated a revocation, or the moment itself, in the future. Such a date is replaced by now, once, and does
# not move again when its day has come.

_PATIENCE = timedelta(days=1)
"""A remembered moment may lie this far ahead: perhaps the current clock is behind, by a time zone."""
_ID = re.compile("[0-9a-f]{32}")


def known_revocations(line: Line) -> frozenset[Revocation]:
    """Return every known revocation of any version of the line, also of deleted versions.

    Where the audits of a version's certificate revoke it and nobody has recorded that yet, it is recorded first.
    """
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
    """Let the line take note of these revocations, and return its pointer.

    Each revocation counts once, at its own time, or now if that lies in the future. One without a known time counts as now, each time. When
    the moment grows, rows are fresh and looks at them are counted anew. Raises as `Line.change` does.
    """
    told = not _behind(line, now)
    pointer = line.read()
    if _counted(pointer, found, now, told) == pointer:
        return pointer
    return line.change(lambda before: _counted(before, found, now, told))


def was_revoked_since(line: Line, known: frozenset[Revocation], now: datetime) -> bool:
    """Return True if a certificate of the line was revoked since `known` was read, while a version was put in its place.

    The new version's own certificate is from before that, and is then made stale. Raises as `Line.change` does.
    """
    found = known_revocations(line)
    if found == known:
        return False
    remember_revocations(line, found, now)
    # Certificates have whole seconds, and this one may be from the current second.
    line.change(lambda before: before.fresh(now + timedelta(seconds=1)))
    return True


def _counted(pointer: LinePointer, found: frozenset[Revocation], now: datetime, told: bool) -> LinePointer:
    """Return the pointer with these revocations counted.

    `told`: True if the clock is plausible. If it is not, every moment stays as recorded, and no revocation is marked as counted.
    """
    if told and pointer.fresh_since is not None and pointer.fresh_since - now > _PATIENCE:
        pointer = pointer.model_copy(update={"fresh_since": now})
    new = [one for one in found if one.at is None or one.certificate not in pointer.counted]
    latest = max((min(one.at or now, now) if told else one.at or now for one in new), default=None)
    if latest is not None:
        pointer = pointer.fresh(latest)
    done = sorted({one.certificate for one in new if told and one.at is not None and _ID.fullmatch(one.certificate)})
    return pointer.model_copy(update={"counted": (*pointer.counted, *done)[-MOST_COUNTED:]})


def _behind(line: Line, now: datetime) -> bool:
    """Return True if the clock is earlier than the creation of every version of the line.

    A machine that has lost its time starts at an early date. It must not take everything found out since for the future.
    """
    made: list[datetime] = []
    for id in line.versions():
        with contextlib.suppress(BundleError, ValueError):
            moment = datetime.fromisoformat(read_manifest(line.version(id)).created)
            made.append(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))
    return bool(made) and now < min(made)
