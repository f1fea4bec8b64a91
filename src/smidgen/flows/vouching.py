"""Vouching: how the certificate of a bundle that is being served stands, as often as it is asked."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

from smidgen.bundles.manifest import MANIFEST, Manifest
from smidgen.gateway import auditing
from smidgen.gateway.certificate import Subject
from smidgen.gateway.standing import Standing, State
from smidgen.gateway.watching import Watch

Voucher = Callable[[], Standing]
"""Looks at a certificate now. It reads files, and raises nothing."""


def subject_of(manifest: Manifest) -> Subject:
    """A bundle as certificates name it."""
    return Subject(
        name=manifest.name,
        id=manifest.id,
        sha256=hashlib.sha256(manifest.canonical()).hexdigest(),
        base_sha256=manifest.base.sha256 if manifest.base is not None else None,
    )


def voucher(folder: Path | None, manifest: Manifest | None, large: frozenset[str] | None = None) -> Voucher:
    """Of a bundle that was opened from this folder. What counts is what was opened: a bundle put in its place meanwhile is another one, of
    which nothing is known. `large`: the names of the large model that requests escalate to; a certificate against another one does not
    hold."""
    if folder is None or manifest is None:
        none = Standing(State.NONE, "the model is in no folder that a certificate could be beside")
        return lambda: none
    watch = Watch(folder, subject_of(manifest), large=large, manifest=MANIFEST)
    paper = watch().certificate
    if paper is not None:
        # A home that cannot be written is no reason not to serve: then it was not this machine that audited.
        with contextlib.suppress(OSError):
            auditing.mend(folder, paper)
    return watch


def answered(vouch: Voucher, found: Standing) -> None:
    """Note that an answer was given under the certificate that was found to hold: audits must follow some day."""
    if isinstance(vouch, Watch) and found.certificate is not None:
        vouch.answered(found.certificate)


async def stands(vouch: Voucher) -> Standing:
    """How a certificate stands now; files are read in a thread, and only where one has changed."""
    known = vouch.known() if isinstance(vouch, Watch) else None
    return known if known is not None else await asyncio.to_thread(vouch)
