"""Looks at captured traffic: which requests are compared, what is found of them, and that each look is counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests import drifting_traffic
from tests.certified_bundle import certified_bundle  # noqa: F401
from tests.drifting_traffic import NEW, at, capture, text
from tests.line_versions import add, line_of

from smidgen.core.errors import InputError
from smidgen.core.rows import Row
from smidgen.flows.drift import DriftSettings, check, windows
from smidgen.flows.drift.check import folder_of_name, is_look_due, look_for_drift
from smidgen.flows.learn import line_data
from smidgen.flows.status_report import read_status
from smidgen.store import files
from smidgen.store.line import Line, LineJob
from smidgen.store.traffic.queries import StoredText
from smidgen.store.traffic.records import Exchange
from smidgen.store.traffic.store import TrafficStore, opened
from smidgen.watch import drift_record, drift_test
from smidgen.watch.drift_test import DriftVerdict

SMALL = DriftSettings(recent=100, reference=300)


@pytest.fixture(autouse=True)
def without_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SMIDGEN_TRAFFIC_URL", raising=False)
    monkeypatch.setattr(check, "embedder", lambda base, threads: drifting_traffic.vectors)


@pytest.fixture
def store(without_weights: None) -> Iterator[TrafficStore]:
    with opened() as found:
        yield found


@pytest.fixture
def line(tmp_path: Path) -> Line:
    """One whose champion was promoted when the request of number 300 came."""
    made, (champion,) = line_of(tmp_path / "line", 1)
    made.change(lambda found: found.model_copy(update={"history": (found.history[0].model_copy(update={"at": at(300)}),)}))
    assert made.read().champion == champion
    return made


def test_of_a_bundle_the_newest_are_compared_with_the_first(certified_bundle: Path, store: TrafficStore) -> None:  # noqa: F811
    capture(store, range(300))
    capture(store, range(300, 400), new_every=3)
    found = look_for_drift(certified_bundle, SMALL)
    assert found.judgement is not None and found.alarm
    facts = found.json()
    assert (facts["reference"]["requests"], facts["recent"]["requests"]) == (300, 100)
    assert (facts["recent"]["first"], facts["recent"]["last"]) == (at(300).isoformat(), at(399).isoformat())
    by = {test.what: test for test in found.judgement.tests}
    assert set(by) == {"meaning", "subjects", "labels", "scores", "length", "language", "words"}
    assert by["words"].alarm and NEW in by["words"].says and by["words"].examples
    assert by["meaning"].alarm and sum(NEW in example for example in by["meaning"].examples) >= 4
    assert by["scores"].alarm and by["labels"].sure, "the new subject is answered by one label, and never surely"
    assert all(NEW in example for example in by["scores"].examples) and by["scores"].examples


def test_the_same_traffic_is_no_alarm_and_the_same_look_is_none(certified_bundle: Path, store: TrafficStore) -> None:  # noqa: F811
    capture(store, range(400))
    first = look_for_drift(certified_bundle, SMALL)
    assert first.judgement is not None and not first.alarm and first.judgement.look == 1
    again = look_for_drift(certified_bundle, SMALL)
    assert again.judgement == first.judgement, "nothing new was looked at"
    capture(store, range(400, 450))
    third = look_for_drift(certified_bundle, SMALL)
    assert third.judgement is not None and third.judgement.look == 2
    kept = drift_record.read(first.bundle_id, "support")
    assert kept.looks == 2 and kept.newest == at(449) and not kept.alarm


def test_a_look_is_paid_for_before_it_is_made(
    certified_bundle: Path,  # noqa: F811
    store: TrafficStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another process that looks meanwhile has a number of its own; one that breaks off is spent."""
    capture(store, range(400))
    real, meanwhile = drift_test.judged, []

    def judged(*given: Any, **more: Any) -> DriftVerdict:
        if not meanwhile:
            capture(store, range(400, 450))
            meanwhile.append(None)
            meanwhile[0] = look_for_drift(certified_bundle, SMALL).judgement
        return real(*given, **more)

    monkeypatch.setattr(drift_test, "judged", judged)
    first = look_for_drift(certified_bundle, SMALL)
    assert first.judgement is not None and (first.judgement.look, meanwhile[0].look) == (1, 2)
    kept = drift_record.read(first.bundle_id, first.name)
    assert kept.looks == 2 and kept.last is not None and kept.last["look"] == 2

    def broken(*given: object, **more: object) -> DriftVerdict:
        raise MemoryError

    monkeypatch.setattr(drift_test, "judged", broken)
    capture(store, range(450, 500))
    with pytest.raises(MemoryError):
        look_for_drift(certified_bundle, SMALL)
    assert drift_record.read(first.bundle_id, first.name).looks == 3


