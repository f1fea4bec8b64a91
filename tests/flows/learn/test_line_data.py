"""Which rows a line has: what its traffic store holds, what it is given, and what becomes of both when they meet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.certified_bundle import LABELS, answer, pairs, text, write_pairs
from tests.forms import label_form
from tests.line_versions import line_of, version
from tests.recorded_progress import RecordedProgress

from smidgen.core.errors import InputError
from smidgen.core.rows import Row
from smidgen.flows.learn import holdout, line_data
from smidgen.flows.learn.learning_rows import LearningRows
from smidgen.flows.learn.line_data import ColumnNames
from smidgen.flows.learn.promotion import promote
from smidgen.flows.learn.settings import TrafficSettings
from smidgen.parts import recipe as recipes
from smidgen.parts.recipe import Recipe
from smidgen.store.line import LastLearning, Line
from smidgen.store.traffic.records import Exchange, Feedback
from smidgen.store.traffic.store import TrafficStore, opened

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FORM = label_form(LABELS)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SMIDGEN_TRAFFIC_URL", raising=False)
    monkeypatch.setattr("smidgen.store.line.secrets.token_hex", lambda size: "5e" * size)  # the same texts are held out each time


@pytest.fixture
def store(_home: None) -> Iterator[TrafficStore]:
    with opened() as found:
        yield found


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return line_of(tmp_path / "support", 1)[0]


def recipe(**data: Any) -> Recipe:
    return recipes.make({"name": "support", "task": "classify", "data": {"input": "text", "label": "intent", **data}}, folder=Path.cwd())


def exchange(number: int, **facts: Any) -> Exchange:
    given: dict[str, Any] = {
        "id": f"r{number}",
        "time": NOW + timedelta(seconds=number),
        "asked": "support",
        "path": "/v1/chat/completions",
        "input": text(number % 100, number),
        **facts,
    }
    return Exchange(**given)


def material(line: Line, **more: Any) -> LearningRows:
    return line_data.collect_rows(line, line.read(), recipe(), FORM, TrafficSettings(**more))


def give(line: Line, file: Path, now: datetime = NOW) -> list[str]:
    """Give a file's rows to the line; what is said."""
    said = RecordedProgress()
    line_data.keep_file(file, line, recipe(), ColumnNames(), now, said)
    return said.said


def test_what_is_put_right_of_local_answers_does_not_choose_between_models(line: Line, store: TrafficStore) -> None:
    """Such rows are there only because the champion was wrong: whatever is compared with it would win."""
    wrong = {number: LABELS[1 - LABELS.index(answer(number % 100))] for number in range(60)}
    store.add([exchange(number, answered_by="local", local_output=f'"{said}"') for number, said in wrong.items()])
    store.add([exchange(number, answered_by="upstream", answer=answer(number % 100), model="big") for number in range(60, 120)])
    for number in wrong:
        store.feedback(Feedback(f"r{number}", NOW + DAY, "down", answer(number % 100)))
    found = material(line)
    assert found.choosing and not {taken.row.input for taken in found.choosing} & {text(number % 100, number) for number in wrong}
    certifying = [taken for taken in found.certifying if taken.row.input in {text(number % 100, number) for number in wrong}]
    assert len(certifying) > 3 and {taken.source for taken in certifying} == {"human"}, "there they make the certificate stricter"
    left_out = dict(found.unusable)["held out to choose, but there only because somebody put the answer right"]
    assert left_out > 2 and sum(store.holds_out(text(number % 100, number)) for number in wrong) == left_out + len(certifying)


def test_labels_that_are_put_right_in_a_file_are_learnt_of_every_text(line: Line, store: TrafficStore, tmp_path: Path) -> None:
    """The file is an export of what was learnt from: on the line's own draw a part of it would be held out, and the wrong label stay."""
    numbers = [number for number in range(150) if not store.holds_out(text(number % 100, number))]
    wrong = {number: LABELS[1 - LABELS.index(answer(number % 100))] for number in numbers}
    store.add([exchange(number, answered_by="upstream", answer=said, model="big") for number, said in wrong.items()])
    right = {text(number % 100, number): answer(number % 100) for number in numbers}
    new = {text(number % 100, number): answer(number % 100) for number in range(1000, 1100)}
    give(line, write_pairs(tmp_path / "right.csv", [*right.items(), *new.items()]))
    found = material(line)
    learnt = {taken.row.input: taken.row.output for taken in found.learning}
    assert learnt.items() >= right.items() and "held out, but learnt from before" not in dict(found.unusable)
    held = {taken.row.input for taken in (*found.choosing, *found.certifying)}
    assert 10 < len(held) < 60 and held < new.keys(), "what nobody learnt is held out as ever"

    holdout.record_learnt_texts(line, found.joined)
    assert material(line).whole_sha256 == found.whole_sha256, "nothing is new by that"
    store.delete_older(0, NOW + 40 * DAY)
    later = material(line)
    assert {taken.row.input for taken in later.learning} == learnt.keys(), "a version has learnt them: they are held out never more"
    assert {taken.row.input for taken in (*later.choosing, *later.certifying)} == held


