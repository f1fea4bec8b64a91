"""Certify: test on new pairs which requests a bundle may answer by itself, and write the signed certificate beside it."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ValidationError

from smidgen.bundles.open import folder_of, read_manifest
from smidgen.core.errors import CertificateError, InputError
from smidgen.core.progress import Progress, Silent
from smidgen.core.version import VERSION
from smidgen.flows.build.work import GivenTables
from smidgen.flows.certify import calibration_sample, certificate_status, losses
from smidgen.flows.certify.calibration_sample import CalibrationPairs, CalibrationSample
from smidgen.flows.certify.certificate_status import certificate_subject
from smidgen.flows.certify.forecast import certificate_odds, describe_odds
from smidgen.flows.certify.losses import Choice, Marking
from smidgen.flows.certify.settings import CertifySettings, PromiseSettings, check_reference
from smidgen.flows.learn.data_overlap import SampleLook, known_data
from smidgen.flows.local_model import Model
from smidgen.gateway import certificate as papers
from smidgen.gateway import certificate_audit, revocation, sample_reuse
from smidgen.gateway.certificate import MOST_NAME, Certificate, CertifiedSegment, JudgeError, Reference
from smidgen.gateway.certificate_status import CertificateStatus, check_certificate
from smidgen.gateway.sample_reuse import SpentConfidence
from smidgen.judge import report
from smidgen.stats.certificate_forecast import CertificateChance
from smidgen.stats.certification import (
    CertificationResult,
    ReferenceErrors,
    RiskClaim,
    ThresholdStep,
    certify_threshold,
    needed,
    segment_levels,
    threshold_steps,
)
from smidgen.stats.risk_bounds import average_and_level, fewest_rows, level_of_look

AUDIT_DAYS = 7
"""Default number of days for which answers may be given without an audit."""


@dataclass(frozen=True)
class CertificateTerms:
    """Terms of a certificate.

    Attributes:
        alpha: largest share of local answers that may disagree with the reference.
        delta: chance that this does not hold.
        reference: source of the outputs in the calibration file.
        model: name under which clients ask for the large model that is the reference or judge; empty if unknown.
        judge: error rate of the reference, if it is a judge.
        valid_days: days until the certificate expires.
        segment: `label` for the label answered, or a column: each value gets its own threshold.
        look: number of this look at a set of rows that grows and is looked at repeatedly: all looks together spend delta. None for a
            separate sample.
        likely: test only if the report makes a certificate at least this likely.
        own: this test of a separate sample, with the level that it may spend. See `sample_reuse`.
        spent: confidence spent by earlier tests of that sample.
        loss: for texts, the loss whose mean alpha bounds: see `certify/losses.py`. With `attributes` the reference is the request itself.
        overall: largest share of all requests that may be answered locally and disagree, on average; None for no limit.
        audit_days: days for which answers may be given without an audit. None: a week if the gateway audits by itself, against the large
            model or the request; else no limit.
        distinct: whether each text counts once, and the promise is about distinct texts. Forced if the rows are not a fair sample of
            requests.
    """

    alpha: float = 0.05
    delta: float = 0.05
    reference: Literal["gold", "model", "reviews", "judge", "request"] = "gold"
    judge: ReferenceErrors | None = None
    valid_days: int = 90
    segment: str | None = None
    look: int | None = None
    model: str = ""
    loss: Choice = "likeness"
    overall: float | None = None
    distinct: bool = False
    audit_days: int | None = None
    likely: float = 0.0
    own: sample_reuse.SampleTest | None = None
    spent: SpentConfidence = field(default_factory=SpentConfidence)

    @property
    def unheard(self) -> int:
        """The effective `audit_days`; 0 for no limit."""
        if self.audit_days is not None:
            return self.audit_days
        return AUDIT_DAYS if self.reference in ("model", "request") else 0

    @property
    def level(self) -> float:
        """The part of delta that this test may spend."""
        if self.look is not None:
            return level_of_look(self.delta, self.look)
        return self.delta if self.own is None else self.own.level

    @property
    def looked(self) -> str:
        """The look and its level as a clause, to follow the method's name."""
        if self.look is not None:
            return f"; look {self.look} at rows that stay, tested at δ/{self.look * (self.look + 1)}"
        if not self.spent.looks:
            return ""
        before = f"{self.spent.looks} {'look' if self.spent.looks == 1 else 'looks'} at these rows spent {self.delta - self.level:.4g}"
        return f"; tested at {self.level:.4g} of δ = {self.delta:.4g}, for {before}"

    def claim(self, delta: float, graded: bool) -> RiskClaim:
        """Return the claim to test on a segment that gets this part of the level."""
        overall, rare = self.overall, None
        if overall is not None and self.look is not None:
            overall, rare = average_and_level(overall, self.look)
        elif overall is not None:
            overall = overall if self.own is None else self.own.overall
        return RiskClaim(self.alpha, delta, graded, self.judge, self.level, overall, rare)

    def odds(self, bundle: Path) -> Callable[[int], CertificateChance] | None:
        """The chance of a certificate on these terms, by number of rows; None if the bundle's report does not tell.

        Its curve is of likeness, and of all requests: a certificate by segments takes many tests. For graded losses it is a lower bound.
        """
        if self.segment is not None or self.loss != "likeness":
            return None
        return certificate_odds(bundle, self.claim(self.level, False))

    def told(self, counts: str) -> str:
        """Return the terms in one canonical spelling, so that equal tests give equal strings."""
        judge = (self.judge.wrong, self.judge.reviewed) if self.judge is not None else None
        return json.dumps([self.alpha, self.delta, judge, self.segment, self.loss, self.overall, counts])


