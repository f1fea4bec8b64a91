"""The challenger's certificate, on held-out rows that chose nothing, on the terms of the champion's where nothing else is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from smidgen.core.errors import CertificateError, InputError
from smidgen.core.parts import Teachable
from smidgen.core.progress import Progress
from smidgen.core.rows import Row, Text
from smidgen.flows import losses
from smidgen.flows.calibration_sample import BY_LABEL, Drawn
from smidgen.flows.certifying import Terms, agree, certify_drawn, within
from smidgen.flows.learning.material import Source, Taken, newest
from smidgen.flows.learning.outlook import Outlook, fewest, outlook
from smidgen.flows.live import Model
from smidgen.gateway.certificate import Certificate
from smidgen.judge import report
from smidgen.stats.binomial import least
from smidgen.stats.prospect import Prospect, prospect

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
LIKELY = 0.8
"""How likely a certificate must be to be tested for. What a test in vain costs is paid by all that come after it."""


@dataclass(frozen=True)
class Asked:
    """What is asked of the certificate; None: as the champion's has it, else as `smidgen certify` has it. `likely`: how likely one must be
    for a test; see `stats/prospect.py`. `model`: which large model's answers certify, where they are the reference; None for the one that
    answered most of the newest. `loss`: of texts, what alpha bounds the mean of; see `flows/losses.py`. `overall`: of all requests, the
    share that may be answered locally and disagree, on average. `audit_days`: as `Terms` has it, else as the champion's has it.

    Raises InputError where a share is none, or the loss and the reference do not go together."""

    alpha: float | None = None
    delta: float | None = None
    reference: Literal["gold", "model", "reviews"] | None = None
    valid_days: int = 90
    likely: float = LIKELY
    model: str | None = None
    loss: Literal["likeness", "attributes"] | None = None
    overall: float | None = None
    audit_days: int | None = None

    def __post_init__(self) -> None:
        within(self.alpha, self.delta, self.overall)
        if self.loss is not None and self.reference is not None:
            agree(self.loss, self.reference)


@dataclass(frozen=True)
class Attested:
    """What came of it: the certificate, or why there is none. `n` texts could be tested on. `looked`: whether a test saw how they were
    answered; that is one look of those that share delta. `outlook`: where rows are all that is missing, how many, and until when."""

    certificate: Certificate | None
    why: str
    n: int
    looked: bool = False
    outlook: Outlook | None = None

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        if self.certificate is None:
            missing = {"outlook": self.outlook.json()} if self.outlook is not None else {}
            return {"certified": False, "why": self.why, "n": self.n, "looked": self.looked, **missing}
        return {"certified": True, "n": self.n, "looked": self.looked, "certificate": self.certificate.told()}


UNTESTED = Attested(None, "none was tested for: it would change nothing, and each test makes the next one stricter", 0)
"""Of a challenger that is not promoted with one either."""


def terms_of(asked: Asked, before: Certificate | None, rows: Sequence[Taken], look: int) -> Terms:
    """What is asked for; then what the champion's certificate says; then whose most of the rows' outputs are."""
    plain = Terms()
    from_model = sum(taken.source == "upstream" for taken in rows)
    guessed: Reference = "model" if 2 * from_model >= len(rows) > 0 else "gold"
    inherited = before.reference.kind if before is not None else guessed
    if asked.loss == "attributes":
        inherited = "request"
    elif asked.loss == "likeness" and inherited == "request":
        inherited = guessed
    reference = asked.reference or inherited
    return Terms(
        alpha=asked.alpha if asked.alpha is not None else before.alpha if before is not None else plain.alpha,
        delta=asked.delta if asked.delta is not None else before.delta if before is not None else plain.delta,
        reference=reference,
        model=(asked.model or _answering(rows)) if reference == "model" else "",
        valid_days=asked.valid_days,
        segment=BY_LABEL if before is not None and before.by == BY_LABEL else None,
        look=look,
        loss="attributes" if reference == "request" else "likeness",
        overall=asked.overall if asked.overall is not None else before.overall if before is not None else None,
        audit_days=asked.audit_days if asked.audit_days is not None else (before.audit_days or None) if before is not None else None,
    )


def attested(
    challenger: Model,
    rows: Sequence[Taken],
    asked: Asked,
    before: Certificate | None,
    look: int,
    *,
    now: datetime | None = None,
    progress: Progress,
) -> Attested:
    """Certify the challenger; the certificate lies beside its bundle then. All looks since the rows are fresh spend delta together.

    Raises InputError for terms that cannot be. That no threshold can be certified is no error here.
    """
    terms = terms_of(asked, before, rows, look)
    if terms.reference == "judge":
        return Attested(None, "the champion's is against a judge, whose verdicts are not among the rows: give --reference", 0)
    given = newest(taken for taken in rows if taken.source in _OF[terms.reference])
    fit = [taken for taken in given if taken.model == terms.model] if terms.reference == "model" else given
    if len(fit) < len(given):
        progress.say(f"{len(given) - len(fit):,} rows do not certify, for another than {terms.model or 'the unnamed'} model answered them")
    expected = expecting(challenger, len(fit), terms)
    if expected is not None and expected.chance < asked.likely and len(fit) >= least(terms.alpha, terms.level):
        why = (
            f"none was tested for: by what it got right of the rows that choose, {len(fit):,} rows would give one with a chance of "
            f"{expected.chance:.0%}, and each test makes the next one stricter (--likely 0 tests all the same)"
        )
        return Attested(None, why, len(fit), outlook=_outlook(challenger, fit, terms, asked.likely, None, now))
    try:
        losses.chosen(terms.loss, challenger.task, challenger.form)
    except InputError as error:
        return Attested(None, f"{error.what} ({error.value}). {error.todo}", len(fit))
    drawn = _drawn(challenger, fit)
    if not drawn.rows:
        return Attested(None, f"there are no held-out rows to certify on whose outputs are of the reference {terms.reference}", len(fit))
    if before is not None and before.by not in ("", BY_LABEL):
        progress.say(f"the champion's certificate is by the column {before.by}, which these rows lack: the next one is for all")
    try:
        done = certify_drawn(challenger, drawn, terms, now=now, progress=progress)
    except CertificateError as error:
        tests = error.facts.get("tests")
        # One that says nothing of tests comes after them: the certificate could not be signed, or written.
        looked = not isinstance(tests, list) or any(test["tried"] for test in tests)
        missing = _outlook(challenger, fit, terms, asked.likely, tests, now) if isinstance(tests, list) and len(tests) == 1 else None
        return Attested(None, f"{error.what} ({error.value}). {error.todo}", len(fit), looked, missing)
    return Attested(done.certificate, "", len(fit), looked=True)


def expecting(challenger: Model, n: int, terms: Terms) -> Prospect | None:
    """What is to be expected of a test on `n` rows, by the challenger's report; None where that does not tell: it has no curve, or one of a
    handful of rows; it is of likeness, and another loss is asked for; or a certificate by label is, which is many tests."""
    found = _curve(challenger, terms)
    claim = terms.claim(terms.level, False)
    return prospect(*found, n, claim.alpha, claim.delta, claim.overall, claim.overall_level) if found is not None else None


def _curve(challenger: Model, terms: Terms) -> tuple[list[tuple[float, float]], int] | None:
    """The curve of the challenger's report and on how many rows it was measured; None where that does not tell."""
    known = report.read(challenger.folder / "report.json")
    metric = known.metrics.get(known.headline)
    measured = metric.n if metric is not None else known.data.test or 0
    if known.risk_coverage is None or measured < _HANDFUL or terms.segment is not None or terms.loss != "likeness":
        return None
    return [(point.coverage, point.risk) for point in known.risk_coverage.points], measured


