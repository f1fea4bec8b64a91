"""The run `certify`: test a project's model on rows that it has never seen, and sign the certificate."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from smidgen.core.errors import CertificateError, InputError
from smidgen.flows.certify.calibration_sample import CalibrationPairs
from smidgen.flows.certify.certification import CertificateTerms, certify_pairs
from smidgen.flows.learn.line_certificate import recertify
from smidgen.flows.learn.settings import LineCertificateSettings
from smidgen.flows.local_model import load
from smidgen.store.traffic.tables import use_store
from smidgen.studio.flows.build import tables_of
from smidgen.studio.flows.run_process import RunProgress, parts_of_error
from smidgen.studio.flows.serving.certificates import certified_folder, fresh_rows, row_of
from smidgen.studio.flows.serving.servers import LINE, traffic_url
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import Run, RunStore


class CertifyRequest(BaseModel):
    """The request of a run `certify`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(min_length=1, max_length=50)
    alpha: float = Field(0.05, gt=0, lt=1)
    delta: float = Field(0.05, gt=0, lt=1)
    valid_days: int = Field(90, ge=1, le=3650)


def run_certify(store: StudioStore, run: Run, progress: RunProgress) -> Mapping[str, Any]:
    """Certify a model. The result says whether it is certified and, if not, what is missing."""
    try:
        asked = CertifyRequest(**run.request)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError("studio.setting_cannot_be_used", value=first["input"], setting=first["loc"][0], reason=first["msg"]) from None
    use_store(traffic_url(run.project))
    folder = certified_folder(store, run.project, asked.model)
    try:
        with closing(load(folder)) as model:
            if asked.model == LINE:
                terms = LineCertificateSettings(alpha=asked.alpha, delta=asked.delta, valid_days=asked.valid_days, likely=0.0)
                done = recertify(model, terms, progress)
                facts = done.certificate.facts_for_reader() if done.certificate is not None else None
                return {"certified": facts is not None, "certificate": facts, "why": done.why, "facts": {}}
            rows = fresh_rows(store, run.project, asked.model)
            if not rows:
                todo = "Add a file of answered examples as test rows. None of them may be in the data that this model was built from."
                return {"certified": False, "certificate": None, "why": f"There is no row to test on. {todo}", "facts": {"n": 0}}
            built = int((RunStore(store.database).get(asked.model).result or {})["version"])
            drawn = CalibrationPairs([row_of(row) for row in rows], f"{len(rows):,} test rows")
            issued = certify_pairs(
                model,
                drawn,
                CertificateTerms(alpha=asked.alpha, delta=asked.delta, valid_days=asked.valid_days),
                built_from=tables_of(store, store.project(run.project), built) if built else None,  # one built elsewhere
                progress=progress,
            )
    except CertificateError as error:
        parts = parts_of_error(error)
        return {"certified": False, "certificate": None, "why": str(error), "facts": dict(error.facts), "error": parts}
    return {"certified": True, "certificate": issued.certificate.facts_for_reader(), "why": "", "facts": {}}


run_certify.permission = "serve"  # type: ignore[attr-defined]  # the route that starts runs asks for it
part = run_certify