_REFERENCES: dict[str, Literal["gold", "judge", "request"]] = {"likeness": "gold", "attributes": "request", "judge": "judge"}
"""Reference for each loss if none is named."""


def terms_of(settings: CertifySettings) -> CertificateTerms:
    """Return the terms that the settings ask for."""
    asked, judge, plain = settings.terms, settings.judge, CertificateTerms()
    wrong, _, reviewed = (judge.errors or "").partition("/")
    return CertificateTerms(
        alpha=plain.alpha if asked.alpha is None else asked.alpha,
        delta=plain.delta if asked.delta is None else asked.delta,
        reference=asked.reference or _REFERENCES[asked.loss],
        judge=ReferenceErrors(int(wrong), int(reviewed)) if judge.errors else None,
        valid_days=asked.valid_days,
        segment=asked.segment,
        model=(judge.model or "default") if judge.url is not None else asked.reference_model or "",
        loss=asked.loss,
        overall=asked.overall,
        distinct=asked.distinct,
        audit_days=asked.audit_days,
        likely=asked.likely,
    )


@dataclass(frozen=True)
class IssuedCertificate:
    """An issued certificate, its file, the reason for each segment that got none, and how likely it was by the report."""

    certificate: Certificate
    file: Path
    refused: dict[str, str]
    forecast: CertificateChance | None = None


@dataclass(frozen=True)
class _FailedTest:
    """A failed test, and the approximate number of rows that would pass; None if no number would."""

    outcome: CertificationResult
    claim: RiskClaim
    needed: int | None


def certify(
    model: Model,
    file: Path | str,
    terms: CertificateTerms,
    *,
    input: str | None = None,
    label: str | None = None,
    marking: Marking | None = None,
    now: datetime | None = None,
    progress: Progress | None = None,
) -> IssuedCertificate:
    """Test the pairs of a file, and write the signed certificate beside the bundle. It replaces an older one.

    `marking`: the judge, if its marks are the loss.

    Raises:
        InputError: the terms are invalid or do not fit the task; the bundle was made from the file; the sample shares many rows with that
            of a revoked certificate; the audits so far speak against an equally strong claim; or a judge marks too few answers.
        DataError: the file cannot be read, or lacks a column.
        BundleError: the bundle has no report; or it is a version of a line whose records cannot be read.
        LineBusy: rows are the line's own held-out ones, and another process learns on it.
        TrafficError: for a version of a line, the store of traffic cannot be read.
        CertificateError: no threshold can be certified (`facts` say how many pairs are missing); or the file cannot be written. An older
            certificate stays.
    """
    _check_terms(terms)
    progress = progress or Silent()
    losses.choose_loss(terms.loss, model.task, model.form, marking)  # before a file is read
    drawn = calibration_sample.read_pairs(model, file, input, label, progress)
    return certify_pairs(model, drawn, terms, marking=marking, now=now, progress=progress)


