"""Break-evens by hand: a machine of $0.10 an hour costs $73 a month, and a request to the large model a tenth of a cent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smidgen.usage.break_even import CostCase, compute_break_even, payback_answer, payback_brief

CASE = CostCase(
    requests=100_000,
    growth=0.0,
    months=12,
    usd_per_request=0.001,
    share_local=0.8,
    machine_usd_per_hour=0.10,
    texts_per_second=10,
    busy=0.5,
    build_usd=54.0,
)


def test_a_steady_shop_by_hand() -> None:
    found = compute_break_even(CASE)
    assert CASE.machine_usd == pytest.approx(73.0) and CASE.capacity == pytest.approx(10 * 0.5 * 3600 * 730)
    assert [month.number for month in found.months] == list(range(1, 13))
    assert {month.machines for month in found.months} == {1}
    assert found.months[0].llm_usd == pytest.approx(100) and found.months[0].slm_usd == pytest.approx(73)
    assert found.months[0].hybrid_usd == pytest.approx(73 + 20)
    assert found.llm_usd == pytest.approx(1200)
    assert found.slm.total_usd == pytest.approx(54 + 12 * 73) and found.slm.saved_usd == pytest.approx(270)
    assert found.slm.payback_month == 2, "27 a month against 54"
    assert found.hybrid.total_usd == pytest.approx(54 + 12 * 93) and found.hybrid.saved_usd == pytest.approx(30)
    assert found.hybrid.payback_month == 8, "7 a month against 54"
    assert found.slm.from_requests == 73_001 and found.hybrid.from_requests == 91_251
    assert payback_answer("Big", 12, found.slm) == "Pays back in month 2: over 12 months $270 less than Big."
    assert (
        payback_answer("Big", 12, found.hybrid, 0.2)
        == "With 20 % still sent to Big: pays back in month 8: over 12 months $30.00 less than Big."
    )


def test_growth_by_hand() -> None:
    found = compute_break_even(replace(CASE, requests=50_000, growth=0.10, build_usd=0.0))
    assert [round(month.llm_usd, 4) for month in found.months[:4]] == [50, 55, 60.5, 66.55]
    # 500 (1.1^n - 1) against 73 n: 571.79 of 584 after eight months, 678.97 of 657 after nine.
    assert found.slm.payback_month == 9
    assert found.slm.saved_usd == pytest.approx(500 * (1.1**12 - 1) - 876)


def test_more_machines_are_taken_on() -> None:
    found = compute_break_even(replace(CASE, requests=13_140_000, growth=0.01, months=2))
    assert [month.machines for month in found.months] == [1, 2]
    assert found.months[1].slm_usd == pytest.approx(146)


def test_too_few_requests_never_pay() -> None:
    found = compute_break_even(replace(CASE, requests=1000))
    assert found.slm.payback_month is None and found.slm.saved_usd == pytest.approx(12 - 930)
    assert payback_answer("Big", 12, found.slm) == (
        "Never pays back: the machine costs $73.00 a month, and the large model charges $1.00 for these requests; "
        "a month is cheaper from 73,001 requests on."
    )
    assert "charges $0.80 for the requests that it takes over; a month is cheaper from 91,251" in payback_answer(
        "Big", 12, found.hybrid, 0.2
    )
    assert payback_brief(12, found.slm) == "never"


def test_a_large_model_that_is_cheaper_than_the_machine_at_full_load_is_never_beaten() -> None:
    found = compute_break_even(replace(CASE, usd_per_request=73 / 13_140_000 * 0.99, requests=30_000_000))
    assert found.slm.payback_month is None and found.slm.from_requests is None
    assert "the 3 machines cost $219 a month" in found.slm.why_never
    assert "at no number of requests is a month cheaper" in payback_answer("Big", 12, found.slm)
    assert compute_break_even(replace(CASE, usd_per_request=0.0)).slm.from_requests is None


def test_a_payback_beyond_the_months_is_named() -> None:
    found = compute_break_even(replace(CASE, build_usd=1000.0))
    assert found.slm.payback_month == 38 and found.slm.saved_usd == pytest.approx(12 * 27 - 1000)
    assert payback_answer("Big", 12, found.slm) == "Pays back late, not before month 38: over 12 months $676 more than Big."
    assert payback_brief(12, found.slm) == "month 38 (later)" and payback_brief(40, found.slm) == "month 38"


def test_what_is_saved_first_can_be_lost_again() -> None:
    shrinking = replace(CASE, growth=-0.2, build_usd=0.0)
    # Ahead by 27, 34 and 25 dollars, then 3.20, then behind.
    assert compute_break_even(replace(shrinking, months=3)).slm.payback_month == 1
    found = compute_break_even(shrinking)
    assert found.slm.payback_month is None
    assert found.slm.why_never == "it saves $27.00 in the first month, and less each month as requests become fewer"


def test_a_machine_that_one_has_and_shares_at_the_ends() -> None:
    free = compute_break_even(replace(CASE, machine_usd_per_hour=0.0, build_usd=0.0))
    assert free.slm.payback_month == 1 and free.slm.total_usd == 0 and free.slm.saved_usd == pytest.approx(1200)
    assert free.slm.from_requests == 1
    nothing = compute_break_even(replace(CASE, share_local=0.0))
    assert nothing.hybrid.payback_month is None and nothing.hybrid.why_never == "the small model answers nothing"
    whole = compute_break_even(replace(CASE, share_local=1.0))
    assert whole.hybrid == whole.slm
