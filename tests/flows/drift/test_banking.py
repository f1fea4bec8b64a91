"""Real questions of a bank's customers, with real vectors: intents that come in are seen, the same intents are no alarm."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from smidgen.flows.embedding import embedder
from smidgen.stats import drift_statistics
from smidgen.stats.drift_statistics import find_presence
from smidgen.watch.drift_test import DriftVerdict, TrafficSample, judged, normalised

BANKING = Path(__file__).parents[4] / "shared" / "data" / "banking77" / "test.csv"
needs_data = pytest.mark.skipif(not BANKING.is_file(), reason="needs the BANKING77 data")
REFERENCE, RECENT = 900, 200


class Bank:
    """Texts with their intents and vectors, those of every fifth intent to come in later."""

    def __init__(self) -> None:
        with BANKING.open(encoding="utf-8", newline="") as stream:
            rows = [(row["text"], row["category"]) for row in csv.DictReader(stream)]
        intents = sorted({intent for _, intent in rows})
        every = np.random.default_rng(0).permutation(len(rows))[:2200]
        self.texts = [rows[place][0] for place in every]
        self.later = np.array([intents.index(rows[place][1]) % 5 == 0 for place in every])
        embed = embedder(None, 1)
        assert embed is not None
        self.vectors = embed(self.texts).astype(np.float64)

    def look(self, reference: list[int], recent: list[int], number: int) -> DriftVerdict:
        """Compare texts by their places."""
        chosen = [*reference, *recent]
        names = [normalised(self.texts[place]) for place in chosen]
        where = find_presence(names[: len(reference)], names[len(reference) :])
        assert where is not None
        places = [
            recent[later] if later >= 0 else reference[earlier] for earlier, later in zip(where.earlier_at, where.later_at, strict=True)
        ]
        sample = TrafficSample(where, [self.texts[place] for place in places], self.vectors[places])
        return judged(sample, number, seed=number)


@pytest.fixture(scope="module")
def bank() -> Bank:
    return Bank()


@needs_data
def test_new_intents_are_seen_within_some_hundred_requests(bank: Bank) -> None:
    known, new = np.flatnonzero(~bank.later).tolist(), np.flatnonzero(bank.later).tolist()
    reference, calm = known[:REFERENCE], known[REFERENCE : REFERENCE + 2 * RECENT]
    assert not bank.look(reference, calm[:RECENT], 1).alarm
    # From then on four of ten requests are of the new intents.
    rest = known[REFERENCE + 2 * RECENT :]
    stream = [*calm[RECENT:], *(new[place] if place % 10 < 4 else rest[place % len(rest)] for place in range(2 * RECENT))]
    found = [bank.look(reference, stream[end - RECENT : end], 1 + end // RECENT) for end in (RECENT, 2 * RECENT, 3 * RECENT)]
    assert not found[0].alarm and found[-1].alarm
    told = [test for test in found[-1].tests if test.alarm and test.what in ("meaning", "subjects")]
    assert told and all(0.05 <= test.size <= 0.5 for test in told)
    shown = [place for place, text in enumerate(bank.texts) if any(" ".join(text.split()) in test.examples for test in told)]
    assert bank.later[shown].mean() >= 0.6, "the examples are of what is new"


@needs_data
def test_the_same_intents_are_no_alarm_in_twenty_looks(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift_statistics, "BY_CHANCE", 40)  # sizes are a little less exact
    known = np.flatnonzero(~bank.later)
    alarms = []
    for draw in range(20):
        drawn = np.random.default_rng(draw).permutation(known).tolist()
        alarms.append(bank.look(drawn[:REFERENCE], drawn[REFERENCE : REFERENCE + RECENT], draw + 1).alarm)
    assert len(alarms) == 20 and sum(alarms) == 0
