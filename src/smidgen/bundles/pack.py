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
            raise BundleError(f"a file cannot be packed: {fault}", value=name, todo="Leave it out of the folder.", file=name)
    twins = {name.casefold(): name for name in names}
    if len(twins) != len(names):
        name = next(name for name in names if twins[name.casefold()] != name)
        raise BundleError("two files differ only in capitals, which some systems cannot hold", value=name, todo="Rename one.", file=name)
    for name in manifest.engine.files:
        if name not in names:
            raise BundleError("a file that the engine needs is missing", value=name, todo="Export the model again.", file=name)

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
            raise BundleError(
                "the manifest is too large", value=f"{len(content)} bytes", todo="Use fewer or shorter labels.", file=MANIFEST
            )
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
        raise BundleError("the path for the bundle is not a folder", value=str(out), todo="Name a folder that is new, or a bundle.")
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise BundleError(
            "the folder for the bundle holds something that is not a bundle", value=str(out), todo="Name a folder that is new, or a bundle."
        )
    if (out / MANIFEST).is_file():
        strangers = [name for name in files_below(out) if name != MANIFEST and name not in _known(out)]
        if strangers:
            raise BundleError(
                f"the folder for the bundle holds an older bundle, and {len(strangers)} more file{'s' if len(strangers) > 1 else ''}",
                value=f"{out}: {', '.join(strangers[:3])}",
                todo="Move what is yours out of the folder, or name another with --out. Nothing was changed.",
                file=strangers[0],
            )


def _known(out: Path) -> frozenset[str]:
    """The files that the manifest in `out` names; empty if it is not readable, so that no file there counts as a bundle's own."""
    try:
        files = json.loads((out / MANIFEST).read_text(encoding="utf-8")).get("files", {})
    except (ValueError, AttributeError, OSError):
        return frozenset()
    return frozenset(files) if isinstance(files, dict) else frozenset()
