"""Other languages than English: questions and messages written for this bench, in words that their documents do not use.

`languages.jsonl` holds 62 German passages of four invented businesses, with 132 questions; 70 German, French and Spanish questions about
the sample shop's English documents; and 68 German messages for its English labels. Keywords and cosines of e5 were chosen on the first two
businesses (`own-1`), on English questions, and with a look at those about the shop; the other two (`own-2`) and the messages were only
measured.

    python -m bench.languages                     # all, with both bases
    python -m bench.languages own-2 messages      # some
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.answer import finder, told
from smidgen.bases.lookup import find
from smidgen.core.parts import Training, Workspace
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.parts import registry
from smidgen.search.documents.document import Passage
from smidgen.search.documents.folder import read_documents
from smidgen.search.keyword_index import KeywordIndex
from smidgen.tasks.classify import part as classify

HERE = Path(__file__).parent
SHOP = HERE.parent / "src" / "smidgen" / "samples" / "homeware"
BASES = ("minilm", "e5")
OWN = {"own-1": ("rad", "zahn"), "own-2": ("vhs", "buecherei")}
ABROAD = {"shop-de": "de", "shop-fr": "fr", "shop-es": "es"}


def entries(**wanted: str) -> list[dict[str, Any]]:
    """The entries of the data with these values."""
    found = [json.loads(line) for line in (HERE / "languages.jsonl").read_text(encoding="utf-8").splitlines()]
    return [entry for entry in found if all(entry.get(name) == value for name, value in wanted.items())]


def asked_of(name: str) -> tuple[list[Passage], list[dict[str, Any]]]:
    """The passages of a set, and its questions that have an answer."""
    if name in ABROAD:
        return read_documents(SHOP / "desk" / "documents").passages(), entries(kind="question", business="shop", language=ABROAD[name])
    with tempfile.TemporaryDirectory() as box:
        file = Path(box) / "texts.jsonl"
        texts = [one for business in OWN[name] for one in entries(kind="document", business=business)]
        file.write_text("".join(json.dumps({"id": one["id"], "text": one["text"]}) + "\n" for one in texts), encoding="utf-8")
        passages = read_documents(file).passages()
    return passages, [one for business in OWN[name] for one in entries(kind="question", business=business) if one["id"]]


def is_right(document: str, text: str, question: dict[str, Any]) -> bool:
    """Whether a passage is the one that answers."""
    return document == question["id"] and question.get("words", "") in " ".join(text.split())


def answers(name: str, bases: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each number of a set of questions, in words."""
    passages, asked = asked_of(name)
    yield "passages, questions", f"{len(passages)}, {len(asked)}"
    index = KeywordIndex(passages)
    for label, look in (("FTS5", index.by_words), ("FTS5 with pieces of words", index.find)):
        first = [(look(one["text"], 30) or [(0, 0.0)])[0][0] for one in asked]
        right = [is_right(passages[at].document, passages[at].text, one) for at, one in zip(first, asked, strict=True)]
        yield f"hit@1, {label}", told(right)
    for base in bases:
        with tempfile.TemporaryDirectory() as place:
            runner, _ = finder(passages, base, Path(place))
            found = runner.run([one["text"] for one in asked])["candidates"]
        for most in (1, 5):
            right = [any(is_right(each["id"], each["text"], one) for each in all_[:most]) for all_, one in zip(found, asked, strict=True)]
            yield f"hit@{most}, finder on {base}", told(right)


def messages(bases: Sequence[str]) -> Iterator[tuple[str, str]]:
    """How many messages a kernel head sorts rightly that learnt the sample's English training rows."""
    rows = [Row(one["text"], one["intent"]) for one in _table("support_train.csv")]
    form = classify.form(rows, classify.settings())
    sets = {
        "English, the sample's test": [(one["text"], one["intent"]) for one in _table("support_test.csv")],
        "German": [(one["text"], one["label"]) for one in entries(kind="message")],
    }
    student = registry.find("students", "kernel")
    for base in bases:
        with tempfile.TemporaryDirectory() as place:
            folders = [Path(place) / name for name in ("fit", "out")]
            for folder in folders:
                folder.mkdir()
            student.fit(Training(rows, [], form, find(base), student.settings()), Workspace(folders[0], 2, Silent()))
            spec = student.export(folders[0], folders[1])
            runner = registry.find("engines", spec.engine).open(folders[1], spec.options, 2)
            for name, texts in sets.items():
                logits = runner.run([text for text, _ in texts])["logits"]
                best = [form.outputs[at] for at in logits.argmax(1)]
                yield f"{name} ({len(texts)}), kernel on {base}", told([got == label for got, (_, label) in zip(best, texts, strict=True)])


def _table(name: str) -> list[dict[str, str]]:
    with (SHOP / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def main(names: Sequence[str]) -> None:
    """Measure each set by name."""
    for name in names or [*OWN, *ABROAD, "messages"]:
        print(f"== {name}", flush=True)
        for label, value in messages(BASES) if name == "messages" else answers(name, BASES):
            print(f"{label}: {value}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
