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
from smidgen.core.parts import Task
from smidgen.core.progress import Progress, Silent
from smidgen.flows.certify import losses
from smidgen.flows.certify.certification import certificate_standing
from smidgen.flows.embedding import embedder
from smidgen.flows.jobs import discovery
from smidgen.flows.learn import challenger, holdout, learning_rows, line_certificate, line_data, promotion
from smidgen.flows.learn.challenger import BuiltChallenger
from smidgen.flows.learn.comparison import (
    CertifiedModel,
    Comparison,
    ShareComparison,
    compare,
    compare_shares,
    decide_promotion,
    is_certificate_needed,
)
from smidgen.flows.learn.learning_rows import LearningRows, newest
from smidgen.flows.learn.line_certificate import LineCertification
from smidgen.flows.learn.line_data import ColumnNames
from smidgen.flows.learn.settings import LearnSettings, TrafficSettings
from smidgen.flows.local_model import Model, load, read_task
from smidgen.gateway import certificate, revocation
from smidgen.gateway.certificate_status import CertificateStatus
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
        line: name of the line.
        outcome: "promoted" or "kept".
        why: the reason, a sentence without a full stop.
        champion: id of the version that serves now.
        before: id of the version that served before.
        rows: counts of rows by side and source.
        challenger: id of the new version; None if none was built or it was kept out before any test.
        comparison: of challenger and champion; None without a champion.
        certification: the test for a certificate.
        share_comparison: the shares that both answer under their certificates, if these were compared.
        sources: where the rows were read from, in words.
    """

    line: str
    outcome: Literal["promoted", "kept"]
    why: str
    champion: str | None
    before: str | None
    rows: dict[str, Any]
    challenger: str | None = None
    comparison: Comparison | None = None
    certification: LineCertification | None = None
    share_comparison: ShareComparison | None = None
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
            "contest": self.comparison.json() if self.comparison is not None else None,
            "certificate": self.certification.json() if self.certification is not None else None,
            "reach": self.share_comparison.json() if self.share_comparison is not None else None,
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
    # Before the sweep: revocations are found by their certificates, and the sweep deletes those of old versions.
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
    losses.check_loss(ask.certificate.loss or "likeness", _learning_task(recipe.task))
    names = ColumnNames(ask.rows.input, ask.rows.label, champion.columns if champion is not None else (None, None))
    for file in ask.rows.files:
        line_data.keep_file(file, line, recipe, names, began, progress)
    for name in ask.traffic.forget:
        line_data.forget_source(line, name)
    revoked, read = holdout.known_revocations(line), now or datetime.now(UTC)
    pointer = line_data.remember_source(line, holdout.remember_revocations(line, revoked, read), ask.traffic)
    form = champion.form if champion is not None else None
    rows = line_data.collect_rows(line, pointer, recipe, form, ask.traffic, revoked=pointer.fresh_since, now=read)
    if champion is not None and _is_repeat(pointer.last, ask, rows):
        return _keep_champion(line, pointer, began, "there is nothing new to learn from", ask, rows)
    holdout.record_learnt_texts(line, rows.joined)
    return _challenge(_StartedLearning(line, pointer, champion, revoked, recipe, work, began, now), rows, ask, progress)


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


def _challenge(started: _StartedLearning, rows: LearningRows, ask: LearnSettings, progress: Progress) -> LearnResult:
    """Build a challenger, test it, and promote it or keep the champion."""
    line, pointer, champion = started.line, started.pointer, started.champion
    selected = _select_rows(started, rows, ask, progress)
    try:
        built = challenger.build_challenger(
            started.recipe,
            selected,
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
        why = f"the challenger does not meet its gate: {error.what} ({error.value})"
        return _keep_champion(line, pointer, started.began, why, ask, rows)
    # Record the texts that this version must never be certified on before anything is decided.
    holdout.record_seen(line, read_manifest(built.folder).id, rows)
    lost = challenger.find_lost_labels(champion.form, read_task(read_manifest(built.folder))[1]) if champion is not None else ()
    if lost and champion is not None and ask.promotion.fewer_labels != "promote":  # before any look is spent
        return _keep_champion(line, pointer, started.began, challenger.why_kept_out(lost, champion.form), ask, rows)
    standing = certificate_standing(champion.folder, started.now) if champion is not None else None
    looks = _number_looks(started, built, selected, standing, rows, ask)
    # Looks are recorded before anything is seen, so that they count whatever the result, and after a crash.
    looks.record(line)
    with closing(load(built.folder, ask.build.threads)) as model:
        tests = _test_challenger(started, built, model, selected, standing, looks, ask, progress)
    looks.record(line, certified=tests.certification.looked)  # if no test ran, this restores the old number
    holds = standing is not None and standing.valid
    verdict = decide_promotion(
        tests.comparison, tests.certification.certificate is not None, holds, ask.promotion.uncertified == "promote", tests.share_comparison
    )
    why = verdict.why if tests.certification.certificate is not None else f"{verdict.why}. No certificate: {tests.certification.why}"
    promote = verdict.promote
    if promote and holdout.known_revocations(line) != started.revoked:
        promote, why = (
            False,
            "a certificate of the line was revoked while it learnt: the held-out rows are no longer like the traffic",
        )
    if promote:
        _promote(started, built, why, progress)
    return _finish(started, built, tests, looks, promote, why, rows, ask)


def _select_rows(started: _StartedLearning, rows: LearningRows, ask: LearnSettings, progress: Progress) -> LearningRows:
    """Pick the rows to learn from, drop outdated ones, and mark the line's reservoir."""
    recipe, pointer = started.recipe, started.pointer
    if len(rows.learning) > ask.rows.max_rows:
        rows = learning_rows.pick_rows(rows, ask.rows.max_rows, embedder(None, ask.build.threads), recipe.seed, progress)
    labelled = registry.find("tasks", recipe.task).rows_name_labels
    if labelled:
        rows = learning_rows.drop_outdated(rows, pointer.fresh_since, lambda: embedder(None, ask.build.threads), progress)
    line_data.mark_reservoir(pointer, rows.learning, ask.traffic, labelled=labelled)
    return rows


