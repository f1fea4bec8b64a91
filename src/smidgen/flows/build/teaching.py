"""Learn from a larger model: it is tested on the user's own rows, then asked for labels and new rows.

The accepted answers join the training rows. The held-out and the test rows stay the user's own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np

from smidgen.core.abilities import PartialCredit
from smidgen.core.errors import DataError, MissingExtra, RecipeError, TeacherError
from smidgen.core.forms import Form, LabelForm
from smidgen.core.parts import Task, own_grades
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, joined
from smidgen.data import row_selection
from smidgen.data.label_errors import review_labels
from smidgen.data.row_selection import Embed
from smidgen.data.source import DataSettings
from smidgen.data.tables import open_table
from smidgen.data.teacher import evaluation as trials
from smidgen.data.teacher.evaluation import CUT, RequestEstimate, TeacherEvaluation, VoteResult
from smidgen.data.teacher.questions import NoAnswerReason
from smidgen.data.teacher.settings import TeacherSettings, Use
from smidgen.flows.build.examples import are_few, path_of
from smidgen.flows.build.synthetic_data import GenerationPlan, generate, plan_generation, require_single
from smidgen.flows.build.teachers import RemoteTeacher, Teacher, open_teacher, uses_redaction_model
from smidgen.flows.build.work import BuildContext, Work
from smidgen.flows.embedding import embedder
from smidgen.judge.sections import TeacherFacts, measured
from smidgen.text import near_duplicates

_LEAST_ALONE = 2.0
"""Least rows per label for a head on frozen vectors to be tested on rows left out."""
_NOT_ASKED = (NoAnswerReason.BUDGET, NoAnswerReason.PRIVATE)
_NAMES = 5
"""Most names that a note lists, of those that the teacher sees as placeholders."""


def teach(work: Work, context: BuildContext) -> Work:
    """The work with a larger model's rows added; unchanged if the recipe names none.

    Raises:
        RecipeError: a setting that the teacher needs is missing.
        TeacherError: it cannot do the job, or its server fails.
    """
    settings = work.recipe.settings(TeacherSettings)
    if settings.source is None:
        return work
    uses = uses_of(work)
    _require_use(settings, uses, work)
    if not {"label", "generate"} & set(uses):
        return work  # it only answers the test rows, for the report
    if not settings.local and not uses_redaction_model(settings):
        context.progress.say(
            "texts for the teacher are redacted only by patterns: names, addresses and the like are not found, and are sent"
        )
    embed = _embed(work, context)
    with closing(open_teacher(work, context, embed)) as teacher:
        return _Teaching(work, context, teacher, embed).taught()


def uses_of(work: Work) -> tuple[Use, ...]:
    """The uses of a recipe's teacher."""
    asked = work.recipe.settings(DataSettings).train is not None or work.given is not None
    return work.recipe.settings(TeacherSettings).used_for(work.task.teacher_sources is not None, asked)


def _require_use(settings: TeacherSettings, uses: Sequence[Use], work: Work) -> None:
    """Raise RecipeError if the teacher has nothing to do."""
    data = work.recipe.settings(DataSettings)
    if "compare" in uses and not settings.url:
        raise RecipeError("flows.bundle_is_compared_by_smidgen_eval", value=settings.source)
    if "generate" in uses and work.task.teacher_sources is not None and data.train is None and work.given is None:
        raise RecipeError("flows.teacher_examples_need_rows_of_people", value=settings.source)
    if "label" in uses and data.unlabelled is None:
        raise RecipeError("flows.teacher_has_nothing_to_label", value=settings.source)
    if "score" in uses and not {"label", "generate"} & set(uses):
        raise RecipeError("flows.teacher_has_no_answers_to_mark", value=", ".join(uses))


