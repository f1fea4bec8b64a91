"""Teaching from a larger model: tried on the user's own rows first, then asked for labels and new rows; what of them is believed joins
the rows to learn from. The held-out and the test rows stay the user's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from smidgen.core.bases import Base
from smidgen.core.errors import DataError, MissingExtra, RecipeError, TeacherError
from smidgen.core.parts import Graded, Marking, Overlapping, Task
from smidgen.core.progress import Progress
from smidgen.core.rows import Row, joined
from smidgen.data import leaks, selecting
from smidgen.data.read import open_table
from smidgen.data.settings import DataSettings
from smidgen.data.teacher import trial as trials
from smidgen.data.teacher.doubting import doubted
from smidgen.data.teacher.exchange import Why
from smidgen.data.teacher.prompts import Embed
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.data.teacher.trial import Plan, Trial
from smidgen.flows.embedding import embedder
from smidgen.flows.examples import Examples, few, path_of
from smidgen.flows.generating import Order, generate, order_of, require_single
from smidgen.flows.teachers import Local, Remote, modelled, open_teacher
from smidgen.flows.trying import outlook, tried, unit
from smidgen.judge.sections import measured
from smidgen.judge.teacher_facts import TeacherFacts
from smidgen.parts.recipe import Recipe

_NAMES = 5
"""Labels and the like that are named where the teacher is told stand-ins for them."""


@dataclass
class _Tally:
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
    if not settings.local and not modelled(settings):
        progress.say("what leaves is redacted by pattern alone: names, addresses and the like are not found, and are sent as they are")
    embed = _embed(base, threads, progress)
    with closing(open_teacher(recipe, task, examples.form, examples.fit, embed, fresh, threads)) as teacher:
        _tell_names(teacher, progress)
        maker = _maker(settings, task, examples, teacher)
        trial = tried(recipe, task, examples, teacher, embed, progress)
        tally = _Tally()
        order = order_of(recipe, task, examples, maker, embed) if maker is not None else None
        if order is not None:
            _tell_order(order, settings, teacher, progress)
        pool = _wanted(recipe, examples, teacher, embed, tally, progress) if "label" in settings.uses else []
        expected = outlook(task, examples, embed, trial, len(pool) + (settings.generate if order else 0), recipe.seed)
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


def _maker(settings: TeacherSettings, task: Task, examples: Examples, teacher: Remote | Local) -> Remote | None:
    """The teacher as one that makes examples; None where it is not to. Raises RecipeError where it cannot, before anything is paid for."""
    if "generate" not in settings.uses:
        return None
    if not isinstance(teacher, Remote):
        raise RecipeError(
            "a bundle labels, and cannot make examples",
            value=settings.source,
            todo="Give the URL of a model that takes instructions, or take generate out of data.teacher.uses.",
        )
    require_single(task, examples)
    return teacher


def _tell_order(order: Order, settings: TeacherSettings, teacher: Remote | Local, progress: Progress) -> None:
    """Say what it takes to have examples made, and to have each answered again and marked, before any of it is paid for."""
    again = "answer them again and mark them" if "score" in settings.uses else "answer them again"
    progress.say(f"to make {settings.generate:,} examples and {again} takes {order.plan.told(teacher.budget.price)}")
    share = teacher.budget.share_left(order.plan.tokens)
    if share < 1:
        progress.say(f"the budget has room for about {share:.0%} of that")


def _tell_names(teacher: Remote | Local, progress: Progress) -> None:
    """Say which labels, fields and choices the teacher does not know by their names: it may do worse with them."""
    redactor = teacher.opening.redactor if isinstance(teacher, Remote) else None
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
    recipe: Recipe, examples: Examples, teacher: Remote | Local, embed: Embed | None, tally: _Tally, progress: Progress
) -> list[Row]:
    """The unlabelled inputs that are to be labelled."""
    pool = _affordable(recipe, teacher, examples, _pool(recipe, examples, tally), embed, tally, progress)
    tally.asked = len(pool)
    return pool


def _labelled(
    recipe: Recipe,
    task: Task,
    examples: Examples,
    teacher: Remote | Local,
    pool: Sequence[Row],
    embed: Embed | None,
    tally: _Tally,
    progress: Progress,
) -> list[Row]:
    """These inputs with the teacher's outputs, as far as they are believed."""
    settings = recipe.settings(TeacherSettings)
    verdicts = teacher.verdicts(pool, settings.votes, "have the unlabelled inputs labelled", progress)
    if all(verdict.why_not == Why.BUDGET for verdict in verdicts):
        raise _no_room(f"{teacher.budget.spent.total} tokens spent")
    unknown = examples.form.get("unknown") if not examples.form.get("unknown_examples") else None
    taught = []
    for row, verdict in zip(pool, verdicts, strict=True):
        why = verdict.why_not or ("no label fits" if verdict.output is not None and verdict.output == unknown else "")
        if why:
            tally.dropped[str(why)] += 1
            continue
        weight = max(0.05, verdict.agreement) if isinstance(task, Graded | Overlapping) else 1.0
        taught.append(Row(row.input, verdict.output, row.number, weight, verdict.shares))
    if "score" in settings.uses:
        taught = _scored(taught, teacher, settings, tally.dropped, progress)
    if settings.doubt and "labels" in examples.form and not examples.form.get("multi_label") and taught:
        taught = _checked(taught, examples, embed, tally, progress)
    return taught


