"""Collect all rows that a line can learn from now: those it keeps, those given with the call, and those captured."""

from __future__ import annotations

import hashlib
import heapq
import itertools
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from smidgen.bundles.open import read_manifest
from smidgen.core.errors import BundleError, DataError, InputError
from smidgen.core.forms import Form
from smidgen.core.parts import Task
from smidgen.core.placeholders import PromptFrame
from smidgen.core.progress import Progress
from smidgen.core.rows import Row, Text
from smidgen.data.source import DataSettings
from smidgen.data.splits import SplitSide, keyed_draw
from smidgen.data.tables import open_table
from smidgen.flows.learn import traffic_rows
from smidgen.flows.learn.holdout import LineSides
from smidgen.flows.learn.learning_rows import RANK, LearningRows, LineRow, split_rows
from smidgen.flows.learn.settings import TrafficSettings
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe
from smidgen.store import files
from smidgen.store.files import file_hash, rows_hash
from smidgen.store.line import MOST_BATCHES, MOST_SOURCES, Line, LinePointer, RowBatch, TrafficSource, is_line
from smidgen.store.traffic.records import TrafficPair
from smidgen.store.traffic.store import TrafficStore

# Rows given to a line. They are kept with it under their hash, so that every later version can learn from them.

_AGAIN = "Put a copy of the file back, or give the rows again with --data."


def keep_batch(line: Line, rows: Sequence[Row], source: Literal["original", "data"], *, learnt: bool, now: datetime) -> bool:
    """Keep rows with the line. Returns True if they are new to it.

    Args:
        learnt: whether a version has already learnt them all, so that none can be held out. This also marks rows that were kept earlier.

    Raises DataError if the line holds too many batches; BundleError if the rows cannot be written.
    """
    content = "".join(json.dumps([row.input, row.output], ensure_ascii=False) + "\n" for row in rows).encode("utf-8", "surrogatepass")
    if not rows:
        return False
    folder = line.folder / "rows"
    try:
        folder.mkdir(exist_ok=True)
        part = folder / ".new.jsonl"
        files.write(part, content)
        sha256 = file_hash(part)
        part.replace(line.rows(sha256))
    except OSError as error:
        raise BundleError("flows.rows_cannot_be_kept_with_line", value=f"{folder}: {error.strerror}") from error
    batch = RowBatch(sha256=sha256, n=len(rows), source=source, at=now, learnt=learnt)
    new = True

    def added(found: LinePointer) -> LinePointer:
        nonlocal new
        known = next((known for known in found.rows if known.sha256 == sha256), None)
        if known is not None:
            new = False
            told = known.model_copy(update={"source": source, "learnt": True}) if learnt and not known.learnt else known
            return found.model_copy(update={"rows": tuple(told if one is known else one for one in found.rows)})
        if len(found.rows) >= MOST_BATCHES:
            raise DataError("flows.line_holds_too_many_batches_of_rows", value=len(found.rows))
        return found.model_copy(update={"rows": (*found.rows, batch)})

    line.change(added)
    return new


def read_batch(line: Line, batch: RowBatch) -> Iterator[tuple[Text, Any]]:
    """Yield the inputs and outputs of a batch. Raises BundleError if its file is missing or has changed."""
    file = line.rows(batch.sha256)
    if not file.is_file():
        raise BundleError("flows.rows_of_line_are_missing", value=str(file), file=file.name)
    if file_hash(file) != batch.sha256:
        raise BundleError("flows.rows_of_line_have_changed_on_disk", value=str(file), file=file.name)
    with file.open(encoding="utf-8", errors="surrogatepass") as stream:
        for text in stream:
            given, output = json.loads(text)
            yield (given if isinstance(given, str) else (given[0], given[1])), output


# All rows that a line can learn from now.

_OfJobs: TypeAlias = tuple[TrafficPair, tuple[str, ...]]


@dataclass(frozen=True)
class ColumnNames:
    """Columns of a given file: as the call names them, else as the champion remembers them."""

    input: str | None = None
    label: str | None = None
    remembered: tuple[str | None, str | None] = (None, None)


def keep_original(recipe: Recipe, line: Line, sha256: str | None, now: datetime, progress: Progress) -> None:
    """Keep the training rows of the line's first version, if the file that its recipe names is available and unchanged.

    Reports either case.
    """
    settings = recipe.settings(DataSettings)
    file = recipe.folder / Path(settings.train).expanduser() if settings.train not in (None, "-") else None
    if file is None or not file.is_file():
        what = settings.train or "its recipe names no file"
        progress.say(
            f"the rows of the first version are not at hand ({what}): later ones cannot learn from them. Give that file with --data"
        )
        return
    rows = _read_file(file, recipe, settings)
    if sha256 is not None and rows_hash((row.input, row.output) for row in rows) != sha256:
        progress.say(f"{file.name} has changed since the first version was trained on it: it is left out. Give the old file with --data")
        return
    keep_batch(line, rows, "original", learnt=True, now=now)
    progress.say(f"the {len(rows):,} rows of the first version are kept with the line, in {line.folder / 'rows'}, for later ones")


