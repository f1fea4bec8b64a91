"""Pack a bundle: hash every file, write the manifest last, and put the whole in place at once."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from smidgen.bundles.manifest import MANIFEST, MAX_MANIFEST_BYTES, FileEntry, Manifest, files_below, name_fault
from smidgen.core.errors import BundleError
from smidgen.store.files import file_hash


def pack(source: Path, manifest: Manifest, out: Path) -> Manifest:
    """Copy all files in `source` to the bundle `out`, and return the written manifest, with its files filled in.

    The bundle is made beside `out` and renamed into place, so that `out` is at every moment the old bundle, the new one, or (for the
    instant between two renames) absent; never a half. A manifest in `source` is not copied.

    Raises:
        BundleError: a file may not be in a bundle; a file that the engine needs is missing; `out` is not a bundle.
    """
    refuse_foreign(out)
    names = [name for name in files_below(source) if name != MANIFEST]
    for name in names:
        fault = name_fault(name)
        if fault:
            raise BundleError("bundles.file_cannot_be_packed", value=name, cause=fault, file=name)
    twins = {name.casefold(): name for name in names}
    if len(twins) != len(names):
        name = next(name for name in names if twins[name.casefold()] != name)
        raise BundleError("bundles.two_files_differ_only_in_case", value=name, file=name)
    for name in manifest.engine.files:
        if name not in names:
            raise BundleError("bundles.file_that_engine_needs_is_missing", value=name, file=name)

    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as beside:
        fresh = Path(beside) / "new"
        fresh.mkdir()
        entries: dict[str, FileEntry] = {}
        for name in names:
            target = fresh / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target)
            # The copy is hashed, not the source: the manifest describes the files in the bundle.
            entries[name] = FileEntry(sha256=file_hash(target), size=target.stat().st_size)
        whole = manifest.model_copy(update={"files": entries}).sealed()
        content = whole.pretty()
        if len(content) > MAX_MANIFEST_BYTES:
            raise BundleError("bundles.manifest_to_write_is_too_large", content=len(content), file=MANIFEST)
        (fresh / MANIFEST).write_bytes(content)
        if out.exists():
            old = Path(beside) / "old"
            out.replace(old)
            try:
                fresh.replace(out)
            except OSError:
                old.replace(out)
                raise
        else:
            fresh.replace(out)
    return whole


def refuse_foreign(out: Path) -> None:
    """Raise BundleError if `out` is, or holds, something that is not a bundle: replacing it would lose a user's files."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise BundleError("bundles.path_for_bundle_is_not_folder", value=str(out))
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise BundleError("bundles.folder_for_bundle_is_not_a_bundle", value=str(out))
    if (out / MANIFEST).is_file():
        strangers = [name for name in files_below(out) if name != MANIFEST and name not in _known(out)]
        if strangers:
            raise BundleError(
                "bundles.folder_has_older_bundle_and_more_files" if len(strangers) > 1 else "bundles.folder_has_older_bundle_and_one_file",
                value=f"{out}: {', '.join(strangers[:3])}",
                strangers=len(strangers),
                file=strangers[0],
            )


def _known(out: Path) -> frozenset[str]:
    """The files that the manifest in `out` names; empty if it is not readable, so that no file there counts as a bundle's own."""
    try:
        files = json.loads((out / MANIFEST).read_text(encoding="utf-8")).get("files", {})
    except (ValueError, AttributeError, OSError):
        return frozenset()
    return frozenset(files) if isinstance(files, dict) else frozenset()
