"""Back to an earlier champion, in a step that takes no training and no copying."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smidgen.core.errors import InputError
from smidgen.flows import lines
from smidgen.flows.learning import enthroning, freshness
from smidgen.flows.vouching import subject_of
from smidgen.gateway.standing import Standing, standing
from smidgen.store.line import Line, earlier


@dataclass(frozen=True)
class RolledBack:
    """Who serves now, who did before, and how the certificate of the one that serves now stands."""

    line: str
    champion: str
    before: str
    standing: Standing

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"line": self.line, "champion": self.champion, "before": self.before, "certificate": self.standing.json()}


def roll_back(folder: Path, to: str | None = None, reason: str | None = None, now: datetime | None = None) -> RolledBack:
    """Point the line to an earlier champion: the one before the present one, or the version `to`, whose every hash is verified first. What
    was revoked of any version until now is remembered by the line: a certificate from before that does not hold.

    Raises InputError where there is none, or it serves already; BundleError where it must not be opened: the pointer then stays. LineBusy
    where the champion was changed meanwhile.
    """
    line = Line(folder)
    pointer = line.read()
    enthroning.tidy(line)
    if pointer.champion is None:
        raise InputError("the line has no champion to go back from", value=str(folder), todo="Let it learn one first.")
    before = earlier(pointer.history)
    if to is None and not before:
        known = ", ".join(id for id in line.versions() if id != pointer.champion) or "none"
        raise InputError(
            "there is no champion before this one", value=pointer.champion, todo=f"Name a version with --to. Others there are: {known}."
        )
    wanted = to if to is not None else before[-1]
    if wanted == pointer.champion:
        raise InputError("this version serves already", value=wanted, todo="Name another with --to, or leave it out.")
    bundle = lines.version(line, wanted)
    # Before it serves: a certificate that the latest revocation has outdated must not hold for a moment.
    revoked = freshness.revocations(line)
    freshness.remembered(line, revoked, now or datetime.now(UTC))
    line.point(wanted, by="rollback", why=reason or f"back from {pointer.champion}", instead_of=pointer.champion, now=now)
    freshness.overtaken(line, revoked, now or datetime.now(UTC))
    return RolledBack(pointer.name, wanted, pointer.champion, standing(bundle.folder, subject_of(bundle.manifest), now))