def keep_file(file: Path, line: Line, recipe: Recipe, names: ColumnNames, now: datetime, progress: Progress) -> None:
    """Keep the rows of a given file with the line, and report their number.

    Rows that are exactly those that a version was trained on are never held out. Raises DataError for a file that cannot be read.
    """
    asked = recipe.settings(DataSettings).model_copy(update={"input": names.input, "label": names.label, "max_rows": None})
    rows = _read_file(file, recipe, asked, names.remembered)
    if rows_hash((row.input, row.output) for row in rows) in _trained_on(line):
        keep_batch(line, rows, "original", learnt=True, now=now)
        progress.say(f"{len(rows):,} rows of {file.name} are what a version of the line was trained on: none of them is held out")
        return
    new = keep_batch(line, rows, "data", learnt=False, now=now)
    progress.say(f"{len(rows):,} rows of {file.name} " + ("are kept with the line" if new else "were with the line already"))
    pointer = line.read()
    if pointer.history and pointer.history[0].by == "hand" and all(batch.source != "original" for batch in pointer.rows):
        progress.say(
            f"the line does not know the training data of its first version. If rows of {file.name} were in it, the comparison is "
            "unfair: that version has seen the held-out ones. Give the file that it was trained on, unchanged"
        )


def _trained_on(line: Line) -> frozenset[str]:
    """Return the hashes of the training rows of the line's versions, from their manifests."""
    found = set[str]()
    for id in line.versions():
        with suppress(BundleError):  # opening the version reports it
            manifest = read_manifest(line.version(id))
            found |= {manifest.data.sha256} if manifest.data is not None else set()
    return frozenset(found)


def collect_rows(
    line: Line,
    pointer: LinePointer,
    recipe: Recipe,
    form: Form | None,
    capture: TrafficSettings,
    *,
    revoked: datetime | None = None,
    now: datetime | None = None,
) -> LearningRows:
    """Collect the line's rows and the captured ones, by side.

    Args:
        form: of the champion; None if there is none.
        revoked: the line's latest revocation: held-out rows from before it are dropped.
        now: with `revoked`, rows dated later than this are dropped, too.

    Raises BundleError if rows of the line are missing or changed; TrafficError if the store cannot be read.
    """
    rows: list[tuple[SplitSide, LineRow]] = []
    sides = LineSides(line, pointer)
    for batch in pointer.rows:
        if capture.since is not None and batch.at < capture.since:
            continue
        for text, output in read_batch(line, batch):
            rows.append((sides.of(text, batch), LineRow(Row(text, output), batch.source, batch.at)))
    found = traffic_rows.CapturedRows()
    if capture.use:
        plain: Task = registry.find("tasks", recipe.task)
        settings = recipe.asked
        if form is None and rows:
            form = plain.form([one.row for _, one in rows], settings)
        task = plain.formed(form) if form is not None else plain
        with traffic_rows.open_traffic() as store:
            if store is not None:
                found = traffic_rows.rows_of_pairs(
                    captured_pairs(store, pointer, capture, capture.since), task, form, settings, pointer.key
                )
                found.seen = store.seen(capture.since)
    return replace(split_rows([*rows, *found.rows], found.teachers, found.unusable, since=revoked, until=now), seen=found.seen)


def count_new_pairs(
    line: Line,
    capture: TrafficSettings,
    most: int | None = None,
    grown: float = 0.0,
    *,
    before: dict[datetime, int] | None = None,
    now: datetime | None = None,
) -> int:
    """Count the captured pairs that came since the line last learnt, up to `most`.

    All pairs count if there is no line yet, or if its last learning has a date in the future, which comes from a clock that ran ahead. With
    `grown`, return 0 if the new pairs are fewer than that share of the pairs from before.

    Args:
        before: cache for repeated calls: the number of pairs before each last learning. Filled in here.
        now: pairs dated later than this come from a clock that ran ahead. They do not count, or they would stay new for ever.
    """
    now = now or datetime.now(UTC)
    pointer = line.read() if is_line(line.folder) else None
    last = pointer.last.at if pointer is not None and pointer.last is not None and pointer.last.at <= now else None
    since = max((moment for moment in (last, capture.since) if moment is not None), default=None)
    known = pointer if pointer is not None else LinePointer(name=line.folder.resolve().name[:100] or "model", key="0" * 32)
    counted = {} if before is None else before
    with traffic_rows.open_traffic() as store:
        if store is None:
            return 0
        if grown and last is not None and last not in counted:
            counted[last] = _count(store, known, capture, capture.since, last)
        wanted = math.ceil(grown * counted.get(last, 0)) if last is not None else 0
        found = _count(store, known, capture, since, now)
    return 0 if found < wanted else found if most is None else min(found, max(most, wanted))


