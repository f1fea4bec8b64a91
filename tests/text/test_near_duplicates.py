"""Near-duplicates: found where Jaccard similarity says so, and nowhere else."""

from __future__ import annotations

import random
from itertools import combinations

from smidgen.text import near_duplicates


def words(count: int, seed: int) -> list[str]:
    chosen = random.Random(seed)
    return ["".join(chosen.choices("abcdefghijklmnopqrstuvwxyz", k=chosen.randint(3, 8))) for _ in range(count)]


def corpus() -> list[str]:
    """200 unrelated texts, and for a quarter of them a copy with one word replaced."""
    texts = [" ".join(words(14, seed)) for seed in range(200)]
    changed = [" ".join([*text.split()[:13], "other"]) for text in texts[:50]]
    return texts + changed


def test_pairs_are_those_of_exhaustive_comparison() -> None:
    texts = corpus()
    folded = [near_duplicates.fold_text(text) for text in texts]
    exhaustive = {
        pair
        for pair in combinations(range(len(texts)), 2)
        if near_duplicates.jaccard(folded[pair[0]], folded[pair[1]]) >= near_duplicates.SIMILAR
    }
    found = {(one, other) for one, other, _ in near_duplicates.near_pairs(texts)}
    assert 40 <= len(exhaustive) <= 50
    assert found <= exhaustive
    assert len(found) >= 0.97 * len(exhaustive)


def test_groups_are_the_same_in_any_order() -> None:
    texts = corpus()
    groups = near_duplicates.near_groups(texts)
    order = list(range(len(texts)))
    random.Random(1).shuffle(order)
    shuffled = near_duplicates.near_groups([texts[place] for place in order])
    members = {frozenset(p for p in range(len(texts)) if groups[p] == group) for group in set(groups)}
    again = {frozenset(order[p] for p in range(len(texts)) if shuffled[p] == group) for group in set(shuffled)}
    assert members == again
    assert len(members) < len(texts)


def test_case_punctuation_and_width_do_not_count() -> None:
    texts = ["Where is my PARCEL?!", "where is my  parcel", "ｗｈｅｒｅ is my parcel", "where is my_parcel"]
    assert len(set(near_duplicates.near_groups(texts))) == 1


def test_short_empty_and_strange_texts_are_no_trouble() -> None:
    texts = ["", "a", "?", "😀", "\ud800", "é" * 3, "x" * 100_000, ""]
    groups = near_duplicates.near_groups(texts)
    assert groups[0] == groups[7]
    assert len(set(groups)) == 7
    assert near_duplicates.near_groups([]) == []


def test_a_thousand_variants_of_one_template_do_not_explode() -> None:
    texts = [
        f"your order number {number} has been shipped and will arrive at your door within three working days" for number in range(1500)
    ]
    assert len(list(near_duplicates.near_pairs(texts))) < 40 * len(texts)
    assert len(set(near_duplicates.near_groups(texts))) < 15
