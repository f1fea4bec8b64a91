"""Learn from a larger model: it is tried on the user's own rows, then asked for labels and new rows.

What is believed joins the rows to learn from. The held-out and the test rows stay the user's own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from smidgen.core.errors import DataError, MissingExtra, RecipeError, TeacherError
from smidgen.core.forms import LabelForm
from smidgen.core.metrics import Metric
from smidgen.core.parts import Base, Task
from smidgen.core.progress import Progress
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, joined
from smidgen.data import row_selection
from smidgen.data.label_errors import review_labels
from smidgen.data.row_selection import Embed
from smidgen.data.settings import DataSettings
from smidgen.data.tables import open_table
from smidgen.data.teacher import evaluation as trials
from smidgen.data.teacher.evaluation import CUT, RequestEstimate, TeacherEvaluation, VoteResult
from smidgen.data.teacher.questions import NoAnswerReason
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.flows.build.examples import Examples, are_few, path_of
from smidgen.flows.build.synthetic_data import GenerationPlan, generate, plan_generation, require_single
from smidgen.flows.build.teachers import BundleTeacher, RemoteTeacher, open_teacher, uses_redaction_model
from smidgen.flows.embedding import embedder
from smidgen.judge.sections import TeacherFacts, measured
from smidgen.parts.recipe import Recipe
from smidgen.text import near_duplicates

# A teacher tried on the user's own rows, before anything is bought of it: how well it does, what it must be able to reach, and what a
# student of it may come to.

_LEAST_ALONE = 2.0
"""Rows a label that it takes for a head on frozen vectors to say anything of rows that it has not seen."""
_NOT_ASKED = (NoAnswerReason.BUDGET, NoAnswerReason.PRIVATE)


def try_teacher(
    recipe: Recipe, task: Task, examples: Examples, teacher: RemoteTeacher | BundleTeacher, embed: Embed | None, progress: Progress
) -> TeacherEvaluation:
    """The teacher on the user's own rows. Raises TeacherError for one that cannot do the job."""
    settings = recipe.settings(TeacherSettings)
    own = [*examples.fit, *examples.held]
    rows = [own[place] for place in trials.draw_by_stratum(own, task.strata(own), settings.trial_rows, recipe.seed)]
    verdicts = teacher.verdicts(rows, 1, "try the teacher on your own rows", progress)
    heard = [(row, verdict) for row, verdict in zip(rows, verdicts, strict=True) if verdict.agreement or verdict.why_not not in _NOT_ASKED]
    if not heard:
        raise TeacherError(
            "the teacher could not be tried on any of your own rows",
            value=verdicts[0].why_not if verdicts else "no rows",
            todo="Raise the budget, or use a teacher on this machine for texts that may not leave it.",
        )
    quality = _quality(task, heard, examples)
    alone, needed, reason = _quality_needed(task, examples, embed, recipe)
    if settings.min_quality is not None:
        needed, reason = settings.min_quality, "data.teacher.min_quality"
    unheard = sum(verdict.output is None for _, verdict in heard)
    cut = sum(verdict.why_not == CUT for _, verdict in heard)
    most, thinks = (teacher.max_tokens, teacher.thinks) if isinstance(teacher, RemoteTeacher) else (None, False)
    found = TeacherEvaluation(quality, unheard, needed, reason, alone, cut, most, thinks)
    progress.say(
        f"the teacher's {quality_unit(task)} on {quality.n} of your rows: {quality.value:.1%} ({quality.low:.1%} to {quality.high:.1%})"
    )
    trials.require_able(found, settings.source or "", quality_unit(task))
    if cut:
        progress.say(trials.cut_off_note(found))
    return found


def quality_unit(task: Task) -> str:
    """What is measured of a teacher: the mean grade, F1 of the parts of its answers, or how many of its answers are the user's own."""
    return task.headline if task.graded or task.partial else "accuracy"


def _quality(task: Task, tried: Sequence[tuple[Row, VoteResult]], examples: Examples) -> Metric:
    """How well the teacher did, with a 95 % interval. What could not be used is wrong: of answers in parts, all are missing."""
    if task.partial:
        return _in_parts(task, [row for row, _ in tried], [verdict.output for _, verdict in tried], examples)
    return trials.quality([_value(task, row, verdict, examples) for row, verdict in tried], task.graded)


