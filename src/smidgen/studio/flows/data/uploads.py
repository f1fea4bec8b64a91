"""Files that were sent and not yet used. Each lies in a folder of its own, and is removed when it was used, or after a day."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from pathlib import Path

from smidgen.core.errors import RequestError
from smidgen.store.files import home

KEEP_SECONDS = 86_400.0
_UNSAFE = re.compile(r"[^\w.\- ]+")
_ID = re.compile(r"[0-9a-f]{12}")


def uploads_folder() -> Path:
    """The folder of all uploads; created if missing."""
    folder = home() / "studio" / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def new_upload(name: str) -> tuple[Path, str]:
    """A place for a new upload, and its id. Uploads that nobody used within a day are removed."""
    folder = uploads_folder()
    for old in folder.iterdir():
        if old.stat().st_mtime < time.time() - KEEP_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
    id = secrets.token_hex(6)
    place = folder / id
    place.mkdir(mode=0o700)
    return place / (_UNSAFE.sub("_", Path(name).name)[-100:].lstrip(".") or "data"), id


def uploaded(id: str) -> Path:
    """The file of an upload. Raises RequestError if it is not there any more."""
    folder = uploads_folder() / id
    found = next((file for file in folder.iterdir() if file.is_file()), None) if _ID.fullmatch(id) and folder.is_dir() else None
    if found is None:
        raise RequestError("studio.there_is_no_such_upload", value=id, status=404, code="no_upload")
    return found


def forget_upload(file: Path) -> None:
    """Remove an upload."""
    shutil.rmtree(file.parent, ignore_errors=True)
