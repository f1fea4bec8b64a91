"""The bundles of the gateway's benches: the shop's inbox sorted into its areas, built and certified as a user would."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import process
from bench.classifiers import BUILD_LIMIT, CLI, EVAL_LIMIT
from bench.context import Context, last_json

ALPHA = 0.1
_SAMPLE = Path(__file__).parent.parent / "src" / "smidgen" / "samples" / "homeware"


class NoBundle(Exception):
    """A bundle that could not be built or certified."""


@dataclass(frozen=True)
class Shop:
    """A bundle under a certificate.

    Attributes:
        folder: the bundle.
        answers: of each text, what it says and its score.
        threshold: from which score on it answers alone.
    """

    folder: Path
    answers: dict[str, tuple[str, float]]
    threshold: float

    @property
    def local(self) -> list[str]:
        """The texts that it answers alone."""
        return [text for text, (_, score) in self.answers.items() if score >= self.threshold]

    @property
    def escalated(self) -> list[str]:
        """The others."""
        return [text for text, (_, score) in self.answers.items() if score < self.threshold]


def area(intent: str) -> str:
    """What comes before the slash: 40 intents become 10 areas, and what is out of scope."""
    return intent.partition("/")[0]


def areas(part: str, prefix: str = "") -> list[tuple[str, str]]:
    """The texts of `train` or `test` with their areas; `prefix` before each name makes labels of another bundle."""
    with (_SAMPLE / f"support_{part}.csv").open(encoding="utf-8", newline="") as stream:
        rows = [(row["text"], area(row["intent"])) for row in csv.DictReader(stream)]
    return [(" ".join(text.split()), label if label == "out_of_scope" else f"{prefix}{label}") for text, label in rows]


def write(file: Path, rows: Sequence[tuple[str, str]]) -> Path:
    """Rows as a CSV with the columns text and intent."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("text", "intent"))
        writer.writerows(rows)
    return file


def built(context: Context, key: str, train: Path, flags: Sequence[str]) -> Path:
    """A bundle of these rows; one that is there is taken again where the run keeps what it has. Raises NoBundle."""
    folder = context.out / "bundles" / key
    if context.keep == "all" and (folder / "smidgen.json").is_file():
        return folder
    columns = ["--task", "classify", "--data", str(train), "--input", "text", "--label", "intent"]
    ran = context.run([*CLI, "build", *columns, *flags, "--seed", "0", "--out", str(folder)], f"{key}-build", BUILD_LIMIT)
    if ran.trouble:
        raise NoBundle(f"{key} could not be built: {ran.trouble}")
    return folder


def certified(context: Context, folder: Path, sample: Path, home: Path) -> Shop:
    """The bundle under a certificate of the home, from a sample that it has never seen, and what it says to the texts of the sample. Raises
    NoBundle."""
    env = {**context.env(), "SMIDGEN_HOME": str(home)}
    log = context.out / "logs"
    certify = [*CLI, "certify", folder, "--data", sample, "--alpha", str(ALPHA), "--json"]
    ran = process.run(certify, limit=EVAL_LIMIT * context.patience, log=log / f"{folder.name}-certify", env=env)
    if ran.trouble:
        raise NoBundle(f"{folder.name} could not be certified: {ran.trouble}")
    threshold = _threshold(last_json(ran.stdout))
    said = context.out / "data" / f"{folder.name}-said.jsonl"
    predict = [*CLI, "predict", folder, "--data", sample, "--out", said, "--input", "text"]
    ran = process.run(predict, limit=EVAL_LIMIT * context.patience, log=log / f"{folder.name}-predict", env=env)
    if ran.trouble:
        raise NoBundle(f"{folder.name} could not be asked: {ran.trouble}")
    with sample.open(encoding="utf-8", newline="") as stream:
        texts = [row["text"] for row in csv.DictReader(stream)]
    replies = [json.loads(line) for line in said.read_text(encoding="utf-8").splitlines()]
    answers = {text: (reply["output"], float(reply["score"])) for text, reply in zip(texts, replies, strict=True)}
    return Shop(folder, answers, threshold)


def _threshold(found: dict[str, Any]) -> float:
    """From which score on a certificate lets its bundle answer. Raises NoBundle for one that lets it answer nothing."""
    entries = found.get("certificate", found).get("answering", ())
    if not entries:
        raise NoBundle("the certificate lets the bundle answer nothing")
    return float(entries[0]["threshold"])
