"""Judging from within: the gateway's door lends a face its view of the certificates, where a reply has several answers to be judged each by
itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import Scope

from smidgen.core.replies import Reply
from smidgen.flows.vouching import Voucher, stands
from smidgen.gateway import ruling as rulings
from smidgen.gateway.ruling import Ruling
from smidgen.gateway.wanted import Wanted

_KEY = "smidgen.judge"


@dataclass(frozen=True, slots=True)
class Judge:
    """The certificates of the bundles by their names, and the quality that the request asks for; None where it asks for none."""

    vouchers: Mapping[str, Voucher]
    quality: float | None = None

    async def ruling(self, bundle: str, reply: Reply) -> Ruling:
        """Whether a bundle's certificate holds now and covers this reply. A request that tells no segment has none."""
        return rulings.after(await stands(self.vouchers[bundle]), Wanted(bundle, self.quality), [reply], {})


def lend(scope: Scope, judge: Judge) -> None:
    """Let whoever answers this request have it."""
    scope[_KEY] = judge


def of(scope: Scope) -> Judge | None:
    """The one that was lent; None where there is no gateway."""
    found = scope.get(_KEY)
    return found if isinstance(found, Judge) else None