def test_what_is_kept_has_no_text_in_it_and_status_tells_it(certified_bundle: Path, store: TrafficStore) -> None:  # noqa: F811
    capture(store, range(300))
    capture(store, range(300, 400), new_every=3)
    files.remember_bundle(certified_bundle)
    assert read_status()["bundles"][0]["drift"] is None
    found = look_for_drift(certified_bundle, SMALL, now=at(500))
    kept = drift_record.place(found.bundle_id, found.name).read_text(encoding="utf-8")
    assert NEW not in kept and "about the" not in kept and json.loads(kept)["last"]["moved"]
    told = read_status()["bundles"][0]["drift"]
    assert told["alarm"] and told["looks"] == 1 and told["at"] == at(500).isoformat(timespec="seconds") and "words" in told["moved"]
    drift_record.place(found.bundle_id, found.name).write_bytes(b"{")
    assert "error" in read_status()["bundles"][0]["drift"]


def test_of_a_line_what_came_since_its_promotion_is_compared_with_what_came_before(line: Line, store: TrafficStore) -> None:
    capture(store, range(300))
    capture(store, range(300, 800), new_every=3)
    found = look_for_drift(line.folder, DriftSettings(recent=500, reference=1000))
    assert found.name == "support" and found.alarm and "until its promotion" in found.windows.words
    assert (len(found.windows.reference), len(found.windows.recent)) == (300, 500)
    # Of its own answers those to texts that it may have learnt from are left out, in both stretches.
    assert found.sample is not None and found.judgement is not None
    learnt = [store.find(entry.id)["held_out"] == 0 for entry in found.windows.recent]  # type: ignore[index]
    assert [not entry.fair for entry in found.windows.recent] == learnt and 300 < sum(learnt) < 480
    champion = line.read().champion
    assert champion is not None and drift_record.read(champion, "support").looks == 1
    add(line, 1, champion)
    assert drift_record.read(str(line.read().champion), "support").looks == 0, "a new champion has looks of its own"


def test_too_few_held_out_texts_leave_the_answers_untested(line: Line, store: TrafficStore) -> None:
    capture(store, range(400))
    found = look_for_drift(line.folder, SMALL)
    assert found.judgement is not None and set(found.judgement.untested) == {"labels", "scores"}
    assert "held out" in found.judgement.untested["scores"]


def test_where_little_was_captured_before_the_lines_rows_are_the_reference_redacted_alike(line: Line, store: TrafficStore) -> None:
    rows = [Row(f"{text(number)} mail jane.roe{number}@example.com CVV 737", "yes") for number in range(1000, 1200)]
    line_data.keep_batch(line, rows, "original", learnt=True, now=at(0))
    capture(store, range(300, 420), altered=True)
    found = look_for_drift(line.folder, DriftSettings(recent=100))
    assert found.windows.words == "the rows that the line keeps" and len(found.windows.reference) == 200
    assert all("example.com" not in str(entry.text) and "[EMAIL_1] CVV [CVV_1]" in str(entry.text) for entry in found.windows.reference)
    assert any("redacted" in note for note in found.windows.notes) and any("not drawn as requests" in note for note in found.windows.notes)
    assert found.judgement is not None and "scores" in found.judgement.untested
    assert windows._masked(['{"cvv": 737}', ("x", "half \ud83d"), ("x", '{"a": 1, "a": 2}'), ("CVV 737", "737"), "fine"], (), 1) == [
        *('{"cvv": "[CVV_1]"}', None, None, ("CVV [CVV_1]", "[CVV_1]"), "fine"),
    ]
    (words,) = [test for test in found.judgement.tests if test.what == "words"]
    assert not words.alarm, "a stand-in is no word"


