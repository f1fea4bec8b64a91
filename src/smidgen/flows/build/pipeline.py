"""Build: from a recipe to a bundle. The one place that knows the order."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from smidgen.bundles.manifest import Lineage
from smidgen.compress.settings import CompressSettings
from smidgen.core.errors import GateError
from smidgen.core.metrics import Metric
from smidgen.core.parts import WHOLE, Raw, Task
from smidgen.core.progress import Progress, Silent
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text, evenly
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.flows import local_model
from smidgen.flows.build import packaging, student_plan, timing, validation
from smidgen.flows.build.candidates import (
    Candidate,
    TrainedStudent,
    TrainingResult,
    candidate_of,
    choose_candidate,
    not_asked,
    of_the_asked_method,
    rows_to_compare_forms,
)
from smidgen.flows.build.examples import Examples, GivenTables, read_examples, select_rows
from smidgen.flows.build.student_plan import fit_students, open_guide
from smidgen.flows.build.teaching import teach
from smidgen.flows.build.timing import BaselineSample
from smidgen.flows.build.training import BlendMember, StudentTrainer, StudentVariant, TrainedFiles
from smidgen.judge import parity, quality_gate
from smidgen.judge.quality_gate import GateSettings
from smidgen.judge.report import Report
from smidgen.judge.sections import ParityFacts
from smidgen.machine.processor import threads as thread_count
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe
from smidgen.stats.calibration import blend_probabilities, fit_blend_weight
from smidgen.store.bundle_list import remember
from smidgen.store.hashing import content_hash
from smidgen.store.home import home
from smidgen.store.step_results import StepResults
from smidgen.students.settings import StudentSettings
from smidgen.usage.energy import Energy

_COMPARED = 64
"""Test rows that the finished bundle answers once more."""
_HELD_TO = 200
"""Test rows on which a writer's packed bundle is held against the trained model, which writes each in seconds."""
_ROUNDED = 0.25
"""The share of a writer's texts that may turn out otherwise by rounding."""


@dataclass(frozen=True)
class BuildResult:
    """A finished build: the bundle's folder and its report. `seconds` is the whole build's wall time in this run. `errors` are in the file
    that was asked for; None where none was."""

    folder: Path
    report: Report
    seconds: float
    errors: int | None = None


def build(
    recipe: Recipe,
    out: Path,
    *,
    given: GivenTables | None = None,
    fresh: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
    lineage: Lineage | None = None,
    listed: bool = True,
    scratch: Path | None = None,
    errors: str | None = None,
) -> BuildResult:
    """Build a bundle into `out`. A build that was stopped goes on from its last finished step or epoch.

    Args:
        recipe: what to build.
        out: the bundle's folder; an older bundle there is replaced in the end, in one move; anything else is left alone.
        given: rows in place of the files that the recipe names.
        fresh: do every step anew.
        threads: threads to compute with; default one a core.
        lineage: where the bundle comes from, as its manifest is to say; of a version of a line.
        listed: whether `smidgen models` lists it by this folder.
        scratch: where all that is made on the way lies, in place of smidgen's home and the system's folder for such; it is the caller's to
            remove, and with it every text of the data. A build that was stopped goes on while it is there.
        errors: a file for the rows that a model which learnt from the others answers wrong: cross-validation over all rows.

    Raises:
        InputError: data or settings that cannot be used.
        GateError: the model is not the one that was trained, not good enough, or cannot be as small as was asked; nothing is shipped.
    """
    began = time.perf_counter()
    progress = progress or Silent()
    packaging.check_target(out)
    task: Task = registry.find("tasks", recipe.task)
    progress.start("read the data")
    examples = read_examples(recipe, task, given)
    progress.finish(f"{len(examples.train)} rows to learn from, {len(examples.test)} to test on")
    validation.check_errors_file(recipe, task, examples.form, errors)
    task = task.formed(examples.form)
    taught = recipe.settings(TeacherSettings).source is not None
    kinds = student_plan.students_to_train(recipe, task, examples.form, progress, more=taught)
    bases = student_plan.bases_of(recipe, kinds, progress)
    guide = open_guide(recipe, bases.get("decoder"), examples.form, progress)
    examples = select_rows(recipe, task, examples, base=bases.get("encoder"), threads=threads, progress=progress)
    examples = teach(recipe, task, examples, base=bases.get("encoder"), fresh=fresh, threads=threads, progress=progress)
    if taught:
        # What the taught rows show settles who can learn, and how.
        task = registry.find("tasks", recipe.task).formed(examples.form)
        kinds = student_plan.students_to_train(recipe, task, examples.form, progress)
        bases = student_plan.bases_of(recipe, kinds, progress)
    for note in examples.notes:
        progress.say(note)
    steps = StepResults((scratch or home()) / "steps", fresh)
    bench = StudentTrainer(steps, task, bases, recipe.seed, thread_count(threads), progress, guide)
    trained = _train(recipe, task, examples, bench, kinds)
    with tempfile.TemporaryDirectory(prefix="smidgen-", dir=scratch) as box, ExitStack() as loaded:
        story, draft = _choose_and_measure(recipe, task, examples, bench, trained, Path(box), loaded, lineage)
        if lineage is None or errors is not None:
            found = validation.cross_validate(recipe, task, examples, bench, story.trained, story.chosen.student, asked=errors is not None)
            story = replace(story, crossed=found)
        report = _ship(story, draft, out, Path(box))
    wrong = None
    if errors is not None and story.crossed is not None:
        wrong = validation.write_errors(story.crossed, recipe, task, examples.form, errors)
    steps.prune()
    if listed:
        remember(out)
    return BuildResult(out, report, time.perf_counter() - began, wrong)


