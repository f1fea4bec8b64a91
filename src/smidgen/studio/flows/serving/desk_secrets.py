"""Secrets of a project's desk: keys of its channels and of its tools, by the environment variables that the served desk finds them in.

They lie in a file that this user alone may read, as the large model's key does. Nothing reads them back to a page.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from pathlib import Path

from smidgen.core.errors import InputError
from smidgen.store import files
from smidgen.store.files import home

_FILE = "desk-secrets.json"
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{1,58}")
_MOST_LENGTH = 4_096
_MOST_SECRETS = 200
_NEVER = ("PATH", "HOME", "LD_", "PYTHON", "SMIDGEN_", "OMP_", "SSL_", "HTTP_", "HTTPS_", "ALL_PROXY", "NO_PROXY")
"""Beginnings of variables that would change the server itself."""
_lock = threading.Lock()


def secrets_file(project: str) -> Path:
    """The file with the secrets of a project's channels, which may not exist."""
    return home() / "studio" / "serving" / project / _FILE


def kept_secrets(project: str) -> dict[str, str]:
    """The secrets of a project's desk, by variable."""
    try:
        told = json.loads(secrets_file(project).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in told.items()} if isinstance(told, dict) else {}


def keep_secrets(project: str, given: Mapping[str, str]) -> None:
    """Keep secrets beside those that are kept; an empty one removes it.

    Raises InputError for a name that is no variable of a desk, and for a value that cannot stand in the environment.
    """
    for name, value in given.items():
        if not _VARIABLE.fullmatch(name) or name.startswith(_NEVER):
            raise InputError("studio.this_is_no_name_for_secret", value=name)
        if len(value) > _MOST_LENGTH or any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
            raise InputError("studio.key_has_character_that_is_not_allowed", characters=len(value))
    with _lock:
        merged = {name: value for name, value in {**kept_secrets(project), **given}.items() if value}
        if len(merged) > _MOST_SECRETS:
            raise InputError("studio.there_are_too_many_secrets", value=len(merged), most_secrets=_MOST_SECRETS)
        file = secrets_file(project)
        if merged or file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.parent.chmod(0o700)
            files.write(file, json.dumps(merged, ensure_ascii=False).encode("utf-8"), 0o600)
