"""Try a model: which words mattered, its threshold, models that stay open, and corrections into the data."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.tried_model import with_model

from smidgen.core.errors import InputError, SmidgenError
from smidgen.core.forms import FieldForm, LabelForm, SpanForm
from smidgen.core.replies import Reply
from smidgen.flows.local_model import Model
from smidgen.studio.flows.data.review import correct
from smidgen.studio.flows.models import attribution
from smidgen.studio.flows.models.answering import answer, answering_facts
from smidgen.studio.flows.models.attribution import answer_chance, weigh_words
from smidgen.studio.flows.models.model_report import read_report
from smidgen.studio.flows.models.open_models import OpenModels
from smidgen.studio.flows.models.project_point import OPERATING_POINT, project_point
from smidgen.studio.store.data_rows import DataRow, RowFilter
from smidgen.studio.store.projects import StudioStore
from smidgen.tasks.classify import part as classify

TEXT = "the parcel for my lamp is late"


def test_the_word_that_decides_weighs_most(model: Model) -> None:
    (reply,) = model.predict([TEXT])
    words = weigh_words(model, TEXT, reply)
    assert reply.output == "delivery" and words is not None and words.each == 1
    named = {TEXT[word.start : word.end]: word.fall for word in words.weights}
    assert list(named) == TEXT.split()
    assert max(named, key=lambda word: named[word]) == "parcel" and named["parcel"] > 5 * abs(named["lamp"])
    (without,) = model.predict(["the for my lamp is late"])
    assert without.chances is not None and named["parcel"] == pytest.approx(reply.score - without.chances["delivery"], abs=1e-5)


def test_in_a_long_text_words_are_left_out_together_in_one_bounded_batch(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "hello there " * 50 + TEXT
    (reply,) = model.predict([text])
    asked: list[int] = []
    whole = model.predict
    monkeypatch.setattr(model, "predict", lambda texts: asked.append(len(texts)) or whole(texts))
    words = weigh_words(model, text, reply)
    assert words is not None and words.each == 2 and asked == [len(words.weights)] and asked[0] <= attribution.MOST_PARTS
    heaviest = max(words.weights, key=lambda word: word.fall)
    assert "parcel" in text[heaviest.start : heaviest.end]


def test_words_of_scripts_without_spaces_are_signs(model: Model) -> None:
    (reply,) = model.predict(["我的包裹 parcel"])
    words = weigh_words(model, "我的包裹 parcel", reply)
    assert words is not None and [word.end - word.start for word in words.weights] == [1, 1, 1, 1, 6]


def test_a_single_word_and_replies_that_do_not_tell_have_no_weights(model: Model) -> None:
    (reply,) = model.predict(["parcel"])
    assert weigh_words(model, "parcel", reply) is None
    assert weigh_words(model, TEXT, Reply({"a": 1}, 0.5)) is None


def test_the_chance_of_several_labels_is_that_of_all_decisions() -> None:
    form = LabelForm(labels=("a", "b", "c"), multi_label=True, temperature=1.0, threshold=0.5)
    reply, other = classify.decode({"logits": [[3.0, 1.0, -2.0], [-1.0, 1.0, -2.0]]}, form)
    assert answer_chance(classify, reply, reply.output, form) == pytest.approx(reply.score)
    fallen = answer_chance(classify, other, reply.output, form)
    assert fallen is not None and fallen < reply.score


def test_forms_mark_the_places_that_answers_name() -> None:
    spans = SpanForm(kinds=("name",), only=False, threshold=0.5, span_slope=1.0, span_shift=0.0, temperature=1.0, shift=0.0)
    (mark,) = spans.marks([{"start": 1, "end": 4, "label": "name"}], {"scores": [0.9]})
    assert (mark.start, mark.end, mark.label, mark.score, spans.shape) == (1, 4, "name", 0.9, "spans")
    fields = FieldForm(schema={"type": "object"}, derived=True, instruction="", temperature=1.0, shift=0.0)
    marks = fields.marks({"order": "7"}, {"scores": {"order": 0.8}, "spans": {"order": [[5, 6]]}})
    assert [(mark.start, mark.label, mark.score) for mark in marks] == [(5, "order", 0.8)] and fields.shape == "fields"


def test_an_answer_below_the_threshold_is_passed_on(model: Model) -> None:
    sure, unsure = answer(model, [TEXT, "hello"], 0.6)
    assert sure.answers is True and unsure.answers is False and sure.seconds > 0
    assert answer(model, [TEXT], None)[0].answers is None


def test_the_threshold_is_the_chosen_one_or_the_reports(store: StudioStore, bundle: Path) -> None:
    project, run = with_model(store, bundle)
    default = project_point(store, store.project(project), run)
    facts = answering_facts(bundle, default)
    assert (facts.shape, facts.options, facts.streams, facts.pairs) == ("label", ("account", "delivery", "refund"), False, False)
    assert default is not None and (default.share, default.error, default.chosen_by) == (1.0, 0.0, "default")
    assert facts.point == default and default.measured_on == "test" and default.rows > 0
    curve = read_report(store, project, run).risk_coverage
    scores = [point.threshold for point in curve.points] if curve is not None else []
    chosen = {"model": run, "threshold": scores[0]}
    store.update(project, settings={OPERATING_POINT: chosen})
    point = project_point(store, store.project(project), run)
    assert point is not None and (point.threshold, point.chosen_by) == (scores[0], "user") and point.share < default.share
    for other in ({**chosen, "model": "another"}, {"model": run, "threshold": "high"}, "none"):
        store.update(project, settings={OPERATING_POINT: other})
        assert project_point(store, store.project(project), run) == default


def test_scores_that_were_not_fitted_are_known_as_such(bundle: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bundle, tmp_path / "model")
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    for fitted in (True, False):
        report["calibration"]["fitted"] = fitted
        (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
        assert answering_facts(folder, None).fitted is fitted


# Models that stay open.


@pytest.fixture
def copies(bundle: Path, tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: Path(shutil.copytree(bundle, tmp_path / name))


def test_the_least_recently_used_model_is_closed(copies: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    monkeypatch.setattr(Model, "close", lambda self: closed.append(self.folder.name))
    a, b, c = copies("a"), copies("b"), copies("c")
    models = OpenModels(most=2, threads=1)
    seen = []
    for folder in (a, b, a, c, a):
        with models.using(folder) as opened:
            seen.append(opened)
    assert closed == ["b"] and len(models) == 2
    assert seen[0] is seen[2] is seen[4], "loaded once"
    models.close()
    assert closed == ["b", "c", "a"] and len(models) == 0


def test_a_model_in_use_is_never_closed(copies: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    monkeypatch.setattr(Model, "close", lambda self: closed.append(self.folder.name))
    a, b = copies("a"), copies("b")
    models = OpenModels(most=1, threads=1)
    with models.using(a), models.using(b):
        assert closed == [] and len(models) == 2
    assert closed == ["b"] and len(models) == 1


def test_requests_at_once_load_a_model_once(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from smidgen.studio.flows.models import open_models

    loaded: list[Path] = []
    monkeypatch.setattr(open_models, "load", lambda folder, threads: loaded.append(folder) or object())
    models = OpenModels(threads=1)

    def use() -> None:
        with models.using(bundle):
            pass

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert loaded == [bundle]


def test_a_bundle_that_cannot_be_opened_is_told_and_forgotten(tmp_path: Path) -> None:
    models = OpenModels(threads=1)
    with pytest.raises(SmidgenError), models.using(tmp_path / "none"):
        pass
    assert len(models) == 0


def test_trying_a_model_loads_no_torch(bundle: Path) -> None:
    code = (
        "import sys, pathlib; import smidgen.studio.api.app; from smidgen.studio.flows.models.open_models import OpenModels\n"
        f"with OpenModels(threads=1).using(pathlib.Path({str(bundle)!r})) as model: print(model.predict(['my parcel'])[0].output)\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "delivery"), done.stderr


# Corrections.


def test_a_correction_relabels_rows_with_the_same_text_or_adds_one(store: StudioStore) -> None:
    project = store.create("Tickets", "classify")
    rows = store.rows(project.id)
    rows.add([DataRow("where is it", output="refund"), DataRow("where is it", output="delivery", part="test")], "ann", "import", {})
    made = correct(rows, project, "where is it", None, "delivery", "ann")
    assert (made.relabelled, made.added) == (1, False) and made.version is not None and made.version.action == "relabel"
    assert [row.output for row in rows.page(0, 9)] == ["delivery", "delivery"]
    assert correct(rows, project, "where is it", None, "delivery", "ann").version is None
    new = correct(rows, project, "where is my coat", None, "delivery", "ann")
    assert (new.relabelled, new.added) == (0, True)
    (row,) = rows.page(0, 9, RowFilter(input="where is my coat"))
    assert (row.output, row.part, row.source) == ("delivery", "train", "playground")
    rows.undo("ann")
    assert rows.count(RowFilter(input="where is my coat")) == 0


def test_corrected_spans_are_placed_in_their_text(store: StudioStore) -> None:
    project = store.create("Notes", "extract")
    rows = store.rows(project.id)
    correct(rows, project, "call Ann now", None, [{"text": "Ann", "label": "name"}], "ann")
    assert rows.page(0, 1)[0].output == [{"start": 5, "end": 8, "label": "name"}]
    with pytest.raises(InputError, match="not in the text"):
        correct(rows, project, "call Ann now", None, [{"text": "Ben", "label": "name"}], "ann")
    with pytest.raises(InputError, match="needs an answer"):
        correct(rows, project, "call Ann now", None, None, "ann")