def _pool(recipe: Recipe, examples: Examples, tally: _Tally) -> list[Row]:
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
    repeated = leaks.repeats(texts, [joined(row.input) for row in examples.fit])
    leaked = leaks.overlap(texts, [joined(row.input) for row in (*examples.test, *examples.held)])
    tally.dropped["nearly a row that is measured on"] = len(leaked)
    tally.dropped["the text is there already"] = len(repeated - leaked)
    kept = [row for place, row in enumerate(rows) if place not in leaked and place not in repeated]
    if not kept:
        raise DataError(
            "the file of unlabelled inputs holds nothing new", value=settings.unlabelled, todo="Give inputs that are in no other file."
        )
    return kept


def _affordable(
    recipe: Recipe, teacher: Remote | Local, examples: Examples, pool: list[Row], embed: Embed | None, tally: _Tally, progress: Progress
) -> list[Row]:
    """The inputs that the budget, and the recipe, have room for: where those are not all, the ones that teach most."""
    settings = recipe.settings(TeacherSettings)
    questions = settings.votes + ("score" in settings.uses)
    each = trials.plan(teacher.took, questions)
    whole = trials.plan(teacher.took, questions * len(pool))
    share = teacher.budget.share_left(whole)
    most = min(len(pool), settings.rows or len(pool), int(share * len(pool)))
    if teacher.took:
        marked = " and mark its answers" if "score" in settings.uses else ""
        plan = Plan(questions * len(pool), whole)
        progress.say(f"to label all {len(pool):,} inputs{marked} takes {plan.told(teacher.budget.price)}")
    if most < 1:
        raise _no_room(f"{each.total} tokens a row")
    if most == len(pool):
        return pool
    why = "not among those that teach most" if settings.rows is not None and most == settings.rows else "the budget has no room for it"
    tally.dropped[why] += len(pool) - most
    progress.start(f"choose {most:,} of {len(pool):,} inputs", None)
    chosen = selecting.unlabelled(pool, most, examples.fit if "labels" in examples.form else (), embed, recipe.seed)
    progress.finish(f"{most:,} inputs that cover the rest")
    return [pool[place] for place in chosen]


def _no_room(value: str) -> TeacherError:
    return TeacherError(
        "the budget has no room for a single label after the trial",
        value=value,
        todo="Raise data.teacher.budget_usd or data.teacher.budget_tokens, or set a smaller data.teacher.trial_rows.",
    )


def _scored(taught: list[Row], teacher: Remote | Local, settings: TeacherSettings, dropped: Counter[str], progress: Progress) -> list[Row]:
    """The rows that the teacher, asked again, finds good. A row without a mark is left out: it may not be good. `dropped` counts those."""
    scores = teacher.scores(taught, progress)
    kept = []
    for row, score in zip(taught, scores, strict=True):
        if score is None or score < settings.min_score:
            dropped["the teacher gave no mark" if score is None else "the teacher's mark is too low"] += 1
        else:
            kept.append(replace(row, weight=row.weight * score))
    return kept


def _checked(taught: list[Row], examples: Examples, embed: Embed | None, tally: _Tally, progress: Progress) -> list[Row]:
    """The taught rows after the other rows have judged their labels."""
    progress.start("look for wrong labels of the teacher", None)
    unknown = {examples.form["unknown"]} if "unknown" in examples.form else set()
    judged, tally.not_judged = doubted(examples.fit, taught, unknown, embed)
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
    refit = examples.refit and few(len(fit), task.strata(fit))
    train = [*examples.train, *taught] if refit else fit
    by = f"{facts.model} ({'on this machine' if facts.local else facts.source})" if facts.model else facts.source
    source = f"{examples.source}, and {len(taught)} rows taught by {by}"
    form = task.replanned([*fit, *examples.held], examples.form) if isinstance(task, Marking) else examples.form
    return replace(examples, train=train, fit=fit, form=form, refit=refit, source=source, teacher=facts)


def _facts(settings: TeacherSettings, task: Task, trial: Trial, teacher: Remote | Local, expected: tuple[float, float]) -> TeacherFacts:
    quality = measured(trial.quality)
    assert quality is not None
    return TeacherFacts(
        source=settings.source if settings.url and settings.source else teacher.name,
        model=teacher.name,
        local=settings.local,
        redaction="" if settings.local else "model" if modelled(settings) else "patterns",
        uses=settings.uses,
        votes=settings.votes if settings.url else 1,
        unit=unit(task),
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


def _spent(teacher: Remote | Local) -> dict[str, object]:
    if not isinstance(teacher, Remote):
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
