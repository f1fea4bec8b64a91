"""Open a bundle: use nothing in it before every file is known to be the packed one."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from smidgen.bundles.manifest import FORMAT_VERSION, MANIFEST, MAX_MANIFEST_BYTES, Manifest, files_below, name_fault
from smidgen.core.errors import BundleError, InputError, shown
from smidgen.core.printable import HALVES
from smidgen.store.files import file_hash
from smidgen.store.line import POINTER, Line, is_line
from smidgen.store.weight_files import external_tensor

_AGAIN = "Copy the bundle again from where it was built, or build it again."


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle.

    Attributes:
        folder: the folder of its files.
        manifest: its manifest.
        verified: whether every hash was checked; False only if the caller asked not to.
    """

    folder: Path
    manifest: Manifest
    verified: bool

    @property
    def id(self) -> str:
        """The bundle's id; see `Manifest.id`."""
        return self.manifest.id

    @property
    def size(self) -> int:
        """Bytes of all its files, the manifest not counted."""
        return sum(entry.size for entry in self.manifest.files.values())


def open_bundle(path: Path, verify: bool = True) -> Bundle:
    """Open the bundle in the folder `path`. With `verify=False` only names and sizes are checked: for listing, never for serving.

    Raises:
        InputError: there is no such folder.
        BundleError: there is no bundle; its format is unknown; a file is altered, missing, extra, a link, of a forbidden kind, or outside
            the folder; a graph reads weights from elsewhere. `file` and the message name it.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    present = files_below(folder)
    for name in present:
        fault = name_fault(name)
        if fault:
            raise BundleError("bundles.file_does_not_belong_in_bundle", value=name, cause=fault, file=name)
    for name in sorted(manifest.files.keys() - set(present)):
        raise BundleError("bundles.file_is_missing", value=name, file=name)
    for name in sorted(set(present) - manifest.files.keys() - {MANIFEST}):
        raise BundleError("bundles.file_is_not_in_manifest", value=name, file=name)
    for name in manifest.engine.files:
        if name not in manifest.files:
            raise BundleError("bundles.engine_needs_file_not_in_manifest", value=name, file=name)
    for name, entry in manifest.files.items():
        file = folder / name
        if file.stat().st_size != entry.size or (verify and file_hash(file) != entry.sha256):
            raise BundleError("bundles.file_was_changed_after_packing", value=name, file=name)
        if verify and name.endswith(".onnx"):
            _refuse_outside(file, name)
    # Last, so that a fault in a file is reported under that file's name.
    if not manifest.whole:
        raise BundleError("bundles.manifest_was_changed_after_packing", value=MANIFEST, file=MANIFEST)
    return Bundle(folder, manifest, verify)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the bundle in `folder`, its own form checked but none of the files. Raises BundleError."""
    file = folder / MANIFEST
    if not folder.exists():
        raise InputError("bundles.there_is_no_such_folder", value=str(folder))
    if file.is_symlink():
        raise BundleError("bundles.there_is_link_in_folder", value=MANIFEST, file=MANIFEST)
    if not file.is_file():
        raise BundleError("bundles.this_is_not_bundle_it_has_no_manifest", value=str(folder), file=MANIFEST)
    with file.open("rb") as stream:
        content = stream.read(MAX_MANIFEST_BYTES + 1)
    if len(content) > MAX_MANIFEST_BYTES:
        raise BundleError("bundles.manifest_is_too_large", max_manifest_bytes=MAX_MANIFEST_BYTES, file=MANIFEST)
    try:
        facts = json.loads(content, object_pairs_hook=_no_doubles)
    except (ValueError, RecursionError) as error:
        raise BundleError("bundles.manifest_is_not_readable_json", value=str(error), file=MANIFEST) from error
    if not isinstance(facts, dict):
        raise BundleError("bundles.manifest_is_not_object", value=type(facts).__name__, file=MANIFEST)
    if odd := _odd_value(facts):
        raise BundleError("bundles.manifest_has_invalid_value", value=MANIFEST, odd=odd, file=MANIFEST)
    # Before its form is checked: a later format may have another.
    version = facts.get("format_version")
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise BundleError("bundles.bundle_format_version_is_unknown", value=version, format_version=FORMAT_VERSION, file=MANIFEST)
    _refuse_names(facts)
    try:
        manifest = Manifest.model_validate(facts)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise BundleError("bundles.manifest_is_invalid", value=first["msg"], where=where, file=MANIFEST) from error
    return manifest


