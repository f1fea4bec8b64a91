"""The semantic cache: of texts that it would answer alike, how many ask for the same thing, by the encoder alone and with the words that
must not differ. It measures no time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass
from typing import Any, TypeAlias

import numpy as np

from bench import data, results
from bench.context import Context
from bench.data import Rows

NAME = "cache"
COLUMNS = (
    "texts",
    "similarity at least",
    "encoder alone: answered",
    "of these, the same label",
    "95 %",
    "as served: answered",
    "of these, the same label",
    "95 %",
)
LEASTS = (0.8, 0.85, 0.9, 0.95, 0.98)
SHOWN = 0.9
"""The similarity that `serve` has by default: of which the raw results show the pairs with two labels."""
_TOGETHER = 256
Pair: TypeAlias = tuple[tuple[str, str], tuple[str, str]]


@dataclass(frozen=True)
class Hits:
    """Of so many texts asked: how many get another's answer, and of these how many have its label."""

    asked: int
    answered: int
    same: int


def run(context: Context) -> None:
    """BANKING77 and CLINC150."""
    section = results.Section(
        NAME,
        "The semantic cache: what is answered alike",
        "Each text gets the answer of the nearest other text that is similar enough, and is asked where there is none. BANKING77: the "
        "official test against the training rows. CLINC150: each text of the test against all the others. Equal texts are left out: those "
        "the exact cache has. *Encoder alone* is the cosine similarity of the starter encoder's vectors; *as served* is what `smidgen "
        "serve --cache semantic` does: of texts so near, the nearest with the same telling words. A label is coarser than an answer: two "
        "texts of one label can still want two answers. No time is measured.",
        COLUMNS,
    )
    train, test = data.banking77(context.data)
    _, clinc = data.clinc150(context.data, False)
    parts: tuple[tuple[str, Rows, Rows], ...] = (("BANKING77", test, train), ("CLINC150", clinc, clinc))
    for name, asked, kept in parts:
        asked, kept = (asked[:100], kept[:500]) if context.quick else (asked, kept)
        found = context.measured(f"{NAME}-{name}", {"asked": len(asked), "kept": len(kept)}, _work(asked, kept), peer=False)
        section.rows += table(f"{name}: {len(asked):,} asked, {len(kept):,} kept", found["hits"])
    results.publish(context, section)


def table(name: str, hits: list[list[Any]]) -> list[list[str]]:
    """A row for each similarity."""
    from smidgen.stats.intervals import wilson

    rows = []
    for least, *both in hits:
        cells = []
        for found in (Hits(*one) for one in both):
            low, high = wilson(found.same, found.answered) if found.answered else (0.0, 1.0)
            share = f"{found.same / found.answered:.1%}" if found.answered else "-"
            cells += [f"{found.answered:,} ({found.answered / found.asked:.1%})", share, f"{low:.1%} to {high:.1%}"]
        rows.append([name, f"{least:g}", *cells])
    return rows


def given(asked: Rows, kept: Rows, scores: np.ndarray, least: float, differ: Callable[[str, str], bool] | None) -> Iterator[Pair]:
    """Each text asked that gets another's answer, and that other. `scores` are the similarities, (asked, kept); `differ` says which texts
    must not be answered alike."""
    for (text, label), row in zip(asked, scores, strict=True):
        near = [place for place in np.flatnonzero(row >= least) if kept[place][0] != text]
        near.sort(key=lambda place: -row[place])
        found = next((place for place in near if differ is None or not differ(text, kept[place][0])), None)
        if found is not None:
            yield (text, label), kept[found]


def count(asked: Rows, kept: Rows, scores: np.ndarray, least: float, differ: Callable[[str, str], bool] | None) -> Hits:
    """What a cache would do."""
    pairs = list(given(asked, kept, scores, least, differ))
    return Hits(len(asked), len(pairs), sum(one[1] == other[1] for one, other in pairs))


def _work(asked: Rows, kept: Rows) -> Callable[[], dict[str, Any]]:
    def work() -> dict[str, Any]:
        from smidgen.flows.embedding import embedder
        from smidgen.text.meaningful_words import differ

        embed = embedder()
        assert embed is not None

        def vectors(rows: Rows) -> np.ndarray:
            return np.concatenate([embed([text for text, _ in rows[at : at + _TOGETHER]]) for at in range(0, len(rows), _TOGETHER)])

        left = vectors(asked)
        scores = left @ (left if kept is asked else vectors(kept)).T
        ways = (None, differ)
        found = [[least, *(list(astuple(count(asked, kept, scores, least, way))) for way in ways)] for least in LEASTS]
        unlike = [pair for pair in given(asked, kept, scores, SHOWN, differ) if pair[0][1] != pair[1][1]]
        return {"hits": found, "unlike": unlike}

    return work
