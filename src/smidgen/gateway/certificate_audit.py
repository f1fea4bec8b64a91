"""Audit a certificate in use: record losses, keep them through restarts, and revoke the certificate when the evidence is sufficient.

An audit is recorded before the fallback is asked, so that an audit whose process dies is not forgotten: after 15 minutes it counts as
lost. Answers since the last audit are counted, too: they show when audits should have come and did not.

The state of a certificate's audits is a small file in smidgen's home, written from the signing of the certificate on. Several processes
may write to it, one at a time. If it cannot be read, or is gone, evidence was lost, and the certificate is revoked. A state that demands
revocation counts as one, even if the revocation was not written.

Two kinds of certificates may have no state yet: those of an older smidgen, and those of another machine.

A line has one more sequential test, over all versions behind one name. A certificate's own test starts at nothing with every version, so a
line that promotes a slightly bad version every week would never be found out. So each answered audit also enters the test of its line,
which goes on through restarts, promotions and rollbacks. If that one has enough evidence, every certificate whose audits it counted is
revoked, and it starts anew: a new version needs a certificate on fresh rows. It also starts anew after a certificate was revoked by its own
audits. `stats/sequential_audit.py` says how both tests share delta. A line is a folder of versions (`store/line.py`), wherever it lies.
Outside lines it is the bundles of one name in one folder: a build that takes the place of the one before, or stands beside it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import filelock

from smidgen.core.errors import BundleError, InputError
from smidgen.gateway import certificate as papers
from smidgen.gateway import revocation
from smidgen.gateway.certificate import Certificate
from smidgen.stats.sequential_audit import SequentialAudit
from smidgen.store import files
from smidgen.store.files import home
from smidgen.store.line import Line, is_line

_log = logging.getLogger("smidgen.audit")
_LOCK_SECONDS = 10
_MOST_BYTES = 16 * 1024 * 1024
_LONGEST = timedelta(minutes=15)
"""Age after which an open audit counts as lost: its process is gone."""
_MOST_OWNERS = 64
_MOST_CONTRADICTIONS = 100
_MOST_WORDS = 2000
SHARE = 0.02
"""Default share of the answers that is audited."""
_EXPECTED = 10.0
"""Expected audits after which none at all is no chance: the probability of that is 0.00005."""


@dataclass(frozen=True, slots=True)
class UnauditedAnswers:
    """The number of answers given under a certificate since its last audit, and the time of the first."""

    answers: int = 0
    since: datetime | None = None

    def more(self, answers: int, first: datetime) -> UnauditedAnswers:
        """Add answers, the first of which was given at that time."""
        return UnauditedAnswers(self.answers + answers, first if self.since is None else min(self.since, first))

    def stale_from(self, paper: Certificate, share: float) -> datetime | None:
        """When the certificate goes stale; None while so few answers were given that chance explains the lack of audits."""
        if not paper.audit_days or self.since is None or self.answers < math.ceil(_EXPECTED / share):
            return None
        return self.since + timedelta(days=paper.audit_days)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """An audit that spoke against the certificate, for an operator to review.

    Attributes:
        at: the time, in seconds.
        client: who asked: a hash of its key; empty for a client without a key.
        request: the id under which the request is stored, if it is.
        loss: of the answer; None if the audit was never answered.
        asked, answered, reference: the text, the local answer and the reference's; empty unless requests are stored anyway.
    """

    at: float
    client: str
    request: str = ""
    loss: float | None = None
    asked: str = ""
    answered: str = ""
    reference: str = ""

    def json(self) -> dict[str, Any]:
        """JSON-ready, with texts of bounded length."""
        facts = {name: getattr(self, name) for name in self.__slots__}
        return {name: value[:_MOST_WORDS] if isinstance(value, str) else value for name, value in facts.items()}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Contradiction:
        """Read one. Raises KeyError, TypeError or ValueError for anything else."""
        words = {name: str(facts.get(name, "")) for name in ("client", "request", "asked", "answered", "reference")}
        loss = facts.get("loss")
        return cls(at=float(facts["at"]), loss=None if loss is None else float(loss), **words)


_MOST_ENDED = 1000
"""Revoked tests that a line remembers; each has its own revocation, too."""
_DEPTH = 3
"""How far above a version, or one that is being made, its line may be."""


@dataclass(slots=True)
class LineAudit:
    """The audits of a line since its last revocation.

    Attributes:
        audit: the test of all of them; `alpha`, `delta` and segments are the present certificate's.
        tests: the certificates' own tests whose audits it counted, by their first certificate's id.
        ended: for each such test that the line's has revoked, why.
    """

    audit: SequentialAudit
    tests: tuple[str, ...] = ()
    ended: Mapping[str, str] = field(default_factory=dict)

    def join(self, test: str, own: SequentialAudit) -> None:
        """Let a certificate's own test take part, before its next audit. Both share delta as soon as the line has other versions."""
        if test not in self.tests:
            self.tests = (*self.tests, test)
        if len(self.tests) > 1:
            own.share(2)

    def observe(self, own: SequentialAudit, loss: float, probability: float, segment: str | None, client: str | None) -> bool:
        """Add an audit that `own` has taken in. Returns whether the line's test revokes."""
        self.audit.least_probability, self.audit.declared = own.least_probability, own.declared
        return self.audit.observe(loss, probability, segment, client)

    def end(self, why: str = "") -> None:
        """Start the test anew, after a revocation. `why`: if the line's test revokes, and so for all versions that took part."""
        ended = {**self.ended, **(dict.fromkeys(self.tests, why) if why else {})}
        self.ended = dict(list(ended.items())[-_MOST_ENDED:])
        self.audit, self.tests = new_line_test(self.audit.alpha, self.audit.delta, self.audit.segments), ()

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"audit": self.audit.json(), "tests": list(self.tests), "ended": dict(self.ended)}


