"""Build: from a recipe to a bundle. The one place that knows the order."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from smidgen.bundles.manifest import Lineage
from smidgen.bundles.pack import refuse_foreign
from smidgen.core.progress import Progress, Silent
from smidgen.flows.build.candidates import train_students
from smidgen.flows.build.examples import read_examples, select_rows
from smidgen.flows.build.packaging import choose_and_measure, ship
from smidgen.flows.build.reporting import write_report
from smidgen.flows.build.student_plan import plan_students, settle_students
from smidgen.flows.build.teaching import teach
from smidgen.flows.build.validation import cross_validate, write_errors
from smidgen.flows.build.work import BuildContext, GivenTables, Step, Work
from smidgen.judge.report import Report
from smidgen.machine.processor import threads as thread_count
from smidgen.parts.recipe import Recipe
from smidgen.store.bundle_list import remember
from smidgen.store.home import home
from smidgen.store.step_results import StepResults


@dataclass(frozen=True)
class BuildResult:
    """A finished build: the bundle's folder and its report. `seconds` is the whole build's wall time in this run. `errors` are in the file
    that was asked for; None where none was."""

    folder: Path
    report: Report
    seconds: float
    errors: int | None = None


def steps() -> tuple[Step, ...]:
    """The steps of a build, in their order. What one takes long to make is stored under the hash of what it is made from."""
    return (
        read_examples,  # the rows, split, and the form of their answers
        plan_students,  # who is to be trained, from which bases
        select_rows,  # of a large file those that cover the rest
        teach,  # what a larger model adds to them
        settle_students,  # who can learn all that, and with which settings
        train_students,  # each trained, calibrated, made small: candidates with their numbers
        choose_and_measure,  # the one to ship, packed, measured through its engine, held against the trained model
        cross_validate,
        write_report,
        ship,  # past the quality gate, and to its place
    )


def build(
    recipe: Recipe,
    out: Path,
    *,
    given: GivenTables | None = None,
    fresh: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
    lineage: Lineage | None = None,
    listed: bool = True,
    scratch: Path | None = None,
    errors: str | None = None,
) -> BuildResult:
    """Build a bundle into `out`. A build that was stopped goes on from its last finished step or epoch.

    Args:
        recipe: what to build.
        out: the bundle's folder; an older bundle there is replaced in the end, in one move; anything else is left alone.
        given: rows in place of the files that the recipe names.
        fresh: do every step anew.
        threads: threads to compute with; default one a core.
        lineage: where the bundle comes from, as its manifest is to say; of a version of a line.
        listed: whether `smidgen models` lists it by this folder.
        scratch: where all that is made on the way lies, in place of smidgen's home and the system's folder for such; it is the caller's to
            remove, and with it every text of the data. A build that was stopped goes on while it is there.
        errors: a file for the rows that a model which learnt from the others answers wrong: cross-validation over all rows.

    Raises:
        InputError: data or settings that cannot be used.
        GateError: the model is not the one that was trained, not good enough, or cannot be as small as was asked; nothing is shipped.
    """
    began = time.perf_counter()
    refuse_foreign(out)
    results = StepResults((scratch or home()) / "steps", fresh)
    work = Work(recipe, out, given, lineage, errors)
    with tempfile.TemporaryDirectory(prefix="smidgen-", dir=scratch) as box, ExitStack() as models:
        context = BuildContext(results, Path(box), thread_count(threads), progress or Silent(), fresh, models)
        for step in steps():
            work = step(work, context)
    assert work.report is not None
    wrong = write_errors(work)
    results.prune()
    if listed:
        remember(out)
    return BuildResult(out, work.report, time.perf_counter() - began, wrong)
