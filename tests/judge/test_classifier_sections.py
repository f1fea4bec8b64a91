"""From replies to the sections of a report."""

import numpy as np
import pytest
from tests.forms import label_form

from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.judge import classifier_sections
from smidgen.judge.report import Report
from smidgen.stats import classification_metrics

LABELS = ["a", "b", "c"]
FORM = label_form(LABELS, temperature=1.5)


def rows_of(*pairs):
    return [Row(f"text {number}", gold, number) for number, (gold, _) in enumerate(pairs, 1)], [
        Reply(answer, 0.9 - number / 100) for number, (_, answer) in enumerate(pairs)
    ]


def test_sections_agree_with_each_other(make_report):
    report = make_report(classes=8, n=500)
    accuracy = report.metrics["accuracy"].value
    assert sum(row.support for row in report.per_class) == 500
    assert sum(row.recall.value * row.support for row in report.per_class) / 500 == pytest.approx(accuracy)
    assert np.trace(np.array(report.confusion.counts)) / 500 == pytest.approx(accuracy)
    assert report.risk_coverage.points[-1].risk == pytest.approx(1 - accuracy)
    assert sum(entry.n for entry in report.calibration.bins) == 500
    assert report.calibration.temperature == 1.3 and report.calibration.ece_after < 0.08
    assert [at.wanted for at in report.risk_coverage.at] == [0.01, 0.02, 0.05]
    assert report.per_class[0].train == 3 * report.per_class[0].support
    assert report.unknown is None


def test_unknown_is_told(simulated):
    rows, replies = rows_of(("a", "a"), ("b", "oos"), ("oos", "oos"), ("oos", "c"))
    form = FORM.model_copy(update={"unknown": "oos", "unknown_examples": 7, "unknown_threshold": 0.4})
    gold, got = [row.output for row in rows], [reply.output for reply in replies]
    metrics = {
        "accuracy": classification_metrics.accuracy(gold, got),
        "oos_recall": classification_metrics.oos_recall(gold, got, "oos"),
        "in_scope_accuracy": classification_metrics.in_scope_accuracy(gold, got, "oos"),
    }
    sections = classifier_sections.classifier_sections(rows, replies, form, metrics)
    assert sections["unknown"].oos_recall.value == 0.5 and sections["unknown"].in_scope_accuracy.value == 0.5
    assert "7 out-of-scope examples" in sections["unknown"].how and sections["unknown"].threshold == 0.4
    assert [row.label for row in sections["per_class"]] == ["a", "b", "c", "oos"]
    assert "oos" in sections["confusion"].labels
    facts = classifier_sections.data_facts(rows, [], rows, form)
    assert (facts.out_of_scope_train, facts.out_of_scope_test, facts.train) == (2, 2, 4)
    assert [entry.label for entry in facts.labels] == LABELS


def test_multi_label_has_no_table(simulated):
    rows = [Row("x", ["a", "b"], 1), Row("y", ["c"], 2)]
    replies = [Reply(["a"], 0.8), Reply(["c"], 0.9)]
    gold, got = [row.output for row in rows], [reply.output for reply in replies]
    metrics = {"accuracy": classification_metrics.accuracy(gold, got), "micro_f1": classification_metrics.micro_f1(gold, got, LABELS)}
    sections = classifier_sections.classifier_sections(rows, replies, label_form(LABELS, multi_label=True), metrics)
    assert sections["confusion"] is None and len(sections["mistakes"]) == 1
    assert sections["mistakes"][0].gold == '["a", "b"]'


def test_baseline_is_paired(simulated):
    rows, replies = rows_of(("a", "a"), ("b", "b"), ("c", "c"), ("a", "b"))
    found = classifier_sections.baseline("linear", rows, replies, rows_of(("a", "a"), ("b", "a"), ("c", "a"), ("a", "a"))[1], {}, 3.0)
    assert found.change.value == 0.25 and (found.change.gained, found.change.lost) == (2, 1)


def test_mistakes_are_surest_first_and_of_many_kinds():
    pairs = [("a", "b")] * 10 + [("b", "c")] * 2 + [("c", "c")] * 5
    rows, replies = rows_of(*pairs)
    found = classifier_sections.mistakes(rows, replies)[:6]
    assert [(entry.gold, entry.answer) for entry in found] == [("a", "b")] * 2 + [("b", "c")] * 2 + [("a", "b")] * 2
    assert found[0].row == 1 and found[0].score == 0.9 and found[0].why.startswith("Very sure")
    assert "10 mistakes of this kind" in found[1].why
    close = classifier_sections.mistakes([Row("x", "a", 1)], [Reply("b", 0.48, (("a", 0.45),))])
    assert "nearly as high" in close[0].why and close[0].gold_score == 0.45
    long = classifier_sections.mistakes([Row("x" * 5000, "a", 1)], [Reply("b", 0.5)])
    assert len(long[0].text) == 400


def test_the_map_puts_confused_labels_side_by_side():
    labels = [f"l{number}" for number in range(10)]
    gold = labels * 5 + ["l0"] * 6 + ["l7"] * 6
    got = labels * 5 + ["l7"] * 6 + ["l3"] * 6
    table = classifier_sections.confusion_table(gold, got, labels)
    order = list(table.labels)
    assert sorted(order) == labels and table.left_out == 0
    assert abs(order.index("l0") - order.index("l7")) == 1 and abs(order.index("l7") - order.index("l3")) == 1
    assert sum(map(sum, table.counts)) == len(gold)


def test_a_large_map_shows_the_most_confused():
    labels = [f"l{number:03d}" for number in range(300)]
    gold, got = labels * 2 + ["l250"] * 9 + ["l004"], labels * 2 + ["l017"] * 9 + ["l005"]
    table = classifier_sections.confusion_table(gold, got, labels, most=40)
    assert len(table.labels) == 40 and table.left_out == 260 and table.left_out_errors == 0
    assert {"l250", "l017", "l004", "l005"} <= set(table.labels)
    small = classifier_sections.confusion_table(gold, got, labels, most=2)
    assert set(small.labels) == {"l250", "l017"} and small.left_out_errors == 1


def test_an_empty_report_is_a_report():
    report = Report(name="n", task="write", created="2026-11-25T00:00:00Z", student={"kind": "decoder"})
    assert Report.model_validate_json(report.json_text()) == report
