"""The report of a build: measured numbers only; a missing measurement is None."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from smidgen.core.parts import Base, own_grades
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, evenly
from smidgen.data.source import DataSettings
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.flows.build import footprint, timing, training
from smidgen.flows.build.large_baseline import ask_larger
from smidgen.flows.build.packaging import guide_of, now, settings_taught_by
from smidgen.flows.build.teaching import uses_of
from smidgen.flows.build.work import AnsweredRow, BuildContext, Candidate, StudentVariant, Work
from smidgen.flows.embedding import embedder
from smidgen.judge import classifier_sections, cost_estimate, learning_curve
from smidgen.judge import report as reports
from smidgen.judge.answer_sections import answer_sections, writer_sections
from smidgen.judge.report import Report
from smidgen.judge.sections import (
    BaselineFacts,
    BuildAlternative,
    Environment,
    LearningCurve,
    SpeedFacts,
    StudentFacts,
    TrainingFacts,
    measured,
)
from smidgen.machine.memory import total_mb
from smidgen.machine.processor import processor
from smidgen.stats.classification_metrics import reply_grades
from smidgen.usage.budgets import TokenCount

_Item = TypeVar("_Item")
LIKE_ITS_INPUT = 0.5
"""Mean grade of returned inputs on training rows from which they count as a baseline."""
UNCHANGED = "unchanged"
"""The baseline that returns the input."""
_LOOKED_AT = 500
_UNAIDED_TIMED = 10.0
LARGE = "large model"
"""The kind of an alternative that is a large model over HTTP."""
UNAIDED = "base, no examples"
"""The base without examples in its prompt, among the alternatives."""
_VERSIONS = ("smidgen", "torch", "onnxruntime", "tokenizers", "numpy", "scikit-learn")


def write_report(work: Work, context: BuildContext) -> Work:
    """The work with its report."""
    draft, task, data = work.packed, work.task, work.recipe.settings(DataSettings)
    chosen, model = draft.chosen, draft.model
    learnt, base, guide = work.trained[chosen.student], work.base(chosen.student), guide_of(work, chosen)
    context.progress.start("compare the alternatives", _texts_to_write(work) or None)
    baseline = _baseline(work, context)
    alternatives = [_alternative(work, context, candidate) for candidate in work.candidates]
    context.progress.finish()
    unaided = _unaided(work, context)
    context.progress.start("measure the speed of the packed model")
    timed = timing.measure_speed(model.runner, [row.input for row in work.test])
    speed = _speed(work, context, timed)
    context.progress.finish()
    context.progress.start("write the report")
    sections, unchanged = _sections(work, context), _unchanged(work)
    report = Report(
        name=work.recipe.name,
        task=work.recipe.task,
        created=now(),
        headline=task.headline,
        units=dict(task.units),
        closed=work.form.labelling is not None and not task.rows_name_labels,
        data=classifier_sections.data_facts(
            work.train,
            work.held,
            work.test,
            learnt.form,
            sha256=work.sha256,
            test_sha256=work.test_sha256,
            licence=data.licence or "unknown",
            source=work.source,
            test_source=work.test_source,
            refit=work.refit,
            cross_fitted=learnt.cross_fitted,
            left_out=work.left_out,
        ),
        teacher=work.teacher,
        student=StudentFacts(
            kind=chosen.student,
            base_source=base.source if base else None,
            **_weights("base", base),
            **_weights("guide", guide),
            method=chosen.method,
            engine=model.manifest.engine.engine,
            settings=settings_taught_by(work, chosen),
            chosen_because=draft.reason,
        ),
        cross_validation=work.crossed,
        baseline=baseline,
        unchanged=unchanged,
        alternatives=(*alternatives, *unaided, *_as_it_is(unchanged, task.headline), *_large(work, context)),
        parity=draft.parity,
        speed=speed,
        training=_training(work),
        cost=_cost(work, timed),
        learning_curve=_curve(work, context, sections.get("per_class", ())),
        environment=_environment(work, context),
        **sections,
    )
    context.progress.finish()
    return replace(work, report=report)


def _training(work: Work) -> TrainingFacts:
    """Time and energy of all training: the model's own, and that of the models that it consists of."""
    files = [file for folder in work.members.values() if (file := Path(folder) / "report.json").is_file()]
    parts = [reports.read(file).training for file in files]
    return TrainingFacts(
        seconds=work.seconds + sum(part.seconds or 0.0 for part in parts),
        energy_wh=work.energy.watt_hours + sum(part.energy_wh or 0.0 for part in parts),
        energy_method=work.energy.method,
        device=processor().name,
    )