def _train(recipe: Recipe, task: Task, examples: Examples, bench: StudentTrainer, kinds: Sequence[str]) -> TrainingResult:
    """Every student: judged on the held-out rows, calibrated on them, trained on all rows, made small."""
    asked = recipe.settings(StudentSettings)
    learnt: dict[str, TrainedStudent] = {}
    variants: dict[str, StudentVariant] = {}
    candidates: list[Candidate] = []
    probe_teacher: TrainedFiles | None = None
    final_teacher: TrainedFiles | None = None
    fits: list[TrainedFiles] = []
    beside: BaselineSample | None = None
    probes: dict[str, tuple[TrainedFiles, Raw]] = {}
    fitting = fit_students(recipe, examples, bench, kinds)
    for kind in kinds:
        settings = fitting[kind].settings
        # A baseline that writes is only compared with, as it is served: writing everything a second time, in torch, would show nothing.
        shown = task.writes and kind == task.baseline and asked.kind != kind
        if shown and not _worth_timing(recipe, bench, kind, variants.values(), examples, sum(fit.seconds for fit in fits)):
            continue
        probe = bench.fit(kind, settings, examples.fit, examples.held, examples.form, probe_teacher, f"train {kind}")
        held: Sequence[Row] = examples.held
        sample = [row.input for row in examples.train]
        if shown:
            beside = _time_baseline(recipe, bench, probe, examples, sample, sum(fit.seconds for fit in fits))
            if beside is None:
                continue
            held = evenly(held, beside.held)
            bench.progress.start(f"ask {kind} for {len(held)} held-out rows")
            raw = bench.served(bench.variants(probe, [], sample)[0], [row.input for row in held])
            bench.progress.finish()
        else:
            raw = bench.raw(probe, [row.input for row in held])
        probes[kind] = probe, raw
        form = task.calibrate(raw, held, examples.form, recipe.asked)
        replies = task.decode(raw, form)
        metric = task.measure(held, replies, form)[task.headline]
        final = probe
        fits.append(probe)
        if examples.refit:
            final = bench.fit(kind, settings, examples.train, (), examples.form, final_teacher, f"train {kind} on every row")
            fits.append(final)
        learnt[kind] = TrainedStudent(final, form, raw, replies, metric, settings, fitting[kind].why)
        if kind == "encoder":
            probe_teacher, final_teacher = probe, final
        bench.progress.start(f"export and time {kind}")
        # The baseline is there to be compared with, as it is.
        methods = student_plan.methods_to_try(recipe) if kind != task.baseline or asked.kind == kind else []
        made = bench.variants(final, methods, sample)
        rows = held if shown else rows_to_compare_forms(held, examples.fit, made[0])
        for variant in made:
            candidate = candidate_of(task, bench, rows, learnt[kind], variant, recipe, kind, made[0])
            wanted = asked.kind in ("auto", kind)
            candidates.append(candidate if wanted or candidate.baseline else not_asked(candidate))
            variants[candidate.name] = variant
        bench.progress.finish(f"held-out {task.headline} {metric.value:.1%}")
    _blend(recipe, task, examples, bench, probes, learnt, variants, candidates)
    candidates = of_the_asked_method(candidates, recipe.settings(CompressSettings).method)
    energy = Energy(sum(fit.energy.watt_hours for fit in fits), fits[0].energy.method)
    return TrainingResult(learnt, variants, candidates, sum(fit.seconds for fit in fits), energy, beside)


