"""Which model is shipped: a rule on measured numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.build_steps import candidate

from smidgen.core.errors import GateError, InputError, RecipeError
from smidgen.core.parts import EngineSpec
from smidgen.core.progress import Silent
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.flows.build import candidates, reporting, student_plan, training
from smidgen.flows.build.candidates import LEAST_COMPARED, MOST_WRITTEN, choose_candidate, rows_to_compare_forms
from smidgen.flows.build.timing import Timing
from smidgen.flows.build.work import Candidate, StudentVariant, Work
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe, make
from smidgen.students.settings import StudentSettings
from smidgen.tasks import write

FP32 = candidate("encoder", "fp32", 0.940, 2.9, 90)
INT8 = candidate("encoder", "int8", 0.938, 1.0, 23)
STATIC = candidate("static", "int8", 0.890, 0.05, 6)
BASELINE = candidate("linear", "fp32", 0.900, 0.3, 12, baseline=True)
ALL = [FP32, INT8, STATIC, BASELINE]


def chosen(**wanted: object) -> str:
    return choose_candidate(ALL, StudentSettings(**wanted))[0].name  # type: ignore[arg-type]


def test_quality_decides() -> None:
    assert chosen(quality="best") == "encoder fp32"
    assert chosen(quality="balanced") == "encoder int8"
    # The static student is faster but under the baseline.
    assert chosen(quality="fast") == "encoder int8"


def test_limits_decide_first() -> None:
    assert chosen(max_latency_ms=0.1) == "static int8"
    assert chosen(max_size_mb=30, quality="best") == "encoder int8"


def test_a_limit_of_time_is_kept_with_something_to_spare() -> None:
    """A clock that is read again says some hundredths more: what only just kept the limit then breaks it."""
    writers = [
        candidate("decoder", method, value, 1000 / speed, size, tokens_per_second=speed)
        for method, value, speed, size in (("f16", 0.52, 80.0, 271), ("q8-0", 0.515, 135.0, 145), ("q4-0", 0.48, 190.0, 92))
    ]
    asked_for = StudentSettings(quality="best", min_tokens_per_second=130)
    winner, reason, why_not = choose_candidate(writers, asked_for, "rougeL")
    assert winner.name == "decoder q4-0" and "may not" not in reason
    assert why_not["decoder q8-0"] == "135 tokens/s are too near the 130 asked for"
    assert why_not["decoder f16"] == "80 tokens/s are under the 130 asked for"
    winner, reason, _ = choose_candidate(writers[:2], asked_for, "rougeL")
    assert winner.name == "decoder q8-0" and "by less than 10%: it may not at every moment" in reason
    assert chosen(max_latency_ms=1.05) == "static int8"
    near, reason, _ = choose_candidate([FP32, INT8, BASELINE], StudentSettings(max_latency_ms=1.05))
    assert near.name == "encoder int8" and "it may not at every moment" in reason
    # A size is what it is.
    assert chosen(max_size_mb=23, quality="best") == "encoder int8"


def test_times_that_are_alike_do_not_decide() -> None:
    """Which of two equals the clock favours changes from run to run; the choice must not."""
    for first, second in ((1.0, 1.2), (1.2, 1.0)):
        one = candidate("encoder", "int8-dynamic", 0.938, first, 23, agreement=0.992)
        two = candidate("encoder", "int8-static", 0.938, second, 23, agreement=0.998)
        assert choose_candidate([FP32, one, two, BASELINE], StudentSettings())[0].name == "encoder int8-static"


def test_the_reason_says_fastest_of_the_fastest_only() -> None:
    quick = candidate("encoder", "int8-static", 0.938, 1.0, 23, agreement=0.992)
    truer = candidate("encoder", "int8-dynamic", 0.938, 1.2, 23, agreement=0.998)
    winner, reason, why_not = choose_candidate([FP32, quick, truer, BASELINE], StudentSettings())
    assert winner.name == "encoder int8-dynamic"
    assert "the best of the fast ones" in reason and "fastest" not in reason
    assert why_not["encoder int8-static"] == "as good, less like the trained model (99.2% of answers the same, 99.8% here)"
    assert choose_candidate([FP32, quick, BASELINE], StudentSettings())[1].startswith("the fastest within")


def test_the_reasons_are_in_words() -> None:
    winner, reason, why_not = choose_candidate(ALL, StudentSettings(max_size_mb=30))
    assert winner.name == "encoder int8"
    assert "at most 30 MB" in reason
    assert why_not["encoder fp32"] == "90.0 MB is over the 30 MB asked for"
    assert why_not["static int8"] == "4.8 points less accurate on held-out rows"
    assert "baseline" in why_not["linear fp32"]
    assert set(why_not) == {c.name for c in ALL if c.name != winner.name}


def test_what_lost_too_much_in_being_made_small_is_not_shipped() -> None:
    broken = candidate("encoder", "int8", 0.938, 1.0, 23, unfit="loses 5.0 points against the trained model, 93.0% of answers agree")
    assert choose_candidate([FP32, broken, BASELINE], StudentSettings())[0].name == "encoder fp32"


def test_nothing_fits_says_what_there_was() -> None:
    with pytest.raises(GateError, match="no model meets the limits") as caught:
        choose_candidate(ALL, StudentSettings(max_latency_ms=0.01))
    assert len(caught.value.changed) == len(ALL)
    assert "0.01 ms" in str(caught.value)


def test_the_baseline_is_shipped_only_where_it_is_asked_for() -> None:
    asked = candidate("linear", "fp32", 0.9, 0.3, 12)
    assert choose_candidate([asked], StudentSettings(kind="linear"))[0].name == "linear fp32"
    with pytest.raises(GateError):
        choose_candidate([BASELINE], StudentSettings())
    slower = candidate("encoder", "fp32", 0.85, 2.0, 90)
    assert choose_candidate([slower, BASELINE], StudentSettings(kind="encoder"))[0].name == "encoder fp32"


def test_a_writer_is_spoken_of_by_its_own_metric() -> None:
    """A text is not accurate: it has a ROUGE-L, and a difference of that is no point of accuracy."""
    writers = [
        candidate("decoder", "f16", 0.520, 900, 271),
        candidate("decoder", "q8-0", 0.514, 400, 145),
        candidate("decoder", "q4-0", 0.470, 300, 92),
        candidate("prompted", "q4-1", 0.200, 800, 98, baseline=True),
    ]
    winner, reason, why_not = choose_candidate(writers, StudentSettings(), "rougeL")
    assert winner.name == "decoder q8-0"
    assert reason.startswith("the fastest within 0.01 of the best by ROUGE-L (decoder f16) on held-out rows")
    assert why_not["decoder q4-0"] == "0.044 lower in ROUGE-L on held-out rows"
    best = choose_candidate(writers, StudentSettings(quality="best"), "rougeL")
    fast = choose_candidate(writers, StudentSettings(quality="fast"), "rougeL")
    assert best[1].startswith("the best by ROUGE-L on held-out rows")
    assert fast[1].startswith("the best of the fast ones at least as good as the baseline by ROUGE-L")
    words = " ".join([reason, best[1], fast[1], *why_not.values(), *best[2].values(), *fast[2].values()])
    assert "accura" not in words and "points" not in words
    with pytest.raises(GateError) as caught:
        choose_candidate(writers, StudentSettings(max_size_mb=1), "rougeL")
    assert any("ROUGE-L 0.520" in line for line in caught.value.changed)


def asked(task: str, method: str, student: str = "auto") -> list[str]:
    data = {"train": "rows.csv", "input": "text", "label": "label"}
    recipe = make({"name": "a", "task": task, "data": data, "student": {"kind": student}, "compress": {"method": method}})
    return student_plan.students_to_train(Work(recipe), Silent())


def tried(among: list[str], **student: Any) -> tuple[list[str], Work]:
    data = {"train": "rows.csv", "input": "text", "label": "label"}
    work = Work(make({"name": "a", "task": "classify", "data": data, "student": {"among": among, **student}}))
    return student_plan.students_to_train(work, Silent()), work


def test_only_the_named_students_are_tried_side_by_side() -> None:
    kinds, work = tried(["encoder", "kernel"])
    assert kinds == ["encoder", "kernel", "linear"] and work.baseline == "linear"
    assert [work.wants(name) for name in ("encoder", "kernel", "static")] == [True, True, False]
    kinds, work = tried(["static"])  # its teacher is trained before it, and is not to be shipped
    assert kinds == ["encoder", "static", "linear"] and not work.wants("encoder")
    for among, student, words in (
        (["encoder", "linear"], {}, "the baseline is trained anyway"),
        (["encoder"], {"kind": "kernel"}, "several are tried only where kind is auto"),
        (["nonsense"], {}, "no student 'nonsense'"),
    ):
        with pytest.raises(RecipeError, match=words):
            tried(among, **student)


@pytest.mark.parametrize(
    ("task", "method", "student", "words"),
    [
        ("write", "int8-dynamic", "auto", r"cannot compress decoder.*int8-dynamic.*q4-0, q4-1, q5-1, q8-0, auto or none"),
        ("classify", "q8-0", "auto", r"q8-0.*--compress int8-dynamic, int8-static, auto or none"),
        # The encoder that is its teacher can be made small by it, and is not shipped.
        ("classify", "int8-dynamic", "static", "cannot compress static.*--compress auto or none"),
        ("classify", "int8-dynamic", "linear", "cannot compress linear"),
    ],
)
def test_a_method_that_no_student_can_be_made_small_by_is_refused(task: str, method: str, student: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        asked(task, method, student)


def test_a_method_that_one_student_can_be_made_small_by_is_taken() -> None:
    assert "encoder" in asked("classify", "int8-dynamic") and "static" in asked("classify", "int8-dynamic")
    assert asked("write", "q8-0")[0] == "decoder"
    assert asked("classify", "none", "linear") == ["linear"]


def test_who_is_needed_by_another_is_trained_before_it() -> None:
    assert asked("classify", "auto") == ["encoder", "static", "linear", "blend"]
    assert asked("classify", "auto", "static") == ["encoder", "static", "linear"]
    assert asked("classify", "auto", "blend") == ["encoder", "static", "linear", "blend"]
    assert asked("classify", "auto", "encoder") == ["encoder", "linear"]


def test_a_student_that_the_named_method_does_not_know_does_not_win() -> None:
    """The static student is the faster one: were it in the running, `fast` would take it, and nothing would be in int8-dynamic."""
    small = candidate("encoder", "int8-dynamic", 0.938, 1.0, 23)
    quick = candidate("static", "int8", 0.938, 0.05, 6)
    among = candidates.of_the_asked_method([FP32, small, quick, BASELINE], "int8-dynamic")
    winner, _, why_not = choose_candidate(among, StudentSettings(quality="fast"))
    assert winner.name == "encoder int8-dynamic"
    assert why_not["static int8"] == why_not["encoder fp32"] == "int8-dynamic was asked for"
    assert why_not["linear fp32"] == "the baseline, for comparison"
    for method in ("auto", "none"):
        assert candidates.of_the_asked_method([FP32, quick], method) == [FP32, quick]


def test_students_say_which_engine_they_are_for() -> None:
    engines = {name: registry.find("students", name).engine for name in registry.names("students")}
    assert len(engines) >= 8 and set(engines.values()) <= set(registry.names("engines"))


class Bound:
    """A build whose trained model answers freely, and a task that counts what is right of ten."""

    headline, baseline = "f1", ""

    def __init__(self, recipe: Recipe, **right: int) -> None:
        self.recipe, self.right, self.task = recipe, right, self
        learnt = SimpleNamespace(form={}, files=SimpleNamespace(seconds=1.0), metric=Metric(0.6, 0.5, 0.7, 10))
        self.trained = {"decoder": learnt}

    def wants(self, student: str) -> bool:
        return True

    def raw(self, work: object, context: object, files: object, texts: list[str]) -> int:
        return self.right["free"]

    def served(self, work: object, context: object, variant: StudentVariant, texts: list[str]) -> int:
        return self.right[variant.spec.method]

    def decode(self, raw: int, form: object) -> list[Reply]:
        return [Reply("right" if number < raw else "wrong", 0.5) for number in range(10)]

    def measure(self, rows: object, replies: list[Reply], form: object) -> dict[str, Metric]:
        value = sum(reply.output == "right" for reply in replies) / 10
        return {"f1": Metric(value, value, value, 10)}


@pytest.mark.parametrize(("schema", "unfit"), [(True, "loses 20.0 points against f16 in the same engine"), (False, "")])
def test_what_a_schema_mends_hides_no_loss_by_packing(schema: bool, unfit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Free: 6 of 10. Held to the schema: 8 in 16 bits, 6 packed. Against the trained model alone nothing is lost."""
    recipe = make({"name": "a", "task": "extract", "data": {"train": "rows.csv", "input": "text", "label": "label"}})
    work: Any = Bound(recipe, free=6, f16=8, **{"q4-0": 6})
    monkeypatch.setattr(training, "raw", work.raw)
    monkeypatch.setattr(training, "served", work.served)
    options = {"schema_of_answers": "{}"} if schema else {}
    timing = Timing(1.0, 2.0, 10.0, 1, 100.0)
    plain, packed = (
        StudentVariant("decoder", EngineSpec("llama", (), options, method), Path(), method, timing, 1.0) for method in ("f16", "q4-0")
    )
    rows = [Row(str(number), "right", number) for number in range(10)]
    found = candidates.candidate_of(work, work, rows, packed, plain)
    assert found.unfit.startswith(unfit) and bool(found.unfit) == bool(unfit)
    assert not candidates.candidate_of(work, work, rows, plain, plain).unfit


