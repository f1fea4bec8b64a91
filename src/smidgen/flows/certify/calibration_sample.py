"""A calibration sample: the pairs that a certificate is tested on, out of a file or as they are at hand, answered and compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from smidgen.core.errors import DataError, InputError
from smidgen.core.parts import placing
from smidgen.core.progress import Progress
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text, joined
from smidgen.data.columns import resolve
from smidgen.data.tables import STDIN, DataTable, open_table
from smidgen.flows.answer_files import cell_reader
from smidgen.flows.certify.certificate_status import certificate_subject
from smidgen.flows.certify.losses import Loss
from smidgen.flows.learn.data_overlap import KnownData, Use
from smidgen.flows.local_model import Model
from smidgen.gateway import certificate, revocation, signing
from smidgen.gateway.certificate import CertificateSample
from smidgen.gateway.sample_reuse import RowFingerprints
from smidgen.stats.intervals import Floats
from smidgen.store.hashing import file_hash, rows_hash
from smidgen.text import near_duplicates

BY_LABEL = "label"
_HELD_OUT = "held_out"
"""The column of an export of captured requests. Of these, whole texts are held out or not."""
_BATCH = 512
_KNOWN_WELL = 0.5
_UNFIT: Mapping[Use, str] = {
    "chose": "their texts choose between the versions of the line",
    "old": "they were held out before the line's latest revocation",
}
"""Of a line's version, texts that say nothing of it, though it learnt from none of them."""


@dataclass(frozen=True)
class CalibrationPairs:
    """The pairs as they were drawn.

    Attributes:
        rows: texts with the reference's outputs.
        name: how the sample is called in messages.
        unread: texts that the reference answered with what cannot be read as an output: whatever is answered to them disagrees.
        unusable: how many rows of the file could not be read.
        file_sha256: of the file; None where there is none: its rows stand for it.
        table: the file, for segments by its columns.
        unchecked: what cannot be told of the sample, in words.
        jobs: of a text, the scopes of the recurring jobs that it was captured of, where that is known.
        by_text: whether chance drew texts, each with all its requests or none of them. Then the rows are no fair sample of requests.
    """

    rows: Sequence[Row]
    name: str
    unread: Sequence[Text] = ()
    unusable: int = 0
    file_sha256: str | None = None
    table: DataTable | None = None
    unchecked: tuple[str, ...] = ()
    jobs: Mapping[Text, tuple[str, ...]] = field(default_factory=dict)
    by_text: bool = False


@dataclass(frozen=True)
class CalibrationSample:
    """The pairs as they were answered: scores, losses, segments (None: of none), all (n,). `own` is how many of them the bundle's line
    tests its versions on. `distinct`: each text counts once; `repeated` rows were left out for that."""

    scores: Floats
    losses: Floats
    segments: list[str | None]
    calibration: CertificateSample
    own: int = 0
    distinct: bool = False
    repeated: int = 0

    @property
    def unchecked(self) -> tuple[str, ...]:
        """What the sample cannot tell, in words."""
        if not self.repeated:
            return ()
        return (f"how often each text comes: each stands once here, and {self.repeated:,} times that one came again are left out",)


def read_pairs(model: Model, file: Path | str, input: str | None, label: str | None, progress: Progress) -> CalibrationPairs:
    """The pairs of a file. Raises DataError for one that cannot be read, has no such column, or no usable row."""
    task = model.task
    table = open_table(file, input=input, label=label, remembered=model.columns, most_labels=task.most_columns)
    for choice, flag in ((table.input, "--input"), (table.label, "--label")):
        if choice is not None and choice.how == "guessed":
            progress.say(f"the column {choice.name!r} was guessed. Name another with {flag}")
    bad: list[DataError] = []
    rows = list(table.rows(cell_reader(task, model.form), bad=bad.append, placed=placing(task)))
    if not rows:
        raise bad[0]
    if bad:
        progress.say(f"{len(bad):,} unusable rows left out, the first: {bad[0]}")
    # Standard input leaves no file behind.
    sha256 = None if str(file) == STDIN else file_hash(Path(file).expanduser())
    return CalibrationPairs(rows, table.name, unusable=len(bad), file_sha256=sha256, table=table, by_text=_HELD_OUT in table.columns)


