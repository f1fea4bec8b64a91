"""chrF against sacrebleu."""

import random

import pytest

from smidgen.text.rouge_chrf import chrf


def test_it_is_sacrebleus():
    metric = pytest.importorskip("sacrebleu.metrics").CHRF()
    rng = random.Random(0)
    draw = lambda: "".join(rng.choices("abcé B.\n漢", k=rng.randrange(0, 40)))  # noqa: E731
    cases = [(draw(), [draw() for _ in range(rng.randrange(1, 4))]) for _ in range(600)]
    assert [chrf(*case) for case in cases] == pytest.approx([metric.sentence_score(*case).score / 100 for case in cases], abs=1e-12)
    assert len({chrf(*case) for case in cases}) > 300


def test_ends():
    assert chrf("A cosy pub.", ["A  cosy pub."]) == pytest.approx(1.0)
    assert chrf("", ["a"]) == chrf("a", [""]) == chrf("a", ["b"]) == 0.0
    with pytest.raises(ValueError, match="needs a reference"):
        chrf("a", [])
