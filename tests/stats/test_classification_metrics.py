"""Scores against scikit-learn, and the coverage of their intervals by simulation."""

import math

import numpy as np
import pytest

from smidgen.stats.classification_metrics import (
    accuracy,
    confusion,
    confusion_pairs,
    in_scope_accuracy,
    macro_f1,
    micro_f1,
    oos_recall,
    per_class,
    rare_share,
)

LABELS = [f"label {number}" for number in range(8)]


def noisy(n, right=0.85, labels=LABELS, seed=0):
    rng = np.random.default_rng(seed)
    gold = rng.choice(labels, size=n)
    predicted = np.where(rng.random(n) < right, gold, rng.choice(labels, size=n))
    return gold.tolist(), predicted.tolist()


def test_scores_are_sklearns():
    metrics = pytest.importorskip("sklearn.metrics")
    gold, predicted = noisy(500)
    assert accuracy(gold, predicted).value == pytest.approx(metrics.accuracy_score(gold, predicted))
    assert macro_f1(gold, predicted, LABELS).value == pytest.approx(metrics.f1_score(gold, predicted, average="macro"))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(gold, predicted, labels=LABELS)
    scores = per_class(gold, predicted, LABELS)
    assert len(scores) == len(LABELS)
    for at, score in enumerate(scores):
        assert score.precision.value == pytest.approx(precision[at])
        assert score.recall.value == pytest.approx(recall[at])
        assert score.f1.value == pytest.approx(f1[at])
        assert score.support == support[at]
        assert score.f1.low < score.f1.value < score.f1.high
    assert (confusion(gold, predicted, LABELS) == metrics.confusion_matrix(gold, predicted, labels=LABELS)).all()


def test_scores_with_unknown_are_sklearns_over_the_labels():
    metrics = pytest.importorskip("sklearn.metrics")
    gold, predicted = noisy(400)
    gold[:30] = ["unknown"] * 30
    predicted[20:60] = ["unknown"] * 40
    value = macro_f1(gold, predicted, LABELS).value
    assert value == pytest.approx(metrics.f1_score(gold, predicted, labels=LABELS, average="macro"))
    assert oos_recall(gold, predicted, "unknown").value == pytest.approx(10 / 30)
    assert oos_recall(gold, predicted, "unknown").n == 30
    assert in_scope_accuracy(gold, predicted, "unknown").value == pytest.approx(np.mean(np.array(gold[30:]) == np.array(predicted[30:])))


def test_multi_label_scores_are_sklearns():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    gold_table = rng.random((300, 8)) < 0.3
    predicted_table = gold_table ^ (rng.random((300, 8)) < 0.1)
    gold = [[LABELS[at] for at in np.flatnonzero(row)] for row in gold_table]
    predicted = [[LABELS[at] for at in np.flatnonzero(row)[::-1]] for row in predicted_table]
    assert accuracy(gold, predicted).value == pytest.approx(metrics.accuracy_score(gold_table, predicted_table))
    assert macro_f1(gold, predicted, LABELS).value == pytest.approx(metrics.f1_score(gold_table, predicted_table, average="macro"))
    micro = micro_f1(gold, predicted, LABELS)
    assert micro.value == pytest.approx(metrics.f1_score(gold_table, predicted_table, average="micro"))
    assert micro.low < micro.value < micro.high
    missing = confusion_pairs([["a", "b"]], [["a", "c"]])
    assert [(pair.gold, pair.predicted, pair.count, pair.share) for pair in missing] == [("b", "c", 1, 1.0)]


def test_all_right_is_not_all_certain():
    gold = ["a", "b"] * 20
    for metric in (accuracy(gold, gold), macro_f1(gold, gold, ["a", "b"]), per_class(gold, gold, ["a", "b"])[0].f1):
        assert metric.value == 1.0 and metric.high == 1.0 and 0.8 < metric.low < 1.0


def test_without_rows_nothing_is_known():
    for metric in (accuracy([], []), macro_f1([], [], LABELS), micro_f1([], [], LABELS), oos_recall(["a"], ["a"], "unknown")):
        assert math.isnan(metric.value) and (metric.low, metric.high, metric.n) == (0.0, 1.0, 0)
    assert math.isnan(per_class(["a"], ["a"], ["a", "b"])[1].f1.value)
    with pytest.raises(ValueError, match="2 gold values and 1"):
        accuracy(["a", "b"], ["a"])


def test_confusion_pairs_most_first_ties_by_name():
    pairs = confusion_pairs(["a", "a", "a", "b", "c", "c"], ["b", "b", "a", "a", "b", "c"], limit=3)
    assert [(pair.gold, pair.predicted, pair.count) for pair in pairs] == [("a", "b", 2), ("b", "a", 1), ("c", "b", 1)]
    assert pairs[0].share == pytest.approx(2 / 3)


@pytest.mark.parametrize(("n", "classes"), [(400, 8), (600, 30)])
def test_macro_f1_interval_covers(n, classes):
    """The interval holds the macro-F1 of the population about as often as it says, small classes included."""
    labels = [str(number) for number in range(classes)]
    gold, predicted = noisy(200_000, right=0.88, labels=labels, seed=9)
    truth = macro_f1(gold, predicted, labels).value
    hits = 0
    for seed in range(80):
        rows = noisy(n, right=0.88, labels=labels, seed=1000 + seed)
        metric = macro_f1(*rows, labels, seed=seed)
        hits += metric.low <= truth <= metric.high
    assert 0.90 <= hits / 80 <= 0.99


def test_class_f1_interval_covers():
    labels = LABELS
    gold, predicted = noisy(200_000, right=0.9, seed=9)
    truth = {score.label: score.f1.value for score in per_class(gold, predicted, labels)}
    hits = total = 0
    for seed in range(100):
        for score in per_class(*noisy(160, right=0.9, seed=50 + seed), labels):
            hits += score.f1.low <= truth[score.label] <= score.f1.high
            total += 1
    assert total == 800
    assert 0.93 <= hits / total <= 0.985


def test_the_share_of_rows_with_rare_labels_is_estimated_from_those_that_came():
    """Labels by Zipf's law: the estimate, on average over draws, is the true chance of a label that came once or never."""
    chances = 1 / np.arange(1, 201)
    chances /= chances.sum()
    told, true = [], []
    for seed in range(200):
        counts = np.bincount(np.random.default_rng(seed).choice(200, 300, p=chances), minlength=200)
        told.append(rare_share(counts.tolist()))
        true.append(chances[counts <= 1].sum())
    assert np.mean(told) == pytest.approx(np.mean(true), abs=0.01) and np.mean(true) > 0.1
    assert rare_share([]) == 0.0 and rare_share([50, 50]) == 0.0