def _count(store: TrafficStore, pointer: LinePointer, capture: TrafficSettings, since: datetime | None, until: datetime) -> int:
    """Count the pairs that `captured_pairs` would yield."""
    named = sum(store.pair_count(source.asked, since, until, source.template) for source in traffic_sources(pointer, capture))
    frames: dict[str, list[PromptFrame]] = {}
    for job in pointer.jobs:
        if capture.template in (None, job.template):
            frames.setdefault(job.template, []).append(job.frame)
    of_jobs = sum(store.pair_count(capture.asked, since, until, name, mine if all(mine) else ()) for name, mine in frames.items())
    return named + of_jobs


def traffic_sources(pointer: LinePointer, capture: TrafficSettings) -> tuple[TrafficSource, ...]:
    """Return the sources to read besides the line's jobs, without overlap.

    These are the line's own name and the one asked for, unless the line has jobs, and the sources that the line remembers.
    """
    own = () if pointer.jobs else tuple(dict.fromkeys((pointer.name[:200], *([capture.asked] if capture.asked else []))))
    every = [TrafficSource(asked=name, template=capture.template) for name in own]
    for source in pointer.sources:
        if source.template is None:
            every.append(source.model_copy(update={"template": capture.template}))
        elif capture.template in (None, source.template):
            every.append(source)
    whole = {source.asked for source in every if source.template is None}
    return tuple(dict.fromkeys(source for source in every if source.template is None or source.asked not in whole))


def remember_source(line: Line, pointer: LinePointer, capture: TrafficSettings) -> LinePointer:
    """Let the line keep reading requests that asked for `capture.asked`, if some with an answer exist, and return its pointer.

    In a line with jobs, the name only narrows the jobs' requests, and is not remembered. Raises InputError if the line has too many
    sources; TrafficError if the store cannot be read.
    """
    if not capture.use or capture.asked is None or pointer.jobs or (capture.asked, capture.template) == (pointer.name, None):
        return pointer
    new = TrafficSource(asked=capture.asked, template=capture.template)
    if new in pointer.sources:
        return pointer
    with traffic_rows.open_traffic() as store:
        if store is None or not store.pair_count(new.asked, None, None, new.template):
            return pointer

    def added(found: LinePointer) -> LinePointer:
        if len(found.sources) >= MOST_SOURCES:
            raise InputError("flows.line_learns_from_too_many_names", value=len(found.sources))
        return found if new in found.sources else found.model_copy(update={"sources": (*found.sources, new)})

    return line.change(added)


def forget_source(line: Line, name: str) -> LinePointer:
    """Stop reading a source, which is a name that requests asked for or the id of a job. Returns the line's pointer.

    Raises InputError if the line has no such source.
    """

    def removed(found: LinePointer) -> LinePointer:
        sources = tuple(source for source in found.sources if source.asked != name)
        jobs = tuple(job for job in found.jobs if job.id != name)
        if (sources, jobs) == (found.sources, found.jobs):
            known = ", ".join([*dict.fromkeys(source.asked for source in found.sources), *(job.id for job in found.jobs)])
            raise InputError("flows.line_does_not_learn_from_this", value=name, known=known or "requests that name it alone")
        return found.model_copy(update={"sources": sources, "jobs": jobs})

    return line.change(removed)


def describe_sources(pointer: LinePointer, capture: TrafficSettings) -> tuple[str, ...]:
    """Describe in words what a learning cycle reads."""
    named = [
        f"requests that asked for {source.asked}" + (f" ({source.template})" if source.template else "")
        for source in traffic_sources(pointer, capture)
    ]
    jobs = [f"the job {job.id}" for job in pointer.jobs if capture.template in (None, job.template)]
    files = [f"{len(pointer.rows)} {'file' if len(pointer.rows) == 1 else 'files'} of rows"] if pointer.rows else []
    return (*files, *((*jobs, *named) if capture.use else ()))


def captured_pairs(
    store: TrafficStore, pointer: LinePointer, capture: TrafficSettings, since: datetime | None, until: datetime | None = None
) -> Iterator[_OfJobs]:
    """Yield the captured pairs of the line's jobs and sources, each once, in the order of arrival, with the scopes of its jobs."""
    templates = dict.fromkeys(job.template for job in pointer.jobs if capture.template in (None, job.template))
    of_each = [_of_line_jobs(store.pairs(capture.asked, None, since, until, name), pointer, name) for name in templates]
    of_each += [
        _without_jobs(store.pairs(source.asked, None, since, until, source.template)) for source in traffic_sources(pointer, capture)
    ]
    return _once(heapq.merge(*of_each, key=lambda entry: (entry[0].time, entry[0].id)))


