"""The share of requests that a small model answers where it works beside a large one: as it is told, as a certificate says, or assumed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from smidgen.bundles.open import read_manifest
from smidgen.flows.vouching import subject_of
from smidgen.gateway import certificate as papers
from smidgen.gateway.standing import standing

ASSUMED = 0.8


@dataclass(frozen=True, slots=True)
class LocalShare:
    """A share of all requests, from 0 to 1, and where it is from: `said` is a clause for a reader, `certificate` the id of the one that it
    is from, else empty."""

    share: float
    source: Literal["flag", "certificate", "assumed"]
    said: str
    certificate: str = ""


def local_share(told: float | None, bundle: Path | None, now: datetime | None = None) -> LocalShare:
    """What was told; else, of the sample of the certificate beside the bundle in this folder, what that lets be answered, if it holds now;
    else what is assumed.

    Raises BundleError where a certificate is there and the bundle's manifest cannot be read.
    """
    if told is not None:
        return LocalShare(told, "flag", "as you say")
    place = papers.place(bundle) if bundle is not None else None
    if bundle is None or place is None or not place.exists():
        return LocalShare(ASSUMED, "assumed", "assumed")
    found = standing(bundle, subject_of(read_manifest(bundle)), now)
    paper = found.certificate
    if not found.valid or paper is None:
        return LocalShare(ASSUMED, "assumed", f"assumed, for {place.name} does not hold ({found.state.value}: {found.why})")
    answered = sum(entry.answered for entry in paper.answering)
    said = f"as its certificate says: {answered:,} of the {paper.n:,} requests of its sample may be answered ({place.name})"
    return LocalShare(paper.share, "certificate", said, paper.id)