def certify_pairs(
    model: Model,
    drawn: CalibrationPairs,
    terms: CertificateTerms,
    *,
    marking: Marking | None = None,
    built_from: GivenTables | None = None,
    now: datetime | None = None,
    progress: Progress,
) -> IssuedCertificate:
    """Certify on pairs in memory. `built_from`: the bundle's own rows, if they were in no files. Raises as `certify` does."""
    _check_terms(terms)
    loss = losses.choose_loss(terms.loss, model.task, model.form, marking)
    known = report.read(model.folder / "report.json")
    tries = threshold_steps([(point.threshold, point.coverage) for point in known.risk_coverage.points] if known.risk_coverage else [])
    if not tries:
        raise InputError("flows.bundle_report_has_no_risk_curve", value=model.name)
    moment = now or datetime.now(UTC)
    friend = known_data(model, known, moment, built_from)
    unchecked = (*friend.unchecked, *drawn.unchecked)
    for sentence in unchecked:
        progress.say(f"not checked: {sentence}")
    fewest = fewest_rows(terms.alpha, terms.delta)
    sample = calibration_sample.answer_pairs(model, drawn, friend, loss, terms.segment, fewest, progress, terms.distinct)
    forecast = _foretell(model, terms, sample.calibration.n, progress)
    looking: AbstractContextManager[SampleLook | None] = friend.own.look() if friend.own is not None and sample.own else nullcontext()
    with looking as look:
        if look is not None:
            terms = replace(terms, look=look.number)
            progress.say(f"{sample.own:,} rows are among those that the line tests its versions on: this is a look at them{terms.looked}")
        own, terms = _begin_look(model, sample, terms)
        given, refused, failed = _test(sample, terms, loss.graded, tries)
        in_vain = not given and not any(one.outcome.tried for one in failed.values())
        if look is not None:
            look.in_vain = in_vain
        if own is not None and in_vain:
            sample_reuse.forget_test(own)
        if own is not None and given:
            sample_reuse.mark_passed(own)
    if not given:
        raise _failure(terms, loss.graded, sample, failed)
    now = moment.replace(microsecond=0)
    until = now + timedelta(days=terms.valid_days)
    reference = Reference(kind=terms.reference, judge=_judge_error(terms), model=terms.model)
    paper = Certificate(
        id=uuid.uuid4().hex,
        statement=papers.statement(
            terms.alpha,
            terms.delta,
            until,
            terms.overall,
            sample.distinct,
            f"{friend.whose} from" if sample.calibration.left_out else "",
            terms.unheard,
        ),
        bundle=certificate_subject(model.manifest),
        task=model.manifest.task,
        loss=loss.words,
        measure="" if terms.loss == "likeness" else terms.loss,
        reference=reference,
        alpha=terms.alpha,
        delta=terms.delta,
        overall=terms.overall,
        counts="texts" if sample.distinct else "requests",
        by=terms.segment or "",
        answering=tuple(given),
        method="fixed-sequence testing; "
        + ("betting (Waudby-Smith and Ramdas)" if loss.graded else "exact binomial (Clopper–Pearson)")
        + ("; conformal risk control of the share of all" if terms.overall is not None else "")
        + terms.looked,
        calibration=sample.calibration,
        created=now,
        valid_until=until,
        unchecked=(*unchecked, *sample.unchecked),
        audit_days=terms.unheard,
        begun=True,
        smidgen_version=VERSION,
    ).signed()
    certificate_status.begin_audits(model.folder, paper)
    return IssuedCertificate(paper, papers.write(paper, model.folder), refused, forecast)


def _foretell(model: Model, terms: CertificateTerms, n: int, progress: Progress) -> CertificateChance | None:
    """Say how likely a certificate is, before a test looks at the answers and spends confidence. None if the report does not tell.

    Raises CertificateError if it is less likely than `terms.likely`.
    """
    odds = terms.odds(model.folder)
    if odds is None:
        return None
    found, said = odds(n), describe_odds(odds, n, fewest_rows(terms.alpha, terms.level))
    if found.chance < terms.likely:
        raise CertificateError("flows.test_would_probably_fail", value=said, facts={"certified": False, "n": n, "forecast": asdict(found)})
    progress.say(said)
    return found


def certificate_standing(folder: Path, now: datetime | None = None) -> CertificateStatus:
    """Return the status of the certificate of a bundle, or of a line's champion, by folder.

    Does not hash the bundle's files: opening the bundle does. Raises InputError or BundleError if there is no bundle.
    """
    folder = folder_of(folder)
    return check_certificate(folder, certificate_subject(read_manifest(folder)), now)


