"""Build a bundle from a recipe. Only this module knows the order of steps."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from smidgen.bundles.manifest import Lineage
from smidgen.bundles.pack import refuse_foreign
from smidgen.core.progress import Progress, Silent
from smidgen.flows.build.candidates import train_students
from smidgen.flows.build.examples import gather_material, read_examples, select_rows
from smidgen.flows.build.members import build_members
from smidgen.flows.build.packaging import choose_and_measure, ship
from smidgen.flows.build.reporting import answered_rows, write_report
from smidgen.flows.build.student_plan import plan_students, settle_students
from smidgen.flows.build.teaching import teach
from smidgen.flows.build.validation import cross_validate, write_errors
from smidgen.flows.build.work import AnsweredRow, BuildContext, GivenTables, Step, Work
from smidgen.judge.report import Report
from smidgen.machine.processor import threads as thread_count
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe
from smidgen.store.files import home, remember_bundle
from smidgen.store.step_results import StepResults, step_folders
from smidgen.store.weight_files import weight_files


@dataclass(frozen=True)
class BuildResult:
    """A finished build: the bundle's folder and its report. `seconds`: the build's wall time in this run. `errors`: the number of rows in
    the error file; None if none was requested. `answers`: the test rows with the served model's replies."""

    folder: Path
    report: Report
    seconds: float
    errors: int | None = None
    answers: Sequence[AnsweredRow] = ()


def steps() -> tuple[Step, ...]:
    """The steps of a build, in order. Slow results are stored under the hash of their inputs."""
    return (
        build_members,  # of a model that consists of others, these
        read_examples,  # the rows, split, and the form of their answers
        gather_material,  # what students need beside the rows: passages, a catalogue
        plan_students,  # the students to train, and their bases
        check_space,  # on the disk
        select_rows,  # of a large file, the rows that cover the rest
        teach,  # rows added by a larger model
        settle_students,  # the students that can learn all that, and their settings
        train_students,  # each student trained, calibrated, compressed: candidates with their numbers
        choose_and_measure,  # the one to ship, packed, measured through its engine, compared with the trained model
        cross_validate,
        write_report,
        ship,  # pass the quality gate, and move it to its place
    )


_COPIES, _FROZEN_COPIES = 6, 3
"""How many times the weights of its base a student's step results take at most: trained twice with a checkpoint, exported, compressed."""
_LEAST_SPACE = 200_000_000
"""Bytes for a build without a base."""


def check_space(work: Work, context: BuildContext) -> Work:
    """The work unchanged, after old step results were removed. Raises MachineError if the disk has too little space for its students."""
    needed = _LEAST_SPACE
    for kind in work.kinds:
        part = registry.find("students", kind)
        base = work.base_of(part)
        weights = sum(file.stat().st_size for file in weight_files(base.folder)) if base is not None else 0
        needed += weights * (_FROZEN_COPIES if part.frozen else _COPIES)
    context.steps.make_room(needed)
    return work


def build(
    recipe: Recipe,
    out: Path,
    languages: Sequence[str] = (),
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
    """Build a bundle into `out`. A stopped build continues from its last finished step or epoch.

    Args:
        recipe: the recipe to build.
        out: the bundle's folder; an older bundle there is replaced in the end, in one move; anything else is left alone.
        languages: those (ISO 639-1) in which people will write, where its texts do not show it.
        given: rows that replace the files that the recipe names.
        fresh: whether to repeat every step.
        threads: threads to compute with; default one per core.
        lineage: the origin of a line's version, for its manifest.
        listed: whether `smidgen models` lists it by this folder.
        scratch: the folder for all intermediate files, instead of smidgen's home and the system's temporary folder. The caller removes it,
            and with it every text of the data. A stopped build can continue while it exists.
        errors: a file for the rows that cross-validation over all rows answers wrong.

    Raises:
        InputError: unusable data or settings.
        GateError: the served model differs from the trained one, is not good enough, or cannot be as small as requested; nothing is
            shipped.
    """
    began = time.perf_counter()
    refuse_foreign(out)
    results = StepResults((scratch or home()) / "steps", fresh, step_folders())
    work = Work(recipe, out, given, lineage, errors, languages=tuple(languages))
    with tempfile.TemporaryDirectory(prefix="smidgen-", dir=scratch) as box, ExitStack() as models:
        told = progress or Silent()
        member = partial(build, fresh=fresh, threads=threads, progress=told, listed=False, scratch=scratch)
        context = BuildContext(results, Path(box), thread_count(threads), told, fresh, models, member)
        kept = None
        try:
            for step in steps():
                work = step(work, context)
            kept = work.packed.chosen.variant.folder
        finally:
            results.close(kept)
            results.prune()
    assert work.report is not None
    wrong = write_errors(work)
    if listed:
        remember_bundle(out)
    return BuildResult(out, work.report, time.perf_counter() - began, wrong, answered_rows(work))
