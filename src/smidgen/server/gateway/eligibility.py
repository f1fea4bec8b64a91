"""Eligibility: which requests a bundle may take, and which always go to the large model.

A line takes requests that name another model if they belong to the recurring jobs that it learnt from. Held-out texts always go to the
large model, so that the rows that compare and certify are like all of the traffic. A request that continues a response made here is
refused, because local responses are not stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from smidgen.core.errors import InputError, RequestError
from smidgen.core.placeholders import PromptFrame
from smidgen.gateway.eligibility import CHAT, COMPLETIONS, LOCAL_RESPONSE_ID, RESPONSES, text_of, why_ineligible
from smidgen.gateway.route import RequestedModel
from smidgen.server.models import ServedBundle
from smidgen.server.settings import ServeSettings
from smidgen.server.traffic.exchange import template_of
from smidgen.store.line import Line, LineJob
from smidgen.store.traffic.records import MOST_TEXT
from smidgen.store.traffic.store import opened

if TYPE_CHECKING:
    from smidgen.server.service import Service


_AT = (CHAT, COMPLETIONS)
"""Paths where jobs are taken. Not /responses: a client may refer to a response later, and the upstream does not know one made here."""


class JobMatcher:
    """Finds the line that takes a request by its recurring jobs.

    The system prompt, the form of the answer and the fixed part of the text must match one of the line's jobs exactly. A job with neither a
    system prompt nor a frame takes nothing, because any request could match it. In doubt, no line takes the request.

    This does not check whether the line's certificate covers the job: that changes with each champion, and is checked before it answers.

    Args:
        jobs: the jobs of each line, by the line's name.
        hashed: hashes a template with the key of the store that the jobs were found in.
    """

    def __init__(self, jobs: Mapping[str, Iterable[LineJob]], hashed: Callable[[str], str]) -> None:
        self._hashed = hashed
        self._of: dict[str, list[tuple[PromptFrame, str, str]]] = {}
        for name, own in jobs.items():
            for job in own:
                self._of.setdefault(job.letter, []).append((job.frame, name, job.scope))

    def __call__(self, path: str, body: Mapping[str, Any]) -> RequestedModel | None:
        """Return the line that takes a request; None if no line or more than one matches."""
        if path not in _AT or not isinstance(body.get("model"), str) or why_ineligible(path, body) is not None:
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
        return RequestedModel(name, names_bundle=False, jobs=frozenset(scopes), model=body["model"])


def job_matcher(models: Iterable[ServedBundle]) -> JobMatcher:
    """Return a matcher for the served lines, with their current jobs.

    Raises InputError if no line has a job; TrafficError if the store of traffic, whose key identifies jobs, cannot be read.
    """
    lines = {model.name: line for model in models if isinstance(line := getattr(model, "line", None), Line)}
    jobs = {name: [job for job in line.read().jobs if job.told] for name, line in lines.items()}
    if not any(jobs.values()):
        raise InputError("server.no_line_that_is_served_has_job_to_take", value=", ".join(lines) or "no line")
    with opened(make=False) as store:
        return JobMatcher(jobs, store.template)


IsHeldOut = Callable[[str], bool]
"""Tells whether a text is held out."""


def check_held_out(settings: ServeSettings) -> None:
    """Raise InputError if held-out texts shall always escalate, but none are held out or captured."""
    if not settings.local.held_out_aside:
        return
    if not settings.capture.on or not settings.fallback.urls:
        raise InputError(
            "server.held_out_texts_need_fallback" if not settings.fallback.urls else "server.held_out_texts_need_capture",
            value="--held-out-aside",
        )
    if settings.capture.held_out == 0:
        raise InputError("server.held_out_texts_are_to_be_set_aside")


def held_out_test(service: Service) -> IsHeldOut | None:
    """Return a test for held-out texts; None if they do not always escalate.

    The text as received decides, as in the recorder. Raises as `check_held_out` does.
    """
    check_held_out(service.settings)
    recorder = service.recorder
    if not service.settings.local.held_out_aside or recorder is None:
        return None
    return lambda text: len(text) <= MOST_TEXT and recorder.holds_out(text)


_PREVIOUS_RESPONSE = "previous_response_id"


def check_previous_response(path: str, body: Mapping[str, Any] | None) -> None:
    """Raise RequestError for a request that continues a local response (400), or a path that names one (404)."""
    before = body.get(_PREVIOUS_RESPONSE) if body is not None and path == RESPONSES else None
    if isinstance(before, str) and before.startswith(LOCAL_RESPONSE_ID):
        raise RequestError(
            "server.response_that_this_goes_on_from_was",
            value=before,
            status=400,
            code="previous_response_not_found",
            param=_PREVIOUS_RESPONSE,
        )
    named = path.removeprefix(f"{RESPONSES}/") if path.startswith(f"{RESPONSES}/{LOCAL_RESPONSE_ID}") else ""
    if named:
        raise RequestError("server.this_response_was_made_here", value=named, status=404, code="not_found")
