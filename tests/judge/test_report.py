"""report.json is read back as it was written, and what is no report is refused."""

import json
import math

import pytest
from pydantic import ValidationError

from smidgen.core.errors import BundleError
from smidgen.core.quantities import Metric
from smidgen.judge import page, report
from smidgen.judge.sections import Measured, measured


def test_written_and_read_back(make_report, tmp_path):
    made = make_report()
    written = tmp_path / "report.json"
    written.write_text(made.json_text(), encoding="utf-8")
    assert report.read(written) == made
    assert page.render(made).startswith("<!doctype html>")
    found = json.loads(written.read_text(encoding="utf-8"))
    assert set(found["metrics"]["accuracy"]) == {"value", "low", "high", "n"}
    assert found["format"] == 1


def test_fields_of_a_newer_version_are_passed_over_but_not_a_newer_format(make_report, tmp_path):
    found = json.loads(make_report().json_text())
    file = tmp_path / "report.json"
    file.write_text(json.dumps({**found, "something_new": 1}), encoding="utf-8")
    assert report.read(file).name == "a report"
    file.write_text(json.dumps({**found, "format": 2}), encoding="utf-8")
    with pytest.raises(BundleError, match="newer format"):
        report.read(file)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": 1}', "\x00"])
def test_what_is_no_report_is_refused_by_name(text, tmp_path):
    file = tmp_path / "report.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BundleError, match="cannot be read") as caught:
        report.read(file)
    assert caught.value.file == "report.json"
    with pytest.raises(BundleError, match="no report"):
        report.read(tmp_path / "missing.json")


def test_what_was_not_measured_is_none():
    assert measured(None) is None and measured(Metric(math.nan, 0, 1, 0)) is None
    assert measured(Metric(0.5, 0.4, 0.6, 10)) == Measured(value=0.5, low=0.4, high=0.6, n=10)
    with pytest.raises(ValidationError):
        Measured(value=math.nan, low=0, high=1)
