"""Settings of the server: address, access, limits and logs; and its secrets file.

The secrets file holds keys, as an alternative to environment variables. It is TOML with one `NAME = "value"` per line; names are those of
the variables. A file that others can read is refused.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints

from smidgen.core.errors import InputError
from smidgen.core.settings import Settings, setting
from smidgen.gateway.route_settings import RouteSettings

LOOPBACK = "127.0.0.1"
Key = Annotated[str, StringConstraints(pattern=r"^[!-~]+$")]
"""An API key: printable ASCII without spaces, as in a header."""
API_KEY = "SMIDGEN_API_KEY"
"""Variable with the clients' keys, separated by commas."""
ADMIN_KEY = "SMIDGEN_ADMIN_KEY"
"""Variable with the admins' keys."""
_MOST_SECRET_BYTES = 65_536
_SECRET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class ListenSettings(Settings):
    """The address that the server listens on."""

    title = "Server"

    port: int = setting(8080, "TCP port. 0 takes any free one.", ge=0, le=65535)
    host: str = setting(LOOPBACK, "Address to listen on. The default can be reached from this machine only.", min_length=1)

    @property
    def loopback(self) -> bool:
        """True if only this machine can reach the server."""
        return self.host in (LOOPBACK, "localhost", "::1") or self.host.startswith("127.")


class AccessSettings(Settings):
    """Who may call the server."""

    title = "Access"

    api_keys: tuple[Key, ...] = setting(
        (), "A key that clients must send as a bearer token. May be repeated. SMIDGEN_API_KEY adds keys.", repr=False, alias="api_key"
    )
    admin_keys: tuple[Key, ...] = setting(
        (),
        "A key whose holder may also send feedback on answers to other keys. May be repeated. SMIDGEN_ADMIN_KEY adds keys. With "
        "admin keys alone nobody else may call.",
        repr=False,
        alias="admin_key",
    )
    secrets: Path | None = setting(
        None, 'TOML file with keys, as NAME = "value". It counts before the environment. Nobody else may be able to read it.'
    )
    key_file: Path | None = setting(
        None,
        "File of API keys: each line has the SHA-256 of a key, and a name. It is read again when it changes. A line * lets everyone call. "
        "With neither a key nor a *, every call is refused.",
    )
    allow_hosts: tuple[str, ...] = setting(
        (), "A host name that clients may use for this server, besides localhost. May be repeated.", alias="allow_host"
    )
    cors: tuple[str, ...] = setting((), "A web origin whose pages may call this server, such as https://app.example. May be repeated.")

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that may call. Without any, everyone may."""
        return (*self.api_keys, *self.admin_keys)

    @property
    def keyed(self) -> bool:
        """Whether keys of this server's own are in use, or may come into use."""
        return bool(self.keys) or self.key_file is not None


class LimitSettings(Settings):
    """Limits of the server. Everything that a client sends is bounded."""

    title = "Limits"

    threads: int | None = setting(None, "Threads for the model (default: one a core).", ge=1, le=1024)
    max_batch: int = setting(32, "Most texts in one batch of the model.", ge=1, le=4096)
    max_queue: int = setting(1024, "Most texts that may wait. Further requests get 503.", ge=1, le=1_000_000)
    max_concurrent: int = setting(512, "Most requests at a time. Further ones get 429.", ge=1, le=100_000)
    max_inputs: int = setting(256, "Most texts in one request. More get 422.", ge=1, le=100_000)
    max_chars: int = setting(32_768, "Longest text, in characters. A longer one gets 422.", ge=1, le=10_000_000)
    max_body_mb: float = setting(4.0, "Largest request body, in megabytes. A larger one gets 413.", gt=0, le=1024)
    request_seconds: float = setting(
        30.0,
        "Longest time for a bundle's answer (then 503 or 504), and for a body to arrive (then 408), with one more second for each "
        "10 kB of it. For fallbacks see --fallback-seconds.",
        gt=0,
        le=3600,
    )
    drain_seconds: float = setting(30.0, "Longest time that running requests may take after a stop signal.", gt=0, le=3600)

    @property
    def max_body(self) -> int:
        """The largest request body, in bytes."""
        return int(self.max_body_mb * 1_000_000)


class LogSettings(Settings):
    """Records that the server keeps of requests."""

    title = "Logs"

    account: bool = setting(
        True,
        "Keep an account of requests, money, time and energy by day and model. It holds numbers and no texts. smidgen status shows it.",
    )
    access_log: bool = setting(True, "Log one line per request on stderr: route, status, time. Never the text.")


class ServeSettings(RouteSettings):
    """Settings of `smidgen serve`: the recipe's `[route]`, and the server's own."""

    listen: ListenSettings = ListenSettings()
    access: AccessSettings = AccessSettings()
    limits: LimitSettings = LimitSettings()
    logs: LogSettings = LogSettings()


def read_secrets(file: Path) -> dict[str, str]:
    """Read the secrets file, by name.

    Raises InputError, which shows no value, if it is missing, too large, readable by others or invalid.
    """
    try:
        if file.exists() and not file.is_file():  # opening a pipe would wait for its writer
            raise InputError("server.secrets_file_is_no_file", value=str(file))
        with file.open("rb") as stream:
            told = os.fstat(stream.fileno())
            if told.st_size > _MOST_SECRET_BYTES:
                raise InputError("server.secrets_file_is_too_large", value=str(file))
            if sys.platform != "win32" and told.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise InputError("server.secrets_file_can_be_read_by_others", value=str(file), path=file)
            content = stream.read(_MOST_SECRET_BYTES)
    except OSError as error:
        raise InputError("server.secrets_file_cannot_be_read", value=str(file), reason=error.strerror) from None
    try:
        found = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):  # its message may quote the file
        raise InputError("server.secrets_file_is_not_toml", value=str(file)) from None
    for name, value in found.items():
        if not _SECRET_NAME.fullmatch(name) or not isinstance(value, str):
            raise InputError("server.secrets_file_has_other_values", value=str(file))
    return found


def known_secrets(file: Path | None, wanted: Collection[str], environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return secrets by name: the file's before the environment's (by default, of this process).

    Raises as `read_secrets` does, and InputError for a file with none of the wanted names: one may be misspelt, and requests would go
    without a key, or with the client's.
    """
    given = os.environ if environment is None else environment
    own = read_secrets(file) if file is not None else {}
    if file is not None and not own.keys() & {*wanted, API_KEY, ADMIN_KEY}:
        raise InputError(
            "server.secrets_file_has_none_of_wanted_keys",
            path=file,
            names=", ".join(own) or "nothing",
            wanted=", ".join([*wanted, API_KEY, ADMIN_KEY]),
        )
    return {**given, **own}
