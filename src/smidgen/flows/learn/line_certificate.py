"""Certify a version of a line on held-out rows that chose nothing: the challenger, or the champion once more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from smidgen.core.errors import CertificateError, InputError
from smidgen.core.progress import Progress, Silent
from smidgen.core.rows import Row, Text
from smidgen.flows.build.work import GivenTables
from smidgen.flows.certify import losses
from smidgen.flows.certify.calibration_sample import BY_LABEL, CalibrationPairs
from smidgen.flows.certify.certification import CertificateTerms, certificate_standing, certify_pairs
from smidgen.flows.certify.forecast import fewest_rows_likely
from smidgen.flows.learn import challenger, holdout, line_data
from smidgen.flows.learn.learning_rows import LineRow, Source, newest
from smidgen.flows.learn.settings import LineCertificateSettings, TrafficSettings
from smidgen.flows.local_model import Model
from smidgen.gateway.certificate import Certificate
from smidgen.parts.recipe import make
from smidgen.stats.certificate_forecast import CertificateChance
from smidgen.stats.risk_bounds import fewest_rows

# Forecast: the number of rows that a certificate still needs, and the date when they will be there at the current pace.

_PACE = timedelta(days=7)
_SHORTEST = timedelta(hours=1)
"""The pace is measured over at least this time: a burst of minutes says nothing of a day."""
_WEEK = timedelta(days=6)
_FAR = timedelta(days=730)


@dataclass(frozen=True)
class RowsOutlook:
    """Rows that a certificate still needs.

    Attributes:
        have: rows that certify against the certificate's reference.
        needed: approximate number of rows needed; None if no number would do.
        per_day: captured rows per day that certify, over the last week or since the first of them.
        ready: date when there are enough at that pace; None if no rows come or it is over two years away.
    """

    have: int
    needed: int | None
    per_day: float
    ready: datetime | None

    def json(self) -> dict[str, Any]:
        """Return the forecast, JSON-ready."""
        ready = self.ready.isoformat() if self.ready is not None else None
        return {"have": self.have, "needed": self.needed, "per_day": round(self.per_day, 2), "ready": ready}

    def said(self, now: datetime) -> str:
        """Return the forecast as a clause."""
        if self.needed is None:
            return f"{self.have:,} rows, and at this share of errors no number would do: improve the model, or allow a larger --alpha"
        rows = f"{self.have:,} of about {self.needed:,} rows"
        if self.have >= self.needed:
            return f"{rows}: the next learning may test for it"
        if self.per_day <= 0:
            return f"{rows}; none came in the last week"
        pace = f"at this pace ({self.per_day:,.3g} a day)"
        if self.ready is None:
            return f"{rows}, ready in over two years {pace}"
        day = self.ready.astimezone(UTC).date()
        if day == now.astimezone(UTC).date():
            return f"{rows}, ready today {pace}"
        return f"{rows}, ready on {f'{day:%A}' if self.ready - now <= _WEEK else f'{day.day} {day:%B %Y}'} {pace}"


def outlook(rows: Sequence[LineRow], needed: int | None, now: datetime) -> RowsOutlook:
    """Forecast when there will be `needed` rows, given these."""
    came = [taken.at for taken in rows if taken.id and now - _PACE < taken.at <= now]
    stretch = max(_SHORTEST, min(_PACE, now - min(came))) if came else _PACE
    # The first row starts the period, so only the others came within it.
    count = len(came) if stretch == _PACE else len(came) - 1
    per_day = count / (stretch / timedelta(days=1))
    ready = None
    if needed is not None and per_day > 0:
        away = max(0, needed - len(rows)) / per_day
        ready = now + timedelta(days=away) if away <= _FAR.days else None
    return RowsOutlook(len(rows), needed, per_day, ready)


# The challenger's certificate, on the terms of the champion's unless others are asked for.

Reference = Literal["gold", "model", "reviews", "judge", "request"]
_OF: Mapping[Reference, frozenset[Source]] = {
    "gold": frozenset({"original", "data", "human"}),
    "model": frozenset({"upstream"}),
    "reviews": frozenset({"human"}),
    "judge": frozenset(),
    "request": frozenset({"original", "data", "human", "upstream"}),
}
"""Sources whose outputs belong to each reference.

