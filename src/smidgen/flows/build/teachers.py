"""Open a teacher: a large model over HTTP, or a bundle on this machine. Both give verdicts on rows."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.abilities import Teaching
from smidgen.core.errors import RecipeError, RedactionError
from smidgen.core.forms import Form
from smidgen.core.parts import Task
from smidgen.core.progress import Progress
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text, joined
from smidgen.data.row_selection import Embed
from smidgen.data.teacher import evaluation
from smidgen.data.teacher.client import TeacherClient
from smidgen.data.teacher.evaluation import CUT, UNHEARD, Agree, VoteResult, count_votes
from smidgen.data.teacher.prompts import TeacherPrompts, answer_text, answer_tokens, changed, describe_job
from smidgen.data.teacher.questions import TeacherAnswer, TeacherQuestion
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.flows import redaction_model
from smidgen.flows.build.work import BuildContext, Work
from smidgen.flows.local_model import load
from smidgen.privacy.redactor import Find, Redactor, nothing
from smidgen.store.files import home
from smidgen.tasks import teacher_answers
from smidgen.usage import price_list
from smidgen.usage.budgets import RunBudget, TokenCount, TokenPrice

_BATCH = 64
_LEAST_SHARE = 0.01
_LONGEST = 16_384
"""Most tokens of any answer."""


class Teacher(ABC):
    """A model that labels and marks rows.

    Attributes:
        name: what it is called.
        budget: what may be spent on it, and was.
        took: tokens of each question of the last round; none where they are not counted.
        thinks: whether it has shown that it reasons before it answers.
    """

    def __init__(self, name: str, budget: RunBudget) -> None:
        self.name, self.budget = name, budget
        self.took: list[TokenCount] = []
        self.thinks = False

    @abstractmethod
    def verdicts(self, rows: Sequence[Row], votes: int, title: str, progress: Progress) -> list[VoteResult]:
        """A verdict on each row, the result of as many votes."""

    @abstractmethod
    def scores(self, rows: Sequence[Row], progress: Progress) -> list[float | None]:
        """How good it finds the output of each row, 0..1; None where it does not say."""

    @abstractmethod
    def close(self) -> None:
        """End what it runs in."""

    @property
    def max_tokens(self) -> int | None:
        """The most tokens of an answer to a row; None where nothing bounds it."""
        return None

    @property
    def stand_ins(self) -> Sequence[str]:
        """The names of labels, fields and choices that it is told stand-ins for."""
        return ()

    def spent(self) -> dict[str, object]:
        """Its questions and their cost, by the names of a report; empty if it costs nothing."""
        return {}


class RemoteTeacher(Teacher):
    """A teacher over HTTP.

    Attributes:
        rate: tokens for each byte of the questions of the last round.
        seconds: that each answer of the last round took, as far as known.
        with_sources: adds the sources that it needs to rows (`TeacherSources.attach`).
    """

    def __init__(self, asker: TeacherClient, settings: TeacherSettings, task: Task, form: Form, prompts: TeacherPrompts) -> None:
        super().__init__(settings.model, asker.budget)
        self.opening, self.asker = prompts.opening, asker
        self.redacted = 0
        self.rate = 0.0
        self.seconds: list[float] = []
        self.with_sources: Callable[[Sequence[Row]], Sequence[Row]] = lambda rows: rows
        assert task.teaching is not None
        self._settings, self._task, self._form, self._prompts = settings, task, form, prompts
        self._teaching, self._instruction = task.teaching, task.teaching.instruction(self.opening.form)

    def verdicts(self, rows: Sequence[Row], votes: int, title: str, progress: Progress) -> list[VoteResult]:
        """Ask each row `votes` times, and combine the answers into verdicts."""
        posed = self.with_sources(rows)
        asked = self._prompts.ask(posed, votes)
        answers = iter(self.ask([question for questions, _ in asked for question in questions], title, progress))
        self.redacted += sum(bool(redactor.counts) for _, redactor in asked)
        found = []
        for row, (questions, redactor) in zip(posed, asked, strict=True):
            mine = [next(answers) for _ in questions]
            read = functools.partial(self._read, redactor, row.input)
            least = self._settings.min_agreement if votes > 1 else 0.0
            found.append(count_votes(mine, read, _agree(self._task, row, self._form), least, self._task.partial_credit is not None))
        return found

    def scores(self, rows: Sequence[Row], progress: Progress) -> list[float | None]:
        """The teacher's marks for its own answers."""
        system = evaluation.marking_instruction(self.opening.description, self._instruction)
        questions: list[TeacherQuestion | None] = []
        for row in self.with_sources(rows):
            text, answer = joined(row.input), _answer(self._teaching, row.output, self._form, row.input)
            redactor = self.redactor()
            try:
                asked = redactor.twice(functools.partial(_marking, text, answer, self.opening.safe(redactor)))
                questions.append(TeacherQuestion((("system", system), ("user", asked)), self.room(evaluation.MARK_TOKENS)))
            except RedactionError:  # it cannot be made safe to send
                questions.append(None)
        answers = iter(self.ask([question for question in questions if question], "have answers scored", progress))
        return [None if question is None else _mark(next(answers)) for question in questions]

    def ask(self, questions: Sequence[TeacherQuestion], title: str, progress: Progress) -> list[TeacherAnswer]:
        """Ask plain questions."""
        answers = self.asker.ask(questions, title, progress)
        heard = [(question, answer) for question, answer in zip(questions, answers, strict=True) if answer.why_not is None]
        self.took = [TokenCount(answer.tokens_in, answer.tokens_out) for _, answer in heard]
        self.rate = sum(took.given for took in self.took) / max(1, sum(question.most_tokens_in for question, _ in heard))
        self.seconds = [answer.seconds for _, answer in heard if answer.seconds]
        self.thinks = self.thinks or any(answer.thought for answer in answers)
        return answers

    @property
    def max_tokens(self) -> int:
        """The most tokens of an answer to a row."""
        return self._prompts.max_tokens

    def room(self, tokens: int) -> int:
        """The most tokens of an answer of this length, with room for reasoning if it reasons."""
        return min(_LONGEST, tokens + (self.max_tokens if self.thinks else 0))

    @property
    def stand_ins(self) -> Sequence[str]:
        """Those that look personal."""
        return self.opening.redactor.renamed() if self.opening.redactor is not None else ()

    def spent(self) -> dict[str, object]:
        """Questions, tokens, and dollars where there is a price."""
        spent, price = self.budget.spent, self.budget.price
        return {
            "questions": self.asker.sent,
            "stored": self.asker.stored,
            "retried": self.asker.retried,
            "redacted": self.redacted,
            "tokens_in": spent.given,
            "tokens_out": spent.got,
            "usd": self.budget.spent_usd if price.tokens_in or price.tokens_out else None,
        }

    def redactor(self) -> Redactor:
        """The redactor for the texts of a new conversation with this teacher; it changes nothing if they stay on this machine."""
        return self.opening.fork()

    def close(self) -> None:
        """Close the connections."""
        self.asker.close()

    def _read(self, redactor: Redactor, text: Text, answer: str) -> Any:
        if not redactor.found:
            return self._teaching.read(answer, self._form, text)
        if redactor.unknown(answer):  # otherwise it would be learnt as words
            raise ValueError("it has a placeholder without a value")
        plain = redactor.unmask(answer)
        if self._form.json_answers:
            with contextlib.suppress(ValueError):  # text that is not JSON is reported where it is parsed
                plain = json.dumps(changed(teacher_answers.json_in(answer), redactor.unmask), ensure_ascii=False)
        return self._teaching.read(plain, self._form, text)