def revoke(folder: Path, reason: str, now: datetime | None = None) -> list[Path]:
    """Revoke the certificate of a bundle, or of a line's champion, by folder. Returns the files that record it.

    Raises InputError without a reason; CertificateError if there is no certificate, or the revocation could not be written.
    """
    if not reason.strip():
        raise InputError("flows.revocation_needs_reason", value=reason)
    folder = folder_of(folder)
    found = papers.read(papers.place(folder))
    try:
        sample = found.calibration
        moment = now or datetime.now(UTC)
        written = revocation.revoke(folder, found.id, reason.strip(), moment, sample.rows_sha256, sample.marks, found.bundle.sha256)
        with suppress(OSError):  # the line's test then goes on: it revokes sooner
            certificate_audit.restart_line(folder, found)
        return written
    except OSError as error:
        raise CertificateError("flows.revocation_could_not_be_recorded", value=str(error), name=papers.place(folder).name) from error


def _check_terms(terms: CertificateTerms) -> None:
    try:
        PromiseSettings(**{name: getattr(terms, name) for name in ("alpha", "delta", "overall", "valid_days", "audit_days")})
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            "flows.certificate_term_is_out_of_range", value=first["input"], setting=first["loc"][0], reason=first["msg"]
        ) from None
    check_reference(terms.loss, terms.reference)
    if terms.loss == "judge" and terms.reference != "judge":
        raise InputError("flows.loss_judge_needs_reference_judge", reference=terms.reference)
    named = terms.reference == "model" or terms.loss == "judge"
    if terms.model and (not named or len(terms.model) > MOST_NAME or not terms.model.isprintable()):
        raise InputError("flows.reference_model_name_is_invalid", value=terms.model[:MOST_NAME])
    if (terms.reference == "judge") != (terms.judge is not None):
        raise InputError("flows.reference_judge_needs_judge_errors", value=terms.reference)
    if terms.judge is not None and not 0 <= terms.judge.wrong <= terms.judge.reviewed >= 1:
        raise InputError("flows.judge_errors_is_not_k_wrong_of_n", value=f"{terms.judge.wrong}/{terms.judge.reviewed}")


def _begin_look(
    model: Model, sample: CalibrationSample, terms: CertificateTerms
) -> tuple[sample_reuse.SampleTest | None, CertificateTerms]:
    """Record that a separate sample is tested, and return the terms with the remaining level. Raises InputError if none remains."""
    if terms.look is not None:
        return None, terms
    kept = sample.calibration
    asked = sample_reuse.SampleTest(
        certificate_subject(model.manifest).sha256,
        kept.rows_sha256,
        kept.marks,
        kept.n,
        # A judge may mark the same rows otherwise the next time, so each of its tests counts on its own.
        terms.told("texts" if sample.distinct else "requests") + (uuid.uuid4().hex if terms.loss == "judge" else ""),
        terms.delta,
        terms.overall or 0.0,
    )
    look, spent = sample_reuse.begin_test(asked)
    if look.level <= 0 or (terms.overall is not None and look.overall <= 0):
        flags = [f"--delta {_ask_above(terms.delta, spent.level):g}"] if look.level <= 0 else []
        flags += [f"--overall {_ask_above(terms.overall, spent.overall):g}"] if terms.overall is not None and look.overall <= 0 else []
        raise InputError(
            "flows.rows_were_tested_before_once" if spent.looks == 1 else "flows.rows_were_tested_before",
            looks=spent.looks,
            level=f"{spent.level:.4g}",
            delta=f"{terms.delta:.4g}",
            flags=" ".join(flags),
        )
    return look, replace(terms, own=look, spent=spent)


def _ask_above(asked: float, spent: float) -> float:
    """Return the value to ask for so that `asked` remains after `spent`."""
    return round(asked + spent, 6)


def _judge_error(terms: CertificateTerms) -> JudgeError | None:
    judge = terms.judge
    return JudgeError(wrong=judge.wrong, reviewed=judge.reviewed, bound=judge.bound(terms.level)) if judge is not None else None


