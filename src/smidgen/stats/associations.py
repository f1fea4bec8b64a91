"""Which runs of words go with which facts: counts over texts, G², and choosing a few runs that cover a fact."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.stats.wording import MARKS, NEGATED, PLAIN, Wording, Words, runs

FEWEST = 4  # texts that a run must stand in
_SUREST = 20.0  # the least G²: with some ten thousand runs to choose from, less is found by chance
_SURE_OF_GROUPS = 10.0  # the least G² where texts of one input count once
_MOST_PER_FACT = 24
_MEANT = 0.4  # how far above chance, on the way to always, a run's texts must have the fact which it is chosen for
_INSTEAD = 1.5  # a run stands this much more often in the texts that nothing else explains than in those explained already
_SAME_MEANING = 0.9  # a run within another means the same there where it goes with its fact this nearly as often

Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]


class Table:
    """Which text holds which run of words.

    Attributes:
        runs: those that stand in enough texts, and those asked for; each negated run, and each one that is not, is a run of its own too.
        number: the place of each in `runs`.
        rows: for each run, the numbers of the texts that hold it.
        sizes: (runs,) how many those are.
    """

    def __init__(self, texts: Sequence[Wording], groups: Sequence[int], asked: Iterable[Words] = ()) -> None:
        """`groups` are the numbers of the inputs that the texts were written from: texts of one input repeat one another."""
        places: defaultdict[Words, set[int]] = defaultdict(set)
        denied: defaultdict[Words, set[int]] = defaultdict(set)
        for number, text in enumerate(texts):
            for _, _, words, negated in runs(text):
                places[words].add(number)
                if negated:
                    denied[words].add(number)
        plain = set(asked)
        kept = {words: rows for words, rows in places.items() if len(rows) >= FEWEST or words in plain}
        for words, rows in denied.items():
            if len(rows) >= FEWEST or words in plain:
                kept[NEGATED, *words] = rows
            others = places[words] - rows
            if (len(rows) >= FEWEST and len(others) >= FEWEST) or words in plain:
                kept[PLAIN, *words] = others
        self.runs = sorted(kept, key=lambda words: (len(words), words))
        self.number = {words: place for place, words in enumerate(self.runs)}
        self.rows = [np.array(sorted(kept[words]), dtype=np.int64) for words in self.runs]
        self.sizes: Counts = np.array([len(rows) for rows in self.rows], dtype=np.int64)
        self._row = np.concatenate([np.zeros(0, dtype=np.int64), *self.rows])
        self._run = np.repeat(np.arange(len(self.runs)), self.sizes)
        self._groups = np.asarray(groups, dtype=np.int64)

    def count(self, wanted: Mask) -> Counts:
        """(runs,) how many of the wanted texts hold each run; `wanted` is (texts,)."""
        return np.bincount(self._run[wanted[self._row]], minlength=len(self.runs))

    def spread(self, wanted: Mask) -> Counts:
        """(runs,) in how many groups of the wanted texts each run stands."""
        inside = wanted[self._row]
        width = int(self._groups.max(initial=0)) + 1
        pairs = np.unique(self._run[inside] * width + self._groups[self._row[inside]])
        return np.bincount(pairs // width, minlength=len(self.runs))

    def meant(self, has: Mask) -> NDArray[np.float64]:
        """(runs,) how surely runs mean a fact, from 0 to 1 where every text with the run has it; 0 for those that cannot express it, for
        too few of their texts have it, or those are of too few inputs."""
        base = float(has.mean()) if len(has) else 0.0
        surely = (self.count(has) / np.maximum(self.sizes, 1) - base) / max(1e-9, 1 - base)
        inside, outside = (len(np.unique(self._groups[rows])) for rows in (has, ~has))
        often = g2(self.spread(has), self.spread(~has), inside, outside) >= _SURE_OF_GROUPS
        meant: NDArray[np.float64] = np.where(often & (surely >= _MEANT), surely, 0.0)
        return meant

    def cover(self, has: Mask, allowed: Mask, first: Sequence[int] = ()) -> tuple[list[int], Mask]:
        """Runs that express a fact, best first: each for the texts that those before it leave, until what is left is explained by none.
        Also (texts,) those that are left.

        Args:
            has: (texts,) those with the fact.
            allowed: (runs,) the runs to choose from.
            first: runs that are taken for granted; they are not among those returned.
        """
        left = has.copy()
        for run in first:
            left[self.rows[run]] = False
        met, outside = self.count(has), int((~has).sum())
        # A part of a run that is taken stands wherever the whole does; any other run has to stand where those taken do not.
        part = np.zeros(len(self.runs), dtype=np.bool_)
        for run in first:
            part[self._parts(run)] = True
        chosen: list[int] = []
        surely = np.where(allowed, self.meant(has), 0.0)
        while left.sum() >= FEWEST and len(chosen) < _MOST_PER_FACT:
            inside = self.count(left)
            total, done = int(left.sum()), max(1, int((has & ~left).sum()))
            instead = part | (inside * done >= _INSTEAD * (met - inside) * total)
            score = g2(inside, self.sizes - met, total, outside)
            # `for adults` comes before `for`, which stands in more texts and means less.
            worth = np.where(instead & (inside >= FEWEST) & (score >= _SUREST), score * surely**2, 0.0)
            if not len(worth) or worth.max() <= 0:
                break
            chosen.append(int(worth.argmax()))
            part[self._parts(chosen[-1])] = True
            left[self.rows[chosen[-1]]] = False
        return chosen, left

    def _parts(self, run: int) -> list[int]:
        """The runs within a run, under every mark."""
        words = tuple(word for word in self.runs[run] if word not in MARKS)
        inner = {words[a:b] for a in range(len(words)) for b in range(a + 1, len(words) + 1)}
        return [self.number[found] for part in inner for found in (part, (NEGATED, *part), (PLAIN, *part)) if found in self.number]

    def owners(self, facts: Mapping[str, Sequence[Mask]]) -> dict[str, Mask]:
        """For each group of facts, (runs,) the runs that say more about one of its facts than about any fact of another group.

        Attributes go together in inputs, and a run that names one of them is also met more often than by chance with the others: it
        belongs to the one that explains it best. What holds a run of another group, in its meaning there, belongs there too: `family
        friendly coffee` is not about coffee alone.
        """
        names = sorted(facts)
        every = [(number, has) for number, name in enumerate(names) for has in facts[name]]
        met = np.array([self.count(has) for _, has in every]).reshape(len(every), len(self.runs))
        score = np.array([g2(row, self.sizes - row, int(has.sum()), int((~has).sum())) for row, (_, has) in zip(met, every, strict=True)])
        if not len(self.runs) or not every:
            return {name: np.zeros(len(self.runs), dtype=np.bool_) for name in names}
        best, most = score.argmax(axis=0), score.max(axis=0)
        owner = np.where(most > 0, np.array([number for number, _ in every])[best], -1)
        share = met / np.maximum(self.sizes, 1)
        base = np.array([has.mean() for _, has in every])
        places = np.arange(len(self.runs))
        clear = (most >= _SUREST) & (share[best, places] >= (base + _MEANT * (1 - base))[best])
        final = owner.copy()
        for run in np.flatnonzero(most >= _SUREST):
            others = [part for part in self._parts(int(run)) if clear[part] and owner[part] != owner[run]]
            same = [part for part in others if share[best[part], run] >= _SAME_MEANING * share[best[part], part]]
            if same:
                final[run] = owner[max(same, key=lambda part: most[part])]
        return {name: final == number for number, name in enumerate(names)}


def g2(inside: Any, outside: Any, all_inside: int, all_outside: int) -> NDArray[np.float64]:
    """(n,) G², the log-likelihood ratio (Dunning 1993), of runs that stand in `inside` of `all_inside` texts with a fact and in `outside`
    of `all_outside` others; 0 for a run that is rarer with the fact than without."""
    table = np.array([[inside, all_inside - inside], [outside, all_outside - outside]], dtype=np.float64)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / max(1, all_inside + all_outside)
    terms = np.where(table > 0, table * np.log(np.maximum(table, 1e-12) / np.maximum(expected, 1e-12)), 0.0)
    score: NDArray[np.float64] = np.where(table[0, 0] > expected[0, 0], 2 * terms.sum(axis=(0, 1)), 0.0)
    return score