def _worth_timing(
    recipe: Recipe, bench: StudentTrainer, kind: str, variants: Iterable[StudentVariant], examples: Examples, trained: float
) -> bool:
    """Whether there is time to time a baseline that writes, by what students that write took."""
    paces = [1 / variant.timing.texts_per_second for variant in variants if variant.writes and variant.timing.texts_per_second > 0]
    allowed, test = timing.baseline_seconds(recipe, trained), min(len(examples.test), packaging.MOST_COMPARED)
    return timing.is_worth_timing(recipe, kind, allowed, min(paces, default=None), len(examples.held), test, bench.progress)


def _time_baseline(
    recipe: Recipe, bench: StudentTrainer, probe: TrainedFiles, examples: Examples, sample: Sequence[Text], trained: float
) -> BaselineSample | None:
    """Time a baseline that writes, and say on how many texts it is measured; None where it is not."""
    allowed = timing.baseline_seconds(recipe, trained)
    bench.progress.start(f"time {probe.student}")
    (variant,) = bench.variants(probe, [], sample, seconds=timing.BASELINE_TIMED_SHARE * allowed)
    bench.progress.finish()
    test = min(len(examples.test), packaging.MOST_COMPARED)
    return timing.plan_baseline(recipe, probe.student, variant.timing, allowed, len(examples.held), test, bench.progress)


BLEND = "encoder+static"
"""The encoder with the static student beside it, as one candidate."""


def _blend(
    recipe: Recipe,
    task: Task,
    examples: Examples,
    bench: StudentTrainer,
    probes: Mapping[str, tuple[TrainedFiles, Raw]],
    learnt: dict[str, TrainedStudent],
    variants: dict[str, StudentVariant],
    candidates: list[Candidate],
) -> None:
    """Add the encoder and the static student answering together, where the held-out rows give the second a weight: they err on different
    texts, and together they cost hardly more than the encoder alone."""
    pair = BLEND.split("+")
    if recipe.settings(StudentSettings).kind != "auto" or not set(pair) <= set(probes) or (labels := examples.form.single_label) is None:
        return
    names = labels.every
    known = [number for number, row in enumerate(examples.held) if row.output in names[: probes["encoder"][1]["logits"].shape[1]]]
    targets = np.array([names.index(examples.held[number].output) for number in known])
    first, second = (probes[kind][1]["logits"] for kind in pair)
    weight, (hot, cold) = fit_blend_weight(first[known], second[known], targets)
    if weight == 0:
        return
    members = tuple(BlendMember(learnt[kind].final, w, t) for kind, w, t in zip(pair, (1.0, weight), (hot, cold), strict=True))
    fits = [member.fitted for member in members]
    key = content_hash([[m.fitted.key, m.weight, m.temperature] for m in members])
    energy = Energy(sum(fit.energy.watt_hours for fit in fits), fits[0].energy.method)
    final = TrainedFiles(BLEND, fits[0].folder, key, sum(fit.seconds for fit in fits), energy, members)
    raw = {"logits": blend_probabilities((first, second), (1.0, weight), (hot, cold))}
    form = task.calibrate(raw, examples.held, examples.form, recipe.asked)
    replies = task.decode(raw, form)
    metric = task.measure(examples.held, replies, form)[task.headline]
    learnt[BLEND] = TrainedStudent(final, form, raw, replies, metric)
    bench.progress.start("blend encoder and static")
    beside = next(variant for variant in variants.values() if variant.student == "static")
    for variant in [entry for entry in variants.values() if entry.student == "encoder"]:
        made = bench.together(final, (variant, beside), [row.input for row in examples.train])
        candidate = candidate_of(task, bench, examples.held, learnt[BLEND], made, recipe, BLEND)
        candidates.append(candidate)
        variants[candidate.name] = made
    bench.progress.finish(f"weight {weight:g} for static, held-out {task.headline} {metric.value:.1%}")