HELD = [Row(f"held {number}", "x", number, 1.0) for number in range(22)]
LEARNT = [Row(f"learnt {number}", "x", number, 1.0) for number in range(500)]


def variant(p50: float, writes: bool = True) -> Any:
    return SimpleNamespace(writes=writes, timing=SimpleNamespace(p50=p50))


def test_a_quick_writer_is_weighed_on_learnt_rows_too_spread_evenly() -> None:
    rows = rows_to_compare_forms(HELD, LEARNT, variant(100.0))
    assert len(rows) == MOST_WRITTEN
    assert list(rows[:22]) == HELD
    learnt = [int(row.input.split()[1]) for row in rows[22:]]
    assert learnt[0] == 0
    assert learnt[-1] > 480
    assert learnt == sorted(set(learnt))


@pytest.mark.parametrize(("p50", "count"), [(600.0, 50), (1000.0, 30), (1500.0, 22), (60_000.0, 22)])
def test_a_slow_writer_is_weighed_on_as_many_as_half_a_minute_allows(p50: float, count: int) -> None:
    assert len(rows_to_compare_forms(HELD, LEARNT, variant(p50))) == count


@pytest.mark.parametrize(("p50", "count"), [(100.0, 96), (500.0, 60), (2_000.0, 48), (60_000.0, 48)])
def test_of_many_held_out_rows_some_will_do(p50: float, count: int) -> None:
    held = [Row(f"held {number}", "x", number, 1.0) for number in range(1000)]
    rows = rows_to_compare_forms(held, LEARNT, variant(p50))
    assert len(rows) == count and rows[0] is held[0]
    assert [row.number for row in rows] == sorted({row.number for row in rows}) and rows[-1].number > 970
    assert (
        len(rows_to_compare_forms(held[:60], LEARNT, variant(60_000.0))) == 48
        and len(rows_to_compare_forms(held[:40], LEARNT, variant(60_000.0))) == 40
    )