class _Teaching:
    """An open teacher at work: the rows that it adds, and counts of the unlabelled inputs."""

    def __init__(self, work: Work, context: BuildContext, teacher: Teacher, embed: Embed | None) -> None:
        self._work, self._context, self._teacher, self._embed = work, context, teacher, embed
        self._settings, self._progress = work.recipe.settings(TeacherSettings), context.progress
        self._uses = uses_of(work)
        self._marks = "score" in self._uses
        self._pool = self._corrected = 0
        self._not_judged = ""
        self._dropped: Counter[str] = Counter()

    def taught(self) -> Work:
        """The work with what the teacher adds to it."""
        work, settings, teacher = self._work, self._settings, self._teacher
        self._tell_names()
        maker = self._example_maker()
        trial = try_teacher(work, self._context, teacher, self._embed)
        order = plan_generation(work, maker, self._embed) if maker is not None else None
        if order is not None:
            self._tell_order(order)
        pool = self._affordable(self._inputs_worth_asking()) if "label" in self._uses else []
        expected = expected_quality(work, self._embed, trial, len(pool) + (settings.generate if order else 0))
        more = [f"{len(pool):,} rows of it"] if pool else []
        more += [f"up to {settings.generate:,} examples that it makes"] if order else []
        if more:
            self._progress.say(f"with {' and '.join(more)}, the student is expected between {expected[0]:.0%} and {expected[1]:.0%}")
        labelled = self._labelled(pool) if pool else []
        made: list[Row] = []
        found: dict[str, Any] = {}
        if maker is not None and order is not None:
            made, read, dropped = generate(order, work, self._context, maker, self._embed, labelled)
            made = self._marked(made, dropped)
            found = {"generated": read, "generated_kept": len(made), "generated_dropped": dict(dropped)}
        found |= {"pool": self._pool, "asked": len(pool), "kept": len(labelled), "corrected": self._corrected}
        found |= {"not_judged": self._not_judged, "dropped": {why: count for why, count in self._dropped.most_common() if count}}
        return joined_with(work, [*labelled, *made], self._facts(trial, expected).model_copy(update=found | teacher.spent()))

    def _example_maker(self) -> RemoteTeacher | None:
        """The teacher as one that makes examples; None where it is not to. Raises RecipeError where it cannot, before anything is paid
        for."""
        if "generate" not in self._uses:
            return None
        if not isinstance(self._teacher, RemoteTeacher):
            raise RecipeError("flows.bundle_cannot_make_examples", value=self._settings.source)
        require_single(self._work)
        return self._teacher

    def _tell_order(self, order: GenerationPlan) -> None:
        """Report the cost of making examples, answering each again, and marking them, before any of it is paid for."""
        again, budget = "answer them again and mark them" if self._marks else "answer them again", self._teacher.budget
        self._progress.say(f"to make {self._settings.generate:,} examples and {again} takes {order.plan.told(budget.price)}")
        share = budget.share_left(order.plan.tokens)
        if share < 1:
            self._progress.say(f"the budget has room for about {share:.0%} of that")

    def _tell_names(self) -> None:
        """Report the labels, fields and choices that the teacher sees as placeholders: it may do worse with them."""
        if names := self._teacher.stand_ins:
            shown = ", ".join(names[:_NAMES]) + (", ..." if len(names) > _NAMES else "")
            told = "names look personal, and the teacher is told placeholders for them, which are put back"
            self._progress.say(f"{len(names)} {told}: {shown}")

    def _inputs_worth_asking(self) -> list[Row]:
        """The unlabelled inputs that are worth asking for: not twice, not what is labelled already, and nothing near what is measured
        on."""
        work, dropped = self._work, self._dropped
        settings = work.recipe.settings(DataSettings)
        assert settings.unlabelled is not None
        columns = (work.columns["input"], work.columns["label"] or None)
        plain = settings.model_copy(update={"label": None})
        table = open_table(path_of(settings.unlabelled, work.recipe), remembered=columns, need_label=False, settings=plain)
        unusable: list[DataError] = []
        rows = [replace(row, output=None) for row in table.rows(None, unusable.append)]
        self._pool = len(rows) + len(unusable)
        dropped["the text cannot be used"] = len(unusable)
        texts = [joined(row.input) for row in rows]
        repeated = near_duplicates.repeated_texts(texts, [joined(row.input) for row in work.fit])
        leaked = near_duplicates.near_any_of(texts, [joined(row.input) for row in (*work.test, *work.held)])
        dropped["nearly a row that is measured on"] = len(leaked)
        dropped["the text is there already"] = len(repeated - leaked)
        kept = [row for place, row in enumerate(rows) if place not in leaked and place not in repeated]
        if not kept:
            raise DataError("flows.unlabelled_file_has_nothing_new", value=settings.unlabelled)
        return kept

    def _affordable(self, pool: list[Row]) -> list[Row]:
        """The inputs within the budget and the recipe's limit; if those are not all, the ones that teach most."""
        work, settings, teacher, progress = self._work, self._settings, self._teacher, self._progress
        questions = settings.votes + self._marks
        each = trials.estimate_tokens(teacher.took, questions)
        whole = trials.estimate_tokens(teacher.took, questions * len(pool))
        share = teacher.budget.share_left(whole)
        most = min(len(pool), settings.rows or len(pool), int(share * len(pool)))
        if teacher.took:
            marked = " and mark its answers" if self._marks else ""
            plan = RequestEstimate(questions * len(pool), whole)
            progress.say(f"to label all {len(pool):,} inputs{marked} takes {plan.told(teacher.budget.price)}")
        if most < 1:
            raise _no_room(f"{each.total} tokens a row")
        if most == len(pool):
            return pool
        asked = settings.rows is not None and most == settings.rows
        self._dropped["not among those that teach most" if asked else "the budget has no room for it"] += len(pool) - most
        progress.start(f"choose {most:,} of {len(pool):,} inputs", None)
        known = work.fit if work.form.labelling is not None else ()
        chosen = row_selection.select_unlabelled(pool, most, known, self._embed, work.recipe.seed)
        progress.finish(f"{most:,} inputs that cover the rest")
        return [pool[place] for place in chosen]

    def _labelled(self, pool: Sequence[Row]) -> list[Row]:
        """These inputs with the teacher's accepted outputs."""
        task, labels = self._work.task, self._work.form.single_label
        verdicts = self._teacher.verdicts(pool, self._settings.votes, "have the unlabelled inputs labelled", self._progress)
        if all(verdict.why_not == NoAnswerReason.BUDGET for verdict in verdicts):
            raise _no_room(f"{self._teacher.budget.spent.total} tokens spent")
        unknown = labels.unknown if labels is not None and not labels.unknown_examples else None
        taught = []
        for row, verdict in zip(pool, verdicts, strict=True):
            why = verdict.why_not or ("no label fits" if verdict.output is not None and verdict.output == unknown else "")
            if why:
                self._dropped[str(why)] += 1
                continue
            weight = max(0.05, verdict.agreement) if task.grading is not None or task.partial_credit is not None else 1.0
            taught.append(Row(row.input, verdict.output, row.number, weight, verdict.shares))
        taught = self._marked(taught, self._dropped)
        return self._checked(taught, labels) if self._settings.doubt and labels is not None and taught else taught

    def _marked(self, taught: list[Row], dropped: Counter[str]) -> list[Row]:
        """The rows that the teacher, asked again, finds good, where it is to mark; `dropped` counts the others. A row without a mark is
        left out: it may not be good."""
        if not self._marks:
            return taught
        kept = []
        for row, score in zip(taught, self._teacher.scores(taught, self._progress), strict=True):
            if score is None or score < self._settings.min_score:
                dropped["the teacher gave no mark" if score is None else "the teacher's mark is too low"] += 1
            else:
                kept.append(replace(row, weight=row.weight * score))
        return kept

    def _checked(self, taught: list[Row], labels: LabelForm) -> list[Row]:
        """The taught rows after checking their labels by the other rows."""
        self._progress.start("look for wrong labels of the teacher", None)
        unknown = {labels.unknown} if labels.unknown is not None else set()
        judged, self._not_judged = review_labels(self._work.fit, taught, unknown, self._embed)
        kept = [row for row in judged if row is not None]
        self._corrected = sum(after is not None and after.output != before.output for before, after in zip(taught, judged, strict=True))
        self._dropped["its label is likely wrong"] += len(taught) - len(kept)
        self._progress.finish(f"{len(taught) - len(kept)} left out, {self._corrected} corrected")
        return kept

    def _facts(self, trial: TeacherEvaluation, expected: tuple[float, float]) -> TeacherFacts:
        settings, quality, name = self._settings, measured(trial.quality), self._teacher.name
        assert quality is not None
        return TeacherFacts(
            source=settings.source if settings.url and settings.source else name,
            model=name,
            local=settings.local,
            redaction="" if settings.local else "model" if uses_redaction_model(settings) else "patterns",
            uses=self._uses,
            votes=settings.votes if settings.url else 1,
            unit=quality_unit(self._work.task),
            quality=quality,
            unheard=trial.unheard,
            needed=trial.needed,
            because=trial.reason,
            alone=trial.alone,
            expected_low=expected[0],
            expected_high=expected[1],
            budget_usd=settings.budget_usd,
            budget_tokens=settings.budget_tokens,
        )


