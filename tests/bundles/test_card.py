"""The model card says what the report says, and "not measured" where it says nothing."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from smidgen.bundles.card import model_card
from smidgen.bundles.manifest import BaseEntry, DataEntry, EngineEntry, Licence, Manifest, MetricInterval
from smidgen.core.forms import LabelForm, TextForm

DIGEST = "0123456789abcdef" * 4
SECTIONS = [
    "What it is for",
    "What it is not for",
    "Data",
    "Base and licences",
    "Results",
    "Labels",
    "What it confuses",
    "Calibration",
    "Out of scope",
    "Size and speed",
    "Training",
    "How to use it",
]


def _manifest(**changes: object) -> Manifest:
    facts: dict[str, object] = {
        "name": "support",
        "created": "2025-01-02T03:04:05+00:00",
        "smidgen_version": "0.1.0",
        "task": "classify",
        "form": {"labels": ["refund", "late|parcel"], "multi_label": False, "temperature": 1.0},
        "engine": EngineEntry(engine="onnx", files=("model.onnx",), options={"max_length": 64}, method="int8-dynamic"),
        "base": BaseEntry(name="hf:a/b", sha256=DIGEST, licence="Apache-2.0", source="the hub"),
        "data": DataEntry(sha256=DIGEST[::-1], rows={"train": 1234}, licence="CC-BY-4.0"),
        "licences": (Licence(what="base", licence="Apache-2.0"), Licence(what="data", licence="CC-BY-4.0")),
        "student": "encoder",
        "metrics": {"accuracy": MetricInterval(value=0.941, low=0.932, high=0.949, n=3080)},
        "headline": "accuracy",
    }
    return Manifest.model_validate({**facts, **changes})


def _card(manifest: Manifest, report: dict[str, Any]) -> str:
    form = TextForm if manifest.task == "write" else LabelForm
    return model_card(manifest, form.read(manifest.form), report)


def _metric(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.01, "high": value + 0.01, "n": 3080}


REPORT = {
    "metrics": {"accuracy": _metric(0.941), "macro_f1": _metric(0.94)},
    "per_class": [
        {"label": "refund", "precision": _metric(0.9), "recall": _metric(0.8), "f1": _metric(0.85), "support": 40},
        {"label": "late|parcel", "precision": None, "recall": None, "f1": None, "support": 0},
    ],
    "baseline": {"name": "linear", "metrics": {"accuracy": _metric(0.916)}, "change": {"value": 0.025, "low": 0.016, "high": 0.034}},
    "confusion_pairs": [{"gold": "refund", "predicted": "late|parcel", "count": 7, "share": 0.175}],
    "calibration": {"ece_before": 0.0712, "ece_after": 0.0123, "brier": 0.09, "temperature": 1.7},
    "unknown": {
        "label": "unknown",
        "how": "by threshold",
        "threshold": 0.31,
        "oos_recall": _metric(0.7),
        "in_scope_accuracy": _metric(0.95),
    },
    "parity": {"n": 900, "agreement": _metric(0.985)},
    "speed": {"latency_ms_p50": 1.08, "latency_ms_p99": 2.2, "texts_per_second": 1500.0, "batch": 256, "size_mb": 23.6, "threads": 2},
    "training": {"seconds": 95.0, "energy_wh": 1.25, "energy_method": "estimate from processor time", "device": "a processor"},
    "environment": {"cpu": "a processor", "seed": 0},
    "command": "smidgen build smidgen.toml",
}


def _sections(card: str) -> dict[str, str]:
    parts = re.split(r"^## (.+)$", card, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_everything_that_was_measured_is_said() -> None:
    sections = _sections(_card(_manifest(), REPORT))
    assert list(sections) == SECTIONS
    expected = {
        "What it is for": ["one of 2 labels", r"late\|parcel"],
        "What it is not for": ["first 64 tokens"],
        "Data": ["1,234 rows", DIGEST[::-1], "CC-BY-4.0"],
        "Base and licences": ["hf:a/b", DIGEST, "Apache-2.0", "the hub"],
        "Results": ["94.1 % (93.1–95.1)", "91.6 % (90.6–92.6)", "+2.5 points (+1.6 to +3.4)", "98.5 %"],
        "Labels": ["| refund | 90.0 % (89.0–91.0) | 80.0 %", r"| late\|parcel | not measured |"],
        "What it confuses": [r"| refund | late\|parcel | 7 | 17.5 % |"],
        "Calibration": ["7.12 %", "1.23 %", "1.700"],
        "Out of scope": ["by threshold", "70.0 % (69.0–71.0)"],
        "Size and speed": ["23.6 MB", "1.08 ms", "2.20 ms", "1,500 texts a second", "with 2 threads", "int8-dynamic"],
        "Training": ["95 s", "1.25 Wh (estimate from processor time)", "smidgen build smidgen.toml"],
        "How to use it": ["smidgen predict", "smidgen.load", "chat.completions", "/v1/classify"],
    }
    seen = 0
    for title, texts in expected.items():
        for text in texts:
            assert text in sections[title], title
            seen += 1
    assert seen == 35


@pytest.mark.parametrize(("n", "figure"), [(29, False), (30, True)])
def test_a_desk_has_a_figure_on_enough_messages_alone(n: int, figure: bool) -> None:
    metrics = {"outcome_right": {"value": 0.941, "low": 0.9, "high": 0.98, "n": n}}
    card = _card(_manifest(headline="outcome_right", metrics=metrics), {"metrics": metrics, "calibration": REPORT["calibration"]})
    assert ("94.1 %" in card, "1.23 %" in card, "some 2 more messages" in card) == (figure, figure, not figure)


def test_what_was_not_measured_is_said_to_be_so() -> None:
    bare = _manifest(base=None, data=None, licences=(), metrics={}, form={"labels": ["a", "b"], "multi_label": False, "temperature": 1.0})
    card = _card(bare, {"calibration": None, "speed": None})
    sections = _sections(card)
    assert list(sections) == SECTIONS
    measured = [title for title in SECTIONS if "not measured" not in sections[title]]
    assert measured == ["What it is for", "What it is not for", "Base and licences", "How to use it"]
    assert "not trained to recognise them" in sections["What it is not for"]
    assert "None" not in card and "nan" not in card


def test_a_change_that_may_be_nothing_is_called_so() -> None:
    weak = {**REPORT, "baseline": {**REPORT["baseline"], "change": {"value": 0.002, "low": -0.006, "high": 0.01}}}
    assert "not shown that this model is better" in _card(_manifest(), weak)
    assert "not shown that this model is better" not in _card(_manifest(), REPORT)
    worse = {**REPORT, "baseline": {**REPORT["baseline"], "change": {"value": -0.04, "low": -0.06, "high": -0.01}}}
    assert "this model is worse than the baseline" in _card(_manifest(), worse) and "holds zero" not in _card(_manifest(), worse)


def test_a_baseline_is_not_held_against_itself_nor_called_a_language_model() -> None:
    simple = _manifest(student="linear", base=None)
    weak = {**REPORT, "baseline": {**REPORT["baseline"], "change": {"value": 0.0, "low": -0.03, "high": 0.03}}}
    card = _card(simple, weak)
    assert "This model is the simple baseline itself" in card and "baseline (linear)" not in card and "not shown that" not in card
    assert "A small model for one job" in card and "A small language model for one job" in _card(_manifest(), REPORT)
    none = {name: value for name, value in REPORT.items() if name != "baseline"}
    assert "baseline" not in _card(_manifest(), none)


def test_front_matter() -> None:
    head = _card(_manifest(), REPORT).split("---\n")[1]
    facts = {line.split(": ", 1)[0]: json.loads(line.split(": ", 1)[1]) for line in head.splitlines()}
    assert facts == {
        "license": "other",
        "license_name": "Apache-2.0 and CC-BY-4.0",
        "tags": ["smidgen", "classify", "encoder", "onnx"],
        "pipeline_tag": "text-classification",
        "base_model": "a/b",
        "metrics": ["accuracy"],
    }
    one = _card(_manifest(licences=(Licence(what="base", licence="Apache-2.0"),)), REPORT)
    assert '\nlicense: "apache-2.0"\n' in one


def test_labels_are_no_markup() -> None:
    nasty = ["<script>alert(1)</script>", "a\n# Heading", "---", "![x](http://x)"]
    card = _card(_manifest(name="x\n---\nlicense: mit", form={"labels": nasty, "multi_label": False, "temperature": 1.0}), {})
    assert "<script>" not in card
    assert [line for line in card.splitlines() if line.startswith("#")].count("# Heading") == 0
    assert card.splitlines().count("---") == 2
    assert "![x](" not in card


WRITER_SECTIONS = [
    "What it is for",
    "What it is not for",
    "Data",
    "Base and licences",
    "Results",
    "Examples",
    "Calibration",
    "Size and speed",
    "Training",
    "How to use it",
]
WRITER = {
    **{name: REPORT[name] for name in ("training", "environment", "command")},
    "graded": True,
    "metrics": {"rougeL": _metric(0.683), "coverage": _metric(0.97), "unsupported": _metric(0.03)},
    "baseline": {"name": "prompted", "metrics": {"rougeL": _metric(0.41)}, "change": {"value": 0.273, "low": 0.25, "high": 0.29}},
    "calibration": {"ece_after": 0.021},
    "parity": {"n": 200, "agreement": _metric(0.71), "change": {"value": -0.002, "low": -0.01, "high": 0.006}},
    "speed": {"latency_ms_p50": 312.0, "texts_per_second": 3.4, "batch": 16, "tokens_per_second": 92.0, "tokens_per_second_batched": 131.0},
    "samples": [
        {"text": "name: Awful", "wanted": ["Awful."], "got": "", "grade": 0.0, "score": 0.1, "weak": True, "cut": True},
        *(
            {
                "text": f"name: Stool {number}; colour: red",
                "wanted": [f"Stool {number} is *red*."],
                "got": f"Stool {number} is <b>blue</b>.",
                "grade": number / 10,
                "score": 0.5,
                "missing": [{"key": "colour", "value": "red"}],
                "unsupported": [{"key": "colour", "value": "blue"}],
            }
            for number in range(9)
        ),
    ],
}


def _writer() -> Manifest:
    options = {"model": "model.gguf", "context": 768, "slots": 8}
    return _manifest(
        task="write",
        name="descriptions",
        student="decoder",
        headline="rougeL",
        form={"instruction": "Describe the product.", "max_tokens": 0, "max_words": 9, "attributes": True, "score": {}},
        engine=EngineEntry(engine="llama", files=("model.gguf",), options=options, method="q4_1"),
        metrics={"rougeL": MetricInterval(value=0.683, low=0.673, high=0.693, n=630)},
    )


def test_the_card_of_a_writer() -> None:
    card = _card(_writer(), WRITER)
    sections = _sections(card)
    assert list(sections) == WRITER_SECTIONS
    assert "Its ROUGE-L on 3,080 texts it never saw: **0.683 (0.673–0.693)**" in card
    expected = {
        "What it is for": ["Describe the product.", "attributes"],
        "What it is not for": ["Facts that nobody checks", "768 tokens"],
        "Results": ["0.683 (0.673–0.693)", "97.0 %", "the base asked with examples", "+0.273 (+0.250 to +0.290)", "71.0 %", "-0.002"],
        "Examples": [r"name: Stool 8; colour: red", "ROUGE-L 0.80, expected 0.50", "not said: colour red", "made up: colour blue"],
        "Calibration": ["0.021"],
        "Size and speed": ["92 tokens a second", "131 tokens a second", "3.4 texts a second"],
        "How to use it": [
            "smidgen chat",
            "model.write(",
            "chat/completions",
            "name: Stool 0; colour: red",
            "system messages change nothing",
        ],
    }
    seen = 0
    for title, texts in expected.items():
        for text in texts:
            assert text in sections[title], (title, text)
            seen += 1
    assert seen == 23
    assert "Awful" not in sections["Examples"], "the worst are in the report; the card shows what is usual"
    assert sections["Examples"].count("**written**") == 3
    assert "<b>" not in card and "*red*" not in card
    assert '"task": ' not in card and "not measured" not in sections["Results"].splitlines()[2]


def test_the_card_of_a_writer_that_was_hardly_measured() -> None:
    card = _card(_writer(), {"graded": True})
    assert list(_sections(card)) == WRITER_SECTIONS
    assert "None" not in card and "nan" not in card and "Examples: not measured." in card


def test_the_card_says_what_a_score_is_that_was_not_fitted() -> None:
    bare = _writer().model_copy(update={"form": {**_writer().form, "score": None}})
    card = _card(bare, {**WRITER, "calibration": {"ece_after": 0.2, "fitted": False}})
    sections = _sections(card)
    assert "the mean probability of its tokens" in sections["Calibration"] and "the mean probability" in sections["How to use it"]
    assert "ROUGE-L 0.80, score 0.50" in sections["Examples"]
    told = sections["Calibration"] + sections["How to use it"] + sections["Examples"]
    assert "is the ROUGE-L to expect" not in told and "expected 0." not in told
