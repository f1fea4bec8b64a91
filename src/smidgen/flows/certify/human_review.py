"""Human review: people audit local answers in a CSV file, for certificates against gold labels or people's reviews."""

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
from smidgen.flows.certify import losses
from smidgen.flows.certify.certificate_status import AuditEvidence, certificate_subject, evidence
from smidgen.flows.local_model import read_task
from smidgen.gateway import certificate_audit
from smidgen.gateway.certificate import Certificate
from smidgen.gateway.certificate_status import REVIVED_BY_AUDITS, check_certificate
from smidgen.gateway.route import segment_of
from smidgen.store import files
from smidgen.store.traffic.records import Feedback
from smidgen.store.traffic.sampling import DrawnAnswer, Place
from smidgen.store.traffic.store import TrafficStore

# The file for people: a CSV that a spreadsheet opens, with `id`, `text`, and an empty `output` to fill in.

_COLUMNS = ("id", "text", "output")
_MOST_BYTES_OF_A_FILE = 256 * 1024 * 1024


def write_review_file(waiting: Iterable[DrawnAnswer], file: Path) -> int:
    """Write the texts that wait for review, without the model's answers. Returns their number.

    A text that a spreadsheet would read as a formula gets an apostrophe in front. Raises DataError if the file cannot be written.
    """
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(_COLUMNS)
    count = 0
    for given in waiting:
        writer.writerow([given.id, f"'{given.input}" if given.input[:1] in "=+-@\t\r" else given.input, ""])
        count += 1
    try:
        files.write(file, stream.getvalue().encode("utf-8-sig"), mode=0o600)
    except OSError as error:
        raise DataError("flows.file_cannot_be_written", value=error.strerror, file=str(file)) from None
    return count


def read_review_file(file: Path) -> dict[str, str]:
    """Read the outputs that were filled in, by request id. Rows with an empty output are left out.

    Raises DataError if the file cannot be read, lacks a column, or has two outputs for one request.
    """
    try:
        with file.open("rb") as binary:
            content = binary.read(_MOST_BYTES_OF_A_FILE + 1)
        if len(content) > _MOST_BYTES_OF_A_FILE:
            raise ValueError(f"it is over {_MOST_BYTES_OF_A_FILE:,} bytes")
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError("flows.file_cannot_be_read", value=str(error), file=str(file)) from None
    found: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        if row.get("id") is None or "output" not in row:
            named = ", ".join(map(str, row))
            raise DataError("flows.column_is_missing", named=named, file=str(file))
        said = (row["output"] or "").strip()
        if said and found.setdefault(row["id"], said) != said:
            raise DataError("flows.one_request_has_two_outputs", value=row["id"], file=str(file), row=number)
    return found


# The review: people audit local answers if the certificate is against gold labels or people's reviews.
#
# A random share of the stored answers is drawn (`store/traffic/sampling.py`). People give the right answer to each text without seeing the
# model's. The losses enter the certificate's audit in the order of the requests. An answer that people cannot judge counts as wrong: if it
# were skipped, the hard texts would be missing.
#
# Each loss counts exactly once, even if the process is killed: the pending loss and the number of audits are written down before the audit.

SHARE = 0.02
"""Default share of answers that people audit."""
_OF_PEOPLE = ("gold", "reviews")
_SETTLED = timedelta(seconds=60)
"""Wait before a request is drawn. A request is stored a moment after it came; an earlier one must not appear after this one was
reviewed."""
_MOST_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class _ReviewState:
    """State of a review.

    Attributes:
        share: share of the answers that is drawn.
        through: place of the last answer that was taken in.
        pending: an answer being taken in: its place, its loss, the number of audits before it, and its segment.
    """

    share: float
    through: Place | None = None
    pending: tuple[Place, float, int, str | None] | None = None


