"""Samples compared by the marks of their rows: what two have in common, of small ones and of large ones, and nothing of any text."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from smidgen.gateway.sample_reuse import LONGEST_FINGERPRINTS, MOST_FINGERPRINTS, RowFingerprints

KEY = Ed25519PrivateKey.generate()


def rows(start: int, stop: int, output: str = "yes") -> list[tuple[str, str]]:
    return [(f"text number {number}", output) for number in range(start, stop)]


def written(given: list[tuple[str, str]], key: Ed25519PrivateKey = KEY) -> RowFingerprints:
    return RowFingerprints.read(RowFingerprints.of(given, key).text)


def test_the_share_of_rows_in_another_sample_is_told_to_the_row() -> None:
    before = written(rows(0, 1000))
    assert RowFingerprints.of(rows(0, 1000), KEY).share_in(before) == 1
    assert RowFingerprints.of(rows(0, 1020), KEY).share_in(before) == pytest.approx(1000 / 1020)
    assert RowFingerprints.of(rows(1, 1000), KEY).share_in(before) == 1
    assert RowFingerprints.of(rows(900, 1900), KEY).share_in(before) == pytest.approx(0.1)
    assert RowFingerprints.of(rows(0, 1000, "no"), KEY).share_in(before) == 0, "another output is another row"
    assert RowFingerprints.of(rows(0, 10), KEY).share_in(written([])) == 0 and RowFingerprints.of([], KEY).share_in(before) == 0


def test_of_a_large_sample_the_smallest_marks_tell_it_nearly() -> None:
    large = RowFingerprints.of(rows(0, 30_000), KEY)
    assert len(large.text) == LONGEST_FINGERPRINTS
    before = RowFingerprints.read(large.text)
    assert large.share_in(before) == 1
    assert RowFingerprints.of(rows(24_000, 54_000), KEY).share_in(before) == pytest.approx(0.2, abs=0.02)
    assert RowFingerprints.of(rows(27_000, 30_600), KEY).share_in(before) == pytest.approx(5 / 6, abs=0.06)
    assert written(rows(15_000, 45_000)).share_in(before) == pytest.approx(0.5, abs=0.04), "both are known in part"


def test_a_mark_is_this_machines_and_nobody_elses() -> None:
    other = Ed25519PrivateKey.generate()
    assert RowFingerprints.of(rows(0, 100), other).share_in(written(rows(0, 100))) == 0
    assert "text" not in written(rows(0, 100)).text


@pytest.mark.parametrize("text", ["?", "YQ==", "A" * (LONGEST_FINGERPRINTS + 8)])
def test_what_is_no_mark_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        RowFingerprints.read(text)
    assert MOST_FINGERPRINTS * 8 == LONGEST_FINGERPRINTS