class BundleTeacher(Teacher):
    """A bundle as a teacher: it knows the job, and gives the probability of each answer."""

    def __init__(self, folder: Path, task: Task, form: Form, threads: int | None) -> None:
        self._model = load(folder, threads)
        own = self._model.form
        other = type(own) is not type(form) or (own.single_label is None) != (form.single_label is None)
        if self._model.manifest.task != task.name or other:
            self._model.close()
            raise RecipeError(
                "flows.teacher_bundle_has_another_shape"
                if self._model.manifest.task == task.name
                else "flows.teacher_bundle_has_another_task",
                value=str(folder),
                task=self._model.manifest.task,
                name=task.name,
            )
        super().__init__(self._model.name, RunBudget())
        self._task, self._form = task, form
        self._allowed = set(form.options)

    def verdicts(self, rows: Sequence[Row], votes: int, title: str, progress: Progress) -> list[VoteResult]:
        """The bundle's answers, with the probabilities of its labels as shares. Its answers never vary, so one vote is enough."""
        return [self._verdict(reply, row) for reply, row in zip(self._replies(rows, title, progress), rows, strict=True)]

    def scores(self, rows: Sequence[Row], progress: Progress) -> list[float | None]:
        """The score that the bundle gives its own answer; None if the row has another one."""
        replies = self._replies(rows, "have answers scored", progress)
        own = [self._verdict(reply, row).output for row, reply in zip(rows, replies, strict=True)]
        return [reply.score if output == row.output else None for row, reply, output in zip(rows, replies, own, strict=True)]

    def close(self) -> None:
        """Close the model and its engine."""
        self._model.close()

    def _replies(self, rows: Sequence[Row], title: str, progress: Progress) -> list[Reply]:
        progress.start(title, len(rows))
        replies: list[Reply] = []
        for start in range(0, len(rows), _BATCH):
            batch = self._model.predict([row.input for row in rows[start : start + _BATCH]])
            replies += batch
            progress.advance(len(batch))
        progress.finish(f"{len(replies)} answers")
        return replies

    def _verdict(self, reply: Reply, row: Row) -> VoteResult:
        if reply.output is None:
            return VoteResult(None, agreement=0.0, why_not="the teacher gave no answer that fits")
        if self._task.partial_credit is not None or self._task.grading is not None:
            if not reply.facts.get("finished", True):
                return VoteResult(None, agreement=0.0, why_not=CUT)
            try:
                if self._task.teaching is None:
                    raise ValueError("no larger model can be asked to do this task")
                return VoteResult(self._task.teaching.convert(reply.output, self._form, row.input), agreement=reply.score)
            except ValueError as error:  # for texts the reason contains the text's own words and numbers, and cannot be counted
                said = f": {error}" if self._task.partial_credit is not None else ""
                return VoteResult(None, agreement=0.0, why_not=f"{UNHEARD}{said}")
        labels = reply.output if isinstance(reply.output, list) else [reply.output]
        if self._allowed and any(self._task.labelled(label, self._form) not in self._allowed for label in labels):
            return VoteResult(None, agreement=0.0, why_not="the teacher's label is none of yours")
        if not isinstance(reply.output, str) or not self._allowed:
            return VoteResult(reply.output, agreement=reply.score)
        chances = {label: chance for label, chance in (reply.chances or {}).items() if label in self._allowed and chance >= _LEAST_SHARE}
        chances[reply.output] = max(chances.get(reply.output, 0.0), _LEAST_SHARE)
        total = sum(chances.values())
        rest = sorted((label for label in chances if label != reply.output), key=lambda label: -chances[label])
        shares = tuple((label, chances[label] / total) for label in (reply.output, *rest)) if rest else ()
        return VoteResult(reply.output, shares, reply.score)


