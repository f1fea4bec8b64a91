"""Costs by hand, and a price file that can be checked."""

import datetime

import pytest

from smidgen.judge import cost_estimate
from smidgen.usage import price_list


def test_cost_by_hand():
    found = cost_estimate.estimate(500, 10, texts_per_second=1000, machine_usd_per_hour=0.36, busy=0.5)
    # A million texts at 500 a second, half the time idle: 2,000 s of 0.36 dollars an hour.
    assert found.own_usd_per_million_texts == pytest.approx(0.2)
    for model in found.models:
        assert model.usd_per_million_texts == pytest.approx(500 * model.input_usd + 10 * model.output_usd)
    assert [m.usd_per_million_texts for m in found.models] == sorted((m.usd_per_million_texts for m in found.models), reverse=True)
    assert "500 tokens in" in found.assumption and "0.36 dollars an hour" in found.assumption
    assert cost_estimate.estimate(500, 10, texts_per_second=None).own_usd_per_million_texts is None


def test_tokens_grow_with_texts_and_labels():
    short, out = cost_estimate.tokens(["abcd" * 10], ["refund", "invoice"])
    assert short == pytest.approx(60 + 10 + (6 / 4 + 1) + (7 / 4 + 1))
    assert out == pytest.approx(6.5 / 4 + 1)
    assert cost_estimate.tokens([("abcd" * 10, "efgh" * 10)], ["refund", "invoice"])[0] > short
    assert cost_estimate.tokens([], [])[1] >= 1


def test_the_price_file_names_its_sources():
    table = price_list.read()
    as_of = datetime.date.fromisoformat(table["as_of"])
    assert len(table["models"]) >= 10
    assert len({entry["name"] for entry in table["models"]}) == len(table["models"])
    for entry in table["models"]:
        assert 0 < entry["input"] <= entry["output"]
        assert entry["source"] and entry["provider"]
        assert datetime.date.fromisoformat(entry["date"]) <= as_of