@dataclass(frozen=True, slots=True)
class AuditState:
    """The state of a certificate's audits.

    Attributes:
        audit: the sequential test.
        silence: the answers since the last audit.
        barred: audits that were drawn and not sent, because of the privacy policy or the budget; they count neither way.
        open: audits under way: for each owner the number, and the time of its last draw.
        against: the latest audits that spoke against the certificate.
        test: the id of the first certificate that this test began with; others have carried it on.
        line_file: the name of the file of the line's audits; empty before the line has counted one of these.
        line: the line's audits, if there are any.
        lost_line: why they cannot be read; empty if they can.
    """

    audit: SequentialAudit
    silence: UnauditedAnswers = UnauditedAnswers()
    barred: int = 0
    open: Mapping[str, tuple[int, datetime]] = field(default_factory=dict)
    against: tuple[Contradiction, ...] = ()
    test: str = ""
    line_file: str = ""
    line: LineAudit | None = None
    lost_line: str = ""

    @property
    def share(self) -> float:
        """The share of the answers that is audited."""
        return self.audit.least_probability or SHARE

    @property
    def revocation(self) -> str:
        """Why the audits revoke the certificate; empty if they do not."""
        if self.audit.revoked:
            return f"the audits found too many disagreements: {describe(self.audit)}"
        return self.lost_line or (self.line.ended.get(self.test, "") if self.line is not None else "")

    @property
    def suspended(self) -> frozenset[str]:
        """Clients whose audits alone contradicted the certificate, or the line's."""
        return frozenset((*self.audit.suspended, *(self.line.audit.suspended if self.line is not None else ())))

    def settled(self, owner: str) -> AuditState:
        """The state after one open audit of this owner has ended."""
        count, at = self.open.get(owner, (0, datetime.now(UTC)))
        others = {name: one for name, one in self.open.items() if name != owner}
        return replace(self, open=others | ({owner: (count - 1, at)} if count > 1 else {}))

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        since = self.silence.since.timestamp() if self.silence.since is not None else None
        opened = {name: [count, at.timestamp()] for name, (count, at) in self.open.items()}
        watch: dict[str, Any] = {"answers": self.silence.answers, "since": since, "barred": self.barred, "open": opened}
        if self.against:
            watch["against"] = [one.json() for one in self.against]
        watch |= {name: value for name, value in (("test", self.test), ("line", self.line_file)) if value}
        return {**self.audit.json(), "watch": watch}

    @classmethod
    def from_json(cls, state: Mapping[str, Any], segments: tuple[str, ...]) -> AuditState:
        """Read a state; an older smidgen wrote the test alone. Raises ValueError if the content is not a state."""
        audit = SequentialAudit.from_json(state, segments)
        try:
            watch = state.get("watch", {})
            answers, barred, since = int(watch.get("answers", 0)), int(watch.get("barred", 0)), watch.get("since")
            opened = {str(name): (int(one[0]), _moment(one[1])) for name, one in watch.get("open", {}).items()}
            silence = UnauditedAnswers(answers, None if since is None else _moment(since))
            against = tuple(Contradiction.from_json(one) for one in watch.get("against", ()))
            test, line_file = str(watch.get("test", "")), str(watch.get("line", ""))
        except (KeyError, TypeError, AttributeError, IndexError, OverflowError, OSError) as error:
            raise ValueError(f"this is not the state of an audit ({error})") from error
        if answers < 0 or barred < 0 or any(count < 0 for count, _ in opened.values()):
            raise ValueError("this is not the state of an audit (a number is out of range)")
        return cls(audit, silence, barred, opened, against, test, line_file)


