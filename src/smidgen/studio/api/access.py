"""Who may use the Studio: one-time links, sessions, accounts with roles, and the checks that every request passes."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
import secrets
import threading
import time
from collections import OrderedDict, deque
from http.cookies import CookieError, SimpleCookie
from typing import Annotated, Any, Final, Literal, get_args

import sqlalchemy as sql
from fastapi import Depends
from pydantic.dataclasses import dataclass
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smidgen.core.errors import RequestError
from smidgen.server.errors import failure
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.tables import ACCOUNTS, SESSIONS, StudioError

Role = Literal["viewer", "builder", "owner"]
Permission = Literal["view", "edit", "build", "serve", "manage"]
ROLES: Final[dict[Role, frozenset[Permission]]] = {
    "viewer": frozenset({"view"}),
    "builder": frozenset({"view", "edit", "build"}),
    "owner": frozenset(get_args(Permission)),
}
"""What each role may do: look, change data, start runs, serve models and issue certificates and keys, manage accounts."""

COOKIE = "studio_session"
HEADER = "x-studio-page"
"""Calls that change something carry this header: another site's page cannot send it, since browsers ask first and get no permission."""
SESSION_SECONDS = 7 * 86_400.0
IDLE_SECONDS = 12 * 3_600.0
LOCAL_OWNER = "owner"
_LINK_SECONDS = 600.0
_SEEN_SECONDS = 60.0
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_UPLOADS, _MOST_BODY = "/uploads", 16 << 20
"""Bytes of a call's body. Files have a bound of their own, and are never held in memory."""
_OWN_PATH = re.compile(r"/(?:[\w-][\w/?=&.-]*)?", re.ASCII)
"""A path of the Studio's own: `//other.example` would lead away."""
_TRIES, _TRY_SECONDS = 5, 60.0
"""Failed log-ins per account and address within these seconds; further ones are refused without a look at the password."""
_MOST_COUNTED = 10_000
"""Accounts and addresses whose log-ins are counted. The one that was quiet for longest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks: an account, or the owner of this machine."""

    name: str
    role: Role

    def may(self, permission: Permission) -> bool:
        """Whether the role grants it."""
        return permission in ROLES[self.role]


