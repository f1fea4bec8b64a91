"""Split rows into training and held-out rows: once, by share and strata, or for ever, by a keyed hash of each text."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from enum import StrEnum

from smidgen.core.errors import InputError
from smidgen.core.rows import Row, Text, joined
from smidgen.text.near_duplicates import fold_text


def split_rows(
    rows: Sequence[Row],
    strata: Sequence[str],
    share: float,
    seed: int,
    groups: Sequence[int] | None = None,
    minimum_per_stratum: int = 1,
) -> tuple[list[Row], list[Row]]:
    """Split rows into (rest, held), each in the order of `rows`.

    A row's side depends on the seed, its text and its stratum, not on its place in the file.

    Args:
        rows: the rows.
        strata: a key per row; each stratum gives about `share` of its rows. The seed decides about a fraction of a row, so that many small
            strata together still give their share.
        share: wanted share of `held`, in 0..1.
        seed: the only source of randomness.
        groups: a group per row (see `near_duplicates`); rows of a group stay together. Equal texts always do.
        minimum_per_stratum: the least number of rows of each stratum in the rest.

    Raises:
        InputError: share out of range, or lists of different length.
    """
    if not 0 < share < 1:
        raise InputError("data.held_out_share_is_out_of_range", value=share)
    if len(strata) != len(rows) or (groups is not None and len(groups) != len(rows)):
        raise InputError("data.strata_and_groups_differ_in_length", rows=len(rows))
    units = _units(rows, strata, seed, groups)
    total = Counter(strata)
    quota = {stratum: _quota(stratum, count, share, seed, minimum_per_stratum) for stratum, count in total.items()}
    if not any(quota.values()):
        _one_at_least(quota, total, minimum_per_stratum)
    taken: Counter[str] = Counter()
    held: set[int] = set()
    for _, members in units:
        counts = Counter(strata[member] for member in members)
        fits = all(taken[stratum] + count <= quota[stratum] for stratum, count in counts.items())
        if fits:
            held.update(members)
            taken.update(counts)
    return [row for place, row in enumerate(rows) if place not in held], [row for place, row in enumerate(rows) if place in held]


def _units(rows: Sequence[Row], strata: Sequence[str], seed: int, groups: Sequence[int] | None) -> list[tuple[str, list[int]]]:
    """Groups of rows that must stay together, sorted by the smallest hash among their rows."""
    texts: dict[str, int] = {}
    parent = list(range(len(rows)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    first_of_group: dict[int, int] = {}
    for place, row in enumerate(rows):
        parent[root(place)] = root(texts.setdefault(joined(row.input), place))
        if groups is not None:
            parent[root(place)] = root(first_of_group.setdefault(groups[place], place))
    members: dict[int, list[int]] = defaultdict(list)
    for place in range(len(rows)):
        members[root(place)].append(place)
    keys = [_seeded_hash(seed, strata[place], joined(row.input)) for place, row in enumerate(rows)]
    return sorted(((min(keys[place] for place in unit), unit) for unit in members.values()), key=lambda unit: unit[0])


def _quota(stratum: str, count: int, share: float, seed: int, minimum: int) -> int:
    exact = count * share
    fraction = int(_seeded_hash(seed, "quota", stratum)[:8], 16) / 0xFFFFFFFF
    return max(0, min(math.floor(exact) + (fraction < exact % 1), count - max(minimum, 0)))


def _one_at_least(quota: dict[str, int], total: Counter[str], minimum: int) -> None:
    """Let the largest stratum give one row if it can, so that the split holds out at least one."""
    if total:
        largest = min(total, key=lambda stratum: (-total[stratum], stratum))
        quota[largest] = 1 if total[largest] > max(minimum, 1) else 0


def _seeded_hash(seed: int, *words: str) -> str:
    return hashlib.blake2b("\x1f".join([str(seed), *words]).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


CHOOSING_SHARE = 0.4
"""Share of the held-out texts that choose between models. The rest certify: a bound takes more rows than a comparison."""
_BITS = 53


class SplitSide(StrEnum):
    """The use of a text: to train on, to choose between models, or to certify.

    It is a keyed hash of the text alone: a text always gets the same side, and nobody can pick its side without the key.
    """

    LEARNING = "learning"
    CHOOSING = "choosing"
    CERTIFYING = "certifying"


def assign_side(text: Text, key: str, held_out: float) -> SplitSide:
    """Choose the side of a text that has none yet. `held_out` is the share of texts that are not trained on."""
    return assign_held_side(text, key) if keyed_draw(text, key, "held-out") < held_out else SplitSide.LEARNING


def assign_held_side(text: Text, key: str) -> SplitSide:
    """Choose between the two held-out sides for a text that is held out already."""
    return SplitSide.CHOOSING if keyed_draw(text, key, "choosing") < CHOOSING_SHARE else SplitSide.CERTIFYING


def keyed_draw(text: Text, key: str, purpose: str) -> float:
    """A number in [0, 1) drawn by a text (case, punctuation and spaces aside), the key and the purpose; independent between purposes."""
    digest = hashlib.blake2b(fold_text(joined(text)).encode("utf-8", "surrogatepass"), key=key.encode(), person=purpose.encode()[:16])
    return float((int.from_bytes(digest.digest()[:8], "big") >> (64 - _BITS)) / (1 << _BITS))
