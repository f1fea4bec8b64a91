"""Whose price counts: the operator's for the fallbacks' own models, and else that of the list."""

from __future__ import annotations

import datetime
import logging
from typing import Any

import pytest

from smidgen.core.errors import InputError
from smidgen.gateway.answer_reading import AnswerUsage
from smidgen.gateway.route_settings import BudgetSettings
from smidgen.server.gateway.budget_guard import BudgetPlan, warn_of_old_prices
from smidgen.server.gateway.prices import UpstreamPrice, UpstreamPrices, list_price, upstream_prices
from smidgen.usage import price_list
from smidgen.usage.budgets import DailyBudget

LUNA = UpstreamPrice("GPT-6 Luna", 0.1, 0.5, "2026-09-22")


def said(*models: str, given: Any = (), got: Any = ()) -> UpstreamPrices:
    return upstream_prices(models, BudgetSettings(price_in=given, price_out=got))


def test_what_the_operator_says_counts_before_the_list() -> None:
    found = said("gpt-6-luna", given=3.0, got=4.0)
    own = UpstreamPrice("gpt-6-luna", 3.0, 4.0)
    assert found.of("gpt-6-luna") == found.of("openai/GPT-6 Luna") == own and own.source == "as given: --price-in, --price-out"
    assert said("gpt-6-luna").of("gpt-6-luna") == list_price("openai/gpt-6-luna") == LUNA
    assert LUNA.source == "list price of GPT-6 Luna on 2026-09-22"
    assert found.of("claude-sonnet-5.5") == list_price("claude-sonnet-5.5") is not None, "another model's is not the operator's"


def test_the_given_price_is_that_of_no_other_model_of_its_name() -> None:
    found = said("big", given=1.0, got=2.0)
    assert found.of("big") == UpstreamPrice("big", 1.0, 2.0) and found.of("vendor/big") is None and found.of("bigger") is None


def test_each_fallback_may_have_its_own() -> None:
    found = said("big", "gpt-6-luna", given=(1.0, 3.0), got=(2.0, 4.0))
    assert (found.of("big"), found.of("gpt-6-luna")) == (UpstreamPrice("big", 1.0, 2.0), UpstreamPrice("gpt-6-luna", 3.0, 4.0))
    one = said("big", "bigger", given=1.0, got=(2.0, 4.0))
    assert (one.of("big"), one.of("bigger")) == (UpstreamPrice("big", 1.0, 2.0), UpstreamPrice("bigger", 1.0, 4.0))
    assert said("big", "big", given=1.0, got=2.0).of("big") == UpstreamPrice("big", 1.0, 2.0)


@pytest.mark.parametrize(
    ("models", "given", "got", "says"),
    [
        (("big",), 1.0, (), "needs two numbers"),
        (("big",), (), 1.0, "needs two numbers"),
        (("big", "gpt-6-luna"), 1.0, 2.0, "the price list has some of them"),
        (("a", "b", "c"), (1.0, 2.0), 1.0, "do not match the models"),
        (("big",), (1.0, 2.0), 1.0, "do not match the models"),
        (("big", "big"), (1.0, 2.0), 1.0, "two prices"),
    ],
)
def test_a_price_that_could_be_anothers_is_refused(models: tuple[str, ...], given: Any, got: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        said(*models, given=given, got=got)


def test_what_is_reckoned_says_by_whose_price() -> None:
    assert UpstreamPrice("big", 1.0, 2.0).counted(AnswerUsage(3, 4)) == {
        "usd": pytest.approx(11e-6),
        "at_given_price_of": "big",
        "tokens": {"input": 3, "output": 4},
    }
    told = LUNA.saved("x" * 8, "x" * 4)
    assert (told["at_list_price_of"], told["price_date"], told["usd"]) == ("GPT-6 Luna", "2026-09-22", pytest.approx(0.7e-6))


def test_a_budget_by_an_old_price_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    plan = BudgetPlan(DailyBudget({"all": 1.0}), said("gpt-6-luna"), 100)
    new = datetime.date.fromisoformat(LUNA.date) + datetime.timedelta(days=price_list.OLD_DAYS)
    warn_of_old_prices(plan, ("gpt-6-luna",), new)
    assert caplog.messages == []
    warn_of_old_prices(plan, ("gpt-6-luna", "unheard-of"), new + datetime.timedelta(days=1))
    (told,) = caplog.messages
    assert "GPT-6 Luna on 2026-09-22, 121 days ago" in told and "--price-in" in told
    warn_of_old_prices(
        BudgetPlan(DailyBudget({"all": 1.0}), said("gpt-6-luna", given=1.0, got=1.0), 100), ("gpt-6-luna",), new.replace(year=2030)
    )
    assert len(caplog.messages) == 1, "what the operator says is not the list's"
