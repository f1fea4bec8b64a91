"""Captured requests as rows: what the large model, or a person, answered, read as the task's own output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from smidgen.core.parts import Form, Task, Teachable
from smidgen.core.rows import Row
from smidgen.core.settings import Settings
from smidgen.data.sides import Side, held_side
from smidgen.flows.learning.material import Source, Taken
from smidgen.store.traffic.database import url_of
from smidgen.store.traffic.shapes import Pair
from smidgen.store.traffic.store import opened

LEAST_OF_A_NEW_LABEL = 5
"""Rows to learn from that a label must have which the champion does not know: a large model's slip is no new label."""
_LONGEST_LABEL = 60
_LONGEST_OTHER = 100
"""Characters that are kept of an answer which is no label: no more is needed to disagree with it."""


class Stored(Protocol):
    """What is asked of a store of traffic."""

    def pairs(
        self,
        asked: str,
        held_out: bool | None = False,
        since: datetime | None = None,
        until: datetime | None = None,
        template: str | None = None,
    ) -> Iterator[Pair]:
        """Texts with answers, the oldest first."""
        ...


@dataclass
class Captured:
    """Rows with their sides, the large models that answered, and what was left out, by the reason."""

    rows: list[tuple[Side, Taken]] = field(default_factory=list)
    teachers: set[str] = field(default_factory=set)
    unusable: Counter[str] = field(default_factory=Counter)


@contextmanager
def store(url: str | None = None) -> Iterator[Stored | None]:
    """The store of traffic; None where none was named and nothing was ever captured: learning makes none. Raises as `opened` does."""
    place = url_of(url)
    if url is None and place.drivername == "sqlite" and not Path(str(place.database)).is_file():
        yield None
        return
    with opened(url) as traffic:
        yield traffic


def taken(pairs: Iterable[Pair], task: Task, form: Form | None, settings: Settings, key: str) -> Captured:
    """Pairs as rows.

    An output that the task cannot read teaches nothing, and is left out. Of held-out rows of labels it stays, as it stands: that the large
    model answered so is true, and that no small one agrees with it is what a certificate must count.

    Args:
        task: of this form.
        form: of the champion; None where there is none: outputs are then read as a file's cells.
        settings: the task's own.
        key: the line's, by which held-out texts choose or certify.
    """
    found = Captured()
    new: list[tuple[Side, Taken]] = []
    for pair in pairs:
        side = held_side(pair.input, key) if pair.held_out else Side.LEARNING
        source: Source = "human" if pair.whose == "human" else "upstream"
        if source == "upstream":
            found.teachers.add(pair.model)
        row = Row(pair.input)
        one = Taken(row, source, pair.time, pair.local_score, pair.local_output)
        try:
            output = _heard(pair.reference, pair.input, task, form, settings)
        except ValueError:
            label = _label(pair.reference) if task.name == "classify" else None
            multi = bool(getattr(settings, "multi_label", False))
            if label is not None and not multi:
                new.append((side, replace(one, row=replace(row, output=label), heard=False)))
            elif task.name == "classify" and side is not Side.LEARNING:
                other = " ".join(pair.reference.split())[:_LONGEST_OTHER]
                found.rows.append((side, replace(one, row=replace(row, output=[other] if multi else other), heard=False)))
            else:
                found.unusable["the answer is none of the task's"] += 1
            continue
        found.rows.append((side, replace(one, row=replace(row, output=output))))
    spelt = _spellings(one.row.output for side, one in new if side is Side.LEARNING)
    for side, said in new:
        known = spelt.get(said.row.output.casefold())
        learnt = known is not None
        one = replace(said, row=replace(said.row, output=known)) if learnt else said
        if side is Side.LEARNING and not learnt:
            found.unusable["a label that is too rare to be learnt"] += 1
        else:
            found.rows.append((side, replace(one, heard=learnt)))
    return found


def _spellings(labels: Iterable[str]) -> dict[str, str]:
    """The new labels that come often enough, folded, each as it is spelt most often."""
    counts = Counter(labels)
    totals: Counter[str] = Counter()
    for label, count in counts.items():
        totals[label.casefold()] += count
    spelt: dict[str, str] = {}
    for label, _ in counts.most_common():
        if totals[label.casefold()] >= LEAST_OF_A_NEW_LABEL:
            spelt.setdefault(label.casefold(), label)
    return spelt


def _heard(reference: str, text: str, task: Task, form: Form | None, settings: Settings) -> Any:
    if form is not None and isinstance(task, Teachable):
        return task.heard(reference, form, text)
    parsed = task.parse(reference.strip(), settings)
    if task.name == "classify" and isinstance(parsed, str):
        raise ValueError("whether it is a label shows when it comes again")
    return parsed


def _label(reference: str) -> str | None:
    """An answer as a label that nobody has heard of; None where it is too long for one."""
    said = reference.strip().rstrip(".").strip("\"'` ")
    return said if said and len(said) <= _LONGEST_LABEL and "\n" not in said else None