@dataclass(frozen=True)
class _ChallengerTests:
    """Results of a challenger's tests. `id`: the challenger's. See `LearnResult` for the others."""

    id: str
    comparison: Comparison | None
    certification: LineCertification
    share_comparison: ShareComparison | None = None


def _test_challenger(
    started: _StartedLearning,
    built: BuiltChallenger,
    model: Model,
    selected: LearningRows,
    standing: CertificateStatus | None,
    looks: _LookNumbers,
    ask: LearnSettings,
    progress: Progress,
) -> _ChallengerTests:
    """Compare the challenger with the champion, and certify it if that could change the decision."""
    champion, before = started.champion, standing.certificate if standing is not None else None
    serving = None
    if champion is not None and standing is not None and standing.valid:
        serving = CertifiedModel(champion, standing, started.now)
    compared = None
    if champion is not None:
        level, margin = ask.promotion.level, ask.promotion.margin
        compared = compare(champion, model, selected.choosing, level=level, margin=margin, seed=started.recipe.seed, look=looks.comparison)
    more = False
    if compared is not None and serving is not None and not (compared.won or compared.behind):
        terms = line_certificate.resolve_terms(ask.certificate, before, selected.certifying, looks.certification)
        expected = line_certificate.expected_certificate(model, len(selected.certifying), terms)
        more = expected is not None and expected.share > serving.share(selected.choosing) + ask.promotion.margin
    if not is_certificate_needed(compared, serving is not None, more):
        return _ChallengerTests(model.id, compared, line_certificate.UNTESTED)
    looks.record(started.line, certified=True)
    certification = line_certificate.certify_version(
        model,
        selected.certifying,
        ask.certificate,
        before,
        looks.certification,
        built_from=built.given,
        now=started.now,
        progress=progress,
    )
    if not more or certification.certificate is None or serving is None or compared is None:
        return _ChallengerTests(model.id, compared, certification)
    rows, other = newest(selected.certifying), CertifiedModel(model, certificate_standing(built.folder, started.now), started.now)
    shares = compare_shares(serving.answered(rows), other.answered(rows), compared.level)
    return _ChallengerTests(model.id, compared, certification, shares)


