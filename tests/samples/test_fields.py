"""The sample of fields keeps what it promises: rows that fit its schema, test rows written apart, values that the texts bear out."""

from __future__ import annotations

import importlib.resources
import json
import re
from collections import Counter
from typing import Any

from tests.samples.test_homeware import near, shingles

from smidgen.tasks.extract import ExtractSettings, part

FOLDER = importlib.resources.files("smidgen") / "samples" / "homeware"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"fields_{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def test_rows_fit_the_schema() -> None:
    train, test = rows("train"), rows("test")
    assert len(train) >= 240 and len(test) >= 60
    settings = ExtractSettings(schema_file=str(FOLDER / "fields_schema.json"))
    for row in train + test:
        assert part.parse(row["fields"], settings) == row["fields"]
    schema = json.loads((FOLDER / "fields_schema.json").read_text(encoding="utf-8"))
    for field in ("problem", "wanted"):
        counts = Counter(row["fields"][field] for row in train)
        assert set(counts) == set(schema["properties"][field]["enum"]) == {row["fields"][field] for row in test}
        assert min(counts.values()) >= 15


def test_what_is_literal_stands_in_the_text() -> None:
    checked = 0
    for row in rows("train") + rows("test"):
        text, fields = row["text"], row["fields"]
        number = fields["order_number"]
        assert (number is None) == (re.search(r"\b20\d{3}\b", text) is None and "fh20" not in text.lower()), text
        assert number is None or number.removeprefix("FH-") in text
        assert fields["product"] is None or fields["product"] in text
        assert fields["date"] is None or re.search(rf"\b0?{int(fields['date'][-2:])}(?:st|nd|rd|th)?\b", text) or "26 Feb" in text, text
        checked += 1
    assert checked >= 300


def test_the_test_rows_were_written_apart() -> None:
    train, test = [row["text"] for row in rows("train")], [row["text"] for row in rows("test")]
    assert len(set(train + test)) == len(train) + len(test)
    learnt, asked = [shingles(text) for text in train], [shingles(text) for text in test]
    assert not any(near(one, other) for one in learnt for other in asked)
    twins = sum(near(one, other) for place, one in enumerate(learnt) for other in learnt[place + 1 :])
    assert twins <= 2
