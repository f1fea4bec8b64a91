"""`smidgen traffic`: counts, exports and deletions for the one whose data it is."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smidgen.cli.main import code
from smidgen.core.conversations import DeskAnswer, DeskReply
from smidgen.core.errors import DataError
from smidgen.data.tables import open_table
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.store.database import Database
from smidgen.store.traffic.records import Exchange, Feedback
from smidgen.store.traffic.store import opened
from smidgen.tasks.classify import Classify, ClassifySettings


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SMIDGEN_TRAFFIC_URL", raising=False)
    return tmp_path / "home"


@pytest.fixture
def filled(home: Path) -> Path:
    now = datetime.now(UTC)
    with opened(held_out=0.5) as store:
        store.add(
            [
                Exchange(
                    **{"id": f"r{number}", "time": now - timedelta(days=number), "asked": "support" if number % 2 else "other"},
                    **{"path": "/v1/chat/completions", "input": f"text {number}", "answered_by": "upstream", "answer": f"answer {number}"},
                    **{"user": f"user-{number % 3}", "cost_usd": 0.25},
                )
                for number in range(12)
            ]
        )
        store.feedback(Feedback("r1", now, corrected="mended"))
    return home


def told(capsys: pytest.CaptureFixture[str], *flags: str) -> Any:
    capsys.readouterr()
    assert code(["traffic", *flags, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_counts(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys)
    assert {name: found[name] for name in ("requests", "upstream", "feedback", "corrected", "cost_usd", "held_out_share")} == {
        **{"requests": 12, "upstream": 12, "feedback": 1, "corrected": 1, "cost_usd": 3.0, "held_out_share": 0.5}
    }
    assert found["asked"] == {"other": 6, "support": 6}
    assert code(["traffic"]) == 0
    shown = capsys.readouterr().out
    assert "12 requests" in shown and "support" in shown and "50% of the texts" in shown


def test_what_was_not_stored_is_told(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for flags in ((), ("--jobs",)):
        assert code(["traffic", *flags]) == 0
        assert "were not stored" not in capsys.readouterr().out
    with opened() as store:
        store.add_outcomes({"stored": 12, "queue_full": 4})
    assert told(capsys)["traffic"]["share_lost"] == told(capsys, "--jobs")["traffic"]["share_lost"] == 0.25
    for command in (["traffic"], ["traffic", "--jobs"], ["status"]):
        assert code(command) == 0
        assert "4 of 16 requests since" in " ".join(capsys.readouterr().out.split())


def test_labels_that_recur_are_shown(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with opened() as store:
        store.know([(key, f"label {number}") for key in ("k1", "k2") for number in range(10)], [])
    assert told(capsys)["labels"] == [f"label {number}" for number in range(10)]
    assert code(["traffic"]) == 0
    assert "stored as they are: label 0, label 1" in (shown := " ".join(capsys.readouterr().out.split())) and "2 more (--json)" in shown


def test_exports_are_two_sides_of_one_whole(filled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "new" / name for name in ("taught.jsonl", "held.jsonl")]
    counts = [told(capsys, "--export", str(files[0]))["pairs"], told(capsys, "--export", str(files[1]), "--held-out")["pairs"]]
    lines = [[json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] for file in files]
    assert counts == [len(side) for side in lines] and sum(counts) == 12 and min(counts) > 0
    outputs = {row["input"]: (row["output"], row["whose"], row["corrected"]) for side in lines for row in side}
    held = any(row["input"] == "text 1" for row in lines[1])
    # Measured by what the large model said, whatever a person says of it; learnt from what the person says.
    assert outputs.pop("text 1") == (("answer 1", "upstream", "mended") if held else ("mended", "human", None))
    assert outputs == {f"text {n}": (f"answer {n}", "upstream", None) for n in range(12) if n != 1}
    assert files[0].stat().st_mode & 0o077 == 0
    for file, side in zip(files, ((), ("--held-out",)), strict=True):  # which texts are held out is drawn anew in each store
        told(capsys, "--export", str(file), "--bundle", "support", *side)
    assert [json.loads(line)["asked"] for file in files for line in file.read_text(encoding="utf-8").splitlines()] == ["support"] * 6
    assert sorted(file.name for file in files[0].parent.iterdir()) == ["held.jsonl", "taught.jsonl"]


def test_deletions(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "--delete-user", "user-1") == {"requests": 4, "feedback": 1, "gone": True}
    assert told(capsys, "--delete-older", "8") == {"requests": 3, "feedback": 0, "gone": True}
    assert told(capsys, "--delete-bundle", "support") == {"requests": 2, "feedback": 0, "gone": True}
    assert told(capsys)["requests"] == 3
    held = b"".join(file.read_bytes() for file in filled.glob("traffic.db*"))
    assert b"text 1" not in held and b"mended" not in held and b"text 0" in held


def test_one_thing_at_a_time_and_nothing_without_a_store(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(["traffic", "--delete-user", "a", "--delete-older", "3"]) == 2
    assert code(["traffic", "--delete-older", "9999999"]) == 2
    assert code(["traffic", "--held-out"]) == 2
    assert code(["traffic"]) == 1
    assert "--capture answers" in capsys.readouterr().err.replace("\n", " ")
    assert not (home / "traffic.db").exists()


def test_where_it_is_not_known_that_all_is_gone_it_says_so(
    filled: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Database, "scrub", lambda self, tables: None)
    assert told(capsys, "--delete-user", "user-1") == {"requests": 4, "feedback": 1, "gone": None}
    assert code(["traffic", "--delete-user", "user-2"]) == 0
    shown = capsys.readouterr()
    assert "Deleted 4 requests" in shown.out and "does not say when the last byte" in shown.err.replace("\n", " ")


def test_where_texts_are_left_the_deletion_does_not_count_as_done(
    filled: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Database, "scrub", lambda self, tables: False)
    assert code(["traffic", "--delete-user", "user-1"]) == 1
    shown = capsys.readouterr()
    assert "Deleted 4 requests" in shown.out and "still holds texts" in shown.err.replace("\n", " ")
    assert code(["traffic", "--delete-user", "user-2", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"requests": 4, "feedback": 0, "gone": False}


def test_a_held_out_answer_that_is_no_text_is_exported_as_none(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with opened(held_out=1 - 2**-50) as store:
        plain = {"time": datetime.now(UTC), "asked": "support", "path": "/v1/chat/completions", "answered_by": "upstream"}
        store.add([Exchange("r1", input="a", answer="yes", **plain), Exchange("r2", input="b", answer_state="refused", **plain)])  # type: ignore[arg-type]
    assert told(capsys, "--export", str(tmp_path / "held.jsonl"), "--held-out")["pairs"] == 2
    rows = [json.loads(line) for line in (tmp_path / "held.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["output"], row["state"]) for row in rows] == [("yes", "whole"), (None, "refused")]
    table = open_table(tmp_path / "held.jsonl", input="input", label="output")
    bad: list[DataError] = []
    assert [row.output for row in table.rows(lambda cell: Classify().parse(cell, ClassifySettings()), bad=bad.append)] == ["yes"]
    assert len(bad) == 1  # a certificate of this file counts it as unusable, and says so


def test_an_answer_that_was_masked_is_in_no_export(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = {"time": datetime.now(UTC), "asked": "support", "path": "/v1/chat/completions", "answered_by": "upstream"}
    said = {"to [PLACE_1]": "[PLACE_1]", "hello": "Dear [PERSON_1]", "I am [PERSON_1]": "Dear [PERSON_1]"}
    for held_out in (False, True):
        with opened(held_out=1 - 2**-50 if held_out else 0.0) as store:
            store.add([Exchange(text, input=text, answer=answer, **plain) for text, answer in said.items()])  # type: ignore[arg-type]
        file = tmp_path / f"{held_out}.jsonl"
        done = told(capsys, "--export", str(file), *(["--held-out"] if held_out else []))
        assert (done["pairs"], done["masked"]) == (3 if held_out else 1, 2)
        outputs = {row["input"]: row["output"] for row in map(json.loads, file.read_text(encoding="utf-8").splitlines())}
        assert {text: said for text, said in outputs.items() if said is not None} == {"I am [PERSON_1]": "Dear [PERSON_1]"}
        (home / "traffic.db").unlink()
    with opened(held_out=0.0) as store:
        store.add([Exchange(text, input=text, answer=answer, **plain) for text, answer in said.items()])  # type: ignore[arg-type]
    assert code(["traffic", "--export", str(tmp_path / "x.jsonl")]) == 0
    assert "--capture-labels" in capsys.readouterr().out.replace("\n", " ")


def test_an_owner_approves_what_a_desk_learns(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ConversationStore() as store:
        found = store.open_conversation("shop", "widget", "visitor")
        found = store.record(found, "Kites?", DeskAnswer(DeskReply("unanswered", "I do not know."), {}))
        store.add_turn(found.id, "No, we sell no kites.", "Mia")
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "shop.md").write_text("We sell lamps.", encoding="utf-8")
    recipe = tmp_path / "answer.toml"
    recipe.write_text('[data]\ntrain = "questions.jsonl"\n[answer]\ndocuments = "documents"\n', encoding="utf-8")
    table = tmp_path / "review.csv"
    assert code(["traffic", "--corrections", str(table)]) == 0
    assert "1 correction" in capsys.readouterr().out
    table.write_text(table.read_text(encoding="utf-8").replace("\n,Kites?", "\nyes,Kites?"), encoding="utf-8")
    assert code(["traffic", "--approved", str(table), "--into", str(recipe), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["approved"], told["added"]) == (1, {"quote": 0, "answer": 1, "no_answer": 0, "intent": 0})
    assert json.loads((tmp_path / "questions.jsonl").read_text(encoding="utf-8"))["output"]["text"] == "No, we sell no kites."
    assert code(["traffic", "--corrections", str(table), "--into", str(recipe)]) == 2