def try_teacher(work: Work, context: BuildContext, teacher: Teacher, embed: Embed | None) -> TeacherEvaluation:
    """Test the teacher on the user's own rows. Raises TeacherError for one that cannot do the job."""
    settings, task = work.recipe.settings(TeacherSettings), work.task
    own = [*work.fit, *work.held]
    rows = [own[place] for place in trials.draw_by_stratum(own, task.strata(own), settings.trial_rows, work.recipe.seed)]
    verdicts = teacher.verdicts(rows, 1, "try the teacher on your own rows", context.progress)
    heard = [(row, verdict) for row, verdict in zip(rows, verdicts, strict=True) if verdict.agreement or verdict.why_not not in _NOT_ASKED]
    if not heard:
        raise TeacherError("flows.teacher_could_not_be_tried", value=verdicts[0].why_not if verdicts else "no rows")
    quality, unit = quality_of(task, work.form, heard), quality_unit(task)
    alone, needed, reason = _quality_needed(work, embed)
    if settings.min_quality is not None:
        needed, reason = settings.min_quality, "data.teacher.min_quality"
    unheard = sum(bool(verdict.why_not) for _, verdict in heard)
    cut = sum(verdict.why_not == CUT for _, verdict in heard)
    found = TeacherEvaluation(quality, unheard, needed, reason, alone, cut, teacher.max_tokens, teacher.thinks)
    context.progress.say(f"the teacher's {unit} on {quality.n} of your rows: {quality.value:.1%} ({quality.low:.1%} to {quality.high:.1%})")
    trials.require_able(found, settings.source or "", unit)
    if cut:
        context.progress.say(trials.cut_off_note(found))
    return found


