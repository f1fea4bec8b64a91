"""Human review: people audit what was answered here, in a CSV file, where the certificate is against gold labels or people's reviews."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import filelock

from smidgen.bundles.manifest import Manifest
from smidgen.bundles.open import folder_of, read_manifest
from smidgen.core.errors import CertificateError, DataError, InputError
from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.flows.answer_files import cell_reader
from smidgen.flows.certify import certificate_status as audits
from smidgen.flows.certify import losses
from smidgen.flows.certify.certificate_status import AuditEvidence, certificate_subject
from smidgen.flows.local_model import read_task
from smidgen.gateway import certificate_audit
from smidgen.gateway.certificate import Certificate
from smidgen.gateway.certificate_status import CertificateState, check_certificate
from smidgen.gateway.routing_decision import segment_of
from smidgen.store import atomic_file
from smidgen.store.traffic.records import Feedback
from smidgen.store.traffic.sampling import DrawnAnswer, Place
from smidgen.store.traffic.store import TrafficStore

# Texts that people are to audit, as a CSV that a spreadsheet opens: `id`, `text`, and an empty `output` for them to fill in.

_COLUMNS = ("id", "text", "output")
_MOST_BYTES_OF_A_FILE = 256 * 1024 * 1024


def write_review_file(waiting: Iterable[DrawnAnswer], file: Path) -> int:
    """Write those that wait; how many. What the model answered is not in it. A text that a spreadsheet would take for a formula begins with
    an apostrophe. Raises DataError where the file cannot be written."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(_COLUMNS)
    count = 0
    for given in waiting:
        writer.writerow([given.id, f"'{given.input}" if given.input[:1] in "=+-@\t\r" else given.input, ""])
        count += 1
    try:
        atomic_file.write(file, stream.getvalue().encode("utf-8-sig"), mode=0o600)
    except OSError as error:
        raise DataError("the file cannot be written", value=error.strerror, todo="Name one that may be.", file=str(file)) from None
    return count


def read_review_file(file: Path) -> dict[str, str]:
    """What was filled in, by the request's id; rows whose output is empty are left out. Raises DataError for a file that cannot be read, or
    lacks a column, or has two outputs for one request."""
    again = "Write one with --export, and fill in its column `output`."
    try:
        with file.open("rb") as binary:
            content = binary.read(_MOST_BYTES_OF_A_FILE + 1)
        if len(content) > _MOST_BYTES_OF_A_FILE:
            raise ValueError(f"it is over {_MOST_BYTES_OF_A_FILE:,} bytes")
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError("the file cannot be read", value=str(error), todo=again, file=str(file)) from None
    found: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        if row.get("id") is None or "output" not in row:
            named = ", ".join(map(str, row))
            raise DataError("a column is missing", value=f"id and output are needed, there are {named}", todo=again, file=str(file))
        said = (row["output"] or "").strip()
        if said and found.setdefault(row["id"], said) != said:
            raise DataError("one request has two outputs", value=row["id"], todo="Keep one of the rows.", file=str(file), row=number)
    return found


# Reviewing: people audit what was answered here, where the certificate is against gold labels or people's reviews.
#
# A random share of the stored answers is drawn (`store/traffic/sampling.py`). People say of each text what its answer is, and do not see
# what was answered. The losses go into the certificate's audit in the order of the requests: were some skipped, the hard ones would be,
# so what cannot be told counts as wrong.
#
# A loss is taken in once, whenever the process ends: before it is, what is about to be is written down, with how many audits there
# were.

SHARE = 0.02
"""Of the answers, that people audit where nothing else is said."""
_OF_PEOPLE = ("gold", "reviews")
_SETTLED = timedelta(seconds=60)
"""A request is stored a moment after it came; one that came before another must not be stored after that was reviewed."""
_MOST_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class _ReviewState:
    """How far people have come.

    Attributes:
        share: of the answers, that are drawn.
        through: the place of the last one that is taken in.
        pending: the place of one that is being taken in, with its loss, how many audits there were before it, and its segment.
    """

    share: float
    through: Place | None = None
    pending: tuple[Place, float, int, str | None] | None = None