def _in_parts(task: Task, rows: Sequence[Row], outputs: Sequence[Any], examples: Examples) -> Metric:
    """The headline metric of outputs that may be right in part; 0 where there is nothing to find."""
    replies = [Reply(task.nothing if output is None else output, 1.0) for output in outputs]
    found = task.measure(rows, replies, examples.form)[task.headline]
    return Metric(0.0, 0.0, 1.0, found.n) if math.isnan(found.value) else found


def _value(task: Task, row: Row, verdict: VoteResult, examples: Examples) -> float:
    if verdict.output is None:
        return 0.0
    if task.graded:
        return task.grades([row], [Reply(verdict.output, 1.0)], examples.form)[0]
    return float(verdict.output == row.output)


def _quality_needed(task: Task, examples: Examples, embed: Embed | None, recipe: Recipe) -> tuple[float | None, float, str]:
    """What the user's rows teach without a teacher (None where that is not known), what a teacher must reach, and why."""
    rows = examples.fit
    if task.graded:
        # Any text of the house scores something against any other; a teacher must do better than that.
        others = [rows[(place + 1) % len(rows)] for place in range(len(rows))][: recipe.settings(TeacherSettings).trial_rows]
        pairs = list(zip(rows, others, strict=False))
        gathered = [task.gathered([other])[0].output for _, other in pairs]
        replies = [Reply(output[0] if isinstance(output, list) else output, 1.0) for output in gathered]
        grades = task.grades([row for row, _ in pairs], replies, examples.form)
        return None, float(np.mean(grades)), "what the answer to another of your texts would get"
    if task.partial:
        found = _in_parts(task, rows, task.by_heart(rows, examples.form), examples)
        return None, found.value, "what knowing your rows by heart would get"
    strata = task.strata(rows)
    if examples.form.json_answers or embed is None or len(rows) < _LEAST_ALONE * len(set(strata)):
        commonest = Counter(strata).most_common(1)[0][1] / len(rows)
        return None, commonest, "what the commonest answer would get"
    alone = trials.alone(embed([joined(row.input) for row in rows]), strata)
    return alone, alone, "what a linear model learns from your rows without it"


def expected_quality(
    task: Task, examples: Examples, embed: Embed | None, trial: TeacherEvaluation, more: int, seed: int
) -> tuple[float, float]:
    """Between which values the student is expected: from what a kernel head would make of so many more rows, where the teacher is not worse
    than that, to the teacher itself."""
    low = trial.quality.low
    if trial.alone is not None and embed is not None:
        rows = examples.fit
        low = min(low, trials.accuracy_with_more_rows(embed([joined(row.input) for row in rows]), task.strata(rows), more, seed))
    return low, max(low, trial.quality.high)


# Teaching from a larger model: tried on the user's own rows first, then asked for labels and new rows; what of them is believed joins
# the rows to learn from. The held-out and the test rows stay the user's own.

_NAMES = 5
"""Labels and the like that are named where the teacher is told stand-ins for them."""


@dataclass
class _LabelTally:
    """What became of the unlabelled inputs."""

    pool: int = 0
    asked: int = 0
    corrected: int = 0
    not_judged: str = ""
    dropped: Counter[str] = field(default_factory=Counter)