@dataclass(frozen=True)
class _MeasuredDraft:
    """A packed bundle that passed the parity gate: loaded, and what it answered on the test rows, as it first did and at its best."""

    learnt: TrainedStudent
    variant: StudentVariant
    model: local_model.Model
    first: list[Reply]
    served: list[Reply]
    metrics: dict[str, Metric]
    facts: ParityFacts


def _choose_and_measure(
    recipe: Recipe,
    task: Task,
    examples: Examples,
    bench: StudentTrainer,
    trained: TrainingResult,
    box: Path,
    loaded: ExitStack,
    lineage: Lineage | None = None,
) -> tuple[packaging.BuildRecord, _MeasuredDraft]:
    """Choose, pack and measure. A model made small by a method that was not asked for is kept only if it passes the gate: where it does
    not, the choice is made again without it. The last one left must pass.

    Raises GateError where nothing is left that passes.
    """
    progress, auto = bench.progress, recipe.settings(CompressSettings).method == "auto"
    for number in range(len(trained.candidates)):
        chosen, reason, why_not = choose_candidate(trained.candidates, recipe.settings(StudentSettings), task.headline)
        progress.say(f"chosen: {chosen.name}, {reason}")
        if why := trained.learnt[chosen.student].why:
            reason = f"{reason}; {why}"
        story = packaging.BuildRecord(recipe, task, examples, bench, trained, chosen, reason, why_not, loaded, lineage)
        draft = _pack_and_measure(story, box / f"draft-{number}")
        if draft.facts.passed:
            return story, draft
        others = [c for c in trained.candidates if c.name != chosen.name and not c.unfit and not c.baseline]
        if not (auto and others and chosen.method not in WHOLE):
            break
        said = parity.failures(draft.facts)
        progress.say(f"{chosen.name} does not pass the parity gate: {'; '.join(said)}. Choosing again without it")
        failed = replace(chosen, unfit=f"does not pass the parity gate on the test rows: {said[0]}")
        trained = replace(trained, candidates=[failed if c.name == chosen.name else c for c in trained.candidates])
    parity.require(draft.facts)
    return story, draft


def _pack_and_measure(story: packaging.BuildRecord, out: Path) -> _MeasuredDraft:
    """Pack the chosen model, load it in the engine that will serve it, and compare it on the test rows with the model as trained."""
    task, rows = story.task, story.examples.test
    learnt, variant = story.trained.learnt[story.chosen.student], story.trained.variants[story.chosen.name]
    story.bench.progress.start("measure the packed bundle on the test rows")
    model = story.loaded(packaging.pack_draft(story, learnt.form, variant, out))
    first, served = model.first_and_best([row.input for row in rows])
    parity.check(rows, first)
    metrics = task.measure(rows, served, learnt.form)
    headline = metrics[task.headline]
    # Texts that are written anew would hide what the packed model lost: parity is of the likeliest ones.
    some = evenly(range(len(rows)), _HELD_TO if task.graded else len(rows))
    compared, packed = [rows[place] for place in some], [first[place] for place in some]
    trained = task.decode(story.bench.raw(learnt.final, [row.input for row in compared]), learnt.form)
    grades = (task.grades(compared, trained, learnt.form), task.grades(compared, packed, learnt.form)) if task.graded else None
    facts = parity.compare(
        compared,
        trained,
        packed,
        settings=story.recipe.settings(GateSettings),
        headline=task.headline,
        before=task.measure(compared, trained, learnt.form)[task.headline],
        after=(metrics if served is first and len(compared) == len(rows) else task.measure(compared, packed, learnt.form))[task.headline],
        grades=grades,
        written=variant.writes,
    )
    if variant.bound and variant.spec.method not in WHOLE:
        facts = _beside_unpacked(story, learnt, compared, packed, facts)
    story.bench.progress.finish(f"{task.headline} {headline.value:.1%} (95 %: {headline.low:.1%} to {headline.high:.1%})")
    return _MeasuredDraft(learnt, variant, model, first, served, metrics, facts)