def answer_pairs(
    model: Model,
    drawn: CalibrationPairs,
    friend: KnownData,
    loss: Loss,
    segment: str | None,
    fewest: int,
    progress: Progress,
    distinct: bool = False,
) -> CalibrationSample:
    """The pairs, answered and compared, but for those that the bundle knows, and of a line's version those that chose between versions or
    are of before the latest revocation. A text whose reference is unread has the loss 1.

    Args:
        fewest: rows that a job must have among them for the certificate to know it. The claim is of all jobs together, in the parts that
            they have here: one of a row or two says nothing of a job that may be most of what comes.
        distinct: whether each text counts once, in each segment by a column, as it came last. It does, too, where the rows are no fair
            sample of requests: chance drew texts, or several rows are the references of one.

    Raises InputError for a sample that the bundle was made from, that has much of one in it whose certificate was revoked, or that cannot
    be divided into segments; CertificateError where this machine's key, which rows are marked with, cannot be read.
    """
    task = model.task
    listed = [*((row.input, row.output) for row in drawn.rows), *((text, None) for text in drawn.unread)]
    rows_sha256 = rows_hash(listed)
    file_sha256 = drawn.file_sha256 or rows_sha256
    friend.refuse(file_sha256, rows_sha256, drawn.name)
    marks = RowFingerprints.of(((near_duplicates.fold_text(joined(text)), output) for text, output in listed), signing.key())
    _refuse_refuted(model, rows_sha256, marks, drawn.name)
    given = task.gathered(drawn.rows) if loss.gathers else list(drawn.rows)
    unread = [Row(text) for text in drawn.unread]
    total = len(given) + len(unread)
    strange = [row for row in (*given, *unread) if not friend.knows(row.input)]
    if len(strange) < _KNOWN_WELL * total:
        raise InputError(
            f"most rows stand in the data that {friend.whose} from",
            value=f"{total - len(strange):,} of {total:,} rows of {drawn.name}",
            todo="Give pairs that were used neither to train nor to choose the model.",
        )
    _say_left_out(total - len(strange), f"their texts stand in the data that {friend.whose} from", progress)
    uses = Counter(friend.use(row.input) for row in strange)
    for use, why in _UNFIT.items():
        _say_left_out(uses[use], why, progress)
    fit = [row for row in strange if friend.use(row.input) not in _UNFIT]
    if not fit:
        raise InputError(
            "no row of the sample can test this version",
            value=f"{total:,} rows of {drawn.name}",
            todo="Give pairs held out since the line's latest revocation that did not choose between versions.",
        )
    cells = _cells(drawn.table, segment)
    # A line holds out whole texts: one that is a tenth of the traffic is a far larger share of the sample, or none of it.
    distinct = distinct or drawn.by_text or loss.gathers or uses["tests"] > 0
    texts = each_text_once(fit, cells)
    rows = texts if distinct else fit
    if distinct:
        _say_left_out(len(fit) - len(rows), "another row further down has the same text, and each text counts once", progress)
    elif len(texts) < len(fit):
        progress.say(
            f"{len(fit):,} requests have {len(texts):,} distinct texts: each request counts, as in a fair sample of the traffic. "
            "--distinct counts each text once"
        )
    missing = {id(row) for row in unread}
    read = [row for row in rows if id(row) not in missing]  # they stand before the others
    replies = _replies(model, rows, progress)
    losses = np.ones(len(rows), dtype=np.float64)
    losses[: len(read)] = loss.of(read, replies[: len(read)])
    return CalibrationSample(
        np.array([reply.score for reply in replies], dtype=np.float64),
        losses,
        _segments(drawn.table, rows, replies, segment, cells),
        CertificateSample(
            file_sha256=file_sha256,
            rows_sha256=rows_sha256,
            n=len(rows),
            left_out=total - len(fit),
            unusable=drawn.unusable,
            jobs=_jobs(drawn, rows, fewest, progress),
            marks=marks.text,
        ),
        own=uses["tests"],
        distinct=distinct,
        repeated=len(fit) - len(rows),
    )


