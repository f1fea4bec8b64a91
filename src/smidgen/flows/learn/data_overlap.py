"""What a bundle, or the line whose version it is, knows of a text: whether it was trained on it, chosen by it, or tested on it.

A sample that the bundle has met says nothing of how it does on others. Of a line no more than a keyed hash of each text is held.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from smidgen.bundles.manifest import Manifest
from smidgen.core.errors import BundleError, DataError, InputError
from smidgen.core.rows import Text, joined
from smidgen.data.splits import SplitSide, assign_held_side
from smidgen.data.tables import DataTable, open_table
from smidgen.flows.build.work import GivenTables
from smidgen.flows.learn import holdout, line_data, traffic_rows
from smidgen.flows.learn.holdout import LineSides, text_name
from smidgen.flows.learn.settings import TrafficSettings
from smidgen.flows.local_model import Model
from smidgen.judge.report import Report
from smidgen.store.hashing import file_hash
from smidgen.store.line import Line, LinePointer, is_version, line_of
from smidgen.text import near_duplicates

# What a line knows of a text: whether its versions learnt from it, were chosen by it, or are tested on it. No more than a keyed hash of
# each text is held.

_OF_CAPTURE = frozenset({"upstream", "human"})
_FIRST = (SplitSide.LEARNING, SplitSide.CHOOSING, SplitSide.CERTIFYING)
"""Of several sides that a text was on, the one that counts."""
_Met: TypeAlias = tuple[str, SplitSide, datetime | None]

Use = Literal["", "learnt", "chose", "old", "tests"]
"""What a line's version has of a text: nothing; it, or another version, learns from it; it chose between them; it is of before the latest
revocation; or it is one that the line tests its versions on."""


@dataclass(frozen=True)
class _KnownText:
    """The side of a text, and when it came last; None where that is not known."""

    side: SplitSide
    at: datetime | None


class LineTexts:
    """The texts of a line, as one of its versions must know them. Made by `of_version`.

    Attributes:
        line: the line.
    """

    def __init__(self, line: Line, pointer: LinePointer, met: Iterable[_Met], by_draw: bool) -> None:
        self.line = line
        self._pointer, self._by_draw = pointer, by_draw
        self._known: dict[str, _KnownText] = {}
        for name, side, at in met:
            before = self._known.get(name)
            if before is not None:
                side = min(side, before.side, key=_FIRST.index)
                at = max((moment for moment in (at, before.at) if moment is not None), default=None)
            self._known[name] = _KnownText(side, at)

    def use(self, text: Text) -> Use:
        """What it has of a text."""
        known = self._known.get(text_name(text, self._pointer.key))
        if known is None:
            # Which held-out texts chose an older version is not written down. Its side is.
            return "chose" if self._by_draw and assign_held_side(text, self._pointer.key) is SplitSide.CHOOSING else ""
        if known.side is not SplitSide.CERTIFYING:
            return "learnt" if known.side is SplitSide.LEARNING else "chose"
        since = self._pointer.fresh_since
        return "old" if since is not None and (known.at is None or known.at <= since) else "tests"

    @contextmanager
    def look(self) -> Iterator[SampleLook]:
        """One more look at the rows that the line tests its versions on, while nobody else learns. It is written down before anything is
        seen. Raises LineBusy where another process learns; BundleError where it cannot be written."""
        with self.line.learning():
            after = self.line.change(lambda found: found.model_copy(update={"looks": found.looks + 1}))
            look = SampleLook(after.looks)
            yield look
            if look.in_vain:
                self.line.change(lambda found: found.model_copy(update={"looks": max(0, found.looks - 1)}))


@dataclass
class SampleLook:
    """Which look it is. `in_vain` is set where nothing was seen: then it is taken back."""

    number: int
    in_vain: bool = False


def texts_of_line(folder: Path, manifest: Manifest, now: datetime) -> LineTexts | None:
    """What the line knows whose version lies in this folder; None for a bundle by itself. The line takes note of its revocations.

    Raises:
        BundleError: the line's pointer, its rows, or what it has written down of its texts cannot be read; or the version learnt from
            captured requests before a line wrote that down.
        TrafficError: the store of traffic cannot be read.
    """
    line = line_of(folder)
    if line is None:
        if manifest.lineage is not None and is_version(folder):
            raise BundleError(
                "the version's line is missing, and with it the record of what it learnt from",
                value=str(folder.resolve().parent.parent),
                todo="Put a copy of line.json back. Without it, the version could be certified on texts that it was trained on.",
            )
        return None
    pointer = holdout.remember_revocations(line, holdout.known_revocations(line), now)
    record = holdout.read_seen(line)
    lineage = manifest.lineage
    unlisted = lineage is not None and manifest.id not in record.versions
    if lineage is not None and unlisted and _OF_CAPTURE & set(lineage.sources):
        raise BundleError(
            "there is no record of the captured texts that this version learnt from: an older smidgen built it, or the record is lost",
            value=f"{manifest.id} in {line.folder}",
            todo="Let the line learn its next version, which is certified as it is made: smidgen learn.",
        )
    return LineTexts(line, pointer, (*((name, side, None) for name, side in record.texts), *_met(line, pointer)), unlisted)


def _met(line: Line, pointer: LinePointer) -> Iterator[_Met]:
    """The texts that the line would learn from, choose by and test on now: those that it keeps, and those that are captured."""
    sides = LineSides(line, pointer)
    for name in sides.learnt:
        yield name, SplitSide.LEARNING, None
    for batch in pointer.rows:
        for text, _ in line_data.read_batch(line, batch):
            yield text_name(text, pointer.key), sides.of(text, batch), batch.at
    with traffic_rows.open_traffic() as store:
        if store is None:
            return
        for pair, _ in line_data.captured_pairs(store, pointer, TrafficSettings(), None):
            side = assign_held_side(pair.input, pointer.key) if pair.held_out else SplitSide.LEARNING
            yield text_name(pair.input, pointer.key), side, pair.time


# What a bundle knows of the data it was made from: a sample that it has met says nothing of how it does on others. Of a version of a
# line it is the line that knows.

_TRAINING = "training"
TESTED_ON = "the data that the bundle was tested on"


@dataclass(frozen=True)
class KnownData:
    """What is known.

    Attributes:
        hashes: of rows as read, and of files, with what each is.
        texts: folded, of rows that it was made from or measured on. Of a file all of them are known, or none: the few that its report
            shows were picked by whether the answers were right, and a sample without those would be an easier one.
        unchecked: what cannot be told, in words.
        own: what its line knows, of a version of one.
        taught: of `texts`, those of the training data.
    """

    hashes: dict[str, str]
    texts: frozenset[str]
    unchecked: tuple[str, ...]
    own: LineTexts | None = None
    taught: frozenset[str] = frozenset()

    @property
    def whose(self) -> str:
        """Whose data it is that a text stands in, before "from"."""
        return "the bundle was made" if self.own is None else "the line learns"

    def refuse(self, file_sha256: str, rows_sha256: str, name: str) -> None:
        """Raise InputError where a file, or its rows, are those that the bundle was made from or measured on."""
        met = self.hashes.get(file_sha256) or self.hashes.get(rows_sha256)
        if met:
            raise InputError(
                f"this is {met}",
                value=name,
                todo="Give pairs that were used neither to train nor to choose the model. Only they show how it does on new texts.",
            )

    def knows(self, text: Text) -> bool:
        """Whether a text, but for case, punctuation and spaces, stands in a file that it was made from or measured on, or is one that its
        line learns from."""
        return near_duplicates.fold_text(joined(text)) in self.texts or self.use(text) == "learnt"

    def learnt(self, text: Text) -> bool:
        """Whether a text, but for case, punctuation and spaces, stands in the data that it was trained on, or its line learns from it."""
        return near_duplicates.fold_text(joined(text)) in self.taught or self.use(text) == "learnt"

    def use(self, text: Text) -> Use:
        """What its line has of a text; nothing for a bundle by itself."""
        return self.own.use(text) if self.own is not None else ""


def known_data(model: Model, report: Report, now: datetime, given: GivenTables | None = None) -> KnownData:
    """What the bundle's manifest, report and recipe say, and what the files that the recipe names hold, where they are still there; of a
    version, what its line has kept and written down. Raises as `texts_of_line` does.

    `given`: the rows that it was built from, where they were in no files.
    """
    own = texts_of_line(model.folder, model.manifest, now)
    hashes: dict[str, str] = {}
    unchecked: list[str] = []
    training = model.manifest.data.sha256 if model.manifest.data is not None else report.data.sha256
    if training is not None:
        hashes[training] = "the data that the bundle was trained on"
    else:
        unchecked.append("whether this is the training data, for the bundle does not say what it was made from")
    if report.data.test_sha256 is not None:
        hashes[report.data.test_sha256] = TESTED_ON
    texts, taught = set[str](), set[str]()
    for role, table in ((_TRAINING, given.train), ("test", given.test)) if given else ():
        if table is not None:
            found = _texts(table)
            texts |= found
            taught |= found if role == _TRAINING else set()
    # A version that was learnt is built of rows that were in no files.
    files = _named(model.folder) if not given and (own is None or model.manifest.lineage is None) else {}
    for role, name in files.items():
        file = _found(name, model.folder)
        if file is None:
            unchecked.append(f"whether texts stand in the {role} data, for {Path(name).name} is not at hand")
            continue
        hashes[file_hash(file)] = f"the bundle's {role} data"
        try:
            found = _texts(open_table(file, remembered=model.columns, need_label=False))
            texts |= found
            taught |= found if role == _TRAINING else set()
        except DataError as error:
            unchecked.append(f"whether texts stand in the {role} data ({error})")
    return KnownData(
        hashes,
        frozenset(map(near_duplicates.fold_text, texts)),
        tuple(unchecked),
        own,
        taught=frozenset(map(near_duplicates.fold_text, taught)),
    )


def _texts(table: DataTable) -> set[str]:
    return {joined(table.text(number, record)) for number, record in table.records() if _whole(record, table.input.names)}


def _named(folder: Path) -> dict[str, str]:
    """The data files that the bundle's recipe names, by what they were."""
    try:
        data = tomllib.loads((folder / "recipe.toml").read_text(encoding="utf-8")).get("data", {})
    except (OSError, ValueError):
        return {}
    named = {role: data.get(key) for role, key in ((_TRAINING, "train"), ("test", "test"))} if isinstance(data, dict) else {}
    return {role: name for role, name in named.items() if isinstance(name, str) and name != "-"}


def _found(name: str, folder: Path) -> Path | None:
    """A recipe's paths start from where it lay, which the bundle does not know: here, or beside the bundle, is likely."""
    places = (Path(name).expanduser(), folder.resolve().parent / name)
    return next((place for place in places if place.is_file()), None)


def _whole(record: dict[str, Any], names: tuple[str, ...]) -> bool:
    return all(isinstance(record.get(name), str) and record[name].strip() and "\0" not in record[name] for name in names)
