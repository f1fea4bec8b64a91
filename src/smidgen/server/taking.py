"""Requests that a line takes though they name another model: those of the recurring jobs that it learnt from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from smidgen.core.errors import InputError
from smidgen.core.frames import Frame
from smidgen.gateway.suited import CHAT, COMPLETIONS, text_of, unsuited
from smidgen.gateway.wanted import Wanted
from smidgen.server.exchange import template_of
from smidgen.server.served import Served
from smidgen.store.line import Job, Line
from smidgen.store.traffic.store import opened

_AT = (CHAT, COMPLETIONS)
"""A response that the client's own model did not give may be referred to later, where nobody knows it: those are not taken."""


class Taking:
    """Which line takes a request, if any: only where its words to the system, the form of its answer and what stays in its text are, to the
    letter, those of one of the line's jobs. A job with neither words to the system nor a frame takes nothing: any request could be of it.
    Whatever is not sure goes its way.

    It does not ask whether the line's certificate knows the job: that changes with each champion, and is asked when one is to answer.

    Args:
        jobs: of each line's name, its jobs.
        hashed: the hash of a template, by the key of the store that the jobs were found in.
    """

    def __init__(self, jobs: Mapping[str, Iterable[Job]], hashed: Callable[[str], str]) -> None:
        self._hashed = hashed
        self._of: dict[str, list[tuple[Frame, str, str]]] = {}
        for name, own in jobs.items():
            for job in own:
                self._of.setdefault(job.letter, []).append((job.frame, name, job.scope))

    def __call__(self, path: str, body: Mapping[str, Any]) -> Wanted | None:
        """The line that takes it; None where none does, or several would."""
        if path not in _AT or not isinstance(body.get("model"), str) or unsuited(path, body) is not None:
            return None
        known = self._of.get(self._hashed(template_of(path, body)))
        if known is None:
            return None
        text = text_of(path, body)
        takers: dict[str, set[str]] = {}
        for frame, name, scope in known:
            if frame.holds(text):
                takers.setdefault(name, set()).add(scope)
        if len(takers) != 1:
            return None
        ((name, scopes),) = takers.items()
        return Wanted(name, named=False, jobs=frozenset(scopes), model=body["model"])


def taking(models: Iterable[Served]) -> Taking:
    """That of the lines among what is served, with their jobs as they are now.

    Raises InputError where no line has a job; TrafficError where the store of traffic, whose key tells jobs apart, cannot be read.
    """
    lines = {model.name: line for model in models if isinstance(line := getattr(model, "line", None), Line)}
    jobs = {name: [job for job in line.read().jobs if job.told] for name, line in lines.items()}
    if not any(jobs.values()):
        raise InputError(
            "no line that is served has a job to take",
            value=", ".join(lines) or "no line",
            todo="Make one with `smidgen learn LINE --job ID`, of a job with a frame, or words that stay, or leave --take out.",
        )
    with opened(make=False) as store:
        return Taking(jobs, store.template)