def teach(
    recipe: Recipe, task: Task, examples: Examples, *, base: Base | None, fresh: bool, threads: int | None, progress: Progress
) -> Examples:
    """The examples with what a larger model adds to them; as they were, where the recipe names none. `base` is the encoder to compare texts
    by, None for the starter.

    Raises:
        RecipeError: a teacher that cannot be asked for lack of a setting.
        TeacherError: it cannot do the job, or its server fails.
    """
    settings = recipe.settings(TeacherSettings)
    if settings.source is None:
        return examples
    if "label" in settings.uses and recipe.settings(DataSettings).unlabelled is None:
        raise RecipeError(
            "the teacher has nothing to label",
            value=settings.source,
            todo='Name a file of inputs (--unlabelled FILE), or let it make examples: data.teacher.uses = ["generate"].',
        )
    if "score" in settings.uses and not {"label", "generate"} & set(settings.uses):
        raise RecipeError(
            "the teacher has no answers of its own to mark",
            value=", ".join(settings.uses),
            todo="Add label, generate or both to data.teacher.uses.",
        )
    if not settings.local and not uses_redaction_model(settings):
        progress.say("what leaves is redacted by pattern alone: names, addresses and the like are not found, and are sent as they are")
    embed = _embed(base, threads, progress)
    with closing(open_teacher(recipe, task, examples.form, examples.fit, embed, fresh, threads)) as teacher:
        _tell_names(teacher, progress)
        maker = _example_maker(settings, task, examples, teacher)
        trial = try_teacher(recipe, task, examples, teacher, embed, progress)
        tally = _LabelTally()
        order = plan_generation(recipe, task, examples, maker, embed) if maker is not None else None
        if order is not None:
            _tell_order(order, settings, teacher, progress)
        pool = _wanted(recipe, examples, teacher, embed, tally, progress) if "label" in settings.uses else []
        expected = expected_quality(task, examples, embed, trial, len(pool) + (settings.generate if order else 0), recipe.seed)
        more = [f"{len(pool):,} rows of it"] if pool else []
        more += [f"up to {settings.generate:,} examples that it makes"] if order else []
        if more:
            progress.say(f"with {' and '.join(more)}, the student is expected between {expected[0]:.0%} and {expected[1]:.0%}")
        taught = _labelled(recipe, task, examples, teacher, pool, embed, tally, progress) if pool else []
        made: list[Row] = []
        facts = _facts(settings, task, trial, teacher, expected)
        if maker is not None and order is not None:
            made, sieved = generate(order, recipe, task, examples, maker, embed, taught, progress)
            if "score" in settings.uses:
                made = _scored(made, teacher, settings, sieved.dropped, progress)
            facts = facts.model_copy(
                update={"generated": sieved.read, "generated_kept": len(made), "generated_dropped": dict(sieved.dropped)}
            )
        facts = facts.model_copy(update=_spent(teacher))
    facts = facts.model_copy(
        update={
            "pool": tally.pool,
            "asked": tally.asked,
            "kept": len(taught),
            "corrected": tally.corrected,
            "not_judged": tally.not_judged,
            "dropped": {reason: count for reason, count in tally.dropped.most_common() if count},
        }
    )
    return _joined(task, examples, [*taught, *made], facts)


def _example_maker(
    settings: TeacherSettings, task: Task, examples: Examples, teacher: RemoteTeacher | BundleTeacher
) -> RemoteTeacher | None:
    """The teacher as one that makes examples; None where it is not to. Raises RecipeError where it cannot, before anything is paid for."""
    if "generate" not in settings.uses:
        return None
    if not isinstance(teacher, RemoteTeacher):
        raise RecipeError(
            "a bundle labels, and cannot make examples",
            value=settings.source,
            todo="Give the URL of a model that takes instructions, or take generate out of data.teacher.uses.",
        )
    require_single(task, examples)
    return teacher


def _tell_order(order: GenerationPlan, settings: TeacherSettings, teacher: RemoteTeacher | BundleTeacher, progress: Progress) -> None:
    """Say what it takes to have examples made, and to have each answered again and marked, before any of it is paid for."""
    again = "answer them again and mark them" if "score" in settings.uses else "answer them again"
    progress.say(f"to make {settings.generate:,} examples and {again} takes {order.plan.told(teacher.budget.price)}")
    share = teacher.budget.share_left(order.plan.tokens)
    if share < 1:
        progress.say(f"the budget has room for about {share:.0%} of that")


def _tell_names(teacher: RemoteTeacher | BundleTeacher, progress: Progress) -> None:
    """Say which labels, fields and choices the teacher does not know by their names: it may do worse with them."""
    redactor = teacher.opening.redactor if isinstance(teacher, RemoteTeacher) else None
    names = redactor.renamed() if redactor is not None else []
    if names:
        shown = ", ".join(names[:_NAMES]) + (", ..." if len(names) > _NAMES else "")
        progress.say(f"{len(names)} names look personal, and the teacher is told stand-ins for them, which are put back: {shown}")


def _embed(base: Base | None, threads: int | None, progress: Progress) -> Embed | None:
    try:
        return embedder(base, threads)
    except MissingExtra as missing:
        progress.say(f"meaning is not compared: {missing}")
        return None