TRAINED = pairs(200, 1)
"""What every version here says that it was trained on."""


def test_what_a_version_was_trained_on_is_held_out_by_no_draw_when_it_is_given(line: Line, tmp_path: Path) -> None:
    """It knows these rows by heart: on those that were held out no challenger would ever be as good."""
    (said,) = give(line, write_pairs(tmp_path / "train.csv", TRAINED))
    assert said == "200 rows of train.csv are what a version of the line was trained on: none of them is held out"
    assert [(batch.source, batch.learnt) for batch in line.read().rows] == [("original", True)]
    found = material(line, use=False)
    assert len(found.learning) == 200 and not (*found.choosing, *found.certifying)
    assert give(line, write_pairs(tmp_path / "again.csv", TRAINED)) == [said.replace("train.csv", "again.csv")]
    assert len(line.read().rows) == 1


def test_rows_that_were_held_out_wrongly_are_so_no_more_when_they_are_given_again(line: Line, tmp_path: Path) -> None:
    """As an older smidgen kept them."""
    rows = [Row(*pair) for pair in TRAINED]
    line_data.keep_batch(line, rows, "data", learnt=False, now=NOW)
    assert material(line, use=False).choosing
    give(line, write_pairs(tmp_path / "train.csv", TRAINED), NOW + DAY)
    assert not material(line, use=False).choosing and [batch.at for batch in line.read().rows] == [NOW]
    assert not line_data.keep_batch(line, rows, "data", learnt=False, now=NOW) and line.read().rows[0].learnt, "what is learnt stays so"


def test_it_says_where_the_comparison_may_be_unfair(tmp_path: Path) -> None:
    line = Line(tmp_path / "taken")
    line.begin("support")
    promote(line, version(line, 0), by="hand", why="the line begins with a bundle", instead_of=None)
    more = [*TRAINED, (text(0, 9999), LABELS[0])]
    first, second = give(line, write_pairs(tmp_path / "more.csv", more))
    assert first == "201 rows of more.csv are kept with the line"
    assert "does not know the training data" in second and "more.csv" in second and "has seen the held-out ones" in second
    give(line, write_pairs(tmp_path / "train.csv", TRAINED))
    assert give(line, write_pairs(tmp_path / "other.csv", pairs(50, 7, start=5000))) == ["50 rows of other.csv are kept with the line"]
    found = material(line, use=False)
    known = {given for given, _ in TRAINED}
    assert not known & {taken.row.input for taken in (*found.choosing, *found.certifying)}, "known now, they are held out in no file"


def test_of_a_line_that_began_from_nothing_all_is_known(line: Line, tmp_path: Path) -> None:
    assert give(line, write_pairs(tmp_path / "a.csv", pairs(50, 7, start=5000))) == ["50 rows of a.csv are kept with the line"]
    assert give(line, tmp_path / "a.csv") == ["50 rows of a.csv were with the line already"]


def learnt_at(line: Line, moment: datetime) -> None:
    line.change(lambda found: found.model_copy(update={"last": LastLearning(at=moment, outcome="kept", why="")}))


def answered(store: TrafficStore, first: int, last: int, **facts: Any) -> None:
    store.add([exchange(number, answered_by="upstream", answer="yes", model="big", **facts) for number in range(first, last)])


def test_it_counts_what_came_since_it_last_learnt(line: Line, store: TrafficStore) -> None:
    answered(store, 0, 100)
    later = NOW + timedelta(seconds=200)
    assert (
        line_data.count_new_pairs(line, TrafficSettings(), now=later) == 100
        and line_data.count_new_pairs(line, TrafficSettings(), 30, now=later) == 30
    )
    learnt_at(line, NOW + timedelta(seconds=80))
    assert line_data.count_new_pairs(line, TrafficSettings(), now=later) == 20
    assert line_data.count_new_pairs(line, TrafficSettings(since=NOW + timedelta(seconds=95)), now=later) == 5
    assert [line_data.count_new_pairs(line, TrafficSettings(), 10, grown, now=later) for grown in (0.1, 0.25, 0.26)] == [10, 20, 0]


