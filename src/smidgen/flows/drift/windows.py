"""The two windows of requests that a drift test compares: the reference, and the recent ones."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from smidgen.core.errors import InputError, RedactionError
from smidgen.core.placeholders import PromptFrame
from smidgen.core.rows import Text
from smidgen.data.splits import SplitSide
from smidgen.flows.capture import redaction
from smidgen.flows.learn import line_data, traffic_rows
from smidgen.flows.learn.holdout import LineSides
from smidgen.flows.redaction_model import finder
from smidgen.privacy import text_patterns
from smidgen.privacy.public_names import PublicNames
from smidgen.privacy.redactor import BESIDE_PERSON, NOT_SOMEBODY, Redactor
from smidgen.store.line import Line, LinePointer
from smidgen.store.traffic.queries import StoredText
from smidgen.store.traffic.store import TrafficStore
from smidgen.watch.drift_test import FEWEST, normalised

_GROWS = 4
_PLACEHOLDER = re.compile(r"\[([A-Z_]+)_\d+\]")
FEWEST_REQUESTS = 100
"""Fewest requests from before a champion's promotion to use as the reference. With fewer, the line's own rows are used."""


@dataclass(frozen=True)
class WindowRequest:
    """Selection of requests for a drift test.

    Attributes:
        name: the model that they named.
        told: whether the user gave the name. If not, a line that learns from recurring jobs uses the requests of these, whatever they
            named.
        recent, reference: most requests of each window.
        before: end of the reference window.
        since: start of the recent window.
        now: later requests and promotions have times from a clock that ran ahead, and are ignored.
        grows: whether the recent window of a line grows if too few of its texts are held out to compare the model's answers.
    """

    name: str
    recent: int = 500
    reference: int = 2000
    before: datetime | None = None
    since: datetime | None = None
    told: bool = False
    now: datetime | None = None
    grows: bool = False


@dataclass(frozen=True)
class WindowEntry:
    """A text of a window.

    Attributes:
        id: of its request, or its place among the line's rows.
        text: as compared.
        fair: whether the model's answer may be compared: the model is surer of texts that it learnt from.
        bundle_id, score: the bundle that answered it at that time, and its score.
    """

    id: str
    text: Text
    fair: bool = True
    bundle_id: str = ""
    score: float | None = None


@dataclass(frozen=True)
class DriftWindows:
    """The two windows, oldest entry first. `words` describes the reference; `first` and `last` are the times of the recent requests."""

    reference: tuple[WindowEntry, ...]
    recent: tuple[WindowEntry, ...]
    words: str
    first: datetime | None = None
    last: datetime | None = None
    notes: tuple[str, ...] = ()


def windows(asked: WindowRequest, line: Line | None, keep: Sequence[str], threads: int | None) -> DriftWindows:
    """Select the windows for a bundle, or for a line's champion.

    The reference is the first of these that applies:
    - requests from before `before`, if given;
    - for a line, requests from before its champion's promotion; if too few, the rows that the line keeps; if too few, the first requests
      since;
    - for a bundle outside a line, its first requests.

    If there are few requests, at most half of them are recent.

    Args:
        keep: names that redaction leaves unchanged.

    Raises InputError for invalid moments; TrafficError if the store cannot be read; BundleError if rows of the line have changed, or cannot
    be redacted although they must be.
    """
    if asked.before is not None and asked.since is not None and asked.since < asked.before:
        raise InputError("flows.recent_requests_would_overlap", since=f"{asked.since:%Y-%m-%d}", before=f"{asked.before:%Y-%m-%d}")
    pointer = line.read() if line is not None else None
    until = asked.before or (_promoted(pointer, asked.now) if pointer is not None else None)
    with traffic_rows.open_traffic() as store:
        if store is None:
            return DriftWindows((), (), "nothing was captured")
        since = max((moment for moment in (until, asked.since) if moment is not None), default=None)
        meant = _RequestsMeant(store, asked, pointer)
        recent = meant.enough(since=since)
        asked = replace(asked, recent=max(asked.recent, len(recent)), reference=meant.reference(len(recent)))
        if until is not None:
            earlier = meant.stretch(asked.reference, until=until)
            at = f"{until:%Y-%m-%d %H:%M} UTC"
            words = f"what came before {at}" if asked.before else f"what came until its promotion, {at}"
        else:
            earlier, recent = _first(meant.stretch(asked.reference, newest=False, until=asked.since), recent, asked)
            words = "the first that were captured"
        if asked.before is not None or line is None or len(earlier) >= FEWEST_REQUESTS:
            return _windows(tuple(_entry(one, line) for one in earlier), recent, words, line)
        assert pointer is not None
        if sum(batch.n for batch in pointer.rows) < FEWEST_REQUESTS:
            first = meant.stretch(asked.reference, newest=False, since=until, until=asked.since)
            earlier, recent = _first(first, recent, asked)
            words = "the first that were captured since its promotion"
            return _windows(tuple(_entry(one, line) for one in earlier), recent, words, line)
    sides = LineSides(line, pointer)
    rows, notes = _rows(line, pointer, sides, asked.reference, recent, keep, threads)
    return _windows(rows, recent, "the rows that the line keeps", line, sides, notes)


def are_enough_waiting(asked: WindowRequest, line: Line, after: datetime | None) -> bool:
    """Return True if enough requests for a test came to a line's champion since its promotion, and after the given moment."""
    pointer = line.read()
    since = max((moment for moment in (_promoted(pointer, asked.now), after) if moment is not None), default=None)
    with traffic_rows.open_traffic() as store:
        if store is None:
            return False
        meant = _RequestsMeant(store, asked, pointer)
        came = [one for one in meant.enough(since=since) if after is None or one.time > after]
        return len(came) >= asked.recent and not meant.lacks(came)


