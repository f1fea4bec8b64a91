"""Traffic that repeats itself. A fair sample of requests is counted as it comes; where chance drew texts, each text counts once."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.certified_bundle import answer, certified_bundle, pairs, score, text, write_pairs  # noqa: F401

from smidgen.core.errors import CertificateError
from smidgen.core.rows import Row
from smidgen.flows.certify.calibration_sample import each_text_once
from smidgen.flows.certify.certification import CertificateTerms, IssuedCertificate, certify
from smidgen.flows.local_model import load

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def run(bundle: Path, file: Path, **more: object) -> IssuedCertificate:
    names = {name: more.pop(name) for name in ("input", "label") if name in more}
    with closing(load(bundle, 1)) as model:
        return certify(model, file, CertificateTerms(**more), now=NOW, **names)  # type: ignore[arg-type]


def wrong_fifth(n: int) -> list[tuple[str, str]]:
    """A fair sample of traffic of which one sure text is a fifth, and is always answered wrongly."""
    heavy = (text(0, 99_999), "yes" if answer(0) == "no" else "no")
    others = pairs(n * 4 // 5, 3, 0.0, 0.0, start=20_000)
    return [row for place in range(n // 5) for row in (heavy, *others[4 * place : 4 * place + 4])]


def test_a_text_that_is_a_fifth_of_the_requests_and_always_wrong_is_not_certified(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    file = write_pairs(tmp_path / "fair.csv", wrong_fifth(2000))
    with pytest.raises(CertificateError, match=r"no threshold can be certified for a risk of at most 0\.1"):
        run(certified_bundle, file, alpha=0.10)


def test_of_distinct_texts_the_statement_says_distinct_texts(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    paper = run(certified_bundle, write_pairs(tmp_path / "fair.csv", wrong_fifth(2000)), alpha=0.10, distinct=True).certificate
    assert (paper.n, paper.counts, paper.answering[0].loss) == (1601, "texts", 1.0)
    assert paper.statement.startswith("of the distinct texts answered locally, at most α = 0.1 disagree")
    assert paper.unchecked == ("how often each text comes: each stands once here, and 399 times that one came again are left out",)


def test_a_fair_sample_counts_each_request(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    rows = pairs(1500, 3, start=20_000)
    paper = run(certified_bundle, write_pairs(tmp_path / "again.csv", [*rows, *rows[:400], *rows[:400]])).certificate
    (entry,) = paper.answering
    kept = [row for row in [*rows, *rows[:400], *rows[:400]] if score(int(row[0][1:3])) >= entry.threshold - 1e-6]
    assert (paper.n, entry.answered) == (2300, len(kept))
    assert entry.loss == sum(answer(int(given[1:3])) != wanted for given, wanted in kept)
    assert paper.counts == "requests" and paper.unchecked == () and paper.statement.startswith("of the requests answered locally, at most")


def test_an_export_of_captured_requests_is_of_distinct_texts(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    """Whole texts are held out or not: a text that is a fifth of the traffic is a larger share of the export, or none of it."""
    rows = pairs(1500, 3, start=20_000)
    lines = [json.dumps({"input": given, "output": wanted, "held_out": True}) for given, wanted in [*rows, *rows[:300]]]
    file = tmp_path / "held.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    paper = run(certified_bundle, file, input="input", label="output").certificate
    assert (paper.n, paper.counts) == (1500, "texts") and paper.statement.startswith("of the distinct texts")


def test_each_text_stays_once_as_it_came_last_in_each_segment() -> None:
    rows = [Row("Where is it?", "a", 1), Row("another", "b", 2), Row("where is  it", "c", 3), Row(("Where is", "that"), "d", 4)]
    assert [row.output for row in each_text_once(rows)] == ["b", "c", "d"]
    assert [row.output for row in each_text_once(rows, {1: "north", 2: "north", 3: "south"})] == ["a", "b", "c", "d"]
    assert [row.output for row in each_text_once(rows, {1: "north", 2: "north", 3: "north"})] == ["b", "c", "d"]
