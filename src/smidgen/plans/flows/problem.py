"""Solve a problem from its tables, change it by sentences, and keep plan, tables and page in a folder."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smidgen.core.errors import DataError, InputError
from smidgen.core.progress import Progress, Silent
from smidgen.core.settings import is_file, settings_of
from smidgen.data.tables import open_columns
from smidgen.flows.answer_files import defused
from smidgen.flows.local_model import load
from smidgen.plans.changes import ReadSentence, checked_sentence, doubts, read_sentence, reading, unread, valid_change
from smidgen.plans.page import solution_page
from smidgen.plans.solver_recipe import SolverRecipe, read_solver_recipe, solver_recipe_from
from smidgen.plans.solving import Change, ProblemTable, Solution, Solver
from smidgen.plans.statements import Rewritten, checked, rewritten
from smidgen.store import files

PLAN = "plan.json"
PAGE = "page.html"
_FORMAT = 1
_MOST_ROWS = 2_000_000
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class MadeChange:
    """A change that counts: what it is, how it reads, the sentence that it came from (empty if none), and when it was made (ISO)."""

    change: Change
    words: str
    sentence: str
    at: str


@dataclass(frozen=True, slots=True)
class ProposedChange:
    """A change that a person has not confirmed yet.

    Attributes:
        change: fits the solver's schema.
        words: the change as a sentence.
        sentence: the sentence that it was found in; empty if it was given as it is.
        score: how sure the model is, 0..1; 1 if it was given as it is.
        unread: times, numbers and known names of the sentence that are not in the change.
        rest: what the sentence says after this change: another one.
        doubts: why the sentence may not change the plan without a person; see `changes.doubts`.
    """

    change: Change
    words: str
    sentence: str
    score: float
    unread: tuple[str, ...] = ()
    rest: str = ""
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SolvedPlan:
    """A problem with its changes and its solution.

    Attributes:
        recipe: what is solved.
        changes: those that count, the oldest first.
        solution: of the problem with all changes.
        seconds: how long solving took.
        texts: how many sentences a model wrote; None without one.
    """

    recipe: SolverRecipe
    changes: tuple[MadeChange, ...]
    solution: Solution
    seconds: float
    texts: Rewritten | None = None

    def json(self) -> dict[str, Any]:
        """The plan without its tables and pictures, JSON-ready."""
        written = {} if self.texts is None else {"written": self.texts.written, "refused": self.texts.refused}
        return {
            "format": _FORMAT,
            **self.recipe.json(),
            "changes": [{"change": dict(one.change), "words": one.words, "sentence": one.sentence, "at": one.at} for one in self.changes],
            "status": self.solution.status,
            "sentences": [statement.text for statement in self.solution.statements],
            "remarks": list(self.solution.remarks),
            "seconds": round(self.seconds, 2),
            "result": dict(self.solution.result),
            "tables": {name: table.title for name, table in self.solution.tables.items()},
            **({"texts": written} if written else {}),
        }


@dataclass
class OpenProblem:
    """A recipe's problem, with the changes that count. It is read once.

    Attributes:
        recipe: where its tables and settings are.
        changes: those that count.
        before: the result of the last solution; None if there is none.
        made: how many changes were made since it was opened.
    """

    recipe: SolverRecipe
    changes: tuple[MadeChange, ...] = ()
    before: Mapping[str, Any] | None = None
    made: int = 0
    _state: Any = field(default=None, repr=False)

    @property
    def solver(self) -> Solver:
        """The part that solves it."""
        return self.recipe.solver

    def state(self) -> Any:
        """The solver's own problem, with every change made.

        Raises DataError for a bad cell, InputError for a change that no longer fits.
        """
        if self._state is None:
            self._state = self.solver.read(self.recipe.settings, _tables(self.recipe))
            for made in self.changes:
                self._state = self.solver.changed(self._state, valid_change(self.solver, made.change))
        return self._state

    def proposed(self, given: str | Change, model: Path | None = None) -> ProposedChange:
        """The change that a sentence asks for, or one given as it is, not yet made.

        Raises InputError if there is none, if it does not fit, or if a sentence is given without a model.
        """
        sentence = checked_sentence(self.solver, given) if isinstance(given, str) else ""
        known = self.solver.names(self.state()) if sentence else {}
        names = [name for own in known.values() for name in own]
        read = _understood(self.recipe, sentence, model, known) if sentence else ReadSentence(1.0, given)
        change = valid_change(self.solver, read.output, sentence)
        left = unread(read.words, change, names) if sentence else []
        unsafe = doubts(read.words, change, self.solver, names) if sentence else []
        words = self.solver.shown_change(self.state(), change)
        return ProposedChange(change, words, read.words, read.score, tuple(left), read.rest, tuple(unsafe))

    def make(self, proposed: ProposedChange) -> None:
        """Make a confirmed change. Raises InputError for something that the problem lacks."""
        self._state = self.solver.changed(self.state(), proposed.change)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        self.made += 1
        self.changes = (*self.changes, MadeChange(proposed.change, proposed.words, proposed.sentence, at))

    def solve(self, progress: Progress | None = None) -> SolvedPlan:
        """The plan. Raises EngineError for a sentence with a number that the result lacks."""
        progress = progress or Silent()
        state, start = self.state(), time.perf_counter()
        progress.start(f"solving: {self.solver.title}")
        solution = checked(self.solver.solve(state, self.recipe.solve.seconds, self.before))
        plan = SolvedPlan(self.recipe, self.changes, solution, time.perf_counter() - start)
        progress.finish(solution.status)
        return plan if self.recipe.solve.texts is None else _written_anew(plan, Path(self.recipe.solve.texts))


def open_problem(source: str | Path, overrides: Sequence[str] = ()) -> OpenProblem:
    """The problem of a recipe file, of the folder of a plan, or of a solver's name with `--set`.

    Raises RecipeError with every mistake, UnknownPart for a solver that does not exist.
    """
    place = Path(source)
    if (place / PLAN).is_file():
        return _of_plan(place / PLAN, overrides)
    return OpenProblem(read_solver_recipe(str(source), overrides))


def _of_plan(file: Path, overrides: Sequence[str]) -> OpenProblem:
    told = read_plan(file)
    tree = {name: told[name] for name in ("name", "solver", "solve", told["solver"])}
    return OpenProblem(solver_recipe_from(tree, overrides, Path(), str(file)), made_changes(told), told["result"])


def read_plan(file: Path) -> dict[str, Any]:
    """The content of a `plan.json`. Raises InputError for a file that is none."""
    try:
        told: Any = json.loads(file.read_text(encoding="utf-8")) if file.stat().st_size <= _MOST_BYTES else None
        known = told["format"] == _FORMAT and isinstance(told["result"], dict) and isinstance(told[told["solver"]], dict)
        known = known and {"name", "solve", "files", "tables"} <= set(told) and len(made_changes(told)) == len(told["changes"])
    except (ValueError, KeyError, TypeError, RecursionError):
        known = False
    if not known:
        raise InputError("plans.plan_cannot_be_read", value=str(file))
    return dict(told)


def made_changes(told: Mapping[str, Any]) -> tuple[MadeChange, ...]:
    """The changes of a plan as `plan.json` has them, the oldest first."""
    return tuple(MadeChange(one["change"], one["words"], one["sentence"], one["at"]) for one in told["changes"])


def _tables(recipe: SolverRecipe) -> dict[str, ProblemTable]:
    """The tables of a recipe by the names of their settings."""
    found = {}
    for name, known in settings_of(type(recipe.settings)).items():
        file = getattr(recipe.settings, name)
        if is_file(known) and file:
            opened = open_columns(file)
            rows = []
            for number, record in opened.records():
                if number > _MOST_ROWS:
                    raise DataError("plans.table_has_more_than_rows", value=str(file), most_rows=_MOST_ROWS, file=opened.name, row=number)
                rows.append((number, record))
            found[name] = ProblemTable(opened.name, opened.columns, rows)
    return found


def _understood(recipe: SolverRecipe, sentence: str, model: Path | None, known: Mapping[str, Iterable[str]]) -> ReadSentence:
    """A sentence as a model reads it."""
    folder = model or (Path(recipe.solve.changes) if recipe.solve.changes else None)
    if folder is None:
        raise InputError("plans.sentence_needs_model_that_reads_it", value=sentence)
    with closing(load(folder)) as reader:
        predict = reading(lambda texts: [(reply.score, reply.output) for reply in reader.predict(texts)], recipe.solver, known)
        return read_sentence(sentence, predict, [name for names in known.values() for name in names])


def _written_anew(plan: SolvedPlan, folder: Path) -> SolvedPlan:
    with closing(load(folder)) as writer:
        told = rewritten(plan.solution.statements, lambda asked: [str(reply.output) for reply in writer.predict(asked)])
    return replace(plan, solution=replace(plan.solution, statements=told.statements), texts=told)


def outputs(plan: SolvedPlan) -> dict[str, bytes]:
    """The files of a plan by name: its tables as CSV, pictures, further files, the page, and `plan.json`."""
    solution = plan.solution
    found = {f"{name}.csv": _csv(table.columns, table.rows) for name, table in solution.tables.items()}
    found |= {f"{name}.svg": picture.encode("utf-8") for name, picture in solution.pictures.items()}
    found |= dict(solution.files)
    found[PAGE] = solution_page(plan.recipe.name, plan.recipe.solver.title, solution, [one.words for one in plan.changes]).encode("utf-8")
    told = plan.json() | {"files": sorted([*found, PLAN])}
    found[PLAN] = (json.dumps(told, ensure_ascii=False, indent=2) + "\n").encode("utf-8")
    return found


def write_plan(plan: SolvedPlan, folder: Path) -> list[str]:
    """Write a plan's files into a folder and return their names. Files of the plan that was there before are replaced or removed.

    Raises InputError if another file of that name, which is not of a plan, is there.
    """
    made = outputs(plan)
    old = _old_files(folder)
    strange = sorted(name for name in made if name not in old and (folder / name).exists())
    if strange:
        raise InputError("plans.file_that_would_be_written_is_already", value=str(folder / strange[0]))
    for name in (*(name for name in made if name != PLAN), PLAN):
        files.write(folder / name, made[name])
    for name in old - set(made):
        (folder / name).unlink(missing_ok=True)
    return sorted(made)


def _old_files(folder: Path) -> set[str]:
    """The names of the files of the plan in a folder."""
    file = folder / PLAN
    return {name for name in read_plan(file)["files"] if Path(name).name == name} if file.is_file() else set()


def _csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """A table as CSV. No spreadsheet takes a text in it for a formula, and the mark before other letters than ASCII's says how to read
    them."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([defused(value) if isinstance(value, str) else value for value in row] for row in rows)
    text = stream.getvalue()
    return text.encode("utf-8" if text.isascii() else "utf-8-sig")
