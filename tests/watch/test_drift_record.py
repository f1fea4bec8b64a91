"""What is remembered of looks: counted, never forgotten in silence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smidgen.watch import drift_record
from smidgen.watch.drift_record import DriftError

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_looks_are_counted_for_each_bundle_and_the_same_one_again_is_none() -> None:
    fresh = drift_record.read("0123456789ab", "support")
    assert (fresh.looks, fresh.at, fresh.alarm, fresh.moved, fresh.sizes) == (0, None, False, [], {})
    found = {"alarm": True, "moved": ["words"], "tests": [{"what": "words", "size": 0.3}, {"what": "length", "size": 0.0}]}
    number = drift_record.change("0123456789ab", "support", lambda known: known.looking("a" * 64)).looks
    begun = drift_record.read("0123456789ab", "support")
    assert (begun.looks, begun.at, begun.alarm) == (1, None, False), "it is spent before it has found anything"
    drift_record.change("0123456789ab", "support", lambda known: known.looked(number, NOW, NOW, found))
    again = drift_record.read("0123456789ab", "support")
    assert (again.looks, again.next("a" * 64), again.next("b" * 64)) == (1, 1, 2)
    assert (again.alarm, again.moved, again.sizes, again.newest) == (True, ["words"], {"words": 0.3, "length": 0.0}, NOW)
    assert drift_record.read("0123456789ab", "other").looks == 0 and drift_record.read("ba9876543210", "support").looks == 0


def test_of_two_looks_at_once_each_has_its_number_and_the_later_ones_finding_stays() -> None:
    begun = drift_record.DriftRecord(bundle_id="0123456789ab", name="support").looking("a" * 64).looking("b" * 64)
    assert begun.looks == 2
    later = begun.looked(2, NOW, NOW, {"look": 2, "alarm": True})
    both = later.looked(1, NOW + timedelta(hours=1), NOW + timedelta(hours=2), {"look": 1, "alarm": False})
    assert (both.looks, both.alarm, both.at, both.newest) == (2, True, NOW, NOW + timedelta(hours=1))
    assert both.sample_sha256 == "b" * 64 and both.next("a" * 64) == 3


def test_a_moment_to_come_is_not_remembered_as_the_newest() -> None:
    """It came by a clock that was ahead, and nothing would be new until the calendar has caught up."""
    ahead = NOW + timedelta(days=365)
    fresh = drift_record.DriftRecord(bundle_id="0123456789ab", name="support").looking("a" * 64)
    wrong = fresh.looked(1, ahead, ahead, {"look": 1})
    assert wrong.newest == ahead
    assert wrong.looking("b" * 64).looked(2, NOW, NOW + timedelta(hours=1), {"look": 2}).newest == NOW
    assert fresh.looked(1, ahead, NOW, {"look": 1}).newest == NOW, "nor is that of a request"


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"bundle_id": "x"}', b'{"bundle_id": "x", "name": "y", "looks": -1}', b" " * 300_000])
def test_a_record_that_cannot_be_read_is_not_made_anew(content: bytes) -> None:
    file = drift_record.place("0123456789ab", "support")
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(ValueError):
        drift_record.read("0123456789ab", "support")
    with pytest.raises(DriftError, match="remove the file"):
        drift_record.change("0123456789ab", "support", lambda known: known)
    assert file.read_bytes() == content
