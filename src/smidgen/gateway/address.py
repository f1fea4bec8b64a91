"""Where an upstream is: a base URL, checked once."""

from __future__ import annotations

from urllib.parse import urlsplit

from smidgen.core.errors import InputError

_LOCAL = ("localhost", "127.0.0.1", "::1")


def checked(url: str) -> str:
    """The base URL without a slash at its end. Raises InputError for one that is not plain http or https; it never repeats a secret."""
    todo = "Give the base URL that an OpenAI client would be given: https://api.example.com/v1."
    if any(not 32 < ord(sign) < 127 for sign in url):
        raise InputError("the fallback's URL holds a space or another sign that no URL has", value=f"{len(url)} characters", todo=todo)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InputError("the fallback's URL is none", value=url.rpartition("@")[2][:100], todo=todo) from None
    if parts.username is not None or parts.password is not None:
        secret = "Leave user and password out of the URL: a key belongs into the environment variable that --fallback-key-env names."
        raise InputError("the fallback's URL has a user or a password in it", value=host or "", todo=secret)
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise InputError("the fallback's URL is not one of http or https", value=url[:100], todo=todo)
    if parts.query or parts.fragment:
        raise InputError(
            "the fallback's URL has more than a path behind its host", value=f"{parts.scheme}://{parts.netloc}{parts.path}", todo=todo
        )
    return url.rstrip("/")


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a checked URL: who gets what is sent there."""
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def is_local(url: str) -> bool:
    """Whether it is this machine, which no proxy is asked for."""
    return (urlsplit(url).hostname or "") in _LOCAL