def answered_rows(work: Work) -> tuple[AnsweredRow, ...]:
    """The test rows with the served model's replies, and how good each is."""
    task, form = work.task, work.trained[work.packed.chosen.student].form
    rows, served = work.test, work.packed.served
    grades = reply_grades(task, rows, served, form)

    def labels(row: Row, reply: Reply) -> tuple[str, str] | None:
        if form.labelling is None:
            return None
        wanted, answered = task.labelled(row.output, form), task.labelled(reply.output, form)
        return (wanted, answered) if isinstance(wanted, str) and isinstance(answered, str) else None

    return tuple(AnsweredRow(row, reply, grade, labels(row, reply)) for row, reply, grade in zip(rows, served, grades, strict=True))


def _weights(role: str, base: Base | None) -> dict[str, Any]:
    """The pretrained weights in this role."""
    return {role: base.name, f"{role}_licence": base.licence, f"{role}_sha256": base.sha256} if base else {}


def _sections(work: Work, context: BuildContext) -> Mapping[str, Any]:
    """The sections that depend on the form of the model's answers."""
    draft, task, learnt = work.packed, work.task, work.trained[work.packed.chosen.student]
    form, rows, served, metrics = learnt.form, work.test, draft.served, draft.metrics
    if task.grading is not None:
        grades = task.grading.grades(rows, served, form)
        return writer_sections(rows, served, grades, metrics, fitted=form.fitted)
    raw = training.raw(work, context, learnt.files, [row.input for row in rows])
    plain = task.decode(raw, form.uncalibrated())
    return answer_sections(task, form, rows, served, metrics, uncalibrated=plain, train=work.train)


def _baseline(work: Work, context: BuildContext) -> BaselineFacts | None:
    """The baseline beside the model, on the rows for alternatives: a base with examples in its prompt writes even more slowly."""
    task, name = work.task, work.task.baseline
    if name not in work.trained:
        return None
    learnt, form = work.trained[name], work.trained[work.packed.chosen.student].form
    rows, served = _rows_of_baseline(work, work.test), _rows_of_baseline(work, work.packed.served)
    texts = [row.input for row in rows]
    own = next(c.variant for c in work.candidates if c.student == name)
    raw = training.served(work, context, own, texts) if task.writes else training.raw(work, context, learnt.files, texts)
    replies = task.decode(raw, learnt.form)
    metrics = task.measure(rows, replies, learnt.form)
    before, after = own_grades(task, rows, replies, learnt.form), own_grades(task, rows, served, form)
    grades = (before, after) if before is not None and after is not None else None
    moved = task.change(rows, replies, served, form) if task.change is not None else None
    return classifier_sections.baseline(name, rows, served, replies, metrics, learnt.files.seconds, grades, moved)


def _unchanged(work: Work) -> BaselineFacts | None:
    """The baseline that returns the inputs, on all test rows: a free comparison for correcting and rewriting. None if the training rows
    show that it is pointless, because their answers have little in common with their inputs."""
    task, rows, form, served = work.task, work.test, work.trained[work.packed.chosen.student].form, work.packed.served
    if task.grading is None or not all(isinstance(row.input, str) for row in rows):
        return None
    learnt = [row for row in evenly(work.train, _LOOKED_AT) if isinstance(row.input, str)]
    if not learnt or float(np.mean(task.grading.grades(learnt, [_echo(row) for row in learnt], form))) < LIKE_ITS_INPUT:
        return None
    replies = [_echo(row) for row in rows]
    grades = task.grading.grades(rows, replies, form), task.grading.grades(rows, served, form)
    return classifier_sections.baseline(UNCHANGED, rows, served, replies, task.measure(rows, replies, form), None, grades)


def _echo(row: Row) -> Reply:
    return Reply(row.input, 1.0)


