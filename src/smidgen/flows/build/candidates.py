"""What may be shipped: each form of each trained student with its numbers, and the rule that chooses one, with its reason in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from smidgen.core.errors import GateError
from smidgen.core.forms import Form
from smidgen.core.metrics import Metric
from smidgen.core.parts import Raw, Task
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, evenly
from smidgen.core.settings import Settings
from smidgen.flows.build.timing import BaselineSample
from smidgen.flows.build.training import StudentTrainer, StudentVariant, TrainedFiles
from smidgen.judge.quality_gate import GateSettings
from smidgen.judge.wording import plain
from smidgen.parts.recipe import Recipe
from smidgen.students.settings import StudentSettings
from smidgen.usage.energy import Energy

# Which of the trained models is shipped: a pure rule on what was measured, with its reason in words.

WITHIN = 0.01
"""`balanced` gives up at most this much of the best headline metric, measured on held-out rows, for speed and size."""

ALIKE = 2.0
"""Median times up to this many times the shortest are taken as equal."""

CLEAR = 1.1
"""A time or a speed keeps a limit where it would with this much to spare: measured again, with other programs about, it is some
hundredths worse (`bench shrinking`: over 130 tokens/s while building, 122 after)."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One model that could be shipped: a student, made small by a method.

    Attributes:
        held: the headline metric on held-out rows of the training data; choices are made on it.
        p50, p99: milliseconds for one text; `texts_per_second` in batches; `size_mb` of the files that serve it.
        tokens_per_second: what a model that writes does for one text at a time; None for others.
        agreement: share of held-out rows answered as the student answered before it was made small.
        fit: why it may not be shipped, a clause; empty where it may.
    """

    student: str
    method: str
    held: Metric
    p50: float
    p99: float
    texts_per_second: float
    size_mb: float
    seconds: float
    agreement: float = 1.0
    unfit: str = ""
    baseline: bool = False
    tokens_per_second: float | None = None

    @property
    def name(self) -> str:
        """Student and method, as tables show it."""
        return f"{self.student} {self.method}"


def choose_candidate(
    candidates: Sequence[Candidate], wanted: StudentSettings, headline: str = "accuracy"
) -> tuple[Candidate, str, dict[str, str]]:
    """The candidate to ship, why, and for each other one (by name) why not, in words for the metric `headline`.

    Those that keep a limit of time only just are taken where nothing keeps it clearly, and the reason says so.

    Raises GateError, with every candidate's numbers, where none meets the limits.
    """
    for spare in (CLEAR, 1.0):
        limited = [_limited(candidate, wanted, spare) for candidate in candidates]
        fit = [candidate for candidate in limited if not candidate.unfit and not candidate.baseline]
        if fit:
            break
    if not fit:
        raise GateError(
            "no model meets what was asked",
            value=_asked(wanted),
            todo="Loosen a limit, or choose another student. What there was:",
            changed=[
                f"{c.name}: {_value(c.held.value, headline)}, {c.p50:.2f} ms, {c.size_mb:.1f} MB; {c.unfit or 'the baseline'}"
                for c in limited
            ],
        )
    best = max(fit, key=lambda c: (c.held.value, -c.p50))
    baseline = max((c.held.value for c in limited if c.baseline), default=0.0)
    most, within, as_good = _headline_words(headline)
    if wanted.quality == "best":
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
        reason = f"{_advantage(chosen, good)} at least {as_good}" if good else f"nothing beats the baseline; this is {most}"
    reason = f"{reason}; asked: {_asked(wanted)}"
    if _limited(chosen, wanted, CLEAR).unfit:
        reason = f"{reason}, which it keeps by less than {CLEAR - 1:.0%}: it may not at every moment"
    why_not = {c.name: c.unfit or _why_not(c, chosen, wanted, headline) for c in limited if c.name != chosen.name}
    return chosen, reason, why_not


def _headline_words(headline: str) -> tuple[str, str, str]:
    """How the best is called, how near to it is near, and what is as good as the baseline, of a metric."""
    if headline == "accuracy":
        return "the most accurate", f"{WITHIN:.0%}", "as accurate as the baseline"
    return f"the best by {plain(headline)}", f"{WITHIN:g}", f"as good as the baseline by {plain(headline)}"


def _value(value: float, headline: str) -> str:
    return f"{value:.1%}" if headline == "accuracy" else f"{plain(headline)} {value:.3f}"


def _apart(gap: float, headline: str, more: bool) -> str:
    """How far the metric is above (`more`) or below another: accuracy in points, others as they are."""
    if headline == "accuracy":
        return f"{100 * gap:.1f} points {'more' if more else 'less'} accurate"
    return f"{gap:.3f} {'higher' if more else 'lower'} in {plain(headline)}"


def _fastest(candidates: Sequence[Candidate]) -> Candidate:
    """The fastest. Times within `ALIKE` of the shortest are alike, for a clock is never sure: among them the best, then the one
    that is most like the trained model, so that the same build chooses the same again."""
    shortest = min(c.p50 for c in candidates)
    alike = [c for c in candidates if c.p50 <= ALIKE * shortest]
    return max(alike, key=lambda c: (c.held.value, c.agreement, -c.size_mb))


def _advantage(chosen: Candidate, among: Sequence[Candidate]) -> str:
    """What sets the chosen one apart: it is the fastest, or about as fast as that and better or more like what was trained."""
    fastest = min(among, key=lambda c: c.p50)
    return "the fastest" if fastest.p50 >= chosen.p50 else "the best of the fast ones"


def _limited(candidate: Candidate, wanted: StudentSettings, spare: float) -> Candidate:
    """The candidate, unfit where it does not keep a limit, of time and speed with as much to `spare`."""
    if candidate.unfit:
        return candidate
    most, size = wanted.max_latency_ms, wanted.max_size_mb
    if most is not None and candidate.p50 * spare > most:
        found = f"over the {most:g} ms asked for" if candidate.p50 > most else f"too near the {most:g} ms asked for"
        return replace(candidate, unfit=f"{candidate.p50:.2f} ms is {found}")
    if size is not None and candidate.size_mb > size:
        return replace(candidate, unfit=f"{candidate.size_mb:.1f} MB is over the {size:g} MB asked for")
    least, speed = wanted.min_tokens_per_second, candidate.tokens_per_second
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


# What training leaves behind, as the rest of a build uses it.


@dataclass(frozen=True)
class TrainedStudent:
    """A student as it came out of training.

    Attributes:
        final: trained on all the rows it may have.
        form: with its decision fitted on the held-out rows, by a model that never saw them.
        held: its replies on the held-out rows, by that same model.
        metric: its headline metric there.
        settings: what it was taught by; None for students that answer together.
        why: a clause, where the build chose to leave something of it out.
    """

    final: TrainedFiles
    form: Form
    raw: Raw
    held: list[Reply]
    metric: Metric
    settings: Settings | None = None
    why: str = ""


@dataclass(frozen=True)
class TrainingResult:
    """Everything that was trained, and what it took. `beside` is on how many texts a baseline that writes is measured."""

    learnt: dict[str, TrainedStudent]
    variants: dict[str, StudentVariant]
    candidates: list[Candidate]
    seconds: float
    energy: Energy
    beside: BaselineSample | None = None


# What may be shipped: each form of each student with its numbers, and which of them are out of the running.


def candidate_of(
    task: Task,
    bench: StudentTrainer,
    rows: Sequence[Row],
    learnt: TrainedStudent,
    variant: StudentVariant,
    recipe: Recipe,
    kind: str,
    plain: StudentVariant | None = None,
) -> Candidate:
    """A variant's numbers. What being made small costs is measured on `rows` against the same trained weights; the headline metric is the
    student's own on the held-out rows, less that loss. Where the engine holds answers to a schema, it may lose no more against `plain`
    either, the same student in the engine as it was trained: what a schema mends would hide what packing spoils."""
    gate = recipe.settings(GateSettings)
    texts = [row.input for row in rows]
    baseline = kind == task.baseline and recipe.settings(StudentSettings).kind != kind
    small = task.decode(bench.served(variant, texts), learnt.form)
    whole = small if baseline and task.writes else task.decode(bench.raw(learnt.final, texts), learnt.form)
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


# On which rows the forms of a student are weighed against its trained weights, before one of them is chosen.

MOST_WRITTEN = 96
"""Rows of a writer, where it is quick."""
LEAST_WRITTEN = 48
"""Rows of a slow one, where so many were held out: every form writes them."""
WRITING_SECONDS = 30.0
"""How long writing them may take."""


def rows_to_compare_forms(held: Sequence[Row], learnt: Sequence[Row], whole: StudentVariant) -> Sequence[Row]:
    """The held-out rows; of a student that writes, up to `MOST` or as many as it writes in `SECONDS`: where fewer were held out, with rows
    that it learnt from beside them; where more were, some of them, but `LEAST` at least; both spread evenly.

    A writer has few held-out rows, and one word that falls otherwise moves a mean of twenty texts by more than its forms differ. Rows that
    were learnt flatter the trained weights and the small ones alike, and it is the difference that is asked for. 130 long
    rows took each form six minutes and more to write, after ten of teaching.

    Args:
        whole: the student as it was trained, in its engine's files, timed.
    """
    if not whole.writes:
        return held
    most = min(MOST_WRITTEN, int(1e3 * WRITING_SECONDS / max(1.0, whole.timing.p50)))
    return [*held, *evenly(learnt, most - len(held))] if most > len(held) else evenly(held, max(LEAST_WRITTEN, most))
