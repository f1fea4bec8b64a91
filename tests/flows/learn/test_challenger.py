"""A version that would forget a label of the champion is kept out, before anything is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.flows.learn.test_cycle import DAY, NOW, _home, data, line, run, trained  # noqa: F401
from tests.forms import label_form, text_form

from smidgen.flows.learn import challenger
from smidgen.store.line import Line


def test_one_that_forgets_a_label_is_kept_out_and_told_why(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    before = line.read().champion
    trained(monkeypatch, ("no", "maybe"))
    done = run(line, NOW, data(tmp_path))
    assert done.outcome == "kept" and done.champion == before
    assert "it does not know 1 of the champion's 2 labels any more (yes)" in done.why
    for said in ("--capture-days", "--data", "--fewer-labels promote"):
        assert said in done.why
    assert (line.read().looks, line.read().contests) == (0, 0), "no look is spent on it"
    again = run(line, NOW + DAY)
    assert again.outcome == "kept" and "nothing new" in again.why


def test_the_user_may_let_it_forget(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    trained(monkeypatch, ("no", "maybe"))
    assert run(line, NOW, data(tmp_path)).outcome == "kept"
    asked = run(line, NOW + DAY, fewer_labels="promote")
    assert asked.comparison is not None and line.read().contests == 1


def test_only_labels_are_lost() -> None:
    champion = label_form("abc", unknown="other")
    assert challenger.find_lost_labels(champion, label_form("cda", unknown="other")) == ("b",)
    assert challenger.find_lost_labels(champion, label_form("abc")) == ("other",)
    assert challenger.find_lost_labels(champion, label_form(["a", "b", "c", "other"])) == ()
    assert challenger.find_lost_labels(text_form(max_tokens=3), text_form(max_tokens=4)) == ()
    assert "l0, l1, l2, l3, l4 and 3 more" in challenger.why_kept_out([f"l{number}" for number in range(8)], champion)
