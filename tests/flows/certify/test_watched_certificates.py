"""Audits taken in as anyone does who draws them by rules of their own: what people review is not what is answered, and the weights know."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.gateway.test_certificate import folder, given, own_home  # noqa: F401

from smidgen.flows.certify.certificate_status import evidence
from smidgen.gateway.certificate_audit import declare, observe

SURE, UNSURE = 0.02, 1.0
"""How often answers are reviewed: those that the model is sure of, and the tenth of the rest."""


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of audits: none of them waits for the disk."""
    monkeypatch.setattr("smidgen.store.files.os.fsync", lambda handle: None)


def revoked(folder: Path, number: int, wrong_sure: float, wrong_unsure: float, requests: int) -> bool:  # noqa: F811
    """Whether a stream of answers, a tenth of them unsure, ends its certificate: the requests that are drawn are taken in."""
    paper = given(folder, id=f"{number:032x}")
    declare(paper, SURE)
    rng = np.random.default_rng(number)
    unsure = rng.random(requests) < 0.1
    probabilities = np.where(unsure, UNSURE, SURE)
    wrong = rng.random(requests) < np.where(unsure, wrong_unsure, wrong_sure)
    drawn = np.flatnonzero(rng.random(requests) < probabilities).tolist()
    return any(observe(folder, paper, float(wrong[place]), float(probabilities[place])) for place in drawn)


def test_reviewing_what_is_unsure_gives_no_false_alarm(folder: Path) -> None:  # noqa: F811
    """31 % of the unsure answers are wrong and 1 % of the sure ones, 4 % in all: within the promise of 5 %. Of the reviews it is 26 %."""
    assert [revoked(folder, seed, wrong_sure=0.01, wrong_unsure=0.31, requests=2000) for seed in range(5)] == [False] * 5


def test_a_breach_among_what_is_hardly_ever_reviewed_is_seen(folder: Path) -> None:  # noqa: F811
    """25 % of the sure answers are wrong: 22.6 % in all. Of the reviews it is 5 %, for most are of the unsure answers, 1 % wrong."""
    assert [revoked(folder, seed, wrong_sure=0.25, wrong_unsure=0.01, requests=6000) for seed in range(3)] == [True] * 3


def test_a_probability_under_the_declared_one_is_refused_and_takes_nothing_in(folder: Path) -> None:  # noqa: F811
    paper = given(folder)
    declare(paper, 0.02)
    with pytest.raises(ValueError, match=r"the probability of an audit is 0\.01, below the declared least, 0\.02"):
        observe(folder, paper, 1.0, 0.01)
    with pytest.raises(ValueError, match=r"was declared as 0\.02"):
        declare(paper, 0.01)
    assert evidence(paper).audits == 0
    observe(folder, paper, 1.0, 0.02)
    assert evidence(paper).audits == 1
