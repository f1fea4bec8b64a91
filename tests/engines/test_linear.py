"""The baseline's engine is scikit-learn's vectorizers and a product."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from smidgen.core.errors import EngineError
from smidgen.engines.linear import letters_of, part, words_of

TRAIN = [
    "My card has not arrived yet!!",
    "my CARD — arrived… I'm so happy :-)",
    "Refund me, please. Please refund me; please!",
    "où est ma carte ?\n\n\tÀ l'aide",
    "Straße 12b   x  yy zzz",
    "I want to cancel the order #4411",
    "a",
    "カード が 届きません card card card",
]
ASKED = [*TRAIN, "", "zebra", "is my card   in the\u00a0post? card", "İstanbul ΑΣ order", "_under_score_ 5 55", "ok ok OK", "a\u2028b cd"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A model on disk, and scikit-learn's margins for `ASKED`."""
    text = pytest.importorskip("sklearn.feature_extraction.text")
    sparse = pytest.importorskip("scipy.sparse")
    folder = tmp_path_factory.mktemp("linear")
    words = text.TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(TRAIN)
    letters = text.TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True).fit(TRAIN)
    features = sparse.hstack([words.transform(ASKED), letters.transform(ASKED)]).toarray()
    rng = np.random.default_rng(1)
    weight, bias = rng.normal(size=(4, features.shape[1])).astype(np.float32), rng.normal(size=4).astype(np.float32)
    terms = {"words": words.get_feature_names_out().tolist(), "letters": letters.get_feature_names_out().tolist()}
    (folder / "terms.json").write_text(json.dumps(terms), encoding="utf-8")
    idf = {"words.idf": words.idf_.astype(np.float32), "letters.idf": letters.idf_.astype(np.float32)}
    save_file({"weight": weight, "bias": bias, **idf}, folder / "linear.safetensors")
    return folder, features @ weight.T + bias


def test_margins_are_those_of_scikit_learn(model: tuple[Path, np.ndarray]) -> None:
    folder, margins = model
    logits = part.open(folder, {}, 1).run(ASKED)["logits"]
    assert logits.shape == (len(ASKED), 4) and logits.dtype == np.float32
    assert np.abs(logits - margins).max() < 1e-5


def test_analysis_is_that_of_scikit_learn() -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    words = text.TfidfVectorizer(ngram_range=(1, 2)).build_analyzer()
    letters = text.TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4)).build_analyzer()
    seen = 0
    for asked in ASKED:
        assert words_of(asked.lower(), 1, 2) == words(asked)
        assert letters_of(asked.lower(), 3, 4) == letters(asked)
        seen += 1
    assert seen == 15


def test_pairs_nothing_and_very_long(model: tuple[Path, np.ndarray]) -> None:
    runner = part.open(model[0], {"max_characters": 50}, 1)
    assert runner.run([])["logits"].shape == (0, 4)
    pair, one = runner.run([("my card", "refund"), "my card\nrefund"])["logits"]
    assert (pair == one).all()
    long, cut = runner.run(["card " * 100_000, "card " * 10])["logits"]
    assert (long == cut).all()


def test_files_that_do_not_fit(model: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    content = (model[0] / "linear.safetensors").read_bytes()
    terms = json.loads((model[0] / "terms.json").read_text(encoding="utf-8"))
    (tmp_path / "terms.json").write_text(json.dumps({**terms, "words": terms["words"][1:]}), encoding="utf-8")
    (tmp_path / "linear.safetensors").write_bytes(content)
    with pytest.raises(EngineError, match="weight"):
        part.open(tmp_path, {}, 1)
    (tmp_path / "linear.safetensors").write_bytes(content[:100])
    with pytest.raises(EngineError, match=r"linear\.safetensors"):
        part.open(tmp_path, {}, 1)
    (tmp_path / "terms.json").write_text("[1, 2]", encoding="utf-8")
    with pytest.raises(EngineError, match=r"terms\.json"):
        part.open(tmp_path, {}, 1)
