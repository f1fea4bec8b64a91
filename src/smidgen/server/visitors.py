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
    if not origin or "*" in allowed or origin in {one.lower().rstrip("/") for one in allowed}:
        return False
    return origin.partition("://")[2] != header(scope, b"host").decode("latin-1").lower()
