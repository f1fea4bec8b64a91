"""Candidates for shipping: each form of each trained student with its numbers, and the rule that chooses one, with its reason in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain

from smidgen.compress import CompressSettings
from smidgen.core.errors import GateError
from smidgen.core.parts import WHOLE, Raw, Student
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, evenly
from smidgen.flows.build import timing, training
from smidgen.flows.build.cross_fitting import CrossFitted, can_cross_fit, cross_fit, is_quick
from smidgen.flows.build.examples import FEW_ROWS
from smidgen.flows.build.student_plan import methods_to_try
from smidgen.flows.build.timing import BaselineSample
from smidgen.flows.build.work import BuildContext, Candidate, StudentVariant, TrainedFiles, TrainedStudent, Work
from smidgen.judge.quality_gate import GateSettings, differs_too_much, loses_too_much
from smidgen.judge.wording import plain
from smidgen.store.files import content_hash
from smidgen.students.settings import StudentSettings
from smidgen.usage.energy import Energy

# The choice of the shipped model: a pure rule on measured numbers, with its reason in words.

WITHIN = 0.01
"""`balanced` gives up at most this much of the best headline metric, measured on held-out rows, for speed and size."""

ALIKE = 2.0
"""Median times up to this many times the shortest count as equal."""

CLEAR = 1.1
"""A time or a speed clearly keeps a limit if it would with this much to spare: measured again beside other programs, it is some hundredths
worse (`bench shrinking`: over 130 tokens/s while building, 122 after)."""


def choose_candidate(
    candidates: Sequence[Candidate], wanted: StudentSettings, headline: str = "accuracy"
) -> tuple[Candidate, str, dict[str, str]]:
    """The candidate to ship, the reason, and for each other one (by name) why not, in words for the metric `headline`.

    Candidates that only just keep a time limit are chosen only if none keeps it clearly, and the reason says so.

    Raises GateError, with every candidate's numbers, if none meets the limits.
    """
    for spare in (CLEAR, 1.0):
        limited = [_limited(candidate, wanted, spare) for candidate in candidates]
        fit = [candidate for candidate in limited if not candidate.unfit and not candidate.baseline]
        if fit:
            break
    if not fit:
        raise GateError(
            "flows.no_model_meets_limits",
            value=_asked(wanted),
            changed=[
                f"{c.name}: {_value(c.held.value, headline)}, {c.p50:.2f} ms, {c.variant.size_mb:.1f} MB; {c.unfit or 'the baseline'}"
                for c in limited
            ],
        )
    best = max(fit, key=lambda c: (c.held.value, -c.p50))
    baseline = max((c.held.value for c in limited if c.baseline), default=0.0)
    most, within, as_good = _headline_words(headline)
    alone = sum(not c.baseline for c in limited) == 1 and best.method not in WHOLE
    if alone and best.variant.writes and wanted.quality != "best":
        chosen, reason = best, f"within {within} of the trained weights on held-out rows, and no larger form was tried"
    elif wanted.quality == "best":
        chosen, reason = best, f"{most} on held-out rows"
    elif wanted.quality == "balanced":
        near = [c for c in fit if c.held.value >= best.held.value - WITHIN]
        chosen = _fastest(near)
        reason = (
            f"{most} on held-out rows"
            if chosen is best
            else f"{_advantage(chosen, near)} within {within} of {most} ({best.name}) on held-out rows"
        )
    else:
        good = [c for c in fit if c.held.value >= baseline]
        chosen = _fastest(good) if good else best
        reason = f"{_advantage(chosen, good)} at least {as_good}" if good else f"nothing beats the baseline; of the others this is {most}"
    reason = f"{reason}; asked: {_asked(wanted)}"
    if _limited(chosen, wanted, CLEAR).unfit:
        reason = f"{reason}, which it keeps by less than {CLEAR - 1:.0%}: it may not at every moment"
    why_not = {c.name: c.unfit or _why_not(c, chosen, wanted, headline) for c in limited if c.name != chosen.name}
    return chosen, reason, why_not


def _headline_words(headline: str) -> tuple[str, str, str]:
    """Words for a metric: the best, how near to it counts as near, and as good as the baseline."""
    if headline == "accuracy":
        return "the most accurate", f"{WITHIN:.0%}", "as accurate as the baseline"
    return f"the best by {plain(headline)}", f"{WITHIN:g}", f"as good as the baseline by {plain(headline)}"


def _value(value: float, headline: str) -> str:
    return f"{value:.1%}" if headline == "accuracy" else f"{plain(headline)} {value:.3f}"


def _apart(gap: float, headline: str, more: bool) -> str:
    """The difference in words if the metric is above (`more`) or below another: accuracy in points, other metrics as numbers."""
    if headline == "accuracy":
        return f"{100 * gap:.1f} points {'more' if more else 'less'} accurate"
    return f"{gap:.3f} {'higher' if more else 'lower'} in {plain(headline)}"


def _fastest(candidates: Sequence[Candidate]) -> Candidate:
    """The fastest. Times within `ALIKE` of the shortest count as equal, because clocks are never exact: among them the best, then the one
    that is most like the trained model, so that a repeated build chooses the same."""
    shortest = min(c.p50 for c in candidates)
    alike = [c for c in candidates if c.p50 <= ALIKE * shortest]
    return max(alike, key=lambda c: (c.held.value, c.agreement, -c.variant.size_mb))


def _advantage(chosen: Candidate, among: Sequence[Candidate]) -> str:
    """The advantage of the chosen one: the fastest, or about as fast as that and better or more like the trained model."""
    fastest = min(among, key=lambda c: c.p50)
    return "the fastest" if fastest.p50 >= chosen.p50 else "the best of the fast ones"


def _limited(candidate: Candidate, wanted: StudentSettings, spare: float) -> Candidate:
    """The candidate, marked unfit if it does not keep a limit; limits of time and speed with `spare` as the margin."""
    if candidate.unfit:
        return candidate
    most, size = wanted.max_latency_ms, wanted.max_size_mb
    if most is not None and candidate.p50 * spare > most:
        found = f"over the {most:g} ms asked for" if candidate.p50 > most else f"too near the {most:g} ms asked for"
        return replace(candidate, unfit=f"{candidate.p50:.2f} ms is {found}")
    if size is not None and candidate.variant.size_mb > size:
        return replace(candidate, unfit=f"{candidate.variant.size_mb:.1f} MB is over the {size:g} MB asked for")
    least, speed = wanted.min_tokens_per_second, candidate.variant.timing.tokens_per_second
    if least is not None and speed is None:
        return replace(candidate, unfit="it writes no tokens")
    if least is not None and speed is not None and speed < least * spare:
        found = f"under the {least:g} asked for" if speed < least else f"too near the {least:g} asked for"
        return replace(candidate, unfit=f"{speed:.0f} tokens/s are {found}")
    return candidate


def _why_not(candidate: Candidate, chosen: Candidate, wanted: StudentSettings, headline: str) -> str:
    if candidate.baseline:
        return "the baseline, for comparison"
    gap = chosen.held.value - candidate.held.value
    if gap > 0:
        return f"{_apart(gap, headline, more=False)} on held-out rows"
    if candidate.p50 > ALIKE * chosen.p50:
        return f"{candidate.p50 / max(chosen.p50, 1e-9):.1f} times slower"
    if gap < 0:
        return f"{_apart(-gap, headline, more=True)}, but not fast enough for {wanted.quality}"
    if candidate.agreement < chosen.agreement:
        return f"as good, less like the trained model ({candidate.agreement:.1%} of answers the same, {chosen.agreement:.1%} here)"
    return "as good and about as fast"


def _asked(wanted: StudentSettings) -> str:
    limits = [f"quality {wanted.quality}"]
    if wanted.max_latency_ms is not None:
        limits.append(f"at most {wanted.max_latency_ms:g} ms")
    if wanted.max_size_mb is not None:
        limits.append(f"at most {wanted.max_size_mb:g} MB")
    if wanted.min_tokens_per_second is not None:
        limits.append(f"at least {wanted.min_tokens_per_second:g} tokens/s")
    return ", ".join(limits)


# Every form of each student with its numbers, and whether it may be shipped.

_WHOLE_TIMED = 15.0
"""Seconds for timing the whole weights of a student that writes, which are shipped only where no packed form is good enough."""


def train_students(work: Work, context: BuildContext) -> Work:
    """Train every student: judge and calibrate it on the held-out rows, train it on all rows, and compress it."""
    fits: list[TrainedFiles] = []
    probes: dict[str, TrainedFiles] = {}
    for name, planned in work.students.items():
        if planned.part.partners:
            work = _joint(work, context, name, planned.part)
            continue
        held = work.held
        # A baseline that writes is only shown for comparison, as it is served: writing everything a second time, in torch, would show
        # nothing.
        shown = work.task.writes and name == work.baseline
        trained = sum(fit.seconds for fit in fits)
        if shown and not _worth_timing(work, context, name, trained):
            continue
        teacher = planned.part.teacher or ""
        probe = training.fit(work, context, name, work.fit, work.held, f"train {name}", teacher=probes.get(teacher))
        if shown:
            sample = _time_baseline(work, context, probe, trained)
            if sample is None:
                continue
            work, held = replace(work, sample=sample), evenly(held, sample.held)
            answering = 0.0
            context.progress.start(f"ask {name} for {len(held)} held-out rows", len(held))
            whole = next(training.variants(work, context, probe, []))
            raw = training.served(work, context, whole, [row.input for row in held])
            context.progress.finish()
        else:
            raw, answering = training.timed_raw(work, context, probe, [row.input for row in held])
        probes[name] = final = probe
        fits.append(probe)
        if work.refit:
            known = work.trained.get(teacher)
            label = f"train {name} on every row"
            final = training.fit(work, context, name, work.train, (), label, teacher=known.files if known else None)
            fits.append(final)
        crossed = _crossed(work, context, probe, answering)
        context.progress.start(f"pack and time {name}")
        # The baseline is only for comparison, so it is not compressed.
        packed = training.variants(work, context, final, methods_to_try(work.recipe) if name != work.baseline else [], _WHOLE_TIMED)
        whole = next(packed)
        rows = held if shown else rows_to_compare_forms(held, work.fit, whole)
        work = _judged(work, context, final, raw, held, whole, packed, rows, answering, crossed)
    asked = work.recipe.settings(CompressSettings).method
    energy = Energy(sum(fit.energy.watt_hours for fit in fits), fits[0].energy.method)
    candidates = tuple(of_the_asked_method(work.candidates, asked))
    return replace(work, candidates=candidates, seconds=sum(fit.seconds for fit in fits), energy=energy)


def _crossed(work: Work, context: BuildContext, probe: TrainedFiles, answering: float) -> CrossFitted | None:
    """Cross-fitted outputs for all rows to learn from, to calibrate by, where these are few and that takes seconds."""
    rows, taught = work.train, work.students[probe.student].part.teacher  # its teacher has seen every part
    if taught or probe.student == work.baseline or not work.refit or len(rows) >= FEW_ROWS:
        return None
    return cross_fit(work, context, probe.student, rows) if can_cross_fit(work, rows) and is_quick(probe.seconds + answering) else None


def _joint(work: Work, context: BuildContext, name: str, part: Student) -> Work:
    """The work with a student that combines its partners, if all of them were trained and the held-out rows give each a weight."""
    if not set(part.partners) <= set(work.trained):
        return work
    partners = [work.trained[partner] for partner in part.partners]
    raws, files = [one.raw for one in partners], tuple(one.files for one in partners)
    mix = part.mix(raws, work.held, work.form)
    if mix is None:
        return work
    key = content_hash([[one.key for one in files], mix])
    energy = Energy(sum(one.energy.watt_hours for one in files), files[0].energy.method)
    final = TrainedFiles(name, files[0].place, key, sum(one.seconds for one in files), energy, files, mix)
    context.progress.start(f"blend {' and '.join(part.partners)}")
    first, *others = ([c.variant for c in work.candidates if c.student == partner] for partner in part.partners)
    made = [training.joined(work, context, final, [variant, *(beside[0] for beside in others)]) for variant in first]
    return _judged(work, context, final, part.add(raws, mix), work.held, made[0], made[1:], work.held, 0.0)


def _judged(
    work: Work,
    context: BuildContext,
    final: TrainedFiles,
    raw: Raw,
    held: Sequence[Row],
    whole: StudentVariant,
    packed: Iterable[StudentVariant],
    rows: Sequence[Row],
    answering: float,
    crossed: CrossFitted | None = None,
) -> Work:
    """The work with a trained student, calibrated by its outputs on the held-out rows or, if given, by the `crossed` ones, and its forms,
    compared on `rows`. `answering`: the seconds that the held-out rows took.

    The forms of a student that writes come smallest first, its whole weights last, and the first that suffices ends the comparison.
    """
    task = work.task
    raw = training.tried_out(work, context, whole, [row.input for row in held]) or raw
    fitted = (crossed.raw, crossed.rows) if crossed else (raw, held)
    form = task.calibrate(*fitted, work.form, work.recipe.asked)
    metric = task.measure(held, task.decode(raw, form), form)[task.headline]
    learnt = TrainedStudent(final, form, raw, metric, len(crossed.rows) if crossed else 0, final.seconds + answering)
    work = replace(work, trained={**work.trained, final.student: learnt})
    said = f"held-out {task.headline} {metric.value:.1%}"
    written, found = whole.writes and final.student != work.baseline, list[Candidate]()
    if written:
        context.progress.finish(said)
        said = ""
    for variant in chain(packed, [whole]) if written else chain([whole], packed):
        if written:
            context.progress.start(f"compare {final.student} {variant.spec.method} with the trained weights", len(rows))
        found.append(candidate_of(work, context, rows, variant, whole))
        if written and _suffices(work, found[-1]):
            break
    context.progress.finish(said)
    return replace(work, candidates=(*work.candidates, *found))


def _suffices(work: Work, candidate: Candidate) -> bool:
    """Whether a form would be chosen whatever the larger ones are worth: it keeps every limit and is within `WITHIN` of the trained
    weights."""
    wanted = work.recipe.settings(StudentSettings)
    near = work.trained[candidate.student].metric.value - candidate.held.value <= WITHIN
    return wanted.quality != "best" and near and not _limited(candidate, wanted, CLEAR).unfit


def with_every_form(work: Work, context: BuildContext, student: str) -> Work:
    """The work with those forms of a student, too, that were not tried because a smaller one sufficed."""
    known = {candidate.name for candidate in work.candidates}
    made = list(training.variants(work, context, work.trained[student].files, methods_to_try(work.recipe)))
    rows = rows_to_compare_forms(work.held, work.fit, made[0])
    found = (candidate_of(work, context, rows, variant, made[0]) for variant in made)
    return replace(work, candidates=(*work.candidates, *(one for one in found if one.name not in known)))


def candidate_of(work: Work, context: BuildContext, rows: Sequence[Row], variant: StudentVariant, plain: StudentVariant) -> Candidate:
    """Measure a variant. The loss from compression is measured on `rows` against the same trained weights; the headline metric is the
    student's own on the held-out rows, minus that loss. If the engine enforces a schema, the variant must also not lose more than that
    against `plain`, the uncompressed student in the engine, because the schema's corrections would hide the losses of packing."""
    task, learnt, gate = work.task, work.trained[variant.student], work.recipe.settings(GateSettings)
    texts, baseline = [row.input for row in rows], variant.student == work.baseline
    if variant.writes and not baseline and (why := _unasked(work, variant)):
        # It cannot be shipped: writing all these texts would show nothing.
        return Candidate(variant, learnt.metric, learnt.files.seconds, unfit=why)

    def value(replies: Sequence[Reply]) -> float:
        return task.measure(rows, replies, learnt.form)[task.headline].value

    small = task.decode(training.served(work, context, variant, texts), learnt.form)
    whole = small if baseline and task.writes else task.decode(training.raw(work, context, learnt.files, texts), learnt.form)
    same = sum(a.output == b.output for a, b in zip(whole, small, strict=True)) / len(texts)
    after, least = value(small), gate.agreement(variant.writes)
    loss = value(whole) - after
    unfit = ""
    if loses_too_much(loss, gate.max_loss, len(rows)) or differs_too_much(same, least, len(rows)):
        unfit = f"loses {100 * loss:.1f} points against the trained model, {same:.1%} of answers agree"
    elif plain is not variant and variant.bound:
        packing = value(task.decode(training.served(work, context, plain, texts), learnt.form)) - after
        if loses_too_much(packing, gate.max_loss, len(rows)):
            unfit = f"loses {100 * packing:.1f} points against {plain.spec.method} in the same engine, both held to the schema"
    if not baseline and not work.wants(variant.student):
        unfit = "trained as the teacher; another student was asked for"
    metric = learnt.metric
    held = Metric(max(0.0, metric.value - loss), max(0.0, metric.low - loss), min(1.0, metric.high - loss), metric.n)
    return Candidate(variant, held, learnt.files.seconds, same, unfit, baseline)


