"""Find the sentence that answers, and say nothing where no passage does: XQuAD, question by question, through the whole search.

    python -m bench.reading --data ../shared/data --language en

XQuAD is only measured on: no weight, threshold or setting comes from it. Each question is asked twice: with all passages of its language,
and with its own passage left out of the index, where the right answer is none. The threshold is the one at which four of five questions
get an answer.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.bases.lookup import find
from smidgen.core.parts import Base
from smidgen.engines.onnx import OnnxEngine, OnnxRunner
from smidgen.flows.embedding import export_base
from smidgen.search.documents.document import Passage
from smidgen.search.documents.sentences import sentence_spans
from smidgen.search.passage_search import AskedQuestion, Floats32, FoundPassage, PassageSearch, vectors_of
from smidgen.search.token_matching import TokenMatchReader
from smidgen.search.weights import SearchWeights, weights_for
from smidgen.stats.intervals import wilson

ANSWERED = 0.8
"""The share of the answerable questions that gets an answer."""
MOST_TOKENS = 256


@dataclass(frozen=True)
class AskedOfPassages:
    """Passages, and questions with the passage and the sentences that answer; no sentences where only the passage is known."""

    passages: list[Passage]
    questions: list[tuple[str, int, frozenset[int]]]


def squad(file: Path) -> AskedOfPassages:
    """Passages and questions in SQuAD's format."""
    passages: list[Passage] = []
    questions = []
    for article in json.loads(file.read_text(encoding="utf-8"))["data"]:
        title = article["title"].replace("_", " ")
        for number, paragraph in enumerate(article["paragraphs"], 1):
            text = paragraph["context"]
            spans = tuple(sentence_spans(text))
            for asked in paragraph["qas"]:
                places = [(one["answer_start"], one["answer_start"] + len(one["text"])) for one in asked["answers"]]
                own = {at for at, (start, end) in enumerate(spans) for first, last in places if start < last and first < end}
                questions.append((asked["question"], len(passages), frozenset(own)))
            passages.append(Passage(f"{title} {len(passages)}", number, title, "", text, 0, len(text), sentences=spans))
    return AskedOfPassages(passages, questions)


def opened(base: str, folder: Path) -> tuple[Base, OnnxRunner]:
    """A base, and its encoder in int8 as it is served."""
    found = find(base)
    export_base(found, folder, MOST_TOKENS, states=True)
    return found, OnnxEngine().open(folder, {"max_length": MOST_TOKENS}, 1)


def search_of(passages: Sequence[Passage], encoder: tuple[Base, OnnxRunner], weights: SearchWeights) -> PassageSearch:
    """A search with the vectors and the reader of an encoder."""
    found, runner = encoder

    def embed(texts: Sequence[str], role: str) -> Floats32:
        made = runner.run([found.prefixes.get(role, "") + text for text in texts])["embedding"]
        return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)

    vectors = vectors_of(passages, lambda texts: embed(texts, "passage"), lambda texts: embed(texts, "query"))
    reader = TokenMatchReader(runner.token_states, passages=len(passages) + 1)
    return PassageSearch(passages, vectors, lambda texts: embed(texts, "query"), weights, reader, found.cosines)


def asked_twice(search: PassageSearch, data: AskedOfPassages) -> tuple[list[list[FoundPassage]], list[list[FoundPassage]], float]:
    """Findings for each question, then with its own passage left out; and the milliseconds of a question."""
    began = time.perf_counter()
    here = [search.find([AskedQuestion(text)])[0] for text, _, _ in data.questions]
    took = (time.perf_counter() - began) / max(1, len(here)) * 1000
    away = [search.find([AskedQuestion(text, frozenset([data.passages[place].id]))])[0] for text, place, _ in data.questions]
    return here, away, took


def measured(data: AskedOfPassages, here: Sequence[Sequence[FoundPassage]], away: Sequence[Sequence[FoundPassage]]) -> dict[str, Any]:
    """The figures, with 95 % intervals."""
    first = [found[0] if found else None for found in here]
    hits = [one is not None and one.place == place for one, (_, place, _) in zip(first, data.questions, strict=True)]
    right = np.array([
        hit and one is not None and one.sentence in own for hit, one, (_, _, own) in zip(hits, first, data.questions, strict=True)
    ])  # fmt: skip
    odds = np.array([one.log_odds if one is not None else -20.0 for one in first])
    without = np.array([found[0].log_odds if found else -20.0 for found in away])
    threshold = float(np.quantile(odds, 1 - ANSWERED))
    answered = odds >= threshold
    told = {
        "passage, hit@1": (sum(hits), len(hits)),
        "sentence right, all answered": (int(right.sum()), len(right)),
        f"sentence right of those answered, at {ANSWERED:.0%}": (int(right[answered].sum()), int(answered.sum())),
        "no answer where the passage is left out": (int((without < threshold).sum()), len(without)),
        "sentence right where the passage is": (int(right[np.array(hits)].sum()), sum(hits)),
    }
    return {name: (count / total, *wilson(count, total), total) for name, (count, total) in told.items()}


def main() -> None:
    """Measure one language."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--language", default="en", choices=("en", "de", "es"))
    parser.add_argument("--base", default="minilm")
    asked = parser.parse_args()
    data = squad(asked.data / "xquad" / f"xquad.{asked.language}.json")
    with tempfile.TemporaryDirectory() as box:
        encoder = opened(asked.base, Path(box))
        here, away, took = asked_twice(search_of(data.passages, encoder, weights_for(encoder[0].cosines, True)), data)
    print(f"XQuAD {asked.language}, {asked.base}: {len(data.passages)} passages, {took:.1f} ms a question on one thread")
    for name, (value, low, high, total) in measured(data, here, away).items():
        print(f"  {name}: {value:.1%} ({low:.1%} to {high:.1%}), n {total}")


if __name__ == "__main__":
    main()
