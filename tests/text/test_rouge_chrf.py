"""ROUGE against Google's `rouge_score`, on made-up and on real texts, and what it does beyond ASCII."""

import csv
import importlib.resources
import random

import pytest

from smidgen.text.rouge_chrf import chrf, rouge, rouge_l, words

TYPES = ("rouge1", "rouge2", "rougeL", "rougeLsum")


@pytest.fixture(scope="module")
def scorer():
    return pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(TYPES, use_stemmer=False)


def theirs(scorer, text, references):
    found = scorer.score_multi(references, text)
    return tuple(found[name].fmeasure for name in TYPES)


def ours(text, references):
    found = rouge(text, references)
    return tuple(getattr(found, name) for name in TYPES)


def test_random_texts_score_as_with_rouge_score(scorer):
    rng = random.Random(0)
    letters = ["a", "b", "c", "d", "e", "B", "x1", "_", ".", "\n", "it's", "", "£20", "\t"]
    draw = lambda: " ".join(rng.choices(letters, k=rng.randrange(0, 25)))  # noqa: E731
    cases = [(draw(), [draw() for _ in range(rng.randrange(1, 4))]) for _ in range(1500)]
    assert [ours(*case) for case in cases] == [theirs(scorer, *case) for case in cases]
    assert len({ours(*case) for case in cases}) > 500


def test_real_texts_score_as_with_rouge_score(scorer):
    file = importlib.resources.files("smidgen") / "samples" / "homeware" / "products.csv"
    with file.open(encoding="utf-8", newline="") as stream:
        texts = [row["description"] for row in csv.DictReader(stream)]
    texts = [text for text in texts if text.isascii()]
    assert len(texts) > 50
    cases = [(text, [other, other.replace(". ", ".\n") + text[:40]]) for text in texts[:30] for other in texts[10:22]]
    assert [ours(*case) for case in cases] == [theirs(scorer, *case) for case in cases]


def test_long_texts_score_as_with_rouge_score(scorer):
    rng = random.Random(1)
    draw = lambda: "\n".join(" ".join(rng.choices("abcdefghijklmnop", k=60)) for _ in range(4))  # noqa: E731
    text, reference = draw(), draw()
    assert ours(text, [reference]) == theirs(scorer, text, [reference])
    assert rouge_l(text, [reference]) == ours(text, [reference])[2]


def test_the_best_reference_counts():
    assert rouge_l("a cosy pub", ["something else", "A cosy pub."]) == 1.0
    assert rouge_l("", ["a cosy pub"]) == 0.0
    with pytest.raises(ValueError, match="needs a reference"):
        rouge("a", [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's 5-star, £20_ish!", ["it", "s", "5", "star", "20", "ish"]),
        ("Das Café — größer", ["das", "café", "größer"]),
        ("Привет, мир", ["привет", "мир"]),
        ("हिन्दी में लिखें", ["हिन्दी", "में", "लिखें"]),
        ("中文 text,好", ["中", "文", "text", "好"]),
        ("ไทย。", ["ไ", "ท", "ย"]),
        ("!? …", []),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


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
