"""Answers from documents: is the passage found, the sentence quoted, and nothing answered where the passage was removed?

XQuAD (evaluation only): the paragraphs of a language are the documents. StackFAQ: paraphrases of FAQ questions. Nothing is trained or tuned
on these. Health FAQ: questions whose answers, without their questions, are the documents; the weights of evidence were fitted on a part of
it, so it is no test of how sure an answer is.

    python -m bench.answer            # all; some minutes
    python -m bench.answer xquad-en   # one
"""

from __future__ import annotations

import csv
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.bases.lookup import find
from smidgen.core.parts import Training, Workspace
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.parts import registry
from smidgen.search.documents.document import Passage, passage_json
from smidgen.search.documents.folder import read_documents
from smidgen.search.keyword_index import KeywordIndex
from smidgen.stats import quoted_answers
from smidgen.stats.classification_metrics import share
from smidgen.stats.intervals import wilson
from smidgen.tasks.answer import USUAL_THRESHOLD, AnswerSettings
from smidgen.tasks.answer import part as task

DATA = Path(__file__).parents[2] / "shared" / "data"
SHARE = 0.8
Asked = tuple[str, str, str]
"""A question, the id of its document, and the words that answer."""


def xquad(language: str) -> tuple[list[dict[str, str]], list[Asked]]:
    """The paragraphs and the questions of a language."""
    told = json.loads((DATA / "xquad" / f"xquad.{language}.json").read_text(encoding="utf-8"))["data"]
    paragraphs = [(article["title"], paragraph) for article in told for paragraph in article["paragraphs"]]
    texts = [{"id": f"p{number}", "text": " ".join(one["context"].split())} for number, (_, one) in enumerate(paragraphs)]
    asked = [
        (entry["question"], f"p{number}", " ".join(entry["answers"][0]["text"].split()))
        for number, (_, one) in enumerate(paragraphs)
        for entry in one["qas"]
    ]
    return texts, asked


def stackfaq() -> tuple[list[dict[str, str]], list[Asked]]:
    """FAQ questions, whose answers the data lack, and paraphrases of them."""
    lines = (DATA / "stackfaq" / "StackFAQ-paraphrases.tsv").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("\t") for line in lines if line.count("\t") == 1]
    known = {question: f"q{number}" for number, question in enumerate(dict.fromkeys(question for question, _ in pairs))}
    texts = [{"id": name, "question": question, "text": f"Answer {name}."} for question, name in known.items()]
    return texts, [(asked, known[question], f"Answer {known[question]}.") for question, asked in pairs if asked != question]


