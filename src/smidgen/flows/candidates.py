"""What may be shipped: each form of each student with its numbers, and which of them are out of the running."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from smidgen.core.metrics import Metric
from smidgen.core.parts import Task, writes
from smidgen.core.rows import Row
from smidgen.flows.choosing import Candidate
from smidgen.flows.trained import Learnt
from smidgen.flows.training import Bench, Variant
from smidgen.judge.gate_settings import GateSettings
from smidgen.parts.recipe import Recipe
from smidgen.students.settings import StudentSettings


def candidate_of(
    task: Task,
    bench: Bench,
    rows: Sequence[Row],
    learnt: Learnt,
    variant: Variant,
    recipe: Recipe,
    kind: str,
    plain: Variant | None = None,
) -> Candidate:
    """A variant's numbers. What being made small costs is measured on `rows` against the same trained weights; the headline metric is the
    student's own on the held-out rows, less that loss. Where the engine holds answers to a schema, it may lose no more against `plain`
    either, the same student in the engine as it was trained: what a schema mends would hide what packing spoils."""
    gate = recipe.settings(GateSettings)
    texts = [row.input for row in rows]
    baseline = kind == task.baseline and recipe.settings(StudentSettings).kind != kind
    small = task.decode(bench.served(variant, texts), learnt.form)
    whole = small if baseline and writes(task) else task.decode(bench.raw(learnt.final, texts), learnt.form)
    before = task.measure(rows, whole, learnt.form)[task.headline]
    after = task.measure(rows, small, learnt.form)[task.headline]
    same = sum(a.output == b.output for a, b in zip(whole, small, strict=True)) / len(texts)
    loss, least = before.value - after.value, gate.agreement(variant.writes)
    unfit = ""
    if loss > gate.max_loss or (least is not None and same < least):
        unfit = f"loses {100 * loss:.1f} points against the trained model, {same:.1%} of answers agree"
    elif plain is not None and plain is not variant and variant.bound:
        unpacked = task.measure(rows, task.decode(bench.served(plain, texts), learnt.form), learnt.form)[task.headline]
        if (packing := unpacked.value - after.value) > gate.max_loss:
            unfit = f"loses {100 * packing:.1f} points against {plain.spec.method} in the same engine, both held to the schema"
    metric = learnt.metric
    value = max(0.0, metric.value - loss)
    return Candidate(
        student=kind,
        method=variant.spec.method,
        held=Metric(value, max(0.0, metric.low - loss), min(1.0, metric.high - loss), metric.n),
        p50=variant.timing.p50,
        p99=variant.timing.p99,
        texts_per_second=variant.timing.texts_per_second,
        tokens_per_second=variant.timing.tokens_per_second,
        size_mb=variant.size_mb,
        seconds=learnt.final.seconds,
        agreement=same,
        unfit=unfit,
        baseline=baseline,
    )


def not_asked(candidate: Candidate) -> Candidate:
    """A candidate that is not in the running."""
    return replace(candidate, unfit="trained as the teacher; another student was asked for")


def of_the_asked_method(candidates: list[Candidate], asked: str) -> list[Candidate]:
    """Where a method was named, what was made small by it is shipped or nothing: a student that cannot be has no place either."""
    if asked in ("auto", "none"):
        return candidates
    return [
        candidate
        if candidate.method == asked or candidate.baseline
        else replace(candidate, unfit=candidate.unfit or f"{asked} was asked for")
        for candidate in candidates
    ]