A request that is its own reference needs no output. A person's correction is not the large model's answer. A judge's error rate was
measured on its own verdicts and does not carry over to other answers.
"""
_NAME = "the held-out rows"
_NEWEST = 100
"""The newest rows that decide which large model answers now."""
_EVEN = 0.5


@dataclass(frozen=True)
class LineCertification:
    """Outcome of a certification.

    Attributes:
        certificate: None if there is none.
        why: the reason for having no certificate.
        n: texts available for the test.
        looked: whether a test saw how the texts were answered. That is one of the looks that share delta.
        outlook: rows still needed, and by when, if only rows are missing.
    """

    certificate: Certificate | None
    why: str
    n: int
    looked: bool = False
    outlook: RowsOutlook | None = None

    def json(self) -> dict[str, Any]:
        """Return the outcome, JSON-ready."""
        if self.certificate is None:
            missing = {"outlook": self.outlook.json()} if self.outlook is not None else {}
            return {"certified": False, "why": self.why, "n": self.n, "looked": self.looked, **missing}
        return {"certified": True, "n": self.n, "looked": self.looked, "certificate": self.certificate.facts_for_reader()}


UNTESTED = LineCertification(None, "none was tested for: it would change nothing, and each test makes the next one stricter", 0)
"""For a challenger that is not promoted even with a certificate."""


def resolve_terms(asked: LineCertificateSettings, before: Certificate | None, rows: Sequence[LineRow], look: int) -> CertificateTerms:
    """Choose the terms: as asked for, else as in the champion's certificate, else by the source of most rows."""
    plain = CertificateTerms()
    from_model = sum(taken.source == "upstream" for taken in rows)
    guessed: Reference = "model" if 2 * from_model >= len(rows) > 0 else "gold"
    inherited = before.reference.kind if before is not None else guessed
    if asked.loss == "attributes":
        inherited = "request"
    elif asked.loss == "likeness" and inherited == "request":
        inherited = guessed
    reference = asked.reference or inherited
    return CertificateTerms(
        alpha=asked.alpha if asked.alpha is not None else before.alpha if before is not None else plain.alpha,
        delta=asked.delta if asked.delta is not None else before.delta if before is not None else plain.delta,
        reference=reference,
        model=(asked.reference_model or _reference_model(rows)) if reference == "model" else "",
        valid_days=asked.valid_days,
        segment=BY_LABEL if before is not None and before.by == BY_LABEL else None,
        look=look,
        loss="attributes" if reference == "request" else "likeness",
        overall=asked.overall if asked.overall is not None else before.overall if before is not None else None,
        audit_days=asked.audit_days if asked.audit_days is not None else (before.audit_days or None) if before is not None else None,
    )