def _promote(started: _StartedLearning, built: BuiltChallenger, why: str, progress: Progress) -> None:
    line, champion = started.line, started.champion
    promotion.promote(line, built.folder, by="learn", why=why, instead_of=champion.id if champion is not None else None)
    if holdout.was_revoked_since(line, started.revoked, started.now or datetime.now(UTC)):
        progress.say("a certificate was revoked while the new version was put in place: the new version's certificate does not hold")
    remember_bundle(line.folder)


def _finish(
    started: _StartedLearning,
    built: BuiltChallenger,
    tests: _ChallengerTests,
    looks: _LookNumbers,
    promoted: bool,
    why: str,
    rows: LearningRows,
    ask: LearnSettings,
) -> LearnResult:
    """Record the outcome in the line and return it."""
    outcome: Literal["promoted", "kept"] = _PROMOTED if promoted else _KEPT
    last = LastLearning(
        at=started.began,
        outcome=outcome,
        why=why[:2000],
        rows_sha256=rows.whole_sha256,
        asked_sha256=_request_hash(ask),
        compared_sha256=looks.compared_sha256 if looks.compares else "",
        tested_sha256=looks.tested_sha256 if tests.certification.looked else "",
    )
    after = _record_learning(started.line, last)
    return LearnResult(
        started.pointer.name,
        outcome,
        why,
        after.champion,
        started.pointer.champion,
        built.material.json(),
        tests.id,
        tests.comparison,
        tests.certification,
        tests.share_comparison,
        line_data.describe_sources(started.pointer, ask.traffic),
    )


def _open_line(folder: Path, ask: LearnSettings, jobs: Sequence[LineJob]) -> Line:
    """Open the line, or create it if the settings name a task, a bundle or a job."""
    line = Line(folder)
    if not is_line(folder) and ask.line.task is None and ask.line.bundle is None and not jobs:
        raise InputError("flows.new_line_needs_task", value=str(folder))
    line.begin(ask.line.name or folder.resolve().name, ask.line.hold_out)
    return line


def _adopt_bundle(line: Line, bundle: Path, work: Path, now: datetime, progress: Progress) -> None:
    """Make a bundle the line's first version, with its certificate and revocations, and keep its training rows if the file is available."""
    if line.read().champion is not None:
        raise InputError("flows.line_has_champion_already", value=str(line.folder))
    opened = open_bundle(bundle)
    _learning_task(opened.manifest.task)
    copy = work / "taken"
    try:
        shutil.copytree(bundle, copy)
        if certificate.place(bundle).is_file():
            shutil.copyfile(certificate.place(bundle), certificate.place(copy))
        revocation.carry(bundle, copy)
    except OSError as error:
        raise BundleError("flows.bundle_cannot_be_copied_into_line", value=f"{bundle}: {error.strerror or error}") from error
    try:
        recipe = challenger.recipe_of_bundle(bundle)
        line_data.keep_original(recipe, line, opened.manifest.data.sha256 if opened.manifest.data is not None else None, now, progress)
        rows = line_data.collect_rows(line, line.read(), recipe, read_task(opened.manifest)[1], TrafficSettings(use=False)).whole_sha256
    except RecipeError:
        progress.say("the bundle has no recipe: a later version of it can only be built with --task and --set")
        rows = LearningRows((), (), ()).whole_sha256
    promotion.promote(line, copy, by="hand", why=f"the line begins with the bundle {opened.manifest.name}", instead_of=None)
    _record_learning(line, LastLearning(at=_NEVER, outcome=_PROMOTED, why="taken in", rows_sha256=rows))


def _learning_task(name: str) -> Task:
    """Return the task of a line. Raises InputError for desks: the next version of a desk would be made of the same members."""
    task: Task = registry.find("tasks", name)
    if task.serving is not None:
        raise InputError("flows.desk_does_not_learn_as_whole", value=name)
    return task


def _recipe(line: Line, champion: Model | None, ask: LearnSettings) -> Recipe:
    """Return the champion's recipe with the settings asked for; for a line without a champion, a recipe from those settings alone."""
    if champion is not None and ask.line.task not in (None, champion.manifest.task):
        raise InputError("flows.line_champion_has_another_task", its=champion.manifest.task, wanted=ask.line.task)
    if champion is not None and (champion.folder / "recipe.toml").is_file():
        return challenger.recipe_of_bundle(champion.folder, ask.build.overrides)
    pointer = line.read()
    task = ask.line.task or next((job.task for job in pointer.jobs), None)
    if task is None:
        raise InputError("flows.line_has_no_task", value=str(line.folder))
    return make({"name": pointer.name, "task": task}, ask.build.overrides, folder=Path.cwd())


