"""The bench of what is masked without need: what counts, whether its truth fits its texts, and which names it asks about."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path

import pytest
from bench import label_names, overmasking
from bench.border import Text
from bench.data import NoData
from bench.overmasking import EITHER, TEXTS, TRUTH, Found

from smidgen.privacy.redactor import Redactor

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
KINDS = {"person", "address", "place", "organisation", "date", "phone", "email", "card", "iban", "id", "ip", "secret", EITHER}


def three() -> list[Text]:
    return [
        Text("call Sandra in Bern on Friday", ((5, 11, "person"), (15, 19, "place"), (23, 29, EITHER)), "support 0"),
        Text("my card is lost", (), "support 1"),
        Text("Der Fall ist klar", (), "deutsch 2"),
    ]


def test_only_a_mask_that_meets_nothing_personal_is_without_need() -> None:
    text = three()[0]
    assert overmasking.needless(text, [(0, 11, "person"), (15, 19, "place"), (23, 29, "date")]) == [], "what overlaps a true span is needed"
    assert overmasking.needless(text, [(0, 4, "person"), (19, 23, "place"), (5, 6, "id")]) == ["person", "place"]


def test_a_text_counts_once_and_once_for_each_kind() -> None:
    found: list[Found] = [[(5, 11, "person")], [(0, 2, "person"), (3, 7, "person"), (11, 15, "place")], [(0, 3, "place")]]
    share = overmasking.altered(three(), found)
    assert (share.of, share.altered, share.kinds) == (3, 2, {"person": 1, "place": 2})
    assert share.percent == pytest.approx(66.67, abs=0.01)


def test_the_rows_show_shares_parts_and_kinds() -> None:
    found: list[Found] = [[(5, 11, "person"), (15, 17, "place")], [(3, 7, "person")], []]
    rows = overmasking.rows("own", "mask", three(), found)
    assert [row[:2] + row[3:5] + row[6:9] for row in rows] == [
        ["own", "mask", "1", "33.3%", "person 1", "2", "50.0%"],
        ["own, nothing personal", "mask", "1", "50.0%", "person 1", "", ""],
        ["own, small letters", "mask", "1", "100.0%", "person 1", "", ""],
        ["own, German, French, Spanish", "mask", "0", "0.0%", "", "", ""],
        ["own, person", "mask", "", "", "", "1", "100.0%"],
        ["own, place", "mask", "", "", "", "1", "0.0%"],
    ], "half of a town is not masked, and what may be masked or not is counted nowhere"
    assert all(len(row) == len(overmasking.COLUMNS) for row in rows)
    assert len(overmasking.rows("own", "health", three(), found)) == 4


def test_names_are_counted_in_both_ways() -> None:
    row = overmasking.names_row("set, intents", "mask", 4, {"names": [], "answers": ["card_arrival"]})
    assert row[2:5] == ["4", "0 as names, 1 as answers", "25.0%"]
    assert len(row) == len(overmasking.COLUMNS)


def test_a_name_that_is_changed_or_refused_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    import smidgen

    asked: list[tuple[str, ...]] = []

    def redactor(*, kinds: tuple[str, ...]) -> Redactor:
        asked.append(kinds)
        return Redactor(lambda text: [("person", 0, 4)] if text == "anna_karenina" else [])

    monkeypatch.setattr(smidgen, "redactor", redactor)
    names = ["card_arrival", "anna_karenina", "4111\u200b1111\u200b1111\u200b1111"]
    assert overmasking.changed("health", names, as_name=False) == names[1:], "a refused answer is not kept"
    assert overmasking.changed("mask", names, as_name=True) == names[2:], "a part of a name is not a person"
    assert asked == [("all",)] * 3 + [()] * 3, "each name is a conversation of its own"


def test_spans_of_own_texts_lie_within_them() -> None:
    texts = overmasking.own(TEXTS)
    spans = 0
    for text in texts:
        last = 0
        for start, end, kind in text.gold:
            piece = text.text[start:end]
            assert last <= start < end <= len(text.text), f"{text.template}: {start}, {end}"
            assert piece == piece.strip(), text.template
            assert kind in KINDS, text.template
            last, spans = end, spans + 1
    assert len({text.text for text in texts}) == len(texts)
    assert len(texts) >= 500
    assert spans >= 300
    assert sum(any(kind != EITHER for _, _, kind in text.gold) for text in texts) >= 140
    assert len({text.template.rpartition(" ")[0] for text in texts}) >= 25
    assert sum(text.text == text.text.lower() for text in texts) >= len(texts) // 3
    assert sum(len(text.text.split()) >= 100 for text in texts) >= 20


def test_a_name_that_is_personal_is_marked_wherever_it_stands_in_a_text() -> None:
    seen = 0
    for text in overmasking.own(TEXTS):
        for start, end, kind in text.gold:
            if kind == "person":
                places = [found.start() for found in re.finditer(rf"(?<!\w){re.escape(text.text[start:end])}(?!\w)", text.text)]
                assert all(any(a <= place < b for a, b, _ in text.gold) for place in places), f"{text.template}: {text.text[start:end]}"
                seen += 1
    assert seen > 150


def test_nothing_that_the_model_learns_from_is_an_own_text() -> None:
    learnt = "\n".join(
        file.read_text(encoding="utf-8").lower()
        for file in sorted((ROOT / "tools" / "redaction").rglob("*"))
        if file.suffix in {".txt", ".py"}
    )
    assert len(learnt) > 10_000
    own = [text.text.lower() for text in overmasking.own(TEXTS) if len(text.text.split()) > 4]
    assert len(own) > 400
    assert [text for text in own if text in learnt] == []


def test_the_truth_holds_spans_of_texts_that_were_drawn() -> None:
    truth = json.loads(TRUTH.read_text(encoding="utf-8"))
    assert set(truth) == set(overmasking.DRAWN)
    keys = [key for marked in truth.values() for key in marked]
    assert keys
    assert all(re.fullmatch("[0-9a-f]{16}", key) for key in keys), "no text of a data set is kept here"
    for name, marked in truth.items():
        if not (DATA / name).is_dir():
            pytest.skip(f"{DATA / name} is not here")
        drawn = overmasking.drawn(DATA, name)
        assert len(drawn) == overmasking.DRAWN[name]
        assert {overmasking.key(text.text) for text in drawn} >= set(marked)
        assert sum(bool(text.gold) for text in drawn) == len(marked)
        for text in drawn:
            assert all(0 <= start < end <= len(text.text) for start, end, _ in text.gold)


def test_a_data_set_that_is_not_here_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoData, match="is not here"):
        overmasking.drawn(tmp_path, "banking77")


def test_label_names_are_read_once_each_where_the_data_is(tmp_path: Path) -> None:
    assert label_names.labels(tmp_path) == []
    (tmp_path / "banking77").mkdir()
    (tmp_path / "banking77" / "categories.json").write_text('["card_arrival", "age_limit", "card_arrival", ""]', encoding="utf-8")
    assert label_names.labels(tmp_path) == [label_names.Names("banking77, intents", ["age_limit", "card_arrival"])]


def test_names_of_tools_and_of_their_nested_parameters(tmp_path: Path) -> None:
    (tmp_path / "bfcl").mkdir()
    inner = {"type": "dict", "properties": {"city": {"type": "string", "enum": ["Bern", "Graz"]}}}
    function = {"name": "trip.find", "parameters": {"properties": {"legs": {"type": "array", "items": inner}, "seat": {"type": "string"}}}}
    (tmp_path / "bfcl" / "BFCL_v4_multiple.json").write_text(json.dumps({"function": [function]}) + "\n", encoding="utf-8")
    assert [(own.title, own.names) for own in label_names.tool_names(tmp_path)] == [
        ("bfcl, tools", ["trip.find"]),
        ("bfcl, parameters", ["city", "legs", "seat"]),
        ("bfcl, choices", ["Bern", "Graz"]),
    ]


def test_star_has_tasks_replies_and_fields(tmp_path: Path) -> None:
    (tmp_path / "star").mkdir()
    task, interface = tmp_path / "task.json", tmp_path / "api.json"
    task.write_text(json.dumps({"task": "book_ride", "replies": {"ask_name": "What is your name?"}}), encoding="utf-8")
    interface.write_text(json.dumps({"function": "ride_book", "input": [{"Name": "FullName"}], "output": []}), encoding="utf-8")
    with tarfile.open(tmp_path / "star" / "tasks_apis_json.tar.gz", "w:gz") as packed:
        packed.add(task, "tasks/ride/ride.json")
        packed.add(interface, "apis/apis/ride_book.json")
    assert label_names.labels(tmp_path)[0].names == ["ask_name", "book_ride", "ride"]
    assert label_names.tool_names(tmp_path)[0].names == ["FullName", "ride_book"]


def test_all_label_sets_that_are_here_have_names() -> None:
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not here")
    found = {own.title: len(own.names) for own in label_names.labels(DATA)}
    assert len(found) >= 10
    assert found["banking77, intents"] == 77
    assert found["bitext-support, intents and categories"] >= 27
    assert min(found.values()) >= 3


def test_the_halves_of_the_short_requests_are_alike_and_apart() -> None:
    halves = [overmasking.short(overmasking.SHORT, half) for half in ("tuning", "blind")]
    assert [len(texts) for texts in halves] == [99, 98]
    assert not {text.text for text in halves[0]} & {text.text for text in halves[1]}
    for texts in halves:
        assert 30 <= sum(bool(text.gold) for text in texts) <= 40
        assert all(text.text[start:end] == text.text[start:end].strip() != "" for text in texts for start, end, _ in text.gold)
