"""The summary after a build of a model that writes."""

from __future__ import annotations

import pytest
from tests.judge import writers

from smidgen.cli.report_summary import print_report
from smidgen.judge import page, wording
from smidgen.judge.sections import Measured


def test_a_writers_summary(capsys: pytest.CaptureFixture[str]) -> None:
    made = writers.report()
    print_report(made)
    told = " ".join(capsys.readouterr().out.split())
    assert told.startswith(f"ROUGE-L {made.metrics['rougeL'].value:.3f} (95 %:")
    for words in (
        "Attributes said",
        "Teaching was worth it",
        "tokens/s",
        "texts to the letter",
        "What a score is worth",
        "not said",
        "made up",
    ):
        assert words in told, words
    assert told.count("wrote ") == told.count("wanted ") == 3
    for words in ("accuracy", "Most confused", "Out of scope", "None", "nan"):
        assert words not in told, words


def test_one_that_was_compared_with_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(writers.prose())
    told = capsys.readouterr().out
    assert "80 test rows measure little" in told and "not compared" in told


def test_a_score_that_was_not_fitted_is_said_to_be_a_probability(capsys: pytest.CaptureFixture[str]) -> None:
    made = writers.report()
    assert made.calibration is not None
    print_report(made.model_copy(update={"calibration": made.calibration.model_copy(update={"fitted": False})}))
    told = " ".join(capsys.readouterr().out.split())
    assert "mean probability of a text's tokens" in told and ", score 0." in told
    assert "to expect of a text" not in told and "expected 0." not in told


@pytest.mark.parametrize("n", [3, 30])
def test_a_desk_has_no_figure_on_a_few_messages_and_says_how_many_more_it_takes(capsys: pytest.CaptureFixture[str], n: int) -> None:
    found = Measured(value=1.0, low=0.4, high=1.0, n=n)
    made = writers.report().model_copy(
        update={"graded": False, "headline": "outcome_right", "metrics": {"outcome_right": found}, "teacher": None, "baseline": None}
    )
    print_report(made)
    told = " ".join(capsys.readouterr().out.split())
    if n < 30:
        assert (
            "100.0%" not in told and "3 of at least 30 test messages" in told and "some 54 more messages" in told and "page Tests" in told
        )
        assert wording.headline(made)[0] == "3 of at least 30 test messages: too few for a figure."
        assert "Outcome right" not in [name for name, _, _ in page.figures(made)] and "What a score is worth" not in told
    else:
        assert "outcome_right 100.0%" in told and "too few for a figure" not in told
        assert "Outcome right" in [name for name, _, _ in page.figures(made)]