def open_teacher(work: Work, context: BuildContext, embed: Embed | None) -> Teacher:
    """Open the teacher of a recipe, which may see the rows of `fit`.

    Raises:
        RecipeError: a setting that it needs is missing.
        RedactionError: the description, a label or another name cannot be made safe to send.
        BundleError: the redaction model is needed and cannot be opened. Nothing is asked then.
        InputError: the redaction model does not know a requested kind.
    """
    settings, task = work.recipe.settings(TeacherSettings), work.task
    assert settings.source is not None
    if not settings.url:
        return BundleTeacher(work.recipe.folder / Path(settings.source).expanduser(), task, work.form, context.threads)
    if task.teaching is None:
        raise RecipeError("flows.larger_model_cannot_do_this_task", value=task.name)
    teacher = open_remote(settings, work.task, work.form, work.fit, embed, context.fresh, context.threads)
    if task.teacher_sources is not None:
        teacher.with_sources = functools.partial(task.teacher_sources.attach, settings=work.recipe.asked)
    return teacher


def open_remote(
    settings: TeacherSettings, task: Task, form: Form, shown: Sequence[Row], embed: Embed | None, fresh: bool, threads: int | None
) -> RemoteTeacher:
    """The model over HTTP that the settings name, for a task with `teaching`. Raises as `open_teacher` does."""
    key = os.environ.get(settings.key_env) or None
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
        raise RecipeError("flows.key_has_characters_that_are_not_allowed", value=settings.key_env)
    budget = _budget(settings)
    assert task.teaching is not None
    answers = [_answer(task.teaching, _first(row.output) if task.grading is not None else row.output, form, row.input) for row in shown]
    opening = describe_job(settings.description.strip(), form, None if settings.local else _finder(settings, threads))
    system = "\n\n".join(text for text in (opening.description, task.teaching.instruction(opening.form)) if text)
    schema = form.answer_schema
    prompts = TeacherPrompts(
        system,
        shown,
        answers,
        0 if task.teacher_sources is not None else settings.examples,  # an example without its sources would teach to invent
        # A text may hold twice as much as any example, and its JSON may be spaced more widely.
        settings.max_tokens
        or (2 if task.partial_credit is not None else 1)
        * answer_tokens([*map(answer_text, answers), *(form.labelling.labels if form.labelling else ())]),
        settings.heat,
        opening,
        embed,
        # A schema with placeholders would force them into answers; then only the instruction describes the form.
        json.dumps(schema, ensure_ascii=False) if schema is not None and opening.form.answer_schema == schema else "",
    )
    # With `fresh`, free answers are asked anew; paid ones are not paid for again.
    asker = TeacherClient(settings, key, home() / "teacher", budget, fresh and settings.local)
    return RemoteTeacher(asker, settings, task, form, prompts)


