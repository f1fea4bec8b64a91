"""Learn: train a line's next version on all rows known now, and promote it if it beats the champion.

This module holds the order of steps: assign rows to sides → pick rows to learn from → build the challenger → compare it with the champion
on the selection set → certify it on the calibration set → promote it or not → record the outcome.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from smidgen.bundles.open import open_bundle, read_manifest
from smidgen.core.errors import BundleError, GateError, InputError, RecipeError
from smidgen.core.progress import Progress, Silent
from smidgen.flows.certify import losses
from smidgen.flows.certify.certification import CertificateTerms, certificate_standing
from smidgen.flows.embedding import embedder
from smidgen.flows.jobs import discovery
from smidgen.flows.learn import challenger, comparison, holdout, learning_rows, line_certificate, line_data, promotion
from smidgen.flows.learn.comparison import Comparison, ShareComparison, decide_promotion, is_certificate_needed
from smidgen.flows.learn.holdout import release_texts
from smidgen.flows.learn.learning_rows import LearningRows, newest
from smidgen.flows.learn.line_certificate import LineCertification
from smidgen.flows.learn.line_data import ColumnNames
from smidgen.flows.learn.settings import LearnSettings, TrafficSettings
from smidgen.flows.local_model import Model, load, read_task
from smidgen.gateway import certificate as papers
from smidgen.gateway import revocation
from smidgen.gateway.revocation import Revocation
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe, make
from smidgen.store.files import content_hash, remember_bundle
from smidgen.store.line import LastLearning, Line, LineJob, LinePointer, is_line

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_PROMOTED: Final = "promoted"
_KEPT: Final = "kept"


@dataclass(frozen=True)
class LearnResult:
    """Outcome of one learning cycle.

    Attributes:
        outcome: "promoted" or "kept".
        why: the reason, a sentence without a full stop.
        champion: id of the version that serves now.
        before: id of the version that served before.
        rows: counts of rows by side and source.
        sources: where the rows were read from, in words.
    """

    line: str
    outcome: Literal["promoted", "kept"]
    why: str
    champion: str | None
    before: str | None
    rows: dict[str, Any]
    challenger: str | None = None
    contest: Comparison | None = None
    attested: LineCertification | None = None
    reach: ShareComparison | None = None
    sources: tuple[str, ...] = ()

    @property
    def promoted(self) -> bool:
        """True if there is a new champion."""
        return self.outcome == _PROMOTED

    def json(self) -> dict[str, Any]:
        """Return the result, JSON-ready."""
        return {
            "line": self.line,
            "outcome": self.outcome,
            "why": self.why,
            "champion": self.champion,
            "before": self.before,
            "challenger": self.challenger,
            "contest": self.contest.json() if self.contest is not None else None,
            "certificate": self.attested.json() if self.attested is not None else None,
            "reach": self.reach.json() if self.reach is not None else None,
            "rows": self.rows,
            "read": list(self.sources),
        }


def learn(folder: Path, ask: LearnSettings, progress: Progress | None = None, now: datetime | None = None) -> LearnResult:
    """Run one learning cycle on the line in a folder. Creates the line if there is none.

    Raises:
        InputError: the settings do not fit the line.
        DataError: rows cannot be read or learnt from.
        BundleError: the line or its champion cannot be opened.
        LineBusy: another process learns on the line, or its champion was changed meanwhile.
        TrafficError: the store of traffic cannot be read.
    """
    progress = progress or Silent()
    began = now or datetime.now(UTC)
    jobs = [discovery.job_for_line(id) for id in ask.traffic.jobs]
    new, there = not is_line(folder), folder.exists()
    line = _open_line(folder, ask, jobs)
    try:
        with line.learning(), ExitStack() as stack:
            if new:
                stack.callback(line.undo)  # a new line that ends without a champion is removed
            return _learn_locked(line, ask, jobs, stack, began, now, progress)
    finally:
        if new:
            line.leave(folder=not there)


def _learn_locked(
    line: Line, ask: LearnSettings, jobs: Sequence[LineJob], stack: ExitStack, began: datetime, now: datetime | None, progress: Progress
) -> LearnResult:
    """Run the cycle on an existing line, under its lock for learning. `stack` closes before the lock is released."""
    # Before the sweep: deleting a version's certificate deletes the key to its revocation in smidgen's home.
    holdout.remember_revocations(line, holdout.known_revocations(line), began)
    promotion.sweep_line(line)
    work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=promotion.WORK, dir=line.folder)))
    if ask.line.bundle is not None:
        _adopt_bundle(line, ask.line.bundle, work, began, progress)
    champion = load(line.folder, ask.build.threads) if line.read().champion is not None else None
    if champion is not None:
        stack.callback(champion.close)
    for job in jobs:
        discovery.take_up_job(line, job, champion.manifest.task if champion is not None else ask.line.task)
    recipe = _recipe(line, champion, ask)
    losses.check_loss(ask.certificate.loss or "likeness", registry.find("tasks", recipe.task))
    names = ColumnNames(ask.rows.input, ask.rows.label, champion.columns if champion is not None else (None, None))
    for file in ask.rows.files:
        line_data.keep_file(file, line, recipe, names, began, progress)
    for name in ask.traffic.forget:
        line_data.forget_source(line, name)
    revoked, read = holdout.known_revocations(line), now or datetime.now(UTC)
    pointer = line_data.remember_source(line, holdout.remember_revocations(line, revoked, read), ask.traffic)
    form = champion.form if champion is not None else None
    material = line_data.collect_rows(line, pointer, recipe, form, ask.traffic, revoked=pointer.fresh_since, now=read)
    if champion is not None and _is_repeat(pointer.last, ask, material):
        return _keep_champion(line, pointer, began, "there is nothing new to learn from", ask, material)
    release_texts(line, material.joined)
    started = _StartedLearning(line, pointer, champion, revoked, recipe, work, began, now)
    return _challenge(started, material, ask, progress)


@dataclass(frozen=True)
class _StartedLearning:
    """A learning cycle in progress.

    Attributes:
        champion: the version that serves.
        revoked: revocations known when the rows were read.
        work: the folder for intermediate files.
        began: start of the cycle.
        now: the time for certificates; None for the clock's.
    """

    line: Line
    pointer: LinePointer
    champion: Model | None
    revoked: frozenset[Revocation]
    recipe: Recipe
    work: Path
    began: datetime
    now: datetime | None


def _challenge(started: _StartedLearning, material: LearningRows, ask: LearnSettings, progress: Progress) -> LearnResult:
    """Build a challenger, compare it with the champion, certify it, and decide."""
    line, pointer, champion, recipe, began = started.line, started.pointer, started.champion, started.recipe, started.began
    known = material
    if len(material.learning) > ask.rows.max_rows:
        material = learning_rows.pick_rows(material, ask.rows.max_rows, embedder(None, ask.build.threads), recipe.seed, progress)
    labelled = registry.find("tasks", recipe.task).rows_name_labels
    if labelled:
        material = learning_rows.drop_outdated(material, pointer.fresh_since, lambda: embedder(None, ask.build.threads), progress)
    line_data.mark_reservoir(pointer, material.learning, ask.traffic, labelled=labelled)
    try:
        built = challenger.build_challenger(
            recipe,
            material,
            started.work,
            name=pointer.name,
            champion=champion,
            line=line.folder,
            threads=ask.build.threads,
            progress=progress,
        )
    except GateError as error:
        if champion is None:
            raise
        return _keep_champion(line, pointer, began, f"the challenger does not meet its gate: {error.what} ({error.value})", ask, known)
    # Record the texts that this version must never be certified on before anything is decided.
    holdout.record_seen(line, read_manifest(built.folder).id, known)
    lost = challenger.find_lost_labels(champion.form, read_task(read_manifest(built.folder))[1]) if champion is not None else ()
    if lost and champion is not None and ask.promotion.fewer_labels != "promote":  # before any look is spent
        return _keep_champion(line, pointer, began, challenger.why_kept_out(lost, champion.form), ask, known)
    standing = certificate_standing(champion.folder, started.now) if champion is not None else None
    holds = standing is not None and standing.valid
    before = standing.certificate if standing is not None else None
    # The look number must not enter the hash, so the terms take 1 here.
    used = line_certificate.resolve_terms(ask.certificate, before, material.certifying, 1)
    sight = _look_numbers(pointer, champion, challenger.hash_bundle(built.folder), used, known, ask)
    compared = champion is not None and bool(material.choosing)
    contests = sight.contests if compared else pointer.contests
    # Looks are recorded before anything is seen, so that they count whatever the result, and after a crash.
    _record_looks(line, contests, pointer.looks)
    with closing(load(built.folder, ask.build.threads)) as model:
        fought, paper, reached, id = None, line_certificate.UNTESTED, None, model.id
        if champion is not None:
            fought = comparison.compare(
                champion,
                model,
                material.choosing,
                level=ask.promotion.level,
                margin=ask.promotion.margin,
                seed=recipe.seed,
                look=sight.contests,
            )
        serving = (
            comparison.CertifiedModel(champion, standing, started.now) if champion is not None and standing is not None and holds else None
        )
        more = False
        if fought is not None and serving is not None and not (fought.won or fought.behind):
            terms = line_certificate.resolve_terms(ask.certificate, before, material.certifying, sight.looks)
            expected = line_certificate.expected_certificate(model, len(material.certifying), terms)
            more = expected is not None and expected.share > serving.share(material.choosing) + ask.promotion.margin
        if is_certificate_needed(fought, holds, more):
            _record_looks(line, contests, sight.looks)
            paper = line_certificate.certify_version(
                model,
                material.certifying,
                ask.certificate,
                before,
                sight.looks,
                built_from=built.given,
                now=started.now,
                progress=progress,
            )
            if more and paper.certificate is not None and serving is not None and fought is not None:
                rows, other = (
                    newest(material.certifying),
                    comparison.CertifiedModel(model, certificate_standing(built.folder, started.now), started.now),
                )
                reached = comparison.compare_shares(serving.answered(rows), other.answered(rows), fought.level)
    tested = paper.looked
    _record_looks(line, contests, sight.looks if tested else pointer.looks)  # a test that did not run is taken back
    verdict = decide_promotion(fought, paper.certificate is not None, holds, ask.promotion.uncertified == "promote", reached)
    why = verdict.why if paper.certificate is not None else f"{verdict.why}. No certificate: {paper.why}"
    promote = verdict.promote
    if promote and holdout.known_revocations(line) != started.revoked:
        promote, why = (
            False,
            "a certificate of the line was revoked while it learnt: the held-out rows are no longer like the traffic",
        )
    if promote:
        promotion.promote(line, built.folder, by="learn", why=why, instead_of=champion.id if champion is not None else None)
        if holdout.was_revoked_since(line, started.revoked, started.now or datetime.now(UTC)):
            progress.say("a certificate was revoked while the new version was put in place: the new version's certificate does not hold")
        remember_bundle(line.folder)
    outcome: Literal["promoted", "kept"] = _PROMOTED if promote else _KEPT
    last = LastLearning(
        at=began,
        outcome=outcome,
        why=why[:2000],
        rows_sha256=known.whole_sha256,
        asked_sha256=_request_hash(ask),
        compared_sha256=sight.compared_sha256 if compared else "",
        tested_sha256=sight.tested_sha256 if tested else "",
    )
    after = _record_learning(line, last)
    read = line_data.describe_sources(pointer, ask.traffic)
    return LearnResult(
        pointer.name, outcome, why, after.champion, pointer.champion, built.material.json(), id, fought, paper, reached, read
    )


def _open_line(folder: Path, ask: LearnSettings, jobs: Sequence[LineJob]) -> Line:
    """Open the line, or create it if the settings name a task, a bundle or a job."""
    line = Line(folder)
    if not is_line(folder) and ask.line.task is None and ask.line.bundle is None and not jobs:
        raise InputError(
            "there is no line here, and no task for a new one",
            value=str(folder),
            todo="Begin one: --task classify with --data FILE or captured requests, --job ID, or --from BUNDLE.",
        )
    line.begin(ask.line.name or folder.resolve().name, ask.line.hold_out)
    return line


def _adopt_bundle(line: Line, bundle: Path, work: Path, now: datetime, progress: Progress) -> None:
    """Make a bundle the line's first version, with its certificate and revocations, and keep its training rows if the file is available."""
    if line.read().champion is not None:
        raise InputError("the line has a champion already", value=str(line.folder), todo="Leave out --from, or begin another line.")
    opened = open_bundle(bundle)
    copy = work / "taken"
    try:
        shutil.copytree(bundle, copy)
        if papers.place(bundle).is_file():
            shutil.copyfile(papers.place(bundle), papers.place(copy))
        revocation.carry(bundle, copy)
    except OSError as error:
        raise BundleError(
            "the bundle cannot be copied into the line with its certificate and revocations",
            value=f"{bundle}: {error.strerror or error}",
            todo="Make its folder readable, and free some disk space.",
        ) from error
    try:
        recipe = challenger.recipe_of_bundle(bundle)
        line_data.keep_original(recipe, line, opened.manifest.data.sha256 if opened.manifest.data is not None else None, now, progress)
        rows = line_data.collect_rows(line, line.read(), recipe, read_task(opened.manifest)[1], TrafficSettings(use=False)).whole_sha256
    except RecipeError:
        progress.say("the bundle has no recipe: a later version of it can only be built with --task and --set")
        rows = LearningRows((), (), ()).whole_sha256
    promotion.promote(line, copy, by="hand", why=f"the line begins with the bundle {opened.manifest.name}", instead_of=None)
    _record_learning(line, LastLearning(at=_NEVER, outcome=_PROMOTED, why="taken in", rows_sha256=rows))


