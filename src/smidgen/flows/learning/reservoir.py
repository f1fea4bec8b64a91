"""A line's reservoir: a few captured rows of each label, which the store may keep longer than others.

What a line answers by itself is no longer captured from the large model, and what was captured before goes after `--capture-days`: a label
that is always answered locally would run out of rows. So each learning marks up to `MOST_OF_A_LABEL` of its rows of each label in the store
of traffic, and `smidgen serve --capture-keep-days` says how long marked rows live. They stay rows of the store: whatever deletes requests
(`smidgen traffic --delete-user`, `--delete-older`, `--delete-bundle`) deletes them, too.

Only rows to learn from are marked. A sample with as many rows of each label is not like the traffic, and would certify nothing of it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from smidgen.data.sides import draw
from smidgen.flows.learning import captured
from smidgen.flows.learning.gathering import Capture
from smidgen.flows.learning.material import RANK, Taken
from smidgen.store.line import Pointer

MOST_OF_A_LABEL = 50
MOST_UNLABELLED = 1_000
"""Rows of outputs without labels, such as texts and fields, which are all of one kind."""
MOST = 20_000


def marked(pointer: Pointer, rows: Sequence[Taken], capture: Capture, *, labelled: bool) -> int:
    """Mark the line's reservoir among the rows of a learning; how many it holds now. Where the learning saw a part of the captured rows
    only (`--since`, `--template`), what was marked before stays. Raises TrafficError where the store cannot be written."""
    if not capture.use:
        return 0
    with captured.store(capture.url) as store:
        if store is None:
            return 0
        partial = capture.since is not None or capture.template is not None
        return store.keep(name_of(pointer), chosen(rows, pointer.key, labelled=labelled), add=partial)


def chosen(rows: Sequence[Taken], key: str, *, labelled: bool) -> list[str]:
    """The ids of the requests in the reservoir. Of each label what people corrected comes first, then a draw by the text: whenever it is
    made, the same texts are in it, so that rows which live longer are no other sample than the rest.

    Args:
        rows: that are learnt from.
        key: the line's.
        labelled: whether an output is a label, or a list of labels.
    """
    groups: dict[str, list[Taken]] = defaultdict(list)
    for taken in rows:
        if taken.id:
            for label in _labels(taken.row.output, labelled):
                groups[label].append(taken)
    kept: dict[str, None] = {}
    for label, members in sorted(groups.items()):
        members.sort(key=lambda taken: (-RANK[taken.source], draw(taken.row.input, key, "reservoir")))
        kept |= dict.fromkeys(taken.id for taken in members[: MOST_OF_A_LABEL if label else MOST_UNLABELLED])
    return list(kept)[:MOST]


def name_of(pointer: Pointer) -> str:
    """What the store knows the line by: its key decides what is held out, and is in no other place."""
    return hashlib.blake2b(pointer.key.encode(), person=b"reservoir", digest_size=16).hexdigest()


def _labels(output: Any, labelled: bool) -> list[str]:
    if labelled and isinstance(output, str):
        return [output]
    if isinstance(output, list):
        spans = [entry.get("label") if isinstance(entry, dict) else entry for entry in output]
        return sorted({label for label in spans if isinstance(label, str)}) or [""]
    return [""]
