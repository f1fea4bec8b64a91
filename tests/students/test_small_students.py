"""The static and the kernel student, and the baseline: what they learn, and that the engine serves what was trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.conftest import LABELS, few, shop
from tests.forms import label_form

from smidgen.bases.lookup import find
from smidgen.core.parts import Training, Workspace
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.parts import registry
from smidgen.stats import kernel_ridge
from smidgen.stats.calibration import softmax
from smidgen.students import static
from smidgen.students.kernel import KernelSettings
from smidgen.students.linear import LinearSettings
from smidgen.students.static import StaticSettings

FORM = label_form(sorted(LABELS))


@pytest.fixture(scope="module")
def data() -> tuple[list[Row], list[Row]]:
    made = []
    for name, each in (("support_train", 24), ("support_test", 8)):
        made.append([Row(text, label) for text, label in few(shop(name), each) if label in LABELS])
    return made[0], made[1]


@pytest.mark.parametrize(
    ("kind", "settings", "least"),
    [
        ("static", StaticSettings(epochs=12), 0.6),
        ("linear", LinearSettings(), 0.6),
        ("kernel", KernelSettings(), 0.8),
        pytest.param("kernel", KernelSettings(landmarks=100), 0.7, marks=pytest.mark.thorough),
    ],
)
def test_it_learns_and_is_served_as_trained(
    kind: str, settings: object, least: float, data: tuple[list[Row], list[Row]], tmp_path: Path
) -> None:
    train, test = data
    student = registry.find("students", kind)
    base = find("minilm") if student.base_family else None
    trained, out = tmp_path / "trained", tmp_path / "out"
    trained.mkdir()
    student.fit(Training(train, (), FORM, base, settings, seed=3), Workspace(trained, 1, Silent()))  # type: ignore[arg-type]
    texts = [row.input for row in test]
    reference = student.raw(trained, texts, 1)["logits"]
    spec = student.export(trained, out)
    assert spec.engine == student.engine and all((out / name).is_file() for name in spec.files)
    served = registry.find("engines", spec.engine).open(out, spec.options, 1).run(texts)["logits"]
    assert served.shape == reference.shape == (len(test), len(FORM.labels))
    assert np.mean(served.argmax(1) == reference.argmax(1)) >= 0.97
    right = np.mean([FORM.labels[number] == row.output for number, row in zip(served.argmax(1), test, strict=True)])
    assert right > least


@pytest.mark.thorough
def test_a_kernel_head_of_many_labels_is_surer_than_its_scores_are(tmp_path: Path) -> None:
    """In log loss on the shop's test rows, as it is and by the best temperature."""
    train, test = ([Row(text, label) for text, label in shop(name)[::3]] for name in ("support_train", "support_test"))
    form = label_form(sorted({row.output for row in train}))
    test = [row for row in test if row.output in form.labels]
    student = registry.find("students", "kernel")
    student.fit(Training(train, (), form, find("minilm"), KernelSettings(), seed=3), Workspace(tmp_path, 1, Silent()))
    found = student.raw(tmp_path, [row.input for row in test], 1)["logits"].astype(np.float64)
    gold = [form.labels.index(row.output) for row in test]

    def log_loss(logits: np.ndarray) -> float:
        return float(-np.log(softmax(logits)[np.arange(len(gold)), gold]).mean())

    scores = np.sinh(found / kernel_ridge.GAIN) / len(form.labels) ** 0.5
    assert len(form.labels) > 30
    assert log_loss(found) < 0.8 * log_loss(kernel_ridge.SHARP * scores)
    assert min(log_loss(found * times) for times in np.geomspace(0.3, 3, 25)) < min(
        log_loss(scores * times) for times in np.geomspace(1, 100, 41)
    )


def test_several_labels_are_learnt_by_the_small_students(data: tuple[list[Row], list[Row]], tmp_path: Path) -> None:
    train = [Row(row.input, [row.output]) for row in data[0][::4]]
    form = label_form(sorted(LABELS), multi_label=True)
    seen = 0
    for kind, settings in (("static", StaticSettings(epochs=2)), ("linear", LinearSettings()), ("kernel", KernelSettings())):
        student = registry.find("students", kind)
        folder = tmp_path / kind
        folder.mkdir()
        base = find("minilm") if student.base_family else None
        student.fit(Training(train, (), form, base, settings, seed=3), Workspace(folder, 1, Silent()))  # type: ignore[arg-type]
        assert student.raw(folder, ["where is my order"], 1)["logits"].shape == (1, len(LABELS))
        seen += 1
    assert seen == 3


def test_the_vocabulary_holds_seen_tokens_and_frequent_pairs() -> None:
    ids = [[5, 7, 9], [5, 7], [9, 5]]
    known = static.build_vocabulary(ids, 12, 2, 100)
    assert known.token_ids.tolist() == [5, 7, 9]
    assert len(known.pair_keys) == 1
    assert known.rows([5, 7, 11]).tolist() == [0, 1, 3]
    assert known.rows([11]).tolist() == []
    assert known.frequencies.sum() == pytest.approx(1)


def test_quantised_rows_are_close() -> None:
    table = np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32)
    rows, scales = static.quantise_rows(table)
    assert np.abs(rows * scales[:, None] - table).max() <= np.abs(table).max() / 127


def test_a_kernel_head_learns_from_what_is_believed(tmp_path: Path) -> None:
    """Rows that count for nothing teach nothing; shares of belief are what is learnt."""
    texts = ["where is my parcel", "the parcel is late", "I want my money back", "please refund me"]
    rows = [Row(text, label) for text, label in zip(texts, ("late", "late", "refund", "refund"), strict=True)]
    wrong = [Row(text, "refund" if row.output == "late" else "late", weight=0.0) for text, row in zip(texts, rows, strict=True)]
    shared = [Row("hello there", "late", shares=(("late", 0.3), ("refund", 0.7)))]
    form = label_form(["late", "refund"])
    student = registry.find("students", "kernel")
    student.fit(Training([*rows, *wrong, *shared], (), form, find("minilm"), KernelSettings()), Workspace(tmp_path, 1, Silent()))
    answers = student.raw(tmp_path, [*texts, "hello there"], 1)["logits"].argmax(1)
    assert answers.tolist() == [0, 0, 1, 1, 1]