def _wanted(
    recipe: Recipe, examples: Examples, teacher: RemoteTeacher | BundleTeacher, embed: Embed | None, tally: _LabelTally, progress: Progress
) -> list[Row]:
    """The unlabelled inputs that are to be labelled."""
    pool = _affordable(recipe, teacher, examples, _inputs_worth_asking(recipe, examples, tally), embed, tally, progress)
    tally.asked = len(pool)
    return pool


def _labelled(
    recipe: Recipe,
    task: Task,
    examples: Examples,
    teacher: RemoteTeacher | BundleTeacher,
    pool: Sequence[Row],
    embed: Embed | None,
    tally: _LabelTally,
    progress: Progress,
) -> list[Row]:
    """These inputs with the teacher's outputs, as far as they are believed."""
    settings = recipe.settings(TeacherSettings)
    verdicts = teacher.verdicts(pool, settings.votes, "have the unlabelled inputs labelled", progress)
    if all(verdict.why_not == NoAnswerReason.BUDGET for verdict in verdicts):
        raise _no_room(f"{teacher.budget.spent.total} tokens spent")
    labels = examples.form.single_label
    unknown = labels.unknown if labels is not None and not labels.unknown_examples else None
    taught = []
    for row, verdict in zip(pool, verdicts, strict=True):
        why = verdict.why_not or ("no label fits" if verdict.output is not None and verdict.output == unknown else "")
        if why:
            tally.dropped[str(why)] += 1
            continue
        weight = max(0.05, verdict.agreement) if task.graded or task.partial else 1.0
        taught.append(Row(row.input, verdict.output, row.number, weight, verdict.shares))
    if "score" in settings.uses:
        taught = _scored(taught, teacher, settings, tally.dropped, progress)
    if settings.doubt and labels is not None and taught:
        taught = _checked(taught, labels, examples, embed, tally, progress)
    return taught


def _inputs_worth_asking(recipe: Recipe, examples: Examples, tally: _LabelTally) -> list[Row]:
    """The unlabelled inputs that are worth asking for: not twice, not what is labelled already, and nothing near what is measured on."""
    settings = recipe.settings(DataSettings)
    assert settings.unlabelled is not None
    columns = (examples.columns["input"], examples.columns["label"] or None)
    plain = settings.model_copy(update={"label": None})
    table = open_table(path_of(settings.unlabelled, recipe), remembered=columns, need_label=False, settings=plain)
    unusable: list[DataError] = []
    rows = [replace(row, output=None) for row in table.rows(None, unusable.append)]
    tally.pool = len(rows) + len(unusable)
    tally.dropped["the text cannot be used"] = len(unusable)
    texts = [joined(row.input) for row in rows]
    repeated = near_duplicates.repeated_texts(texts, [joined(row.input) for row in examples.fit])
    leaked = near_duplicates.near_any_of(texts, [joined(row.input) for row in (*examples.test, *examples.held)])
    tally.dropped["nearly a row that is measured on"] = len(leaked)
    tally.dropped["the text is there already"] = len(repeated - leaked)
    kept = [row for place, row in enumerate(rows) if place not in leaked and place not in repeated]
    if not kept:
        raise DataError(
            "the file of unlabelled inputs holds nothing new", value=settings.unlabelled, todo="Give inputs that are in no other file."
        )
    return kept


def _affordable(
    recipe: Recipe,
    teacher: RemoteTeacher | BundleTeacher,
    examples: Examples,
    pool: list[Row],
    embed: Embed | None,
    tally: _LabelTally,
    progress: Progress,
) -> list[Row]:
    """The inputs that the budget, and the recipe, have room for: where those are not all, the ones that teach most."""
    settings = recipe.settings(TeacherSettings)
    questions = settings.votes + ("score" in settings.uses)
    each = trials.estimate_tokens(teacher.took, questions)
    whole = trials.estimate_tokens(teacher.took, questions * len(pool))
    share = teacher.budget.share_left(whole)
    most = min(len(pool), settings.rows or len(pool), int(share * len(pool)))
    if teacher.took:
        marked = " and mark its answers" if "score" in settings.uses else ""
        plan = RequestEstimate(questions * len(pool), whole)
        progress.say(f"to label all {len(pool):,} inputs{marked} takes {plan.told(teacher.budget.price)}")
    if most < 1:
        raise _no_room(f"{each.total} tokens a row")
    if most == len(pool):
        return pool
    why = "not among those that teach most" if settings.rows is not None and most == settings.rows else "the budget has no room for it"
    tally.dropped[why] += len(pool) - most
    progress.start(f"choose {most:,} of {len(pool):,} inputs", None)
    chosen = row_selection.select_unlabelled(pool, most, examples.fit if examples.form.labelling is not None else (), embed, recipe.seed)
    progress.finish(f"{most:,} inputs that cover the rest")
    return [pool[place] for place in chosen]