def _refuse_outside(file: Path, name: str) -> None:
    """Refuse a graph whose weights are not all in it: nothing of a bundle is read from anywhere else. The engine refuses a file that is not
    a graph, before a runtime sees it."""
    try:
        outside = external_tensor(file)
    except ValueError:
        return
    if outside is not None:
        raise BundleError("bundles.graph_reads_tensor_from_another_file", value=name, outside=shown(outside), file=name)


def _odd_value(facts: Any) -> str:
    """Describe a value that no packed manifest has (half a character, a number that is not finite); empty if there is none."""
    pending = [facts]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += [*value, *value.values()]
        elif isinstance(value, list):
            pending += value
        elif isinstance(value, str) and HALVES.search(value):
            return f"a text with half a character: {shown(value, 60)}"
        elif isinstance(value, float) and not math.isfinite(value):
            return f"a number that is not finite: {value}"
        elif isinstance(value, int) and abs(value) >= 1 << 63:
            return "a whole number of more than 64 bits"
    return ""


def _refuse_names(facts: dict[str, Any]) -> None:
    """Refuse bad file names, with an error that names the file and not the manifest."""
    files, engine = facts.get("files"), facts.get("engine")
    needed = engine.get("files") if isinstance(engine, dict) else None
    for name in [*(files if isinstance(files, dict) else []), *(needed if isinstance(needed, list) else [])]:
        fault = name_fault(name) if isinstance(name, str) else "its name is not a text"
        if fault:
            raise BundleError("bundles.manifest_names_file_of_wrong_kind", value=name, cause=fault, file=str(name))


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    facts = dict(pairs)
    if len(facts) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return facts


@dataclass(frozen=True, slots=True)
class FoundBundle:
    """An opened bundle, and the line that it is the champion of, with the line's name; None for a bundle outside lines."""

    bundle: Bundle
    line: Line | None = None
    name: str | None = None


def folder_of(path: Path) -> Path:
    """The folder of the bundle: the path itself, or that of a line's champion. Raises InputError if a line has none yet, BundleError if its
    pointer cannot be read."""
    return _champion(Line(path))[1] if is_line(path) else path


def find_bundle(path: Path) -> FoundBundle:
    """Open the bundle, or the line's champion, with every hash verified.

    Raises InputError and BundleError as `open_bundle` does, for a line without a champion, and for a champion that is not the promoted
    bundle.
    """
    if not is_line(path):
        return FoundBundle(open_bundle(path))
    line = Line(path)
    name, _, champion = _champion(line)
    return FoundBundle(open_version(line, champion), line, name)


def open_version(line: Line, id: str) -> Bundle:
    """Open a version of a line. Raises InputError if it is missing; BundleError if it must not be opened."""
    folder = line.version(id)
    if not folder.is_dir():
        known = ", ".join(line.versions()[:10]) or "none"
        raise InputError("bundles.line_has_no_such_version", name=id, folder=line.folder, known=known)
    bundle = open_bundle(folder)
    if bundle.id != id:
        raise BundleError("bundles.version_differs_from_its_folder", name=bundle.id, folder=folder, file=POINTER)
    return bundle


def _champion(line: Line) -> tuple[str, Path, str]:
    """The line's name, and its champion's folder and id."""
    pointer = line.read()
    if pointer.champion is None:
        raise InputError("bundles.line_has_no_champion_yet", value=str(line.folder))
    return pointer.name, line.version(pointer.champion), pointer.champion