def _recipe(line: Line, champion: Model | None, ask: LearnSettings) -> Recipe:
    """Return the champion's recipe with the settings asked for; for a line without a champion, a recipe from those settings alone."""
    if champion is not None and ask.line.task not in (None, champion.manifest.task):
        raise InputError(
            "the line's champion has another task", value=f"{champion.manifest.task}, not {ask.line.task}", todo="Begin another line."
        )
    if champion is not None and (champion.folder / "recipe.toml").is_file():
        return challenger.recipe_of_bundle(champion.folder, ask.build.overrides)
    pointer = line.read()
    task = ask.line.task or next((job.task for job in pointer.jobs), None)
    if task is None:
        raise InputError("the line has no task", value=str(line.folder), todo="Give --task, and --set for settings of its recipe.")
    return make({"name": pointer.name, "task": task}, ask.build.overrides, folder=Path.cwd())


def _is_repeat(last: LastLearning | None, ask: LearnSettings, material: LearningRows) -> bool:
    """Return True if this cycle would repeat the last one: same rows, same settings."""
    if last is None or last.asked_sha256 not in ("", _request_hash(ask)) or (not last.asked_sha256 and ask.build.overrides):
        return False
    return last.rows_sha256 == material.whole_sha256


def _request_hash(ask: LearnSettings) -> str:
    """Hash the settings that the outcome depends on, besides the rows."""
    build, promotion, asked = ask.build, ask.promotion, ask.certificate.model_dump()
    certificate = {"model" if name == "reference_model" else name: value for name, value in asked.items()}
    anyway, fewer_labels = promotion.uncertified == "promote", promotion.fewer_labels == "promote"
    return content_hash([build.overrides, ask.rows.max_rows, promotion.level, promotion.margin, certificate, anyway, fewer_labels])


