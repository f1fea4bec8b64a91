"""The other shapes of the task, end to end on a tiny random base: several labels, text pairs, hierarchical names, an unknown answer
learnt from in-scope rows alone, balanced class weights."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import pytest

from smidgen.cli.main import code
from smidgen.flows.build.pipeline import build
from smidgen.flows.evaluation import evaluate
from smidgen.flows.local_model import load
from smidgen.parts.recipe import make

MARKS = {"billing/refund": "refund", "billing/invoice": "invoice", "parcel/late": "late", "parcel/lost": "lost"}
FILLER = ["please", "i", "want", "to", "know", "where", "my", "thing", "is", "and", "when", "it", "comes", "back", "thanks", "a", "lot"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers and width 32, as a local folder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("base")
    words = sorted({*FILLER, *MARKS.values()})
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=5 + len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    known = {token: number for number, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])}
    tokenizer = Tokenizer(models.WordPiece(known, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def text(rng: random.Random, *labels: str) -> str:
    words = [*rng.choices(FILLER, k=rng.randint(2, 7)), *(MARKS[label] for label in labels)]
    rng.shuffle(words)
    return " ".join(words)


def made(folder: Path, base: Path, rows: list[dict[str, str]], **sections: Any) -> Path:
    """Build on the rows; return the bundle's folder."""
    file = folder / "rows.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    tree = {
        "task": "classify",
        "base": {"name": str(base)},
        "student": {"kind": "encoder"},
        "train": {"epochs": 14, "learning_rate": 0.003, "batch_rows": 8},
        "compress": {"method": "none"},
        "gate": {"max_loss": 0.05},
        **sections,
        "data": {"train": str(file), **sections.get("data", {})},
    }
    return build(make(tree), folder / "out", threads=1).folder


def test_several_labels(base: Path, tmp_path: Path) -> None:
    rng = random.Random(0)
    rows = []
    for _ in range(160):
        labels = sorted(rng.sample(sorted(MARKS), rng.randint(1, 2)))
        rows.append({"text": text(rng, *labels), "labels": "|".join(labels)})
    model = load(made(tmp_path, base, rows, classify={"multi_label": True, "class_weights": "balanced"}), 1)
    assert model.form.multi_label
    reply = model.predict(["i want refund and it is late"])[0]
    assert reply.output == ["billing/refund", "parcel/late"]
    assert 0 <= reply.score <= 1


def test_pairs_and_parents(base: Path, tmp_path: Path) -> None:
    """The label is in the second text only, so a model that lost it could not know."""
    rng = random.Random(1)
    labels = sorted(MARKS)
    rows = [{"question": text(rng), "answer": text(rng, label), "label": label} for label in labels * 40]
    folder = made(tmp_path, base, rows, data={"input": "question,answer", "label": "label"})
    model = load(folder, 1)
    assert model.columns == ("question,answer", "label")
    reply = model.predict([("where is my thing", "the invoice please")])[0]
    assert code(["chat", str(folder)]) == 2  # a message is no pair
    assert reply.output == "billing/invoice"
    assert reply.facts["parent"] == "billing"
    found = evaluate(model, tmp_path / "rows.csv")
    assert found.metrics["accuracy"].value > 0.9
    assert found.metrics["parent_accuracy"].value >= found.metrics["accuracy"].value


def test_an_unknown_answer_without_examples(base: Path, tmp_path: Path) -> None:
    rng = random.Random(2)
    rows = [{"text": text(rng, label), "label": label} for label in sorted(MARKS) * 40]
    model = load(made(tmp_path, base, rows, classify={"unknown": "none_of_these", "max_in_scope_loss": 0.05}), 1)
    replies = model.predict([text(rng) for _ in range(40)])
    assert sum(reply.output == "none_of_these" for reply in replies) >= 20
    inside = model.predict([text(rng, label) for label in sorted(MARKS) * 10])
    assert sum(reply.output == "none_of_these" for reply in inside) <= 8