def _without_jobs(pairs: Iterator[TrafficPair]) -> Iterator[_OfJobs]:
    """Yield pairs as belonging to no job."""
    return ((pair, ()) for pair in pairs)


def _once(pairs: Iterator[_OfJobs]) -> Iterator[_OfJobs]:
    """Yield each pair once, with all of its jobs: one may match one job by its template, and another by its kind."""
    for _, same in itertools.groupby(pairs, key=lambda entry: entry[0].id):
        every = list(same)
        yield every[0][0], tuple(dict.fromkeys(scope for _, jobs in every for scope in jobs))


def _of_line_jobs(pairs: Iterator[TrafficPair], pointer: LinePointer, template: str) -> Iterator[_OfJobs]:
    """Yield the pairs of a template that belong to the line's jobs."""
    frames = [(job.scope, job.frame) for job in pointer.jobs if job.template == template]
    for pair in pairs:
        if jobs := tuple(scope for scope, frame in frames if frame.holds(pair.input)):
            yield pair, jobs


def _read_file(file: Path, recipe: Recipe, settings: DataSettings, remembered: tuple[str | None, str | None] = (None, None)) -> list[Row]:
    task: Task = registry.find("tasks", recipe.task)
    asked = recipe.asked
    table = open_table(file, remembered=remembered, settings=settings, most_labels=task.most_columns)
    bad: list[DataError] = []
    rows = list(table.rows(lambda cell: task.parse(cell, asked), bad=bad.append, placed=task.place))
    if not rows:
        raise bad[0] if bad else DataError("flows.file_has_no_rows", value=file.name, file=file.name)
    return rows


# A line's reservoir: a few captured rows of each label that the store may keep longer than others.
#
# Requests that a line answers locally are no longer captured from the large model, and older captured rows go after `--capture-days`: a
# label that is always answered locally would run out of rows. So each learning marks up to `MOST_OF_A_LABEL` of its rows of each label in
# the store of traffic. `smidgen serve --capture-keep-days` sets how long marked rows live. Commands that delete requests (`smidgen traffic
# --delete-user`, `--delete-older`, `--delete-bundle`) delete them, too.
#
# Only rows to learn from are marked. A sample with the same number of rows of each label is not like the traffic, and could certify
# nothing.

MOST_OF_A_LABEL = 50
MOST_UNLABELLED = 1_000
"""For outputs without labels, such as texts and fields, which all form one group."""
MOST = 20_000


def mark_reservoir(pointer: LinePointer, rows: Sequence[LineRow], capture: TrafficSettings, *, labelled: bool) -> int:
    """Mark the line's reservoir among the rows of a learning cycle. Returns its size.

    If the cycle saw only a part of the captured rows (`--since`, `--template`), earlier marks stay. Raises TrafficError if the store cannot
    be written.
    """
    if not capture.use:
        return 0
    with traffic_rows.open_traffic() as store:
        if store is None:
            return 0
        partial = capture.since is not None or capture.template is not None
        return store.keep(reservoir_name(pointer), choose_reservoir(rows, pointer.key, labelled=labelled), add=partial)


def choose_reservoir(rows: Sequence[LineRow], key: str, *, labelled: bool) -> list[str]:
    """Choose the request ids of the reservoir.

    Each label takes people's corrections first, then a draw keyed by the text. The same texts are drawn each time, so rows that live longer
    are no other sample than the rest.

    Args:
        rows: rows that are learnt from.
        key: the line's.
        labelled: whether an output is a label or a list of labels.
    """
    groups: dict[str, list[LineRow]] = defaultdict(list)
    for taken in rows:
        if taken.id:
            for label in _labels(taken.row.output, labelled):
                groups[label].append(taken)
    kept: dict[str, None] = {}
    for label, members in sorted(groups.items()):
        members.sort(key=lambda taken: (-RANK[taken.source], keyed_draw(taken.row.input, key, "reservoir")))
        kept |= dict.fromkeys(taken.id for taken in members[: MOST_OF_A_LABEL if label else MOST_UNLABELLED])
    return list(kept)[:MOST]


def reservoir_name(pointer: LinePointer) -> str:
    """Return the name of the line in the store: a hash of its key. The key itself decides what is held out, and stays in the line."""
    return hashlib.blake2b(pointer.key.encode(), person=b"reservoir", digest_size=16).hexdigest()


def _labels(output: Any, labelled: bool) -> list[str]:
    if labelled and isinstance(output, str):
        return [output]
    if isinstance(output, list):
        spans = [entry.get("label") if isinstance(entry, dict) else entry for entry in output]
        return sorted({label for label in spans if isinstance(label, str)}) or [""]
    return [""]
