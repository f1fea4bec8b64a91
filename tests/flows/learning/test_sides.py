"""A text that a version has learnt is held out never more, whatever made it known."""

from __future__ import annotations

from pathlib import Path

import pytest

from smidgen.core.errors import BundleError
from smidgen.data import splits as drawn
from smidgen.data.splits import SplitSide
from smidgen.flows.learn.holdout import LineSides, release_texts
from smidgen.store.line import Line


@pytest.fixture
def line(tmp_path: Path) -> Line:
    made = Line(tmp_path / "line")
    made.begin("support")
    return made


def held(line: Line) -> list[str]:
    pointer = line.read()
    texts = [f"text number {number}" for number in range(100)]
    return [text for text in texts if drawn.assign_side(text, pointer.key, pointer.held_out) is not SplitSide.LEARNING]


def test_what_is_learnt_from_is_remembered_however_it_is_spelt_and_by_no_word_of_it(line: Line) -> None:
    first, second, third, *_ = held(line)
    release_texts(line, [first, first, (second, "and more")])
    release_texts(line, [third.upper()])
    found = LineSides(line, line.read())
    assert [found.of(text) for text in (first, f" {first.upper()}!", (second, "and more"), third)] == [SplitSide.LEARNING] * 4
    assert found.of(second) is not SplitSide.LEARNING, "a pair is another text than a half of it"
    said = (line.folder / "rows" / "learnt.txt").read_text(encoding="ascii").split()
    assert len(said) == 3 and all(len(name) == 24 for name in said)
    other = Line(line.folder.parent / "other")
    other.begin("other")
    release_texts(other, [first])
    assert (other.folder / "rows" / "learnt.txt").read_text(encoding="ascii").split()[0] not in said, "only the line knows its names"


def test_nothing_is_written_where_nothing_is_new(line: Line) -> None:
    release_texts(line, [])
    assert not (line.folder / "rows").exists()


def test_what_cannot_be_read_is_not_forgotten_in_silence(line: Line) -> None:
    release_texts(line, held(line)[:1])
    (line.folder / "rows" / "learnt.txt").write_bytes(b"\xff")
    with pytest.raises(BundleError, match="cannot be read"):
        LineSides(line, line.read())
    with pytest.raises(BundleError, match="cannot be read"):
        release_texts(line, held(line)[:1])