def _outlook(
    challenger: Model, fit: Sequence[Taken], terms: Terms, likely: float, tests: list[dict[str, Any]] | None, now: datetime | None
) -> Outlook:
    """How many rows a certificate would take, and when they are there: by the report's curve, and by the test that failed, where there was
    one, whichever asks for more. After a test the next look is a stricter one."""
    looked = tests is not None and bool(tests[0]["tried"])
    following = replace(terms, look=terms.look + 1) if looked and terms.look is not None else terms
    enough = least(following.alpha, following.level)
    asked: list[int | None] = [tests[0]["pairs_needed"]] if tests is not None else []
    if (found := _curve(challenger, following)) is not None:
        curve, measured = found
        claim = following.claim(following.level, False)

        def chance(n: int) -> float:
            return prospect(curve, measured, n, claim.alpha, claim.delta, claim.overall, claim.overall_level).chance

        asked.append(fewest(chance, max(_EVEN, likely), enough))
    needed = None if not asked or None in asked else max(enough, *(count for count in asked if count is not None))
    return outlook(fit, needed, now or datetime.now(UTC))


def _drawn(challenger: Model, rows: Sequence[Taken]) -> Drawn:
    """The rows as a calibration sample. What names nothing that the challenger knows is heard once more, with its ears."""
    read: list[Row] = []
    unread: list[Text] = []
    for taken in rows:
        try:
            read.append(taken.row if taken.heard else _heard(challenger, taken))
        except ValueError:
            unread.append(taken.row.input)
    return Drawn(read, _NAME, unread, unchecked=_unchecked(rows), jobs={taken.row.input: taken.jobs for taken in rows}, by_text=True)


def _heard(challenger: Model, taken: Taken) -> Row:
    if taken.unread or not isinstance(challenger.task, Teachable) or not isinstance(taken.row.output, str):
        raise ValueError("nothing to hear")
    return Row(taken.row.input, challenger.task.heard(taken.row.output, challenger.form, taken.row.input))


def _answering(rows: Sequence[Taken]) -> str:
    """The large model that answered most of the newest rows, as it was asked for: it is the one that answers now. Empty where that is not
    known."""
    newest_first = sorted((taken for taken in rows if taken.source == "upstream"), key=lambda taken: taken.at, reverse=True)
    names = Counter(taken.model for taken in newest_first[:_NEWEST])
    return max(names, key=lambda name: names[name], default="")


def _unchecked(rows: Sequence[Taken]) -> tuple[str, ...]:
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
