"""New rows from a teacher: planned where they are needed, labelled by it a second time, and filtered."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from smidgen.core.errors import RecipeError, RedactionError
from smidgen.core.parts import own_grades
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, joined
from smidgen.data.row_selection import Embed
from smidgen.data.teacher import evaluation as trials
from smidgen.data.teacher import generation
from smidgen.data.teacher.evaluation import RequestEstimate
from smidgen.data.teacher.generation import ExampleFilter, ExampleRequest
from smidgen.data.teacher.prompts import answer_text, answer_tokens, changed
from smidgen.data.teacher.questions import TeacherQuestion
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.flows.build.teachers import RemoteTeacher
from smidgen.flows.build.work import BuildContext, Work
from smidgen.privacy.redactor import Redactor

_HEAT = 0.9
"""Sampling temperature: one question must not give the same rows each time."""


@dataclass(frozen=True)
class GenerationPlan:
    """The requests to a teacher that makes examples.

    Attributes:
        known: the user's rows that the new ones should resemble.
        asked: requests with their questions and the redactors of these, without those whose rows cannot be made safe to send; `unsafe` is
            their number.
        plan: the estimated cost, including answering all new rows again and, if wanted, marking them.
    """

    known: list[Row]
    asked: list[tuple[ExampleRequest, TeacherQuestion, Redactor]]
    unsafe: int
    plan: RequestEstimate


def require_single(work: Work) -> None:
    """Raise RecipeError for a task without generated examples."""
    several = work.form.labelling is not None and work.form.labelling.multi_label
    if several or work.task.teaching is None or any(not isinstance(row.input, str) for row in work.fit[:1]):
        raise RecipeError("flows.examples_cannot_be_made_for_task", value=work.task.name)


def plan_generation(work: Work, teacher: RemoteTeacher, embed: Embed | None) -> GenerationPlan:
    """Plan the requests to a tested teacher, with their estimated cost."""
    settings = work.recipe.settings(TeacherSettings)
    labels = work.form.labelling
    known = [row for row in work.fit if labels is None or row.output in labels.labels]
    vectors = embed([joined(row.input) for row in known]) if embed is not None else None
    if (sources := work.task.teacher_sources) is not None:
        wishes = generation.plan_from_sources(sources.texts(work.recipe.asked), known, settings.generate, work.recipe.seed)
    else:
        wishes = generation.plan_requests(known, settings.generate, vectors, labels is not None, work.recipe.seed)
    questions = [_question(wish, number, work, teacher) for number, wish in enumerate(wishes)]
    asked = [(wish, *question) for wish, question in zip(wishes, questions, strict=True) if question is not None]
    again = settings.generate * (settings.votes + ("score" in settings.uses))
    making = generation.estimate_generation([question for _, question, _ in asked], teacher.took, teacher.rate, teacher.thinks)
    plan = making + RequestEstimate(again, trials.estimate_tokens(teacher.took, again))
    return GenerationPlan(known, asked, len(questions) - len(asked), plan)


def generate(
    order: GenerationPlan, work: Work, context: BuildContext, teacher: RemoteTeacher, embed: Embed | None, taught: Sequence[Row]
) -> tuple[list[Row], int, Counter[str]]:
    """Generate rows: returns those that passed every filter, the number of entries in the teacher's answers, and the dropped ones by
    reason.

    A row is kept only if the teacher, given its text alone, or with the source that it was made from, gives the same output
    again: an equal label, a quotation of the same words, a text with a ROUGE-L, or spans and fields with an F1, from `min_agreement` on.
    """
    settings, bad_form = work.recipe.settings(TeacherSettings), "not of the form that was asked for"
    answers = teacher.ask([question for _, question, _ in order.asked], "have new examples made", context.progress)
    sieve = ExampleFilter([*order.known, *taught], [*work.held, *work.test], embed, work.form.labelling is not None)
    sieve.dropped["personal data could not be redacted"] += order.unsafe
    found: list[Row] = []
    source_of: dict[str, str] = {}
    for (wish, _, redactor), answer in zip(order.asked, answers, strict=True):
        if answer.why_not is not None:
            sieve.dropped[str(answer.why_not)] += 1
            continue
        read = partial(_output, wish, work, redactor if wish.source else teacher.opening.redactor or Redactor())
        rows, bad = generation.read_examples(answer.text, wish, read)
        sieve.dropped[bad_form] += bad
        source_of.update((joined(row.input), wish.source) for row in rows)
        found += rows
    total = len(found) + sieve.dropped[bad_form]
    rows = sieve.passed(found)[: settings.generate]
    kept = []
    again = [replace(row, input=(joined(row.input), source)) if (source := source_of[joined(row.input)]) else row for row in rows]
    for row, verdict in zip(rows, teacher.verdicts(again, settings.votes, "have the new examples answered", context.progress), strict=True):
        if verdict.why_not:
            sieve.dropped[str(verdict.why_not)] += 1
        elif not _alike(work, row, verdict.output, settings.min_agreement):
            sieve.dropped["the teacher itself answers it otherwise"] += 1
        elif not sieve.masked(verdict.output):
            # The answer to the text alone resembles the texts that the student will get.
            kept.append(replace(row, output=verdict.output, shares=verdict.shares))
    return kept, total, +sieve.dropped


def _output(wish: ExampleRequest, work: Work, redactor: Redactor, text: str, value: Any) -> Any:
    """The teacher's output for a text that it made. Raises ValueError if it is unusable."""
    task, teaching = work.task, work.task.teaching
    assert teaching is not None
    if wish.source:
        output = teaching.read(answer_text(changed(value, redactor.unmask)), work.form, (text, wish.source))
        if output is None:
            raise ValueError("the source does not answer it")
        return output
    if task.partial_credit is not None:
        # Placeholders of names are restored; those of values in the seeds are not: a text with one is dropped.
        value = changed(value, redactor.unmask)
        return teaching.read(answer_text(value), work.form, text)
    return task.parse(value, work.recipe.asked)


def _question(wish: ExampleRequest, number: int, work: Work, teacher: RemoteTeacher) -> tuple[TeacherQuestion, Redactor] | None:
    """The question for a request, with its redactor; None if it cannot be made safe to send."""
    teaching, settings = work.task.teaching, work.recipe.settings(TeacherSettings)
    assert teaching is not None

    def content(row: Row) -> Any:
        shown = teaching.write(row.output, work.form, row.input)
        return json.loads(shown) if work.form.json_answers else shown

    opening, redactor = teacher.opening, teacher.redactor()
    try:
        text = redactor.twice(lambda: generation.generation_question(wish, content, opening.safe(redactor)))
    except RedactionError:  # it cannot be made safe to send
        return None
    system = generation.generation_instruction(opening.description, teaching.instruction(opening.form))
    entries = [f"{joined(row.input)}{content(row) if wish.label is None else ''}" for row in wish.seeds] or [wish.source]
    most = teacher.room(wish.count * (answer_tokens(entries) + 24))
    heat = settings.temperature if settings.temperature is not None else _HEAT
    return TeacherQuestion((("system", system), ("user", text)), most, heat, number), redactor


def _alike(work: Work, row: Row, output: Any, least: float) -> bool:
    """Whether an output matches the row's: near enough if outputs can be partly alike, else equal."""
    task = work.task
    if task.partial_credit is not None:
        return task.partial_credit.overlap(output, row.output) >= least
    grades = own_grades(task, [row], [Reply(output, 1.0)], work.form)
    return bool(output == row.output) if grades is None else grades[0] >= least
