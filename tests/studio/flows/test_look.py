"""A look at a small set with planted errors: its figures, its findings, what is mended, and what to label next."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from smidgen.studio.flows import fetch
from smidgen.studio.flows.data.findings import item_id, keep_items, open_findings, open_suspects
from smidgen.studio.flows.data.first_answer import PREFERRED, operating_points, shown_point, why_no_answer
from smidgen.studio.flows.data.labelling import RowAnswer, answer_rows, label_queue
from smidgen.studio.flows.look import ANSWER, FINDINGS, KIND, newest_look, queue_look, read_answers, read_look, run_look
from smidgen.studio.flows.run_process import RunProgress, run_folder
from smidgen.studio.store.data_rows import DataRow
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import RunStore

SUBJECTS = {
    "refund": ("money", "refund", "charge", "invoice"),
    "delivery": ("parcel", "courier", "shipment", "tracking"),
    "account": ("password", "login", "profile", "username"),
}
THINGS = ("shoes", "lamp", "tent", "phone", "coat", "bike", "desk", "kettle", "camera", "guitar", "sofa", "watch", "radio", "chair")
VERBS = ("lost", "late", "wrong", "missing", "gone")
WRONG = (5, 101, 222, 333, 444, 555, 666, 777)
"""Keys of the rows that get another label than their own."""


def examples() -> list[DataRow]:
    rows = [
        DataRow(f"the {word} for my {thing} is {verb} {extra}", output=label)
        for label, words in SUBJECTS.items()
        for word in words
        for thing in THINGS
        for verb in VERBS
        for extra in ("again today",)
    ]
    names = list(SUBJECTS)
    for key in WRONG:
        row = rows[key - 1]
        rows[key - 1] = replace(row, output=names[(names.index(str(row.output)) + 1) % 3])
    return rows


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StudioStore]:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    opened = StudioStore(f"sqlite:///{tmp_path}/studio.db")
    yield opened
    opened.close()


def filled(store: StudioStore, rows: list[DataRow], task: str = "classify") -> str:
    project = store.create("Support tickets", task).id
    store.rows(project).add(rows, "ann", "import", {})
    return project


def look(store: StudioStore, project: str) -> dict[str, object]:
    runs = RunStore(store.database)
    run = queue_look(store, project, "ann")
    assert run is not None
    runs.start(run.id, 1)
    run_folder(run.id).mkdir(parents=True)
    result = dict(run_look(store, run, RunProgress(runs, run.id)))
    runs.finish(run.id, "done", result=result)
    return result


@pytest.fixture
def project(store: StudioStore) -> str:
    extras = [
        DataRow("the money for my shoes is lost again today", output="refund"),
        DataRow("where is my coat", output="delivery"),
        DataRow("Where is my coat?", output="account"),
        DataRow("the parcel for my hat is nowhere to be seen"),
        DataRow("my password for the hat shop is refused"),
        DataRow("completely different words about weather"),
    ]
    return filled(store, examples() + extras)


def test_a_look_finds_what_was_planted(store: StudioStore, project: str) -> None:
    result = look(store, project)
    assert (result["why_not"], result["rows"], result["unlabelled"], result["by"]) == ("", 846, 3, "words")
    answer = result["answer"]
    assert isinstance(answer, dict)
    truth = 1 - len(WRONG) / answer["measured"]
    assert abs(answer["accuracy"]["value"] - truth) < 0.03 and answer["accuracy"]["low"] < truth
    points = {point["risk"]: point for point in answer["points"]}
    assert points[0.05]["coverage"] > 0.8 and points[0.05]["wrong"] <= 0.05
    assert [point["coverage"] for point in answer["points"]] == sorted(point["coverage"] for point in answer["points"])
    suspects = {item.rows[0].key: item.proposed for item in open_suspects(store, project)}
    assert len(suspects.keys() & set(WRONG)) >= 6 and len(suspects) <= len(WRONG) + 4
    own = {key: list(SUBJECTS)[(key - 1) // 280] for key in WRONG}
    assert all(suspects[key] == own[key] for key in suspects.keys() & set(WRONG))
    found = {finding.kind: finding for finding in open_findings(store, project)}
    assert [(item.rows[0].key, item.other.key if item.other else 0) for item in found["duplicates"].items] == [(841, 1)]
    (conflict,) = found["conflicts"].items
    assert {row.key for row in conflict.rows} == {842, 843} and conflict.proposed is None


def test_test_rows_are_what_is_measured_on_and_copies_of_training_rows_stand_aside(store: StudioStore) -> None:
    rows = examples()
    tests = [DataRow(f"the {word} of my {thing} is {verb} tomorrow", output=label, part="test")
             for label, words in SUBJECTS.items() for word in words for thing in THINGS[:4] for verb in VERBS]  # fmt: skip
    wrong = [replace(row, output="refund") for row in tests if row.output == "account"][:10]
    told = look(store, filled(store, [*rows, *tests, *(replace(row, part="test") for row in rows[:50]), *wrong]))["answer"]
    assert isinstance(told, dict) and told["on"] == "tests"
    assert told["measured"] == len(tests) + len(wrong), "a test row that is a training row measures nothing"
    assert told["accuracy"]["value"] == pytest.approx(1 - len(wrong) / told["measured"], abs=0.02)
    few = look(store, filled(store, [*rows, *tests[:99]]))["answer"]
    assert isinstance(few, dict) and few["on"] == "rows" and few["measured"] > 800


def test_it_is_told_about_how_many_rows_would_show_a_risk() -> None:
    rng = np.random.default_rng(3)
    scores = rng.random(400).astype(np.float32)
    right = rng.random(400) < 0.975
    before = operating_points(scores[:100], scores[:60], right[:60], 4 / 3)
    strict = before[2]
    assert strict.threshold is None and strict.needed is not None and 60 < strict.needed < 1_000
    assert [point.needed for point in before if point.threshold is not None] == [None] * sum(
        point.threshold is not None for point in before
    )
    hopeless = operating_points(scores[:100], scores, np.zeros(400, bool))
    assert [point.needed for point in hopeless] == [None] * 6


def mix_ups(store: StudioStore, project: str) -> dict[str, int]:
    """How often each label is taken for which, among the open suspects."""
    return next(dict(finding.details["mixed"]) for finding in open_findings(store, project) if finding.kind == "mislabels")


def test_what_is_mended_or_kept_is_gone_and_undo_brings_it_back(store: StudioStore, project: str) -> None:
    look(store, project)
    rows, before, mixed = store.rows(project), open_suspects(store, project), mix_ups(store, project)
    first, second = before[:2]
    assert sum(mixed.values()) <= len(before) and mixed[f"{first.rows[0].output} → {first.proposed}"] > 0
    rows.change([first.rows[0].key], lambda row: replace(row, output=first.proposed), "ann", "relabel", {})
    keep_items(project, [second.id], True)
    assert open_suspects(store, project) == before[2:] and sum(mix_ups(store, project).values()) <= len(before) - 2
    rows.undo("ann")
    keep_items(project, [second.id], False)
    assert open_suspects(store, project) == before and mix_ups(store, project) == mixed
    rows.change([841], lambda _: None, "ann", "drop", {})
    assert not {finding.kind: finding for finding in open_findings(store, project)}["duplicates"].items


def test_the_queue_has_suspects_first_and_forgets_what_was_answered(store: StudioStore, project: str) -> None:
    look(store, project)
    queue = label_queue(store, project, 50)
    assert queue.suspects == len(open_suspects(store, project)) and queue.unlabelled == 3
    assert [one.reason for one in queue.rows] == ["suspect"] * queue.suspects + ["unlabelled"] * 3
    by_key = {one.row.key: one for one in queue.rows}
    assert by_key[844].suggestions[0].label == "delivery" and by_key[845].suggestions[0].label == "account"
    doubted = queue.rows[0].row
    answers = [RowAnswer(844, "delivery"), RowAnswer(846, "weather"), RowAnswer(doubted.key, doubted.output)]
    version = answer_rows(store, project, answers, "ann")
    assert version is not None and (version.action, version.changed) == ("label", 2)
    left = label_queue(store, project, 50)
    assert (left.since, left.unlabelled, left.suspects) == (2, 1, queue.suspects - 1)
    assert [one.row.key for one in left.rows][-1] == 845 and doubted.key not in {one.row.key for one in left.rows}
    answer_rows(store, project, [RowAnswer(doubted.key, doubted.output, undo=True), RowAnswer(846, None, undo=True)], "ann")
    again = label_queue(store, project, 50)
    assert (again.unlabelled, again.suspects) == (2, queue.suspects)


def test_a_look_without_answers_orders_the_rows(store: StudioStore) -> None:
    project = filled(store, [replace(row, output=None) for row in examples()[:60]])
    result = look(store, project)
    assert (result["why_not"], result["unlabelled"], result["answer"] is None) == ("few_rows", 60, True)
    queue = label_queue(store, project, 100)
    assert sorted(one.row.key for one in queue.rows) == list(range(1, 61)) and not queue.rows[0].suggestions
    assert [one.row.key for one in queue.rows][:6] != list(range(1, 7))
    assert open_findings(store, project) == []


def test_of_many_rows_a_part_gives_the_first_answer(store: StudioStore, project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr("smidgen.studio.flows.look.FIRST_ROWS", 200)
    monkeypatch.setattr("smidgen.studio.flows.look.measure", lambda answers, texts: told.append(len(texts)) or {"part": len(texts)})
    assert look(store, project)["answer"] == {"part": 846}
    assert told == [200, 846]


def test_another_task_gets_findings_and_no_figure(store: StudioStore) -> None:
    rows = [DataRow(f"a text of some {thing}", output=f"A long description of the {thing}.") for thing in THINGS]
    project = filled(store, [*rows, rows[0]], "write")
    result = look(store, project)
    assert result["why_not"] == "other_task" and result["answer"] is None
    assert {finding.kind: len(finding.items) for finding in open_findings(store, project)}["duplicates"] == 1


def test_one_look_at_a_version(store: StudioStore, project: str) -> None:
    first = queue_look(store, project, "ann")
    assert first is not None and queue_look(store, project, "ann") is None
    store.rows(project).change([1], lambda _: None, "ann", "drop", {})
    second = queue_look(store, project, "ann")
    states = {run.id: run.state for run in RunStore(store.database).of_project(project) if run.kind == KIND}
    assert second is not None and states == {first.id: "stopped", second.id: "queued"}


def test_a_look_that_has_told_nothing_is_not_shown(store: StudioStore, project: str) -> None:
    look(store, project)
    shown = newest_look(store, project)[1]
    store.rows(project).change([1], lambda _: None, "ann", "drop", {})
    waiting = queue_look(store, project, "ann")
    newest, told = newest_look(store, project)
    assert waiting is not None and newest == waiting and told == shown
    assert shown is not None and read_look(shown, ANSWER)["version"] == 1 and read_look(waiting, ANSWER) is None
    assert read_answers(waiting) is None


def test_operating_points_keep_their_promise() -> None:
    """Of 40 draws, at most 4 by chance and a few more by bad luck answer more wrongly than was promised."""
    broken = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        scores = rng.random(1_200).astype(np.float32)
        right = rng.random(1_200) < 0.7 + 0.3 * scores
        point = operating_points(scores[:300], scores[300:], right[300:])[4]
        if point.threshold is not None:
            # The share of wrong answers at a threshold t is the mean of 0.3 (1 - s) over s >= t.
            broken += 0.15 * (1 - point.threshold) > 0.1
    assert broken <= 8
    assert operating_points(scores[:300], scores[300:], np.zeros(900, bool))[4].threshold is None


def test_few_rows_are_told() -> None:
    assert [why_no_answer(labels) for labels in (["a"] * 19, ["a"] * 30, ["a", "b"] * 15, [None] * 90)] == [
        "few_rows",
        "one_label",
        "",
        "few_rows",
    ]


def test_the_shown_point_is_the_strictest_from_the_preferred_on() -> None:
    points = [{"risk": risk, "coverage": share, "wrong": 0.01, "threshold": 0.5} for risk, share in ((0.01, 0.5), (PREFERRED, 0.8))]
    shown = shown_point(points)
    assert shown is not None and shown["coverage"] == 0.8 and shown_point(points, 0.2) is None


def test_items_have_ids_of_their_own() -> None:
    assert item_id("mislabels", 1, "a") != item_id("mislabels", 1, "b") and item_id("duplicates", 1) == item_id("duplicates", 1)


def test_a_fetched_base_is_followed_by_another_look(store: StudioStore, monkeypatch: pytest.MonkeyPatch) -> None:
    project = filled(store, examples()[:30])
    runs = RunStore(store.database)
    fetched: list[str] = []

    def pull(name: str, progress: RunProgress) -> SimpleNamespace:
        fetched.append(name)
        return SimpleNamespace(name=name, licence="Apache-2.0")

    monkeypatch.setattr(fetch, "pull", pull)
    run = runs.enqueue(project, "fetch", {"base": "minilm"}, "ann")
    assert fetch.run_fetch(store, run, RunProgress(runs, run.id)) == {"base": "minilm", "licence": "Apache-2.0"}
    looks = [one for one in runs.of_project(project) if one.kind == KIND]
    assert fetched == ["minilm"] and [one.request for one in looks] == [{"version": 1}]


def test_texts_in_other_languages_get_a_base_and_are_not_dropped(store: StudioStore) -> None:
    finding = {"kind": "language", "severity": "warning", "count": 9, "text": "", "todo": "", "rows": [], "details": {"base": "e5"}}
    project = filled(store, examples()[:30])
    run = RunStore(store.database).enqueue(project, KIND, {"version": 1}, "ann")
    run_folder(run.id).mkdir(parents=True)
    (run_folder(run.id) / ANSWER).write_text("{}", encoding="utf-8")
    (run_folder(run.id) / FINDINGS).write_text(json.dumps([finding]), encoding="utf-8")
    (opened,) = open_findings(store, project)
    assert opened.shape == "base" and [(item.proposed, item.rows) for item in opened.items] == [("e5", ())]
