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
MAX_TABLE_ROWS = 2_000_000
MAX_PLAN_BYTES = 64 << 20


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
        """The solver of the recipe."""
        return self.recipe.solver

    def state(self) -> Any:
        """The solver's own problem, with every change made.

        Raises DataError for a bad cell, InputError for a change that no longer fits.
        """
        if self._state is None:
            self._state = self.solver.read(self.recipe.settings, _read_tables(self.recipe))
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
        read = _read_by_model(self.recipe, sentence, model, known) if sentence else ReadSentence(1.0, given)
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
        return plan if self.recipe.solve.texts is None else _with_model_texts(plan, Path(self.recipe.solve.texts))


def open_problem(source: str | Path, overrides: Sequence[str] = ()) -> OpenProblem:
    """The problem of a recipe file, of the folder of a plan, or of a solver's name with `--set`.

    Raises RecipeError with every mistake, UnknownPart for a solver that does not exist.
    """
    place = Path(source)
    file = place / PLAN
    if not file.is_file():
        return OpenProblem(read_solver_recipe(str(source), overrides))
    plan = read_plan(file)
    tree = {name: plan[name] for name in ("name", "solver", "solve", plan["solver"])}
    return OpenProblem(solver_recipe_from(tree, overrides, Path(), str(file)), made_changes(plan), plan["result"])


def read_plan(file: Path) -> dict[str, Any]:
    """The content of a `plan.json`. Raises InputError for a file that is none."""
    try:
        plan: Any = json.loads(file.read_text(encoding="utf-8")) if file.stat().st_size <= MAX_PLAN_BYTES else None
        known = plan["format"] == _FORMAT and isinstance(plan["result"], dict) and isinstance(plan[plan["solver"]], dict)
        known = known and {"name", "solve", "files", "tables"} <= set(plan) and len(made_changes(plan)) == len(plan["changes"])
    except (ValueError, KeyError, TypeError, RecursionError):
        known = False
    if not known:
        raise InputError("plans.plan_cannot_be_read", value=str(file))
    return dict(plan)


def made_changes(plan: Mapping[str, Any]) -> tuple[MadeChange, ...]:
    """The changes in the content of a `plan.json`, the oldest first."""
    return tuple(MadeChange(one["change"], one["words"], one["sentence"], one["at"]) for one in plan["changes"])


def _read_tables(recipe: SolverRecipe) -> dict[str, ProblemTable]:
    found = {}
    for name in recipe.solver.table_settings():
        file = getattr(recipe.settings, name)
        if not file:
            continue
        opened = open_columns(file)
        rows = []
        for number, record in opened.records():
            if number > MAX_TABLE_ROWS:
                raise DataError("plans.table_has_too_many_rows", value=str(file), most_rows=MAX_TABLE_ROWS, file=opened.name, row=number)
            rows.append((number, record))
        found[name] = ProblemTable(opened.name, opened.columns, rows)
    return found


def _read_by_model(recipe: SolverRecipe, sentence: str, model: Path | None, known: Mapping[str, Iterable[str]]) -> ReadSentence:
    folder = model or (Path(recipe.solve.changes) if recipe.solve.changes else None)
    if folder is None:
        raise InputError("plans.sentence_needs_model_that_reads_it", value=sentence)
    with closing(load(folder)) as reader:
        predict = reading(lambda texts: [(reply.score, reply.output) for reply in reader.predict(texts)], recipe.solver, known)
        return read_sentence(sentence, predict, [name for names in known.values() for name in names])


def _with_model_texts(plan: SolvedPlan, folder: Path) -> SolvedPlan:
    with closing(load(folder)) as writer:
        texts = rewritten(plan.solution.statements, lambda facts: [str(reply.output) for reply in writer.predict(facts)])
    return replace(plan, solution=replace(plan.solution, statements=texts.statements), texts=texts)


def outputs(plan: SolvedPlan) -> dict[str, bytes]:
    """The files of a plan by name: its tables as CSV, pictures, further files, the page, and `plan.json`."""
    solution = plan.solution
    found = {f"{name}.csv": _csv(table.columns, table.rows) for name, table in solution.tables.items()}
    found |= {f"{name}.svg": picture.encode("utf-8") for name, picture in solution.pictures.items()}
    found |= dict(solution.files)
    found[PAGE] = solution_page(plan.recipe.name, plan.recipe.solver.title, solution, [one.words for one in plan.changes]).encode("utf-8")
    content = plan.json() | {"files": sorted([*found, PLAN])}
    found[PLAN] = (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode("utf-8")
    return found


def write_plan(plan: SolvedPlan, folder: Path) -> list[str]:
    """Write a plan's files into a folder and return their names. Files of the plan that was there before are replaced or removed.

    Raises InputError if another file of that name, which is not of a plan, is there.
    """
    made = outputs(plan)
    old: set[str] = set()
    if (folder / PLAN).is_file():
        old = {name for name in read_plan(folder / PLAN)["files"] if Path(name).name == name}
    foreign = sorted(name for name in made if name not in old and (folder / name).exists())
    if foreign:
        raise InputError("plans.output_file_exists_already", value=str(folder / foreign[0]))
    for name in (*(name for name in made if name != PLAN), PLAN):
        files.write(folder / name, made[name])
    for name in old - set(made):
        (folder / name).unlink(missing_ok=True)
    return sorted(made)


def _csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """A table as CSV. No text runs as a formula in a spreadsheet, and a byte-order mark tells it that the file is UTF-8."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([defused(value) if isinstance(value, str) else value for value in row] for row in rows)
    text = stream.getvalue()
    return text.encode("utf-8" if text.isascii() else "utf-8-sig")