def _beside_unpacked(
    story: packaging.BuildRecord, learnt: TrainedStudent, rows: Sequence[Row], packed: Sequence[Reply], facts: ParityFacts
) -> ParityFacts:
    """The facts, with what was lost against the weights as they were trained in the same engine, under the same schema."""
    task, student = story.task, story.chosen.student
    plain = next(v for v in story.trained.variants.values() if v.student == student and v.spec.method in WHOLE)
    unpacked = task.decode(story.bench.served(plain, [row.input for row in rows]), learnt.form)
    before, after = (task.measure(rows, replies, learnt.form)[task.headline] for replies in (unpacked, packed))
    return parity.beside(facts, rows, unpacked, packed, settings=story.recipe.settings(GateSettings), before=before, after=after)


def _is_what_was_measured(story: packaging.BuildRecord, draft: _MeasuredDraft, final: local_model.Model) -> bool:
    """Whether the finished bundle is what was measured: the same files run in the same way, and the same answers.

    A text may turn out otherwise by a rounding where others are written beside it, which depends on how busy the machine is, and where its
    prompt was read before. A writer's answers may therefore differ here and there. Where many do, both bundles are opened anew and asked
    one text at a time, so that both do the same work in the same order; a bundle that is run wrongly still differs. Held against each other
    is what is first written: what is written anew is drawn, and one token that is another makes all that follows another.
    """
    was, now = draft.model.manifest, final.manifest
    files = all(was.files[name].sha256 == now.files[name].sha256 for name in was.engine.files)
    if not (files and was.engine == now.engine and was.form == now.form):
        return False
    texts = [row.input for row in story.examples.test[:_COMPARED]]
    if not draft.variant.writes:
        return _count_changed(final.predict(texts), draft.served[:_COMPARED]) == 0
    if _count_changed(final.first(texts), draft.first[:_COMPARED]) <= _ROUNDED * len(texts):
        return True
    return _count_changed(*(_first_answers(story, model.folder, texts) for model in (draft.model, final))) <= _ROUNDED * len(texts)


def _first_answers(story: packaging.BuildRecord, folder: Path, texts: Sequence[Text]) -> list[Reply]:
    """What a bundle that has read nothing yet first writes, one text after the other."""
    with closing(local_model.load(folder, threads=story.bench.threads)) as model:
        return [reply for text in texts for reply in model.first([text])]


def _count_changed(some: Sequence[Reply], others: Sequence[Reply]) -> int:
    """How many answers are not the same."""
    return sum(one.output != other.output for one, other in zip(some, others, strict=True))


def _ship(story: packaging.BuildRecord, draft: _MeasuredDraft, out: Path, box: Path) -> Report:
    """Write the report, pass the quality gate, move the finished bundle to where it was asked for."""
    progress, gate = story.bench.progress, story.recipe.settings(GateSettings)
    progress.start("write the report")
    report = packaging.write_report(story, draft.learnt, draft.served, draft.metrics, draft.facts, draft.model)
    quality_gate.require(draft.metrics, story.task.headline, gate, report.strongest)
    packaging.pack_final(story, draft.learnt.form, draft.variant, report, box / "final")
    again = story.loaded(box / "final")
    if not _is_what_was_measured(story, draft, again):
        raise GateError(
            "the finished bundle answers otherwise than the one that was measured",
            value=out.name,
            todo="Nothing was shipped; build with --fresh.",
        )
    packaging.move_bundle(box / "final", out)
    progress.finish(str(out))
    return report
