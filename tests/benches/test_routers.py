"""The bench of routers: the metric against areas that are known, the routers on texts whose errors they can learn, and the page."""

from __future__ import annotations

import itertools
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from bench import routers, routers_plot
from bench.cost_quality import alone, area, areas, cost_of, curve, difference, draws, ideal, ranking, recovered
from bench.routed import Answers, Case, Texts, linear
from bench.routing import COMBINED, ROUTERS, TEXT, UNTAUGHT, nearness

WIDTH, CLASSES = 16, 5


def test_areas_that_are_known() -> None:
    small, large = [0, 1, 1, 1], [1, 1, 1, 1]
    found = ranking([0.1, 0.2, 0.3, 0.4], small, large)
    costs, qualities = curve(found)
    assert costs.tolist() == [0, 0.25, 0.5, 0.75, 1] and qualities.tolist() == [0.75, 1, 1, 1, 1]
    assert area(found) == pytest.approx(0.96875) and recovered(found) == pytest.approx(0.875)
    worst = ranking([0.4, 0.3, 0.2, 0.1], small, large)
    assert area(worst) == pytest.approx(0.78125) and recovered(worst) == pytest.approx(0.125)
    assert area(found) == pytest.approx(float(np.trapezoid(qualities, costs)))


def test_equal_scores_are_worth_their_mean_over_all_orders() -> None:
    small, large = np.array([0.0, 1, 0, 1, 1]), np.array([1.0, 0, 1, 1, 1])
    tied = [0.5, 0.5, 0.5, 0.9, 0.1]
    orders = [
        ranking([0.5 + 0.01 * a, 0.5 + 0.01 * b, 0.5 + 0.01 * c, 0.9, 0.1], small, large) for a, b, c in itertools.permutations(range(3))
    ]
    assert len(orders) == 6
    assert area(ranking(tied, small, large)) == pytest.approx(np.mean([area(order) for order in orders]))


def test_a_router_that_knows_nothing_recovers_half_of_the_gap() -> None:
    rng = np.random.default_rng(0)
    small, large = (rng.random(300) < 0.7).astype(float), (rng.random(300) < 0.9).astype(float)
    assert recovered(ranking(np.zeros(300), small, large)) == pytest.approx(0.5)
    scores = rng.random(300)
    # Whatever one order gains over chance, the other way round loses: the mean over all orders is a half.
    assert recovered(ranking(scores, small, large)) + recovered(ranking(-scores, small, large)) == pytest.approx(1.0)
    chance = [recovered(ranking(rng.random(300), small, large)) for _ in range(300)]
    assert np.mean(chance) == pytest.approx(0.5, abs=4 * np.std(chance) / np.sqrt(300))


def test_against_gold_it_is_the_area_under_the_receiver_s_curve() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(1)
    small = (rng.random(500) < 0.8).astype(float)
    scores = np.round(small * 0.3 + rng.random(500), 1)
    wrong = 1 - small.mean()
    expected = wrong / 2 + (1 - wrong) * roc_auc_score(small, scores)
    assert recovered(ranking(scores, small, np.ones(500))) == pytest.approx(expected)


def test_weights_are_repetitions() -> None:
    rng = np.random.default_rng(2)
    small, large, scores = (rng.random(40) < 0.6).astype(float), (rng.random(40) < 0.9).astype(float), rng.integers(8, size=40) / 8
    weights = rng.integers(0, 4, size=(40, 3))
    found = areas(ranking(scores, small, large), weights.astype(float))
    for times, value in zip(weights.T, found, strict=True):
        again = ranking(np.repeat(scores, times), np.repeat(small, times), np.repeat(large, times))
        assert value == pytest.approx(area(again))
    assert len(found) == 3


def test_nothing_is_better_than_knowing_both_answers() -> None:
    small, large = np.array([1.0, 0, 0, 1]), np.array([0.0, 1, 0, 1])
    best = area(ideal(small, large))
    found = [area(ranking(order, small, large)) for order in itertools.permutations(range(4))]
    # All orders with one score each: equal gains in any order are alike.
    assert len(found) == 24 and best == pytest.approx(max(found))