def of_the_asked_method(candidates: Sequence[Candidate], asked: str) -> list[Candidate]:
    """If a method was named, ship only models compressed by it: students that it cannot compress are unfit."""
    free = asked in ("auto", "none")
    return [c if free or c.method == asked or c.baseline else replace(c, unfit=c.unfit or _asked_for(asked)) for c in candidates]


def _unasked(work: Work, variant: StudentVariant) -> str:
    """Why a variant is not of the method that was named; empty if it is, or none was named."""
    asked = work.recipe.settings(CompressSettings).method
    return "" if asked in ("auto", "none", variant.spec.method) else _asked_for(asked)


def _asked_for(method: str) -> str:
    return f"{method} was asked for"


def _worth_timing(work: Work, context: BuildContext, name: str, trained: float) -> bool:
    """Whether there is time to time a baseline that writes, by the times of students that write."""
    timings = [c.variant.timing for c in work.candidates if c.variant.writes]
    paces = [1 / found.texts_per_second for found in timings if found.texts_per_second > 0]
    allowed, test = timing.baseline_seconds(work.recipe, trained), min(len(work.test), timing.MOST_COMPARED)
    return timing.is_worth_timing(work.recipe, name, allowed, min(paces, default=None), len(work.held), test, context.progress)


def _time_baseline(work: Work, context: BuildContext, probe: TrainedFiles, trained: float) -> BaselineSample | None:
    """Time a baseline that writes, and report on how many texts it is measured; None if it is not."""
    allowed = timing.baseline_seconds(work.recipe, trained)
    context.progress.start(f"time {probe.student}")
    variant = next(training.variants(work, context, probe, [], seconds=timing.BASELINE_TIMED_SHARE * allowed))
    context.progress.finish()
    test = min(len(work.test), timing.MOST_COMPARED)
    return timing.plan_baseline(work.recipe, probe.student, variant.timing, allowed, len(work.held), test, context.progress)


