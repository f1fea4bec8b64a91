"""Where a request comes from: a web page must not spend the owner's money through a gateway on their machine."""

from __future__ import annotations

from collections.abc import Collection

from starlette.types import Scope

from smidgen.server.request_content import header


def foreign(scope: Scope, allowed: Collection[str]) -> bool:
    """Whether a page of another web origin sent it. Browsers say where a page is from; programs that are none do not.

    A page can send some requests without asking, and needs not see the answer to do harm. `allowed` are origins as `--cors` names them.
    """
    origin = header(scope, b"origin").decode("latin-1").lower()
    if not origin:
        # An image or a script of a page asks without an origin. Browsers say so in this header, which no page can set.
        return "*" not in allowed and header(scope, b"sec-fetch-site").strip().lower() in (b"cross-site", b"same-site")
    if "*" in allowed or origin in {one.lower().rstrip("/") for one in allowed}:
        return False
    return origin.partition("://")[2] != header(scope, b"host").decode("latin-1").lower()
