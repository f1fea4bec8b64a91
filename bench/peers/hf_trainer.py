"""Peer: a classifier as the Hugging Face Trainer makes it, with its usual settings.

Runs in an environment of its own and imports nothing of smidgen. Prints one JSON object as its last line.
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import json
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
    parser.add_argument("--out", required=True, type=Path, help="where the trained model is saved")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=float, default=8)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    given = parser.parse_args()

    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    set_seed(given.seed)
    train_texts, train_labels = read(given.train, given.input, given.label)
    test_texts, test_labels = read(given.test, given.input, given.label)
    labels = sorted(set(train_labels))
    number = {label: index for index, label in enumerate(labels)}
    tokenizer = AutoTokenizer.from_pretrained(given.base)
    model = AutoModelForSequenceClassification.from_pretrained(
        given.base, num_labels=len(labels), id2label=dict(enumerate(labels)), label2id=number, dtype=torch.float32
    )

    began = time.perf_counter()
    train = [{**encoding, "labels": number[label]} for encoding, label in zip(encode(tokenizer, train_texts), train_labels, strict=True)]
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(given.out / "trainer"),
            num_train_epochs=given.epochs,
            per_device_train_batch_size=given.batch,
            per_device_eval_batch_size=64,
            learning_rate=given.learning_rate,
            seed=given.seed,
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=train,
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    trainer.train()
    train_seconds = time.perf_counter() - began

    logits = trainer.predict([dict(encoding) for encoding in encode(tokenizer, test_texts)]).predictions
    predicted = [labels[index] for index in logits.argmax(axis=1).tolist()]
    correct = sum(a == b for a, b in zip(predicted, test_labels, strict=True))
    model.save_pretrained(given.out)
    tokenizer.save_pretrained(given.out)
    result = {
        "n": len(test_labels),
        "correct": correct,
        "accuracy": correct / len(test_labels),
        "train_rows": len(train_texts),
        "train_seconds": train_seconds,
        "total_seconds": time.perf_counter() - STARTED,
        "threads": torch.get_num_threads(),
        "settings": f"{given.epochs:g} epochs, batch {given.batch}, learning rate {given.learning_rate:g}, f32, otherwise defaults",
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "accelerate")},
    }
    print(json.dumps(result))


def encode(tokenizer, texts: list[str]) -> list[dict[str, list[int]]]:
    """Token numbers of each text; padding is the collator's."""
    batch = tokenizer(texts, truncation=True, max_length=128)
    return [{name: batch[name][row] for name in batch} for row in range(len(texts))]


def read(file: Path, text: str, label: str) -> tuple[list[str], list[str]]:
    """Texts and labels of a CSV file."""
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return [row[text] for row in rows], [row[label] for row in rows]


if __name__ == "__main__":
    main()