class _RequestsMeant:
    """The captured requests to consider: those of the line's jobs, or those that named the bundle."""

    def __init__(self, store: TrafficStore, asked: WindowRequest, pointer: LinePointer | None) -> None:
        self._store, self._now, self._asked = store, asked.now, asked
        # Only a line's window grows. A bundle outside a line compares the answers to all texts. Without held-out texts, growing would not
        # help.
        self._most = _GROWS * asked.recent if asked.grows and pointer is not None and store.held_out else asked.recent
        jobs = pointer.jobs if pointer is not None else ()
        self._name = asked.name if asked.told or not jobs else None
        self._kinds: dict[str, list[PromptFrame]] | None = {} if jobs else None
        for job in jobs:
            assert self._kinds is not None
            self._kinds.setdefault(job.template, []).append(job.frame)

    def stretch(self, most: int, *, since: datetime | None = None, until: datetime | None = None, newest: bool = True) -> list[StoredText]:
        """Return the newest requests, or the first ones, the oldest first."""
        last = min((moment for moment in (until, self._now) if moment is not None), default=None)
        return self._store.stretch(self._name, most, since=since, until=last, newest=newest, kinds=self._kinds)

    def enough(self, since: datetime | None) -> list[StoredText]:
        """Return the newest requests, the oldest first: the number that a test takes, or up to four times it if too few texts are held
        out."""
        most = self._asked.recent
        found = self.stretch(most, since=since)
        while len(found) == most and self.lacks(found):
            most = min(2 * most, self._most)
            found = self.stretch(most, since=since)
        return found

    def lacks(self, found: Sequence[StoredText]) -> bool:
        """Return True if more requests would help: too few different texts are held out, and the limit is not reached."""
        if len(found) >= self._most:
            return False
        learnt = {normalised(one.input) for one in found if not one.held_out}
        return len({normalised(one.input) for one in found if one.held_out} - learnt) < FEWEST

    def reference(self, recent: int) -> int:
        """Return the number of reference requests for a number of recent ones."""
        return max(self._asked.reference, 2 * recent) if self._asked.grows else self._asked.reference


def _promoted(pointer: LinePointer, now: datetime | None) -> datetime | None:
    """Return when the current champion was last promoted; None if unknown."""
    at = next((turn.at for turn in reversed(pointer.history) if turn.champion == pointer.champion), None)
    return at if at is not None and (now is None or at <= now) else None