def begin(paper: Certificate) -> None:
    """Write an empty state before a certificate is given out. Raises OSError if it cannot be written."""
    with _turn(file := audit_file(paper.id)):
        _write(file, _new(paper))


def declare(paper: Certificate, least_probability: float, *, anew: bool = False) -> None:
    """Declare the least probability with which any request under this certificate is audited, before requests are drawn.

    It is needed if requests are audited with different probabilities. It is kept with the evidence: a loss weighs less, the more its
    request's probability exceeds it. Repeating a declaration changes nothing.

    A state that cannot be read is left to the next audit, which revokes.

    Args:
        least_probability: over 0, at most 1.
        anew: whether to replace an earlier declaration. The losses of requests drawn under it must have been recorded before. The new
            probability must not depend on the request, or the test means nothing.

    Raises ValueError for a probability out of range, or one that differs from an earlier declaration; OSError if it cannot be written.
    """
    with _turn(file := audit_file(paper.id)):
        try:
            kept = _read(file, paper)
        except (OSError, ValueError):
            return
        audit = kept.audit
        if audit.declared and audit.least_probability == least_probability:
            return
        if audit.declared and not anew:
            raise ValueError(
                f"the least probability of an audit under this certificate was declared as {audit.least_probability}, not "
                f"{least_probability}. Keep it; or record the audits drawn so far, then declare it again."
            )
        audit.declare(least_probability)
        _write(file, kept)


def note_drawn(bundle: Path, paper: Certificate, owner: str, now: datetime | None = None) -> None:
    """Record that an audit was drawn, before it is sent. `owner`: the asker, who settles it. Raises OSError if it cannot be written. A
    state that cannot be read is left to the audit, which revokes."""
    now = now or datetime.now(UTC)
    with _turn(file := audit_file(paper.id)):
        try:
            kept = _expired(_read(file, paper), now)
        except (OSError, ValueError):
            return
        count, _ = kept.open.get(owner, (0, now))
        _write(file, replace(kept, open={**kept.open, owner: (count + 1, now)}))
        _revoke_if_so(bundle, paper, kept, now)


def note_blocked(bundle: Path, paper: Certificate, owner: str, now: datetime | None = None) -> None:
    """Record that a drawn audit may not be sent. Raises OSError if it cannot be written."""
    now = now or datetime.now(UTC)
    with _turn(file := audit_file(paper.id)):
        try:
            kept = _expired(_read(file, paper).settled(owner), now)
        except (OSError, ValueError):
            return
        _write(file, replace(kept, barred=kept.barred + 1))
        _revoke_if_so(bundle, paper, kept, now)


def note_answers(paper: Certificate, answers: int, first: datetime, now: datetime | None = None) -> None:
    """Count answers given under a certificate, the first of them at that time. Raises OSError if the state cannot be written, ValueError if
    it cannot be read."""
    now = now or datetime.now(UTC)
    with _turn(file := audit_file(paper.id)):
        kept = _expired(_read(file, paper), now)
        _write(file, replace(kept, silence=kept.silence.more(answers, first)))


