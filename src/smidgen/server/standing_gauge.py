"""How the certificates of the served bundles stand, and what their audits have come to, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from smidgen.flows.auditing import Evidence, evidence
from smidgen.flows.vouching import Voucher
from smidgen.gateway.standing import State

_STATE = ("smidgen_certificate_state", "1 for how each bundle's certificate stands now, 0 for how it does not.")
_AUDITS = ("smidgen_certificate_audits", "Audits of the certificate so far, over restarts.")
_LOSSES = ("smidgen_certificate_audit_losses", "The sum of their losses.")
_EVIDENCE = ("smidgen_certificate_evidence", "The largest evidence against the certificate so far.")
_LOST = ("smidgen_certificate_audits_lost", "Audits of the certificate that were drawn and never answered, over restarts.")
_BARRED = ("smidgen_certificate_audits_barred", "Audits that were drawn and could not leave: the privacy policy or a budget forbids it.")
_ANSWERS = ("smidgen_certificate_answers_since_audit", "Answers given under the certificate since its last audit that was answered.")
_NEEDED = ("smidgen_certificate_evidence_needed", "The evidence with which it is revoked.")


class Standings(Collector):
    """Read anew each time it is asked for; what cannot be read is left out. `vouchers` gives those of now: this runs in a thread of its
    own, and binds no request to a model."""

    def __init__(self, vouchers: Callable[[], Mapping[str, Voucher]]) -> None:
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
            for state in State:
                states.add_metric((name, state.value), float(state is found.state))
            if found.certificate is None:
                continue
            try:
                known: Evidence = evidence(found.certificate)
            except (OSError, ValueError):
                continue
            told = (known.audits, known.losses, known.evidence, known.needed, known.lost, known.barred, known.answers)
            for family, value in zip(numbers, told, strict=True):
                family.add_metric((name,), float(value))
        yield from families