def _as_it_is(unchanged: BaselineFacts | None, headline: str) -> list[BuildAlternative]:
    """The baseline that returns the input, as a row of the alternatives."""
    if unchanged is None or headline not in unchanged.metrics:
        return []
    return [
        BuildAlternative(
            name="input unchanged",
            student=UNCHANGED,
            accuracy=unchanged.metrics[headline],
            baseline=True,
            why_not="the input given back as it is, for comparison",
        )
    ]


def _alternative(work: Work, context: BuildContext, candidate: Candidate) -> BuildAlternative:
    """A candidate with its accuracy on the test rows, which is shown and never used to choose. A slow writer is measured on evenly
    spread rows."""
    learnt, task, chosen = work.trained[candidate.student], work.task, candidate.name == work.packed.chosen.name
    rows = _rows_of_baseline(work, work.test) if candidate.baseline else _rows_compared(work, work.test)
    if chosen:
        replies = _rows_compared(work, work.packed.served)
    else:
        # The baseline shows the base's own ability: nothing is rewritten for it.
        form = None if candidate.baseline else learnt.form
        replies = task.decode(training.served(work, context, candidate.variant, [row.input for row in rows], form), learnt.form)
    return _row_of(
        candidate.name,
        candidate.variant,
        task.measure(rows, replies, learnt.form)[task.headline],
        candidate.seconds,
        chosen=chosen,
        baseline=candidate.baseline,
        why_not=work.packed.why_not.get(candidate.name, "") + _on_others(work, rows),
    )


def _on_others(work: Work, rows: Sequence[Row]) -> str:
    """A clause if these are not as many test rows as those of the alternatives."""
    return f", on {len(rows)} test texts" if len(rows) != len(_rows_compared(work, work.test)) else ""


def _row_of(name: str, variant: StudentVariant, accuracy: Metric, seconds: float, **told: Any) -> BuildAlternative:
    """A row of the alternatives: a variant's accuracy, speed and size."""
    speed = _speeds(variant.timing)
    student, method, size = variant.student, variant.spec.method, variant.size_mb
    return BuildAlternative(
        name=name, student=student, method=method, accuracy=measured(accuracy), size_mb=size, seconds=seconds, **speed, **told
    )


def _speeds(found: timing.Timing) -> dict[str, Any]:
    """A timing, by the names of a report."""
    return {
        "latency_ms_p50": found.p50,
        "latency_ms_p99": found.p99,
        "texts_per_second": found.texts_per_second,
        "tokens_per_second": found.tokens_per_second,
    }


def _rows_compared(work: Work, items: Sequence[_Item]) -> Sequence[_Item]:
    """The test rows, or the answers to them, on which alternatives are shown: all, unless some of them write. Those write as many as a
    part of the training time allows, by the time that the chosen one took; it has answered them already."""
    chosen = work.packed.chosen
    others = [c.variant.timing for c in work.candidates if c.variant.writes and not c.baseline and c.name != chosen.name]
    if not others:
        return items
    # A text that is checked is written several times: how often shows the chosen one, if it writes.
    again = work.packed.seconds / len(work.test) * chosen.variant.timing.texts_per_second if chosen.variant.writes else 1.0
    each = sum(max(1.0, again) / max(found.texts_per_second, 1e-6) for found in others)
    return evenly(items, timing.rows_to_compare(work.recipe, work.seconds, each))


def _rows_of_baseline(work: Work, items: Sequence[_Item]) -> Sequence[_Item]:
    """The test rows, or the answers to them, on which the baseline is measured: fewer if it is slow."""
    if not work.task.writes:
        return items
    items = evenly(items, timing.MOST_COMPARED)
    return items if work.sample is None else evenly(items, work.sample.test)


def _texts_to_write(work: Work) -> int:
    """The number of test texts that the alternatives write."""
    slow = [candidate for candidate in work.candidates if candidate.variant.writes and candidate.name != work.packed.chosen.name]
    return sum(len((_rows_of_baseline if candidate.baseline else _rows_compared)(work, work.test)) for candidate in slow)