def observe(
    bundle: Path,
    paper: Certificate,
    loss: float | None,
    probability: float = 1.0,
    now: datetime | None = None,
    segment: str | None = None,
    owner: str = "",
    found: Contradiction | None = None,
) -> bool:
    """Record one audited answer, and revoke the certificate if the evidence suffices. Returns whether audits revoke it.

    Args:
        bundle: folder of the bundle with the certificate `paper`.
        loss: of the answer against the reference, 0..1; if answers are right or wrong, 1 for a wrong one. None if the audit was drawn and
            never answered: `stats/sequential_audit.py` says how that counts.
        probability: of drawing this request, fixed before the loss was known: at least the declared one, or without a declaration always
            the same. Unsolicited feedback is not an audit: complaints are not a random sample.
        segment: the request's, if the certificate is by segments and it is known.
        owner: who drew it, as given to `note_drawn`.
        found: what to show an operator if it speaks against the certificate, and whose request it was.

    Raises ValueError for a loss or a probability out of range, and then records nothing; OSError if the state cannot be written.
    """
    now = now or datetime.now(UTC)
    with _turn(file := audit_file(paper.id)), ExitStack() as stack:
        try:
            kept = _expired(_read(file, paper), now)
        except (OSError, ValueError) as error:
            _revoke(bundle, paper, f"the state of its audit cannot be read ({file.name}: {error})", now)
            _warn_of_revocation(paper)
            return True
        client = found.client if found is not None else None
        if loss is None:
            kept.audit.lost(probability, segment, client=client)
        else:
            kept = _observed(bundle, paper, kept, loss, probability, segment, client, stack)
        kept = kept.settled(owner)
        if found is not None and loss != 0:
            kept = replace(kept, against=(*kept.against, replace(found, loss=loss))[-_MOST_CONTRADICTIONS:])
        try:
            if loss is not None and kept.line is not None:
                _write_line(file.with_name(kept.line_file), kept.line)
            _write(file, kept if loss is None else replace(kept, silence=UnauditedAnswers()))
        finally:
            # Revoke on every call, not only the first: if a process is killed between the two writes, the next one makes the second. And
            # if the state cannot be written, perhaps the revocation can: one of the two suffices.
            _revoke_if_so(bundle, paper, kept, now)
    if kept.revocation:
        _warn_of_revocation(paper)
    return bool(kept.revocation)


def _warn_of_revocation(paper: Certificate) -> None:
    _log.warning("the certificate %s of %s is revoked by its audits: every request to it escalates", paper.id, paper.bundle.name)


def _observed(
    bundle: Path,
    paper: Certificate,
    kept: AuditState,
    loss: float,
    probability: float,
    segment: str | None,
    client: str | None,
    stack: ExitStack,
) -> AuditState:
    """The state after an answered audit, which also enters the line's test; `stack` holds the lock of that one. If it cannot be read, the
    state revokes, as for the certificate's own, and what cannot be read gives way to a new test."""
    file, test = line_file(bundle, paper), kept.test or paper.id
    stack.enter_context(_turn(file))
    try:
        line = _read_line(file, paper, _segments(paper), known=kept.line_file == file.name)
    except (OSError, ValueError) as error:
        line = LineAudit(new_line_test(paper.alpha, paper.delta, _segments(paper)))
        kept = replace(kept, lost_line=f"the state of its line's audits cannot be read ({error})")
    kept = replace(kept, test=test, line_file=file.name, line=line)
    if kept.revocation:  # this audit was drawn before
        kept.audit.observe(loss, probability, segment, client)
        return kept
    line.join(test, kept.audit)
    own = kept.audit.observe(loss, probability, segment, client)
    over = line.observe(kept.audit, loss, probability, segment, client)
    if own or over:
        line.end("" if own else f"the audits of all versions of its line found too many disagreements: {describe(line.audit)}")
    return kept


def read_audit(paper: Certificate) -> SequentialAudit:
    """The test over a certificate's audits so far. Raises OSError or ValueError if the state cannot be read."""
    return read_state(paper).audit


