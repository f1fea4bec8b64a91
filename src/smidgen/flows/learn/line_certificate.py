"""The certificate of a line's version, on held-out rows that chose nothing: of the challenger, or of the champion anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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
from smidgen.flows.learn import challenger, holdout, line_data
from smidgen.flows.learn.learning_rows import LineRow, Source, newest
from smidgen.flows.learn.settings import LineCertificateSettings, TrafficSettings
from smidgen.flows.local_model import Model
from smidgen.gateway.certificate import Certificate
from smidgen.judge import report
from smidgen.parts.recipe import make
from smidgen.stats.certificate_forecast import CertificateChance, certificate_chance
from smidgen.stats.risk_bounds import fewest_rows

# How many rows a certificate still needs, and when they will be there at the pace of late.

MOST_ROWS = 1_000_000
"""What would take more rows than this is said to be out of reach."""
_PACE = timedelta(days=7)
_SHORTEST = timedelta(hours=1)
"""A burst of minutes says nothing of a day."""
_WEEK = timedelta(days=6)
_FAR = timedelta(days=730)


@dataclass(frozen=True)
class RowsOutlook:
    """What is missing.

    Attributes:
        have: rows that certify, of the certificate's reference.
        needed: about how many it takes; None where no number would do.
        per_day: captured rows that certify which came a day, over the last week or the hours since the first of them.
        ready: when there are enough at that pace; None where none come, or it is years away.
    """

    have: int
    needed: int | None
    per_day: float
    ready: datetime | None

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        ready = self.ready.isoformat() if self.ready is not None else None
        return {"have": self.have, "needed": self.needed, "per_day": round(self.per_day, 2), "ready": ready}

    def said(self, now: datetime) -> str:
        """The same in a clause."""
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
    """What is missing of `needed` rows, where these certify."""
    came = [taken.at for taken in rows if taken.id and now - _PACE < taken.at <= now]
    stretch = max(_SHORTEST, min(_PACE, now - min(came))) if came else _PACE
    # The first of them begins the stretch: what came in it is the others.
    count = len(came) if stretch == _PACE else len(came) - 1
    per_day = count / (stretch / timedelta(days=1))
    ready = None
    if needed is not None and per_day > 0:
        away = max(0, needed - len(rows)) / per_day
        ready = now + timedelta(days=away) if away <= _FAR.days else None
    return RowsOutlook(len(rows), needed, per_day, ready)


def fewest_rows_likely(likely: Callable[[int], float], wanted: float, least: int) -> int | None:
    """The fewest rows from `least` on, to a hundredth, with which a certificate is as likely as wanted; None where there is no such number.

    Args:
        likely: the chance of one on so many rows.
    """
    low, high = least - 1, max(1, least)
    while likely(high) < wanted:
        low, high = high, 2 * high
        if high > MOST_ROWS:
            return None
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if likely(middle) >= wanted else (middle, high)
    return high


# The challenger's certificate, on held-out rows that chose nothing, on the terms of the champion's where nothing else is asked for.

Reference = Literal["gold", "model", "reviews", "judge", "request"]
_OF: Mapping[Reference, frozenset[Source]] = {
    "gold": frozenset({"original", "data", "human"}),
    "model": frozenset({"upstream"}),
    "reviews": frozenset({"human"}),
    "judge": frozenset(),
    "request": frozenset({"original", "data", "human", "upstream"}),
}
"""Whose outputs are that reference's; a request that is its own reference needs none. What a person corrected is not what the large model
said. How often a judge errs was measured on its own verdicts, and tells of no other answers."""
_NAME = "the held-out rows"
_HANDFUL = 20
_NEWEST = 100
"""Rows by which it is told which large model answers now."""
_EVEN = 0.5


@dataclass(frozen=True)
class LineCertification:
    """What came of it: the certificate, or why there is none. `n` texts could be tested on. `looked`: whether a test saw how they were
    answered; that is one look of those that share delta. `outlook`: where rows are all that is missing, how many, and until when."""

    certificate: Certificate | None
    why: str
    n: int
    looked: bool = False
    outlook: RowsOutlook | None = None

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        if self.certificate is None:
            missing = {"outlook": self.outlook.json()} if self.outlook is not None else {}
            return {"certified": False, "why": self.why, "n": self.n, "looked": self.looked, **missing}
        return {"certified": True, "n": self.n, "looked": self.looked, "certificate": self.certificate.facts_for_reader()}


UNTESTED = LineCertification(None, "none was tested for: it would change nothing, and each test makes the next one stricter", 0)
"""Of a challenger that is not promoted with one either."""


def resolve_terms(asked: LineCertificateSettings, before: Certificate | None, rows: Sequence[LineRow], look: int) -> CertificateTerms:
    """What is asked for; then what the champion's certificate says; then whose most of the rows' outputs are."""
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
    """Certify the challenger; the certificate lies beside its bundle then. All looks since the rows are fresh spend delta together.

    Raises InputError for terms that cannot be. That no threshold can be certified is no error here.
    """
    terms = resolve_terms(asked, before, rows, look)
    if terms.reference == "judge":
        return LineCertification(None, "the champion's is against a judge, whose verdicts are not among the rows: give --reference", 0)
    given = newest(taken for taken in rows if taken.source in _OF[terms.reference])
    fit = [taken for taken in given if taken.model == terms.model] if terms.reference == "model" else given
    if len(fit) < len(given):
        progress.say(f"{len(given) - len(fit):,} rows do not certify, for another than {terms.model or 'the unnamed'} model answered them")
    expected = expected_certificate(challenger, len(fit), terms)
    if expected is not None and expected.chance < asked.likely and len(fit) >= fewest_rows(terms.alpha, terms.level):
        why = (
            f"none was tested for: by what it got right of the rows that choose, {len(fit):,} rows would give one with a chance of "
            f"{expected.chance:.0%}, and each test makes the next one stricter (--likely 0 tests all the same)"
        )
        return LineCertification(None, why, len(fit), outlook=_forecast_rows(challenger, fit, terms, asked.likely, None, now))
    try:
        losses.choose_loss(terms.loss, challenger.task, challenger.form)
    except InputError as error:
        return LineCertification(None, f"{error.what} ({error.value}). {error.todo}", len(fit))
    drawn = _pairs_of(challenger, fit)
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
        # One that says nothing of tests comes after them: the certificate could not be signed, or written.
        looked = not isinstance(tests, list) or any(test["tried"] for test in tests)
        missing = _forecast_rows(challenger, fit, terms, asked.likely, tests, now) if isinstance(tests, list) and len(tests) == 1 else None
        return LineCertification(None, f"{error.what} ({error.value}). {error.todo}", len(fit), looked, missing)
    return LineCertification(done.certificate, "", len(fit), looked=True)


def expected_certificate(challenger: Model, n: int, terms: CertificateTerms) -> CertificateChance | None:
    """What is to be expected of a test on `n` rows, by the challenger's report; None where that does not tell: it has no curve, or one of a
    handful of rows; it is of likeness, and another loss is asked for; or a certificate by label is, which is many tests."""
    found = _curve(challenger, terms)
    claim = terms.claim(terms.level, False)
    return certificate_chance(*found, n, claim.alpha, claim.delta, claim.overall, claim.overall_level) if found is not None else None


def _curve(challenger: Model, terms: CertificateTerms) -> tuple[list[tuple[float, float]], int] | None:
    """The curve of the challenger's report and on how many rows it was measured; None where that does not tell."""
    known = report.read(challenger.folder / "report.json")
    metric = known.metrics.get(known.headline)
    measured = metric.n if metric is not None else known.data.test or 0
    if known.risk_coverage is None or measured < _HANDFUL or terms.segment is not None or terms.loss != "likeness":
        return None
    return [(point.coverage, point.risk) for point in known.risk_coverage.points], measured