def _is_repeat(last: LastLearning | None, ask: LearnSettings, rows: LearningRows) -> bool:
    """Return True if this cycle would repeat the last one: same rows, same settings."""
    if last is None or last.asked_sha256 not in ("", _request_hash(ask)) or (not last.asked_sha256 and ask.build.overrides):
        return False
    return last.rows_sha256 == rows.whole_sha256


def _request_hash(ask: LearnSettings) -> str:
    """Hash the settings that the outcome depends on, besides the rows."""
    build, promotion, asked = ask.build, ask.promotion, ask.certificate.model_dump()
    terms = {"model" if name == "reference_model" else name: value for name, value in asked.items()}
    anyway, fewer_labels = promotion.uncertified == "promote", promotion.fewer_labels == "promote"
    return content_hash([build.overrides, ask.rows.max_rows, promotion.level, promotion.margin, terms, anyway, fewer_labels])


def _keep_champion(line: Line, pointer: LinePointer, began: datetime, why: str, ask: LearnSettings, rows: LearningRows) -> LearnResult:
    last = LastLearning(at=began, outcome=_KEPT, why=why[:2000], rows_sha256=rows.whole_sha256, asked_sha256=_request_hash(ask))
    _record_learning(line, last)
    read = line_data.describe_sources(pointer, ask.traffic)
    return LearnResult(pointer.name, _KEPT, why, pointer.champion, pointer.champion, rows.json(), sources=read)


@dataclass(frozen=True)
class _LookNumbers:
    """Numbers of this cycle's looks at the held-out rows.

    Attributes:
        before: the line's pointer, with the number of earlier looks.
        compares: whether there is a champion, and rows to compare it on.
        comparison: number of the comparison.
        certification: number of the test for a certificate.
        compared_sha256, tested_sha256: hashes of everything that each depends on.
    """

    before: LinePointer
    compares: bool
    comparison: int
    certification: int
    compared_sha256: str
    tested_sha256: str

    def record(self, line: Line, *, certified: bool = False) -> None:
        """Record the comparison, if there is one, and with `certified` the test for a certificate."""
        contests = self.comparison if self.compares else self.before.contests
        looks = self.certification if certified else self.before.looks
        found = line.read()
        if (found.contests, found.looks) != (contests, looks):
            line.change(lambda found: found.model_copy(update={"contests": contests, "looks": looks}))


def _number_looks(
    started: _StartedLearning,
    built: BuiltChallenger,
    selected: LearningRows,
    standing: CertificateStatus | None,
    rows: LearningRows,
    ask: LearnSettings,
) -> _LookNumbers:
    """Number the looks of this cycle: each is the next one, unless it repeats the last one.

    Running the same test again to decide differently (--uncertified) uses no new look. Another challenger is no repeat. Neither are other
    terms, even if they are inherited from the champion's certificate.
    """
    pointer, champion, before = started.pointer, started.champion, standing.certificate if standing is not None else None
    # These terms are only hashed, to detect a repeat. The number of the look differs each time, so it is 1 here.
    terms = line_certificate.resolve_terms(ask.certificate, before, selected.certifying, 1)
    made = challenger.hash_bundle(built.folder)
    inputs = [champion.id if champion is not None else None, made, rows.whole_sha256, ask.build.overrides, ask.rows.max_rows]
    compared, tested = content_hash([*inputs, ask.promotion.level, ask.promotion.margin]), content_hash([*inputs, asdict(terms)])
    last = pointer.last
    again = (last is not None and last.compared_sha256 == compared, last is not None and last.tested_sha256 == tested)
    return _LookNumbers(
        pointer,
        champion is not None and bool(selected.choosing),
        max(1, pointer.contests) if again[0] else pointer.contests + 1,
        max(1, pointer.looks) if again[1] else pointer.looks + 1,
        compared,
        tested,
    )


def _record_learning(line: Line, last: LastLearning) -> LinePointer:
    return line.change(lambda found: found.model_copy(update={"last": last}))