def test_few_learnt_rows_are_all_taken() -> None:
    assert [row.input for row in rows_to_compare_forms(HELD, LEARNT[:3], variant(1.0))][22:] == ["learnt 0", "learnt 1", "learnt 2"]


def test_who_does_not_write_is_weighed_on_learnt_rows_too_where_few_were_held_out() -> None:
    rows = rows_to_compare_forms(HELD, LEARNT, variant(1.0, writes=False))
    assert list(rows[:22]) == HELD and len(rows) == LEAST_COMPARED
    many = LEARNT[:200]
    assert rows_to_compare_forms(many, LEARNT, variant(1.0, writes=False)) is many
    assert rows_to_compare_forms(HELD, HELD, variant(1.0, writes=False)) is HELD


def compared(pace: float, seconds: float, *methods: str, baseline: str = "auto") -> Any:
    """A build of writers that write this many texts a second in batches, taught for these seconds; the first is chosen, and took two
    seconds for each of 500 test texts."""
    found = [candidate("decoder", method, 0.5, 500.0, 90, tokens_per_second=40.0) for method in methods]
    found = [replace(one, variant=replace(one.variant, timing=replace(one.variant.timing, texts_per_second=pace))) for one in found]
    draft = SimpleNamespace(chosen=found[0], seconds=1000.0)
    recipe = make({"task": "write", "student": {"baseline": baseline}})
    return SimpleNamespace(recipe=recipe, candidates=found, packed=draft, test=LEARNT, seconds=seconds)


