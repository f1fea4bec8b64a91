"""Which model a request wants: a bundle by its name, with a quality behind an `@` if one is asked for; or some other model."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

from smidgen.core.errors import RequestError

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Wanted:
    """A bundle, and the share of its local answers that must agree with the reference at least (0..1); None where none is asked for.
    `named`: whether the request names it; else it names another `model`, which it goes to where the bundle does not answer, and is of the
    recurring `jobs` of these scopes, of which the bundle's certificate must know one."""

    bundle: str
    quality: float | None = None
    named: bool = True
    jobs: frozenset[str] = frozenset()
    model: str = ""

    def allows(self, alpha: float) -> bool:
        """Whether a certificate of this alpha is good enough."""
        return self.quality is None or alpha <= 1 - self.quality + _ROUNDING

    def at_least(self, quality: float | None) -> Wanted:
        """The same bundle with no less than this quality; None asks for none."""
        given = [one for one in (self.quality, quality) if one is not None]
        return replace(self, quality=max(given, default=None))


def wanted(name: object, bundles: Collection[str]) -> Wanted | None:
    """What a request's `model` asks for; None where it is no bundle's name.

    Raises RequestError, 422, for a bundle's name with a quality that is no number over 0 and up to 1.
    """
    if not isinstance(name, str):
        return None
    if name in bundles:
        return Wanted(name)
    bundle, at, said = name.rpartition("@")
    if not at or bundle not in bundles:
        return None
    try:
        quality = float(said)
    except ValueError:
        quality = math.nan
    if not 0 < quality <= 1:
        raise RequestError(
            "the quality behind the model's name is no number over 0 and up to 1",
            value=name,
            todo=f"Write {bundle}@0.95: of the local answers, 95 % agree with the reference.",
            code="invalid_quality",
            param="model",
        )
    return Wanted(bundle, quality)
