"""`/api/v1/session` and `/api/v1/accounts`: who is logged in, log in and out, and the accounts."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from smidgen.core.version import VERSION
from smidgen.server.access import ClientAddress
from smidgen.studio.api.access import ROLES, Owner, Permission, Person, Role, StudioAccess, cookie_of, set_cookie


class SessionState(BaseModel):
    """Who is logged in, and what they may do."""

    name: str | None = Field(description="The account's name; null where nobody is logged in.")
    role: Role | None
    permissions: list[Permission]
    accounts_needed: bool = Field(description="Whether the Studio is open to other machines, so that people log in with a password.")
    has_accounts: bool = Field(description="Whether there is an account to log in with. On this machine alone, the link works too.")
    version: str


class LogIn(BaseModel):
    """A name and a password."""

    name: str = Field(min_length=1, max_length=100)
    password: str = Field(min_length=1, max_length=1_000)


class AccountChange(BaseModel):
    """The role of an account, and its new password where that changes."""

    role: Role
    password: str | None = Field(None, min_length=10, max_length=1_000)


class OneTimeLink(BaseModel):
    """A link that opens the Studio once."""

    path: str


def session_routes(access: StudioAccess, secure: bool, client: ClientAddress) -> APIRouter:
    """The routes of sessions and accounts."""
    router = APIRouter(prefix="/api/v1")

    def view(person: Person | None) -> SessionState:
        permissions = sorted(ROLES[person.role]) if person else []
        name, role = (person.name, person.role) if person else (None, None)
        return SessionState(
            name=name,
            role=role,
            permissions=permissions,
            accounts_needed=access.accounts_needed,
            has_accounts=bool(access.accounts()),
            version=VERSION,
        )

    @router.get("/session", tags=["session"])
    def read_session(request: Request) -> SessionState:
        """Tell who is logged in. Anybody may ask."""
        return view(getattr(request.state, "person", None))

    @router.post("/session", tags=["session"])
    def log_in(request: Request, response: Response, body: LogIn) -> SessionState:
        """Log in. Anybody may try; after five failures within a minute the next are refused."""
        cookie = access.log_in(body.name, body.password, client.of(request))
        set_cookie(response, cookie, secure)
        return view(access.person(cookie))

    @router.delete("/session", status_code=204, tags=["session"])
    def log_out(request: Request, response: Response) -> None:
        """Log out."""
        access.log_out(cookie_of(request.headers))

    @router.post("/session/link", tags=["session"])
    def make_link(person: Owner) -> OneTimeLink:
        """Make a link for another browser on this machine."""
        return OneTimeLink(path=f"/?link={access.new_link()}")

    @router.get("/accounts", tags=["accounts"])
    def list_accounts(person: Owner) -> list[Person]:
        """List the accounts."""
        return access.accounts()

    @router.put("/accounts/{name}", tags=["accounts"])
    def save_account(person: Owner, name: str, body: AccountChange) -> Person:
        """Make an account, or change its role or password. Its sessions end."""
        return access.save_account(name, body.role, body.password)

    @router.delete("/accounts/{name}", status_code=204, tags=["accounts"])
    def delete_account(person: Owner, name: str) -> None:
        """Delete an account. Its sessions end."""
        access.delete_account(name)

    return router