@pytest.mark.parametrize(("seconds", "count"), [(300.0, 15), (600.0, 30), (10_000.0, 64), (10.0, 8)])
def test_alternatives_are_shown_on_as_many_test_rows_as_a_tenth_of_the_training_allows(seconds: float, count: int) -> None:
    """Each text takes two seconds, checked and written again, of which a batch of first answers takes half a second."""
    work = compared(2.0, seconds, "q4-0", "f16")
    assert len(reporting._rows_compared(work, LEARNT)) == count and len(reporting._rows_compared(work, LEARNT[:8])) == 8
    assert len(reporting._rows_compared(compared(2.0, seconds, "q4-0", "f16", "q8-0"), LEARNT)) == max(8, min(64, int(seconds / 40)))
    assert len(reporting._rows_compared(compared(2.0, seconds, "q4-0", "f16", baseline="full"), LEARNT)) == 64


def test_the_chosen_one_has_answered_all_test_rows_already() -> None:
    assert reporting._rows_compared(compared(2.0, 10.0, "q4-0"), LEARNT) is LEARNT
    quick: Any = SimpleNamespace(candidates=ALL, packed=SimpleNamespace(chosen=INT8))
    assert reporting._rows_compared(quick, LEARNT) is LEARNT, "who does not write takes no time"