def test_a_learning_of_a_time_to_come_does_not_stop_the_count(line: Line, store: TrafficStore) -> None:
    """A clock that was ahead for a moment: nothing would be new until the calendar has caught up."""
    answered(store, 0, 50)
    answered(store, 50, 60, time=NOW + 300 * DAY)
    learnt_at(line, NOW + 365 * DAY)
    assert line_data.count_new_pairs(line, TrafficSettings(), now=NOW + DAY) == 50
    assert line_data.count_new_pairs(line, TrafficSettings(), 10, 0.3, now=NOW + DAY) == 10
    learnt_at(line, NOW + DAY)
    assert line_data.count_new_pairs(line, TrafficSettings(), now=NOW + 2 * DAY) == 0, (
        "nor are requests of a time to come new at every look"
    )


def test_what_was_there_before_is_counted_once_and_no_text_is_read(
    line: Line, store: TrafficStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(store, 0, 100)
    learnt_at(line, NOW + timedelta(seconds=80))
    asked: list[Any] = []
    real = TrafficStore.pair_count
    monkeypatch.setattr(TrafficStore, "pairs", lambda *given, **more: pytest.fail("texts are read"))
    monkeypatch.setattr(TrafficStore, "pair_count", lambda self, *given: asked.append(given[2]) or real(self, *given))
    before: dict[datetime, int] = {}
    now = NOW + timedelta(seconds=200)
    assert [line_data.count_new_pairs(line, TrafficSettings(), 10, 0.3, before=before, now=now) for _ in range(3)] == [0, 0, 0]
    assert asked == [NOW + timedelta(seconds=80), now, now, now] and list(before.values()) == [80]
    learnt_at(line, NOW + timedelta(seconds=90))
    assert line_data.count_new_pairs(line, TrafficSettings(), 10, 0.1, before=before, now=now) == 10 and list(before.values()) == [80, 90]


def read(line: Line, **more: Any) -> set[str]:
    """The names that the rows of the line's next learning asked for, and a check that counting agrees with reading."""
    capture = TrafficSettings(**more)
    pointer = line_data.remember_source(line, line.read(), capture)
    with line_data.traffic_rows.open_traffic() as store:
        assert store is not None
        found = [pair for pair, _ in line_data.captured_pairs(store, pointer, capture, None)]
    assert len({pair.id for pair in found}) == len(found) == line_data.count_new_pairs(line, capture, now=NOW + DAY)
    return {pair.asked for pair in found}


def test_a_line_remembers_the_names_that_it_learnt_from_and_reads_them_again(line: Line, store: TrafficStore) -> None:
    answered(store, 0, 40, asked="big")
    answered(store, 40, 60)
    answered(store, 60, 80, asked="other")
    assert read(line) == {"support"}
    assert read(line, asked="big") == {"support", "big"}
    assert read(line) == {"support", "big"}, "without being told again"
    assert read(line, asked="other") == {"support", "big", "other"}
    assert read(line, asked="mistyped") == {"support", "big", "other"}
    assert [source.asked for source in line.read().sources] == ["big", "other"], "a name that nobody asked for is not remembered"
    assert line_data.describe_sources(line.read(), TrafficSettings())[-1] == "requests that asked for other"
    line_data.forget_source(line, "other")
    assert read(line) == {"support", "big"}
    with pytest.raises(InputError, match="big"):
        line_data.forget_source(line, "nothing")


def test_a_name_of_one_group_is_read_again_of_that_group(line: Line, store: TrafficStore) -> None:
    for number, template in ((0, "first"), (40, "second")):
        answered(store, number, number + 40, asked="big", template=template)
    first = store.template("first")
    assert len(material(line, asked="big", template=first).learning) < 40
    line_data.remember_source(line, line.read(), TrafficSettings(asked="big", template=first))
    every = {taken.row.input for side in ("learning", "choosing", "certifying") for taken in getattr(material(line), side)}
    assert every == {text(number % 100, number) for number in range(40)}
    assert line_data.count_new_pairs(line, TrafficSettings(template=store.template("second")), now=NOW + DAY) == 0
    line_data.remember_source(line, line.read(), TrafficSettings(asked="big"))
    assert line_data.count_new_pairs(line, TrafficSettings(), now=NOW + DAY) == 80, "the whole name has its groups in it"


def test_a_pointer_without_sources_reads_as_an_older_smidgen_wrote_it(line: Line) -> None:
    assert "sources" not in line.file.read_text(encoding="utf-8")
    assert line.read().sources == ()
