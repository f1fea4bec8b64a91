"""The traffic store: what goes in comes out as pairs, on the right side; what is deleted is gone from the files."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smidgen.core.errors import InputError, MissingExtra
from smidgen.core.replies import NOT_COMPARABLE
from smidgen.store.database import Database
from smidgen.store.traffic import store as stores
from smidgen.store.traffic import tables
from smidgen.store.traffic.records import MOST_TEXT, Exchange, Feedback, LateLabel, TrafficError
from smidgen.store.traffic.store import TrafficStore, opened
from smidgen.store.traffic.tables import url_of

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SMIDGEN_TRAFFIC_URL", raising=False)
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Iterator[TrafficStore]:
    with opened(held_out=0.0) as found:
        yield found


def asked(number: int, **changes: Any) -> Exchange:
    facts: dict[str, Any] = {
        "id": f"req_{number}",
        "time": NOW + timedelta(minutes=number),
        "asked": "support",
        "path": "/v1/chat/completions",
        "input": f"where is parcel {number}",
        "answered_by": "upstream",
        "answer": f"answer {number}",
        "model": "big",
    }
    return Exchange(**{**facts, **changes})


def said(number: int, **changes: Any) -> Feedback:
    return Feedback(**{"request_id": f"req_{number}", "time": NOW, **changes})


def references(store: TrafficStore, **wanted: Any) -> list[tuple[str, str, str]]:
    return [(pair.id, pair.reference, pair.whose) for pair in store.pairs("support", **wanted)]


def test_a_request_is_stored_as_it_was(store: TrafficStore, home: Path) -> None:
    one = asked(
        1,
        bundle_id="abc",
        local_output='"late"',
        local_score=0.25,
        certificate="c1",
        why="score",
        tokens_in=3,
        tokens_out=2,
        tokens_estimated=False,
        cost_usd=0.5,
        local_ms=1.5,
        upstream_ms=20.0,
        key="0f",
        altered=True,
        doubtful=True,
        answer_state="whole",
        user="anna",
        also=("bert",),
        system="be kind",
        template="t",
    )
    assert store.add([one]) == 1
    found = store.find("req_1")
    assert found is not None
    same = {field.name for field in dataclasses.fields(Exchange)} - {
        "time",
        "user",
        "also",
        "system",
        "template",
        "kind",
        "choices",
        "key",
        "held_out",
    }
    assert len(same) == 25 and {name: found[name] for name in same} == {name: getattr(one, name) for name in same}
    assert (found["time"], found["key_hash"]) == (one.time.timestamp(), "0f")
    hashes = [found[name] for name in ("user_hash", "system_hash", "template_hash")]
    assert len(set(hashes)) == 3 and all(len(name) == 32 for name in hashes)
    assert found["kind_hash"] == found["template_hash"], "nothing was said of what varies in it"
    assert (home / "traffic.db").stat().st_mode & 0o077 == 0
    assert store.find("req_2") is None


def test_pairs_come_in_order_and_a_person_is_believed_before_the_upstream(store: TrafficStore) -> None:
    store.add([asked(number) for number in (3, 1, 2, 4, 5, 6)])
    for one in (
        said(1, corrected="first"),
        said(1, corrected="second", verdict="up"),
        said(1, comment="thanks"),
        said(2, verdict="down"),
        said(3, verdict="down"),
        said(3, verdict="up"),
        said(4, verdict="down", corrected="mended"),
        said(5, corrected="[PERSON_1]", altered=True),
    ):
        assert store.feedback(one)
    assert references(store) == [
        ("req_1", "second", "human"),
        ("req_3", "answer 3", "upstream"),
        ("req_4", "mended", "human"),
        ("req_6", "answer 6", "upstream"),
    ]
    assert references(store, since=NOW + timedelta(minutes=4), until=NOW + timedelta(minutes=6)) == [("req_4", "mended", "human")]
    assert store.totals().json() | {"asked": 0, "groups": 0} == {
        **{"requests": 6, "local": 0, "upstream": 6, "cached": 0, "unanswered": 0, "held_out": 0, "feedback": 8, "corrected": 4},
        **{"first": "2026-05-01T12:01:00+00:00", "last": "2026-05-01T12:06:00+00:00", "cost_usd": 0.0, "saved_usd": 0.0},
        **{"asked": 0, "groups": 0},
    }


def test_what_cannot_teach_is_no_pair(store: TrafficStore) -> None:
    long = "x" * (MOST_TEXT + 1)
    store.add(
        [
            asked(1, odd="the field tools"),
            asked(2, input=None),
            asked(3, answer=None),
            asked(4, input=long),
            asked(5, answer=long),
            asked(6, answered_by="local", answer=None, local_output='"late"', local_score=0.9),
            asked(7, asked="other"),
            asked(8, answer="  "),
            asked(9),
        ]
    )
    assert references(store) == [("req_9", "answer 9", "upstream")]
    store.feedback(said(6, corrected="lost"))
    store.feedback(said(9, corrected=long))
    assert references(store) == [("req_6", "lost", "human")]
    cut = store.find("req_4")
    assert cut is not None and len(cut["input"]) == MOST_TEXT and cut["truncated"]
    assert [pair.id for pair in store.pairs()] == ["req_6", "req_7"]


def measured(store: TrafficStore) -> dict[str, tuple[str, str, str, str | None]]:
    """Of each held-out request: the reference, whose it is, how the upstream answered, and the correction beside it."""
    return {pair.id: (pair.reference, pair.whose, pair.state, pair.corrected) for pair in store.pairs("support", held_out=True)}


@pytest.fixture
def held(home: Path) -> Iterator[TrafficStore]:
    """A store that holds out nearly everything, and certainly all texts of this file."""
    with opened(held_out=1 - 2**-50) as found:
        yield found


def test_held_out_requests_are_taken_as_they_went_whatever_people_said(held: TrafficStore) -> None:
    """Without those that somebody called wrong, they would be an easier sample than the traffic is."""
    held.add([asked(number) for number in range(1, 6)])
    held.add(
        [asked(6, answered_by="local", answer=None, local_output='"late"', local_score=0.9), asked(7, answered_by="local", answer=None)]
    )
    for one in (
        said(1, verdict="down"),
        said(2, verdict="down", corrected="mended"),
        said(3, corrected="[PERSON_1]", altered=True),
        said(4, corrected="x" * (MOST_TEXT + 1)),
        said(5, corrected=" "),
        said(6, verdict="down", corrected="mended too"),
        said(7, verdict="down"),
    ):
        assert held.feedback(one)
    assert measured(held) == {
        "req_1": ("answer 1", "upstream", "whole", None),
        "req_2": ("answer 2", "upstream", "whole", "mended"),
        "req_3": ("answer 3", "upstream", "whole", None),
        "req_4": ("answer 4", "upstream", "whole", None),
        "req_5": ("answer 5", "upstream", "whole", None),
        "req_6": ("mended too", "human", "", None),
    }


def test_held_out_requests_whose_answer_is_no_whole_text_are_taken_as_such(held: TrafficStore) -> None:
    states = sorted(NOT_COMPARABLE)
    long = "x" * (MOST_TEXT + 1)
    given = [asked(number, answer=None, answer_state=state) for number, state in enumerate(states, 1)]
    other = [
        asked(20, answer=None, answer_state="broken"),
        asked(21, answer=None, answered_by="none", status=503),
        asked(22, answer=None, status=429, answer_state="broken"),
        asked(23, answer="  "),
        asked(24, answer=long),
        asked(25, answer=None, answer_state="long", truncated=True),
        asked(26, input=long),
        asked(27, local_output=f'"{long}"'),
        asked(28, answer="whole", answer_state="whole", altered=True),
    ]
    held.add([*given, *other])
    found = measured(held)
    assert {id: found.pop(id) for id in [one.id for one in given]} == {
        f"req_{number}": ("", "upstream", state, None) for number, state in enumerate(states, 1)
    }
    assert found == {
        "req_23": ("", "upstream", "blank", None),
        "req_24": ("", "upstream", "long", None),
        "req_25": ("", "upstream", "long", None),
        "req_27": ("answer 27", "upstream", "whole", None),
        "req_28": ("whole", "upstream", "whole", None),
    }
    assert [pair.id for pair in held.pairs("support", held_out=True) if pair.altered] == ["req_28"]


def test_nothing_is_learnt_from_an_answer_that_is_no_whole_text(store: TrafficStore) -> None:
    store.add([asked(number, answer="so far", answer_state=state) for number, state in enumerate(sorted(NOT_COMPARABLE | {"broken"}))])
    store.add([asked(20, answer="whole", answer_state="whole", altered=True, doubtful=True)])
    assert [(pair.id, pair.altered, pair.doubtful) for pair in store.pairs("support")] == [("req_20", True, True)]


def test_a_long_walk_comes_to_its_end_and_gives_each_pair_once(store: TrafficStore) -> None:
    store.add([asked(number, time=NOW + timedelta(minutes=number // 100)) for number in range(1234)])
    found = [pair.id for pair in store.pairs("support")]
    assert len(found) == 1234 == len(set(found))


def test_an_id_is_stored_once_and_the_first_stays(store: TrafficStore) -> None:
    assert store.add([asked(1), asked(1, input="another"), asked(2)]) == 2
    assert store.add([asked(2, input="another"), asked(3)]) == 1
    assert [pair.input for pair in store.pairs("support")] == [f"where is parcel {number}" for number in (1, 2, 3)]


def test_feedback_needs_a_stored_request(store: TrafficStore) -> None:
    assert not store.feedback(said(1, verdict="up"))
    assert store.totals().feedback == 0


def test_a_text_is_on_one_side_for_ever(home: Path) -> None:
    with opened() as store:
        assert store.held_out == 0.2
        store.add([asked(number) for number in range(2000)])
        held = {pair.input for pair in store.pairs("support", held_out=True)}
        taught = {pair.input for pair in store.pairs("support")}
    assert len(held) + len(taught) == 2000 and not held & taught
    assert 290 < len(held) < 510  # a fifth of 2,000 within six standard deviations
    with opened() as again:
        again.add([asked(number + 2000, input=f"  Where is  PARCEL {number} ") for number in range(2000)])
        sides = {
            " ".join(pair.input.lower().split()): pair.held_out for pair in again.pairs("support", held_out=None) if "PARCEL" in pair.input
        }
        assert sides == {text: text in held for text in held | taught}


def test_another_store_draws_other_sides_and_hashes_other_names(tmp_path: Path) -> None:
    seen = []
    for name in ("a", "b"):
        with opened(f"sqlite:///{tmp_path / name}.db") as store:
            store.add([asked(number, user="anna") for number in range(200)])
            row = store.find("req_1")
            assert row is not None
            seen.append((row["user_hash"], tuple(pair.id for pair in store.pairs("support", held_out=True))))
    assert seen[0][0] != seen[1][0] and seen[0][1] != seen[1][1]


def test_the_share_of_a_store_does_not_change(home: Path) -> None:
    opened(held_out=0.5).close()
    with opened() as store:
        assert store.held_out == 0.5
    with pytest.raises(InputError, match=r"0\.5, not 0\.2"):
        opened(held_out=0.2)
    with pytest.raises(InputError):
        opened(held_out=1.0)


def every_byte(home: Path) -> bytes:
    """All that is in the files of the store."""
    files = sorted(home.glob("traffic.db*"))
    assert files[0].name == "traffic.db"
    return b"".join(file.read_bytes() for file in files)


def test_what_is_deleted_is_gone_from_the_files(store: TrafficStore, home: Path) -> None:
    secret = "margaret holloway " * 400  # more than a page, so that it lies on pages of its own as well
    store.add([asked(1, input="secret-one", user="anna"), asked(2, answer=secret + "secret-two", user="anna"), asked(3, user="bert")])
    store.feedback(said(2, corrected="secret-three"))
    store.feedback(said(3, comment="secret-four", user="anna"))
    before = every_byte(home)
    assert [f"secret-{name}".encode() in before for name in ("one", "two", "three", "four")] == [True] * 4
    assert (done := store.delete_user("anna")).gone and (done.requests, done.feedback) == (2, 2)
    after = every_byte(home)
    assert b"secret-" not in after and b"margaret" not in after
    assert b"where is parcel 3" in after
    assert store.delete_user("anna").requests == 0


def test_a_deletion_says_so_while_another_program_reads(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smidgen.store.database._BUSY_SECONDS", 0.05)
    store = opened()
    store.add([asked(1)])
    reader = sqlite3.connect(home / "traffic.db", isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM requests").fetchone() == (1,)
    assert not store.delete_older(0, now=NOW + timedelta(days=1)).gone
    reader.close()
    assert store.delete_older(0, now=NOW + timedelta(days=1)).gone
    assert b"where is parcel" not in every_byte(home)
    store.close()


def test_old_requests_and_those_of_a_bundle_are_deleted(store: TrafficStore) -> None:
    store.add([asked(1, time=NOW - timedelta(days=31)), asked(2, time=NOW - timedelta(days=29)), asked(3, asked="other")])
    store.feedback(said(1, verdict="up"))
    assert dataclasses.astuple(store.delete_older(30, now=NOW)) == (1, 1, True)
    assert dataclasses.astuple(store.delete_asked("other")) == (1, 0, True)
    assert [pair.id for pair in store.pairs()] == ["req_2"]
    with pytest.raises(InputError):
        store.delete_user("")


def test_a_reservoir_outlives_retention_and_no_other_deletion(store: TrafficStore, home: Path) -> None:
    old = NOW - timedelta(days=40)
    store.add([asked(number, time=old, user=f"user-{number % 2}") for number in range(6)])
    store.feedback(said(0, corrected="right"))
    assert store.keep("line a", ["req_0", "req_1", "req_2", "gone"]) == 3
    assert store.keep("line b", ["req_2", "req_3"]) == 2
    assert store.keep("line b", ["req_4"], add=True) == 3
    assert store.delete_older(30, now=NOW, kept_days=365).requests == 1, "the one that is in no reservoir"
    assert store.keep("line b", ["req_3"]) == 1, "what it held before is replaced"
    assert store.delete_older(30, now=NOW, kept_days=365).requests == 1
    assert [pair.id for pair in store.pairs()] == ["req_0", "req_1", "req_2", "req_3"]
    assert references(store)[0] == ("req_0", "right", "human"), "with what people said of it"
    assert store.delete_user("user-1").requests == 2 and [pair.id for pair in store.pairs()] == ["req_0", "req_2"]
    assert store.delete_older(30, now=NOW, kept_days=20).requests == 2, "kept days that are fewer make nothing shorter, and nothing longer"
    assert b"where is parcel" not in every_byte(home)
    assert store.keep("line a", ["req_0"]) == 0


def test_a_kept_request_goes_after_its_own_days_and_with_its_bundle(store: TrafficStore) -> None:
    store.add([asked(1, time=NOW - timedelta(days=400)), asked(2, time=NOW - timedelta(days=40)), asked(3, asked="other")])
    store.keep("line", ["req_1", "req_2", "req_3"])
    assert store.delete_older(30, now=NOW, kept_days=365).requests == 1
    assert store.delete_asked("support").requests == 1 and store.delete_asked("other").requests == 1
    for days in (-1, float("nan")):
        with pytest.raises(InputError, match="days"):
            store.delete_older(30, kept_days=days)


def test_texts_that_databases_do_not_take_are_stored_all_the_same(store: TrafficStore) -> None:
    store.add([asked(1, input="half \ud83d and \0 zero", user="\udc00", local_score=float("nan"))])
    (pair,) = store.pairs("support")
    assert pair.input == "half ? and \ufffd zero" and pair.local_score is None


def test_a_store_that_is_deleted_while_it_is_open_is_made_anew(store: TrafficStore, home: Path) -> None:
    store.add([asked(1)])
    for file in home.glob("traffic.db*"):
        file.unlink()
    assert not store.feedback(said(1, verdict="up"))
    store.add([asked(2)])
    assert store.feedback(said(2, verdict="up"))
    with opened() as other:
        assert [pair.id for pair in other.pairs()] == ["req_2"]


def test_a_locked_store_is_told_and_works_when_it_is_free(store: TrafficStore, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smidgen.store.database._BUSY_SECONDS", 0.05)
    other = sqlite3.connect(home / "traffic.db", isolation_level=None)
    with opened() as short:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TrafficError, match="locked"):
            short.add([asked(1, input="a private text")])
        other.execute("ROLLBACK")
        assert short.add([asked(1)]) == 1
    other.close()


def test_a_damaged_store_is_refused_and_no_text_is_in_the_message(home: Path) -> None:
    home.mkdir()
    (home / "traffic.db").write_bytes(b"this is no database at all, but a private text " * 50)
    with pytest.raises(TrafficError) as told:
        opened()
    assert "not a database" in str(told.value) and "private" not in str(told.value)


def test_what_was_not_stored_is_counted_by_day_and_goes_with_its_days(store: TrafficStore) -> None:
    now = datetime(2026, 5, 10, 12, tzinfo=UTC)
    assert store.seen().words == "" and store.seen().share_lost == 0.0
    store.add_outcomes({"stored": 7, "duplicate": 5, "unreadable": 2}, now - timedelta(days=3))
    assert store.seen().words == "", "a request that is stored already is not lost, and neither is what is none"
    for _ in range(2):
        store.add_outcomes({"stored": 1, "queue_full": 2, "stopped": 0}, now)
    found = store.seen(now - timedelta(days=1))
    assert (found.stored, found.lost, found.share_lost, found.first) == (2, {"queue_full": 4}, 4 / 6, now.date())
    assert store.seen().words == "4 of 13 requests since 2026-05-07 were not stored (30.8%: 4 queue_full)"
    store.delete_older(1, now)
    assert store.seen() == found


def test_labels_that_became_known_put_right_what_was_stored_masked(store: TrafficStore) -> None:
    now = datetime(2026, 5, 10, 12, tzinfo=UTC)
    store.add([asked(1, answer="[PERSON_1]"), asked(2, answer="[PERSON_1]"), asked(3, answered_by="local", answer=None, held_out=False)])
    store.feedback(Feedback("req_2", now, corrected="[PERSON_1]", altered=True))
    late = [
        LateLabel("req_1", "answer", "Ann Arbor", stored="[PERSON_1]"),
        LateLabel("req_2", "answer", "other", stored="not what is there"),
        LateLabel("req_2", "corrected", "ann arbor", stored="[PERSON_1]", time=now),
        LateLabel("req_3", "audit", "Ann Arbor.", model="big"),
        LateLabel("req_9", "answer", "gone", stored="x"),
    ]
    assert store.know([("k1", "ann arbor"), ("k1", "ann arbor")], late, now) == 3
    assert store.labels() == [("k1", "ann arbor")]
    rows = [store.find(f"req_{number}") for number in (1, 2, 3)]
    assert [row and (row["answer"], row["audit_answer"]) for row in rows] == [
        ("Ann Arbor", None),
        ("[PERSON_1]", None),
        (None, "Ann Arbor."),
    ]
    with store._reading() as connection:
        assert connection.exec_driver_sql("SELECT corrected, altered FROM feedback").fetchall() == [("ann arbor", 0)]
    store.delete_older(1, now + timedelta(days=2))
    assert store.labels() == []


def test_a_store_of_a_later_smidgen_is_refused(home: Path) -> None:
    opened().close()
    with sqlite3.connect(home / "traffic.db") as raw:
        raw.execute("UPDATE smidgen_meta SET value = '99' WHERE name = 'version'")
    with pytest.raises(TrafficError, match="later smidgen"):
        opened()


def test_a_store_of_an_earlier_smidgen_is_brought_forward_with_all_that_is_in_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened() as before:
        before.add([asked(1)])
        key = before._sides.hashed("user", "anna")
    more = ("ALTER TABLE requests ADD COLUMN mood VARCHAR", "UPDATE requests SET mood = 'good'")
    monkeypatch.setattr(tables, "CHANGES", (*tables.CHANGES, more))
    with opened() as after:
        assert [pair.id for pair in after.pairs(held_out=None)] == ["req_1"] and after._sides.hashed("user", "anna") == key
    opened().close()  # and not a second time
    with sqlite3.connect(home / "traffic.db") as raw:
        assert raw.execute("SELECT mood FROM requests").fetchall() == [("good",)]
        assert raw.execute("SELECT value FROM smidgen_meta WHERE name = 'version'").fetchall() == [(str(1 + len(tables.CHANGES)),)]


def test_a_store_of_the_first_version_learns_what_can_be_known(home: Path) -> None:
    with opened(held_out=0.0) as before:
        rows = [("where is [PERSON_1]", "there"), ("where is it [1]", "here"), ("no answer", None)]
        before.add([asked(number, input=text, answer=answer, user="anna", also=("b",)) for number, (text, answer) in enumerate(rows)])
        before.add([asked(3, answered_by="local", answer=None)])
    with sqlite3.connect(home / "traffic.db") as raw:
        raw.execute("ALTER TABLE requests DROP COLUMN altered")
        raw.execute("ALTER TABLE requests DROP COLUMN doubtful")
        raw.execute("ALTER TABLE requests DROP COLUMN answer_state")
        raw.execute("ALTER TABLE requests DROP COLUMN audit_answer")
        raw.execute("ALTER TABLE requests DROP COLUMN audit_model")
        raw.execute("ALTER TABLE requests DROP COLUMN kind_hash")
        raw.execute("DROP INDEX requests_template")
        raw.execute("DROP TABLE aliases")
        raw.execute("DROP TABLE kept")
        raw.execute("DROP TABLE outcomes")
        raw.execute("DROP TABLE labels")
        raw.execute("UPDATE smidgen_meta SET value = '1' WHERE name = 'version'")
    raw.close()
    with opened() as after:
        found = [after.find(f"req_{number}") for number in range(4)]
        assert [row and (row["altered"], row["answer_state"]) for row in found] == [
            (True, "whole"),
            (False, "whole"),
            (False, ""),
            (False, ""),
        ]
        assert [row and row["kind_hash"] for row in found] == [row and row["template_hash"] for row in found]
        assert after.add([asked(4, altered=True, answer_state="cut", also=("claire",))]) == 1
        assert after.delete_user("claire").requests == 1 and after.delete_user("anna").requests == 3
    made, new = sqlite3.connect(home / "traffic.db"), sqlite3.connect(home / "new.db")
    opened(f"sqlite:///{home / 'new.db'}").close()
    wanted = "SELECT name, type, \"notnull\", pk FROM pragma_table_info('{}') ORDER BY name"
    for table in ("requests", "aliases", "feedback", "outcomes", "labels"):
        same = [base.execute(wanted.format(table)).fetchall() for base in (made, new)]
        assert same[0] == same[1] and len(same[0]) > 1
    made.close()
    new.close()


def test_whoever_has_several_ids_is_found_by_each_however_it_is_spaced(store: TrafficStore, home: Path) -> None:
    names = ("anna", " anna\n", "hash-7", "customer-1 ")
    for name in names:
        store.add([asked(1, user=" anna", also=("hash-7 ", "customer-1", "anna", "")), asked(2, user="bert", also=("claire",))])
        store.feedback(said(1, comment="as I said", user="somebody else"))
        store.feedback(said(2, comment="too", user=" anna "))
        found = dataclasses.astuple(store.delete_user(name))
        assert found == ((1, 2, True) if "anna" in name else (1, 1, True))
        assert store.delete_user(name).requests == 0
        with store._reading() as connection:
            assert connection.exec_driver_sql("SELECT request_id FROM aliases").fetchall() == [("req_2",)]
        assert store.delete_user("claire").requests == 1
    assert len(names) == 4
    with pytest.raises(InputError):
        store.delete_user("  ")


def test_one_who_was_stored_with_blanks_by_an_older_smidgen_is_found(store: TrafficStore, home: Path) -> None:
    store.add([asked(1)])
    with sqlite3.connect(home / "traffic.db") as raw:
        raw.execute("UPDATE requests SET user_hash = ?", (store._sides.hashed("user", " anna "),))
    raw.close()
    assert store.delete_user("anna").requests == 0 and store.delete_user(" anna ").requests == 1


def test_days_that_cannot_be_are_refused(store: TrafficStore) -> None:
    store.add([asked(1)])
    for days in (-1, 9_999_999, float("inf"), float("nan")):
        with pytest.raises(InputError, match="days"):
            store.delete_older(days)
    assert store.totals().requests == 1 and store.delete_older(36_500).requests == 0


def test_of_a_database_server_it_is_not_known_when_the_last_byte_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    class Server:
        def __enter__(self) -> Any:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def execution_options(self, **options: Any) -> Any:
            return self

        def exec_driver_sql(self, statement: str) -> None:
            told.append(statement)

    monkeypatch.setattr(Database, "_connection", lambda self, begin: Server())
    assert Database(url_of("postgresql+psycopg://me:x@db.example/traffic"), "the store", TrafficError).scrub(("requests", "labels")) is None
    assert told == ["VACUUM requests, labels"]


def test_many_make_and_fill_one_store_at_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smidgen.store.database._BUSY_SECONDS", 120.0)  # a machine with other work takes its time

    def fill(place: int) -> None:
        with opened() as store:
            for number in range(10):
                store.add([asked(place * 10 + number)])

    threads = [threading.Thread(target=fill, args=(place,)) for place in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with opened() as store:
        assert store.totals().requests == 60


def test_none_is_made_where_none_is_wanted(home: Path) -> None:
    with pytest.raises(TrafficError, match="nothing was captured"):
        opened(make=False)
    assert not (home / "traffic.db").exists()


def test_urls(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert url_of().database == str(home / "traffic.db")
    monkeypatch.setenv("SMIDGEN_TRAFFIC_URL", "postgresql+psycopg://me:hidden@db.example/traffic")
    assert url_of().host == "db.example"
    wrong = ("mysql://me:hidden@host/x", "postgresql://me:hidden@host/x", "sqlite://", "sqlite:///:memory:", "hidden")
    for url in wrong:
        with pytest.raises(InputError) as told:
            url_of(url)
        assert "hidden" not in str(told.value) and "postgresql+psycopg://" in str(told.value)


def test_without_its_driver_postgresql_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"pip install -e '.*\[postgres\]'") as told:
        opened("postgresql+psycopg://me:hidden@127.0.0.1:1/x")
    assert "hidden" not in str(told.value)


def test_what_is_sent_to_postgresql_can_be_said_in_its_language() -> None:
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.schema import CreateTable

    from smidgen.store.traffic import pairs

    dialect = postgresql.dialect()
    made = [str(CreateTable(table).compile(dialect=dialect)) for table in tables.METADATA.sorted_tables]
    assert len(made) == 7 and "SERIAL" in "".join(made) and "DOUBLE PRECISION" in "".join(made)
    page = str(pairs.select_page("support", True, 1.0, 2.0, "t", (3.0, "id")).compile(dialect=dialect))
    assert "LIMIT" in page and "held_out" in page
    assert "ON CONFLICT DO NOTHING" in str(postgresql.insert(tables.REQUESTS).on_conflict_do_nothing().compile(dialect=dialect))


def test_a_pair_is_json_ready(store: TrafficStore) -> None:
    store.add([asked(1)])
    (pair,) = store.pairs("support")
    told = json.loads(json.dumps(pair.json()))
    assert (told["time"], told["input"], told["reference"], told["held_out"]) == (
        "2026-05-01T12:01:00+00:00",
        "where is parcel 1",
        "answer 1",
        False,
    )
    assert stores.HELD_OUT == 0.2


def test_a_stretch_has_every_text_whoever_answered_and_no_other(store: TrafficStore) -> None:
    store.add([asked(number, answered_by=("local", "upstream", "none")[number % 3], local_score=0.5) for number in range(1200)])
    store.add([asked(1200, odd="tools"), asked(1201, input=None), asked(1202, asked="other"), asked(1203, input="x" * 40_000)])
    newest = store.stretch("support", 700)
    assert [one.id for one in newest] == [f"req_{number}" for number in range(500, 1200)]
    assert [one.id for one in store.stretch("support", 600, newest=False)] == [f"req_{number}" for number in range(600)]
    since, until = NOW + timedelta(minutes=100), NOW + timedelta(minutes=103)
    some = store.stretch("support", 9, since=since, until=until)
    assert [(one.id, one.local_score, one.held_out) for one in some] == [(f"req_{number}", 0.5, False) for number in (100, 101, 102)]
    assert store.stretch("nobody", 9) == []
    # Of the same moment each comes once, over the edge of a page.
    store.add([dataclasses.replace(asked(number, asked="busy"), time=NOW) for number in range(2000, 2900)])
    assert len({one.id for one in store.stretch("busy", 900)}) == 900 == len(store.stretch("busy", 5000, newest=False))