def quality_unit(task: Task) -> str:
    """The metric for a teacher: the mean grade, F1 of the parts of its answers, or the accuracy."""
    return task.headline if task.grading is not None or task.partial_credit is not None else "accuracy"


def quality_of(task: Task, form: Form, tried: Sequence[tuple[Row, VoteResult]]) -> Metric:
    """The teacher's quality, with a 95 % interval. Unusable answers count as wrong; in partial tasks, as all parts missing."""
    if task.partial_credit is not None:
        return _in_parts(task, task.partial_credit, form, [row for row, _ in tried], [verdict.output for _, verdict in tried])

    def value(row: Row, verdict: VoteResult) -> float:
        if verdict.why_not:
            return 0.0
        grades = own_grades(task, [row], [Reply(verdict.output, 1.0)], form)
        return float(verdict.output == row.output) if grades is None else grades[0]

    return trials.quality([value(row, verdict) for row, verdict in tried], task.grading is not None)


def _in_parts(task: Task, credit: PartialCredit, form: Form, rows: Sequence[Row], outputs: Sequence[Any]) -> Metric:
    """The headline metric of outputs that may be partly right; 0 if there is nothing to find."""
    replies = [Reply(credit.empty if output is None else output, 1.0) for output in outputs]
    found = task.measure(rows, replies, form)[task.headline]
    return Metric(0.0, 0.0, 1.0, found.n) if math.isnan(found.value) else found