def test_of_a_line_that_has_neither_the_first_since_its_promotion_are_the_reference(line: Line, store: TrafficStore) -> None:
    capture(store, range(250, 600))
    found = look_for_drift(line.folder, SMALL)
    assert "first that were captured since its promotion" in found.windows.words and found.judgement is not None
    assert [entry.id for entry in (found.windows.reference[0], found.windows.recent[-1])] == ["req_300", "req_599"]
    assert (len(found.windows.reference), len(found.windows.recent)) == (200, 100)


def test_of_a_line_of_jobs_their_requests_are_meant_whatever_they_named(line: Line, store: TrafficStore) -> None:
    capture(store, range(300), asked="big", template="sort the mail of today", kind="sort")
    capture(store, range(300, 400), asked="big", template="sort the mail of yesterday", kind="sort")
    capture(store, range(1000, 1400), asked="big", template="another job")
    job = LineJob(id="0123abcd", template=store.template("sort"), varies=True, system=True, task="classify", asked="big")
    framed = LineJob(id="0123abce", template=store.template("another job"), system=True, begins="w88 ", task="classify", asked="big")
    line.change(lambda found: found.model_copy(update={"jobs": (job, framed)}))
    assert is_look_due(line.folder, DriftSettings(recent=100))
    found = look_for_drift(line.folder, DriftSettings(recent=1000, reference=1000))
    recent = [entry.id for entry in found.windows.recent]
    framed_ids = [f"req_{number}" for number in range(1000, 1400) if text(number).startswith("w88 ")]
    assert recent == [*(f"req_{number}" for number in range(300, 400)), *framed_ids] and len(framed_ids) > 0
    assert [entry.id for entry in found.windows.reference] == [f"req_{number}" for number in range(300)]
    assert look_for_drift(line.folder, DriftSettings(asked="support")).why.startswith("too few recent requests: 0")


def test_rows_stay_as_they_are_where_nothing_captured_was_redacted(line: Line, store: TrafficStore) -> None:
    line_data.keep_batch(
        line, [Row(f"{text(number)} jane.roe@example.com", "yes") for number in range(1000, 1100)], "data", learnt=False, now=at(0)
    )
    capture(store, range(300, 420))
    found = look_for_drift(line.folder, DriftSettings(recent=100))
    assert all("example.com" in str(entry.text) for entry in found.windows.reference) and len(found.windows.reference) == 100
    assert not any("redacted" in note for note in found.windows.notes)


def test_a_moment_bounds_either_stretch(certified_bundle: Path, store: TrafficStore) -> None:  # noqa: F811
    capture(store, range(600))
    found = look_for_drift(certified_bundle, DriftSettings(recent=500, before=at(200), since=at(450)))
    assert [entry.id for entry in (*found.windows.reference[-1:], *found.windows.recent[:1])] == ["req_199", "req_450"]
    assert (len(found.windows.reference), len(found.windows.recent)) == (200, 150)
    with pytest.raises(InputError, match="--since"):
        look_for_drift(certified_bundle, DriftSettings(before=at(200), since=at(100)))