class HumanReview:
    """The review of one certificate. Made by `opened`."""

    def __init__(self, folder: Path, manifest: Manifest, paper: Certificate, store: TrafficStore, state: _ReviewState, file: Path) -> None:
        self.folder, self.paper, self.store = folder, paper, store
        self.task, self.form = read_task(manifest)
        self._loss = losses.choose_loss("likeness", self.task, self.form)
        self._read = cell_reader(self.task, self.form)
        self._state, self._file = state, file
        self._settled()

    @property
    def share(self) -> float:
        """Of the answers, that are drawn."""
        return self._state.share

    @property
    def labels(self) -> tuple[str, ...]:
        """What people choose from, where the answer is one label; empty where it is anything else."""
        labels = self.form.single_label
        return labels.every if labels is not None else ()

    @property
    def evidence(self) -> AuditEvidence:
        """What the audits have come to. Raises OSError or ValueError where the state cannot be read."""
        return audits.evidence(self.paper)

    def waiting(self, now: datetime | None = None) -> Iterator[DrawnAnswer]:
        """The answers that are drawn and not taken in yet, the oldest first."""
        yield from self.store.drawn(self.paper.id, self._state.share, self._state.through, (now or datetime.now(UTC)) - _SETTLED)

    def parsed(self, said: str) -> Any:
        """What a person says of a text as the task's own value. Raises ValueError with the reason where it is none: of labels, one that the
        bundle does not know."""
        output = self._read(said)
        if self.labels and self.task.labelled(output, self.form) not in self.labels:
            raise ValueError(f"{output!r} is not one of its labels")
        return output

    def take_in(self, given: DrawnAnswer, said: str | None, now: datetime | None = None) -> bool:
        """Take in what a person says of the next answer that waits; returns whether the certificate is revoked by its audits.

        Args:
            given: the first one of `waiting`.
            said: what the right answer is, as in a data file; None where it cannot be told, or is none that the bundle knows: then what was
                answered counts as wrong.

        It is kept as a correction, too, to learn from; not of a text that is held out, for what was drawn so must neither choose nor
        certify.

        Raises ValueError as `parsed` does, and for another than the next one; OSError or TrafficError where it cannot be written. Then
        nothing is taken in, and the answer still waits.
        """
        expected = next(self.waiting(now), None)
        if expected is None or expected.place != given.place:
            raise ValueError("audits are taken in in the order of their requests, and another one is the next")
        loss, reply = 1.0, Reply(json.loads(given.local_output), 1.0)
        if said is not None:
            loss = float(self._loss.of([Row(given.input, self.parsed(said))], [reply])[0])
        before = self.evidence.audits
        # First the correction: once the loss is under way it will count, and nobody is asked again. That it is kept twice is no harm.
        if said is not None and not given.held_out:
            self.store.feedback(Feedback(given.id, now or datetime.now(UTC), corrected=said.strip(), comment=f"audit of {self.paper.id}"))
        segment = segment_of(self.paper.by, reply, {})  # of a column, the store has nothing
        self._write(replace(self._state, pending=(given.place, loss, before, segment)))
        return self._settled()

    def _settled(self) -> bool:
        """Finish what was begun, by this process or one that was killed; whether the certificate is revoked by its audits."""
        if self._state.pending is None:
            return self.evidence.revoked
        place, loss, before, segment = self._state.pending
        revoked = self.evidence.revoked
        if self.evidence.audits == before:
            audits.declare(self.paper, self._state.share)
            revoked = audits.take_in(self.folder, self.paper, loss, self._state.share, segment)
        self._write(replace(self._state, through=place, pending=None))
        return revoked

    def _write(self, state: _ReviewState) -> None:
        atomic_file.write(self._file, (json.dumps(asdict(state)) + "\n").encode("ascii"))
        self._state = state


@contextmanager
def open_review(folder: Path, store: TrafficStore, share: float | None = None, now: datetime | None = None) -> Iterator[HumanReview]:
    """The review of the certificate of the bundle in a folder, or of a line's champion, as far as it has come. One at a time.

    Args:
        share: of the answers, over 0 and at most 1, that are drawn: once for all of a certificate.

    Raises:
        InputError: a share that cannot be, or not the one that the review began with; a certificate that people do not audit; another
            review of it is under way.
        CertificateError: there is no certificate that holds, or how far its review has come cannot be read.
    """
    if share is not None and not 0 < share <= 1:
        raise InputError("--share must be over 0 and at most 1", value=share, todo="Give --share 0.02, for 2 %.")
    folder = folder_of(folder)
    manifest = read_manifest(folder)
    found = check_certificate(folder, certificate_subject(manifest), now)
    paper = found.certificate
    # One that is stale for want of audits holds again once they come.
    if not (found.valid or found.state is CertificateState.UNAUDITED) or paper is None:
        raise CertificateError(
            "nothing is answered under this bundle's certificate, so there is nothing to audit",
            value=f"{found.state.value}: {found.why}",
            todo="Certify it on a new sample: smidgen certify DIR --data calibration.csv.",
        )
    if paper.reference.kind not in _OF_PEOPLE or paper.measure:
        raise InputError(
            "people can only audit a certificate against gold labels or reviews",
            value=f"{folder.name}: against {paper.reference.words}",
            todo="smidgen serve audits certificates against the large model or the request itself (--audit-share).",
        )
    file = certificate_audit.audit_file(paper.id).with_suffix(".reviews.json")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(file.with_suffix(".lock"), timeout=0):
            yield HumanReview(folder, manifest, paper, store, _state(file, share, _declared(paper)), file)
    except filelock.Timeout:
        raise InputError("another review of this certificate is running", value=str(folder), todo="Let it end first.") from None


def _segment(pending: Sequence[Any]) -> str | None:
    """That of an audit which is being taken in; an older smidgen wrote none."""
    return str(pending[3]) if len(pending) > 3 and pending[3] is not None else None


def _declared(paper: Certificate) -> float | None:
    """The share that audits under this certificate, or the one that it renews, were drawn with; None where there were none. A state that
    cannot be read is left to the first audit, which revokes."""
    try:
        audit = certificate_audit.read_audit(paper)
    except (OSError, ValueError):
        return None
    return audit.least_probability if audit.declared else None


def _state(file: Path, share: float | None, declared: float | None) -> _ReviewState:
    """How far it has come; a new one where it has not begun, with the share that was declared for the certificate."""
    try:
        with file.open("rb") as stream:
            said = json.loads(stream.read(_MOST_BYTES))
        through, pending = said["through"], said["pending"]
        state = _ReviewState(
            float(said["share"]),
            None if through is None else (float(through[0]), str(through[1])),
            None
            if pending is None
            else ((float(pending[0][0]), str(pending[0][1])), float(pending[1]), int(pending[2]), _segment(pending)),
        )
    except FileNotFoundError:
        state = _ReviewState(declared if declared is not None else SHARE if share is None else share)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise CertificateError(
            "how far the review has come cannot be read, and no answer must be counted twice",
            value=f"{file}: {error}",
            todo="Certify on a new sample: its review begins anew.",
        ) from error
    if share is not None and share != state.share:
        raise InputError(
            "the review of this certificate began with another share",
            value=f"--share {share:g}, and it is {state.share:g}",
            todo="Leave --share out; the next certificate may have another one.",
        )
    return state
