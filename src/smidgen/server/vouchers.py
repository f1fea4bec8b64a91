"""The model that answers the request at hand, by its name, and the voucher of that very model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from smidgen.flows.vouching import Voucher, voucher
from smidgen.server.served import Served
from smidgen.server.service import Service

_MOST = 8
"""Vouchers of one name that are kept: of the model that answers, and of those that still answer their last requests."""


class Answering(Mapping[str, Served]):
    """The models by their names: of a request that has begun, and of what it leaves to be done after it, the one that it began with."""

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
    """Of those models. A model that took another's place has its own certificate, beside its own bundle."""

    def __init__(self, service: Service) -> None:
        self._answering = Answering(service)
        self._made: dict[str, list[tuple[Served, Voucher]]] = {}
        for name in service.models:
            self._of(service.models[name])

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

    def _of(self, model: Served) -> Voucher:
        made = self._made.setdefault(model.name, [])
        for known, vouch in made:
            if known is model:
                return vouch
        vouch = voucher(getattr(model, "folder", None), model.manifest)
        made.append((model, vouch))
        del made[:-_MOST]
        return vouch
