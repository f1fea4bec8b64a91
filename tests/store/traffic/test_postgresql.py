"""The traffic store on a real PostgreSQL, where one is named: SMIDGEN_TEST_POSTGRES_URL, a database that may be filled and emptied."""

from __future__ import annotations

import os
import threading
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from smidgen.store.traffic.records import Exchange, Feedback
from smidgen.store.traffic.store import opened

URL = os.environ.get("SMIDGEN_TEST_POSTGRES_URL", "")
NOW = datetime(2026, 5, 1, tzinfo=UTC)

pytestmark = pytest.mark.skipif(not URL, reason="SMIDGEN_TEST_POSTGRES_URL names no database")


def test_it_does_all_that_the_file_does() -> None:
    name = f"test-{uuid.uuid4().hex}"

    def asked(number: int, **more: object) -> Exchange:
        facts = {"id": f"{name}-{number}", "time": NOW + timedelta(minutes=number), "asked": name, "path": "/v1/chat/completions"}
        texts = {"input": f"text {number}", "answered_by": "upstream", "answer": f"answer {number}", "user": f"{name}-{number % 3}"}
        return Exchange(**{**facts, **texts, **more})  # type: ignore[arg-type]

    def fill(place: int) -> None:
        with opened(URL) as store:
            for number in range(10):
                store.add([asked(place * 10 + number), asked(place * 10 + number, input="another")])

    threads = [threading.Thread(target=fill, args=(place,)) for place in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with opened(URL) as store:
        assert store.add([asked(1, input="another"), asked(100, input="half \ud83d and \0", local_score=0.5, cost_usd=0.1)]) == 1
        assert store.feedback(Feedback(f"{name}-1", NOW, corrected="first"))
        assert store.feedback(Feedback(f"{name}-1", NOW, corrected="second", verdict="down", user="x"))
        assert not store.feedback(Feedback(f"{name}-nobody", NOW, verdict="up"))
        pairs = {pair.id: pair for pair in store.pairs(name, held_out=None)}
        assert len(pairs) == 51 and pairs[f"{name}-1"].reference == "second" and pairs[f"{name}-100"].input == "half ? and \ufffd"
        assert len(list(store.pairs(name))) + len(list(store.pairs(name, held_out=True))) == 51
        assert store.totals().requests >= 51 and store.place.count("***") <= 1
        done = store.delete_user(f"{name}-1")
        assert (done.requests, done.feedback, done.gone) == (18, 2, None)
        assert store.delete_asked(name).requests == 33
