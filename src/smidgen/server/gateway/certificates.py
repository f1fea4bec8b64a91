"""The certificates of the served bundles: of the bundle that answers a request, for each of several answers, and as metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from smidgen.core.replies import Reply
from smidgen.flows.certify.certificate_status import AuditEvidence, evidence, status_reader
from smidgen.gateway import route
from smidgen.gateway.certificate_status import CertificateState, StatusReader, read_status
from smidgen.gateway.route import RequestedModel, RoutingDecision
from smidgen.gateway.route_settings import FallbackSettings
from smidgen.server.models import ServedBundle
from smidgen.server.service import Service

_NOTE = "certificate"


def certificate_of(service: Service, model: ServedBundle) -> StatusReader:
    """Return the certificate reader of a model. It lives as long as the model is open, and does not keep the model open."""
    return service.noted(
        model,
        _NOTE,
        lambda made: status_reader(getattr(made, "folder", None), made.manifest, large_model_names(service.settings.fallback)),
    )


def present_certificates(service: Service) -> dict[str, StatusReader]:
    """Return the certificate readers of the models that answer new requests, by name. Thread-safe."""
    return {name: certificate_of(service, model) for name, model in list(service.models.items())}


def large_model_names(fallback: FallbackSettings) -> frozenset[str] | None:
    """Return the names of the large model that audits ask and requests escalate to; None without a fallback.

    These are the first fallback's model and its declared other names.
    """
    return frozenset({fallback.models[0], *fallback.reference_models}) if fallback.models else None


@dataclass(frozen=True, slots=True)
class RequestCertificates:
    """The certificates for a face whose reply has several answers, each decided separately.

    `quality`: the quality that the request asks for; None if it asks for none.
    """

    service: Service
    quality: float | None = None

    async def ruling(self, model: ServedBundle, reply: Reply) -> RoutingDecision:
        """Decide whether a bundle's certificate holds now and covers this reply. The request has no segment."""
        standing = await read_status(certificate_of(self.service, model))
        return route.decision_after(standing, RequestedModel(model.name, self.quality), [reply], {})


_STATE = ("smidgen_certificate_state", "1 for how each bundle's certificate stands now, 0 for how it does not.")
_AUDITS = ("smidgen_certificate_audits", "Audits of the certificate so far, over restarts.")
_LOSSES = ("smidgen_certificate_audit_losses", "The sum of their losses.")
_EVIDENCE = ("smidgen_certificate_evidence", "The largest evidence against the certificate so far.")
_LOST = ("smidgen_certificate_audits_lost", "Audits of the certificate that were drawn and never answered, over restarts.")
_BARRED = (
    "smidgen_certificate_audits_barred",
    "Audits that were drawn and say nothing: the privacy policy or a budget forbids them, or the large model refuses the request.",
)
_ANSWERS = ("smidgen_certificate_answers_since_audit", "Answers given under the certificate since its last audit that was answered.")
_SUSPENDED = ("smidgen_certificate_clients_suspended", "Clients whose audits alone contradicted the certificate; their requests escalate.")
_NEEDED = ("smidgen_certificate_evidence_needed", "The evidence with which it is revoked.")


class CertificateGauge(Collector):
    """Certificate metrics, read at each scrape. Unreadable values are left out. `present`: returns the readers, in any thread."""

    def __init__(self, present: Callable[[], Mapping[str, StatusReader]]) -> None:
        self._present = present

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics' names without reading anything."""
        yield GaugeMetricFamily(*_STATE, labels=("model", "state"))
        for name, help in (_AUDITS, _LOSSES, _EVIDENCE, _NEEDED, _LOST, _BARRED, _ANSWERS, _SUSPENDED):
            yield GaugeMetricFamily(name, help, labels=("model",))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metrics."""
        states, *numbers = families = list(self.describe())
        for name, look in self._present().items():
            found = look()
            for state in CertificateState:
                states.add_metric((name, state.value), float(state is found.state))
            if found.certificate is None:
                continue
            try:
                known: AuditEvidence = evidence(found.certificate)
            except (OSError, ValueError):
                continue
            told = (known.audits, known.losses, known.evidence, known.needed, known.lost, known.barred, known.answers, len(known.suspended))
            for family, value in zip(numbers, told, strict=True):
                family.add_metric((name,), float(value))
        yield from families