def _keep_champion(line: Line, pointer: LinePointer, began: datetime, why: str, ask: LearnSettings, material: LearningRows) -> LearnResult:
    last = LastLearning(at=began, outcome=_KEPT, why=why[:2000], rows_sha256=material.whole_sha256, asked_sha256=_request_hash(ask))
    _record_learning(line, last)
    read = line_data.describe_sources(pointer, ask.traffic)
    return LearnResult(pointer.name, _KEPT, why, pointer.champion, pointer.champion, material.json(), sources=read)


@dataclass(frozen=True)
class _LookNumbers:
    """Numbers of this cycle's looks at the held-out rows.

    Attributes:
        contests: number of its comparison.
        looks: number of its test for a certificate.
        compared_sha256, tested_sha256: hashes of everything that each depends on.
    """

    contests: int
    looks: int
    compared_sha256: str
    tested_sha256: str


def _look_numbers(
    pointer: LinePointer, champion: Model | None, made_sha256: str, terms: CertificateTerms, material: LearningRows, ask: LearnSettings
) -> _LookNumbers:
    """Number the looks of this cycle: each is the next one, unless it repeats the last one.

    A repeat, made to decide otherwise (--uncertified), shows nothing new. Another challenger (`made_sha256`) is no repeat. Neither are
    other `terms`, even if they are inherited from the champion's certificate.
    """
    made = [champion.id if champion is not None else None, made_sha256, material.whole_sha256, ask.build.overrides, ask.rows.max_rows]
    compared, tested = content_hash([*made, ask.promotion.level, ask.promotion.margin]), content_hash([*made, asdict(terms)])
    last = pointer.last
    again = (last is not None and last.compared_sha256 == compared, last is not None and last.tested_sha256 == tested)
    return _LookNumbers(
        max(1, pointer.contests) if again[0] else pointer.contests + 1,
        max(1, pointer.looks) if again[1] else pointer.looks + 1,
        compared,
        tested,
    )


def _record_looks(line: Line, contests: int, looks: int) -> None:
    """Record the number of looks so far."""
    found = line.read()
    if (found.contests, found.looks) != (contests, looks):
        line.change(lambda found: found.model_copy(update={"contests": contests, "looks": looks}))


def _record_learning(line: Line, last: LastLearning) -> LinePointer:
    return line.change(lambda found: found.model_copy(update={"last": last}))