def read_state(paper: Certificate) -> AuditState:
    """The state of a certificate's audits. Raises OSError or ValueError if it cannot be read."""
    return _read(audit_file(paper.id), paper)


def carry_over(before: Certificate, paper: Certificate) -> None:
    """Give a certificate the audits of its predecessor with the same claim on the same bundle, because one claim is tested once.

    A state that cannot be read stays so, and the new certificate is not valid. Raises OSError if it cannot be written.
    """
    source, target = audit_file(before.id), audit_file(paper.id)
    if not source.exists():
        begin(paper)
        return
    with _turn(source):
        content = source.read_bytes()
    try:
        facts = json.loads(content)
        if isinstance(facts, dict) and isinstance(facts.get("watch"), dict):
            facts["watch"].pop("open", None)  # audits under way are the earlier certificate's
            facts["watch"].setdefault("test", before.id)
            content = (json.dumps(facts) + "\n").encode("ascii")
    except ValueError:
        pass
    files.write(target, content)


def revoke_if_due(bundle: Path, paper: Certificate, now: datetime | None = None) -> None:
    """Write the revocation that a certificate's audits demand, if a killed process did not. Raises OSError if it cannot be written. A state
    that cannot be read is left to the next audit, and until then nothing is answered under the certificate."""
    try:
        kept = read_state(paper)
    except (OSError, ValueError):
        return
    _revoke_if_so(bundle, paper, kept, now or datetime.now(UTC))


def restart_line(bundle: Path, paper: Certificate) -> None:
    """Start the test of a certificate's line anew, because an operator has revoked the certificate. Raises OSError if it cannot be written.
    Audits that cannot be read are left to the next one, which revokes."""
    file = line_file(bundle, paper)
    with _turn(file):
        try:
            line = _read_line(file, paper, _segments(paper), known=True)
        except ValueError:
            return
        line.end()
        _write_line(file, line)


def audit_file(certificate: str) -> Path:
    """The file of a certificate's audit state, by the certificate's id."""
    return home() / "audits" / f"{certificate}.json"


def watched_files(bundle: Path, paper: Certificate) -> list[Path]:
    """The files that `read_state` reads: the certificate's own and its line's."""
    with suppress(OSError):  # a line that cannot be read is found out by what else depends on it
        return [audit_file(paper.id), line_file(bundle, paper)]
    return [audit_file(paper.id)]


def describe(audit: SequentialAudit) -> str:
    """The findings of audits, in words."""
    gone = f" and {audit.never_answered:,} that were never answered" if audit.never_answered else ""
    found = f"a loss of {audit.losses:.4g} in {audit.audits:,} audits{gone}, evidence {audit.most:.3g} of {audit.needed:.3g}"
    if audit.worst is None:
        return found
    name, count, losses = audit.worst
    return f"{found}; most speaks the segment {name} against it, {losses:.4g} in {count:,}"


def describe_silence(paper: Certificate, silence: UnauditedAnswers) -> str:
    """Why a certificate without recent audits is stale, in words."""
    since = f"{silence.since:%Y-%m-%d %H:%M} UTC" if silence.since is not None else "it was given"
    return (
        f"no audit has come since {since}, though {silence.answers:,} answers were given: it allows {paper.audit_days} days of that. It "
        "holds again once an audit is answered: see that they are drawn (--audit-share), and that the fallback answers them"
    )


def describe_lost(audit: SequentialAudit) -> str:
    """Why a certificate of which too many audits got lost is stale, in words."""
    return (
        f"too many audits were never answered, and those may be the wrong ones: {describe(audit)}. It holds again once fresh audits are "
        "answered: see that the fallback answers, and raise its rate limit if it refuses for that"
    )


def _moment(seconds: Any) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)


def _new(paper: Certificate) -> AuditState:
    return AuditState(SequentialAudit(paper.alpha, paper.delta, segments=_segments(paper)))