def test_the_cost_of_a_quality_is_read_off_the_curve() -> None:
    found = ranking([0.1, 0.1, 0.3, 0.4], [0, 1, 0, 1], [1, 1, 1, 1])
    assert cost_of(found, 0.5) == 0.0
    assert cost_of(found, 0.625) == pytest.approx(0.25), "half-way through two requests of one score"
    assert cost_of(found, 1.0) == pytest.approx(0.75)
    assert np.isnan(cost_of(found, 1.01))


def test_how_many_the_small_model_can_answer_alone() -> None:
    found = ranking([0.1, 0.2, 0.3, 0.4, 0.4], [0, 1, 0, 1, 1], [1, 1, 1, 1, 1])
    assert alone(found, 0.0) == pytest.approx(0.4), "the two of the largest score, together"
    assert alone(found, 0.3) == pytest.approx(0.8), "one of four, though one of three is more"
    assert alone(found, 0.4) == 1.0
    assert alone(ranking([1, 1], [0, 1], [1, 1]), 0.4) == 0.0


def test_what_cannot_be_ranked_is_refused_and_no_gap_has_no_share() -> None:
    with pytest.raises(ValueError, match="1 of 2 scores are not numbers"):
        ranking([0.1, float("nan")], [1, 1], [1, 1])
    with pytest.raises(ValueError, match="of one length"):
        ranking([], [], [])
    assert np.isnan(recovered(ranking([0.1, 0.2], [1, 1], [1, 0])))


def test_the_interval_of_a_difference_is_paired() -> None:
    rng = np.random.default_rng(3)
    small, large = (rng.random(600) < 0.8).astype(float), np.ones(600)
    good = [ranking(small + rng.normal(0, 0.4, 600), small, large) for _ in range(4)]
    poor = [ranking(small + rng.normal(0, 2.0, 600), small, large) for _ in range(4)]
    seeds, requests = draws(4, 600, 300, rng)
    assert seeds.sum(axis=0).tolist() == [4] * 300 and requests.sum(axis=0).tolist() == [600] * 300
    first, second = ([areas(each, requests) for each in found] for found in (good, poor))
    low, high = difference(first, second, seeds)
    middle = np.mean([area(each) for each in good]) - np.mean([area(each) for each in poor])
    assert 0 < low < middle < high
    assert difference(first, first, seeds) == (0.0, 0.0)


