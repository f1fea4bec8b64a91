"""Find out whether a bundle, or the line that it is a version of, was trained on a text, chosen by it, or tested on it.

A sample that the bundle has seen does not show how it does on new texts. A line holds only a keyed hash of each text.
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
from smidgen.store.files import file_hash
from smidgen.store.line import Line, LinePointer, is_version, line_of
from smidgen.text import near_duplicates

# A line's knowledge of texts: whether its versions learnt from them, were chosen by them, or are tested on them.

_OF_CAPTURE = frozenset({"upstream", "human"})
_FIRST = (SplitSide.LEARNING, SplitSide.CHOOSING, SplitSide.CERTIFYING)
"""If a text was on several sides, the first of these counts."""
_Met: TypeAlias = tuple[str, SplitSide, datetime | None]

Use = Literal["", "learnt", "chose", "old", "tests"]
"""A line's use of a text.

- "": none;
- "learnt": this or another version learns from it;
- "chose": it chose between versions;
- "old": it is from before the latest revocation;
- "tests": the line tests its versions on it.
"""


@dataclass(frozen=True)
class _KnownText:
    """The side of a text, and the time when it came last; None if unknown."""

    side: SplitSide
    at: datetime | None


class LineTexts:
    """The texts that one version of a line must know. Made by `texts_of_line`.

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
        """Return the line's use of a text."""
        known = self._known.get(text_name(text, self._pointer.key))
        if known is None:
            # No record says which held-out texts chose an older version, but their side can be computed.
            return "chose" if self._by_draw and assign_held_side(text, self._pointer.key) is SplitSide.CHOOSING else ""
        if known.side is not SplitSide.CERTIFYING:
            return "learnt" if known.side is SplitSide.LEARNING else "chose"
        since = self._pointer.fresh_since
        return "old" if since is not None and (known.at is None or known.at <= since) else "tests"

    @contextmanager
    def look(self) -> Iterator[SampleLook]:
        """Count one more look at the line's calibration set, before anything is seen, under the line's lock for learning.

        Raises LineBusy if another process learns; BundleError if the look cannot be recorded.
        """
        with self.line.learning():
            after = self.line.change(lambda found: found.model_copy(update={"looks": found.looks + 1}))
            look = SampleLook(after.looks)
            yield look
            if look.in_vain:
                self.line.change(lambda found: found.model_copy(update={"looks": max(0, found.looks - 1)}))


@dataclass
class SampleLook:
    """The number of a look. Set `in_vain` if nothing was seen: the look is then taken back."""

    number: int
    in_vain: bool = False


def texts_of_line(folder: Path, manifest: Manifest, now: datetime) -> LineTexts | None:
    """Return the texts of the line whose version lies in this folder; None for a bundle outside a line. The line records its revocations.

    Raises:
        BundleError: the line's pointer, its rows or its record of texts cannot be read; or the version learnt from captured requests before
            lines kept that record.
        TrafficError: the store of traffic cannot be read.
    """
    line = line_of(folder)
    if line is None:
        if manifest.lineage is not None and is_version(folder):
            raise BundleError("flows.version_line_is_missing", value=str(folder.resolve().parent.parent))
        return None
    pointer = holdout.remember_revocations(line, holdout.known_revocations(line), now)
    record = holdout.read_seen(line)
    lineage = manifest.lineage
    unlisted = lineage is not None and manifest.id not in record.versions
    if lineage is not None and unlisted and _OF_CAPTURE & set(lineage.sources):
        raise BundleError("flows.there_is_no_record_of_captured_texts", name=manifest.id, folder=line.folder)
    return LineTexts(line, pointer, (*((name, side, None) for name, side in record.texts), *_met(line, pointer)), unlisted)


def _met(line: Line, pointer: LinePointer) -> Iterator[_Met]:
    """Yield the texts, kept and captured, that the line would learn from, choose by and test on now."""
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


# A bundle's knowledge of the data that it was made from. For a version of a line, the line knows.

_TRAINING = "training"
TESTED_ON = "the data that the bundle was tested on"