def _expired(kept: AuditState, now: datetime) -> AuditState:
    """A state in which expired audits count as lost: those too old, and those of all but the newest owners."""
    old = sorted(kept.open, key=lambda name: kept.open[name][1])
    gone = [name for name in old if now - kept.open[name][1] > _LONGEST or name in old[:-_MOST_OWNERS]]
    for name in gone:
        kept.audit.lost(kept.share, count=kept.open[name][0])
    return replace(kept, open={name: one for name, one in kept.open.items() if name not in gone}) if gone else kept


def _revoke_if_so(bundle: Path, paper: Certificate, kept: AuditState, now: datetime) -> None:
    if why := kept.revocation:
        _revoke(bundle, paper, why, now)


def _segments(paper: Certificate) -> tuple[str, ...]:
    """The segments of a certificate; empty if it has none."""
    return tuple(entry.segment for entry in paper.answering) if paper.by else ()


def _turn(file: Path) -> filelock.BaseFileLock:
    """The lock of a state: one process writes at a time. Take a line's after its certificate's own."""
    file.parent.mkdir(exist_ok=True)
    return filelock.FileLock(file.with_suffix(".lock"), timeout=_LOCK_SECONDS)


def _write(file: Path, kept: AuditState) -> None:
    files.write(file, (json.dumps(kept.json()) + "\n").encode("ascii"))


def _revoke(bundle: Path, paper: Certificate, reason: str, now: datetime) -> None:
    sample, manifest = paper.calibration, paper.bundle.sha256
    if revocation.find_revocation(bundle, paper.id) is None:
        revocation.revoke(bundle, paper.id, reason, now, sample.rows_sha256, sample.marks, manifest)


def _read(file: Path, paper: Certificate) -> AuditState:
    try:
        with file.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        if paper.begun and paper.key == papers.own_public_key():
            raise ValueError("it is gone, and with it the findings of the audits") from None
        return _new(paper)
    if len(content) > _MOST_BYTES:
        raise ValueError("it is too large")
    state = json.loads(content)
    if not isinstance(state, dict):
        raise ValueError("it is not an object")
    kept = AuditState.from_json(state, _segments(paper))
    if (kept.audit.alpha, kept.audit.delta) != (paper.alpha, paper.delta):
        raise ValueError("it is of another certificate")
    if not kept.line_file:
        return kept
    return replace(kept, line=_read_line(file.with_name(kept.line_file), paper, _segments(paper), known=True))


def line_file(bundle: Path, paper: Certificate) -> Path:
    """The file of the line's audits. Raises OSError if the line's pointer cannot be read."""
    place = bundle.resolve()
    line = next((folder for folder in place.parents[:_DEPTH] if is_line(folder)), None)
    try:
        named = ["line", Line(line).read().key] if line is not None else ["folder", str(place.parent), paper.bundle.name]
    except (BundleError, InputError) as error:
        raise OSError(f"the line cannot be read: {error}") from error
    return home() / "audits" / f"line-{hashlib.sha256(json.dumps(named).encode()).hexdigest()[:32]}.json"


def _read_line(file: Path, paper: Certificate, segments: tuple[str, ...], *, known: bool) -> LineAudit:
    """The audits of a line, to go on with a certificate's terms. Raises OSError or ValueError if they cannot be read.

    `known`: whether the certificate's own state says that there are some: then a missing file has lost them.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        if known:
            raise ValueError(f"{file.name} is gone, and with it the findings of the line's audits") from None
        return LineAudit(new_line_test(paper.alpha, paper.delta, segments))
    if len(content) > _MOST_BYTES:
        raise ValueError(f"{file.name} is too large")
    try:
        found = json.loads(content)
        state = {**found["audit"], "alpha": paper.alpha, "delta": paper.delta}
        tests, ended = tuple(map(str, found["tests"])), {str(name): str(why) for name, why in found["ended"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file.name} is not the state of a line's audits ({error})") from error
    return LineAudit(SequentialAudit.from_json(state, segments), tests, ended)


def _write_line(file: Path, found: LineAudit) -> None:
    files.write(file, (json.dumps(found.json()) + "\n").encode("ascii"))


def new_line_test(alpha: float, delta: float, segments: tuple[str, ...]) -> SequentialAudit:
    """The test of a line that has no audits yet."""
    audit = SequentialAudit(alpha, delta, segments=segments)
    audit.share(2)
    return audit
