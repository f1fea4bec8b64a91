"""The findings of the newest look at a project's data, as far as they still hold: an item that was mended, or kept on purpose, is gone."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from smidgen.bases.starter import starters
from smidgen.core.errors import InputError
from smidgen.store.files import home, write
from smidgen.studio.flows.data.personal_data import can_redact, holds_personal_data
from smidgen.studio.flows.look import FINDINGS, newest_look, read_look
from smidgen.studio.store.data_rows import DataRow, ProjectRows, RowFilter
from smidgen.studio.store.projects import StudioStore

MOST_KEPT = 100_000
_BATCH = 1_000
_LOCK_SECONDS = 10
_MIX_UPS = 5

Shape = Literal["relabel", "drop", "decide", "names", "redact", "base", "facts"]
"""How an item is mended: a row gets another label; a row is removed; rows with one text get one label; labels are merged; personal data is
replaced by placeholders; the model starts from another base; not at all."""


@dataclass(frozen=True, slots=True)
class LabelRows:
    """A label, and how many rows have it."""

    label: str
    rows: int


@dataclass(frozen=True, slots=True, config=ConfigDict(json_schema_serialization_defaults_required=True))
class FindingItem:
    """One place of a finding.

    Attributes:
        id: names it for as long as it stays the same.
        rows: the rows concerned; to be mended are all of them.
        other: the row that the first one repeats.
        names: labels, the one to keep first.
        proposed: the label that fits better; of a label with few rows, the nearest one.
        chance: the probability of that label, or how similar two texts are.
        why: why two labels look alike, or how similar two texts are.
    """

    id: str
    rows: tuple[DataRow, ...] = ()
    other: DataRow | None = None
    names: tuple[LabelRows, ...] = ()
    proposed: str | None = None
    chance: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class OpenFinding:
    """A finding, and those of its items that still hold. `count` is what the look counted, `open` the items that still hold, of which
    `items` are the first; a note without items is a plain fact."""

    kind: str
    severity: Literal["error", "warning", "note"]
    count: int
    text: str
    todo: str
    shape: Shape
    details: Mapping[str, Any]
    open: int
    items: tuple[FindingItem, ...]


def open_findings(store: StudioStore, project: str) -> list[OpenFinding]:
    """The findings of the newest look that has ended, each with the items that still hold."""
    _, told = newest_look(store, project)
    found = read_look(told, FINDINGS) if told is not None else None
    if found is None:
        return []
    rows = store.rows(project)
    keys = {key for finding in found for key in _keys(finding)}
    now = _Now(_rows(rows, keys), {output: number for output, number in rows.outputs() if isinstance(output, str)})
    kept = kept_items(project)
    opened = [_opened(finding, now, kept) for finding in found]
    # Where answers repeat their text, such rows can only be removed.
    return (
        opened
        if can_redact(store.project(project).task)
        else [replace(one, shape="drop") if one.shape == "redact" else one for one in opened]
    )


def open_suspects(store: StudioStore, project: str) -> list[FindingItem]:
    """The rows that look mislabelled, the surest first."""
    return [item for finding in open_findings(store, project) if finding.kind == "mislabels" for item in finding.items]


def item_id(kind: str, *parts: Any) -> str:
    """The id of an item of a finding."""
    return hashlib.blake2b(json.dumps([kind, *parts], ensure_ascii=False).encode("utf-8"), digest_size=8).hexdigest()


def kept_items(project: str) -> frozenset[str]:
    """Ids of the items that somebody keeps as they are."""
    file = _kept_file(project)
    return frozenset(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else frozenset()


def keep_items(project: str, ids: Iterable[str], kept: bool) -> None:
    """Keep items as they are, so that no look shows them again; or keep them no longer. Raises InputError for too many."""
    file = _kept_file(project)
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock"), timeout=_LOCK_SECONDS):
        changed = kept_items(project) | set(ids) if kept else kept_items(project) - set(ids)
        if len(changed) > MOST_KEPT:
            raise InputError("studio.too_many_findings_are_kept_as_they_are", value=f"{len(changed):,}")
        write(file, json.dumps(sorted(changed)).encode("utf-8"))


def _kept_file(project: str) -> Path:
    return home() / "studio" / "projects" / project / "kept.json"


@dataclass(frozen=True, slots=True)
class _Now:
    """The newest rows that findings name, by key, and how many rows each label has."""

    rows: Mapping[int, DataRow]
    labels: Mapping[str, int]


def _rows(rows: ProjectRows, keys: Iterable[int]) -> dict[int, DataRow]:
    wanted = sorted(keys)
    found = {}
    for start in range(0, len(wanted), _BATCH):
        found.update({row.key: row for row in rows.page(0, _BATCH, RowFilter(keys=wanted[start : start + _BATCH]))})
    return found


def _keys(finding: Mapping[str, Any]) -> Iterator[int]:
    details = finding["details"]
    yield from finding["rows"]
    for one, other, *_ in details.get("pairs", []) if finding["kind"].startswith(("duplicates", "leakage")) else []:
        yield one
        yield other
    yield from (proposal["row"] for proposal in details.get("proposals", []))
    yield from (row["row"] for text in (details.get("texts", []) if finding["kind"] == "conflicts" else []) for row in text)


def _opened(finding: Mapping[str, Any], now: _Now, kept: frozenset[str]) -> OpenFinding:
    kind, details = finding["kind"], finding["details"]
    shape, read = _READERS.get(kind, ("drop", _row_items) if finding["rows"] else ("facts", _no_items))
    items = tuple(item for item in read(kind, finding, now) if item.id not in kept)
    shown = {name: value for name, value in details.items() if name not in ("proposals", "texts", "pairs")}
    if "mixed" in shown:  # of the rows that are still open
        shown["mixed"] = dict(Counter(f"{item.rows[0].output} → {item.proposed}" for item in items).most_common(_MIX_UPS))
    return OpenFinding(kind, finding["severity"], finding["count"], finding["text"], finding["todo"], shape, shown, len(items), items)


def _no_items(kind: str, finding: Mapping[str, Any], now: _Now) -> Iterator[FindingItem]:
    yield from ()


def _row_items(kind: str, finding: Mapping[str, Any], now: _Now) -> Iterator[FindingItem]:
    for key in finding["rows"]:
        if key in now.rows:
            yield FindingItem(item_id(kind, key), (now.rows[key],))


def _personal(kind: str, finding: Mapping[str, Any], now: _Now) -> Iterator[FindingItem]:
    for item in _row_items(kind, finding, now):
        if holds_personal_data(item.rows[0]):
            yield item


def _suspects(kind: str, finding: Mapping[str, Any], now: _Now) -> Iterator[FindingItem]:
    for entry in finding["details"].get("proposals", []):
        row = now.rows.get(entry["row"])
        if row is not None and row.output == entry["label"]:
            yield FindingItem(suspect_id(row.key, entry["label"]), (row,), proposed=entry["proposed"], chance=entry["proposed_chance"])


def suspect_id(key: int, label: str) -> str:
    """The id of a row that looks mislabelled."""
    return item_id("mislabels", key, label)


def _repeats(kind: str, finding: Mapping[str, Any], now: _Now) -> Iterator[FindingItem]:
    for first, repeat, *similarity in finding["details"].get("pairs", []):
        one, other = now.rows.get(first), now.rows.get(repeat)
        if one is not None and other is not None and one.output == other.output:
            yield FindingItem(item_id(kind, repeat, first), (other,), one, chance=similarity[0] if similarity else None)


def _leaks(kind: str, finding: Mapping[str, Any], now: _Now) -> Iterator[FindingItem]:
    for train, test, *similarity in finding["details"].get("pairs", []):
        one, other = now.rows.get(train), now.rows.get(test)
        if one is not None and other is not None and (one.part, other.part) == ("train", "test"):
            yield FindingItem(item_id(kind, train, test), (one,), other, chance=similarity[0] if similarity else None)


def _conflicts(kind: str, finding: Mapping[str, Any], now: _Now) -> Iterator[FindingItem]:
    for text in finding["details"].get("texts", []):
        rows = tuple(now.rows[entry["row"]] for entry in text if entry["row"] in now.rows)
        counts: dict[str, int] = {}
        for row in rows:
            if isinstance(row.output, str):
                counts[row.output] = counts.get(row.output, 0) + 1
        if len(counts) > 1:
            ranked = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
            majority = ranked[0][0] if ranked[0][1] > ranked[1][1] else None
            names = tuple(LabelRows(*one) for one in ranked)
            yield FindingItem(item_id(kind, sorted((row.key, row.output) for row in rows)), rows, names=names, proposed=majority)


def _merges(groups: Callable[[Mapping[str, Any]], Iterable[tuple[Sequence[str], str]]], least: int) -> Any:
    """A reader of findings about labels: groups of names, the one to keep first, of which `least` must still have rows."""

    def read(kind: str, finding: Mapping[str, Any], now: _Now) -> Iterator[FindingItem]:
        nearest = finding["details"].get("nearest", {})
        for group, why in groups(finding["details"]):
            names = tuple(LabelRows(name, now.labels[name]) for name in group if now.labels.get(name))
            if len(names) >= least:
                proposed = nearest.get(group[0])
                into = proposed if now.labels.get(proposed) else None
                yield FindingItem(item_id(kind, sorted(group)), names=names, proposed=into, why=why)

    return read


def _languages(kind: str, finding: Mapping[str, Any], now: _Now) -> Iterator[FindingItem]:
    """One item for a base that reads the texts' languages; without the need for one, the few rows in another language."""
    base = finding["details"].get("base")
    if base is None:
        yield from _row_items(kind, finding, now)
    elif not starters()[base].here():
        yield FindingItem(item_id(kind, base), proposed=base)


_READERS: Mapping[str, tuple[Shape, Callable[[str, Mapping[str, Any], _Now], Iterator[FindingItem]]]] = {
    "mislabels": ("relabel", _suspects),
    "personal": ("redact", _personal),
    "language": ("base", _languages),
    "conflicts": ("decide", _conflicts),
    "duplicates": ("drop", _repeats),
    "duplicates.near": ("drop", _repeats),
    "leakage": ("drop", _leaks),
    "leakage.near": ("drop", _leaks),
    "label_names": ("names", _merges(lambda details: ((list(names), "") for names in details.get("variants", [])), 2)),
    "label_names.alike": ("names", _merges(lambda details: ((pair[:2], pair[2]) for pair in details.get("pairs", [])), 2)),
    "label_names.missing": ("names", _merges(lambda details: (([name], "") for name in details.get("labels", {})), 1)),
    "counts.once": ("names", _merges(lambda details: (([name], "") for name in details.get("labels", [])), 1)),
    "counts.few": ("names", _merges(lambda details: (([name], "") for name in details.get("labels", {})), 1)),
}