def test_a_form_that_was_not_asked_for_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be shipped, so that nothing turns on it."""
    monkeypatch.setattr(training, "served", lambda *_: pytest.fail("it was asked"))
    recipe = make({"task": "write", "compress": {"method": "q8-0"}})
    learnt = SimpleNamespace(metric=Metric(0.5, 0.4, 0.6, 20), files=SimpleNamespace(seconds=3.0))
    work: Any = SimpleNamespace(task=write.part, recipe=recipe, trained={"decoder": learnt}, baseline="prompted")
    plain = candidate("decoder", "f16", 0.0, 500, 90, tokens_per_second=40.0).variant
    found = candidates.candidate_of(work, work, HELD, plain, plain)
    assert found.unfit == "q8-0 was asked for" and found.held == learnt.metric and found.seconds == 3.0


FORMS = ("f16", "q4-0", "q4-1", "q8-0")


def after_forms(monkeypatch: pytest.MonkeyPatch, losses: dict[str, float], **student: str) -> Work:
    """The work of a writer whose forms lose this much of a ROUGE-L of 0.5, after they were compared."""
    recipe = make({"task": "write", "student": student})
    rows = [Row(f"text {number}", f"answer {number}", number) for number in range(4)]
    work = Work(recipe, held=rows, form=write.part.form(rows, recipe.asked))
    raw = {"texts": [row.output for row in rows], "tokens": [2] * 4, "finished": [1.0] * 4, "probability": [0.5] * 4}
    made = [candidate("decoder", method, 0.0, 500, 90, tokens_per_second=40.0).variant for method in FORMS]
    monkeypatch.setattr(training, "variants", lambda *_: iter(made))
    monkeypatch.setattr(training, "tried_out", lambda *_: None)

    def measured(work: Work, context: object, rows: object, variant: StudentVariant, whole: object) -> Candidate:
        value = work.trained["decoder"].metric.value - losses.get(variant.spec.method, 0.0)
        return Candidate(variant, Metric(value, value, value, 4), 3.0)

    monkeypatch.setattr(candidates, "candidate_of", measured)
    context: Any = SimpleNamespace(progress=Silent())
    files: Any = SimpleNamespace(student="decoder", seconds=3.0)
    return candidates._judged(work, context, files, raw, rows, made[0], made[1:], rows, 0.0)


@pytest.mark.parametrize(
    ("losses", "student", "tried"),
    [
        ({}, {}, ["q4-0"]),
        ({"q4-0": 0.02}, {}, ["q4-0", "q4-1"]),
        ({"q4-0": 0.02, "q4-1": 0.02, "q8-0": 0.02}, {}, ["q4-0", "q4-1", "q8-0", "f16"]),
        ({}, {"quality": "best"}, ["q4-0", "q4-1", "q8-0", "f16"]),
    ],
)
def test_a_writers_first_form_that_suffices_ends_the_comparison(
    losses: dict[str, float], student: dict[str, str], tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = after_forms(monkeypatch, losses, **student)
    assert [one.method for one in work.candidates] == tried
    chosen, reason, _ = choose_candidate(work.candidates, work.recipe.settings(StudentSettings), "rougeL")
    assert ("no larger form was tried" in reason) == (tried == ["q4-0"])
    assert chosen.method == ("q4-0" if not losses else tried[-1])


def test_the_forms_that_were_not_tried_can_be_tried_later(monkeypatch: pytest.MonkeyPatch) -> None:
    work = after_forms(monkeypatch, {})
    failed = replace(work, candidates=(replace(work.candidates[0], unfit="does not pass the parity gate"),))
    nothing: Any = None
    every = candidates.with_every_form(failed, nothing, "decoder")
    assert [(one.method, bool(one.unfit)) for one in every.candidates] == [("q4-0", True), ("f16", False), ("q4-1", False), ("q8-0", False)]
