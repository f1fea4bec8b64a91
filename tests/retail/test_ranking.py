"""Suggestions, what is never suggested, and damaged files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tests.retail.shelf import GOODS, shelf

from smidgen.retail.goods import price_of
from smidgen.retail.next_item import NextItemModel
from smidgen.retail.ranking import GoodsRanking, read_ranking, write_ranking
from smidgen.retail.requests import SuggestionRequest, parse_request


def answer(request: SuggestionRequest, near: float = 0.0, embed=None):
    (found,) = shelf(near).suggest([request], embed)
    return found


def test_what_was_bought_together_comes_first() -> None:
    found = answer(SuggestionRequest(("mug",)))
    assert found.ids == ("lamp", "bowl", "rug") and found.because == "bought"
    assert found.items[0]["reason"] == "4 customers bought it and Kelp Mug" and found.items[0]["price"] == "£69.00"


def test_a_stranger_gets_what_sells_and_hears_so() -> None:
    for request in (SuggestionRequest(), SuggestionRequest(("never heard of",))):
        found = answer(request)
        assert (found.ids, found.because) == (("mug", "lamp", "rug", "bowl"), "popular")
        assert found.sure == pytest.approx(0.5)  # of 40 purchases, 20 were of what is still sold
    assert answer(SuggestionRequest(("never heard of",))).unknown == ("never heard of",)


def test_what_is_never_suggested() -> None:
    everything = answer(SuggestionRequest(count=100))
    assert "old" not in everything.ids  # not sold any more
    assert answer(SuggestionRequest(("mug",), exclude=frozenset({"lamp", "no such"}))).ids == ("bowl", "rug")
    assert answer(SuggestionRequest(in_stock=True)).ids == ("mug", "lamp", "rug")  # of the rug nothing is known
    assert answer(SuggestionRequest(("mug", "lamp", "rug", "bowl"))).ids == ()


def test_the_later_of_two_items_counts_more() -> None:
    pairs = (("mug", "bowl", 0.5, 3), ("lamp", "rug", 0.5, 3))
    ranking = shelf(pairs=pairs)
    assert ranking.suggest([SuggestionRequest(("mug", "lamp"))], None)[0].ids[0] == "rug"
    assert ranking.suggest([SuggestionRequest(("lamp", "mug"))], None)[0].ids[0] == "bowl"
    assert ranking.suggest([SuggestionRequest(("lamp", "mug", "lamp"))], None)[0].ids[0] == "rug"  # its latest place counts


def test_goods_that_nobody_bought_are_found_by_their_text() -> None:
    ranking = shelf(near=1.0, pairs=())
    found = ranking.suggest([SuggestionRequest(("mug",))], None)[0]
    assert (found.ids[0], found.because) == ("bowl", "similar")
    assert found.items[0]["reason"] == "like Kelp Mug: Kelp, ceramics, stoneware"


def test_words_are_compared_with_texts() -> None:
    asked = []

    def embed(texts):
        asked.extend(texts)
        return np.array([[0.0, 0.1, 1.0]] * len(texts), np.float32)

    found = answer(SuggestionRequest(text="a jute thing"), near=1.0, embed=embed)
    assert (found.ids[0], found.because, asked) == ("rug", "words", ["a jute thing"])
    assert found.items[0]["reason"] == "matches your words: jute"
    assert answer(SuggestionRequest(text="a jute thing")).because == "popular"  # it knows no texts


def test_a_price_that_the_words_name_is_the_highest() -> None:
    def embed(texts):
        assert texts == ["something of stoneware"]
        return np.array([[1.0, 0.5, 1.0]] * len(texts), np.float32)

    for limit in ("under £17", "up to 17 pounds", "bis 17,50 €", "max 17.99 EUR"):
        found = answer(parse_request(f"something of stoneware {limit}", {}), near=1.0, embed=embed)
        assert found.ids == ("mug",) and "under" not in found.items[0]["reason"]
    assert answer(parse_request("under £17", {})).ids == ("mug",)
    assert [price_of(shown) for shown in ("£1,249.00", "19,90 €", "", "on request")] == [1249.0, 19.9, None, None]


def test_files_hold_all_of_it(tmp_path: Path) -> None:
    write_ranking(shelf(near=1.0), tmp_path, {"engine": "onnx", "options": {}})
    again, encoder = read_ranking(tmp_path)
    assert encoder == {"engine": "onnx", "options": {}} and [product.id for product in again.goods] == [product.id for product in GOODS]
    requests = [SuggestionRequest(("mug",)), SuggestionRequest(), SuggestionRequest(("bowl", "rug"), in_stock=True)]
    before, after = shelf(near=1.0).suggest(requests, None), again.suggest(requests, None)
    assert [found.ids for found in before] == [found.ids for found in after] and before[0].items == after[0].items


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ({"items": np.array([0, 99], np.int32)}, "do not exist"),
        ({"starts": np.array([0, 2, 1, 2, 2, 2], np.int64)}, "do not fit"),
        ({"starts": np.array([0, 2], np.int64)}, "do not fit"),
        ({"buyers": np.array([1, 2, 3, 4, np.nan], np.float32)}, "not finite"),
        ({"weights": np.array([1, np.inf], np.float32)}, "not finite"),
        ({"listed": np.ones(5, np.float32)}, "another type"),
        ({"vectors": np.ones((4, 3), np.float16)}, "vectors do not fit"),
    ],
)
def test_damaged_tables(tmp_path: Path, damage: dict, what: str) -> None:
    write_ranking(shelf(near=1.0), tmp_path)
    file = tmp_path / "ranking.safetensors"
    save_file({**load_file(file), **damage}, file)
    with pytest.raises(ValueError, match=what):
        read_ranking(tmp_path)


def small_transformer(items: int = len(GOODS), width: int = 4, window: int = 3) -> NextItemModel:
    """A transformer of one block, of any numbers."""
    rng = np.random.default_rng(0)
    shapes = {
        **{"items.weight": (items, width), "places.weight": (window, width), "bias": (items,)},
        **{"last.weight": (width,), "last.bias": (width,)},
    }
    layers = {"look": (3 * width, width), "out": (width, width), "up": (4 * width, width), "down": (width, 4 * width)}
    for name, shape in {"before": (width,), "between": (width,), **layers}.items():
        shapes |= {f"blocks.0.{name}.weight": shape, f"blocks.0.{name}.bias": shape[:1]}
    return NextItemModel({name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}, 2)


def with_transformer(weight: float) -> GoodsRanking:
    plain = shelf(pairs=())
    tables = replace(plain.tables, next_item=small_transformer())
    return GoodsRanking(plain.goods, plain.texts, tables, replace(plain.weights, next_item=weight), "en")


def test_a_transformer_counts_beside_pairs_as_much_as_its_weight_says(tmp_path: Path) -> None:
    plain, none, both = shelf(pairs=()), with_transformer(0.0), with_transformer(0.5)
    history = np.array([0, 2])
    shares = small_transformer().probabilities(history)
    assert np.array_equal(none.scores([history]), plain.scores([history]))
    assert np.allclose(both.scores([history]) - plain.scores([history]), 0.5 * shares) and shares.max() > 0.1
    assert both.suggest([SuggestionRequest(("mug", "lamp"))], None)[0].because == "bought"
    write_ranking(both, tmp_path)
    assert np.array_equal(read_ranking(tmp_path)[0].scores([history]), both.scores([history]))


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        ({"next.heads": np.array([3], np.int32)}, "impossible shape"),
        ({"next.heads": np.array([0], np.int32)}, "impossible shape"),
        ({"next.heads": np.array([2.0], np.float32)}, "damaged"),
        ({"next.items.weight": np.ones(5, np.float32)}, "damaged"),
        ({"next.items.weight": np.ones((4, 4), np.float32)}, "does not fit"),
        ({"next.places.weight": np.ones((3, 5), np.float32)}, "does not fit"),
        ({"next.blocks.1.out.bias": np.ones(4, np.float32)}, "does not fit"),
        ({"next.blocks.99999999.out.bias": np.ones(4, np.float32)}, "impossible shape"),
        ({"next.more": np.ones(4, np.float32)}, "does not fit"),
        ({"next.bias": np.array([1, 2, 3, 4, np.nan], np.float32)}, "not finite"),
        ({"next.bias": np.ones(5, np.float64)}, "of another type"),
    ],
)
def test_a_damaged_transformer(tmp_path: Path, damage: dict, what: str) -> None:
    write_ranking(with_transformer(0.5), tmp_path)
    file = tmp_path / "ranking.safetensors"
    save_file({**load_file(file), **damage}, file)
    with pytest.raises(ValueError, match=what):
        read_ranking(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("goods.json", "[]", "no items"),
        ("goods.json", '[{"name": "x"}]', "cannot be read"),
        ("goods.json", json.dumps([{"id": "a"}] * 5), "twice"),
        ("ranking.json", "{}", "cannot be read"),
        ("ranking.json", '{"weights": {"decay": 7}, "language": "en"}', "out of range"),
        ("ranking.json", '{"weights": {"what": 7}, "language": "en"}', "cannot be read"),
    ],
)
def test_damaged_facts(tmp_path: Path, name: str, content: str, what: str) -> None:
    write_ranking(shelf(), tmp_path)
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=what):
        read_ranking(tmp_path)
