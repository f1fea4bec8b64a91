"""Near-duplicate texts: pairs, texts that would leak into evaluation rows, and repeats."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

SIMILAR = 0.8
_SHINGLE = 5
_HASHES = 64
_BANDS = 16
_ROWS_OF_BAND = _HASHES // _BANDS
_CHUNK = 1 << 21
"""Characters hashed at once: bounds memory to some tens of megabytes."""
_LONGEST = 20_000
"""Characters of a text that count; two texts that agree this far are near enough."""
_BUCKET = 24
"""Largest bucket in which all texts are compared. In a larger one, each is compared only with its neighbours and the first."""
_WORDS = re.compile(r"[^\w]+|_+")

Hashes = NDArray[np.uint64]


def fold_text(text: str) -> str:
    """A text without differences that do not change its meaning: case, punctuation, runs of spaces, width and compatibility forms."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _WORDS.sub(" ", text.casefold()).strip() or text.strip()


def near_groups(texts: Sequence[str]) -> list[int]:
    """A group number per text: near-duplicates share one, also through a chain of others. Does not depend on the order of texts."""
    parent = list(range(len(texts)))
    first: dict[str, int] = {}
    for place, text in enumerate(texts):
        parent[place] = first.setdefault(fold_text(text), place)
    distinct = list(first.values())
    for one, other, _ in near_pairs([texts[place] for place in distinct]):
        a, b = _root(parent, distinct[one]), _root(parent, distinct[other])
        parent[max(a, b)] = min(a, b)
    return [_root(parent, place) for place in range(len(texts))]


def near_pairs(texts: Sequence[str]) -> Iterator[tuple[int, int, float]]:
    """Near-duplicate pairs (place, place, Jaccard similarity), in order of place. Texts with equal folded form have similarity 1.0."""
    words = [fold_text(text)[:_LONGEST] for text in texts]
    signatures = np.empty((len(words), _HASHES), dtype=np.uint32)
    for start, stop in _chunks(words):
        signatures[start:stop] = _signed(*_shingled(words[start:stop]))
    candidates = _candidates(signatures, words)
    if not len(candidates):
        return
    agree = (signatures[candidates[:, 0]] == signatures[candidates[:, 1]]).mean(axis=1)
    # The estimate from 64 hashes has a standard error of at most 0.0625: no pair that is near enough falls below this.
    for one, other in candidates[agree >= SIMILAR - 0.2].tolist():
        similarity = jaccard(words[one], words[other])
        if similarity >= SIMILAR:
            yield one, other, similarity


def jaccard(one: str, other: str) -> float:
    """Share of common shingles of two folded texts; 0 if their numbers of shingles alone keep it under `SIMILAR`."""
    a, b = _shingles(one), _shingles(other)
    if min(len(a), len(b)) < SIMILAR * max(len(a), len(b)):
        return 0.0
    common = len(a & b)
    return common / (len(a) + len(b) - common)


def _shingles(word: str) -> set[str]:
    padded = f" {word} ".ljust(_SHINGLE)
    return {padded[start : start + _SHINGLE] for start in range(len(padded) - _SHINGLE + 1)}


def _chunks(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    start = size = 0
    for place, word in enumerate(words):
        size += len(word) + _SHINGLE
        if size > _CHUNK and place > start:
            yield start, place
            start, size = place, len(word) + _SHINGLE
    if start < len(words):
        yield start, len(words)


def _shingled(words: Sequence[str]) -> tuple[Hashes, NDArray[np.int64]]:
    """Hashes of the shingles of all texts in one array, and where each text's begin. Each text has at least one."""
    padded = [f" {word} ".ljust(_SHINGLE) for word in words]
    lengths = np.fromiter(map(len, padded), dtype=np.int64, count=len(padded))
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    hashed = np.zeros(len(codes) - _SHINGLE + 1, dtype=np.uint64)
    for offset in range(_SHINGLE):
        hashed = hashed * np.uint64(0x100000001B3) + codes[offset : offset + len(hashed)]
    hashed = _mixed(hashed)
    ends = np.cumsum(lengths)
    # A window that starts in the last characters of a text would run into the next one.
    inside = np.ones(len(codes), dtype=bool)
    for offset in range(1, _SHINGLE):
        inside[ends - offset] = False
    counts = lengths - _SHINGLE + 1
    return hashed[inside[: len(hashed)]], np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)


