"""The data sets, as CSV files that both sides read: the same rows in the same order."""

from __future__ import annotations

import csv
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

Rows: TypeAlias = list[tuple[str, str]]
OUT_OF_SCOPE = "oos"
QUICK_LABELS, QUICK_TRAIN, QUICK_TEST = 10, 20, 10


class NoData(Exception):
    """A data set that is not here. The bench that needs it is skipped."""


def banking77(folder: Path) -> tuple[Rows, Rows]:
    """Train (10,003 rows) and official test (3,080) of BANKING77, 77 labels."""
    return _csv(folder / "banking77" / "train.csv"), _csv(folder / "banking77" / "test.csv")


def clinc150(folder: Path, out_of_scope: bool) -> tuple[Rows, Rows]:
    """Train and test of CLINC150 (`data_full`): 15,000 and 4,500 in-scope rows, and 100 and 1,000 out-of-scope rows where asked for."""
    file = folder / "clinc150" / "data_full.json"
    if not file.is_file():
        raise NoData(f"{file} is not here")
    parts = json.loads(file.read_text(encoding="utf-8"))
    names = (("train", "oos_train"), ("test", "oos_test")) if out_of_scope else (("train",), ("test",))
    train, test = ([(text, label) for name in side for text, label in parts[name]] for side in names)
    return train, test


def ncbi_disease(folder: Path, part: str) -> Rows:
    """Texts of a part (`train`, `devel`, `test`) of NCBI-disease, their tokens with a space between, and their spans as JSON."""
    file = folder / "ncbi-disease" / f"{part}.tsv"
    if not file.is_file():
        raise NoData(f"{file} is not here")
    rows: Rows = []
    for sentence in file.read_text(encoding="utf-8").split("\n\n"):
        spans: list[dict[str, object]] = []
        text = ""
        for line in sentence.splitlines():
            token, _, tag = line.partition("\t")
            start = len(text) + bool(text)
            text = f"{text} {token}" if text else token
            if tag.startswith("B-"):
                spans.append({"start": start, "end": len(text), "label": tag[2:]})
            elif tag.startswith("I-"):
                spans[-1]["end"] = len(text)
        if text:
            rows.append((text, json.dumps(spans)))
    return rows


def e2e(folder: Path, part: str) -> Rows:
    """Attributes and a text of them, of a part (`devset`, `testset_w_refs`) of E2E NLG; an input has several texts, each a row."""
    file = folder / "e2e-nlg" / f"{part}.csv"
    if not file.is_file():
        raise NoData(f"{file} is not here")
    with file.open(encoding="utf-8", newline="") as stream:
        return [(row["mr"], row["ref"]) for row in csv.DictReader(stream)]


def references(rows: Rows, file: Path, header: tuple[str, str]) -> Path:
    """Rows as JSON lines, one an input, with the list of all its texts; the file's path."""
    groups: dict[str, list[str]] = defaultdict(list)
    for text, answer in rows:
        groups[text].append(answer)
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps({header[0]: text, header[1]: answers}, ensure_ascii=False) + "\n" for text, answers in groups.items())
    file.write_text("".join(lines), encoding="utf-8")
    return file


def few(rows: Rows, per_label: int, seed: int) -> Rows:
    """So many rows of each label, drawn with a seed of their own."""
    draw = random.Random(f"few-{per_label}-{seed}")
    by_label = _by_label(rows)
    return [(text, label) for label in sorted(by_label) for text in draw.sample(by_label[label], min(per_label, len(by_label[label])))]


def quick(train: Rows, test: Rows) -> tuple[Rows, Rows]:
    """A tiny part of a data set, to try the harness with: ten labels (and out of scope), 20 rows of each to learn from, 10 to test."""
    labels = sorted({label for _, label in train} - {OUT_OF_SCOPE})[:QUICK_LABELS]
    if any(label == OUT_OF_SCOPE for _, label in train):
        labels.append(OUT_OF_SCOPE)
    ours, theirs = _by_label(train), _by_label(test)
    return (
        [(text, label) for label in labels for text in ours[label][:QUICK_TRAIN]],
        [(text, label) for label in labels for text in theirs[label][:QUICK_TEST]],
    )


def write(rows: Sequence[tuple[str, ...]], file: Path, header: tuple[str, ...] = ("text", "category")) -> Path:
    """Rows as a CSV file; its path."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
    return file


def _csv(file: Path) -> Rows:
    if not file.is_file():
        raise NoData(f"{file} is not here")
    with file.open(encoding="utf-8", newline="") as stream:
        return [(row["text"], row["category"]) for row in csv.DictReader(stream)]


def _by_label(rows: Rows) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for text, label in rows:
        found[label].append(text)
    return found