class StudioAccess:
    """Sessions and accounts. `accounts_needed`: the server listens beyond this machine, so that a link alone lets nobody in."""

    def __init__(self, store: StudioStore, accounts_needed: bool = False) -> None:
        self._store, self.accounts_needed = store, accounts_needed
        self._links: dict[str, float] = {}
        self._failed: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()
        self._lock = threading.Lock()
        self._hashing = threading.Lock()
        """One password at a time: each check takes 64 MB, and anyone may ask for many at once."""

    def new_link(self) -> str:
        """Make a token that opens one session, once, within ten minutes."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._links[token] = time.monotonic() + _LINK_SECONDS
        return token

    def follow_link(self, token: str) -> str | None:
        """Trade a token for a session of this machine's owner; None where it is unknown, old or used."""
        with self._lock:
            now = time.monotonic()
            self._links = {known: until for known, until in self._links.items() if until > now}
            matching = [known for known in self._links if hmac.compare_digest(known.encode(), token.encode("utf-8", "replace"))]
            for known in matching:
                del self._links[known]
        return self._open(LOCAL_OWNER) if matching and not self.accounts_needed else None

    def log_in(self, name: str, password: str, address: str) -> str:
        """Open a session for an account. Raises RequestError for a wrong name or password, and for too many tries."""
        from argon2 import PasswordHasher
        from argon2.exceptions import InvalidHashError, VerificationError

        self._count_try(name, address)
        with self._store.database.reading() as connection:
            stored = connection.execute(sql.select(ACCOUNTS.c.password).where(ACCOUNTS.c.name == name)).scalar()
        hasher = PasswordHasher()
        try:
            with self._hashing:  # An unknown name takes as long as a wrong password.
                hasher.verify(stored or _unknown_hash(hasher), password)
        except (VerificationError, InvalidHashError):
            stored = None
        if stored is None:
            raise RequestError("studio.name_or_password_is_wrong", value=name, status=401, code="wrong_password")
        with self._lock:
            self._failed.pop((name, address), None)
        return self._open(name)

    def person(self, cookie: str) -> Person | None:
        """Who a session belongs to; None where it is unknown or has ended."""
        hashed, now = _hashed(cookie), time.time()
        with self._store.database.reading() as connection:
            session = connection.execute(sql.select(SESSIONS).where(SESSIONS.c.token == hashed)).one_or_none()
            if session is None or session.expires < now or session.seen + IDLE_SECONDS < now:
                return None
            role = connection.execute(sql.select(ACCOUNTS.c.role).where(ACCOUNTS.c.name == session.account)).scalar()
        if role is None and not (session.account == LOCAL_OWNER and not self.accounts_needed):
            return None
        if now - session.seen > _SEEN_SECONDS:
            # Every request passes here: none waits while a large file is added. The next one tells the time.
            with contextlib.suppress(StudioError), self._store.database.writing(patience=0) as connection:
                connection.execute(sql.update(SESSIONS).where(SESSIONS.c.token == hashed).values(seen=now))
        return Person(session.account, role or "owner")

    def log_out(self, cookie: str) -> None:
        """End a session."""
        with self._store.database.writing() as connection:
            connection.execute(sql.delete(SESSIONS).where(SESSIONS.c.token == _hashed(cookie)))

    def accounts(self) -> list[Person]:
        """All accounts, by name."""
        with self._store.database.reading() as connection:
            return [Person(row.name, row.role) for row in connection.execute(sql.select(ACCOUNTS).order_by(ACCOUNTS.c.name))]

    def save_account(self, name: str, role: Role, password: str | None) -> Person:
        """Make an account, or change its role or password. Its open sessions end. Raises RequestError where a new one has no password,
        and where no owner would be left."""
        from argon2 import PasswordHasher

        others = [person for person in self.accounts() if person.name != name]
        known = len(others) < len(self.accounts())
        self._keep_an_owner([*others, Person(name, role)], name)
        if not known and password is None:
            raise RequestError("studio.new_account_needs_password", value=name, code="no_password")
        values: dict[str, Any] = {"role": role}
        if password is not None:
            values["password"] = PasswordHasher().hash(password)
        with self._store.database.writing() as connection:
            if known:
                connection.execute(sql.update(ACCOUNTS).where(ACCOUNTS.c.name == name).values(values))
            else:
                connection.execute(sql.insert(ACCOUNTS).values(name=name, created=time.time(), **values))
            connection.execute(sql.delete(SESSIONS).where(SESSIONS.c.account == name))
        return Person(name, role)

    def delete_account(self, name: str) -> None:
        """Delete an account and end its sessions. Raises RequestError where no owner would be left."""
        others = [person for person in self.accounts() if person.name != name]
        self._keep_an_owner(others, name)
        with self._store.database.writing() as connection:
            connection.execute(sql.delete(SESSIONS).where(SESSIONS.c.account == name))
            connection.execute(sql.delete(ACCOUNTS).where(ACCOUNTS.c.name == name))

    def _keep_an_owner(self, people: list[Person], name: str) -> None:
        if people and not any(person.role == "owner" for person in people):
            raise RequestError("studio.this_would_leave_no_owner", value=name, status=409, code="last_owner")

    def _count_try(self, name: str, address: str) -> None:
        now = time.monotonic()
        with self._lock:
            tries = self._failed.setdefault((name, address), deque(maxlen=_TRIES))
            self._failed.move_to_end((name, address))
            if len(self._failed) > _MOST_COUNTED:
                self._failed.popitem(last=False)
            if len(tries) == _TRIES and now - tries[0] < _TRY_SECONDS:
                raise RequestError("studio.too_many_failed_log_ins", value=name, status=429, code="too_many_tries")
            tries.append(now)

    def _open(self, account: str) -> str:
        cookie, now = secrets.token_urlsafe(32), time.time()
        with self._store.database.writing() as connection:
            connection.execute(sql.delete(SESSIONS).where(SESSIONS.c.expires < now))
            values = {"token": _hashed(cookie), "account": account, "created": now, "seen": now, "expires": now + SESSION_SECONDS}
            connection.execute(sql.insert(SESSIONS).values(values))
        return cookie