def each_text_once(rows: Sequence[Row], cells: Mapping[int, str] | None = None) -> list[Row]:
    """Each text once, as it came last, whatever its case, punctuation and spaces.

    Args:
        cells: by a row's number, the segment by a column that it is of: each segment has its own.
    """
    last = {(near_duplicates.fold_text(joined(row.input)), cells.get(row.number) if cells is not None else None): row for row in rows}
    kept = {id(row) for row in last.values()}
    return [row for row in rows if id(row) in kept]


def _say_left_out(count: int, why: str, progress: Progress) -> None:
    if count:
        progress.say(f"{count:,} rows left out: {why}")


def _jobs(drawn: CalibrationPairs, rows: Sequence[Row], fewest: int, progress: Progress) -> tuple[str, ...]:
    """The jobs that enough rows are of."""
    counts = Counter(id for row in rows for id in drawn.jobs.get(row.input, ()))
    for id, count in sorted(counts.items()):
        if count < fewest:
            progress.say(
                f"the certificate does not know the job {id}: {count:,} of its requests are in the sample, and it takes {fewest:,}"
            )
    return tuple(sorted(id for id, count in counts.items() if count >= fewest))


def _refuse_refuted(model: Model, rows_sha256: str, marks: RowFingerprints, name: str) -> None:
    """Raise InputError for the sample of a certificate that was revoked, here or of a copy of the bundle, and for one that has too much of
    such a one in it."""
    manifest = certificate_subject(model.manifest).sha256
    given = [paper.id for paper in certificate.registered(manifest)]
    for gone in revocation.find_related(model.folder, manifest, given):
        share = 1.0 if gone.sample == rows_sha256 else 0.0
        with suppress(ValueError):
            share = max(share, marks.share_in(RowFingerprints.read(gone.marks)))
        if share > revocation.MOST_REFUTED:
            whose = "this is" if share == 1 else f"{share:.0%} of the rows are of"
            raise InputError(
                f"{whose} the sample of a revoked certificate: audits showed that it does not represent the traffic",
                value=name,
                todo="Draw a new calibration sample from the traffic as it is now, with none of those rows in it.",
            )


def _replies(model: Model, rows: Sequence[Row], progress: Progress) -> list[Reply]:
    progress.start("answer", len(rows))
    replies: list[Reply] = []
    for start in range(0, len(rows), _BATCH):
        part = rows[start : start + _BATCH]
        replies += model.predict([row.input for row in part])
        progress.advance(len(part))
    progress.finish(f"{len(rows)} rows")
    return replies


def _cells(table: DataTable | None, by: str | None) -> dict[int, str] | None:
    """What a column says of each row, by the rows' numbers; None where segments are by no column. Raises DataError where there is no such
    column, InputError where these rows have none."""
    if by is None or by == BY_LABEL:
        return None
    if table is None:
        raise InputError("these rows have no columns", value=by, todo="Certify on a file that has it, or leave --segment out.")
    (column,) = resolve(by, table.columns, table.name, "--segment", 1)
    told = ((number, record.get(column)) for number, record in table.each() if not isinstance(record, DataError))
    return {number: str(value).strip() for number, value in told if value is not None and str(value).strip()}


def _segments(
    table: DataTable | None, rows: Sequence[Row], replies: Sequence[Reply], by: str | None, cells: Mapping[int, str] | None
) -> list[str | None]:
    """Each row's segment. By label it is the label that is answered, not the right one: that is what is known when a request comes."""
    if cells is not None:
        return [cells.get(row.number) for row in rows]
    if by is None:
        return [""] * len(rows)
    if not all(isinstance(reply.output, str) for reply in replies) or (table is not None and table.label is None):
        raise InputError("segments by label need one label per text", value=by, todo="Name a column with --segment, or leave it out.")
    return [reply.output for reply in replies]