def _signed(hashes: Hashes, offsets: NDArray[np.int64]) -> NDArray[np.uint32]:
    """MinHash signatures: for each hash function the smallest value over a text's shingles."""
    random = np.random.default_rng(0x5EED)
    factors = random.integers(1, 1 << 63, size=_HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    shifts = random.integers(0, 1 << 63, size=_HASHES, dtype=np.uint64)
    signed = np.empty((len(offsets), _HASHES), dtype=np.uint32)
    for place in range(_HASHES):
        values = ((hashes * factors[place] + shifts[place]) >> np.uint64(32)).astype(np.uint32)
        signed[:, place] = np.minimum.reduceat(values, offsets)
    return signed


def _candidates(signatures: NDArray[np.uint32], words: Sequence[str]) -> NDArray[np.int64]:
    """Pairs that agree in all rows of some band."""
    found: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        key = np.zeros(len(signatures), dtype=np.uint64)
        for column in range(band * _ROWS_OF_BAND, (band + 1) * _ROWS_OF_BAND):
            key = _mixed(key + signatures[:, column])
        order = np.argsort(key, kind="stable")
        starts = np.flatnonzero(np.concatenate([[True], np.diff(key[order]) != 0]))
        ends = np.append(starts[1:], len(order))
        shared = ends - starts > 1
        for start, end in zip(starts[shared].tolist(), ends[shared].tolist(), strict=True):
            found.update(_within(order[start:end].tolist(), words))
    return np.array(sorted(found), dtype=np.int64).reshape(-1, 2)


def _within(bucket: list[int], words: Sequence[str]) -> Iterator[tuple[int, int]]:
    if len(bucket) <= _BUCKET:
        for place, one in enumerate(bucket):
            yield from ((min(one, other), max(one, other)) for other in bucket[place + 1 :])
        return
    # Sort by content, so that the result does not depend on the order of the rows.
    bucket = sorted(bucket, key=lambda place: words[place])
    for one, other in pairwise(bucket):
        yield min(one, other), max(one, other)
    for other in bucket[1:]:
        yield min(bucket[0], other), max(bucket[0], other)


def _mixed(values: Hashes) -> Hashes:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014): every input bit reaches every output bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _root(parent: list[int], place: int) -> int:
    while parent[place] != place:
        parent[place] = parent[parent[place]]
        place = parent[place]
    return place


def near_any_of(texts: Sequence[str], apart: Sequence[str]) -> set[int]:
    """Places of the texts that are near-duplicates of any text in `apart`. Nearness is symmetric, so this checks both directions."""
    folded = [fold_text(text) for text in texts]
    known = {fold_text(text) for text in apart}
    found = {place for place, text in enumerate(folded) if text in known}
    first = len(texts)
    for one, other, _ in near_pairs([*texts, *apart]):
        if one < first <= other:
            found.add(one)
    return found


def repeated_texts(texts: Sequence[str], known: Sequence[str] = ()) -> set[int]:
    """Places of the texts that equal an earlier or a known one, apart from case, punctuation and spacing."""
    seen = {fold_text(text) for text in known}
    found = set()
    for place, text in enumerate(texts):
        key = fold_text(text)
        if key in seen:
            found.add(place)
        seen.add(key)
    return found


def near_or_repeated(texts: Sequence[str], known: Sequence[str] = ()) -> set[int]:
    """Places of the texts that are near-duplicates of an earlier or a known one."""
    found = near_any_of(texts, known) | repeated_texts(texts)
    for one, other, _ in near_pairs(texts):
        if one not in found:
            found.add(other)
    return found
