"""The certificates of the served bundles: of the bundle that answers a request, for each answer by itself, and as metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.types import Scope

from smidgen.core.replies import Reply
from smidgen.flows.certify.certificate_status import AuditEvidence, StandingReader, evidence, read_standing, standing_reader
from smidgen.gateway import routing_decision as rulings
from smidgen.gateway.certificate_status import CertificateState
from smidgen.gateway.route_settings import FallbackSettings
from smidgen.gateway.routing_decision import RequestedModel, RoutingDecision
from smidgen.server.served_bundle import ServedBundle
from smidgen.server.service import Service

# The model that answers the request at hand, by its name, and the voucher of that very model.

_NOTE = "voucher"


class AnsweringBundles(Mapping[str, ServedBundle]):
    """The models by their names: of a request that has begun, the one that it began with. Asked in the event loop alone."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def __getitem__(self, name: str) -> ServedBundle:
        """The model that answers to this name. Raises KeyError where there is none."""
        if name not in self._service.models:
            raise KeyError(name)
        return self._service.find(name)

    def __contains__(self, name: object) -> bool:
        """Whether a bundle has this name; no request is bound to it by that."""
        return name in self._service.models

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._service.models))

    def __len__(self) -> int:
        return len(self._service.models)


class BundleCertificates(Mapping[str, StandingReader]):
    """Of those models. A model that took another's place has its own certificate, beside its own bundle. Each is kept as long as its model
    is open, and no model is kept for it."""

    def __init__(self, service: Service) -> None:
        self._service, self._answering = service, AnsweringBundles(service)
        self._large = large_model_names(service.settings.fallback)
        self.present()

    def __getitem__(self, name: str) -> StandingReader:
        """The voucher of the bundle that answers to this name. Raises KeyError where there is none."""
        return self._of(self._answering[name])

    def __contains__(self, name: object) -> bool:
        """Whether a bundle has this name; no request is bound to it by that."""
        return name in self._answering

    def __iter__(self) -> Iterator[str]:
        return iter(self._answering)

    def __len__(self) -> int:
        return len(self._answering)

    def present(self) -> dict[str, StandingReader]:
        """Those of the models that answer new requests now. No request is bound to them by that, and any thread may ask."""
        return {name: self._of(model) for name, model in list(self._service.models.items())}

    def _of(self, model: ServedBundle) -> StandingReader:
        return self._service.noted(model, _NOTE, self._made)

    def _made(self, model: ServedBundle) -> StandingReader:
        return standing_reader(getattr(model, "folder", None), model.manifest, self._large)


def large_model_names(fallback: FallbackSettings) -> frozenset[str] | None:
    """The names of the large model that audits ask and requests escalate to: the first fallback's, and others that are said to be its; None
    without a fallback."""
    return frozenset({fallback.models[0], *fallback.reference_models}) if fallback.models else None


# Judging from within: the gateway's door lends a face its view of the certificates, where a reply has several answers to be judged each
# by itself.

_CERTIFICATES_KEY = "smidgen.judge"


@dataclass(frozen=True, slots=True)
class RequestCertificates:
    """The certificates of the bundles by their names, and the quality that the request asks for; None where it asks for none."""

    vouchers: Mapping[str, StandingReader]
    quality: float | None = None

    async def ruling(self, bundle: str, reply: Reply) -> RoutingDecision:
        """Whether a bundle's certificate holds now and covers this reply. A request that tells no segment has none."""
        return rulings.decision_after(await read_standing(self.vouchers[bundle]), RequestedModel(bundle, self.quality), [reply], {})


def attach_certificates(scope: Scope, judge: RequestCertificates) -> None:
    """Let whoever answers this request have it."""
    scope[_CERTIFICATES_KEY] = judge


def attached_certificates(scope: Scope) -> RequestCertificates | None:
    """The one that was lent; None where there is no gateway."""
    found = scope.get(_CERTIFICATES_KEY)
    return found if isinstance(found, RequestCertificates) else None


# How the certificates of the served bundles stand, and what their audits have come to, for Prometheus.

_STATE = ("smidgen_certificate_state", "1 for how each bundle's certificate stands now, 0 for how it does not.")
_AUDITS = ("smidgen_certificate_audits", "Audits of the certificate so far, over restarts.")
_LOSSES = ("smidgen_certificate_audit_losses", "The sum of their losses.")
_EVIDENCE = ("smidgen_certificate_evidence", "The largest evidence against the certificate so far.")
_LOST = ("smidgen_certificate_audits_lost", "Audits of the certificate that were drawn and never answered, over restarts.")
_BARRED = ("smidgen_certificate_audits_barred", "Audits that were drawn and could not leave: the privacy policy or a budget forbids it.")
_ANSWERS = ("smidgen_certificate_answers_since_audit", "Answers given under the certificate since its last audit that was answered.")
_NEEDED = ("smidgen_certificate_evidence_needed", "The evidence with which it is revoked.")


class CertificateGauge(Collector):
    """Read anew each time it is asked for; what cannot be read is left out. `vouchers` gives those of now: this runs in a thread of its
    own, and binds no request to a model."""

    def __init__(self, vouchers: Callable[[], Mapping[str, StandingReader]]) -> None:
        self._vouchers = vouchers

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """The names: nothing is read for that."""
        yield GaugeMetricFamily(*_STATE, labels=("model", "state"))
        for name, help in (_AUDITS, _LOSSES, _EVIDENCE, _NEEDED, _LOST, _BARRED, _ANSWERS):
            yield GaugeMetricFamily(name, help, labels=("model",))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges."""
        states, *numbers = families = list(self.describe())
        for name, vouch in self._vouchers().items():
            found = vouch()
            for state in CertificateState:
                states.add_metric((name, state.value), float(state is found.state))
            if found.certificate is None:
                continue
            try:
                known: AuditEvidence = evidence(found.certificate)
            except (OSError, ValueError):
                continue
            told = (known.audits, known.losses, known.evidence, known.needed, known.lost, known.barred, known.answers)
            for family, value in zip(numbers, told, strict=True):
                family.add_metric((name,), float(value))
        yield from families