def _forecast_rows(
    challenger: Model,
    fit: Sequence[LineRow],
    terms: CertificateTerms,
    likely: float,
    tests: list[dict[str, Any]] | None,
    now: datetime | None,
) -> RowsOutlook:
    """How many rows a certificate would take, and when they are there: by the report's curve, and by the test that failed, where there was
    one, whichever asks for more. After a test the next look is a stricter one."""
    looked = tests is not None and bool(tests[0]["tried"])
    following = replace(terms, look=terms.look + 1) if looked and terms.look is not None else terms
    enough = fewest_rows(following.alpha, following.level)
    asked: list[int | None] = [tests[0]["pairs_needed"]] if tests is not None else []
    if (found := _curve(challenger, following)) is not None:
        curve, measured = found
        claim = following.claim(following.level, False)

        def chance(n: int) -> float:
            return certificate_chance(curve, measured, n, claim.alpha, claim.delta, claim.overall, claim.overall_level).chance

        asked.append(fewest_rows_likely(chance, max(_EVEN, likely), enough))
    needed = None if not asked or None in asked else max(enough, *(count for count in asked if count is not None))
    return outlook(fit, needed, now or datetime.now(UTC))


def _pairs_of(challenger: Model, rows: Sequence[LineRow]) -> CalibrationPairs:
    """The rows as a calibration sample. What names nothing that the challenger knows is heard once more, with its ears."""
    read: list[Row] = []
    unread: list[Text] = []
    for taken in rows:
        try:
            read.append(taken.row if taken.heard else _read_reference(challenger, taken))
        except ValueError:
            unread.append(taken.row.input)
    return CalibrationPairs(
        read, _NAME, unread, unchecked=_unchecked(rows), jobs={taken.row.input: taken.jobs for taken in rows}, by_text=True
    )


