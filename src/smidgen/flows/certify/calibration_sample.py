"""The calibration sample: the pairs that a certificate is tested on, from a file or in memory, answered by the model and compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from smidgen.core.errors import DataError, InputError
from smidgen.core.parts import merged_rows
from smidgen.core.progress import Progress
from smidgen.core.replies import Reply, answer_group, gives_nothing
from smidgen.core.rows import Row, Text, joined
from smidgen.data.columns import resolve
from smidgen.data.tables import STDIN, DataTable, open_table
from smidgen.flows.answer_files import cell_reader
from smidgen.flows.certify.certificate_status import certificate_subject
from smidgen.flows.certify.losses import Loss
from smidgen.flows.learn.data_overlap import KnownData, Use
from smidgen.flows.local_model import Model
from smidgen.gateway import certificate, revocation
from smidgen.gateway.certificate import CertificateSample
from smidgen.gateway.sample_reuse import RowFingerprints
from smidgen.stats.intervals import Floats
from smidgen.store.files import file_hash, rows_hash
from smidgen.text import near_duplicates

BY_LABEL = "label"
_HELD_OUT = "held_out"
"""The column of an export of captured requests that marks held-out rows. In such an export, whole texts are held out or not."""
_BATCH = 512
_NEVER = -1.0
"""The score of a reply that always escalates: it is under every threshold."""
_KNOWN_WELL = 0.5
_UNFIT: Mapping[Use, str] = {
    "chose": "their texts choose between the versions of the line",
    "old": "they were held out before the line's latest revocation",
}
"""Uses by the line that make a text unfit to test a version, although no version learnt from it."""


@dataclass(frozen=True)
class CalibrationPairs:
    """The pairs as drawn, before the model answers them.

    Attributes:
        rows: texts with the reference's outputs.
        name: name of the sample in messages.
        unread: texts whose reference cannot be read as an output: any answer disagrees with it.
        unusable: number of rows of the file that could not be read.
        file_sha256: hash of the file; None if there is none: the hash of the rows replaces it.
        table: the file, for segments by its columns.
        unchecked: what could not be checked about the sample, in words.
        jobs: for each text, the scopes of the recurring jobs that it was captured from, if known.
        by_text: whether texts were drawn, each with all of its requests or none. Such rows are not a fair sample of requests.
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
    """The pairs after the model answered them. Scores, losses and segments are of length n.

    Attributes:
        segments: None for a row without a segment.
        own: number of rows that the bundle's line tests its versions on.
        distinct: whether each text counts once.
        repeated: number of rows left out for that.
    """

    scores: Floats
    losses: Floats
    segments: list[str | None]
    calibration: CertificateSample
    own: int = 0
    distinct: bool = False
    repeated: int = 0

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Limits of the sample, in words."""
        if not self.repeated:
            return ()
        return (f"how often each text comes: each stands once here, and {self.repeated:,} times that one came again are left out",)


def read_pairs(model: Model, file: Path | str, input: str | None, label: str | None, progress: Progress) -> CalibrationPairs:
    """Read the pairs of a file. Raises DataError if it cannot be read, lacks a column or has no usable row."""
    task = model.task
    if task.files is not None and (own := task.files.rows_in(Path(file), task.cell_settings(model.form))) is not None:
        return CalibrationPairs(list(own), Path(file).name, file_sha256=file_hash(Path(file)))
    table = open_table(file, input=input, label=label, remembered=model.columns, most_labels=task.most_columns)
    for choice, flag in ((table.input, "--input"), (table.label, "--label")):
        if choice is not None and choice.how == "guessed":
            progress.say(f"the column {choice.name!r} was guessed. Name another with {flag}")
    bad: list[DataError] = []
    rows = list(table.rows(cell_reader(task, model.form), bad=bad.append, placed=task.place))
    if not rows:
        raise bad[0]
    if bad:
        progress.say(f"{len(bad):,} unusable rows left out, the first: {bad[0]}")
    if (divided := task.split(rows, task.cell_settings(model.form), 0)) is not None:
        rows = list(divided.test)
    # Standard input has no file to hash.
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
    """Let the model answer the pairs, and compare.

    Rows that the bundle knows are left out. For a version of a line, so are rows that chose between versions or are from before the latest
    revocation. A text whose reference cannot be read has loss 1.

    Args:
        fewest: rows of a job that the sample must have for the certificate to name the job. The claim covers all jobs together, in the
            proportions of the sample: one or two rows of a job say nothing if it becomes most of the traffic.
        distinct: whether each text counts once, as it came last; once in each segment by a column. This is forced if the rows are not a
            fair sample of requests: texts were drawn, or several rows are references of one text.

    Raises InputError if the bundle was made from the sample, if the sample overlaps much with that of a revoked certificate, or if it
    cannot be divided into segments; CertificateError if this machine's key, which the row fingerprints need, cannot be read.
    """
    task = model.task
    listed = [*((row.input, row.output) for row in drawn.rows), *((text, None) for text in drawn.unread)]
    rows_sha256 = rows_hash(listed)
    file_sha256 = drawn.file_sha256 or rows_sha256
    friend.refuse(file_sha256, rows_sha256, drawn.name)
    marks = RowFingerprints.of(((near_duplicates.fold_text(joined(text)), output) for text, output in listed), certificate.signing_key())
    _refuse_refuted(model, rows_sha256, marks, drawn.name)
    given = merged_rows(task, drawn.rows) if loss.gathers else list(drawn.rows)
    unread = [Row(text) for text in drawn.unread]
    total = len(given) + len(unread)
    strange = [row for row in (*given, *unread) if not friend.knows(row.input)]
    if len(strange) < _KNOWN_WELL * total:
        raise InputError("flows.most_rows_were_used_before", whose=friend.whose, used=total - len(strange), total=total, name=drawn.name)
    _say_left_out(total - len(strange), f"their texts stand in the data that {friend.whose} from", progress)
    uses = Counter(friend.use(row.input) for row in strange)
    for use, why in _UNFIT.items():
        _say_left_out(uses[use], why, progress)
    fit = [row for row in strange if friend.use(row.input) not in _UNFIT]
    if not fit:
        raise InputError("flows.no_row_of_sample_can_test_this_version", total=total, name=drawn.name)
    cells = _cells(drawn.table, segment)
    # A line holds out whole texts: one that is a tenth of the traffic is a far larger share of the sample, or is missing.
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
    read = [row for row in rows if id(row) not in missing]  # read rows come before the unread
    replies = _replies(model, rows, progress)
    losses = np.ones(len(rows), dtype=np.float64)
    losses[: len(read)] = loss.of(read, replies[: len(read)])
    return CalibrationSample(
        np.array([_NEVER if gives_nothing(reply) else reply.score for reply in replies], dtype=np.float64),
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
    """Keep each text once, as it came last. Case, punctuation and spaces do not matter.

    Args:
        cells: the segment (by a column) of each row number. Each segment keeps its own copy of a text.
    """
    last = {(near_duplicates.fold_text(joined(row.input)), cells.get(row.number) if cells is not None else None): row for row in rows}
    kept = {id(row) for row in last.values()}
    return [row for row in rows if id(row) in kept]


def _say_left_out(count: int, why: str, progress: Progress) -> None:
    if count:
        progress.say(f"{count:,} rows left out: {why}")


def _jobs(drawn: CalibrationPairs, rows: Sequence[Row], fewest: int, progress: Progress) -> tuple[str, ...]:
    """Return the jobs with enough rows, and report the others."""
    counts = Counter(id for row in rows for id in drawn.jobs.get(row.input, ()))
    for id, count in sorted(counts.items()):
        if count < fewest:
            progress.say(
                f"the certificate does not know the job {id}: {count:,} of its requests are in the sample, and it takes {fewest:,}"
            )
    return tuple(sorted(id for id, count in counts.items() if count >= fewest))


def _refuse_refuted(model: Model, rows_sha256: str, marks: RowFingerprints, name: str) -> None:
    """Raise InputError if the sample is that of a revoked certificate of this bundle or a copy, or shares too many rows with it."""
    manifest = certificate_subject(model.manifest).sha256
    given = [paper.id for paper in certificate.registered(manifest)]
    for gone in revocation.find_related(model.folder, manifest, given):
        share = 1.0 if gone.sample == rows_sha256 else 0.0
        with suppress(ValueError):
            share = max(share, marks.share_in(RowFingerprints.read(gone.marks)))
        if share > revocation.MOST_REFUTED:
            raise InputError(
                "flows.this_is_sample_of_revoked_certificate" if share == 1 else "flows.rows_are_of_revoked_sample",
                value=name,
                share=None if share == 1 else (f"{share:.0%}"),
            )


def _replies(model: Model, rows: Sequence[Row], progress: Progress) -> list[Reply]:
    progress.start("answer", len(rows))
    serving = model.task.serving
    replies: list[Reply] = (serving.replies(model, [row.input for row in rows]) if serving is not None else None) or []
    size = 2 * model.slots or _BATCH  # a decoder takes a second a text: its progress is told before all are there
    for start in range(len(replies), len(rows), size):
        part = rows[start : start + size]
        replies += model.predict([row.input for row in part])
        progress.advance(len(part))
    progress.finish(f"{len(rows)} rows")
    return replies


def _cells(table: DataTable | None, by: str | None) -> dict[int, str] | None:
    """Return the cell of a column for each row number; None if segments are not by a column.

    Raises DataError if the column does not exist, InputError if the rows have no columns.
    """
    if by is None or by == BY_LABEL:
        return None
    if table is None:
        raise InputError("flows.these_rows_have_no_columns", value=by)
    (column,) = resolve(by, table.columns, table.name, "--segment", 1)
    told = ((number, record.get(column)) for number, record in table.each() if not isinstance(record, DataError))
    return {number: str(value).strip() for number, value in told if value is not None and str(value).strip()}


def _segments(
    table: DataTable | None, rows: Sequence[Row], replies: Sequence[Reply], by: str | None, cells: Mapping[int, str] | None
) -> list[str | None]:
    """Return each row's segment. By label, it is the label answered, not the right one, because only that is known when a request comes."""
    if cells is not None:
        return [cells.get(row.number) for row in rows]
    if by is None:
        return [""] * len(rows)
    groups = [answer_group(reply) for reply in replies]
    if None in groups or (table is not None and table.label is None):
        raise InputError("flows.segments_by_label_need_single_labels", value=by)
    return [None if gives_nothing(reply) else group for reply, group in zip(replies, groups, strict=True)]