def _finder(settings: TeacherSettings, threads: int | None) -> Find:
    """The finder of personal data without a fixed pattern; none, so that only patterns apply, if the settings say so."""
    return redaction_model.finder(None, settings.redact_kinds, threads) if uses_redaction_model(settings) else nothing


def uses_redaction_model(settings: TeacherSettings) -> bool:
    """Whether texts for this teacher go through the redaction model."""
    return not settings.local and settings.redact == "model"


def _budget(settings: TeacherSettings) -> RunBudget:
    """The limits, with prices. Raises RecipeError for a teacher elsewhere without any limit, and for dollars without prices."""
    if not settings.local and settings.budget_usd is None and settings.budget_tokens is None:
        raise RecipeError("flows.remote_teacher_needs_budget", value=settings.source)
    listed = next((entry for entry in price_list.read()["models"] if _plain(entry["name"]) == _plain(settings.model)), None)
    price_in = settings.price_in if settings.price_in is not None else listed["input"] if listed else None
    price_out = settings.price_out if settings.price_out is not None else listed["output"] if listed else None
    if settings.budget_usd is not None and (price_in is None or price_out is None):
        raise RecipeError("flows.budget_in_dollars_needs_price", value=settings.model)
    return RunBudget(settings.budget_usd, settings.budget_tokens, TokenPrice(price_in or 0.0, price_out or 0.0))


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _answer(teaching: Teaching, output: Any, form: Form, text: Text) -> Any:
    """The form in which a larger model should answer: a text, or the value of its JSON."""
    shown = teaching.write(output, form, text)
    return json.loads(shown) if form.json_answers else shown


def _marking(text: str, answer: Any, safe: Callable[[Any], Any]) -> str:
    """The question for a mark."""
    return evaluation.marking_question(safe(text), answer_text(safe(answer)))


def _first(output: Any) -> Any:
    """The first of several equivalent references."""
    return output[0] if isinstance(output, list) else output


def _agree(task: Task, row: Row, form: Form) -> Agree | None:
    """The function that compares answers, if they can be partly alike; else None."""
    if (credit := task.partial_credit) is not None:
        return lambda outputs: np.array([[credit.overlap(one, other) for other in outputs] for one in outputs], dtype=np.float64)
    if (grading := task.grading) is None:
        return None

    def agree(outputs: Sequence[Any]) -> NDArray[np.float64]:
        rows = [Row(row.input, one) for one in outputs for _ in outputs]
        replies = [Reply(other, 1.0) for _ in outputs for other in outputs]
        return np.asarray(grading.grades(rows, replies, form), dtype=np.float64).reshape(len(outputs), len(outputs))

    return agree


def _mark(answer: TeacherAnswer) -> float | None:
    if answer.why_not is not None:
        return None
    try:
        return evaluation.read_mark(answer.text)
    except ValueError:
        return None
