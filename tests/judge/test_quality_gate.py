"""The quality gate: a floor for the headline metric, and the baseline to beat."""

import math

import pytest
from pydantic import ValidationError

from smidgen.core.errors import GateError
from smidgen.core.quantities import Metric
from smidgen.judge import quality_gate
from smidgen.judge.quality_gate import SETTINGS, GateSettings, differs_too_much, loses_too_much
from smidgen.judge.sections import BaselineFacts, Delta

GOOD = {"accuracy": Metric(0.93, 0.92, 0.94, 3000)}


def base(low, value, high):
    return BaselineFacts(name="linear", change=Delta(value=value, low=low, high=high))


def test_defaults_ask_for_nothing():
    quality_gate.require(GOOD, "accuracy", GateSettings())
    assert SETTINGS is GateSettings


def test_a_floor():
    quality_gate.require(GOOD, "accuracy", GateSettings(min_headline=0.93))
    with pytest.raises(GateError, match=r"accuracy is 0\.9300 .*asks for 0\.95"):
        quality_gate.require(GOOD, "accuracy", GateSettings(min_headline=0.95))
    for metrics in ({}, {"accuracy": Metric(math.nan, 0, 1, 0)}):
        with pytest.raises(GateError, match="was not measured"):
            quality_gate.require(metrics, "accuracy", GateSettings(min_headline=0.5))


def test_the_baseline_must_be_beaten_by_more_than_chance():
    settings = GateSettings(must_beat_baseline=True)
    quality_gate.require(GOOD, "accuracy", settings, base(0.001, 0.01, 0.02))
    for baseline in (base(-0.001, 0.01, 0.02), base(-0.03, -0.02, -0.01), BaselineFacts(name="linear"), None):
        with pytest.raises(GateError, match="must_beat_baseline"):
            quality_gate.require(GOOD, "accuracy", settings, baseline)


def test_a_base_that_does_as_well_untaught_is_what_is_suggested():
    as_good = BaselineFacts(name="prompted", change=Delta(value=0.0, low=-0.01, high=0.01))
    with pytest.raises(GateError, match="build the base as it is: --student prompted"):
        quality_gate.require(GOOD, "accuracy", GateSettings(must_beat_baseline=True), as_good)
    with pytest.raises(GateError, match="lower the gate"):
        quality_gate.require(GOOD, "accuracy", GateSettings(must_beat_baseline=True, min_headline=0.99), as_good)


def test_every_failure_is_named_at_once():
    with pytest.raises(GateError) as caught:
        quality_gate.require(GOOD, "accuracy", GateSettings(min_headline=0.99, must_beat_baseline=True))
    assert "min_headline" in str(caught.value) and "must_beat_baseline" in str(caught.value)


def test_settings_are_bounded():
    for wrong in ({"max_loss": 2}, {"min_agreement": -0.1}, {"min_headline": 1.5}, {"max_los": 0.1}):
        with pytest.raises(ValidationError):
            GateSettings(**wrong)


def test_what_a_writer_states_has_a_gate_of_its_own():
    stated = {"rougeL": Metric(0.6, 0.5, 0.7, 40), "coverage": Metric(0.97, 0.9, 0.99, 40), "unsupported": Metric(0.05, 0.01, 0.1, 40)}
    quality_gate.require(stated, "rougeL", GateSettings(min_coverage=0.97, max_unsupported=0.05))
    with pytest.raises(GateError, match=r"coverage is 0\.9700 .*min_coverage asks for 0\.98"):
        quality_gate.require(stated, "rougeL", GateSettings(min_coverage=0.98))
    with pytest.raises(GateError, match=r"unsupported is 0\.0500 .*max_unsupported asks for 0\.04"):
        quality_gate.require(stated, "rougeL", GateSettings(max_unsupported=0.04))
    with pytest.raises(GateError, match="unsupported was not measured"):
        quality_gate.require({"rougeL": stated["rougeL"]}, "rougeL", GateSettings(max_unsupported=0.04))


def test_one_row_of_few_decides_nothing() -> None:
    assert not loses_too_much(1 / 25, 0.01, 25) and loses_too_much(2 / 25, 0.01, 25)
    assert not loses_too_much(2 / 200, 0.01, 200) and loses_too_much(3 / 200, 0.01, 200)
    assert loses_too_much(1 / 25, 0.0, 25) and not loses_too_much(0.0, 0.0, 25)
    assert not differs_too_much(24 / 25, 0.97, 25) and differs_too_much(23 / 25, 0.97, 25)
    assert differs_too_much(24 / 25, 1.0, 25) and not differs_too_much(0.0, None, 25)