def certify_version(
    challenger: Model,
    rows: Sequence[LineRow],
    asked: LineCertificateSettings,
    before: Certificate | None,
    look: int,
    *,
    built_from: GivenTables | None = None,
    now: datetime | None = None,
    progress: Progress,
) -> LineCertification:
    """Certify the challenger and write the certificate beside its bundle. All looks since the rows are fresh spend delta together.

    Raises InputError for invalid terms. If no threshold can be certified, that is a result, not an error.
    """
    terms = resolve_terms(asked, before, rows, look)
    if terms.reference == "judge":
        return LineCertification(None, "the champion's is against a judge, whose verdicts are not among the rows: give --reference", 0)
    given = newest(taken for taken in rows if taken.source in _OF[terms.reference])
    fit = [taken for taken in given if taken.model == terms.model] if terms.reference == "model" else given
    if len(fit) < len(given):
        progress.say(f"{len(given) - len(fit):,} rows do not certify: a model other than {terms.model or 'the unnamed'} answered them")
    doubtful = sum(taken.doubtful for taken in fit)
    fit = [taken for taken in fit if not taken.doubtful]
    if doubtful:
        progress.say(f"{doubtful:,} rows do not certify: a name was masked in them that is perhaps nobody's (--capture-known names those)")
    expected = expected_certificate(challenger, len(fit), terms)
    if expected is not None and expected.chance < asked.likely and len(fit) >= fewest_rows(terms.alpha, terms.level):
        why = (
            f"none was tested for: by its accuracy on the rows that choose, {len(fit):,} rows would give one with a chance of "
            f"{expected.chance:.0%}, and each test makes the next one stricter (--likely 0 tests all the same)"
        )
        return LineCertification(None, why, len(fit), outlook=_forecast_rows(challenger, fit, terms, asked.likely, None, now))
    try:
        losses.choose_loss(terms.loss, challenger.task, challenger.form)
    except InputError as error:
        return LineCertification(None, f"{error.what} ({error.value}). {error.todo}", len(fit))
    drawn = _pairs_of(challenger, fit, doubtful)
    if not drawn.rows:
        return LineCertification(
            None, f"there are no held-out rows to certify on whose outputs are of the reference {terms.reference}", len(fit)
        )
    if before is not None and before.by not in ("", BY_LABEL):
        progress.say(f"the champion's certificate is by the column {before.by}, which these rows lack: the next one is for all")
    try:
        done = certify_pairs(challenger, drawn, terms, built_from=built_from, now=now, progress=progress)
    except CertificateError as error:
        tests = error.facts.get("tests")
        # An error without `tests` comes after the tests: the certificate could not be signed or written.
        looked = not isinstance(tests, list) or any(test["tried"] for test in tests)
        missing = _forecast_rows(challenger, fit, terms, asked.likely, tests, now) if isinstance(tests, list) and len(tests) == 1 else None
        why = f"{error.what} ({error.value}). {error.todo}"
        if 2 * sum(taken.unsure for taken in fit) > len(fit):
            why += " Most of these rows escalated because the champion was not sure: smidgen serve --held-out-aside holds out all kinds."
        return LineCertification(None, why, len(fit), looked, missing)
    return LineCertification(done.certificate, "", len(fit), looked=True)


def expected_certificate(challenger: Model, n: int, terms: CertificateTerms) -> CertificateChance | None:
    """Predict the result of a test on `n` rows from the challenger's report.

    None if the report does not tell: see `CertificateTerms.odds`.
    """
    odds = terms.odds(challenger.folder)
    return odds(n) if odds is not None else None


def _forecast_rows(
    challenger: Model,
    fit: Sequence[LineRow],
    terms: CertificateTerms,
    likely: float,
    tests: list[dict[str, Any]] | None,
    now: datetime | None,
) -> RowsOutlook:
    """Forecast the rows that a certificate needs, and by when.

    The report's curve gives one number and a failed test, if there was one, another: the larger counts. After a test, the next look is
    stricter.
    """
    looked = tests is not None and bool(tests[0]["tried"])
    following = replace(terms, look=terms.look + 1) if looked and terms.look is not None else terms
    enough = fewest_rows(following.alpha, following.level)
    asked: list[int | None] = [tests[0]["pairs_needed"]] if tests is not None else []
    if (odds := following.odds(challenger.folder)) is not None:
        asked.append(fewest_rows_likely(lambda n: odds(n).chance, max(_EVEN, likely), enough))
    needed = None if not asked or None in asked else max(enough, *(count for count in asked if count is not None))
    return outlook(fit, needed, now or datetime.now(UTC))


def _pairs_of(challenger: Model, rows: Sequence[LineRow], doubtful: int) -> CalibrationPairs:
    """Return the rows as a calibration sample.

    A reference that was not one of the task's outputs is read again by the challenger's form. `doubtful`: rows that were left out.
    """
    read: list[Row] = []
    unread: list[Text] = []
    for taken in rows:
        try:
            read.append(taken.row if taken.heard else _read_reference(challenger, taken))
        except ValueError:
            unread.append(taken.row.input)
    return CalibrationPairs(
        read, _NAME, unread, unchecked=_unchecked(rows, doubtful), jobs={taken.row.input: taken.jobs for taken in rows}, by_text=True
    )