def _first(earlier: list[StoredText], recent: list[StoredText], asked: WindowRequest) -> tuple[list[StoredText], list[StoredText]]:
    """Separate the first requests from the newest ones. If they overlap, each window gets about half of all requests."""
    known = {one.id for one in earlier}
    if not known & {one.id for one in recent}:
        return earlier, recent
    every = {one.id: one for one in (*earlier, *recent)}
    ordered = sorted(every.values(), key=lambda one: (one.time, one.id))
    kept = min(asked.recent, len(ordered) // 2)
    return ordered[: len(ordered) - kept][: asked.reference], ordered[len(ordered) - kept :]


def _windows(
    reference: tuple[WindowEntry, ...],
    recent: Sequence[StoredText],
    words: str,
    line: Line | None,
    sides: LineSides | None = None,
    notes: tuple[str, ...] = (),
) -> DriftWindows:
    times = [one.time for one in recent]
    entries = tuple(_entry(one, line, sides) for one in recent)
    return DriftWindows(reference, entries, words, min(times, default=None), max(times, default=None), notes)


def _entry(one: StoredText, line: Line | None, sides: LineSides | None = None) -> WindowEntry:
    """Return the entry for a stored text.

    A line's champion may have learnt from any captured text that is not held out. A hash of the text decides which are held out, in both
    windows, so that the remaining ones are drawn alike. If the line's rows are the reference, the line's own hash decides in both.
    """
    fair = line is None or (one.held_out if sides is None else sides.of(one.input) is not SplitSide.LEARNING)
    return WindowEntry(one.id, one.input, fair, one.bundle_id, one.local_score)


def _rows(
    line: Line, pointer: LinePointer, sides: LineSides, most: int, recent: Sequence[StoredText], keep: Sequence[str], threads: int | None
) -> tuple[tuple[WindowEntry, ...], tuple[str, ...]]:
    """Return the line's rows, redacted if the captured texts are, in random order, because they have no times. Also returns notes."""
    found: list[tuple[str, Text, bool]] = []
    for batch in pointer.rows:
        for number, (text, _) in enumerate(line_data.read_batch(line, batch)):
            found.append((f"{batch.sha256[:12]} {number}", text, sides.of(text, batch) is not SplitSide.LEARNING))
    random.Random(pointer.key).shuffle(found)
    found = found[:most]
    notes = ["the rows of files are not drawn as requests come: what differs may have differed from the first day on"]
    if not any(one.altered for one in recent):
        return tuple(WindowEntry(id, text, fair) for id, text, fair in found), tuple(notes)
    masked = _masked([text for _, text, _ in found], keep, threads, _besides(recent), _beside_person(recent))
    kept = tuple(WindowEntry(id, text, fair) for (id, _, fair), text in zip(found, masked, strict=True) if text is not None)
    notes.append(
        "captured texts are redacted, so the rows were, too"
        + (f"; {len(found) - len(kept)} could not be and are left out" if len(kept) < len(found) else "")
    )
    return kept, tuple(notes)


def _besides(recent: Sequence[StoredText]) -> list[str]:
    """Return the kinds that the server's policy masks besides the usual ones, as far as the captured texts show it."""
    return [kind for kind in ("url", "age") if any(f"[{kind.upper()}_" in one.input for one in recent)]


def _beside_person(recent: Sequence[StoredText]) -> frozenset[str]:
    """Return the kinds that the server's policy masks only beside a person: in the captured texts, they are mostly beside one.

    The person may also have been in an answer, which is not read here, so single texts do not decide.
    """
    shown = [{kind.lower() for kind in _PLACEHOLDER.findall(one.input)} for one in recent]
    alone = {kind: [not kinds - NOT_SOMEBODY for kinds in shown if kind in kinds] for kind in BESIDE_PERSON}
    return frozenset(kind for kind, found in alone.items() if 2 * sum(found) <= len(found))


def _masked(
    texts: Sequence[Text],
    keep: Sequence[str],
    threads: int | None,
    besides: Sequence[str] = (),
    beside_person: frozenset[str] = BESIDE_PERSON,
) -> list[Text | None]:
    """Return each text with placeholders, as capturing would store it; None for one that cannot be made safe."""
    looked_for = text_patterns.usual_with(besides)
    read = {piece: _leaves(piece) for text in texts for piece in ((text,) if isinstance(text, str) else text)}
    known = finder(threads=threads, public=PublicNames()).many(
        dict.fromkeys(leaf for found in read.values() if found is not None for leaf in found)
    )

    def masked(text: Text) -> Text | None:
        if any(read[piece] is None for piece in ((text,) if isinstance(text, str) else text)):
            return None
        redactor = Redactor(known.__getitem__, forms=looked_for, beside_person=beside_person)
        redactor.keep(*keep)
        safe = partial(redaction.mask_text, redactor=redactor)
        try:
            return safe(text) if isinstance(text, str) else redactor.twice(lambda: (safe(text[0]), safe(text[1])))
        except RedactionError:
            return None

    return [masked(text) for text in texts]


def _leaves(piece: str) -> list[str] | None:
    try:
        return redaction.texts_to_read(piece)
    except RedactionError:
        return None
