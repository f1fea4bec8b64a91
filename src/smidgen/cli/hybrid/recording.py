"""The recording: what stands in for the large model's answers. The sample's own labels, with some errors that a file lists and explains."""

from __future__ import annotations

import csv
import importlib.resources
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass

from smidgen.core.errors import DataError
from smidgen.store.hashing import rows_hash

MARK = "a recording, not a model"
"""What every reply says of itself, and every screen."""
FILE = "support_recording.json"
SAMPLES = ("support_train.csv", "support_test.csv")


@dataclass(frozen=True)
class Recording:
    """Answers by their texts.

    Attributes:
        answers: the label that was given to each text, in the order of the sample's files.
        right: the sample's own label of each text.
        about: how the recording was made, in words.
    """

    answers: Mapping[str, str]
    right: Mapping[str, str]
    about: str

    @property
    def labels(self) -> list[str]:
        """All labels that it gives, sorted."""
        return sorted(set(self.answers.values()))

    @property
    def wrong(self) -> int:
        """How many of its answers are not the sample's own."""
        return sum(self.answers[text] != label for text, label in self.right.items())


def sample() -> list[tuple[str, str]]:
    """(text, label) of every message of the sample shop, each text once, as it comes first."""
    found: dict[str, str] = {}
    for name in SAMPLES:
        content = (importlib.resources.files("smidgen") / "samples" / "homeware" / name).read_text(encoding="utf-8")
        for row in csv.DictReader(io.StringIO(content, newline="")):
            found.setdefault(row["text"], row["intent"])
    return list(found.items())


def read() -> Recording:
    """The recording that comes with smidgen. Raises DataError where it was made from other messages than the sample has."""
    rows = sample()
    facts = json.loads((importlib.resources.files("smidgen") / "samples" / "homeware" / FILE).read_text(encoding="utf-8"))
    if facts["sample_sha256"] != rows_hash(rows):
        raise DataError(
            "the recording is of other messages than the sample has", value=FILE, todo="Run: python -m tools.recording", file=FILE
        )
    said = [label for _, label in rows]
    for number, label in facts["errors"].items():
        said[int(number)] = label
    return Recording(dict(zip((text for text, _ in rows), said, strict=True)), dict(rows), facts["about"])
