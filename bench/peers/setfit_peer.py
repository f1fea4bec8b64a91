"""Peer: a few-shot classifier as SetFit makes it, with its usual settings.

Contrastive fine-tuning on pairs (20 iterations over the rows, one epoch, batch 16, learning rate 2e-5), then logistic regression on the
embeddings. SetFit's newer default, every pair of rows, would be some 36,000 steps at 77 labels with 10 rows each: hours on two cores.
Runs in an environment of its own and imports nothing of smidgen. Prints one JSON object as its last line.
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import json
import tempfile
import time
from pathlib import Path

STARTED = time.perf_counter()


def main() -> None:
    """Fine-tune, predict the test file once, print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True, type=Path, help="folder with config.json, tokenizer.json, model.safetensors")
    parser.add_argument("--train", required=True, type=Path)
    parser.add_argument("--test", required=True, type=Path)
    parser.add_argument("--input", default="text")
    parser.add_argument("--label", default="label")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=1)
    given = parser.parse_args()

    import torch
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments
    from sklearn.linear_model import LogisticRegression

    train_texts, train_labels = read(given.train, given.input, given.label)
    test_texts, test_labels = read(given.test, given.input, given.label)
    model = SetFitModel(model_body=body(given.base), model_head=LogisticRegression(), labels=sorted(set(train_labels)))

    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as box:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=box,
                num_iterations=given.iterations,
                num_epochs=given.epochs,
                batch_size=16,
                seed=given.seed,
                save_strategy="no",
                report_to="none",
                show_progress_bar=False,
            ),
            train_dataset=Dataset.from_dict({"text": train_texts, "label": train_labels}),
        )
        trainer.train()
    train_seconds = time.perf_counter() - began

    predicted = [str(label) for label in model.predict(test_texts, batch_size=64, as_numpy=True)]
    correct = sum(a == b for a, b in zip(predicted, test_labels, strict=True))
    result = {
        "n": len(test_labels),
        "correct": correct,
        "accuracy": correct / len(test_labels),
        "train_rows": len(train_texts),
        "train_seconds": train_seconds,
        "total_seconds": time.perf_counter() - STARTED,
        "threads": torch.get_num_threads(),
        "settings": f"{given.iterations} iterations, {given.epochs} epoch, batch 16, learning rate 2e-5, logistic regression head",
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "sentence-transformers", "setfit")},
    }
    print(json.dumps(result))


def body(base: Path):
    """The sentence encoder as all-MiniLM-L6-v2 is published: mean pooling, unit length, 256 tokens."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    words = Transformer(str(base), max_seq_length=256)
    pooling = Pooling(words.get_embedding_dimension(), pooling_mode="mean")
    return SentenceTransformer(modules=[words, pooling, Normalize()], device="cpu")


def read(file: Path, text: str, label: str) -> tuple[list[str], list[str]]:
    """Texts and labels of a CSV file."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [row[text] for row in rows], [row[label] for row in rows]


if __name__ == "__main__":
    main()