def _read_reference(challenger: Model, taken: LineRow) -> Row:
    teaching = challenger.task.teaching
    if taken.unread or teaching is None or not isinstance(taken.row.output, str):
        raise ValueError("nothing to hear")
    return Row(taken.row.input, teaching.read(taken.row.output, challenger.form, taken.row.input))


def _reference_model(rows: Sequence[LineRow]) -> str:
    """Return the name of the large model that answered most of the newest rows, since it answers now. Empty if unknown."""
    newest_first = sorted((taken for taken in rows if taken.source == "upstream"), key=lambda taken: taken.at, reverse=True)
    names = Counter(taken.model for taken in newest_first[:_NEWEST])
    return max(names, key=lambda name: names[name], default="")


def _unchecked(rows: Sequence[LineRow], doubtful: int) -> tuple[str, ...]:
    """Say how the rows may differ from the traffic. A certificate repeats these sentences."""
    n = len(rows)
    altered = sum(taken.altered for taken in rows)
    corrected = sum(taken.source == "human" for taken in rows)
    repeated = sum(taken.times - 1 for taken in rows)
    unsure = sum(taken.unsure for taken in rows)
    said = {
        f"whether what the champion answers is like these rows: {unsure:,} of {n:,} texts escalated because it was not sure of them; what "
        "it answered has no reference here, and what was captured before that goes with --capture-days (--held-out-aside holds out texts "
        "of both kinds)": unsure,
        f"whether texts with personal data are answered as well: {altered:,} of {n:,} texts had it replaced; the traffic has not": altered,
        f"whether texts with a name that is perhaps nobody's are answered as well: {doubtful:,} of {n + doubtful:,} texts had one masked, "
        "and are left out": doubtful,
        f"whether corrections are like the traffic: who corrects an answer chooses which ({corrected:,} of {n:,} texts)": corrected,
        f"how often each text comes: each stands once here, and {repeated:,} times that one came again are left out": repeated,
    }
    return tuple(sentence for sentence, count in said.items() if count)


# Certify a line's champion again, on other terms and the line's held-out rows, without training.


def recertify(
    model: Model, asked: LineCertificateSettings, progress: Progress | None = None, now: datetime | None = None
) -> LineCertification:
    """Test the champion on the calibration set and write the certificate beside it.

    No version learnt from these rows or was chosen by them. The test is one look at them, and spends its share of delta.

    Args:
        model: the champion of a line.

    Raises:
        InputError: the model is not in a line; the terms are invalid, or the audits speak against a claim of this strength.
        LineBusy: another process learns on the line.
        BundleError, TrafficError: the line's rows, or captured requests, cannot be read.
    """
    progress, moment = progress or Silent(), now or datetime.now(UTC)
    line = model.line
    if line is None:
        raise InputError("flows.only_line_has_rows_to_certify_on", value=model.name)
    losses.check_loss(asked.loss or "likeness", model.task)
    pointer = holdout.remember_revocations(line, holdout.known_revocations(line), moment)
    written = model.folder / "recipe.toml"
    recipe = (
        challenger.recipe_of_bundle(model.folder)
        if written.is_file()
        else make({"name": pointer.name, "task": model.manifest.task}, (), folder=Path())
    )
    material = line_data.collect_rows(line, pointer, recipe, model.form, TrafficSettings(), revoked=pointer.fresh_since, now=moment)
    before = certificate_standing(model.folder, now).certificate
    progress.say(f"{material.certifying_texts:,} texts that the line holds out certify")
    # The number of the look is set and recorded by `certify_pairs`, under the line's lock.
    return certify_version(model, material.certifying, asked, before, pointer.looks + 1, now=now, progress=progress)
