"""The reservoir of a line: which rows are in it, and that a label lives on by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.flows.learn.test_learn import LABELS, capture, rows

from smidgen.bundles.open import open_bundle
from smidgen.core.rows import Row
from smidgen.flows.learn import line_data
from smidgen.flows.learn.cycle import LearnResult, learn
from smidgen.flows.learn.learning_rows import LineRow, Source
from smidgen.flows.learn.settings import LearnSettings, LineCertificateSettings, TrafficSettings
from smidgen.store.line import Line
from smidgen.store.traffic.store import opened

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def taken(number: int, output: Any, source: Source = "upstream", id: str | None = None) -> LineRow:
    return LineRow(Row(f"text {number}", output), source, NOW, id=f"r{number}" if id is None else id)


def test_each_label_has_its_share_and_corrections_come_first() -> None:
    often = [taken(number, "often") for number in range(500)]
    rare = [taken(number, "rare") for number in range(500, 510)]
    corrected = [taken(number, "often", "human") for number in range(600, 610)]
    given = [taken(number, "rare", "data", id="") for number in range(700, 710)]
    found = line_data.choose_reservoir([*often, *rare, *corrected, *given], "key", labelled=True)
    assert len(found) == len(set(found)) == line_data.MOST_OF_A_LABEL + 10
    assert {one.id for one in (*rare, *corrected)} < set(found), "rows of files are kept with the line already"
    # A draw by the text: half of the rows away, those that stay are in it again.
    fewer = line_data.choose_reservoir([*often[::2], *rare, *corrected], "key", labelled=True)
    assert set(found) - {one.id for one in often[1::2]} <= set(fewer)


def test_several_labels_spans_and_texts_have_theirs() -> None:
    several = [taken(number, ["a", "b"] if number < 60 else ["b"]) for number in range(120)]
    found = line_data.choose_reservoir(several, "key", labelled=True)
    assert line_data.MOST_OF_A_LABEL <= len(found) <= 2 * line_data.MOST_OF_A_LABEL
    spans = [taken(number, [{"start": 0, "end": 4, "label": "name"}] if number % 2 else []) for number in range(300)]
    assert len(line_data.choose_reservoir(spans, "key", labelled=False)) == line_data.MOST_OF_A_LABEL + 150
    texts = [taken(number, f"a text {number}") for number in range(1500)]
    assert len(line_data.choose_reservoir(texts, "key", labelled=False)) == line_data.MOST_UNLABELLED


@pytest.fixture
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_TRAFFIC_URL", f"sqlite:///{tmp_path / 'traffic.db'}")
    monkeypatch.setattr("smidgen.store.line.secrets.token_hex", lambda count: "5a" * count)


@pytest.mark.parametrize("kept_days", [None, 365])
def test_a_label_that_is_answered_locally_lives_on_where_that_was_agreed(_store: None, tmp_path: Path, kept_days: int | None) -> None:
    """A month later the store has only what escalated, of two labels of four."""
    ask = LearnSettings(
        task="classify",
        override=("student.kind=linear", "gate.max_loss=0.1", "gate.min_agreement=0.9"),
        certificate=LineCertificateSettings(alpha=0.1),
        threads=1,
    )

    def learnt(days: int, **changes: Any) -> LearnResult:
        return learn(tmp_path / "support", LearnSettings(**{**ask.given(), **changes}), now=NOW + timedelta(days=days))

    capture(rows(1100, 5), "support", NOW - timedelta(days=3))
    assert learnt(0).promoted
    capture([(text, label) for text, label in rows(400, 6) if label in LABELS[:2]], "support", NOW + timedelta(days=39))
    with opened() as store:
        store.delete_older(30, now=NOW + timedelta(days=40), kept_days=kept_days)
    done = learnt(40)
    if kept_days is None:
        assert done.outcome == "kept" and "labels any more" in done.why and "--capture-keep-days" in done.why
        return
    assert "labels any more" not in done.why and done.challenger is not None
    assert done.rows["learning"] >= 4 * line_data.MOST_OF_A_LABEL
    champion = Line(tmp_path / "support").read().champion or ""
    assert open_bundle(Line(tmp_path / "support").version(champion)).manifest.form["labels"] == [label.capitalize() for label in LABELS]
    with opened() as store:
        held = list(store.pairs(None, True))
        assert held and all(pair.time > NOW for pair in held), "what is held out is in no reservoir"
    # A learning that sees a part only marks more, and takes nothing away.
    learnt(41, traffic=TrafficSettings(since=NOW + timedelta(days=30)), fewer_labels="promote")
    with opened() as store:
        store.delete_older(30, now=NOW + timedelta(days=80), kept_days=kept_days)
        assert {pair.reference.casefold() for pair in store.pairs(None, False)} == set(LABELS)
        store.delete_older(30, now=NOW + timedelta(days=80))
        assert store.totals().requests == 0
