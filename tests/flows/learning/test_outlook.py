"""What is missing to a certificate, and until when it is there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smidgen.core.rows import Row
from smidgen.flows.learn.learning_rows import LineRow
from smidgen.flows.learn.line_certificate import RowsOutlook, fewest_rows_likely, outlook

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)


def came(*ago: timedelta, id: str = "r") -> list[LineRow]:
    return [LineRow(Row(f"text {number}", "yes"), "upstream", NOW - before, id=id) for number, before in enumerate(ago)]


def test_rows_that_come_evenly_say_the_day() -> None:
    rows = came(*(timedelta(hours=number) for number in range(1, 240)))  # one an hour, for ten days
    found = outlook(rows, 320, NOW)
    assert found.per_day == pytest.approx(24, rel=0.02) and found.have == 239
    assert found.ready is not None and abs(found.ready - (NOW + timedelta(days=81 / 24))) < timedelta(hours=2)
    assert found.said(NOW) == "239 of about 320 rows, ready on Thursday at this pace (23.9 a day)"
    far = outlook(rows, 1000, NOW)
    assert far.said(NOW) == "239 of about 1,000 rows, ready on 3 July 2026 at this pace (23.9 a day)"
    assert outlook(rows, 241, NOW).said(NOW).startswith("239 of about 241 rows, ready today")
    assert "over two years" in outlook(rows, 500_000, NOW).said(NOW)
    assert outlook(rows, 200, NOW).said(NOW) == "239 of about 200 rows: the next learning may test for it"


def test_the_pace_is_of_captured_rows_of_the_last_week_alone() -> None:
    old = came(*(8 * DAY for _ in range(50)))
    assert outlook(old, 100, NOW).said(NOW) == "50 of about 100 rows; none came in the last week"
    given = came(*(DAY for _ in range(50)), id="")
    assert outlook(given, 100, NOW).per_day == 0, "a file comes at once, and not again"
    young = came(*(timedelta(minutes=6 * number) for number in range(21)))  # two hours
    assert outlook(young, 100, NOW).per_day == pytest.approx(240)
    burst = came(*(timedelta(seconds=number) for number in range(31)))
    assert outlook(burst, 100, NOW).per_day == pytest.approx(30 * 24), "what came in half a minute is taken for an hour's"
    assert outlook(came(-DAY), 100, NOW).per_day == 0, "nor does what is of a time to come"


def test_where_no_number_of_rows_would_do_it_says_so() -> None:
    found = outlook(came(DAY), None, NOW)
    assert "no number would do" in found.said(NOW) and found.json()["needed"] is None
    assert RowsOutlook(1, 2, 0.0, None).json() == {"have": 1, "needed": 2, "per_day": 0.0, "ready": None}


def test_the_fewest_rows_are_found() -> None:
    assert fewest_rows_likely(lambda n: n / 1000, 0.8, 59) in range(800, 809)
    assert fewest_rows_likely(lambda n: float(n >= 60), 0.8, 59) == 60 and fewest_rows_likely(lambda n: 1.0, 0.8, 59) == 59
    assert fewest_rows_likely(lambda n: 0.5, 0.8, 59) is None