# The rows on which the forms of a student are compared with its trained weights, before one of them is chosen.

MOST_WRITTEN = 96
"""Most rows for a writer, if it is quick."""
LEAST_WRITTEN = 48
"""Least rows for a slow one, if that many were held out: every form writes them."""
LEAST_COMPARED = 150
"""Least rows for other students, if that many are there: then one changed answer is under a limit of one point."""
WRITING_SECONDS = 30.0
"""Seconds that writing them may take."""


def rows_to_compare_forms(held: Sequence[Row], learnt: Sequence[Row], whole: StudentVariant) -> Sequence[Row]:
    """The held-out rows, and training rows spread evenly, if these are few: one changed answer of 25 says nothing, and made a build keep a
    file three times as large. Training rows flatter the trained weights and the compressed ones alike, and only the difference counts.

    For a student that writes, up to `MOST_WRITTEN` rows, or as many as it writes in `WRITING_SECONDS`; with too many held-out rows, some
    are used, at least `LEAST_WRITTEN`. One changed word moves a mean of twenty texts by more than its forms differ. 130 long rows took each
    form six minutes and more to write, after ten of training.

    Args:
        whole: the student as it was trained, in its engine's files, timed.
    """
    if not whole.writes:
        few = LEAST_COMPARED - len(held)
        return [*held, *evenly(learnt, few)] if few > 0 and learnt is not held else held
    most = min(MOST_WRITTEN, int(1e3 * WRITING_SECONDS / max(1.0, whole.timing.p50)))
    return [*held, *evenly(learnt, most - len(held))] if most > len(held) else evenly(held, max(LEAST_WRITTEN, most))
