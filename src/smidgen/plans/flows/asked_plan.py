"""A solved plan that programs ask and change: each answer is a sentence of the plan, and states only numbers of its result."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smidgen.core.errors import EngineError, InputError
from smidgen.plans.flows.problem import PLAN, OpenProblem, open_problem, read_plan, write_plan
from smidgen.plans.numbers import strange_numbers
from smidgen.plans.solving import Solver, Statement

MOST_SECONDS = 8.0
"""Most seconds of a search after a change, since a person waits for the answer."""
_MOST_SENTENCES = 5
_MOST_CHANGES = 5
_LEAST_SURE = 0.5
"""How sure the model must be of a change that it reads in a sentence before a person is asked to confirm it."""
_FIRST_LOOK = 0.01


class AskedPlan:
    """The plan in a folder, as it is there now. Safe for several threads.

    Args:
        folder: of a plan that was solved before.

    Raises InputError for a folder without a plan.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / PLAN).is_file():
            raise InputError("plans.there_is_no_plan_in_this_folder", value=str(folder))
        self._folder = folder
        self._open = open_problem(folder)
        self._busy, self._ready = threading.Lock(), threading.Event()

    @property
    def solver(self) -> Solver:
        """The part that solves it."""
        return self._open.solver

    @property
    def name(self) -> str:
        """The plan's name."""
        return self._open.recipe.name

    @property
    def reads_sentences(self) -> bool:
        """Whether a model reads its changes in sentences."""
        return bool(self._open.recipe.solve.changes)

    def warm_up(self) -> None:
        """Solve the plan once and throw that away: the next solution then computes only what a change changes. Until then none is made."""
        try:
            opened = open_problem(self._folder)
            opened.solver.solve(opened.state(), _FIRST_LOOK, opened.before)
        finally:
            self._ready.set()

    def ask(self, about: str = "") -> dict[str, Any]:
        """Say what the plan has of one thing, or its first sentences.

        Raises InputError for a name that the plan lacks.
        """
        told = read_plan(self._folder / PLAN)
        statements = self.solver.about(told["result"], about) if about.strip() else [Statement(text) for text in told["sentences"]]
        return self._told(told, statements)

    def would_change(self, given: str | Mapping[str, Any]) -> dict[str, Any]:
        """Say what a change would be, as an edit of the plan, and make none. `given`: the change, or a sentence that tells one or several.

        Raises InputError for a change that does not fit, and for a sentence that the model is not sure of.
        """
        return {"change_en": _made(open_problem(self._folder), given)}

    def change(self, given: str | Mapping[str, Any]) -> dict[str, Any]:
        """Make a change that a person confirmed, solve the plan again, and keep it.

        Raises InputError as `would_change`; then nothing is changed.
        """
        if not self._ready.is_set() or not self._busy.acquire(blocking=False):
            raise InputError("plans.plan_is_being_solved", value=self.name)
        try:
            problem = _bounded(open_problem(self._folder))
            words = _made(problem, given)
            solved = problem.solve()
            write_plan(solved, self._folder)
        finally:
            self._busy.release()
        return {"changed_en": words, **self._told(solved.json(), solved.solution.statements)}

    def _told(self, told: Mapping[str, Any], statements: Sequence[Statement]) -> dict[str, Any]:
        """An answer: its sentence, what it states where it is one, and the day of the plan."""
        texts = [statement.text for statement in statements]
        sentence = " ".join(texts[:_MOST_SENTENCES])
        if strange := strange_numbers(sentence, told["result"]):
            raise EngineError("plans.sentence_states_numbers_that_result_lacks", value=sentence, strange=", ".join(strange))
        at = datetime.fromtimestamp((self._folder / PLAN).stat().st_mtime, UTC)
        facts = dict(statements[0].facts) if len(statements) == 1 else {}
        return {"sentence_en": sentence, **facts, "solved": at.date().isoformat()}


def _bounded(problem: OpenProblem) -> OpenProblem:
    """The problem, with its search kept short enough for a person who waits."""
    solve = problem.recipe.solve
    problem.recipe = replace(problem.recipe, solve=solve.model_copy(update={"seconds": min(solve.seconds, MOST_SECONDS), "texts": None}))
    return problem


def _made(problem: OpenProblem, given: str | Mapping[str, Any]) -> str:
    """Make a change, or all that a sentence tells, in a problem that is not kept yet. Returns them in words, with what was not read."""
    made, left = list[str](), given
    while left or not made:
        if len(made) == _MOST_CHANGES:
            raise InputError("plans.sentence_tells_too_many_changes", value=str(given), most=_MOST_CHANGES)
        proposed = problem.proposed(left)
        if proposed.score < _LEAST_SURE:
            raise InputError(
                "plans.model_is_not_sure_of_change",
                value=proposed.words,
                sure=f"{proposed.score:.0%}",
                needed=f"{_LEAST_SURE:.0%}",
                example=problem.solver.examples[0],
            )
        problem.make(proposed)
        unread = f" (not read: {', '.join(proposed.unread)})" if proposed.unread else ""
        made.append(f"{proposed.words}{unread}")
        left = proposed.rest
    return " ".join(made)
