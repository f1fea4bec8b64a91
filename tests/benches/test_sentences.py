"""Sentences that change a plan: what counts as read, and that nothing of the tests was taught."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from bench import sentences

ROWS = [
    {"text": "Mill Lane is closed until 2 pm", "event": {"kind": "road_closed", "streets": ["Mill Lane"], "ends": "2 pm"}},
    {"text": "van 2 is down", "event": {"kind": "van_broken", "van": "van 2"}},
    {"text": "add The Anchor, 12 boxes", "event": {"kind": "new_stop", "stop": "The Anchor", "load": 12}},
]


def test_an_edit_is_the_same_in_other_words_and_empty_where_it_is_refused() -> None:
    other = {"kind": "road_closed", "streets": ["mill ln"], "begins": None, "ends": "14:00"}
    town = sentences._town(ROWS)
    assert sentences._edit(town, other) == sentences._edit(town, ROWS[0]["event"]) != ""
    assert sentences._edit(town, {"kind": "van_broken", "van": "van 3"}) == ""
    assert sentences._edit(town, ROWS[2]["event"]).startswith("Add The Anchor")


def test_a_town_writes_names_as_tables_do() -> None:
    assert [sentences._official(name) for name in ("mill ln", "St. Anne's Rd.", "the anchor")] == [
        "Mill Lane",
        "St. Anne's Road",
        "The Anchor",
    ]


def test_edits_are_read_with_the_names_of_the_town() -> None:
    class Model:
        def predict(self, texts: list[str]) -> list[Any]:
            assert texts[1] == "van 3 is down", "a usual name"
            return [SimpleNamespace(score=0.95, output={"kind": "van_broken", "van": "van 3"} if "van" in text else {}) for text in texts]

    row = sentences._as_edits(Model(), ROWS, 0.9)
    assert row[:3] == ["events, as edits", "3", "1 (33.3%)"] and row[4:6] == ["1 (33%)", "1 (100.0%)"] and row[-1] == "0"


def test_only_what_is_sure_and_read_in_full_counts_as_sure() -> None:
    replies = [(0.95, {"kind": "road_closed", "streets": ["Mill Lane"]}), (0.95, ROWS[1]["event"]), (0.5, ROWS[2]["event"])]
    row = sentences._row("events", ROWS, replies, [False, True, True], 0.9, [True, False, False])
    assert row[:3] == ["events", "3", "2 (66.7%)"] and row[4:6] == ["1 (33%)", "1 (100.0%)"] and row[-1] == "0"


def test_sentences_without_a_change_and_with_several_are_counted() -> None:
    class Model:
        def predict(self, texts: list[str]) -> list[Any]:
            return [SimpleNamespace(score=0.95, output={"kind": "jam"} if "jam" in text else {"kind": None}) for text in texts]

    note = sentences._others(Model(), "events", 0.9)
    assert note.startswith("events: of 20 sentences that tell no change, ") and "of 10 that tell several" in note


def test_no_sentence_of_the_bench_was_taught() -> None:
    for name, (_, label, file) in sentences.RECIPES.items():
        taught = {row["text"] for row in sentences._rows(sentences.SAMPLES / file.replace("_test", "_train"))}
        for part in ("dev", "others"):
            place = sentences.HERE / f"{name}_{part}.jsonl"
            told = [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines()] if place.is_file() else []
            assert not taught & {row["text"] for row in told} and all(label in row or "kinds" in row for row in told)
        assert len(taught) > 3000