def health() -> tuple[list[dict[str, str]], list[Asked]]:
    """Answers of health agencies as documents, without their questions, and the questions."""
    with (DATA / "covid-qa" / "faq_covidbert.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["lang"] == "en" and row["answer"].strip()]
    texts = [{"id": f"a{number}", "text": row["answer"]} for number, row in enumerate(rows)]
    return texts, [(row["question"], f"a{number}", " ".join(row["answer"].split())) for number, row in enumerate(rows)]


SETS: dict[str, Callable[[], tuple[list[dict[str, str]], list[Asked]]]] = {
    "xquad-en": lambda: xquad("en"),
    "xquad-de": lambda: xquad("de"),
    "xquad-es": lambda: xquad("es"),
    "stackfaq": stackfaq,
    "health-faq": health,
}


def finder(passages: Sequence[Passage], base: str, box: Path) -> Any:
    """A finder of these passages as it is served: int8, through its engine."""
    material = box / "material"
    material.mkdir()
    (material / "passages.json").write_text(json.dumps([passage_json(one) for one in passages]), encoding="utf-8")
    student, folders = registry.find("students", "finder"), [box / name for name in ("fit", "whole", "small")]
    for folder in folders:
        folder.mkdir()
    form = task.form_type(
        documents=1, passages=len(passages), made=True, threshold=USUAL_THRESHOLD, slope=1.0, shift=0.0, null_slope=1.0, null_shift=0.0
    )
    training = Training([], [], form, find(base), student.settings(), material=material)
    student.fit(training, Workspace(folders[0], 2, Silent()))
    spec = student.export(folders[0], folders[1])
    spec = registry.find("compress", "int8-dynamic").apply(spec, folders[1], folders[2], ())
    return registry.find("engines", spec.engine).open(folders[2], spec.options, 2), form


def bm25(passages: Sequence[Passage], asked: Sequence[Asked]) -> list[str]:
    """The document of rank_bm25's first passage for each question."""
    from rank_bm25 import BM25Okapi

    peer = BM25Okapi([quoted_answers.words_of(f"{one.question} {one.text}") for one in passages])
    return [passages[int(np.argmax(peer.get_scores(quoted_answers.words_of(question))))].document for question, _, _ in asked]


def measured(name: str, base: str) -> Iterator[tuple[str, str]]:
    """Each number of a set with its name, in words."""
    texts, asked = SETS[name]()
    with tempfile.TemporaryDirectory() as place:
        box = Path(place)
        (box / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
        passages = read_documents(box / "texts.jsonl").passages()
        yield "documents, passages, questions", f"{len(texts):,}, {len(passages):,}, {len(asked):,}"
        index = KeywordIndex(passages)
        for label, look in (("FTS5", index.by_words), ("FTS5 with pieces of words", index.find)):
            first = [(look(question, 30) or [(0, 0.0)])[0][0] for question, _, _ in asked]
            yield f"hit@1, {label}", told([passages[at].document == wanted for at, (_, wanted, _) in zip(first, asked, strict=True)])
        yield "hit@1, rank_bm25", told([found == wanted for found, (_, wanted, _) in zip(bm25(passages, asked), asked, strict=True)])
        runner, form = finder(passages, base, box)
        began = time.perf_counter()
        raw = runner.run([question for question, _, _ in asked])
        each = (time.perf_counter() - began) / len(asked)
        found = raw["candidates"]
        yield "hit@1, finder", told([bool(one) and one[0]["id"] == wanted for one, (_, wanted, _) in zip(found, asked, strict=True)])
        yield "hit@5, finder", told([wanted in [each["id"] for each in one[:5]] for one, (_, wanted, _) in zip(found, asked, strict=True)])
        right = np.array([_sentence_right(one, row) for one, row in zip(found, asked, strict=True)])
        odds = np.array([one[0]["odds"] if one else -20.0 for one in found])
        surest = np.argsort(-odds, kind="stable")[: round(SHARE * len(asked))]
        yield "answer sentence right, all", told(right)
        yield f"answer sentence right among the surest {SHARE:.0%}", told(right[surest])
        yield from _abstention(runner, passages, asked, odds, float(odds[surest].min()), form, found)
        yield "ms a question", f"{1e3 * each:.1f}"


def _sentence_right(found: Sequence[Any], row: Asked) -> bool:
    """Whether the best sentence alone (for a FAQ entry, its answer) holds the wanted words, or is among them."""
    if not found or found[0]["id"] != row[1]:
        return False
    one = found[0]
    text = one["text"] if one["question"] else one["text"][one["first"] : one["last"]]
    return quoted_answers.is_right({"id": row[1], "text": row[2]}, {"id": one["id"], "text": text})


def _abstention(
    runner: Any, passages: Sequence[Passage], asked: Sequence[Asked], odds: Any, least: float, form: Any, found: Sequence[Any]
) -> Iterator[tuple[str, str]]:
    """Answers to questions whose document is left out: at the threshold at which `SHARE` of the others are answered, and at a threshold
    fitted on half of the questions, measured on the other half."""
    ids: dict[str, list[str]] = {}
    for one in passages:
        ids.setdefault(one.document, []).append(one.id)
    without = runner.run([(question, "\n".join(ids[wanted])) for question, wanted, _ in asked])["candidates"]
    off = np.array([one[0]["odds"] if one else -20.0 for one in without])
    yield f"nothing answered without the document, where {SHARE:.0%} of the others are answered", told(off < least)
    order = list(range(len(asked)))
    random.Random(0).shuffle(order)
    half = len(order) // 2
    rows = [Row(question, {"id": wanted, "text": text}, 1) for question, wanted, text in asked]
    nulls = [Row(question, None, 1) for question, _, _ in asked]

    def of(places: Sequence[int]) -> tuple[list[Row], dict[str, Any]]:
        return [*(rows[one] for one in places), *(nulls[one] for one in places)], {
            "candidates": [*(found[one] for one in places), *(without[one] for one in places)]
        }

    own, raw = of(order[:half])
    fitted = task.calibrate(raw, own, form.model_copy(update={"made": False}), AnswerSettings())
    other, raw = of(order[half:])
    metrics = task.measure(other, task.decode(raw, fitted), fitted)
    for name in ("accuracy", "precision", "answered", "abstain_recall"):
        yield f"fitted on half, other half: {name}", words(metrics[name].value, metrics[name].low, metrics[name].high)
    usual = task.measure(other, task.decode(raw, form), form)
    for name in ("accuracy", "precision", "answered", "abstain_recall"):
        yield f"as shipped, other half: {name}", words(usual[name].value, usual[name].low, usual[name].high)


def told(right: Any) -> str:
    """A share with its 95 % interval."""
    right = np.asarray(right, dtype=np.bool_)
    metric = share(right)
    return words(metric.value, *wilson(int(right.sum()), len(right)))


def words(value: float, low: float, high: float) -> str:
    """A share in percent, with its interval."""
    return f"{100 * value:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def main(names: Sequence[str]) -> None:
    """Measure each set by name, with the base after a colon: `xquad-de:e5`."""
    for given in names or list(SETS):
        name, _, base = given.partition(":")
        print(f"== {name}, {base or 'minilm'}", flush=True)
        for label, value in measured(name, base or "minilm"):
            print(f"{label}: {value}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
