"""The secrets file: keys in a file of the operator's own, for those who do not want them in the environment.

TOML, `NAME = "value"` a line; names are those of the variables that it stands for. A file that others can read is refused.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path

from smidgen.core.errors import InputError

API_KEY = "SMIDGEN_API_KEY"
"""What clients must have, one key, or several with commas between."""
ADMIN_KEY = "SMIDGEN_ADMIN_KEY"
"""The same of admins."""
_MOST_BYTES = 65_536
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def read(file: Path) -> dict[str, str]:
    """Read the values of a secrets file, by name. Raises InputError, which shows no value, for a file that is missing, large, readable by
    others, or that holds anything else than names and texts."""
    try:
        if file.exists() and not file.is_file():  # to open a pipe would wait for whoever writes into it
            raise _wrong("the secrets file is no file", file, "Name a file of its own.")
        with file.open("rb") as stream:
            told = os.fstat(stream.fileno())
            if told.st_size > _MOST_BYTES:
                raise _wrong("the secrets file is too large", file, 'It has a few lines, such as SMIDGEN_FALLBACK_KEY = "…".')
            if sys.platform != "win32" and told.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise _wrong("others may read or change the secrets file", file, f"Keep it to yourself: chmod 600 {file}")
            content = stream.read(_MOST_BYTES)
    except OSError as error:
        raise _wrong(
            f"the secrets file cannot be read ({error.strerror})", file, "Check the path after --secrets, and whose file it is."
        ) from None
    try:
        found = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):  # its message may show what stands in the file
        raise _wrong("the secrets file is not TOML", file, 'Write lines such as SMIDGEN_FALLBACK_KEY = "…", with the quotes.') from None
    for name, value in found.items():
        if not _NAME.fullmatch(name) or not isinstance(value, str):
            raise _wrong("the secrets file says something else than names with a text each", file, 'Write NAME = "…" on each line.')
    return found


def known(file: Path | None, wanted: Collection[str], environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Look names up in the file, then in the environment (of this process, if none is given).

    Raises as `read` does, and InputError for a file that has none of the wanted names: one of them may be misspelt, and a request would go
    without a key, or with the client's.
    """
    given = os.environ if environment is None else environment
    own = read(file) if file is not None else {}
    if file is not None and not own.keys() & {*wanted, API_KEY, ADMIN_KEY}:
        todo = f"Put one of these into it: {', '.join([*wanted, API_KEY, ADMIN_KEY])}."
        raise InputError("the secrets file has none of the wanted keys", value=f"{file}: {', '.join(own) or 'nothing'}", todo=todo)
    return {**given, **own}


def _wrong(what: str, file: Path, todo: str) -> InputError:
    return InputError(what, value=str(file), todo=todo)
