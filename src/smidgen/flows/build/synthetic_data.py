"""New rows from a teacher: asked for where they are needed, labelled by it once more, and filtered."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from smidgen.core.errors import RecipeError, RedactionError
from smidgen.core.forms import Form
from smidgen.core.parts import Task
from smidgen.core.progress import Progress
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
from smidgen.flows.build.examples import Examples
from smidgen.flows.build.teachers import RemoteTeacher
from smidgen.parts.recipe import Recipe
from smidgen.privacy.redactor import Redactor

_HEAT = 0.9
"""Sampling temperature: the same question must not bring the same rows."""


@dataclass(frozen=True)
class FilterCounts:
    """What came of generating: entries read from the teacher's answers, and those that were not kept, by reason."""

    read: int
    dropped: Counter[str]


@dataclass(frozen=True)
class GenerationPlan:
    """What is asked of a teacher that makes examples.

    Attributes:
        known: the user's rows that the new ones are to be like.
        asked: wishes with their questions; without those whose rows cannot be made safe to send, of which there are `unsafe`.
        plan: what it will take, with answering all of the new rows again and, where that is wanted, marking them.
    """

    known: list[Row]
    asked: list[tuple[ExampleRequest, TeacherQuestion]]
    unsafe: int
    plan: RequestEstimate


def require_single(task: Task, examples: Examples) -> None:
    """Raises RecipeError for a task that no examples can be made for."""
    if (
        not task.teachable
        or (examples.form.labelling is not None and examples.form.labelling.multi_label)
        or any(not isinstance(row.input, str) for row in examples.fit[:1])
    ):
        raise RecipeError(
            "examples can be made for single texts, with one label, one text, spans or fields as the answer",
            value=task.name,
            todo="Take generate out of data.teacher.uses.",
        )


def plan_generation(recipe: Recipe, task: Task, examples: Examples, teacher: RemoteTeacher, embed: Embed | None) -> GenerationPlan:
    """What to ask of a teacher that was tried, and what that will take."""
    settings = recipe.settings(TeacherSettings)
    labels = examples.form.labelling
    known = [row for row in examples.fit if labels is None or row.output in labels.labels]
    vectors = embed([joined(row.input) for row in known]) if embed is not None else None
    wishes = generation.plan_requests(known, settings.generate, vectors, labels is not None, recipe.seed)
    questions = [_question(wish, number, task, examples, teacher, settings) for number, wish in enumerate(wishes)]
    asked = [(wish, question) for wish, question in zip(wishes, questions, strict=True) if question is not None]
    again = settings.generate * (settings.votes + ("score" in settings.uses))
    making = generation.estimate_generation([question for _, question in asked], teacher.took, teacher.rate, teacher.thinks)
    return GenerationPlan(
        known, asked, len(questions) - len(asked), making + RequestEstimate(again, trials.estimate_tokens(teacher.took, again))
    )


def generate(
    order: GenerationPlan,
    recipe: Recipe,
    task: Task,
    examples: Examples,
    teacher: RemoteTeacher,
    embed: Embed | None,
    taught: Sequence[Row],
    progress: Progress,
) -> tuple[list[Row], FilterCounts]:
    """New rows that passed every sieve.

    A row is kept only where the teacher, shown its text alone, gives the output again that it made it for: a label the same, a text with a
    ROUGE-L, spans and fields with an F1, of `min_agreement` at least.
    """
    settings = recipe.settings(TeacherSettings)
    answers = teacher.ask([question for _, question in order.asked], "have new examples made", progress)
    sieve = ExampleFilter([*order.known, *taught], [*examples.held, *examples.test], embed, examples.form.labelling is not None)
    sieve.dropped["personal data could not be redacted"] += order.unsafe
    found: list[Row] = []
    for (wish, _), answer in zip(order.asked, answers, strict=True):
        if answer.why_not is not None:
            sieve.dropped[str(answer.why_not)] += 1
            continue
        rows, bad = generation.read_examples(answer.text, wish, lambda text, value: _output(task, text, value, recipe, examples, teacher))
        sieve.dropped["not of the form that was asked for"] += bad
        found += rows
    total = len(found) + sieve.dropped["not of the form that was asked for"]
    kept = sieve.passed(found)[: settings.generate]
    return _labelled_alike(kept, task, examples, teacher, settings, sieve, progress), FilterCounts(total, +sieve.dropped)


def _output(task: Task, text: str, value: Any, recipe: Recipe, examples: Examples, teacher: RemoteTeacher) -> Any:
    """What a teacher gave as the output of a text that it made. Raises ValueError where it is none."""
    if task.partial:
        # Stand-ins of names are put back; those of what the seeds hold are not: a text with one in it is not kept.
        value = changed(value, (teacher.opening.redactor or Redactor()).unmask)
        return task.heard(answer_text(value), examples.form, text)
    return task.parse(value, recipe.asked)


def _question(
    wish: ExampleRequest, number: int, task: Task, examples: Examples, teacher: RemoteTeacher, settings: TeacherSettings
) -> TeacherQuestion | None:
    """What asks for a wish; None where its seeds cannot be made safe to send."""

    def content(row: Row) -> Any:
        shown = task.quoted(row.output, examples.form, row.input)
        return json.loads(shown) if examples.form.json_answers else shown

    opening, redactor = teacher.opening, teacher.redactor()
    try:
        text = redactor.twice(lambda: generation.generation_question(wish, content, opening.safe(redactor)))
    except RedactionError:  # it cannot be made safe to send
        return None
    system = generation.generation_instruction(opening.description, task.lesson(opening.form))
    entries = [f"{joined(row.input)}{content(row) if wish.label is None else ''}" for row in wish.seeds]
    most = teacher.room(generation.PER_ANSWER * (answer_tokens(entries) + 24))
    heat = settings.temperature if settings.temperature is not None else _HEAT
    return TeacherQuestion((("system", system), ("user", text)), most, heat, number)


def _labelled_alike(
    rows: list[Row],
    task: Task,
    examples: Examples,
    teacher: RemoteTeacher,
    settings: TeacherSettings,
    sieve: ExampleFilter,
    progress: Progress,
) -> list[Row]:
    """The rows whose output the teacher gives again, shown the text alone."""
    verdicts = teacher.verdicts(rows, settings.votes, "have the new examples answered", progress)
    kept = []
    for row, verdict in zip(rows, verdicts, strict=True):
        if verdict.output is None:
            sieve.dropped[str(verdict.why_not)] += 1
        elif not _alike(task, row, verdict.output, examples.form, settings.min_agreement):
            sieve.dropped["the teacher itself answers it otherwise"] += 1
        elif not sieve.masked(verdict.output):
            # A text that was answered alone is of the same making as the texts that the student will be given.
            kept.append(replace(row, output=verdict.output, shares=verdict.shares))
    return kept


def _alike(task: Task, row: Row, output: Any, form: Form, least: float) -> bool:
    """Whether an output is the one that a row was made with: near enough to it where outputs can be more or less alike, else the same."""
    if task.partial:
        return task.overlap(output, row.output) >= least
    if task.graded:
        return task.grades([row], [Reply(output, 1.0)], form)[0] >= least
    return bool(output == row.output)