def test_a_few_requests_are_halved_and_too_few_are_no_look(certified_bundle: Path, store: TrafficStore) -> None:  # noqa: F811
    assert "too few recent requests: 0" in look_for_drift(certified_bundle, DriftSettings()).why
    capture(store, range(80))
    few = look_for_drift(certified_bundle, DriftSettings())
    assert few.judgement is None and not few.alarm and "too few" in few.why and drift_record.read(few.bundle_id, "support").looks == 0
    capture(store, range(80, 240))
    found = look_for_drift(certified_bundle, DriftSettings())
    assert (len(found.windows.reference), len(found.windows.recent)) == (120, 120) and found.judgement is not None


def test_a_client_that_says_one_thing_again_and_again_is_too_little(certified_bundle: Path, store: TrafficStore) -> None:  # noqa: F811
    capture(store, range(200))
    path = "/v1/chat/completions"
    store.add([Exchange(f"one_{number}", at(200 + number), "support", path, text(0), "local") for number in range(200)])
    found = look_for_drift(certified_bundle, DriftSettings(recent=200, reference=200))
    assert found.judgement is None and "too few different texts" in found.why


def test_a_look_is_due_when_as_many_requests_came_as_it_takes(line: Line, store: TrafficStore) -> None:
    capture(store, range(300))
    capture(store, range(300, 399))
    assert not is_look_due(line.folder, SMALL)
    capture(store, [399])
    assert is_look_due(line.folder, SMALL)
    assert look_for_drift(line.folder, SMALL).judgement is not None and not is_look_due(line.folder, SMALL)
    capture(store, range(400, 500))
    assert is_look_due(line.folder, SMALL)
    assert not is_look_due(line.folder, SMALL, at(499)), "what there was too little of waits for as much again"
    assert not is_look_due(line.folder.parent, SMALL)


