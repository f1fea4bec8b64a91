"""The challenger's certificate, on held-out rows that chose nothing, on the terms of the champion's where nothing else is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from smidgen.core.errors import CertificateError
from smidgen.core.progress import Progress
from smidgen.flows.certifying import BY_LABEL, Terms, certify
from smidgen.flows.learning.challenger import Columns, written
from smidgen.flows.learning.material import Source, Taken
from smidgen.flows.live import Model
from smidgen.gateway.certificate import Certificate
from smidgen.stats.certified import Judge

Reference = Literal["gold", "model", "reviews", "judge"]
_OF: dict[Reference, frozenset[Source]] = {
    "gold": frozenset({"original", "data", "human"}),
    "model": frozenset({"upstream", "human"}),
    "judge": frozenset({"upstream", "human"}),
    "reviews": frozenset({"human"}),
}
"""Whose outputs are that reference's. What a person corrected is the large model's answer as it should have been."""


@dataclass(frozen=True)
class Asked:
    """What is asked of the certificate; None: as the champion's has it, else as `smidgen certify` has it."""

    alpha: float | None = None
    delta: float | None = None
    reference: Literal["gold", "model", "reviews"] | None = None
    valid_days: int = 90


@dataclass(frozen=True)
class Attested:
    """What came of it: the certificate, or why there is none. `n` rows could be tested on."""

    certificate: Certificate | None
    why: str
    n: int

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        if self.certificate is None:
            return {"certified": False, "why": self.why, "n": self.n}
        return {"certified": True, "n": self.n, "certificate": self.certificate.facts()}


def terms_of(asked: Asked, before: Certificate | None, rows: Sequence[Taken]) -> Terms:
    """What is asked for; then what the champion's certificate says; then whose most of the rows' outputs are."""
    plain = Terms()
    from_model = sum(taken.source == "upstream" for taken in rows)
    guessed: Reference = "model" if 2 * from_model >= len(rows) > 0 else "gold"
    reference: Reference = asked.reference or (before.reference.kind if before is not None else guessed)
    judge = before.reference.judge if before is not None and reference == "judge" else None
    return Terms(
        alpha=asked.alpha if asked.alpha is not None else before.alpha if before is not None else plain.alpha,
        delta=asked.delta if asked.delta is not None else before.delta if before is not None else plain.delta,
        reference=reference,
        judge=Judge(judge.wrong, judge.reviewed) if judge is not None else None,
        valid_days=asked.valid_days,
        segment=BY_LABEL if before is not None and before.by == BY_LABEL else None,
    )


def attested(
    challenger: Model,
    rows: Sequence[Taken],
    columns: Columns,
    asked: Asked,
    before: Certificate | None,
    work: Path,
    *,
    now: datetime | None = None,
    progress: Progress,
) -> Attested:
    """Certify the challenger; the certificate lies beside its bundle then.

    Raises InputError for terms that cannot be. That no threshold can be certified is no error here.
    """
    terms = terms_of(asked, before, rows)
    fit = [taken for taken in rows if taken.source in _OF[terms.reference]]
    if not fit:
        return Attested(None, f"there are no held-out rows to certify on whose outputs are of the reference {terms.reference}", 0)
    if before is not None and before.by not in ("", BY_LABEL):
        progress.say(f"the champion's certificate is by the column {before.by}, which these rows lack: the next one is for all")
    file = written(fit, columns, work, "certifying")
    try:
        done = certify(challenger, file, terms, input=",".join(columns[0]), label=columns[1], now=now, progress=progress)
    except CertificateError as error:
        return Attested(None, f"{error.what} ({error.value}). {error.todo}", len(fit))
    return Attested(done.certificate, "", len(fit))
