"""A large model on the rows that a model was measured on, given the sources that this model found: its accuracy, cost and time."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from smidgen.core.errors import InputError, TeacherError
from smidgen.core.forms import Form
from smidgen.core.parts import Task
from smidgen.core.progress import Progress
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.core.settings import Settings
from smidgen.data.teacher.evaluation import VoteResult
from smidgen.data.teacher.questions import NoAnswerReason
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.flows.build.teachers import open_remote
from smidgen.flows.build.teaching import quality_of
from smidgen.usage.budgets import TokenCount


@dataclass(frozen=True, slots=True)
class LargeBaseline:
    """A large model's result.

    Attributes:
        model: its name.
        metric: the headline metric on the rows that it was asked, and `own` the small model's on the same rows. Unusable answers are wrong.
        left: rows that were not asked, because of the budget or because they cannot be made safe to send.
        unheard: unusable answers.
        tokens: of all answers. `usd`: their cost; None without a price.
        seconds: the median time of an answer; None if that is not known.
    """

    model: str
    metric: Metric
    own: Metric
    left: int
    unheard: int
    tokens: TokenCount
    usd: float | None
    seconds: float | None

    def json(self) -> dict[str, Any]:
        """The fields of `eval --json`."""
        return {
            "model": self.model,
            "n": self.metric.n,
            "left_out": self.left,
            "unusable": self.unheard,
            "quality": self.metric.json(),
            "own_quality": self.own.json(),
            "tokens_in": self.tokens.given,
            "tokens_out": self.tokens.got,
            "usd": self.usd,
            "seconds_p50": self.seconds,
        }

    @property
    def cost(self) -> str:
        """Its tokens, and dollars if there is a price, in words."""
        dollars = f"{self.usd:,.4f} dollars, " if self.usd is not None else ""
        return f"{dollars}{self.tokens.total:,} tokens"


def ask_larger(
    task: Task,
    form: Form,
    rows: Sequence[Row],
    replies: Sequence[Reply],
    settings: TeacherSettings,
    asked: Settings,
    progress: Progress,
    *,
    threads: int | None = None,
    spent: TokenCount | None = None,
    fresh: bool = False,
) -> LargeBaseline | None:
    """Ask a large model the rows, each with the sources of the reply to it; None if the budget has no room for any.

    Args:
        replies: the small model's to these rows.
        asked: the task's settings.
        spent: what was spent of the budget before.

    Raises InputError if it has no URL, or no larger model can do the task; RecipeError, RedactionError and TeacherError as a teacher.
    """
    if not settings.url or task.teaching is None:
        raise InputError(
            "flows.large_model_cannot_be_compared_without_url" if task.teaching else "flows.large_model_cannot_be_compared_for_this_task",
            value=settings.source if task.teaching else task.name,
        )
    with closing(open_remote(settings, task, form, (), None, fresh, threads)) as teacher:
        teacher.budget.charge(spent or TokenCount())
        if task.teacher_sources is not None:
            teacher.with_sources = partial(task.teacher_sources.attach, settings=asked, replies=replies)
        before = teacher.budget.spent
        verdicts = teacher.verdicts(rows, 1, "ask the large model", progress)
        after = teacher.budget.spent
        took, known = TokenCount(after.given - before.given, after.got - before.got), teacher.seconds
        price = teacher.budget.price
    heard = [place for place, verdict in enumerate(verdicts) if verdict.why_not not in tuple(NoAnswerReason)]
    if not heard:
        reasons = {str(verdict.why_not) for verdict in verdicts}
        if reasons == {str(NoAnswerReason.REFUSED)}:
            raise TeacherError("flows.large_model_refused_every_question", value=settings.model)
        progress.say(f"the large model was not asked: {', '.join(sorted(reasons))}")
        return None
    own = [(rows[place], VoteResult(replies[place].output)) for place in heard]
    return LargeBaseline(
        settings.model,
        quality_of(task, form, [(rows[place], verdicts[place]) for place in heard]),
        quality_of(task, form, own),
        len(rows) - len(heard),
        sum(bool(verdicts[place].why_not) for place in heard),
        took,
        price.of(took.given, took.got) if price.tokens_in or price.tokens_out else None,
        statistics.median(known) if known else None,
    )
