"""Kernel ridge regression: the closed form, what it says of rows left out, and landmarks."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.stats import kernel_ridge
from smidgen.stats.calibration import softmax
from smidgen.stats.kernel_ridge import SHARP, Floats32, fit, likeness, logits


def unit(rng: np.random.Generator, n: int, width: int = 8) -> Floats32:
    found = rng.normal(size=(n, width))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def plain(x: Floats32, y: Floats32, at: Floats32, gamma: float, ridge: float, weights: Floats32 | None = None) -> np.ndarray:
    """The same by the textbook, in f64: K (K + ridge / w)^-1 y."""
    kernel = np.exp(-gamma / 2 * ((x[:, None].astype(np.float64) - x[None]) ** 2).sum(2))
    there = np.exp(-gamma / 2 * ((at[:, None].astype(np.float64) - x[None]) ** 2).sum(2))
    return np.asarray(there @ np.linalg.solve(kernel + np.diag(ridge / (np.ones(len(x)) if weights is None else weights)), y))


def test_it_is_the_textbooks_solution() -> None:
    rng = np.random.default_rng(1)
    x, at = unit(rng, 30), unit(rng, 11)
    y = np.eye(3, dtype=np.float32)[rng.integers(3, size=30)]
    weights = rng.uniform(0.2, 3, 30).astype(np.float32)
    for given in (None, weights):
        found = fit(x, y, weights=given, gamma=1.5, ridge=0.3)
        assert np.abs(found.scores(at) - plain(x, y, at, 1.5, 0.3, given)).max() < 1e-3


def test_where_rows_are_more_than_landmarks_it_is_the_same_solution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_ridge, "_JITTER", 1e-6)
    monkeypatch.setattr(kernel_ridge, "_BLOCK", 7)  # blocks of rows change nothing
    rng = np.random.default_rng(1)
    x, at = unit(rng, 30)[[*range(30), *range(12)]], unit(rng, 11)  # twelve come twice, with other labels
    y = np.eye(3, dtype=np.float32)[rng.integers(3, size=42)]
    weights = rng.uniform(0.2, 3, 42).astype(np.float32)
    for given in (None, weights):
        whole, few = (fit(x, y, weights=given, gamma=1.5, ridge=0.3, landmarks=most) for most in (42, 30))
        assert len(whole.landmarks) == len(few.landmarks) == 30
        assert np.abs(few.scores(at) - plain(x, y, at, 1.5, 0.3, given)).max() < 1e-3
        assert np.abs(whole.scores(at) - few.scores(at)).max() < 1e-3
        assert np.abs(whole.left_out - few.left_out).max() < 5e-3


def test_a_row_of_no_weight_is_answered_and_pulls_nothing() -> None:
    rng = np.random.default_rng(7)
    x, y = unit(rng, 20), np.eye(2, dtype=np.float32)[rng.integers(2, size=20)]
    weights = np.ones(20, np.float32)
    weights[3] = 0
    found, rest = fit(x, y, weights=weights), np.arange(20) != 3
    without = fit(x[rest], y[rest]).scores(x[[3]])[0]
    assert found.left_out[3] == pytest.approx(without, abs=1e-3) and found.scores(x[[3]])[0] == pytest.approx(without, abs=1e-3)


def test_what_it_would_say_of_a_row_left_out_is_what_it_says_when_it_is() -> None:
    rng = np.random.default_rng(2)
    x = unit(rng, 40)
    y = np.eye(4, dtype=np.float32)[rng.integers(4, size=40)]
    whole = fit(x, y, ridge=0.1)
    seen = 0
    for out in (0, 7, 39):
        rest = np.arange(40) != out
        assert np.abs(fit(x[rest], y[rest], ridge=0.1).scores(x[[out]])[0] - whole.left_out[out]).max() < 5e-3
        assert np.abs(whole.scores(x[[out]])[0] - whole.left_out[out]).max() > 0.05, "the row itself pulls"
        seen += 1
    assert seen == 3


def test_it_separates_what_no_line_can() -> None:
    angles = np.random.default_rng(3).uniform(0, 2 * np.pi, 400)
    x = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    label = (angles // (np.pi / 4)).astype(int) % 2  # eight sectors of the circle, in turns
    found = fit(x[:300], np.eye(2, dtype=np.float32)[label[:300]], gamma=20, ridge=0.01)
    assert (found.scores(x[300:]).argmax(1) == label[300:]).mean() > 0.9


def test_landmarks_are_few_distinct_and_drawn_by_the_seed() -> None:
    rng = np.random.default_rng(4)
    x = np.repeat(unit(rng, 50), 2, axis=0)
    y = np.eye(2, dtype=np.float32)[np.arange(100) % 2]
    assert len(fit(x, y).landmarks) == 50, "a row that comes twice carries once"
    few, again, other = (fit(x, y, landmarks=10, seed=seed) for seed in (0, 0, 1))
    assert few.landmarks.shape == (10, 8) and few.weights.shape == (10, 2)
    assert (few.landmarks == again.landmarks).all() and not (few.landmarks == other.landmarks).all()
    assert likeness(few.landmarks, few.landmarks, 2.0).diagonal() == pytest.approx(1, abs=1e-5)


def test_what_cannot_be_fitted_is_refused() -> None:
    x, y = unit(np.random.default_rng(5), 4), np.eye(4, dtype=np.float32)
    for bad in ((x[:0], y[:0]), (x, y[:3]), (x[0], y), (x * np.nan, y)):
        with pytest.raises(ValueError, match=r"needed|finite"):
            fit(*bad)


def test_rows_that_are_all_the_same_are_no_trouble() -> None:
    x = np.repeat(unit(np.random.default_rng(6), 1), 20, axis=0)
    found = fit(x, np.tile(np.array([[1, 0]], np.float32), (20, 1)))
    assert found.scores(x[:1])[0] == pytest.approx([1, 0], abs=0.05) and np.isfinite(found.left_out).all()


def log_loss(table: np.ndarray, labels: np.ndarray) -> float:
    """Of logits (n, outputs), against the labels that hold."""
    return float(-np.log(softmax(table.astype(np.float64))[np.arange(len(labels)), labels]).mean())


def test_logits_keep_the_order_and_know_no_zero() -> None:
    scores = np.array([[-0.2, -0.01, 0.0, 0.02, 0.5, 1.1]], np.float32)
    found = logits(scores)
    assert found.shape == scores.shape and found.dtype == np.float32
    assert (np.diff(found[0]) > 0).all() and found[0, 2] == 0.0
    assert found[0, 4] == pytest.approx(4 * np.log(0.5 * 6**0.5 + (0.25 * 6 + 1) ** 0.5), rel=1e-5)
    # Of a hundred labels one has half of all, the others next to nothing, which together is not as likely.
    many = np.full((1, 100), 0.005, np.float32)
    many[0, 0] = 0.5
    assert softmax(logits(many).astype(np.float64))[0, 0] > 0.9 > 0.6 > softmax(SHARP * many.astype(np.float64))[0, 0]


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_logits_of_many_labels_are_surer_where_they_are_right(noise: float) -> None:
    """On rows apart, with wrong ones among them or none."""
    rng = np.random.default_rng(40)
    centres = rng.normal(size=(40, 32))
    gold = rng.integers(40, size=1500)
    x = centres[gold] + 1.4 * rng.normal(size=(1500, 32))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    said = np.where(rng.random(1500) < noise, rng.integers(40, size=1500), gold)
    fitted = fit(x[:600], np.eye(40, dtype=np.float32)[said[:600]])
    scores = fitted.scores(x[600:])
    assert log_loss(logits(scores), said[600:]) < 0.95 * log_loss(SHARP * scores, said[600:])
