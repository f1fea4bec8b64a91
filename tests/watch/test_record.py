"""What is remembered of looks: counted, never forgotten in silence."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from smidgen.watch import record
from smidgen.watch.record import DriftError

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_looks_are_counted_for_each_bundle_and_the_same_one_again_is_none() -> None:
    fresh = record.read("0123456789ab", "support")
    assert (fresh.looks, fresh.at, fresh.alarm, fresh.moved, fresh.sizes) == (0, None, False, [], {})
    found = {"alarm": True, "moved": ["words"], "tests": [{"what": "words", "size": 0.3}, {"what": "length", "size": 0.0}]}
    record.change("0123456789ab", "support", lambda known: known.looked(known.next("a" * 64), "a" * 64, NOW, NOW, found))
    again = record.read("0123456789ab", "support")
    assert (again.looks, again.next("a" * 64), again.next("b" * 64)) == (1, 1, 2)
    assert (again.alarm, again.moved, again.sizes, again.newest) == (True, ["words"], {"words": 0.3, "length": 0.0}, NOW)
    assert record.read("0123456789ab", "other").looks == 0 and record.read("ba9876543210", "support").looks == 0


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"bundle_id": "x"}', b'{"bundle_id": "x", "name": "y", "looks": -1}', b" " * 300_000])
def test_a_record_that_cannot_be_read_is_not_made_anew(content: bytes) -> None:
    file = record.place("0123456789ab", "support")
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    with pytest.raises(ValueError):
        record.read("0123456789ab", "support")
    with pytest.raises(DriftError, match="remove the file"):
        record.change("0123456789ab", "support", lambda known: known)
    assert file.read_bytes() == content
