"""What a build ships: the draft that is measured, the report, the finished bundle."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from smidgen.bundles.card import model_card
from smidgen.bundles.manifest import BaseEntry, Columns, DataEntry, EngineEntry, Licence, Lineage, Manifest, MetricInterval
from smidgen.bundles.open import open_bundle
from smidgen.bundles.pack import pack, refuse_foreign
from smidgen.core.forms import Form
from smidgen.core.metrics import Metric
from smidgen.core.parts import Base, Task
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, evenly
from smidgen.core.version import VERSION
from smidgen.data.settings import DataSettings
from smidgen.flows.build import footprint, validation
from smidgen.flows.build.candidates import WRITING_SECONDS, Candidate, TrainedStudent, TrainingResult
from smidgen.flows.build.examples import Examples
from smidgen.flows.build.timing import Timing, measure_speed
from smidgen.flows.build.training import StudentTrainer, StudentVariant
from smidgen.flows.build.validation import CrossValidationRun
from smidgen.flows.embedding import embedder
from smidgen.flows.local_model import Model, load
from smidgen.judge import classifier_sections, cost_estimate, learning_curve, writer_sections
from smidgen.judge.answer_sections import answer_sections
from smidgen.judge.page import render
from smidgen.judge.report import Report
from smidgen.judge.sections import (
    BaselineFacts,
    BuildAlternative,
    Environment,
    LearningCurve,
    ParityFacts,
    SpeedFacts,
    StudentFacts,
    TrainingFacts,
    measured,
)
from smidgen.machine.memory import total_mb
from smidgen.machine.processor import processor
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe

_Item = TypeVar("_Item")
MOST_COMPARED = 64
"""Test rows that the alternatives of a writer are shown on, and its baseline, where it is quick."""
_LEAST_COMPARED = 24
"""The same of a slow one: each alternative writes them."""
LIKE_ITS_INPUT = 0.5
"""Inputs given back are a baseline where their mean grade on training rows is this or more."""
UNCHANGED = "unchanged"
"""The baseline that gives the input back as it is."""
_LOOKED_AT = 500
_UNAIDED_TIMED = 10.0
UNAIDED = "base, no examples"
"""The base asked without examples, among the alternatives."""
_VERSIONS = ("smidgen", "torch", "onnxruntime", "tokenizers", "numpy", "scikit-learn")


@dataclass(frozen=True)
class BuildRecord:
    """All that happened in a build before shipping: what the report is written from. `models` releases the models it loads."""

    recipe: Recipe
    task: Task
    examples: Examples
    bench: StudentTrainer
    trained: TrainingResult
    chosen: Candidate
    reason: str
    why_not: Mapping[str, str]
    models: ExitStack
    lineage: Lineage | None = None
    crossed: CrossValidationRun | None = None

    def loaded(self, folder: Path) -> Model:
        """A bundle of this build, loaded as it will be served; released with the build."""
        model = load(folder, threads=self.bench.threads)
        self.models.callback(model.close)
        return model

    @property
    def base(self) -> Base | None:
        """The pretrained weights that the chosen student started from."""
        return self.bench.base(self.chosen.student)

    @property
    def settings(self) -> dict[str, Any]:
        """`[train]`, with what the build chose where that was left to it, if the section is that of the chosen student."""
        given, own = self.recipe.sections["train"], self.trained.learnt[self.chosen.student].settings
        return (own if isinstance(own, type(given)) else given).model_dump(mode="json", exclude_none=True)

    @property
    def guide(self) -> Base | None:
        """The larger decoder that guided the chosen student."""
        return self.bench.guide if not self.chosen.baseline else None


def pack_draft(story: BuildRecord, form: Form, variant: StudentVariant, out: Path) -> Path:
    """The bundle without its report: the files that will be shipped, to be measured through the engine that will serve them."""
    return _pack(story, form, variant, {}, {}, out)


def pack_final(story: BuildRecord, form: Form, variant: StudentVariant, report: Report, out: Path) -> Path:
    """The finished bundle: weights, report, page, recipe, card."""
    metrics = {name: MetricInterval(**found.model_dump()) for name, found in report.metrics.items()}
    extra = {
        "report.json": report.json_text(),
        "report.html": render(report),
        "recipe.toml": story.recipe.toml(),
        "README.md": model_card(_manifest(story, form, variant, metrics), report.model_dump(mode="json")),
    }
    return _pack(story, form, variant, extra, metrics, out)


def _pack(
    story: BuildRecord, form: Form, variant: StudentVariant, extra: Mapping[str, str], metrics: Mapping[str, MetricInterval], out: Path
) -> Path:
    source = out.with_name(out.name + "-files")
    source.mkdir(parents=True)
    for name in variant.spec.files:
        shutil.copyfile(variant.folder / name, source / name)
    for name, text in extra.items():
        (source / name).write_text(text, encoding="utf-8", newline="\n")
    pack(source, _manifest(story, form, variant, metrics), out)
    shutil.rmtree(source)
    return out


def _manifest(story: BuildRecord, form: Form, variant: StudentVariant, metrics: Mapping[str, MetricInterval]) -> Manifest:
    examples, base, licence = story.examples, story.base, story.recipe.settings(DataSettings).licence or "unknown"
    chain = [Licence(what="data", licence=licence, source=examples.source)]
    if base is not None:
        chain.insert(0, Licence(what=f"base {base.name}", licence=base.licence, source=base.source))
    if (guide := story.guide) is not None:
        chain.append(Licence(what=f"guide {guide.name}", licence=guide.licence, source=guide.source))
    names = tuple(examples.columns["input"].split(","))
    return Manifest(
        name=story.recipe.name,
        created=_now(),
        smidgen_version=VERSION,
        task=story.recipe.task,
        form=form.facts(),
        engine=EngineEntry.of(variant.spec),
        columns=Columns(input=names[0] if len(names) == 1 else names, label=examples.columns["label"]),
        base=BaseEntry(name=base.name, sha256=base.sha256, licence=base.licence, source=base.source) if base else None,
        data=DataEntry(
            sha256=examples.sha256,
            rows={"train": len(examples.train), "held": len(examples.held), "test": len(examples.test)},
            licence=licence,
        ),
        licences=tuple(chain),
        student=story.chosen.student,
        settings=story.settings,
        metrics=dict(metrics),
        headline=story.task.headline,
        lineage=story.lineage,
    )


def write_report(
    story: BuildRecord, learnt: TrainedStudent, served: Sequence[Reply], metrics: Mapping[str, Metric], facts: ParityFacts, model: Model
) -> Report:
    """The report: measured numbers only; what was not measured is None."""
    examples, task, form = story.examples, story.task, learnt.form
    sections: dict[str, Any]
    if task.graded:
        grades = task.grades(examples.test, served, form)
        sections = writer_sections.writer_sections(examples.test, served, grades, metrics, fitted=form.fitted)
        return _assembled(story, form, served, metrics, facts, model, sections)
    raw = story.bench.raw(learnt.final, [row.input for row in examples.test])
    plain = task.decode(raw, form.uncalibrated())
    sections = answer_sections(task, form, examples.test, served, metrics, uncalibrated=plain, train=examples.train)
    return _assembled(story, form, served, metrics, facts, model, sections)


def _assembled(
    story: BuildRecord,
    form: Form,
    served: Sequence[Reply],
    metrics: Mapping[str, Metric],
    facts: ParityFacts,
    model: Model,
    sections: Mapping[str, Any],
) -> Report:
    examples, task = story.examples, story.task
    base, guide, data = story.base, story.guide, story.recipe.settings(DataSettings)
    timing = measure_speed(model.runner, [row.input for row in examples.test])
    unchanged = _unchanged(story, served, form)
    return Report(
        name=story.recipe.name,
        task=story.recipe.task,
        created=_now(),
        headline=task.headline,
        units=dict(task.units),
        closed=form.labelling is not None and not task.rows_name_labels,
        data=classifier_sections.data_facts(
            examples.train,
            examples.held,
            examples.test,
            form,
            sha256=examples.sha256,
            test_sha256=examples.test_sha256,
            licence=data.licence or "unknown",
            source=examples.source,
            test_source=examples.test_source,
            refit=examples.refit,
        ),
        teacher=examples.teacher,
        student=StudentFacts(
            kind=story.chosen.student,
            base=base.name if base else None,
            base_licence=base.licence if base else None,
            base_sha256=base.sha256 if base else None,
            base_source=base.source if base else None,
            guide=guide.name if guide else None,
            guide_licence=guide.licence if guide else None,
            guide_sha256=guide.sha256 if guide else None,
            method=story.chosen.method,
            engine=model.manifest.engine.engine,
            settings=story.settings,
            chosen_because=story.reason,
        ),
        cross_validation=story.crossed.section if story.crossed is not None else None,
        baseline=_baseline(story, served, form),
        unchanged=unchanged,
        alternatives=(
            *(_alternative(story, candidate) for candidate in story.trained.candidates),
            *_unaided(story),
            *_as_it_is(unchanged, task.headline),
        ),
        parity=facts,
        speed=_speed(story, timing, model),
        training=TrainingFacts(
            seconds=story.trained.seconds,
            energy_wh=story.trained.energy.watt_hours,
            energy_method=story.trained.energy.method,
            device=processor().name,
        ),
        cost=_cost(story, form, timing, served),
        learning_curve=_curve(story, form, metrics[task.headline].value, sections.get("per_class", ())),
        environment=_environment(story),
        **sections,
    )


def check_target(out: Path) -> None:
    """Refuse, before any work is done, a folder that holds something else than a bundle. Raises BundleError."""
    refuse_foreign(out)


def move_bundle(source: Path, out: Path) -> None:
    """Put a packed bundle where it was asked for, replacing an older bundle there in one move."""
    pack(source, open_bundle(source).manifest, out)


def _baseline(story: BuildRecord, served: Sequence[Reply], form: Form) -> BaselineFacts | None:
    """The baseline beside the model on the rows that alternatives are shown on: a base with examples in its prompt writes slower still."""
    name = story.task.baseline
    if name not in story.trained.learnt:
        return None
    learnt, rows, served = story.trained.learnt[name], _rows_of_baseline(story, story.examples.test), _rows_of_baseline(story, served)
    texts = [row.input for row in rows]
    own = next(variant for variant in story.trained.variants.values() if variant.student == name)
    raw = story.bench.served(own, texts) if story.task.writes else story.bench.raw(learnt.final, texts)
    replies = story.task.decode(raw, learnt.form)
    metrics, task = story.task.measure(rows, replies, learnt.form), story.task
    grades = (task.grades(rows, replies, learnt.form), task.grades(rows, served, form)) if task.graded else None
    moved = task.change(rows, replies, served, form)
    return classifier_sections.baseline(name, rows, served, replies, metrics, learnt.final.seconds, grades, moved)


def _unchanged(story: BuildRecord, served: Sequence[Reply], form: Form) -> BaselineFacts | None:
    """The inputs given back as they are, on all test rows: what correcting and rewriting are held against, for it costs nothing. None where
    the training rows show that nobody would do that: their answers have little in common with their inputs."""
    task, rows = story.task, story.examples.test
    if not task.graded or not all(isinstance(row.input, str) for row in rows):
        return None
    learnt = [row for row in evenly(story.examples.train, _LOOKED_AT) if isinstance(row.input, str)]
    if not learnt or float(np.mean(task.grades(learnt, [_echo(row) for row in learnt], form))) < LIKE_ITS_INPUT:
        return None
    replies = [_echo(row) for row in rows]
    grades = task.grades(rows, replies, form), task.grades(rows, served, form)
    return classifier_sections.baseline(UNCHANGED, rows, served, replies, task.measure(rows, replies, form), None, grades)


def _echo(row: Row) -> Reply:
    return Reply(row.input, 1.0)


def _as_it_is(unchanged: BaselineFacts | None, headline: str) -> list[BuildAlternative]:
    """The inputs given back, as a row of the alternatives."""
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


def _alternative(story: BuildRecord, candidate: Candidate) -> BuildAlternative:
    """A candidate with its accuracy on the test rows: shown, never chosen by. What writes is slow: some of the rows, evenly, will do."""
    variant, learnt = story.trained.variants[candidate.name], story.trained.learnt[candidate.student]
    rows = _rows_of_baseline(story, story.examples.test) if candidate.baseline else _rows_compared(story, story.examples.test)
    fewer = len(rows) < len(_rows_compared(story, story.examples.test))
    # The baseline is what the base does by itself: nothing is written anew for it.
    form = None if candidate.baseline else learnt.form
    replies = story.task.decode(story.bench.served(variant, [row.input for row in rows], form), learnt.form)
    return _row_of(
        candidate.name,
        variant,
        story.task.measure(rows, replies, learnt.form)[story.task.headline],
        candidate.seconds,
        chosen=candidate.name == story.chosen.name,
        baseline=candidate.baseline,
        why_not=story.why_not.get(candidate.name, "") + (f", on {len(rows)} test texts" if fewer else ""),
    )


def _row_of(name: str, variant: StudentVariant, accuracy: Metric, seconds: float, **told: Any) -> BuildAlternative:
    """A row of the alternatives: what a variant reached, and what it takes."""
    timing = variant.timing
    return BuildAlternative(
        name=name,
        student=variant.student,
        method=variant.spec.method,
        accuracy=measured(accuracy),
        latency_ms_p50=timing.p50,
        latency_ms_p99=timing.p99,
        texts_per_second=timing.texts_per_second,
        tokens_per_second=timing.tokens_per_second,
        size_mb=variant.size_mb,
        seconds=seconds,
        **told,
    )


def _rows_compared(story: BuildRecord, items: Sequence[_Item]) -> Sequence[_Item]:
    """Of the test rows, or of the answers to them, those that alternatives are shown on: of a writer as many as it writes in `SECONDS`."""
    if not story.task.writes:
        return items
    in_time = int(1e3 * WRITING_SECONDS / max(1.0, story.trained.variants[story.chosen.name].timing.p50))
    return evenly(items, min(MOST_COMPARED, max(_LEAST_COMPARED, in_time)))


def _rows_of_baseline(story: BuildRecord, items: Sequence[_Item]) -> Sequence[_Item]:
    """Of the compared test rows, or of the answers to them, those that a slow baseline is measured on."""
    items, sample = _rows_compared(story, items), story.trained.beside
    return items if sample is None else evenly(items, sample.test)


def _unaided(story: BuildRecord) -> list[BuildAlternative]:
    """The base asked without examples, on the rows of the other alternatives: what it could do before anybody helped it. It is never
    chosen, and nothing is chosen by it."""
    name, task = story.task.baseline, story.task
    student = registry.find("students", name)
    sample = story.trained.beside
    if student.unaided is None or name not in story.trained.learnt or (sample is not None and not sample.unaided):
        return []
    bench, form, train, rows = (
        story.bench,
        story.trained.learnt[name].form,
        story.examples.train,
        _rows_of_baseline(story, story.examples.test),
    )
    fitted = bench.fit(name, student.unaided, train, (), story.examples.form, None, "ask the base without examples")
    (variant,) = bench.variants(fitted, [], [row.input for row in train], seconds=_UNAIDED_TIMED)
    replies = task.decode(bench.served(variant, [row.input for row in rows]), form)
    accuracy = task.measure(rows, replies, form)[task.headline]
    return [_row_of(UNAIDED, variant, accuracy, fitted.seconds, baseline=True, why_not="the base as it is, for comparison")]


def _speed(story: BuildRecord, timing: Timing, model: Model) -> SpeedFacts:
    found = footprint.measure_footprint(model.folder, story.bench.threads)
    return SpeedFacts(
        latency_ms_p50=timing.p50,
        latency_ms_p99=timing.p99,
        texts_per_second=timing.texts_per_second,
        batch=timing.batch,
        tokens_per_second=timing.tokens_per_second,
        tokens_per_second_batched=timing.tokens_per_second_batched,
        threads=story.bench.threads,
        peak_memory_mb=found.peak_memory_mb if found else None,
        load_seconds=found.load_seconds if found else None,
        size_mb=story.chosen.size_mb,
    )


def _cost(story: BuildRecord, form: Form, timing: Timing, served: Sequence[Reply]) -> Any:
    texts, labels = [row.input for row in story.examples.test], form.labelling.labels if form.labelling is not None else ()
    answers = () if labels else [story.task.content(reply) for reply in served]
    tokens_in, tokens_out = cost_estimate.tokens(texts, labels, answers)
    return cost_estimate.estimate(tokens_in, tokens_out, texts_per_second=timing.texts_per_second, listed=bool(labels))


def _curve(story: BuildRecord, form: Form, accuracy: float, per_class: Sequence[Any]) -> LearningCurve | None:
    base = story.bench.bases.get("encoder")
    embed = embedder(base, story.bench.threads) if base is not None and form.labelling is not None else None
    if embed is None or form.labelling is None:
        return None
    points = validation.learning_curve(story.examples.train, story.examples.test, form.labelling, accuracy, embed, story.bench.seed)
    found = learning_curve.learn(points, seed=story.bench.seed, per_class=per_class)
    return found.model_copy(update={"about": validation.ABOUT}) if points else found


def _environment(story: BuildRecord) -> Environment:
    memory = total_mb()
    versions = {"python": platform.python_version()}
    for name in _VERSIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Environment(
        cpu=processor().name,
        threads=story.bench.threads,
        memory_gb=memory / 1000 if memory else None,
        system=f"{platform.system()} {platform.machine()}",
        versions=versions,
        seed=story.bench.seed,
    )


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
