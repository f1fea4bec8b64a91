"""The files of a model for downloading: single ones, or the whole bundle as a ZIP file that is written while it is sent."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

from smidgen.bundles.manifest import MANIFEST
from smidgen.bundles.open import open_bundle, read_manifest
from smidgen.core.errors import InputError

_PIECE = 1 << 20


class _Outbox(io.RawIOBase):
    """Keeps what is written until it is taken. It cannot seek, so the archive is written in one go."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        self._pieces.append(piece)
        return len(piece)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def bundle_file(folder: Path, name: str) -> Path:
    """A file of a bundle. Raises InputError for a name that its manifest does not list."""
    if name != MANIFEST and name not in read_manifest(folder).files:
        raise InputError("studio.model_has_no_such_file", value=name)
    return folder / name


def zip_bundle(folder: Path, name: str) -> Iterator[bytes]:
    """The bundle as a ZIP file, in pieces of about a megabyte. All is in a folder `name`. Raises BundleError for an altered bundle."""
    bundle = open_bundle(folder)
    return _zipped(folder, name, [MANIFEST, *bundle.manifest.files])


def _zipped(folder: Path, name: str, files: list[str]) -> Iterator[bytes]:
    out = _Outbox()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:  # weights do not shrink
        for file in files:
            with (folder / file).open("rb") as source, archive.open(f"{name}/{file}", "w", force_zip64=True) as target:
                while piece := source.read(_PIECE):
                    target.write(piece)
                    yield out.take()
    yield out.take()
