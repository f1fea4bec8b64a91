"""A solved plan that programs query and change: each answer is a sentence of the plan, and states only numbers of its result."""

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

SEARCH_SECONDS = 8.0
"""Limit of a search after a change, since a person waits for the answer."""
_SENTENCES_IN_ANSWER = 5
_MOST_CHANGES = 5
_LEAST_SURE = 0.5
"""Minimum score of a change read from a sentence before a person is asked to confirm it."""
_WARM_UP_SECONDS = 0.01


class ServedPlan:
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
        """The solver of the plan."""
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
        """Solve the plan once to fill the caches, so that the next solution computes only what changes. Until then changes are refused."""
        try:
            opened = open_problem(self._folder)
            opened.solver.solve(opened.state(), _WARM_UP_SECONDS, opened.before)
        finally:
            self._ready.set()

    def ask(self, about: str = "") -> dict[str, Any]:
        """Return what the plan says of one thing, or its first sentences.

        Raises InputError for a name that the plan lacks.
        """
        plan = read_plan(self._folder / PLAN)
        statements = self.solver.about(plan["result"], about) if about.strip() else [Statement(text) for text in plan["sentences"]]
        return self._answer(plan, statements)

    def would_change(self, given: str | Mapping[str, Any]) -> dict[str, Any]:
        """Describe a change as an edit of the plan without making it. `given`: the change, or a sentence with one or several.

        Raises InputError for a change that does not fit, and for a sentence that the model is not sure of.
        """
        return {"change_en": _make_changes(open_problem(self._folder), given)}

    def change(self, given: str | Mapping[str, Any]) -> dict[str, Any]:
        """Make a change that a person confirmed, solve the plan again, and keep it.

        Raises InputError as `would_change`; then nothing is changed.
        """
        if not self._ready.is_set() or not self._busy.acquire(blocking=False):
            raise InputError("plans.plan_is_being_solved", value=self.name)
        try:
            problem = _with_short_search(open_problem(self._folder))
            words = _make_changes(problem, given)
            solved = problem.solve()
            write_plan(solved, self._folder)
        finally:
            self._busy.release()
        return {"changed_en": words, **self._answer(solved.json(), solved.solution.statements)}

    def _answer(self, plan: Mapping[str, Any], statements: Sequence[Statement]) -> dict[str, Any]:
        texts = [statement.text for statement in statements]
        sentence = " ".join(texts[:_SENTENCES_IN_ANSWER])
        if strange := strange_numbers(sentence, plan["result"]):
            raise EngineError("plans.sentence_states_unknown_numbers", value=sentence, strange=", ".join(strange))
        at = datetime.fromtimestamp((self._folder / PLAN).stat().st_mtime, UTC)
        facts = dict(statements[0].facts) if len(statements) == 1 else {}
        return {"sentence_en": sentence, **facts, "solved": at.date().isoformat()}


def _with_short_search(problem: OpenProblem) -> OpenProblem:
    solve = problem.recipe.solve
    problem.recipe = replace(problem.recipe, solve=solve.model_copy(update={"seconds": min(solve.seconds, SEARCH_SECONDS), "texts": None}))
    return problem


def _make_changes(problem: OpenProblem, given: str | Mapping[str, Any]) -> str:
    """Make a change, or all of a sentence, in memory. Returns them in words, with what was not read."""
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