class HumanReview:
    """The review of one certificate. Made by `open_review`."""

    def __init__(self, folder: Path, manifest: Manifest, paper: Certificate, store: TrafficStore, state: _ReviewState, file: Path) -> None:
        self.folder, self.paper, self.store = folder, paper, store
        self.task, self.form = read_task(manifest)
        self._loss = losses.choose_loss("likeness", self.task, self.form)
        self._read = cell_reader(self.task, self.form)
        self._state, self._file = state, file
        self._settled()

    @property
    def share(self) -> float:
        """The share of the answers that is drawn."""
        return self._state.share

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that people choose from; empty if the answer is not a single label."""
        labels = self.form.single_label
        return labels.every if labels is not None else ()

    @property
    def evidence(self) -> AuditEvidence:
        """The evidence of the audits so far. Raises OSError or ValueError if the state cannot be read."""
        return evidence(self.paper)

    def waiting(self, now: datetime | None = None) -> Iterator[DrawnAnswer]:
        """Yield the drawn answers that are not taken in yet, the oldest first."""
        yield from self.store.drawn(self.paper.id, self._state.share, self._state.through, (now or datetime.now(UTC)) - _SETTLED)

    def parsed(self, said: str) -> Any:
        """Parse a person's answer as the task's output.

        Raises ValueError with a reason if it is not valid, or not a label of the bundle.
        """
        output = self._read(said)
        if self.labels and self.task.labelled(output, self.form) not in self.labels:
            raise ValueError(f"{output!r} is not one of its labels")
        return output

    def take_in(self, given: DrawnAnswer, said: str | None, now: datetime | None = None) -> bool:
        """Audit the next waiting answer with a person's answer. Returns True if audits have revoked the certificate.

        Args:
            given: the first one of `waiting`.
            said: the right answer, as in a data file. None if the person cannot tell, or the bundle does not know it: the model's answer
                then counts as wrong.

        The person's answer is also kept as a correction to learn from, except for a held-out text: a drawn row must neither choose nor
        certify.

        Raises ValueError as `parsed` does, and if `given` is not the next one; OSError or TrafficError if it cannot be written. The answer
        then still waits.
        """
        expected = next(self.waiting(now), None)
        if expected is None or expected.place != given.place:
            raise ValueError("audits are taken in in the order of their requests, and another one is the next")
        loss, reply = 1.0, Reply(json.loads(given.local_output), 1.0)
        if said is not None:
            loss = float(self._loss.of([Row(given.input, self.parsed(said))], [reply])[0])
        before = self.evidence.audits
        # The correction comes first: once the loss is pending it will count, and nobody is asked again. Keeping it twice does no harm.
        if said is not None and not given.held_out:
            self.store.feedback(Feedback(given.id, now or datetime.now(UTC), corrected=said.strip(), comment=f"audit of {self.paper.id}"))
        segment = segment_of(self.paper.by, reply, {})  # the store does not hold columns
        self._write(replace(self._state, pending=(given.place, loss, before, segment)))
        return self._settled()

    def _settled(self) -> bool:
        """Finish a pending audit of this process or of one that was killed. Returns True if audits have revoked the certificate."""
        if self._state.pending is None:
            return self.evidence.revoked
        place, loss, before, segment = self._state.pending
        revoked = self.evidence.revoked
        if self.evidence.audits == before:
            certificate_audit.declare(self.paper, self._state.share)
            revoked = certificate_audit.observe(self.folder, self.paper, loss, self._state.share, segment=segment)
        self._write(replace(self._state, through=place, pending=None))
        return revoked

    def _write(self, state: _ReviewState) -> None:
        files.write(self._file, (json.dumps(asdict(state)) + "\n").encode("ascii"))
        self._state = state


@contextmanager
def open_review(folder: Path, store: TrafficStore, share: float | None = None, now: datetime | None = None) -> Iterator[HumanReview]:
    """Open the review of the certificate of a bundle, or of a line's champion, by folder. Only one process can have it open.

    Args:
        share: share of the answers that is drawn, over 0 and at most 1; the same for the whole life of a certificate.

    Raises:
        InputError: the share is invalid or differs from the first one; people do not audit this certificate; or another review of it is
            running.
        CertificateError: no certificate holds, or the state of the review cannot be read.
    """
    if share is not None and not 0 < share <= 1:
        raise InputError("flows.share_must_be_over_0_and_at_most_1", value=share)
    folder = folder_of(folder)
    manifest = read_manifest(folder)
    found = check_certificate(folder, certificate_subject(manifest), now)
    paper = found.certificate
    # A certificate that is stale because audits are missing holds again once they come.
    if not (found.valid or found.state in REVIVED_BY_AUDITS) or paper is None:
        raise CertificateError("flows.bundle_has_no_certificate_to_audit", value=f"{found.state.value}: {found.why}")
    if paper.reference.kind not in _OF_PEOPLE or paper.measure:
        raise InputError("flows.people_cannot_audit_this_certificate", name=folder.name, words=paper.reference.words)
    file = certificate_audit.audit_file(paper.id).with_suffix(".reviews.json")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(file.with_suffix(".lock"), timeout=0):
            yield HumanReview(folder, manifest, paper, store, _state(file, share, _declared(paper)), file)
    except filelock.Timeout:
        raise InputError("flows.another_review_is_running", value=str(folder)) from None


def _segment(pending: Sequence[Any]) -> str | None:
    """Return the segment of a pending audit. Files of an older smidgen have none."""
    return str(pending[3]) if len(pending) > 3 and pending[3] is not None else None


def _declared(paper: Certificate) -> float | None:
    """Return the share declared for the audits of this certificate or of the one it renews; None if there were none.

    A state that cannot be read is left to the first audit, which revokes.
    """
    try:
        audit = certificate_audit.read_audit(paper)
    except (OSError, ValueError):
        return None
    return audit.least_probability if audit.declared else None


def _state(file: Path, share: float | None, declared: float | None) -> _ReviewState:
    """Read the state of the review; a new one, with the declared share, if it has not begun."""
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
        raise CertificateError("flows.state_of_review_cannot_be_read", value=f"{file}: {error}") from error
    if share is not None and share != state.share:
        raise InputError("flows.review_began_with_another_share", asked=f"{share:g}", begun=f"{state.share:g}")
    return state