def answers(n: int, seed: int) -> tuple[Answers, Any]:
    """Answers that are wrong on one side of the first direction, which the score does not see; and whether they are right."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, WIDTH))
    vectors[:, 0] *= 2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    right = (vectors[:, 0] + rng.normal(0, 0.15, n) < 0.35).astype(float)
    score = rng.uniform(0.4, 0.99, n)
    return Answers(vectors, rng.integers(CLASSES, size=n), score, (1 - score) / 2, rng.random(n), np.eye(CLASSES, WIDTH)), right


def test_each_router_that_learns_finds_errors_that_lie_together() -> None:
    routing, agreed = answers(400, 0)
    test, small = answers(300, 1)
    assert len(ROUTERS) == len(UNTAUGHT) + len(TEXT) + len(COMBINED) == 12
    found = {}
    for name, router in ROUTERS.items():
        scores = router(routing, agreed, test, 0)
        assert scores.shape == (300,) and np.isfinite(scores).all(), name
        found[name] = recovered(ranking(scores, small, np.ones(300)))
    for name in [*TEXT, "text, answer and score"]:
        assert found[name] > 0.62, f"{name}: {found[name]:.3f}"
    for name in UNTAUGHT:
        assert 0.35 < found[name] < 0.6, f"{name} cannot know: {found[name]:.3f}"


def test_a_score_that_knows_is_taken_up_by_the_routers_that_read_it() -> None:
    routing, agreed = answers(400, 2)
    test, small = answers(300, 3)
    known = [
        Answers(each.vectors, each.said, 0.2 + 0.6 * right, each.second, None, each.middles)
        for each, right in ((routing, agreed), (test, small))
    ]
    assert len(COMBINED) == 2
    for name, router in COMBINED.items():
        assert recovered(ranking(router(known[0], agreed, known[1], 0), small, np.ones(300))) > 0.8, name
    with pytest.raises(ValueError, match="leave the router `committee` out"):
        ROUTERS["committee"](known[0], agreed, known[1], 0)


def test_a_router_reads_one_request_at_a_time() -> None:
    routing, agreed = answers(100, 4)
    test, _ = answers(20, 5)
    half = Answers(test.vectors[:10], test.said[:10], test.score[:10], test.second[:10], test.doubt[:10], test.middles)  # type: ignore[index]
    assert len(ROUTERS) == 12
    for name, router in ROUTERS.items():
        if name != "random":
            assert np.allclose(router(routing, agreed, test, 0)[:10], router(routing, agreed, half, 0), atol=1e-6), name


def test_where_all_rows_agree_nothing_is_learnt() -> None:
    routing, _ = answers(50, 6)
    test, _ = answers(20, 7)
    assert (ROUTERS["kNN"](routing, np.ones(50), test, 0) == 0.5).all()


def texts(n: int = 900, train: int = 600) -> Texts:
    """Clouds around one point for each label."""
    rng = np.random.default_rng(8)
    gold = rng.integers(CLASSES, size=n)
    vectors = np.eye(CLASSES, WIDTH)[gold] + rng.normal(scale=0.35, size=(n, WIDTH))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Texts([("", "")] * n, vectors.astype(np.float32), gold, train, [str(label) for label in range(CLASSES)])


def test_routing_rows_are_neither_learnt_from_nor_tested_on() -> None:
    given = texts()
    learning, asked = given.parted(0, 150)
    assert sorted([*learning, *asked]) == list(range(600)) and len(asked) == 150
    assert given.test.tolist() == list(range(600, 900))
    assert (given.parted(1, 150)[1] != asked).any()
    case = linear(given, 0, routing=150)
    assert (case.routing.vectors == given.vectors[asked]).all() and (case.test.vectors == given.vectors[600:]).all()
    assert (case.small == (case.test.said == given.gold[600:])).all() and (case.large == 1).all()
    assert 0.7 < case.small.mean() < 1 and (case.test.score >= case.test.second).all()
    assert case.test.score.mean() == pytest.approx(case.small.mean(), abs=0.08), "the score is a calibrated probability"
    near = nearness(case.test)
    assert near[case.small == 1].mean() > near[case.small == 0].mean()


def test_a_large_model_that_errs_teaches_and_is_routed_to_with_its_errors() -> None:
    case = linear(texts(), 0, noise=0.3, routing=150)
    assert case.large.mean() == pytest.approx(0.7, abs=0.08)
    clean = linear(texts(), 0, routing=150)
    assert case.agreed.mean() < clean.agreed.mean() - 0.1, "the routing rows have the large model's errors, not gold"
    assert case.small.mean() > case.large.mean(), "errors at random are averaged out by the small model"


def test_the_page_says_who_is_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routers, "TIMES", 60)
    kept = [routers.scored(linear(texts(), seed, routing=150), seed) for seed in range(2)]
    found = routers.measured("clouds", kept)
    assert list(found.rankings) == [*ROUTERS, routers_plot.IDEAL] and len(found.ahead) == len(ROUTERS)
    middle, low, high = found.ahead["random"]
    assert 0 < low < middle < high, "the score is ahead of chance"
    assert found.ahead[routers_plot.IDEAL][2] < 0, "and behind what knows both answers"
    row = routers._row(found, "smidgen", found.rankings["smidgen"])
    assert len(row) == len(routers.COLUMNS) and row[1] == "**smidgen**" and 0.5 < float(row[4]) < 1
    goals = routers._goals(found)
    assert [goal.what.split(": ")[1].split()[2] for goal in goals] == ["6", "2"]
    assert all(goal.met == goal.got.startswith(goal.what.split()[3]) for goal in goals)
    drawn = routers_plot.draw({"clouds": {key: [curve(each) for each in value] for key, value in found.rankings.items()}})
    assert len(ElementTree.fromstring(drawn).findall(".//{http://www.w3.org/2000/svg}path")) == len(ROUTERS) + 1


def test_a_case_holds_as_many_rows_as_it_was_given() -> None:
    case: Case = linear(texts(), 3, routing=150)
    assert len(case.agreed) == 150 and len(case.small) == len(case.large) == len(case.test.said) == 300
