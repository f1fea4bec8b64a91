"""A split is fair, repeatable, blind to the order of rows, and keeps what is alike on one side."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smidgen.core.errors import InputError
from smidgen.core.rows import Row
from smidgen.data.splits import CHOOSING_SHARE, SplitSide, assign_held_side, assign_side, split_rows
from smidgen.text import near_duplicates


def rows_of(sizes: dict[str, int]) -> list[Row]:
    return [
        Row(f"{label} message {number}", label, place)
        for place, (label, number) in enumerate(((label, n) for label, size in sizes.items() for n in range(size)), start=1)
    ]


def strata(rows: list[Row]) -> list[str]:
    return [row.output for row in rows]


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 40), min_size=1),
    share=st.floats(0.05, 0.5),
    seed=st.integers(0, 5),
)
def test_a_split_is_a_partition_that_leaves_every_label_an_example(sizes: dict[str, int], share: float, seed: int) -> None:
    rows = rows_of(sizes)
    rest, held = split_rows(rows, strata(rows), share, seed)
    assert sorted(row.number for row in rest + held) == [row.number for row in rows]
    assert set(strata(rest)) == set(sizes)
    kept = Counter(strata(held))
    assert all(abs(kept[label] - share * size) <= 1 for label, size in sizes.items() if size > 1 and len(sizes) > 1) or len(held) == 1
    if any(size > 1 for size in sizes.values()):
        assert held


def test_the_order_of_rows_does_not_matter_and_the_seed_does() -> None:
    rows = rows_of({"a": 100, "b": 40, "c": 3})
    sides = {row.number for row in split_rows(rows, strata(rows), 0.2, 0)[1]}
    back = rows[::-1]
    assert {row.number for row in split_rows(back, strata(back), 0.2, 0)[1]} == sides
    assert {row.number for row in split_rows(rows, strata(rows), 0.2, 1)[1]} != sides
    assert [row.number for row in split_rows(rows, strata(rows), 0.2, 0)[0]] == sorted(
        row.number for row in rows if row.number not in sides
    )


def test_another_seed_draws_other_rows_of_every_label() -> None:
    rows = rows_of({"a": 100, "b": 50})  # a fifth of each is whole, so that only the draw is left to the seed
    drawn = [{row.number for row in split_rows(rows, strata(rows), 0.2, seed)[1]} for seed in range(3)]
    assert [len(one) for one in drawn] == [30] * 3
    shared = [len(one & other) for one, other in itertools.combinations(drawn, 2)]
    assert len(shared) == 3 and max(shared) < 15, "a fifth of them is to be expected"


def test_one_row_more_moves_hardly_any_other() -> None:
    rows = rows_of({"a": 200, "b": 200})
    before = {row.input for row in split_rows(rows, strata(rows), 0.1, 0)[1]}
    more = [*rows, Row("something new", "a", 999)]
    after = {row.input for row in split_rows(more, strata(more), 0.1, 0)[1]}
    assert len(before ^ after) <= 3


def test_many_small_strata_still_give_their_share() -> None:
    rows = rows_of({f"label {n}": 5 for n in range(200)})
    _, held = split_rows(rows, strata(rows), 0.1, 0)
    assert 70 <= len(held) <= 130


def test_near_duplicates_and_equal_texts_stay_on_one_side() -> None:
    rows = [
        Row(f"please tell me where my parcel number {n} has gone{end}", "ab"[n % 2], 0) for n in range(60) for end in ("", "!", " today")
    ]
    groups = near_duplicates.near_groups([str(row.input) for row in rows])
    rest, held = split_rows(rows, strata(rows), 0.3, 0, groups)
    side = {group: set() for group in groups}  # type: dict[int, set[bool]]
    chosen = {str(row.input) for row in held}
    for row, group in zip(rows, groups, strict=True):
        side[group].add(str(row.input) in chosen)
    assert len(side) < len(rows)
    assert all(len(sides) == 1 for sides in side.values())
    same = [Row("the same text", "a", n) for n in range(4)] + rows_of({"a": 30})
    rest, held = split_rows(same, strata(same), 0.3, 0)
    assert sum(row.input == "the same text" for row in held) in (0, 4)
    assert len(rest) + len(held) == 34


def test_a_minimum_is_kept() -> None:
    rows = rows_of({"a": 4, "b": 50})
    rest, _ = split_rows(rows, strata(rows), 0.5, 0, minimum_per_stratum=4)
    assert Counter(strata(rest)) == {"a": 4, "b": 25}


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2, 1.5])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    rows = rows_of({"a": 4})
    with pytest.raises(InputError):
        split_rows(rows, strata(rows), share, 0)
    with pytest.raises(InputError):
        split_rows(rows, ["a"], 0.5, 0)


KEY = "0123456789abcdef" * 2
TEXTS = [f"message number {number} about a parcel" for number in range(6000)]


def test_a_text_keeps_its_side_whatever_becomes_of_its_spelling() -> None:
    sides = [assign_side(text, KEY, 0.3) for text in TEXTS]
    assert sides == [assign_side(f"  {text.upper()}!", KEY, 0.3) for text in TEXTS]
    assert sides != [assign_side(text, "f" * 32, 0.3) for text in TEXTS]


def test_the_shares_are_the_ones_that_were_asked_for() -> None:
    counts = {one: sum(assign_side(text, KEY, 0.3) is one for text in TEXTS) for one in SplitSide}
    held = len(TEXTS) - counts[SplitSide.LEARNING]
    assert abs(held / len(TEXTS) - 0.3) < 4 * math.sqrt(0.21 / len(TEXTS))
    assert abs(counts[SplitSide.CHOOSING] / held - CHOOSING_SHARE) < 4 * math.sqrt(0.25 / held)
    assert {assign_side(text, KEY, 0.0) for text in TEXTS} == {SplitSide.LEARNING}


def test_what_is_held_out_elsewhere_is_shared_out_likewise() -> None:
    """The two draws have nothing to do with each other: among texts held out by another key the shares are the same."""
    both = [(assign_side(text, KEY, 0.3), assign_held_side(text, KEY)) for text in TEXTS]
    assert all(one is other for one, other in both if one is not SplitSide.LEARNING)
    learnt = [other for one, other in both if one is SplitSide.LEARNING]
    assert abs(learnt.count(SplitSide.CHOOSING) / len(learnt) - CHOOSING_SHARE) < 4 * math.sqrt(0.25 / len(learnt))


def test_a_pair_of_texts_has_one_side() -> None:
    pairs = [(text, "and an answer") for text in TEXTS[:200]]
    assert [assign_side(pair, KEY, 0.5) for pair in pairs] == [assign_side(pair, KEY, 0.5) for pair in pairs]
    assert len({assign_side(pair, KEY, 0.5) for pair in pairs}) == 3