def _unaided(work: Work, context: BuildContext) -> list[BuildAlternative]:
    """The base without examples, on the rows of the other alternatives: its ability without help. It is never chosen, and nothing is chosen
    by it. Of texts with a gap the baseline itself shows no examples."""
    name, task = work.task.baseline, work.task
    part = work.students[name].part if name in work.trained else None
    if part is None or part.unaided is None or (work.sample is not None and not work.sample.unaided):
        return []
    if work.trained[name].form.writing.reach is not None:
        return []
    form, rows = work.trained[name].form, _rows_of_baseline(work, work.test)
    fitted = training.fit(work, context, name, work.train, (), "ask the base without examples", settings=part.unaided)
    variant = next(training.variants(work, context, fitted, [], seconds=_UNAIDED_TIMED))
    context.progress.start("measure the base without examples", len(rows))
    replies = task.decode(training.served(work, context, variant, [row.input for row in rows]), form)
    context.progress.finish()
    why = "the base as it is, for comparison" + _on_others(work, rows)
    accuracy = task.measure(rows, replies, form)[task.headline]
    return [_row_of(UNAIDED, variant, accuracy, fitted.seconds, baseline=True, why_not=why)]


def _large(work: Work, context: BuildContext) -> list[BuildAlternative]:
    """The teacher on the test rows, where it is to be compared: with the sources that the shipped model found."""
    settings, draft = work.recipe.settings(TeacherSettings), work.packed
    if settings.source is None or "compare" not in uses_of(work):
        return []
    taught = work.teacher
    found = ask_larger(
        work.task,
        work.trained[draft.chosen.student].form,
        work.test,
        draft.served,
        settings,
        work.recipe.asked,
        context.progress,
        threads=context.threads,
        spent=TokenCount(taught.tokens_in, taught.tokens_out) if taught is not None else None,
        fresh=context.fresh,
    )
    if found is None:
        return []
    milliseconds = found.seconds * 1e3 if found.seconds is not None else None
    others = f"; this model answers {found.own.value:.1%} of these rightly" if found.left else ""
    why = f"a large model, for comparison: {found.cost} for {found.metric.n:,} test texts{others}"
    told = BuildAlternative(
        name=found.model, student=LARGE, accuracy=measured(found.metric), latency_ms_p50=milliseconds, baseline=True, why_not=why
    )
    return [told]


def _speed(work: Work, context: BuildContext, speed: timing.Timing) -> SpeedFacts:
    found = footprint.measure_footprint(work.packed.model.folder, context.threads)
    return SpeedFacts(
        **_speeds(speed),
        batch=speed.batch,
        tokens_per_second_batched=speed.tokens_per_second_batched,
        threads=context.threads,
        peak_memory_mb=found.peak_memory_mb if found else None,
        load_seconds=found.load_seconds if found else None,
        size_mb=work.packed.chosen.variant.size_mb,
    )


def _cost(work: Work, speed: timing.Timing) -> Any:
    texts, form = [row.input for row in work.test], work.form.labelling
    labels = form.labels if form is not None else ()
    answers = () if labels else [work.task.content(reply) for reply in work.packed.served]
    tokens_in, tokens_out = cost_estimate.tokens(texts, labels, answers)
    return cost_estimate.estimate(tokens_in, tokens_out, texts_per_second=speed.texts_per_second, listed=bool(labels))


def _curve(work: Work, context: BuildContext, per_class: Sequence[Any]) -> LearningCurve | None:
    base, form = work.bases.get("encoder"), work.form.labelling
    embed = embedder(base, context.threads) if base is not None and form is not None else None
    if embed is None or form is None:
        return None
    accuracy, seed = work.packed.metrics[work.task.headline].value, work.recipe.seed
    points = learning_curve.measure(work.train, work.test, form, accuracy, embed, seed)
    found = learning_curve.learn(points, seed=seed, per_class=per_class)
    return found.model_copy(update={"about": learning_curve.ABOUT}) if points else found


def _environment(work: Work, context: BuildContext) -> Environment:
    memory = total_mb()
    versions = {"python": platform.python_version()}
    for name in _VERSIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Environment(
        cpu=processor().name,
        threads=context.threads,
        memory_gb=memory / 1000 if memory else None,
        system=f"{platform.system()} {platform.machine()}",
        versions=versions,
        seed=work.recipe.seed,
    )
