"""The certificate of a project's model: how it stands, the rows that could test the model, and its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from smidgen.bundles.open import folder_of
from smidgen.core.errors import InputError
from smidgen.core.rows import Row, joined
from smidgen.flows.certify import certificate_status
from smidgen.flows.certify.certification import CertificateTerms, certificate_standing, revoke
from smidgen.stats.risk_bounds import fewest_rows
from smidgen.studio.flows.serving.servers import LINE, served_folder
from smidgen.studio.store.data_rows import DataRow, RowFilter
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import RunStore
from smidgen.text.near_duplicates import fold_text


@dataclass(frozen=True)
class ModelCertificate:
    """How the certificate of a model stands, and the rows that could test it.

    Attributes:
        state, valid, why: how it stands, whether it holds, and why it does not.
        certificate: its facts for a reader; None without one.
        audits: what audits have found so far; None without a certificate, or where they cannot be read.
        rows: rows that the model has never seen, and that may test it.
        fewest: how many it takes at least for a promise of `alpha` and `delta`, if none of its answers is wrong.
        chance: how likely these rows give a certificate, by the model's report; None if it does not tell, or there are too few.
        share: the share of the requests that it then answers, about.
    """

    state: str
    valid: bool
    why: str
    certificate: Mapping[str, Any] | None
    audits: Mapping[str, Any] | None
    rows: int
    fewest: int
    chance: float | None
    share: float | None


def read_certificate(store: StudioStore, project: str, model: str, alpha: float = 0.05, delta: float = 0.05) -> ModelCertificate:
    """How the certificate of a build, or of the line's champion, stands. Raises InputError if there is no such model."""
    folder = certified_folder(store, project, model)
    status = certificate_standing(folder)
    paper = status.certificate
    audits: Mapping[str, Any] | None = None
    if paper is not None:
        try:
            audits = asdict(certificate_status.evidence(paper))
        except (OSError, ValueError):
            audits = None
    fresh = 0 if model == LINE else len(fresh_rows(store, project, model))
    facts = paper.facts_for_reader() if paper is not None else None
    fewest = fewest_rows(alpha, delta)
    odds = CertificateTerms(alpha=alpha, delta=delta).odds(folder) if fresh >= fewest else None
    forecast = odds(fresh) if odds is not None else None
    return ModelCertificate(
        state=status.state.value,
        valid=status.valid,
        why=status.why,
        certificate=facts,
        audits=audits,
        rows=fresh,
        fewest=fewest,
        chance=None if forecast is None else forecast.chance,
        share=None if forecast is None else forecast.share,
    )


def revoke_certificate(store: StudioStore, project: str, model: str, reason: str) -> None:
    """Revoke the certificate of a model for good: from now on everything escalates."""
    revoke(folder_of(certified_folder(store, project, model)), reason)


def fresh_rows(store: StudioStore, project: str, model: str) -> list[DataRow]:
    """The test rows of the newest data whose texts were in no row that the model was built from or measured on."""
    run = RunStore(store.database).get(model)
    built = int((run.result or {}).get("version") or 0)
    rows = store.rows(project)
    known = {_named(row) for row in rows.each(built)}
    return [row for row in rows.each(where=RowFilter(part="test")) if row.output is not None and _named(row) not in known]


def certified_folder(store: StudioStore, project: str, model: str) -> Path:
    """The folder of a model that can have a certificate. Raises InputError if there is none."""
    folder = served_folder(store, project, model)
    if folder is None:
        raise InputError("studio.no_model_is_named", value=model)
    return folder


def row_of(row: DataRow) -> Row:
    """A project's row as models read it."""
    return Row(row.input if row.second is None else (row.input, row.second), row.output)


def _named(row: DataRow) -> str:
    return fold_text(joined(row_of(row).input))
