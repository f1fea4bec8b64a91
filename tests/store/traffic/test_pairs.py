"""How many pairs there are, as the database counts them: as many as there are when they are read."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.dialects import postgresql

from smidgen.core.placeholders import PromptFrame
from smidgen.core.replies import NOT_COMPARABLE
from smidgen.store.traffic import pairs
from smidgen.store.traffic.records import MOST_TEXT, AuditAnswer, Exchange, Feedback
from smidgen.store.traffic.store import TrafficStore, opened

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def filled(store: TrafficStore, count: int = 600) -> None:
    """Requests of every kind, and everything that may be said of them, by chance."""
    rng = random.Random(7)
    states = ["", "", "whole", "whole", "whole", "broken", *sorted(NOT_COMPARABLE)]
    made = []
    for number in range(count):
        texts = [f"Dear [PERSON_1], {number} bye", f"Sort: {number} bye", f"{number}"]
        facts: dict[str, Any] = {
            "asked": rng.choice(["support", "other"]),
            "answered_by": rng.choice(["local", "upstream", "upstream", "cache", "none"]),
            "answer": rng.choice([None, "answer", "answer", "x" * (MOST_TEXT + 1)]),
            "answer_state": rng.choice(states),
            "status": rng.choice([200, 200, 200, 503]),
            "odd": "tools" if rng.random() < 0.1 else "",
            "truncated": rng.random() < 0.1,
            "template": rng.choice(["a", "b"]),
            "input": rng.choice(rng.choice([[None, "y" * (MOST_TEXT + 1)], texts, texts, texts])),
        }
        if facts["answer_state"] == "broken":
            facts["answer"] = None  # nothing is kept of what broke off
        made.append(Exchange(id=f"r{number}", time=NOW + MINUTE * (number // 2), path="/", model="big", **facts))
    store.add(made)
    for _ in range(250):
        store.feedback(
            Feedback(
                f"r{rng.randrange(count)}",
                NOW,
                verdict=rng.choice([None, "up", "down"]),
                corrected=rng.choice([None, None, "mended", " ", "z" * (MOST_TEXT + 1)]),
                altered=rng.random() < 0.2,
                comment="so",
            )
        )
    for number in range(0, count, 3):
        store.audited(AuditAnswer(f"r{number}", "audited", "big"))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrafficStore]:
    """Filled once; it is only read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMIDGEN_HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("SMIDGEN_TRAFFIC_URL", raising=False)
        with opened(held_out=0.4) as found:
            filled(found)
            yield found


@pytest.mark.parametrize("asked", [None, "support", "nobody"])
@pytest.mark.parametrize(("since", "until"), [(None, None), (100, None), (None, 100), (50, 200)])
def test_as_many_are_counted_as_are_read(store: TrafficStore, asked: str | None, since: int | None, until: int | None) -> None:
    first, last = (NOW + MINUTE * time if time is not None else None for time in (since, until))
    read = list(store.pairs(asked, None, first, last))
    assert store.pair_count(asked, first, last) == len(read)
    assert (len(read) > 5) == (asked != "nobody")
    template = store.template("a")
    assert store.pair_count(asked, first, last, template) == len(list(store.pairs(asked, None, first, last, template)))


def test_of_frames_those_count_whose_text_stands_in_any(store: TrafficStore) -> None:
    frames = [PromptFrame("Dear [PERSON_1], ", " bye"), PromptFrame("Sort: ", "")]
    wanted = sum(any(frame.holds(pair.input) for frame in frames) for pair in store.pairs(None, None))
    assert 25 < wanted == store.pair_count(None, None, None, None, frames) < store.pair_count(None, None, None)
    assert store.pair_count(None, None, None, None, [PromptFrame("Nobody says so", "")]) == 0


def test_no_answer_is_read_for_it_and_no_text_without_a_frame(store: TrafficStore, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = store._reading

    class RecordedProgress:
        def __init__(self, connection: Any) -> None:
            self._connection = connection

        def scalar(self, statement: Any) -> Any:
            asked.append(str(statement))
            return self._connection.scalar(statement)

    class Reading:
        def __enter__(self) -> RecordedProgress:
            self._inner = real()
            return RecordedProgress(self._inner.__enter__())

        def __exit__(self, *given: Any) -> Any:
            return self._inner.__exit__(*given)

    assert pairs.count_pairs(Reading, None, None, None, None, ()) == store.pair_count(None, None, None)  # type: ignore[arg-type]
    (statement,) = asked
    assert statement.startswith("SELECT count(*)")


def test_it_can_be_said_to_postgresql() -> None:
    said = str(pairs._is_pair().compile(dialect=postgresql.dialect()))
    assert "LIMIT" in said and "feedback" in said
