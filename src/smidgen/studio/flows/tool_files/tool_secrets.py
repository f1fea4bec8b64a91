"""Secrets of a project's tools: values of the variables that its tool file names, kept in a file that only this user may read.

They are written, and never shown again. A tool in the Studio sees these variables, and none of the Studio's own environment: who may write
a tool could else have any variable of the server sent somewhere.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from pathlib import Path

from smidgen.core.errors import InputError
from smidgen.store import files
from smidgen.studio.flows.serving.servers import serving_folder

_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_LONGEST = 4096
_MOST = 100
_keeping = threading.Lock()


def tool_environment(project: str) -> Mapping[str, str]:
    """The secrets of a project's tools, by the name of their variable."""
    file = secrets_file(project)
    if not file.is_file():
        return {}
    found = json.loads(file.read_text(encoding="utf-8"))
    return {str(name): str(value) for name, value in found.items()}


def keep_secret(project: str, name: str, value: str) -> None:
    """Keep the value of a variable; an empty one removes it. Raises InputError for a name or a value that cannot be one."""
    if not _NAME.fullmatch(name):
        raise InputError("studio.this_is_no_name_of_variable", value=name[:80])
    value = value.strip()
    if len(value) > _LONGEST or any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
        raise InputError("studio.value_cannot_be_kept", characters=len(value))
    with _keeping:
        known = dict(tool_environment(project))
        if value:
            known[name] = value
        else:
            known.pop(name, None)
        if len(known) > _MOST:
            raise InputError("studio.project_has_too_many_secrets", value=len(known), most=_MOST)
        files.write(secrets_file(project), json.dumps(known).encode("ascii"), 0o600)


def secrets_file(project: str) -> Path:
    """The file with the secrets of a project's tools: JSON, a value by its variable's name. It may not exist."""
    return serving_folder(project) / "tool_secrets.json"
