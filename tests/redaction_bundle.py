"""A tiny tagger of names, trained here and packed as a build packs one: in its language a lamp and a plate are persons, and where one asks
for `refund money` that is an address."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.made_once import made_once
from tests.students.test_encoder import tiny_base  # noqa: F401
from tests.students.test_tagger import rows, training

from smidgen.bundles.manifest import EngineEntry, Manifest, MetricInterval
from smidgen.bundles.pack import pack
from smidgen.core.parts import Workspace
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.judge.report import Report
from smidgen.judge.sections import Delta, Measured, ParityFacts, StudentFacts
from smidgen.parts import recipe, registry
from smidgen.students.tagger import part as student
from smidgen.tasks.extract import ExtractSettings
from smidgen.tasks.extract import part as extract

KINDS = ["person", "address"]
"""What the things and the wishes of `test_tagger` are called here, in the order in which the tagger knows them."""


def long_rows(count: int) -> list[Row]:
    """Rows of `test_tagger`, up to four in a text, with e-mail addresses between them: words that are neither known nor a name."""
    parts, made = iter(rows(4 * count)), []
    for number in range(count):
        text, spans = "", []
        for row in (next(parts) for _ in range(1 + number % 4)):
            start = len(text)
            spans += [{**span, "start": span["start"] + start, "end": span["end"] + start} for span in row.output]
            text += f"{row.input} a{number}@example.org " if number % 3 else f"{row.input} "
        made.append(Row(text.strip(), spans, number + 1))
    return made


def passed(good: bool = True) -> Report:
    """The part of a report that says whether the parity gate was passed."""
    half = Measured(value=0.9, low=0.8, high=1.0, n=40)
    facts = ParityFacts(n=40, agreement=half, metric="f1", change=Delta(value=0.0, low=0.0, high=0.0), passed=good)
    return Report(name="redaction", task="extract", created="2026-01-01T00:00:00+00:00", student=StudentFacts(kind="tagger"), parity=facts)


def manifest(files: tuple[str, ...], options: dict[str, object], method: str) -> Manifest:
    return Manifest(
        name="redaction",
        created="2026-01-01T00:00:00+00:00",
        smidgen_version="0.1.0",
        task="extract",
        form={**extract.form(rows(300), ExtractSettings()).facts(), "kinds": KINDS},
        engine=EngineEntry(engine="tagger", files=files, options=options, method=method),
        student="tagger",
        metrics={"f1": MetricInterval(value=0.9, low=0.8, high=1.0, n=40)},
        headline="f1",
    )


@pytest.fixture(scope="session")
def redaction_bundle(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """Tests that alter it must copy it first."""
    return made_once(tmp_path_factory, "redaction", lambda folder: _make(tiny_base, folder)) / "bundle"


def _make(base: Path, folder: Path) -> None:
    for name in ("trained", "whole", "files"):
        (folder / name).mkdir(parents=True)
    student.fit(training(base, long_rows(400), epochs=12, learning_rate=4e-3), Workspace(folder / "trained", 1, Silent()))
    spec = student.export(folder / "trained", folder / "whole")
    small = registry.find("compress", "int8-dynamic").apply(spec, folder / "whole", folder / "files", [str(row.input) for row in rows(30)])
    (folder / "files" / "report.json").write_text(passed().json_text(), encoding="utf-8")
    (folder / "files" / "report.html").write_text("<p>the page of the report</p>", encoding="utf-8")
    (folder / "files" / "README.md").write_text("# redaction\n", encoding="utf-8")
    asked = recipe.make({"name": "redaction", "task": "extract", "data": {"train": "train.jsonl"}, "gate": {"min_headline": 0.85}})
    (folder / "files" / "recipe.toml").write_text(asked.toml(), encoding="utf-8")
    pack(folder / "files", manifest(small.files, small.options, small.method), folder / "bundle")