class StudioGuard:
    """Middleware of every request: the session behind its cookie, and no change that another site's page asked for.

    The person is in `scope["state"]["person"]`, or None. `/?link=TOKEN` is answered here: it sets the cookie and leads on without
    the token, to the first page or to the one that `to` names.
    """

    def __init__(self, app: ASGIApp, access: StudioAccess, secure: bool = False) -> None:
        self._app, self._access, self._secure = app, access, secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        if request.method == "GET" and scope["path"] == "/" and "link" in request.query_params:
            await (await run_in_threadpool(self._enter, request))(scope, receive, send)
            return
        if request.method not in _SAFE and not _from_the_studio(request.headers):
            message = (
                "This call did not come from the Studio's own page. Send the header X-Studio-Page: 1 with calls that change something."
            )
            await failure(403, message, "foreign_origin")(scope, receive, send)
            return
        length = request.headers.get("content-length", "0" if "transfer-encoding" not in request.headers else "")
        if not scope["path"].endswith(_UPLOADS) and not (length.isdecimal() and int(length) <= _MOST_BODY):
            message = f"The body of this call is larger than {_MOST_BODY >> 20} MB, or its length is not told. Send less at a time."
            await failure(413, message, "body_too_large")(scope, receive, send)
            return
        cookie = cookie_of(request.headers)
        scope.setdefault("state", {})["person"] = self._access.person(cookie) if cookie else None

        async def careful(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"referrer-policy", b"no-referrer"), (b"x-content-type-options", b"nosniff")]
            await send(message)

        await self._app(scope, receive, careful)

    def _enter(self, request: Request) -> Response:
        to = request.query_params.get("to", "/")
        response = RedirectResponse(to if _OWN_PATH.fullmatch(to) else "/", status_code=303)
        cookie = self._access.follow_link(request.query_params["link"])
        if cookie:
            set_cookie(response, cookie, self._secure)
        return response


def set_cookie(response: Response, cookie: str, secure: bool) -> None:
    """Set a session's cookie: scripts cannot read it, and other sites' pages do not send it."""
    response.set_cookie(COOKIE, cookie, max_age=int(SESSION_SECONDS), path="/", httponly=True, samesite="strict", secure=secure)


def cookie_of(headers: Headers) -> str:
    """The session's cookie; empty where there is none."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def needs(permission: Permission) -> Any:
    """A dependency of a route: the person who asks, if the role grants the permission.

    Raises RequestError: 401 without a session, 403 where the role does not grant it.
    """

    def check(request: Request) -> Person:
        person: Person | None = getattr(request.state, "person", None)
        if person is None:
            raise RequestError("studio.you_are_not_logged_in", value=request.url.path, status=401, code="no_session")
        if not person.may(permission):
            raise not_allowed(person, permission)
        return person

    check.permission = permission  # type: ignore[attr-defined]  # the test of every role and route reads it
    return Depends(check)


def not_allowed(person: Person, permission: Permission) -> RequestError:
    """The error for a person whose role does not grant a permission."""
    return RequestError(
        "studio.your_role_does_not_allow_this",
        value=permission,
        role=person.role,
        lowest=_lowest(permission),
        status=403,
        code="not_allowed",
    )


Viewer = Annotated[Person, needs("view")]
Editor = Annotated[Person, needs("edit")]
Builder = Annotated[Person, needs("build")]
Operator = Annotated[Person, needs("serve")]
Owner = Annotated[Person, needs("manage")]
"""Who may call a route: parameters of these types are checked before the route runs."""


def _lowest(permission: Permission) -> str:
    return next(role for role, granted in ROLES.items() if permission in granted)


def _from_the_studio(headers: Headers) -> bool:
    origin = headers.get("origin")
    return headers.get(HEADER) == "1" and (origin is None or origin.partition("://")[2] == headers.get("host"))


def _hashed(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).hexdigest()


_unknown: list[str] = []


def _unknown_hash(hasher: Any) -> str:
    if not _unknown:
        _unknown.append(hasher.hash(secrets.token_urlsafe()))
    return _unknown[0]
