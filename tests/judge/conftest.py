"""Reports made by the room's own functions from simulated answers, so that every number in them is consistent."""

import numpy as np
import pytest
from tests.forms import label_form

from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.judge import classifier_sections, cost_estimate, learning_curve, parity
from smidgen.judge.quality_gate import GateSettings
from smidgen.judge.report import Report
from smidgen.judge.sections import BuildAlternative, Environment, Measured, SpeedFacts, StudentFacts, TrainingFacts, measured
from smidgen.stats import classification_metrics


def simulate(labels, n, right=0.92, seed=0, text="text {} about {}"):
    """Rows, and replies that are right with a chance that their score knows of."""
    rng = np.random.default_rng(seed)
    rows, replies = [], []
    for number in range(n):
        gold = labels[int(rng.integers(len(labels)))]
        score = float(np.clip(rng.beta(8, 8 * (1 - right) / right), 1 / len(labels), 0.999))
        other = labels[(labels.index(gold) + 1 + int(rng.integers(2))) % len(labels)]
        answer = gold if rng.random() < score else other
        beside = other if answer == gold else gold
        rows.append(Row(text.format(number, gold), gold, number + 1))
        replies.append(Reply(answer, score, ((beside, (1 - score) / 2),)))
    return rows, replies


def metrics_of(rows, replies, labels):
    gold, got = [row.output for row in rows], [reply.output for reply in replies]
    return {"accuracy": classification_metrics.accuracy(gold, got), "macro_f1": classification_metrics.macro_f1(gold, got, labels)}


@pytest.fixture
def simulated():
    return simulate


@pytest.fixture
def make_report():
    def make(classes=6, n=400, text="text {} about {}", labels=None, **changes):
        labels = labels or [f"group {number % 4}/label {number:03d}" for number in range(classes)]
        rows, replies = simulate(labels, n, text=text)
        _, weaker = simulate(labels, n, right=0.8)
        metrics = metrics_of(rows, replies, labels)
        form = label_form(labels, temperature=1.3)
        sections = classifier_sections.classifier_sections(rows, replies, form, metrics, uncalibrated=replies, train=rows * 3)
        shown = measured(metrics["accuracy"])
        lower = Measured(value=shown.value - 0.05, low=shown.low - 0.05, high=shown.high - 0.05, n=shown.n)
        given = {
            "name": "a report",
            "task": "classify",
            "created": "2026-11-25T10:00:00Z",
            "command": "smidgen build --task classify --data train.csv",
            "data": classifier_sections.data_facts(rows, rows[:40], rows, form, sha256="ab" * 32, licence="CC-BY-4.0"),
            "student": StudentFacts(kind="encoder", base="a base", chosen_because="It was the best within 2 ms."),
            "baseline": classifier_sections.baseline(
                "TF-IDF and a linear model", rows, replies, weaker, metrics_of(rows, weaker, labels), 23.0
            ),
            "alternatives": (
                BuildAlternative(name="encoder, int8", accuracy=shown, latency_ms_p50=1.3, size_mb=23.0, chosen=True),
                BuildAlternative(name="encoder, fp32", accuracy=shown, latency_ms_p50=2.0, size_mb=91.0, why_not="slower"),
                BuildAlternative(name="static", accuracy=lower, latency_ms_p50=0.05, size_mb=7.0, why_not="5 points behind"),
            ),
            "parity": parity.compare(rows, replies, replies, settings=GateSettings()),
            "speed": SpeedFacts(latency_ms_p50=1.3, latency_ms_p99=1.9, texts_per_second=1330, batch=32, size_mb=23.0, peak_memory_mb=160),
            "training": TrainingFacts(seconds=88.0, energy_wh=0.5, energy_method="estimate: 10 W a busy core"),
            "cost": cost_estimate.estimate(*cost_estimate.tokens([row.input for row in rows], labels), texts_per_second=1330),
            "learning_curve": learning_curve.learn(
                [(n, 0.96 - 1.1 * n**-0.5) for n in (200, 400, 800, 1600, 3200)], per_class=sections["per_class"]
            ),
            "environment": Environment(cpu="a processor", threads=2, seed=0, versions={"smidgen": "0.1.0"}),
            **sections,
        }
        return Report(**{**given, **changes})

    return make