def _quality_needed(work: Work, embed: Embed | None) -> tuple[float | None, float, str]:
    """The quality that the user's rows give without a teacher (None if unknown), the quality that a teacher must reach, and why."""
    rows, task = work.fit, work.task
    if task.grading is not None:
        # Any two texts of one kind have some ROUGE-L in common; a teacher must do better than that.
        shown = rows[: work.recipe.settings(TeacherSettings).trial_rows]
        others = [task.grading.merged([rows[(place + 1) % len(rows)]])[0].output for place in range(len(shown))]
        replies = [Reply(output[0] if isinstance(output, list) else output, 1.0) for output in others]
        grades = task.grading.grades(shown, replies, work.form)
        return None, float(np.mean(grades)), "what the answer to another of your texts would get"
    if (credit := task.partial_credit) is not None:
        known = _in_parts(task, credit, work.form, rows, credit.by_heart(rows, work.form))
        return None, known.value, "what knowing your rows by heart would get"
    if task.correctness is not None:
        right = task.correctness.right(rows, [Reply(None, 1.0)] * len(rows), work.form)
        return None, float(np.mean(right)), "what knowing your rows by heart would get"
    strata = task.strata(rows)
    if work.form.json_answers or embed is None or len(rows) < _LEAST_ALONE * len(set(strata)):
        commonest = Counter(strata).most_common(1)[0][1] / len(rows)
        return None, commonest, "what the commonest answer would get"
    alone = trials.alone(embed([joined(row.input) for row in rows]), strata)
    return alone, alone, "what a linear model learns from your rows without it"


def expected_quality(work: Work, embed: Embed | None, trial: TeacherEvaluation, more: int) -> tuple[float, float]:
    """The range expected of the student: from a kernel head's accuracy with `more` rows, if the teacher is not worse than that, to the
    teacher's own."""
    low, rows = trial.quality.low, work.fit
    if trial.alone is not None and embed is not None:
        vectors = embed([joined(row.input) for row in rows])
        low = min(low, trials.accuracy_with_more_rows(vectors, work.task.strata(rows), more, work.recipe.seed))
    return low, max(low, trial.quality.high)


def _embed(work: Work, context: BuildContext) -> Embed | None:
    try:
        return embedder(work.bases.get("encoder"), context.threads)
    except MissingExtra as missing:
        context.progress.say(f"meaning is not compared: {missing}")
        return None


def _no_room(value: str) -> TeacherError:
    return TeacherError("flows.budget_has_no_room_after_trial", value=value)


def joined_with(work: Work, taught: Sequence[Row], facts: TeacherFacts) -> Work:
    """The work with the teacher's rows added to the training rows."""
    if not taught:
        return replace(work, teacher=facts)
    taught = [replace(row, taught=True) for row in taught]
    fit, task = [*work.fit, *taught], work.task
    # With the teacher's rows there may be enough rows that the held-out ones need not join the training.
    refit = work.refit and are_few(len(fit), task.strata(fit))
    by = f"{facts.model} ({'on this machine' if facts.local else facts.source})" if facts.model else facts.source
    source = f"{work.source}, and {len(taught)} rows taught by {by}"
    form = task.targets.replanned([*fit, *work.held], work.form) if task.targets is not None else work.form
    train = [*work.train, *taught] if refit else fit
    return replace(work, train=train, fit=fit, form=form, refit=refit, source=source, teacher=facts)