def _no_room(value: str) -> TeacherError:
    return TeacherError(
        "the budget has no room for a single label after the trial",
        value=value,
        todo="Raise data.teacher.budget_usd or data.teacher.budget_tokens, or set a smaller data.teacher.trial_rows.",
    )


def _scored(
    taught: list[Row], teacher: RemoteTeacher | BundleTeacher, settings: TeacherSettings, dropped: Counter[str], progress: Progress
) -> list[Row]:
    """The rows that the teacher, asked again, finds good. A row without a mark is left out: it may not be good. `dropped` counts those."""
    scores = teacher.scores(taught, progress)
    kept = []
    for row, score in zip(taught, scores, strict=True):
        if score is None or score < settings.min_score:
            dropped["the teacher gave no mark" if score is None else "the teacher's mark is too low"] += 1
        else:
            kept.append(replace(row, weight=row.weight * score))
    return kept


def _checked(
    taught: list[Row], labels: LabelForm, examples: Examples, embed: Embed | None, tally: _LabelTally, progress: Progress
) -> list[Row]:
    """The taught rows after the other rows have judged their labels."""
    progress.start("look for wrong labels of the teacher", None)
    unknown = {labels.unknown} if labels.unknown is not None else set()
    judged, tally.not_judged = review_labels(examples.fit, taught, unknown, embed)
    kept = [row for row in judged if row is not None]
    tally.corrected = sum(after is not None and after.output != before.output for before, after in zip(taught, judged, strict=True))
    tally.dropped["its label is likely wrong"] += len(taught) - len(kept)
    progress.finish(f"{len(taught) - len(kept)} left out, {tally.corrected} corrected")
    return kept


def _joined(task: Task, examples: Examples, taught: Sequence[Row], facts: TeacherFacts) -> Examples:
    """The examples with the taught rows among those to learn from."""
    if not taught:
        return replace(examples, teacher=facts)
    fit = [*examples.fit, *taught]
    # With the taught rows there may be so many that the held-out ones can stay held out.
    refit = examples.refit and are_few(len(fit), task.strata(fit))
    train = [*examples.train, *taught] if refit else fit
    by = f"{facts.model} ({'on this machine' if facts.local else facts.source})" if facts.model else facts.source
    source = f"{examples.source}, and {len(taught)} rows taught by {by}"
    form = task.replanned([*fit, *examples.held], examples.form)
    return replace(examples, train=train, fit=fit, form=form, refit=refit, source=source, teacher=facts)


def _facts(
    settings: TeacherSettings, task: Task, trial: TeacherEvaluation, teacher: RemoteTeacher | BundleTeacher, expected: tuple[float, float]
) -> TeacherFacts:
    quality = measured(trial.quality)
    assert quality is not None
    return TeacherFacts(
        source=settings.source if settings.url and settings.source else teacher.name,
        model=teacher.name,
        local=settings.local,
        redaction="" if settings.local else "model" if uses_redaction_model(settings) else "patterns",
        uses=settings.uses,
        votes=settings.votes if settings.url else 1,
        unit=quality_unit(task),
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


def _spent(teacher: RemoteTeacher | BundleTeacher) -> dict[str, object]:
    if not isinstance(teacher, RemoteTeacher):
        return {}
    spent, priced = teacher.budget.spent, teacher.budget.price
    return {
        "questions": teacher.asker.sent,
        "stored": teacher.asker.stored,
        "retried": teacher.asker.retried,
        "redacted": teacher.redacted,
        "tokens_in": spent.given,
        "tokens_out": spent.got,
        "usd": teacher.budget.spent_usd if priced.tokens_in or priced.tokens_out else None,
    }