def _read_reference(challenger: Model, taken: LineRow) -> Row:
    if taken.unread or not challenger.task.teachable or not isinstance(taken.row.output, str):
        raise ValueError("nothing to hear")
    return Row(taken.row.input, challenger.task.heard(taken.row.output, challenger.form, taken.row.input))


def _reference_model(rows: Sequence[LineRow]) -> str:
    """The large model that answered most of the newest rows, as it was asked for: it is the one that answers now. Empty where that is not
    known."""
    newest_first = sorted((taken for taken in rows if taken.source == "upstream"), key=lambda taken: taken.at, reverse=True)
    names = Counter(taken.model for taken in newest_first[:_NEWEST])
    return max(names, key=lambda name: names[name], default="")


def _unchecked(rows: Sequence[LineRow]) -> tuple[str, ...]:
    """In what the rows may be unlike the traffic, in words that a certificate repeats."""
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
        f"whether corrections are like the traffic: who corrects an answer chooses which ({corrected:,} of {n:,} texts)": corrected,
        f"how often each text comes: each stands once here, and {repeated:,} times that one came again are left out": repeated,
    }
    return tuple(sentence for sentence, count in said.items() if count)


# A line's champion certified anew on the rows that the line holds out, on other terms, without training.


def recertify(
    model: Model, asked: LineCertificateSettings, progress: Progress | None = None, now: datetime | None = None
) -> LineCertification:
    """Test the champion on the rows that certify, which no version learnt from or was chosen by, and put the certificate beside it. It is a
    look at these rows, and spends its share of delta like any other.

    Args:
        model: the champion of a line.

    Raises:
        InputError: it is of no line; terms that cannot be, or on which as much cannot be claimed anew, for the audits speak against it.
        LineBusy: another process learns on the line.
        BundleError, TrafficError: what the line keeps, or what was captured, cannot be read.
    """
    progress, moment = progress or Silent(), now or datetime.now(UTC)
    line = model.line
    if line is None:
        raise InputError(
            "only a line has rows to certify on",
            value=model.name,
            todo="Give pairs that the model has never seen: --data calibration.csv.",
        )
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
    # Which look it is, certifying finds out and writes down, under the line's lock.
    return certify_version(model, material.certifying, asked, before, pointer.looks + 1, now=now, progress=progress)
