"""The model that answers the request at hand, by its name, and the voucher of that very model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from smidgen.flows.vouching import Voucher, voucher
from smidgen.server.served import Served
from smidgen.server.service import Service
from smidgen.server.settings import ServeSettings

_NOTE = "voucher"


class Answering(Mapping[str, Served]):
    """The models by their names: of a request that has begun, the one that it began with. Asked in the event loop alone."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def __getitem__(self, name: str) -> Served:
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


class Vouchers(Mapping[str, Voucher]):
    """Of those models. A model that took another's place has its own certificate, beside its own bundle. Each is kept as long as its model
    is open, and no model is kept for it."""

    def __init__(self, service: Service) -> None:
        self._service, self._answering = service, Answering(service)
        self._large = large_of(service.settings)
        self.present()

    def __getitem__(self, name: str) -> Voucher:
        """The voucher of the bundle that answers to this name. Raises KeyError where there is none."""
        return self._of(self._answering[name])

    def __contains__(self, name: object) -> bool:
        """Whether a bundle has this name; no request is bound to it by that."""
        return name in self._answering

    def __iter__(self) -> Iterator[str]:
        return iter(self._answering)

    def __len__(self) -> int:
        return len(self._answering)

    def present(self) -> dict[str, Voucher]:
        """Those of the models that answer new requests now. No request is bound to them by that, and any thread may ask."""
        return {name: self._of(model) for name, model in list(self._service.models.items())}

    def _of(self, model: Served) -> Voucher:
        return self._service.noted(model, _NOTE, self._made)

    def _made(self, model: Served) -> Voucher:
        return voucher(getattr(model, "folder", None), model.manifest, self._large)


def large_of(settings: ServeSettings) -> frozenset[str] | None:
    """The names of the large model that audits ask and requests escalate to: the first fallback's, and others that are said to be its; None
    without a fallback."""
    return frozenset({settings.fallback_model[0], *settings.reference_model}) if settings.fallback_model else None
