"""Requests to the gateway in OpenAI's wire format, and their results, stretch by stretch, with those of the learning in between."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from smidgen.cli.hybrid_demo.sandbox import DemoError

# Requests.

_SECONDS = 60.0
_WAIT_SECONDS = 120.0
_PAUSE = 0.05


@dataclass(frozen=True)
class GatewayAnswer:
    """A reply: the text, whether it came from here, and what that saved, in dollars."""

    text: str
    local: bool
    saved_usd: float


class GatewayClient:
    """Asks one gateway. Use it as a context manager."""

    def __init__(self, url: str, model: str, system: str) -> None:
        self._model, self._system = model, system
        self._http = httpx.Client(base_url=url, timeout=_SECONDS, trust_env=False)

    def __enter__(self) -> GatewayClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.close()

    def ask(self, text: str) -> GatewayAnswer:
        """Send one message as any program would. Raises DemoError where no answer comes."""
        messages = [{"role": "system", "content": self._system}, {"role": "user", "content": text}]
        reply = self._got("POST", "/v1/chat/completions", {"model": self._model, "messages": messages, "temperature": 0})
        body = reply.json()
        saved = (body.get("smidgen") or {}).get("saved") or {}
        return GatewayAnswer(
            str(body["choices"][0]["message"]["content"]), reply.headers["x-smidgen-answered-by"] == "local", float(saved.get("usd", 0.0))
        )

    def serving(self) -> str:
        """The id of the version that answers now."""
        return str(self._got("GET", f"/v1/models/{self._model}").json()["smidgen"]["bundle"])

    def counted(self, metric: str, **labels: str) -> float:
        """The sum of a counter over all its series with these labels."""
        families = text_string_to_metric_families(self._got("GET", "/metrics").text)
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        )

    def until_stored(self, requests: int) -> None:
        """Wait until the gateway has dealt with so many captured requests. Raises DemoError where it does not."""
        self._until(lambda: self.counted("smidgen_capture_rows_total") >= requests, "the gateway did not store what it captured", requests)

    def until_serving(self, champion: str) -> None:
        """Wait until a version answers. Raises DemoError where it does not."""
        self._until(lambda: self.serving() == champion, "the gateway did not take the new champion", champion)

    def _until(self, true: Any, what: str, value: object) -> None:
        end = time.monotonic() + _WAIT_SECONDS
        while not true():
            if time.monotonic() > end:
                raise DemoError(what, value=value, todo="Its log, gateway.log in the demo's folder, says why.")
            time.sleep(_PAUSE)

    def _got(self, method: str, path: str, body: Any = None) -> httpx.Response:
        try:
            reply = self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise DemoError(
                "the gateway cannot be reached", value=f"{path}: {error}", todo="See gateway.log in the demo's folder."
            ) from None
        if reply.status_code != 200:
            raise DemoError(f"the gateway answered {path} with HTTP {reply.status_code}", value=reply.text[:300], todo="See gateway.log.")
        return reply


# Results, stretch by stretch.


@dataclass
class Stretch:
    """Requests one after the other: the `first`-th to, when it is over, the `upto`-th.

    Attributes:
        disagree: local answers that the recording has otherwise.
        wrong: answers, of either, that are not the sample's own label.
        recorded_wrong: the recording's answers to all of these requests that are not.
    """

    first: int
    upto: int
    requests: int = 0
    local: int = 0
    disagree: int = 0
    wrong: int = 0
    recorded_wrong: int = 0
    saved_usd: float = 0.0

    @property
    def share(self) -> float:
        """The share of the requests that was answered here."""
        return self.local / self.requests if self.requests else 0.0

    def add(self, answer: GatewayAnswer, recorded: str, right: str) -> None:
        """Count one more."""
        self.requests += 1
        self.local += answer.local
        self.disagree += answer.local and answer.text != recorded
        self.wrong += answer.text != right
        self.recorded_wrong += recorded != right
        self.saved_usd += answer.saved_usd


@dataclass(frozen=True)
class LearningRun:
    """One learning: the number of requests before it, how long it took, and its JSON."""

    at: int
    seconds: float
    result: Mapping[str, Any]

    @property
    def promoted(self) -> bool:
        """Whether a new version took over."""
        return bool(self.result["outcome"] == "promoted")

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """The new version's certificate; None where it has none."""
        found = self.result.get("certificate") or {}
        return found.get("certificate") if found.get("certified") else None

    def json(self) -> dict[str, Any]:
        """JSON-ready, without the line's own paths."""
        kept = ("outcome", "why", "champion", "before", "challenger", "contest", "certificate", "rows")
        return {"after_requests": self.at, "seconds": round(self.seconds, 1), **{name: self.result.get(name) for name in kept}}


@dataclass
class DemoTally:
    """All of it."""

    stretches: list[Stretch] = field(default_factory=list)
    lessons: list[LearningRun] = field(default_factory=list)

    @property
    def whole(self) -> Stretch:
        """All requests together."""
        found = Stretch(1, self.stretches[-1].upto if self.stretches else 0)
        for one in self.stretches:
            found.requests += one.requests
            found.local += one.local
            found.disagree += one.disagree
            found.wrong += one.wrong
            found.recorded_wrong += one.recorded_wrong
            found.saved_usd += one.saved_usd
        return found

    @property
    def certified(self) -> bool:
        """Whether any version was certified and took over."""
        return any(lesson.promoted and lesson.certificate is not None for lesson in self.lessons)

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        whole = self.whole
        return {
            "requests": whole.requests,
            "answered_here": whole.local,
            "share": whole.share,
            "disagree": whole.disagree,
            "wrong": whole.wrong,
            "recorded_wrong": whole.recorded_wrong,
            "saved_usd": whole.saved_usd,
            "stretches": [{**asdict(one), "share": one.share} for one in self.stretches],
            "learnings": [lesson.json() for lesson in self.lessons],
        }