@dataclass(frozen=True)
class KnownData:
    """The data that a bundle has seen.

    Attributes:
        hashes: of rows as read, and of files, each with a description.
        texts: folded texts of rows that it was made from or measured on. From a file, either all are known or none. The few that its report
            shows do not count: they were picked by whether the answers were right, and a sample without them would be easier.
        unchecked: what could not be checked, in words.
        own: the line's knowledge; None for a bundle outside a line.
        taught: those of `texts` that are training data.
    """

    hashes: dict[str, str]
    texts: frozenset[str]
    unchecked: tuple[str, ...]
    own: LineTexts | None = None
    taught: frozenset[str] = frozenset()

    @property
    def whose(self) -> str:
        """Subject and verb for messages about a known text, before "from"."""
        return "the bundle was made" if self.own is None else "the line learns"

    def refuse(self, file_sha256: str, rows_sha256: str, name: str) -> None:
        """Raise InputError if a file, or its rows, are those that the bundle was made from or measured on."""
        met = self.hashes.get(file_sha256) or self.hashes.get(rows_sha256)
        if met:
            raise InputError("flows.data_were_used_for_this_bundle", value=name, met=met)

    def knows(self, text: Text) -> bool:
        """Return True if a text is in a file that the bundle was made from or measured on, or its line learns from it.

        Case, punctuation and spaces do not matter.
        """
        return near_duplicates.fold_text(joined(text)) in self.texts or self.use(text) == "learnt"

    def learnt(self, text: Text) -> bool:
        """Return True if a text is in the bundle's training data, or its line learns from it.

        Case, punctuation and spaces do not matter.
        """
        return near_duplicates.fold_text(joined(text)) in self.taught or self.use(text) == "learnt"

    def use(self, text: Text) -> Use:
        """Return the line's use of a text; "" for a bundle outside a line."""
        return self.own.use(text) if self.own is not None else ""


def known_data(model: Model, report: Report, now: datetime, given: GivenTables | None = None) -> KnownData:
    """Collect the data that a bundle has seen.

    It comes from the manifest, the report, the recipe, and those of the recipe's files that still exist; for a version of a line, also from
    the line's record. Raises as `texts_of_line` does.

    `given`: the rows that it was built from, if they were in no files.
    """
    own = texts_of_line(model.folder, model.manifest, now)
    hashes: dict[str, str] = {}
    unchecked: list[str] = []
    training = model.manifest.data.sha256 if model.manifest.data is not None else report.data.sha256
    if training is not None:
        hashes[training] = "the data that the bundle was trained on"
    else:
        unchecked.append("whether this is the training data, because the bundle does not say what it was made from")
    if report.data.test_sha256 is not None:
        hashes[report.data.test_sha256] = TESTED_ON
    texts, taught = set[str](), set[str]()
    for role, table in ((_TRAINING, given.train), ("test", given.test)) if given else ():
        if table is not None:
            found = _texts(table)
            texts |= found
            taught |= found if role == _TRAINING else set()
    # A version that was learnt is built from rows that were in no files.
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
    """Return the data files that the bundle's recipe names, by role."""
    try:
        data = tomllib.loads((folder / "recipe.toml").read_text(encoding="utf-8")).get("data", {})
    except (OSError, ValueError):
        return {}
    named = {role: data.get(key) for role, key in ((_TRAINING, "train"), ("test", "test"))} if isinstance(data, dict) else {}
    return {role: name for role, name in named.items() if isinstance(name, str) and name != "-"}


def _found(name: str, folder: Path) -> Path | None:
    """Find a recipe's file here or beside the bundle. Its path starts from the recipe's old folder, which the bundle does not know."""
    places = (Path(name).expanduser(), folder.resolve().parent / name)
    return next((place for place in places if place.is_file()), None)


def _whole(record: dict[str, Any], names: tuple[str, ...]) -> bool:
    return all(isinstance(record.get(name), str) and record[name].strip() and "\0" not in record[name] for name in names)