def _test(
    sample: CalibrationSample, terms: CertificateTerms, graded: bool, tries: Sequence[ThresholdStep]
) -> tuple[list[CertifiedSegment], dict[str, str], dict[str, _FailedTest]]:
    """Test each segment. Returns the certified segments, a reason for each other segment, and the failed tests."""
    n = sample.calibration.n
    counts = Counter(name for name in sample.segments if name is not None)
    shares = segment_levels(counts, terms.alpha, terms.level) if terms.segment else {"": terms.level}
    names = np.array([name if name is not None else "" for name in sample.segments], dtype=object)
    told = np.array([name is not None for name in sample.segments], dtype=np.bool_)
    given, failed = [], {}
    refused = {name: f"{count:,} pairs, too few for any test" for name, count in sorted(counts.items()) if name not in shares}
    for name, delta in sorted(shares.items()):
        here = told & (names == name)
        claim = terms.claim(delta, graded)
        outcome = certify_threshold(sample.scores[here], sample.losses[here], tries, claim, total=n)
        if outcome.threshold is None:
            failed[name] = _FailedTest(outcome, claim, needed(outcome, tries, claim, total=n))
            refused[name] = _why(failed[name], graded)
            continue
        given.append(
            CertifiedSegment(
                segment=name,
                threshold=outcome.threshold,
                n=outcome.n,
                answered=outcome.answered,
                loss=outcome.loss,
                # Floating point may put the bound just over alpha. In exact arithmetic it never is.
                bound=min(outcome.bound, terms.alpha),
            )
        )
    return given, refused, failed


def _why(failed: _FailedTest, graded: bool) -> str:
    """Say as a clause why a sample, or a segment of it, is not certified."""
    outcome = failed.outcome
    if not outcome.tried:
        return f"{outcome.n:,} pairs, too few for any test"
    share = outcome.loss / max(1, outcome.answered)
    if outcome.too_many:
        lost = f"{outcome.loss:.4g} of all {outcome.n:,} pairs"
        return f"the {outcome.answered:,} surest answers keep alpha, but with them {lost} are lost, more than --overall allows on average"
    if graded:
        return f"a mean loss of {share:.3f} on the {outcome.answered:,} surest answers"
    return f"{outcome.loss:.0f} of the {outcome.answered:,} surest answers disagree ({share:.1%})"


def _failure(terms: CertificateTerms, graded: bool, sample: CalibrationSample, failed: Mapping[str, _FailedTest]) -> CertificateError:
    """Build the error for a failed certification: how many pairs are missing, and what would help."""
    n = sample.calibration.n
    facts: dict[str, object] = {
        "certified": False,
        "alpha": terms.alpha,
        "delta": terms.delta,
        "overall": terms.overall,
        "level": terms.level,
        "n": n,
        "tests": [
            {
                "segment": name,
                "n": one.outcome.n,
                "tried": one.outcome.tried,
                "answered": one.outcome.answered,
                "loss": one.outcome.loss,
                "bound": one.outcome.bound,
                "best_risk": one.outcome.best,
                "pairs_needed": one.needed,
                "pairs_missing": one.needed - one.outcome.n if one.needed is not None else None,
            }
            for name, one in failed.items()
        ],
    }
    what = f"no threshold can be certified for a risk of at most {terms.alpha:.3g} with confidence {1 - terms.level:.6g}"
    if not failed:
        return CertificateError(
            "flows.no_threshold_can_be_certified_for_risk",
            alpha=f"{terms.alpha:.3g}",
            level=f"{1 - terms.level:.6g}",
            n=n,
            fewest_rows=fewest_rows(terms.alpha, terms.level),
            facts=facts,
        )
    name, one = max(failed.items(), key=lambda entry: entry[1].outcome.n)
    best = f"The lowest risk seen at any threshold is {one.outcome.best:.1%}. " if one.outcome.best is not None else ""
    if one.outcome.best is not None and one.outcome.best > 0.5:
        todo = f"{best}More pairs do not help: check that these outputs are answers that the model gives (smidgen eval), then improve it."
    elif one.needed is None:
        larger = "--overall" if one.outcome.too_many else "--alpha"
        todo = f"{best}At this risk no number of pairs would do: improve the model, or allow a larger {larger}."
        if terms.judge is not None:
            todo += " The judge's own error counts: have more of its verdicts reviewed."
    else:
        more = f"{one.needed - one.outcome.n:,} more than these {one.outcome.n:,}"
        if one.outcome.tried:
            again = "draw a new sample, because each look at one uses it up"
            if terms.look is not None:
                again = "look again when that number is held out, because each look makes the next one stricter"
            todo = f"{best}At the risk seen, about {one.needed:,} pairs would do, {more}: {again}."
        else:
            todo = f"Even without an error {one.needed:,} pairs are needed, {more}."
    where = f"{name}: " if name else ""
    return CertificateError(what, value=f"{where}{_why(one, graded)}", todo=todo, facts=facts)