def test_with_few_texts_held_out_more_requests_are_looked_at(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_TRAFFIC_URL", f"sqlite:///{tmp_path / 'aside.db'}")
    monkeypatch.setattr("smidgen.store.traffic.tables.secrets.token_hex", lambda count: "5a" * count)
    line.change(lambda found: found.model_copy(update={"history": (found.history[0].model_copy(update={"at": at(2300)}),)}))
    with opened(held_out=0.08) as store:
        capture(store, range(2800))
        assert not is_look_due(line.folder, DriftSettings()), "of 500 requests some 40 are held out"
        few = look_for_drift(line.folder, DriftSettings(recent=500))
        assert few.judgement is not None and {"labels", "scores"} <= set(few.judgement.untested)
        drift_record.place(few.bundle_id, few.name).unlink()
        capture(store, range(2800, 3400), new_every=2)
        assert is_look_due(line.folder, DriftSettings())
        found = look_for_drift(line.folder, DriftSettings())
        assert found.judgement is not None and not {"labels", "scores"} & set(found.judgement.untested)
        assert len(found.windows.recent) == 1000 and len(found.windows.reference) == 2000
        assert any(test.what in ("labels", "scores") and test.alarm for test in found.judgement.tests)
        capture(store, range(3400, 3900))
        assert not is_look_due(line.folder, DriftSettings()) and is_look_due(line.folder, DriftSettings(recent=500))
        capture(store, range(3900, 4400))
        assert is_look_due(line.folder, DriftSettings())


def test_where_hardly_a_text_is_held_out_a_look_waits_for_so_many_requests_and_no_more(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMIDGEN_TRAFFIC_URL", f"sqlite:///{tmp_path / 'hardly.db'}")
    monkeypatch.setattr(check, "RECENT", 60)
    with opened(held_out=0.01) as store:
        capture(store, range(500))
        assert not is_look_due(line.folder, DriftSettings()) and len(look_for_drift(line.folder, DriftSettings()).windows.recent) == 200
        capture(store, range(500, 740))
        assert is_look_due(line.folder, DriftSettings()) and len(look_for_drift(line.folder, DriftSettings()).windows.recent) == 240
    monkeypatch.setenv("SMIDGEN_TRAFFIC_URL", f"sqlite:///{tmp_path / 'none.db'}")
    with opened(held_out=0.0) as store:
        capture(store, [*range(200), *range(800, 870)])
        assert is_look_due(line.folder, DriftSettings()) and len(look_for_drift(line.folder, DriftSettings()).windows.recent) == 60


def test_moments_to_come_do_not_stop_the_looks(line: Line, store: TrafficStore) -> None:
    """A clock was ahead for a moment: at the look, at the promotion, or when requests came."""
    now, ahead = at(1000), at(500_000)
    capture(store, range(400))
    look_for_drift(line.folder, SMALL, now=now)
    champion = line.read().champion or ""
    assert not is_look_due(line.folder, SMALL, now=now)
    drift_record.change(champion, "support", lambda known: known.model_copy(update={"newest": ahead}))
    assert is_look_due(line.folder, SMALL, now=now)
    look_for_drift(line.folder, SMALL, now=now)
    assert not is_look_due(line.folder, SMALL, now=now) and drift_record.read(champion, "support").newest == at(399)

    line.change(lambda found: found.model_copy(update={"history": (found.history[-1].model_copy(update={"at": ahead}),)}))
    capture(store, range(400, 500))
    assert is_look_due(line.folder, SMALL, now=now)
    found = look_for_drift(line.folder, SMALL, now=now)
    assert found.judgement is not None and found.windows.words == "the first that were captured" and found.windows.last == at(499)

    capture(store, range(500_000, 500_150))
    assert not is_look_due(line.folder, SMALL, now=now), "what is to come is not new at every look"
    assert look_for_drift(line.folder, SMALL, now=now).windows.last == at(499)


def test_a_name_is_found_on_the_shelf(line: Line, certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    files.remember_bundle(line.folder)
    assert folder_of_name(str(certified_bundle)) == certified_bundle
    assert folder_of_name("support") == line.folder.resolve()
    with pytest.raises(InputError, match="one of: support"):
        folder_of_name("suport")


def test_without_an_encoder_the_rest_is_tested(certified_bundle: Path, store: TrafficStore, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(check, "embedder", lambda base, threads: None)
    capture(store, range(400))
    found = look_for_drift(certified_bundle, SMALL)
    assert found.judgement is not None and "smidgen pull minilm" in found.judgement.untested["meaning"]
    assert [test.what for test in found.judgement.tests] == ["labels", "scores", "length", "language", "words"]


def test_numbers_that_cannot_be_are_refused() -> None:
    for wrong in ({"recent": 10}, {"reference": 10**6}, {"level": 1.0}, {"least": 0.0}):
        with pytest.raises(ValidationError):
            DriftSettings(**wrong)


@pytest.mark.parametrize(
    ("texts", "beside"),
    [
        (
            [
                "weather in Porto",
                "ask [PERSON_1] in [PLACE_1]",
                "fly to [PLACE_1]",
                "[EMAIL_1] of [ORGANISATION_1]",
                "[PERSON_1] [PLACE_1]",
            ],
            True,
        ),
        (["weather in [PLACE_1]", "[PLACE_1] to [PLACE_2]", "ask [PERSON_1] in [PLACE_1]", "[ORGANISATION_1]", "on [DATE_1]"], False),
        ([], True),
    ],
)
def test_rows_are_redacted_by_the_policy_that_the_captured_texts_show(
    texts: list[str], beside: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway under `health` masks towns wherever they stand: rows in which they stay would look like drift."""

    class Towns:
        def many(self, given: Any) -> dict[str, tuple[tuple[str, int, int], ...]]:
            return {one: (("place", one.index("Porto"), one.index("Porto") + 5),) if "Porto" in one else () for one in given}

    monkeypatch.setattr(windows, "finder", lambda threads, public: Towns())
    recent = [StoredText(str(number), at(number), said, "b", None, False, True) for number, said in enumerate(texts)]
    rule = windows._beside_person(recent)
    assert ("place" in rule, "organisation" in rule, "date" in rule) == (beside, beside, beside)
    assert windows._masked(["is Porto far"], (), 1, (), rule) == (["is Porto far"] if beside else ["is [PLACE_1] far"])
